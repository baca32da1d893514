package udp

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

// socketBuffer is what both buffers of a socket are asked for, in bytes: room for bursts of a few milliseconds at
// tens of gigabits, while a worker is busy with the batch before.
const socketBuffer = 7 << 20

// socket is one UDP socket.
type socket struct {
	conn     *transports.Descriptor
	v6       bool
	segments bool        // UDP_SEGMENT is known to this kernel
	retired  atomic.Bool // another socket has taken over: what has arrived is still read, then it is closed
	closed   atomic.Bool // os.File has no error of its own for that in raw calls
	out      sender
}

// newSocket opens, sets up and binds a socket of one family to port; 0 lets the kernel choose.
func newSocket(v6 bool, port uint16, mark uint32, o Options) (*socket, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{v6: v6}
	if err := s.configure(fd, port, mark, o); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if s.conn, err = transports.NewDescriptor(fd, "udp", false); err != nil {
		return nil, err
	}
	s.out.init(s)
	return s, nil
}

func (s *socket) configure(fd int, port uint16, mark uint32, o Options) error {
	type option struct{ level, name, value int }
	must := []option{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		// DF stays clear, so that hosts and routers may fragment (MSG-17).
		{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
	}
	if s.v6 {
		must = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
		}
	}
	for _, m := range must {
		if err := unix.SetsockoptInt(fd, m.level, m.name, m.value); err != nil {
			return os.NewSyscallError(fmt.Sprintf("setsockopt %d %d", m.level, m.name), err)
		}
	}
	// The forced variants pass the limits of the system and need CAP_NET_ADMIN. Smaller buffers are no error.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer)
	}
	if !o.NoCoalescing {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) // an old kernel gives single datagrams
	}
	if !o.NoSegments {
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.segments = err == nil
	}
	if mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
			return os.NewSyscallError("setsockopt SO_MARK", err)
		}
	}
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	if s.v6 {
		to = &unix.SockaddrInet6{Port: int(port)}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, to))
}

// port is the one that the socket is bound to.
func (s *socket) port() (port uint16, err error) {
	if cerr := s.conn.Control(func(fd uintptr) {
		var name unix.Sockaddr
		if name, err = unix.Getsockname(int(fd)); err != nil {
			return
		}
		switch name := name.(type) {
		case *unix.SockaddrInet4:
			port = uint16(name.Port)
		case *unix.SockaddrInet6:
			port = uint16(name.Port)
		}
	}); cerr != nil {
		return 0, cerr
	}
	return port, os.NewSyscallError("getsockname", err)
}

func (s *socket) setMark(mark uint32) (err error) {
	if cerr := s.conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
	}); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt SO_MARK", err)
}

// retire makes the reader, if it waits, look up and see that there is a new socket.
func (s *socket) retire() {
	s.retired.Store(true)
	s.conn.Interrupt()
}

func (s *socket) close() {
	s.closed.Store(true)
	_ = s.conn.Close()
}

// A pair is the sockets of one port. One of them may be nil on a host that has only one family.
type pair [2]*socket

func (p pair) each(do func(*socket)) {
	for _, s := range p {
		if s != nil {
			do(s)
		}
	}
}

// portTries bounds the search for a port that is free in both families.
const portTries = 100

// openPair binds both families to one port (MSG-18).
func openPair(port uint16, mark uint32, o Options) (p pair, actual uint16, err error) {
	for try := range portTries {
		p, actual, err = tryPair(port, mark, o)
		// The port that IPv4 was given may be taken in IPv6.
		if port != 0 || !errors.Is(err, unix.EADDRINUSE) || try == portTries-1 {
			break
		}
	}
	return p, actual, err
}

func tryPair(port uint16, mark uint32, o Options) (p pair, actual uint16, err error) {
	actual = port
	for i := range p {
		p[i], err = newSocket(i == 1, actual, mark, o)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			p[i] = nil // this family is not to be had here
			if i == 1 && p[0] != nil {
				err = nil
			}
			continue
		}
		if err == nil {
			actual, err = p[i].port()
		}
		if err != nil {
			p.each((*socket).close)
			return pair{}, 0, err
		}
	}
	return p, actual, err
}
