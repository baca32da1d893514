package udp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/purewire/purewire/protocol"
	"golang.org/x/sys/unix"
)

// control is room for the control messages of one datagram, aligned as the kernel wants it. What we ask for comes to
// at most 88 bytes (IPv6: packet info 40, traffic class 24, segment size 24).
type control [16]uint64

const controlBytes = 16 * 8

func (c *control) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(c)), controlBytes) }

// put appends one control message of n bytes at offset at; it gives the place of the data and the next offset.
func (c *control) put(at int, level, kind int32, n int) (data []byte, next int) {
	head := (*unix.Cmsghdr)(unsafe.Pointer(&c.bytes()[at]))
	head.Level, head.Type = level, kind
	head.SetLen(unix.CmsgLen(n))
	from := at + unix.CmsgLen(0)
	return c.bytes()[from : from+n], at + unix.CmsgSpace(n)
}

// write builds the control messages for a send and gives their length. Zero segment is an unsegmented send.
func (c *control) write(d *protocol.Datagram, v6, source bool, segment int) (n int) {
	clear(c[:])
	var data []byte
	local := d.Endpoint.Local
	switch {
	case !source || !local.IsValid():
	case v6:
		// A scope belongs to link-local addresses; for others the routes decide, as they may change.
		data, n = c.put(n, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		info.Addr = local.As16()
		if local.IsLinkLocalUnicast() || scoped(d.Endpoint.Remote.Addr()) {
			info.Ifindex = d.Endpoint.IfIndex
		}
	default:
		// "IPv4: and interface" (ROAM-08).
		data, n = c.put(n, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		info.Spec_dst = local.As4()
		info.Ifindex = int32(d.Endpoint.IfIndex)
	}
	if d.TOS != 0 {
		if v6 {
			data, n = c.put(n, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4)
		} else {
			data, n = c.put(n, unix.IPPROTO_IP, unix.IP_TOS, 4)
		}
		binary.NativeEndian.PutUint32(data, uint32(d.TOS))
	}
	if segment != 0 {
		data, n = c.put(n, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, uint16(segment))
	}
	return n
}

// scoped tells the addresses that mean something on one interface only (ROAM-11).
func scoped(a netip.Addr) bool { return a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() }

// read takes the local address, interface and TOS of a received datagram out of n bytes of control messages, and the
// size of the segments it was coalesced from, 0 if it was not. All of them hold for every segment.
func (c *control) read(n int, e *protocol.Endpoint) (tos uint8, segment int) {
	b := c.bytes()[:min(n, controlBytes)]
	for len(b) >= unix.SizeofCmsghdr {
		head := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		size := int(head.Len)
		if size < unix.CmsgLen(0) || size > len(b) {
			break
		}
		data := b[unix.CmsgLen(0):size]
		switch {
		case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// Spec_dst is the address that an answer comes from, also where the datagram went to a broadcast one.
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			e.Local, e.IfIndex = netip.AddrFrom4(info.Spec_dst), uint32(info.Ifindex)
		case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_TOS && len(data) >= 1:
			tos = data[0]
		case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			e.IfIndex = info.Ifindex
			if a := netip.AddrFrom16(info.Addr).Unmap(); !a.IsMulticast() { // nothing can be sent from a group
				e.Local = a
			}
		case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_TCLASS && len(data) >= 4:
			tos = uint8(binary.NativeEndian.Uint32(data))
		case head.Level == unix.IPPROTO_UDP && head.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(int32(binary.NativeEndian.Uint32(data)))
		}
		b = b[min(unix.CmsgSpace(len(data)), len(b)):]
	}
	return tos, segment
}

// address is a socket address of either family: sockaddr_in fits into sockaddr_in6.
type address struct{ raw unix.RawSockaddrInet6 }

// set writes a destination and gives its length.
func (a *address) set(e *protocol.Endpoint, v6 bool) uint32 {
	port := e.Remote.Port()
	if !v6 {
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		*p = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: e.Remote.Addr().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&p.Port))[:], port)
		return unix.SizeofSockaddrInet4
	}
	a.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: e.Remote.Addr().As16()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.raw.Port))[:], port)
	if scoped(e.Remote.Addr()) {
		a.raw.Scope_id = e.IfIndex
	}
	return unix.SizeofSockaddrInet6
}

// get reads a source; it is invalid if the kernel gave none.
func (a *address) get() netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.raw.Port))[:]) // at the same place in both
	switch a.raw.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw)).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.raw.Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}
