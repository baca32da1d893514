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
	if err == nil {
		n.learn(changes)
	}
	h.leave()
	h.settle()
	return err
}

// learn keeps the list of peer IDs. IDs ascend in the order of adding and are not used again, so a new peer's belongs
// at the end. It is called under mu.
func (n *Node) learn(changes []protocol.Change) {
	for i := range changes {
		switch c := &changes[i]; c.Op {
		case protocol.OpAddPeer, protocol.OpPutPeer:
			id, ok := n.core.Peer(c.Peer)
			if ok && (len(n.ids) == 0 || id > n.ids[len(n.ids)-1]) {
				n.ids = append(n.ids, id)
			}
		}
	}
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

// pageSize is how many peers are read under one hold of the lock, so that a large get does not stall the data path.
const pageSize = 256

// page is a copy of some peers.
type page struct {
	stats    []protocol.PeerStats
	ends     []int // of each peer's part of prefixes
	prefixes []netip.Prefix
}

// Get gives the status to head and then each peer, by ascending ID, with its prefixes to peer, until that returns
// false; either may be nil. No Configure comes between (UAPI-36), so neither function may call one or wait for one;
// the counters of different peers are of slightly different moments. The slice is good until the function returns.
func (n *Node) Get(head func(Status), peer func(protocol.PeerStats, []netip.Prefix) bool) {
	n.config.Lock()
	defer n.config.Unlock()
	if head != nil {
		head(n.status())
	}
	if peer == nil {
		return
	}
	defer n.page.clear()
	for next := 0; next < len(n.ids); {
		next = n.readPage(next)
		start := 0
		for i, s := range n.page.stats {
			end := n.page.ends[i]
			if !peer(s, n.page.prefixes[start:end:end]) {
				return
			}
			start = end
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

// readPage reads the peers from ids[from] on and gives where the next page starts. IDs of peers that are gone are
// taken out of the list.
func (n *Node) readPage(from int) (next int) {
	p := &n.page
	p.clear()
	n.mu.Lock()
	defer n.mu.Unlock()
	kept, i := from, from
	for ; i < len(n.ids) && i < from+pageSize; i++ {
		s, ok := n.core.Stats(n.ids[i])
		if !ok {
			continue
		}
		n.ids[kept] = n.ids[i]
		kept++
		p.stats = append(p.stats, s)
		for prefix := range n.core.AllowedIPs(s.ID) {
			p.prefixes = append(p.prefixes, prefix)
		}
		p.ends = append(p.ends, len(p.prefixes))
	}
	if kept < i {
		n.ids = append(n.ids[:kept], n.ids[i:]...)
	}
	return kept
}

// clear also forgets the preshared keys (SEC-06).
func (p *page) clear() {
	clear(p.stats)
	p.stats, p.ends, p.prefixes = p.stats[:0], p.ends[:0], p.prefixes[:0]
}
