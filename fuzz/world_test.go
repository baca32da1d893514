package fuzz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// tester is what both rapid and testing offer.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a few Devices on a network that does to datagrams whatever a test asks for. The world knows who sent what,
// and complains about everything that no interleaving may bring about; it does not look into the devices.
type world struct {
	tester
	bad   string // the defect of all devices, empty for good ones
	now   timers.Time
	nodes []*node
	wire  []*flight // in flight
	past  []*flight // arrived, lost or in flight: what an attacker has recorded
	inner []innerPacket

	latency time.Duration // of a datagram where the network delivers by itself
}

// flight is one datagram on its way.
type flight struct {
	from, to netip.AddrPort
	msg      []byte
	arrives  timers.Time // where the network delivers by itself
}

// innerPacket is what a tunnel took in. Its number stands in the packet.
type innerPacket struct {
	from      int // the node whose tunnel it was
	src, dst  int // whose addresses are in it
	bytes     []byte
	sent      timers.Time
	delivered bool
}

// node is one Device and all that the world knows of it.
type node struct {
	*world
	i       int
	d       *protocol.Device
	entropy *protocoltest.Entropy
	addr    netip.AddrPort
	life    int // restarts
	wall    time.Duration
	key     int
	psk     []protocol.PresharedKey // by the other node
	knows   []int                   // the key number under which the other is a peer, 0: it is none
	owner   []int                   // the node that inner address i belongs to here, -1: none
	batch   protocol.Batch
	worker  protocol.Worker

	hold  bool
	jobs  []protocol.HandshakeJob // held back
	done  []protocol.HandshakeJob // given back already
	opens []opening               // decrypted, not given back

	born      map[uint32]timers.Time // of key pairs, by our index
	bornThere map[uint32]timers.Time // by the peer's index
	counters  map[[2]uint64]bool     // receiver index and counter
	initiated map[protocol.PublicKey]timers.Time
	bytes     map[protocol.PeerID][2]uint64
	accepted  int               // messages that were taken for genuine
	took      map[string]bool   // which ones
	unproven  map[uint32]uint32 // the peer's index of a session that nobody confirmed to us, and ours
	proving   uint32            // our index of the session whose message is being received
}

type opening struct{ jobs []protocol.OpenJob }

// The keys that each node may have, numbered from 1, made once since that costs time.
const maxNodes, maxKeys = 3, 3

var keys = func() (all [maxNodes][maxKeys]protocol.PrivateKeyHolder) {
	for i := range all {
		for k := range all[i] {
			all[i][k] = protocoltest.Identity(fmt.Sprint("node", i), k+1)
		}
	}
	return all
}()

func keyOf(node, n int) protocol.PrivateKeyHolder { return keys[node][n-1] }

// whose tells to which node a public key belongs, -1 for none.
func whose(public protocol.PublicKey) int {
	for i := range keys {
		for _, k := range keys[i] {
			if k.PublicKey() == public {
				return i
			}
		}
	}
	return -1
}

// Inner addresses are 10.0.0.(node+1).

func innerOf(node int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(node + 1)}) }

func addrOf(node, place int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(place), byte(node + 1)}), 51820)
}

// stranger is where nobody of us lives.
var stranger = netip.MustParseAddrPort("203.0.113.66:666")

func newWorld(t tester, bad string, nodes int, seed uint64) *world {
	w := &world{tester: t, bad: bad, now: timers.Time(time.Hour)}
	for i := range nodes {
		n := &node{world: w, i: i, key: 1, addr: addrOf(i, 0), psk: make([]protocol.PresharedKey, nodes),
			knows: make([]int, nodes), owner: make([]int, nodes)}
		n.entropy = protocoltest.NewEntropy(seed, fmt.Sprint("node", i))
		for j := range nodes {
			n.knows[j], n.owner[j] = 1, j
		}
		n.knows[i], n.owner[i] = 0, -1
		w.nodes = append(w.nodes, n)
	}
	for _, n := range w.nodes {
		n.start()
	}
	return w
}

