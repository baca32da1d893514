//go:build !windows

package udp

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
)

// plainBind is a conn.Bind on two net.UDPConn. It takes the place of wireguard-go's, which keeps addresses for reuse
// and cuts an IPv6 one to 4 bytes where it kept an IPv4 one before (design §11.8), and which forgets scopes.
type plainBind struct {
	mu    sync.Mutex
	conns [2]*net.UDPConn // IPv4, IPv6; nil if the host has no such family
	mark  uint32
}

// plainTries bounds the search for a port that is free in both families.
const plainTries = 100

// Open binds both families to one port.
func (b *plainBind) Open(port uint16) (fns []conn.ReceiveFunc, actual uint16, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range plainTries {
		actual, err = b.try(port)
		if err == nil || port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return nil, 0, err
	}
	for _, c := range b.conns {
		fns = append(fns, func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
			n, from, err := c.ReadFromUDPAddrPort(bufs[0])
			if err != nil {
				return 0, err
			}
			sizes[0], eps[0] = n, plainEndpoint(from)
			return 1, nil
		})
		if c == nil {
			fns[len(fns)-1] = nil
		}
	}
	if b.mark != 0 {
		if err := b.setMark(b.mark); err != nil {
			b.close()
			return nil, 0, err
		}
	}
	return fns, actual, nil
}

func (b *plainBind) try(port uint16) (actual uint16, err error) {
	actual = port
	for i, network := range []string{"udp4", "udp6"} {
		b.conns[i], err = net.ListenUDP(network, &net.UDPAddr{Port: int(actual)})
		switch {
		case err == nil:
			actual = uint16(b.conns[i].LocalAddr().(*net.UDPAddr).Port)
		case errors.Is(err, syscall.EAFNOSUPPORT) && (i == 0 || b.conns[0] != nil):
			err = nil
		default:
			b.close()
			return 0, err
		}
	}
	return actual, nil
}

func (b *plainBind) close() {
	for i, c := range b.conns {
		if c != nil {
			_ = c.Close()
		}
		b.conns[i] = nil
	}
}

// Close ends the receive functions.
func (b *plainBind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	return nil
}

// SetMark sets what the system has of a mark: a cookie for the firewall on FreeBSD, a routing table on OpenBSD.
func (b *plainBind) SetMark(mark uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark = mark
	return b.setMark(mark)
}

func (b *plainBind) setMark(mark uint32) error {
	option, known := map[string]int{"linux": 36, "freebsd": 0x1015, "openbsd": 0x1021}[runtime.GOOS]
	if !known {
		return nil
	}
	for _, c := range b.conns {
		if c == nil {
			continue
		}
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var errno error
		err = raw.Control(func(fd uintptr) {
			errno = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, int(mark))
		})
		if err = errors.Join(err, errno); err != nil {
			return err
		}
	}
	return nil
}

// Send sends each buffer to e.
func (b *plainBind) Send(bufs [][]byte, e conn.Endpoint) error {
	to := netip.AddrPort(e.(plainEndpoint))
	i := 0
	if to.Addr().Is6() {
		i = 1
	}
	b.mu.Lock()
	c := b.conns[i]
	b.mu.Unlock()
	if c == nil {
		return net.ErrClosed
	}
	var errs []error
	for _, p := range bufs {
		if _, err := c.WriteToUDPAddrPort(p, to); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ParseEndpoint reads what netip writes.
func (*plainBind) ParseEndpoint(s string) (conn.Endpoint, error) {
	to, err := netip.ParseAddrPort(s)
	return plainEndpoint(to), err
}

// BatchSize is 1.
func (*plainBind) BatchSize() int { return 1 }

// plainEndpoint is a value: nothing can be left in it of what was there before.
type plainEndpoint netip.AddrPort

func (plainEndpoint) ClearSrc()             {}
func (plainEndpoint) SrcToString() string   { return "" }
func (plainEndpoint) SrcIP() netip.Addr     { return netip.Addr{} }
func (e plainEndpoint) DstIP() netip.Addr   { return netip.AddrPort(e).Addr() }
func (e plainEndpoint) DstToString() string { return netip.AddrPort(e).String() }
func (e plainEndpoint) DstToBytes() []byte {
	b, _ := netip.AddrPort(e).MarshalBinary()
	return b
}
