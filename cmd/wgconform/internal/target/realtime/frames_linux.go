package realtime

import (
	"encoding/binary"
	"net/netip"

	"github.com/purewire/purewire/protocol/conformance"
)

// Numbers of Ethernet and IP.
const (
	etherHeader = 14
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	protoUDP    = 17
	protoFrag   = 44 // IPv6 fragment header
	udpHeader   = 8
)

// A tag tells datagrams of the suite from each other where they arrive: the identification of IPv4, the flow label of
// IPv6. Neither reaches a UDP socket.
type tag uint16

// packets makes the IP packets that carry a datagram of the suite: one, or fragments if it is too long for the cable.
func packets(d *conformance.Datagram, t tag) [][]byte {
	udp := make([]byte, udpHeader, udpHeader+len(d.Bytes))
	binary.BigEndian.PutUint16(udp[0:], d.Remote.Port())
	binary.BigEndian.PutUint16(udp[2:], d.Local.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeader+len(d.Bytes)))
	udp = append(udp, d.Bytes...)
	from, to := d.Remote.Addr().Unmap().WithZone(""), d.Local.Addr().Unmap().WithZone("")
	sum := checksum(udp, pseudo(from, to, protoUDP, len(udp)))
	if sum == 0 {
		sum = 0xffff // 0 means none
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	if from.Is4() {
		return fragments4(udp, from, to, d.TOS, t)
	}
	return fragments6(udp, from, to, d.TOS, t)
}

func fragments4(udp []byte, from, to netip.Addr, tos uint8, t tag) (out [][]byte) {
	const header = 20
	const most = (outerMTU - header) &^ 7
	for at := 0; at < len(udp) || at == 0; at += most {
		part := udp[at:min(at+most, len(udp))]
		p := make([]byte, header, header+len(part))
		p[0], p[1] = 0x45, tos
		binary.BigEndian.PutUint16(p[2:], uint16(header+len(part)))
		binary.BigEndian.PutUint16(p[4:], uint16(t))
		offset := uint16(at / 8)
		if at+len(part) < len(udp) {
			offset |= 0x2000 // more fragments
		}
		binary.BigEndian.PutUint16(p[6:], offset)
		p[8], p[9] = 64, protoUDP
		copy(p[12:], from.AsSlice())
		copy(p[16:], to.AsSlice())
		binary.BigEndian.PutUint16(p[10:], checksum(p, 0))
		out = append(out, append(p, part...))
	}
	return out
}

func fragments6(udp []byte, from, to netip.Addr, class uint8, t tag) (out [][]byte) {
	const header, extra = 40, 8
	head := func(next uint8, length int) []byte {
		p := make([]byte, header, header+length)
		binary.BigEndian.PutUint32(p, 6<<28|uint32(class)<<20|uint32(t))
		binary.BigEndian.PutUint16(p[4:], uint16(length))
		p[6], p[7] = next, 64
		copy(p[8:], from.AsSlice())
		copy(p[24:], to.AsSlice())
		return p
	}
	if header+len(udp) <= outerMTU {
		return [][]byte{append(head(protoUDP, len(udp)), udp...)}
	}
	const most = (outerMTU - header - extra) &^ 7
	for at := 0; at < len(udp); at += most {
		part := udp[at:min(at+most, len(udp))]
		offset := uint16(at)
		if at+len(part) < len(udp) {
			offset |= 1 // more fragments
		}
		p := append(head(protoFrag, extra+len(part)), protoUDP, 0)
		p = binary.BigEndian.AppendUint16(p, offset)
		p = binary.BigEndian.AppendUint32(p, uint32(t))
		out = append(out, append(p, part...))
	}
	return out
}

// tagOf reads the tag of a packet made by packets.
func tagOf(ip []byte) tag {
	if len(ip) >= 20 && ip[0]>>4 == 4 {
		return tag(binary.BigEndian.Uint16(ip[4:]))
	}
	if len(ip) >= 40 {
		return tag(binary.BigEndian.Uint16(ip[2:]))
	}
	return 0
}

// An outer is an IP packet taken apart.
type outer struct {
	from, to netip.Addr
	class    uint8 // TOS or traffic class
	proto    uint8 // of the payload
	head     []byte
	payload  []byte
	// Of a fragment: its place, whether more follow, and what its packet is called.
	fragment, more bool
	offset         int
	id             uint32
}

// takeApart reads an IP packet without options or extension headers other than that of a fragment; what has others
// gets the protocol of its first header. It reports whether the packet is whole.
func takeApart(ip []byte) (o outer, ok bool) {
	switch {
	case len(ip) >= 20 && ip[0]>>4 == 4:
		header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
		if header < 20 || total < header || total > len(ip) {
			return o, false
		}
		place := binary.BigEndian.Uint16(ip[6:])
		o = outer{from: netip.AddrFrom4([4]byte(ip[12:])), to: netip.AddrFrom4([4]byte(ip[16:])), class: ip[1],
			proto: ip[9], head: ip[:header], payload: ip[header:total], more: place&0x2000 != 0,
			offset: int(place&0x1fff) * 8, id: uint32(binary.BigEndian.Uint16(ip[4:]))}
		o.fragment = o.more || o.offset != 0
		return o, true
	case len(ip) >= 40 && ip[0]>>4 == 6:
		total := 40 + int(binary.BigEndian.Uint16(ip[4:]))
		if total > len(ip) {
			return o, false
		}
		o = outer{from: netip.AddrFrom16([16]byte(ip[8:])), to: netip.AddrFrom16([16]byte(ip[24:])),
			class: uint8(binary.BigEndian.Uint16(ip) >> 4), proto: ip[6], head: ip[:40], payload: ip[40:total]}
		if o.proto == protoFrag && len(o.payload) >= 8 {
			place := binary.BigEndian.Uint16(o.payload[2:])
			o.fragment, o.more, o.offset = true, place&1 != 0, int(place&^7)
			o.id, o.proto = binary.BigEndian.Uint32(o.payload[4:]), o.payload[0]
			o.head, o.payload = ip[:48], ip[48:total]
		}
		return o, true
	}
	return o, false
}

// ports reads a UDP header and gives the payload.
func ports(udp []byte) (source, target uint16, payload []byte, ok bool) {
	if len(udp) < udpHeader {
		return 0, 0, nil, false
	}
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeader || length > len(udp) {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]), udp[udpHeader:length], true
}

// pseudo is the sum over the pseudo header of UDP and TCP.
func pseudo(from, to netip.Addr, proto uint8, length int) uint32 {
	sum := uint32(proto) + uint32(length)
	for _, a := range []netip.Addr{from, to} {
		sum = add(sum, a.AsSlice())
	}
	return sum
}

// add adds the 16-bit words of b. The sum of 64 KiB of them fits.
func add(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// checksum is the internet checksum of b, begun with sum.
func checksum(b []byte, sum uint32) uint16 {
	sum = add(sum, b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