// start makes the node's Device from its configuration and nothing else.
func (n *node) start() {
	n.entropy.Failing = false // a device is not made without
	d, err := protocol.New(protocol.Config{Identity: keyOf(n.i, n.key), Entropy: n.entropy, MTU: 1420, Start: n.now,
		Wall: n.wallClock(), Trace: protocol.TraceAll})
	if err != nil {
		n.Fatalf("New: %v", err)
	}
	if n.bad != "" {
		if err := protocoltest.WithDefect(d, n.bad); err != nil {
			n.Fatalf("%v", err)
		}
	}
	n.d = d
	n.jobs, n.done, n.opens = nil, nil, nil
	n.born, n.bornThere = map[uint32]timers.Time{}, map[uint32]timers.Time{}
	n.counters, n.bytes = map[[2]uint64]bool{}, map[protocol.PeerID][2]uint64{}
	n.initiated = map[protocol.PublicKey]timers.Time{}
	n.took, n.unproven = map[string]bool{}, map[uint32]uint32{}
	var changes []protocol.Change
	for j, known := range n.knows {
		if known > 0 {
			changes = append(changes, n.change(protocol.OpAddPeer, j))
		}
	}
	n.do(d.Up)
	n.configure(changes...)
}

func (n *node) wallClock() time.Time {
	return protocoltest.WallStart.Add(time.Duration(n.now) + n.wall)
}

// change is the configuration of peer j as it is now in the model.
func (n *node) change(op protocol.Op, j int) protocol.Change {
	c := protocol.Change{Op: op, Peer: keyOf(j, n.knows[j]).PublicKey(), PresharedKey: &n.psk[j],
		Endpoint: &n.nodes[j].addr, ReplaceAllowedIPs: true}
	for of, by := range n.owner {
		if by == j {
			c.AllowedIPs = append(c.AllowedIPs, netip.PrefixFrom(innerOf(of), 32))
		}
	}
	return c
}

func (n *node) configure(changes ...protocol.Change) {
	n.do(func(now timers.Time, b *protocol.Batch) {
		if err := n.d.Configure(now, changes, b); err != nil {
			n.Fatalf("node %d: Configure: %v", n.i, err)
		}
	})
}

// do calls f, does the work that it leaves and what is due by it, and looks at everything that comes out.
func (n *node) do(f func(now timers.Time, b *protocol.Batch)) {
	n.Helper()
	n.batch.Reset()
	f(n.now, &n.batch)
	n.finish()
	n.timeouts()
}

func (n *node) timeouts() {
	for range 1000 {
		at, _, ok := n.d.Deadline()
		if !ok || at > n.now {
			return
		}
		n.batch.Reset()
		n.d.HandleTimeout(n.now, &n.batch)
		n.finish()
	}
	n.Fatalf("node %d: timers are due for ever", n.i)
}

func (n *node) finish() {
	b := &n.batch
	if n.hold {
		n.worker.Open(b.Open)
		n.d.HandleOpened(n.now, b.Open, b)
		n.jobs = append(n.jobs, b.Handshakes...)
		n.worker.Seal(b.Seal)
	} else {
		protocol.Finish(n.now, n.d, b, &n.worker)
	}
	n.check(b)
}

// peerNode is the node that has the ID at this node.
func (n *node) peerNode(id protocol.PeerID) int {
	s, _ := n.d.Stats(id)
	return whose(s.PublicKey)
}

// check is what must never happen, whatever did.
func (n *node) check(b *protocol.Batch) {
	n.Helper()
	for _, e := range b.Events {
		n.note(e)
	}
	for dg := range b.Outgoing() {
		n.checkSent(dg)
	}
	for _, v := range b.Deliveries {
		n.checkDelivered(v)
	}
	for s := range n.d.Peers() {
		was := n.bytes[s.ID]
		if s.RxBytes < was[0] || s.TxBytes < was[1] {
			n.Fatalf("node %d: counters of peer %d went back from %v to %d, %d", n.i, s.ID, was, s.RxBytes, s.TxBytes)
		}
		n.bytes[s.ID] = [2]uint64{s.RxBytes, s.TxBytes}
		if s.Staged > 128 || s.Session && !n.d.IsUp() {
			n.Fatalf("node %d: peer %d: %d packets wait, session %v, up %v", n.i, s.ID, s.Staged, s.Session, n.d.IsUp())
		}
	}
}

