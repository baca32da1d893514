package wireguardgo

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/purewire/purewire/protocol/conformance"
)

// The ports of the modelled host: the one that it chooses if asked for any, and one that another program has (UAPI-13).
const (
	anyPort  = 51999
	busyPort = 53
)

// host is the outer side of the machine on which a device runs, and its conn.Bind: two sockets, and who sends from
// which address.
type host struct {
	sent func(conformance.SentDatagram) // gets what leaves

	mu    sync.Mutex
	addrs []netip.Addr // of the host; the first of a family is its ordinary source
	port  uint16
	mark  uint32
	v4    *socket // nil: not open
	v6    *socket
}

// socket holds what has arrived and was not read yet.
type socket struct {
	mu     sync.Mutex
	queue  []conformance.Datagram
	closed bool
	signal chan struct{} // something changed
}

func newSocket() *socket { return &socket{signal: make(chan struct{}, 1)} }

func (s *socket) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// read waits for at least one datagram and takes up to as many as there is room for, as recvmmsg(2) does.
func (s *socket) read(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return 0, net.ErrClosed
		}
		n := min(len(s.queue), len(packets))
		for i, d := range s.queue[:n] {
			sizes[i] = copy(packets[i], d.Bytes)
			eps[i] = &endpoint{remote: d.Remote, local: d.Local.Addr()}
		}
		s.queue = slices.Delete(s.queue, 0, n)
		s.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		<-s.signal
	}
}

func (s *socket) receiveIPv4(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	return s.read(packets, sizes, eps)
}

func (s *socket) receiveIPv6(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	return s.read(packets, sizes, eps)
}

// Open implements conn.Bind.
func (h *host) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.v4 != nil:
		return nil, 0, conn.ErrBindAlreadyOpen
	case port == busyPort:
		return nil, 0, syscall.EADDRINUSE
	case port == 0:
		port = anyPort
	}
	h.port, h.mark, h.v4, h.v6 = port, 0, newSocket(), newSocket()
	return []conn.ReceiveFunc{h.v4.receiveIPv4, h.v6.receiveIPv6}, port, nil
}

// Close implements conn.Bind.
func (h *host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range []*socket{h.v4, h.v6} {
		if s != nil {
			s.change(func() { s.closed = true })
		}
	}
	h.v4, h.v6 = nil, nil
	return nil
}

// SetMark implements conn.Bind.
func (h *host) SetMark(mark uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mark = mark
	return nil
}

// Send implements conn.Bind.
func (h *host) Send(packets [][]byte, to conn.Endpoint) error {
	e, ok := to.(*endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.v4 == nil {
		return net.ErrClosed
	}
	local, err := h.source(e)
	if err != nil {
		return err
	}
	for _, p := range packets {
		h.sent(conformance.SentDatagram{Mark: h.mark, Marked: true, Datagram: conformance.Datagram{
			Local: netip.AddrPortFrom(local, h.port), Remote: e.remote, Bytes: slices.Clone(p)}})
	}
	return nil
}

// source is the address that a datagram leaves from: the one that the endpoint sticks to, or else the ordinary one.
// Linux refuses a source that the host does not have, and so does this.
func (h *host) source(e *endpoint) (netip.Addr, error) {
	if local := e.source(); local.IsValid() {
		if !slices.Contains(h.addrs, local) {
			return netip.Addr{}, syscall.EINVAL
		}
		return local, nil
	}
	for _, a := range h.addrs {
		if a.Is4() == e.remote.Addr().Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, syscall.ENETUNREACH
}

// ParseEndpoint implements conn.Bind.
func (h *host) ParseEndpoint(text string) (conn.Endpoint, error) {
	remote, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	return &endpoint{remote: remote}, nil
}

// BatchSize implements conn.Bind: that of wireguard-go's own on Linux.
func (h *host) BatchSize() int { return conn.IdealBatchSize }

// arrive puts datagrams that are for an address and the port of the host into their socket; others reach nobody.
func (h *host) arrive(in []conformance.Datagram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range in {
		if h.v4 == nil || d.Local.Port() != h.port || !slices.Contains(h.addrs, d.Local.Addr()) {
			continue
		}
		s := h.v6
		if d.Local.Addr().Is4() {
			s = h.v4
		}
		s.change(func() { s.queue = append(s.queue, d) })
	}
}

// endpoint is a conn.Endpoint: where a peer is, and from which address of ours it is spoken to.
type endpoint struct {
	remote netip.AddrPort

	mu    sync.Mutex
	local netip.Addr // zero: any
}

func (e *endpoint) source() netip.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.local
}

// ClearSrc implements conn.Endpoint, as do the others.
func (e *endpoint) ClearSrc() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.local = netip.Addr{}
}

func (e *endpoint) SrcToString() string { return e.source().String() }
func (e *endpoint) SrcIP() netip.Addr   { return e.source() }
func (e *endpoint) DstToString() string { return e.remote.String() }
func (e *endpoint) DstIP() netip.Addr   { return e.remote.Addr() }

// DstToBytes is what cookies are bound to, in the form that wireguard-go's own Bind gives it.
func (e *endpoint) DstToBytes() []byte {
	b, _ := e.remote.MarshalBinary() // never fails
	return b
}
