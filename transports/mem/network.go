package mem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
)

// Network carries datagrams between the Links that were made of it. It loses what is sent to nobody or to a full
// queue, and nothing else.
type Network struct {
	options Options

	mu     sync.Mutex
	ports  map[netip.AddrPort]*Link
	held   []Message // in lock-step
	sent   chan struct{}
	filter func(Message) bool
	free   uint16
}

// Message is a datagram on its way.
type Message struct {
	From, To netip.AddrPort
	TOS      uint8
	Mark     uint32
	Data     []byte
}

// NewNetwork makes a network without hosts.
func NewNetwork(o Options) *Network {
	return &Network{options: o.withDefaults(), ports: map[netip.AddrPort]*Link{}, sent: make(chan struct{}, 1),
		free: 49152}
}

// Filter lets f see every datagram that is sent and lose those for which it gives false. It is called by the
// sender, one call at a time, and may keep Data only as a copy. Nil: none.
func (n *Network) Filter(f func(Message) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

// Sent gets a value when something was sent and is held (lock-step).
func (n *Network) Sent() <-chan struct{} { return n.sent }

// Held gives what is held, oldest first, and forgets it (lock-step). Hand it over with Deliver.
func (n *Network) Held() []Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	held := n.held
	n.held = nil
	return held
}

// Deliver hands m over to whoever listens at m.To, if somebody does.
func (n *Network) Deliver(m Message) {
	n.mu.Lock()
	l := n.ports[m.To]
	n.mu.Unlock()
	if l != nil {
		l.receive(m)
	}
}

// carry takes a datagram from a sender.
func (n *Network) carry(m Message) {
	n.mu.Lock()
	if n.filter != nil && !n.filter(m) {
		n.mu.Unlock()
		return
	}
	if n.options.LockStep {
		m.Data = append([]byte(nil), m.Data...)
		n.held = append(n.held, m)
		n.mu.Unlock()
		select {
		case n.sent <- struct{}{}:
		default:
		}
		return
	}
	l := n.ports[m.To]
	n.mu.Unlock()
	if l != nil {
		l.receive(m)
	}
}

// Link is a host's sockets on a Network: one source per address family that it has.
type Link struct {
	network *Network
	addrs   []netip.Addr
	sources []*queue

	mu     sync.Mutex // guards what follows
	port   uint16
	open   bool
	closed bool
	mark   uint32
	broken map[netip.Addr]bool
}

// Link makes the sockets of a host that has the addresses; each is a source of its own.
func (n *Network) Link(addrs ...netip.Addr) *Link {
	l := &Link{network: n, addrs: addrs, broken: map[netip.Addr]bool{}}
	for range addrs {
		l.sources = append(l.sources, newQueue(n.options.Queue))
	}
	return l
}

// receive puts a datagram into the queue of the socket that it came to.
func (l *Link) receive(m Message) {
	for i, a := range l.addrs {
		if a == m.To.Addr() {
			from := protocol.Endpoint{Remote: m.From, Local: a, IfIndex: 1}
			l.sources[i].put(m.Data, item{from: from, tos: m.TOS}, false)
		}
	}
}

// Lost is the number of datagrams that found the queue of their source full.
func (l *Link) Lost() (lost uint64) {
	for _, q := range l.sources {
		q.mu.Lock()
		lost += q.lost
		q.mu.Unlock()
	}
	return lost
}

// Waiting is the number of datagrams that the node has not received yet.
func (l *Link) Waiting() (waiting int) {
	for _, q := range l.sources {
		waiting += q.len()
	}
	return waiting
}

// RemoveAddr makes sending from a fail as it does when the host has lost the address.
func (l *Link) RemoveAddr(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[a] = true
}

// Open implements transports.Link.
func (l *Link) Open(port uint16) (uint16, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, net.ErrClosed
	}
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for port == 0 {
		n.free = max(49152, n.free+1)
		if l.bindable(n.free) {
			port = n.free
		}
	}
	if !l.bindable(port) {
		return 0, fmt.Errorf("listen on port %d: %w", port, syscall.EADDRINUSE)
	}
	l.unbind()
	for _, a := range l.addrs {
		n.ports[netip.AddrPortFrom(a, port)] = l
	}
	l.port, l.open = port, true
	return port, nil
}

// bindable reports whether nobody else has the port. Both locks are held, here and in unbind.
func (l *Link) bindable(port uint16) bool {
	for _, a := range l.addrs {
		if other := l.network.ports[netip.AddrPortFrom(a, port)]; other != nil && other != l {
			return false
		}
	}
	return true
}

func (l *Link) unbind() {
	for _, a := range l.addrs {
		if l.open {
			delete(l.network.ports, netip.AddrPortFrom(a, l.port))
		}
	}
	l.open = false
}

// Shut implements transports.Link.
func (l *Link) Shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.unbind()
	return nil
}

// Sources implements transports.Link.
func (l *Link) Sources() int { return len(l.sources) }

// Receive implements transports.Link.
func (l *Link) Receive(source int, d *transports.Datagrams) error {
	d.List = d.List[:0]
	at := 0
	return l.sources[source].take(min(l.network.options.Batch, cap(d.List)), func(i *item) bool {
		n := len(i.buf)
		if at+n > len(d.Buf) {
			return false
		}
		copy(d.Buf[at:], i.buf)
		d.List = append(d.List, protocol.Datagram{Packet: protocol.Packet{Buf: d.Buf, Off: at, Len: n},
			Endpoint: i.from, TOS: i.tos})
		at += (n + 15) &^ 15
		return true
	})
}

// Send implements transports.Link. A message leaves from Endpoint.Local if that is one of the host's addresses, else
// from the first address of the same family.
func (l *Link) Send(datagrams []protocol.Datagram) error {
	var failed error
	for i := range datagrams {
		d := &datagrams[i]
		m := Message{To: d.Endpoint.Remote, TOS: d.TOS, Data: d.Bytes()}
		if err := l.address(&m, d.Endpoint.Local); err != nil {
			failed = errors.Join(failed, err)
			if !m.From.IsValid() {
				continue
			}
		}
		l.network.carry(m)
	}
	return failed
}

// address fills in where a message leaves from.
func (l *Link) address(m *Message, local netip.Addr) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return net.ErrClosed
	}
	if local.IsValid() && l.broken[local] {
		err = &transports.SourceError{Local: local}
	}
	m.Mark = l.mark
	for _, a := range l.addrs {
		if l.broken[a] || a.Is4() != m.To.Addr().Is4() {
			continue
		}
		if !m.From.IsValid() || a == local {
			m.From = netip.AddrPortFrom(a, l.port)
		}
	}
	if err == nil && !m.From.IsValid() {
		err = fmt.Errorf("send to %v: %w", m.To, syscall.ENETUNREACH)
	}
	return err
}

// SetMark implements transports.Link; messages show it.
func (l *Link) SetMark(mark uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.mark = mark
	return nil
}

// Close implements transports.Link.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.unbind()
	l.closed = true
	for _, q := range l.sources {
		q.close()
	}
	return nil
}