// note remembers when key pairs were born and counts what was taken for genuine.
func (n *node) note(e protocol.Event) {
	switch e.Kind {
	case protocol.EventKeySlot:
		if e.From == protocol.SlotNone {
			n.born[e.Local], n.bornThere[e.Remote] = e.At, e.At
		}
	case protocol.EventDrop:
		if e.Reason >= protocol.DropInnerVersion && e.Reason <= protocol.DropInnerSource {
			n.accepted++ // authentic all the same (INNER-07)
		}
	case protocol.EventResponseSent:
		n.unproven[e.Remote] = e.Local
	case protocol.EventInitiationAccepted, protocol.EventResponseAccepted, protocol.EventCookieAccepted,
		protocol.EventKeepaliveReceived:
		n.accepted++
	}
}

// checkSent looks at one datagram as the network sees it.
func (n *node) checkSent(dg protocol.Datagram) {
	n.Helper()
	msg := bytes.Clone(dg.Bytes())
	if !dg.Endpoint.IsValid() || dg.Endpoint.Remote == stranger {
		n.Fatalf("node %d sends a message of type %d to %v", n.i, msg[0], dg.Endpoint)
	}
	if !n.d.IsUp() {
		n.Fatalf("node %d is down and sends a message of type %d", n.i, msg[0])
	}
	switch msg[0] {
	case 1:
		n.checkInitiation(msg)
	case 4:
		index, counter := binary.LittleEndian.Uint32(msg[4:]), binary.LittleEndian.Uint64(msg[8:])
		if id := [2]uint64{uint64(index), counter}; n.counters[id] {
			n.Fatalf("node %d: counter %d twice under receiver index %#x (MSG-14)", n.i, counter, index)
		} else {
			n.counters[id] = true
		}
		if local, ok := n.unproven[index]; ok && local != n.proving {
			n.Fatalf("node %d sends under index %#x, which the initiator has not confirmed (HS-16)", n.i, index)
		}
		if born, ok := n.bornThere[index]; !ok || n.now.Sub(born) >= timers.RejectAfterTime {
			n.Fatalf("node %d sends under index %#x, born at %v (%v), now %v (KEY-10)", n.i, index, born, ok, n.now)
		}
	}
	f := &flight{from: n.addr, to: dg.Endpoint.Remote, msg: msg, arrives: n.now.Add(n.latency)}
	n.wire, n.past = append(n.wire, f), append(n.past, f)
	if len(n.past) > 300 {
		n.past = n.past[100:]
	}
}

// checkInitiation finds by mac1 to whom an initiation is, and that the last one to the same is 5 s old (HS-21).
func (n *node) checkInitiation(msg []byte) {
	n.Helper()
	for j := range keys {
		for _, k := range keys[j] {
			public := k.PublicKey()
			key := blake2s.Sum256(append([]byte("mac1----"), public[:]...))
			h, _ := blake2s.New128(key[:])
			h.Write(msg[:116])
			if !bytes.Equal(h.Sum(nil), msg[116:132]) {
				continue
			}
			if last, ok := n.initiated[public]; ok && n.now.Sub(last) < timers.RekeyTimeout {
				n.Fatalf("node %d: initiations to node %d at %v and %v (HS-21)", n.i, j, last, n.now)
			}
			n.initiated[public] = n.now
			return
		}
	}
	n.Fatalf("node %d sends an initiation to nobody", n.i)
}

