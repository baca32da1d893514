package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// node is the state of a [Host]: a real core, and models of what is around it.
type node struct {
	s       *Sim
	cfg     *Host
	index   int
	private protocol.PrivateKey
	public  protocol.PublicKey
	peers   []*tunnelEnd // as configured, in order
	byID    []*tunnelEnd // by PeerID of this life; nil where there is none
	seg     *segment
	addr    netip.Addr
	port    uint16

	dev     *protocol.Device
	batch   protocol.Batch
	worker  protocol.Worker
	pool    pool
	life    int // number of this life, from 0
	running bool
	asleep  bool
	up      bool   // its interface is
	moves   uint32 // numbers roamings, so that an overtaken one does not join
	joining *segment
	joinAs  netip.Addr
	sleeps  uint32
	epoch   int           // how often it lost its keys, rightly: by restarts and by its interface going down
	struck  []timers.Time // when it had to do with handshake messages, for the silence checker
	wall    time.Duration // by how much the wall clock has jumped
	wakeAt  timers.Time
	wakeGen uint32
	drops   [protocol.NumDropReasons]uint64 // of earlier lives

	received []byte            // scratch: what the core may overwrite
	outbox   []innerPacket     // inner packets that wait for the round to end
	spare    [][]byte          // buffers of inner packets
	serving  bool              // settle, further up the stack, empties the outbox
	parsed   Inner             // scratch
	one      []protocol.Packet // scratch
	oneDgram []protocol.Datagram
	keyLog   []byte
}

// tunnelEnd is one peer of a node as the model knows it: its configuration, never its state.
type tunnelEnd struct {
	cfg       *Peer
	node      *node
	allowed   []netip.Prefix
	endpoint  string
	keepalive uint16
	psk       string
	present   bool
}

// innerPacket is a packet for the tunnel, with the room around it that the core wants.
type innerPacket struct {
	buf     []byte
	len     int
	forward bool
}

func (p innerPacket) window() protocol.Packet {
	return protocol.Packet{Buf: p.buf, Off: protocol.Headroom, Len: p.len}
}

// boot starts a life of the node: a new core with an entropy stream of its own, configured and up.
func (n *node) boot() error {
	s := n.s
	limits := n.cfg.Limits
	if limits.Jobs == 0 {
		limits.Jobs = 32
	}
	dev, err := s.o.NewDevice(protocol.Config{
		Identity: protocol.NewIdentity(n.private),
		Entropy:  s.stream(fmt.Sprintf("host/%s/%d", n.cfg.Name, n.life)),
		Start:    s.now, Wall: n.wallClock(), MTU: n.mtu(), Limits: limits,
		Trace: baseTrace | s.o.Trace,
	})
	if err != nil {
		return fmt.Errorf("sim: host %s: %w", n.cfg.Name, err)
	}
	if s.o.Prepare != nil {
		s.o.Prepare(n.cfg.Name, dev)
	}
	n.dev, n.running, n.asleep, n.byID = dev, true, false, n.byID[:0]
	n.wakeAt = timers.Never
	n.pool.reset(max(1, n.cfg.Workers))
	var changes []protocol.Change
	for _, p := range n.peers {
		if p.present {
			changes = append(changes, n.put(p))
		}
	}
	n.batch.Reset()
	if err := dev.Configure(s.now, changes, &n.batch); err != nil {
		return fmt.Errorf("sim: host %s: %w", n.cfg.Name, err)
	}
	n.learnIDs()
	n.settle(nil)
	n.up = true
	n.batch.Reset()
	dev.Up(s.now, &n.batch)
	n.settle(nil)
	return nil
}

// baseTrace leaves out what happens with nearly every packet.
const baseTrace = protocol.TraceAll&^(1<<protocol.EventTimerArmed|1<<protocol.EventTimerCancelled) |
	protocol.TraceSecrets

func (n *node) wallClock() time.Time {
	return n.s.sc.Wall.Add(time.Duration(n.s.now) + n.wall)
}

func (n *node) mtu() int {
	if n.cfg.MTU > 0 {
		return n.cfg.MTU
	}
	return defaultMTU
}

// die ends a life without a word: the core is gone and so is all work in the pool.
func (n *node) die() {
	for i, c := range n.dev.Drops() {
		n.drops[i] += c
	}
	n.running, n.asleep, n.up, n.dev = false, false, false, nil
	n.life++
	n.epoch++
	n.wakeAt, n.wakeGen = timers.Never, n.wakeGen+1
	for _, j := range n.pool.reset(0) {
		if j.cause != nil {
			j.cause.jobs--
			n.s.decide(j.cause, FateDown, "", n.cfg.Name, protocol.DropNone)
			n.s.release(j.cause)
		}
	}
}

// put is the change that gives a peer its whole configuration.
func (n *node) put(p *tunnelEnd) protocol.Change {
	psk := n.s.psk(p.psk)
	c := protocol.Change{Op: protocol.OpPutPeer, Peer: p.node.public, PresharedKey: &psk,
		PersistentKeepalive: &p.keepalive, ReplaceAllowedIPs: true, AllowedIPs: p.allowed}
	if e := n.s.resolve(p.endpoint); e.IsValid() {
		c.Endpoint = &e
	}
	return c
}

