package transports

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/purewire/purewire/protocol"
)

// Settings are changes to a Node, all of which happen or none. Nil fields change nothing.
type Settings struct {
	Port    *uint16 // to listen on; 0: any. While the node is down it is kept for the next Up
	Mark    *uint32 // of what is sent; 0: none
	Changes []protocol.Change
}

// Status is what there is to say about a Node besides its peers.
type Status struct {
	Up        bool
	Port      uint16 // the real one once it has been open
	Mark      uint32
	MTU       int
	Identity  protocol.Identity // nil: none
	UnderLoad bool
	Drops     [protocol.NumDropReasons]uint64
}

// Configure applies s. On an error nothing has changed: neither port nor mark nor anything in the Core. Errors: those
// of the link and of protocol.Device.Configure, and ErrClosed.
func (n *Node) Configure(s Settings) error {
	n.config.Lock()
	defer n.config.Unlock()
	if n.closing() {
		return ErrClosed
	}
	port, mark := n.port, n.mark
	if err := n.setLink(s.Port, s.Mark); err != nil {
		return err
	}
	if len(s.Changes) == 0 {
		return nil
	}
	if err := n.configure(s.Changes); err != nil {
		return errors.Join(err, n.setLink(&port, &mark))
	}
	return nil
}

// setLink changes port and mark; if the second fails the first is put back.
func (n *Node) setLink(port *uint16, mark *uint32) error {
	was, change := n.mark, false
	if mark != nil && *mark != n.mark {
		if err := n.link.SetMark(*mark); err != nil {
			return fmt.Errorf("mark %d: %w", *mark, err)
		}
		n.mark, change = *mark, true
	}
	if port != nil && (*port != n.port || *port == 0) {
		actual := *port
		if n.open {
			var err error
			if actual, err = n.link.Open(*port); err != nil {
				n.mark = was
				return errors.Join(fmt.Errorf("port %d: %w", *port, err), n.link.SetMark(was))
			}
		}
		n.port, change = actual, true
	}
	if change { // another port or mark may mean another way out (ROAM-09)
		now := n.enter()
		n.core.ForgetSources(now, netip.Addr{})
		n.mu.Unlock()
	}
	return nil
}

// configure applies changes to the Core and does what follows from them.
func (n *Node) configure(changes []protocol.Change) error {
	h := n.control
	h.batch.Reset()
	now := n.enter()
	err := n.core.Configure(now, changes, &h.batch)
	h.leave()
	h.settle()
	return err
}

// Up opens the link and brings the Core up. The peers' keepalives follow (TIMER-22).
func (n *Node) Up() error {
	n.config.Lock()
	defer n.config.Unlock()
	if n.closing() {
		return ErrClosed
	}
	if !n.open {
		port, err := n.link.Open(n.port)
		if err != nil {
			return fmt.Errorf("port %d: %w", n.port, err)
		}
		n.port, n.open = port, true
	}
	n.readWall()
	h := n.control
	h.batch.Reset()
	n.core.Up(n.enter(), &h.batch)
	h.leave()
	h.settle()
	return nil
}

// Down takes the Core down, which wipes its keys (LIFE-04), and closes the link's sockets. The port is remembered.
func (n *Node) Down() error {
	n.config.Lock()
	defer n.config.Unlock()
	if n.closing() {
		return ErrClosed
	}
	h := n.control
	h.batch.Reset()
	n.core.Down(n.enter(), &h.batch)
	h.leave()
	h.settle()
	if !n.open {
		return nil
	}
	n.open = false
	return n.link.Shut()
}

// syncMTU tells the Core the tunnel's MTU (PAD-02).
func (n *Node) syncMTU() error {
	mtu, err := n.tunnel.MTU()
	if err != nil {
		return err
	}
	n.config.Lock()
	defer n.config.Unlock()
	return n.configure([]protocol.Change{{Op: protocol.OpMTU, MTU: mtu}})
}

// watchTunnel follows what happens to the interface.
func (n *Node) watchTunnel() {
	for {
		var event TunnelEvent
		var ok bool
		select {
		case event, ok = <-n.tunnel.Events():
		case <-n.quit:
			return
		}
		if !ok {
			n.stop(ErrClosed)
			return
		}
		var err error
		switch event {
		case TunnelUp:
			err = n.Up()
		case TunnelDown:
			err = n.Down()
		case TunnelMTU:
			err = n.syncMTU()
		}
		if err != nil && !errors.Is(err, ErrClosed) {
			n.log.Error("tunnel event", "tunnel", n.tunnel.Name(), "event", event, "error", err)
		}
	}
}

// Bounds of what is read under one hold of the lock, so that a large get does not stall the data path. The second is
// for peers with many prefixes; it may be passed by those of one peer.
const (
	pageSize     = 256
	pagePrefixes = 16 * pageSize
)

// page is a copy of some peers.
type page struct {
	stats    []protocol.PeerStats
	ends     []int // of each peer's part of prefixes
	prefixes []netip.Prefix
}

// Get is GetAfter for all peers.
func (n *Node) Get(head func(Status), peer func(protocol.PeerStats, []netip.Prefix) bool) {
	n.GetAfter(0, head, peer)
}

// GetAfter gives the status to head and then each peer beyond the ID after, by ascending ID, with its prefixes to peer,
// until that returns false; either may be nil. No Configure comes between (UAPI-36), so neither function may call one
// or wait for one; the counters of different peers are of slightly different moments. The slice is good until the
// function returns. To start behind the first peers costs nothing: a caller may come back for one page after another.
func (n *Node) GetAfter(after protocol.PeerID, head func(Status), peer func(protocol.PeerStats, []netip.Prefix) bool) {
	n.config.Lock()
	defer n.config.Unlock()
	if head != nil {
		head(n.status())
	}
	if peer == nil {
		return
	}
	defer n.page.clear()
	for n.readPage(after) {
		start := 0
		for i, s := range n.page.stats {
			end := n.page.ends[i]
			if !peer(s, n.page.prefixes[start:end:end]) {
				return
			}
			start, after = end, s.ID
		}
	}
}

func (n *Node) status() Status {
	s := Status{Port: n.port, Mark: n.mark}
	now := n.enter()
	defer n.mu.Unlock()
	s.Up, s.MTU, s.Identity = n.core.IsUp(), n.core.MTU(), n.core.Identity()
	s.UnderLoad, s.Drops = n.core.UnderLoad(now), n.core.Drops()
	return s
}

// readPage reads peers beyond the ID after and tells whether there are any.
func (n *Node) readPage(after protocol.PeerID) bool {
	p := &n.page
	p.clear()
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.core.PeersAfter(after) {
		p.stats = append(p.stats, s)
		for prefix := range n.core.AllowedIPs(s.ID) {
			p.prefixes = append(p.prefixes, prefix)
		}
		p.ends = append(p.ends, len(p.prefixes))
		if len(p.stats) >= pageSize || len(p.prefixes) >= pagePrefixes {
			break
		}
	}
	return len(p.stats) > 0
}

// clear also forgets the preshared keys (SEC-06).
func (p *page) clear() {
	clear(p.stats)
	p.stats, p.ends, p.prefixes = p.stats[:0], p.ends[:0], p.prefixes[:0]
}