// checkDelivered: once, as it was, and only from the node that its source address belongs to here (ROUTE-02).
func (n *node) checkDelivered(v protocol.Delivery) {
	n.Helper()
	n.accepted++
	b := v.Bytes()
	if len(b) < 32 {
		n.Fatalf("node %d delivers %x", n.i, b)
	}
	number := binary.BigEndian.Uint32(b[28:])
	if int(number) >= len(n.inner) {
		n.Fatalf("node %d delivers packet %d, which does not exist", n.i, number)
	}
	p, peer := &n.inner[number], n.peerNode(v.Peer)
	switch {
	case p.delivered:
		n.Fatalf("node %d delivers packet %d a second time (REPLAY-01)", n.i, number)
	case !bytes.Equal(b, p.bytes):
		n.Fatalf("node %d delivers packet %d as %x, it was %x", n.i, number, b, p.bytes)
	case peer != p.from:
		n.Fatalf("node %d delivers packet %d as one of node %d, it was sent by %d", n.i, number, peer, p.from)
	case n.owner[p.src] != peer:
		n.Fatalf("node %d delivers a packet of node %d from address %d, which belongs to %d (ROUTE-02)", n.i, peer, p.src,
			n.owner[p.src])
	}
	p.delivered = true
}

// packet gives the tunnel of node n a packet with these addresses.
func (n *node) packet(src, dst int) {
	n.Helper()
	b := protocoltest.UDP(netip.AddrPortFrom(innerOf(src), 1), netip.AddrPortFrom(innerOf(dst), 2),
		binary.BigEndian.AppendUint32(nil, uint32(len(n.inner))))
	n.inner = append(n.inner, innerPacket{from: n.i, src: src, dst: dst, bytes: b, sent: n.now})
	in := []protocol.Packet{protocoltest.Window(b)}
	n.do(func(now timers.Time, out *protocol.Batch) { n.d.HandlePackets(now, in, out) })
}

// drops is the sum of all drop counters.
func (n *node) drops() (sum uint64) {
	for _, d := range n.d.Drops() {
		sum += d
	}
	return sum
}

// receive hands node n a datagram. Each must be counted: as genuine or as dropped. quiet says that it cannot be
// genuine, so that nothing at all may come of it (QUIET-01).
func (n *node) receive(from netip.AddrPort, msg []byte, quiet bool) {
	n.Helper()
	dropped, accepted, held := n.drops(), n.accepted, len(n.jobs)
	sent, delivered := len(n.wire), n.accepted
	if len(msg) >= 32 && msg[0] == 4 {
		quiet = quiet || n.expired(binary.LittleEndian.Uint32(msg[4:]))
	}
	buf := bytes.Clone(msg)
	in := []protocol.Datagram{{Packet: protocol.Packet{Buf: buf, Len: len(buf)},
		Endpoint: protocol.Endpoint{Remote: from, Local: n.addr.Addr()}}}
	if len(msg) >= 32 && msg[0] == 4 {
		n.proving = binary.LittleEndian.Uint32(msg[4:])
	}
	n.batch.Reset()
	n.d.HandleDatagrams(n.now, in, &n.batch)
	n.finish()
	for i := range buf {
		buf[i] = 0xdb
	}
	if n.accepted > accepted && held == len(n.jobs) {
		n.accept(msg)
	}
	n.proving = 0
	if n.accepted == accepted && n.drops() == dropped && len(n.jobs) == held {
		n.Fatalf("node %d: a datagram of type %d, %d bytes, is counted nowhere", n.i, msg[0], len(msg))
	}
	if quiet && (len(n.wire) != sent || n.accepted != delivered) {
		n.Fatalf("node %d answers or takes a datagram of type %d that cannot be genuine", n.i, msg[0])
	}
	n.timeouts()
}

// accept remembers a message that was taken for genuine. None may be twice (TAI-02, HS-09, REPLAY-01).
func (n *node) accept(msg []byte) {
	n.Helper()
	id := string(msg)
	switch {
	case msg[0] == 1:
		id = string(msg[:116]) // the rest are MACs, of which mac2 may be anything
	case msg[0] == 2:
		id = string(msg[:60])
	case msg[0] == 4:
		for there, here := range n.unproven {
			if here == n.proving {
				delete(n.unproven, there)
			}
		}
	}
	if n.took[id] {
		n.Fatalf("node %d takes a message of type %d, %d bytes, a second time", n.i, msg[0], len(msg))
	}
	n.took[id] = true
}

// expired reports that the key pair behind our index is 180 s old.
func (n *node) expired(index uint32) bool {
	born, ok := n.born[index]
	return ok && n.now.Sub(born) >= timers.RejectAfterTime
}