// configure applies one change while the node runs. The scenario was checked, so an error is the core's.
func (n *node) configure(c protocol.Change) {
	n.batch.Reset()
	if err := n.dev.Configure(n.s.now, []protocol.Change{c}, &n.batch); err != nil {
		n.s.violate(n.cfg.Name, checkerModel, "the core refuses a change of its configuration: "+err.Error())
	}
	n.learnIDs()
	n.settle(nil)
}

func (n *node) learnIDs() {
	for _, p := range n.peers {
		if id, ok := n.dev.Peer(p.node.public); ok {
			for int(id) >= len(n.byID) {
				n.byID = append(n.byID, nil)
			}
			n.byID[id] = p
		}
	}
}

// peer gives the end with an ID, or nil.
func (n *node) peer(id protocol.PeerID) *tunnelEnd {
	if int(id) < len(n.byID) {
		return n.byID[id]
	}
	return nil
}

func (n *node) end(host string) *tunnelEnd {
	for _, p := range n.peers {
		if p.cfg.Host == host {
			return p
		}
	}
	return nil
}

// owner gives the peer that has an inner address by the configuration: the longest prefix, by linear search, which
// shares nothing with the core's own table (ROUTE-01, ROUTE-02).
func (n *node) owner(a netip.Addr) *tunnelEnd {
	var best *tunnelEnd
	bits := -1
	for _, p := range n.peers {
		for _, f := range p.allowed {
			if p.present && f.Bits() > bits && f.Contains(a) {
				best, bits = p, f.Bits()
			}
		}
	}
	return best
}

func (n *node) awake() bool { return n.running && !n.asleep }

// receive gives a datagram that arrived to the core.
func (n *node) receive(d *datagram) {
	n.received = append(n.received[:0], d.data...)
	n.oneDgram = append(n.oneDgram[:0], protocol.Datagram{
		Packet:   protocol.Packet{Buf: n.received, Len: len(n.received)},
		Endpoint: protocol.Endpoint{Remote: d.src, Local: n.addr}, TOS: d.tos})
	n.batch.Reset()
	n.dev.HandleDatagrams(n.s.now, n.oneDgram, &n.batch)
	n.settle(d)
}

// input gives an inner packet to the tunnel.
func (n *node) input(p innerPacket) {
	r := n.s.record(KindInnerSent)
	if p.forward {
		r.Kind = KindInnerForwarded
	}
	w := p.window()
	r.Host, r.Inner = n.cfg.Name, n.s.inner(w.Bytes())
	if e := n.owner(r.Inner.Dst); e != nil {
		r.Peer = e.cfg.Host
	}
	n.s.emit(r)
	n.batch.Reset()
	n.one = append(n.one[:0], w)
	n.dev.HandlePackets(n.s.now, n.one, &n.batch)
	n.settle(nil)
	n.spare = append(n.spare, p.buf)
}

// buffer gives room for an inner packet of size bytes.
func (n *node) buffer(size int) innerPacket {
	var b []byte
	if k := len(n.spare); k > 0 {
		b, n.spare = n.spare[k-1], n.spare[:k-1]
	}
	if want := protocol.Headroom + size + protocol.Tailroom; cap(b) < want {
		b = make([]byte, want, want+64)
	} else {
		b = b[:want]
	}
	return innerPacket{buf: b, len: size}
}

// timeout comes up when a deadline was due at the time when it was scheduled.
func (n *node) timeout(gen uint32) {
	if gen != n.wakeGen || !n.awake() {
		return
	}
	n.wakeAt = timers.Never
	n.runTimers()
}

// runTimers does what is due. HandleTimeout does a bounded part of it per call.
func (n *node) runTimers() {
	for n.awake() {
		at, _, ok := n.dev.Deadline()
		if !ok || at > n.s.now {
			break
		}
		n.batch.Reset()
		n.dev.HandleTimeout(n.s.now, &n.batch)
		n.settle(nil)
	}
	n.schedule()
}

// nudge calls the core although nothing is due, which must change nothing (design §10).
func (n *node) nudge() {
	if at, _, ok := n.deadline(); n.awake() && (!ok || at > n.s.now) {
		n.batch.Reset()
		n.dev.HandleTimeout(n.s.now, &n.batch)
		n.settle(nil)
	}
}

func (n *node) deadline() (timers.Time, timers.Kind, bool) {
	if !n.awake() {
		return timers.Never, timers.None, false
	}
	return n.dev.Deadline()
}

// schedule sees to it that the node is called at its deadline. An event for an earlier time is left where it is: when
// it comes up, the deadline is looked at again.
func (n *node) schedule() {
	at, _, ok := n.deadline()
	if !ok || at >= n.wakeAt {
		return
	}
	n.wakeAt = at
	n.wakeGen++
	n.s.at(max(at, n.s.now), event{kind: evTimeout, who: int32(n.index), gen: n.wakeGen})
}
