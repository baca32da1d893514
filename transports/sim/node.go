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
	peers   []*tunnelEnd              // as configured, in order
	byPeer  map[string]*tunnelEnd     // the same by host; looked up only
	owners  map[netip.Addr]*tunnelEnd // what owner found; looked up only, and forgotten with each change of allowed IPs
	byID    []*tunnelEnd              // by PeerID of this life; nil where there is none
	canon   string                    // whose key it has: its own name, or that of the host that it stole it from
	keys    uint32                    // numbers its private keys
	homes   []home                    // its addresses, in the order in which it got them
	seg     *segment                  // of its default route; nil: it is nowhere
	addr    netip.Addr                // the same
	clock   clock
	jobTime time.Duration
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
	old     []home      // that an overlap keeps, the oldest first
	misled  bool        // it took a datagram that somebody on the path sent once more
	forgot  timers.Time // when it last lost the memory of what it has taken
	joinAs  netip.Addr
	sleeps  uint32
	lacks   [numLacks]hampering
	// strained is until when its processors have, or had, far too much to do.
	strained timers.Time
	epoch    int           // how often it lost its keys, rightly: by restarts and by its interface going down
	struck   []timers.Time // when it had to do with handshake messages, for the silence checker
	wall     time.Duration // by how much the wall clock has jumped
	wakeAt   timers.Time
	wakeGen  uint32
	drops    [protocol.NumDropReasons]uint64 // of earlier lives

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
	pskBefore string             // a job that was made earlier may still use it
	public    protocol.PublicKey // as this host has it
	present   bool
	where     netip.AddrPort // the endpoint, as a host has it that follows ROAM-01; for the liveness oracle
	fed       bool           // after Heal a flow has something for it: first after wait, then after each gap until stop
	wait, gap time.Duration
	stop      timers.Time
	stamp     [12]byte // the greatest timestamp taken from this peer (TAI-02)
	stamped   [12]byte // the greatest one sent to it in this life (TAI-10)
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
	n.bootClock()
	for i := range n.lacks {
		n.lacks[i].on = false // its configuration and its hardware are as they were
	}
	dev, err := s.o.NewDevice(n.config(limits))
	if err != nil {
		return fmt.Errorf("sim: host %s: %w", n.cfg.Name, err)
	}
	if s.o.Prepare != nil {
		s.o.Prepare(n.cfg.Name, dev)
	}
	n.misled = false
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
	if err := dev.Configure(n.now(), changes, &n.batch); err != nil {
		return fmt.Errorf("sim: host %s: %w", n.cfg.Name, err)
	}
	n.learnIDs()
	n.settle(nil)
	n.up = true
	n.batch.Reset()
	dev.Up(n.now(), &n.batch)
	n.settle(nil)
	return nil
}

// baseTrace leaves out what happens with nearly every packet.
const baseTrace = protocol.TraceAll&^(1<<protocol.EventTimerArmed|1<<protocol.EventTimerCancelled) |
	protocol.TraceSecrets

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
	c := protocol.Change{Op: protocol.OpPutPeer, Peer: p.public, PresharedKey: &psk,
		PersistentKeepalive: &p.keepalive, ReplaceAllowedIPs: true, AllowedIPs: p.allowed}
	e := n.s.resolve(p.endpoint)
	if e.IsValid() {
		c.Endpoint = &e
	}
	p.where, p.stamp, p.stamped = e, [12]byte{}, [12]byte{}
	return c
}

// configure applies one change while the node runs. The scenario was checked, so an error is the core's.
func (n *node) configure(c protocol.Change) {
	n.batch.Reset()
	if err := n.dev.Configure(n.now(), []protocol.Change{c}, &n.batch); err != nil {
		n.s.violate(n.cfg.Name, checkerModel, "the core refuses a change of its configuration: "+err.Error())
	}
	n.learnIDs()
	n.settle(nil)
}

func (n *node) learnIDs() {
	for _, p := range n.peers {
		if id, ok := n.dev.Peer(p.public); ok {
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
	return n.byPeer[host]
}

// owner gives the peer that has an inner address by the configuration: the longest prefix, by linear search, which
// shares nothing with the core's own table (ROUTE-01, ROUTE-02).
func (n *node) owner(a netip.Addr) *tunnelEnd {
	best, ok := n.owners[a]
	if ok {
		return best
	}
	bits := -1
	for _, p := range n.peers {
		for _, f := range p.allowed {
			if p.present && f.Bits() > bits && f.Contains(a) {
				best, bits = p, f.Bits()
			}
		}
	}
	if n.owners == nil || len(n.owners) > 1<<16 {
		n.owners = map[netip.Addr]*tunnelEnd{}
	}
	n.owners[a] = best
	return best
}

func (n *node) awake() bool { return n.running && !n.asleep }

// receive gives a datagram that arrived at an address of the node to the core.
func (n *node) receive(d *datagram, at netip.Addr) {
	n.received = append(n.received[:0], d.data...)
	n.oneDgram = append(n.oneDgram[:0], protocol.Datagram{
		Packet:   protocol.Packet{Buf: n.received, Len: len(n.received)},
		Endpoint: protocol.Endpoint{Remote: d.src, Local: at}, TOS: d.tos})
	n.s.watch.reached(d.number, n.cfg.Name)
	n.batch.Reset()
	n.dev.HandleDatagrams(n.now(), n.oneDgram, &n.batch)
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
	n.dev.HandlePackets(n.now(), n.one, &n.batch)
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
		at, _, ok := n.deadline()
		if !ok || at > n.s.now {
			break
		}
		n.batch.Reset()
		n.dev.HandleTimeout(n.now(), &n.batch)
		n.settle(nil)
	}
	n.schedule()
}

// nudge calls the core although nothing is due, which must change nothing (design §10).
func (n *node) nudge() {
	if at, _, ok := n.deadline(); n.awake() && (!ok || at > n.s.now) {
		n.batch.Reset()
		n.dev.HandleTimeout(n.now(), &n.batch)
		n.settle(nil)
	}
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
