package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A socket is one address of the tester.
type socket struct {
	fd       int
	here     netip.AddrPort
	answered int64 // when it sent a response, on BOOTTIME
}

// received is a datagram that came in.
type received struct {
	from  netip.AddrPort
	tos   uint8
	wall  int64 // CLOCK_REALTIME, by the kernel; 0: not stamped
	bytes []byte
}

// openSocket opens a socket to reach a device from an address of this host; an invalid one: whichever leads there.
func openSocket(from netip.Addr, device netip.AddrPort) (*socket, error) {
	if !from.IsValid() {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(device)) // sends nothing
		if err != nil {
			return nil, err
		}
		from = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
	family, level, tos, discover, dont := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVTOS, unix.IP_MTU_DISCOVER,
		unix.IP_PMTUDISC_DONT
	if from.Is6() {
		family, level, tos = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS
		discover, dont = unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for one more address: %w", err)
	}
	s := &socket{fd: fd}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, 1 << 20},
		{level, tos, 1},
		{level, discover, dont}, // cases about length send more than fits in a packet
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return nil, errors.Join(fmt.Errorf("UDP socket: option %d/%d: %w", o.level, o.name, err), s.close())
		}
	}
	if err := unix.Bind(fd, address(netip.AddrPortFrom(from, 0))); err != nil {
		return nil, errors.Join(fmt.Errorf("UDP socket on %v: %w", from, err), s.close())
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.here = addrPort(name)
	return s, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// send sends a datagram with an outer TOS byte.
func (s *socket) send(to netip.AddrPort, b []byte, tos uint8) error {
	level, kind := unix.IPPROTO_IP, unix.IP_TOS
	if to.Addr().Is6() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	control := make([]byte, unix.CmsgSpace(4))
	n := binary.NativeEndian
	if unix.SizeofCmsghdr == 16 {
		n.PutUint64(control, uint64(unix.CmsgLen(4)))
	} else {
		n.PutUint32(control, uint32(unix.CmsgLen(4)))
	}
	n.PutUint32(control[unix.SizeofCmsghdr-8:], uint32(level))
	n.PutUint32(control[unix.SizeofCmsghdr-4:], uint32(kind))
	n.PutUint32(control[unix.CmsgLen(0):], uint32(tos))
	for try := 0; ; try++ {
		_, err := unix.SendmsgN(s.fd, b, control, address(to), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && try < 100: // a flood: the device's line is full
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, 10)
		default:
			return err
		}
	}
}

// receive reads a datagram if there is one.
func (s *socket) receive(buffer, control []byte) (r received, ok bool) {
	for {
		n, c, _, from, err := unix.Recvmsg(s.fd, buffer, control, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH):
			continue // the errors are news of what was sent, and are told once
		case err != nil:
			return r, false
		}
		r = received{from: addrPort(from), bytes: buffer[:n]}
		r.ancillary(control[:c])
		return r, true
	}
}

// ancillary reads what comes with a datagram.
func (r *received) ancillary(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		switch l, t := m.Header.Level, m.Header.Type; {
		case l == unix.SOL_SOCKET && t == unix.SCM_TIMESTAMPING && len(m.Data) >= 16:
			second, nano := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			r.wall = int64(second)*1e9 + int64(nano)
		case l == unix.IPPROTO_IP && t == unix.IP_TOS && len(m.Data) >= 1:
			r.tos = m.Data[0]
		case l == unix.IPPROTO_IPV6 && t == unix.IPV6_TCLASS && len(m.Data) >= 4:
			r.tos = uint8(binary.NativeEndian.Uint32(m.Data))
		}
	}
}

func address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	s := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			s.ZoneId = uint32(i.Index)
		}
	}
	return s
}

// addrPort has no zones: a link-local address is told by its number alone.
func addrPort(s unix.Sockaddr) netip.AddrPort {
	switch a := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
