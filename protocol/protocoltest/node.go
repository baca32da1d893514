package protocoltest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Node is one device of a world with what surrounds it. Its Device may be used directly by tests as long as the
// batches are done by [Node.Handle].
type Node struct {
	Name   string
	Device *protocol.Device
	// Entropy is the device's random source; set Failing to break it.
	Entropy *Entropy
	// Addr is where the device is on the outer network.
	Addr netip.AddrPort
	// Inner4 and Inner6 are its addresses inside the tunnel, allowed to it by "peer" unless the script says otherwise.
	Inner4, Inner6 netip.Addr
	// Delivered are the inner packets that came out of the tunnel, oldest first.
	Delivered [][]byte

	env      *Env
	config   protocol.Config
	key      int               // number of the identity in use; 0: none
	history  []protocol.Change // to be configured again after a restart
	wallStep time.Duration     // how far the wall clock was moved
	isUp     bool
	names    map[protocol.PeerID]string
	pairs    []keyPair
	indices  int // labels given
	last     map[uint32]uint64
	holding  bool
	jobs     []heldJob
	jobsMade int // held so far
	batch    protocol.Batch
	worker   protocol.Worker
}

// keyPair is what EventKeySlot tells about one key pair.
type keyPair struct {
	peer          protocol.PeerID
	slot          protocol.Slot
	local, remote uint32
}

type heldJob struct {
	job    protocol.HandshakeJob
	number int
}

// outerPort is the UDP port of every device.
const outerPort = 51820

func newNode(e *Env, name string, c protocol.Config, seed uint64) (*Node, error) {
	i := byte(len(e.nodes) + 1)
	n := &Node{
		Name:    name,
		Entropy: NewEntropy(seed, name),
		Addr:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), outerPort),
		Inner4:  netip.AddrFrom4([4]byte{10, 0, 0, i}),
		Inner6:  netip.AddrFrom16([16]byte{0: 0xfd, 15: i}),
		env:     e,
		config:  c,
	}
	if c.Identity != nil {
		n.key = 1
	}
	n.config.Entropy = n.Entropy
	if err := n.start(); err != nil {
		return nil, err
	}
	e.nodes = append(e.nodes, n)
	return n, nil
}

// start makes the Device, with nothing of an earlier one but its configuration.
func (n *Node) start() error {
	n.config.Start, n.config.Wall = n.env.now, n.wall()
	d, err := protocol.New(n.config)
	if err != nil {
		return err
	}
	if n.env.options.OnDevice != nil {
		n.env.options.OnDevice(n.Name, d)
	}
	n.Device = d
	n.names, n.last = map[protocol.PeerID]string{}, map[uint32]uint64{}
	n.pairs, n.jobs, n.jobsMade, n.isUp = nil, nil, 0, false
	return nil
}

// wall is what the device's wall clock shows.
func (n *Node) wall() time.Time { return WallStart.Add(time.Duration(n.env.now) + n.wallStep) }

// Identity gives the identity that a device of this name has with key number i, counted from 1: a hash of both, so
// that it is the same in every run.
func Identity(name string, i int) protocol.PrivateKeyHolder {
	return protocol.NewIdentity(sha256.Sum256(fmt.Appendf(nil, "purewire/protocoltest key %d of %s", i, name)))
}

// Handle calls f, which is to call one of the Device's Handle functions with b, does all the work that b then holds,
// puts what is to be sent on the wire, and writes the log.
func (n *Node) Handle(f func(now timers.Time, b *protocol.Batch)) {
	n.batch.Reset()
	f(n.env.now, &n.batch)
	n.finish()
	n.report()
}

// finish does the jobs of the batch; those of a handshake wait if the script holds them.
func (n *Node) finish() {
	b, d, now := &n.batch, n.Device, n.env.now
	if !n.holding && !n.env.options.ByHand {
		protocol.Finish(now, d, b, &n.worker)
		return
	}
	for len(b.Open) > 0 || len(b.Handshakes) > 0 && !n.holding {
		open := append([]protocol.OpenJob(nil), b.Open...)
		b.Open = b.Open[:0]
		n.worker.Open(open)
		d.HandleOpened(now, open, b)
		if n.holding {
			continue
		}
		shake := append([]protocol.HandshakeJob(nil), b.Handshakes...)
		b.Handshakes = b.Handshakes[:0]
		n.worker.Shake(shake)
		d.HandleShaken(now, shake, b)
	}
	for _, j := range b.Handshakes {
		n.jobsMade++
		n.jobs = append(n.jobs, heldJob{job: j, number: n.jobsMade})
	}
	b.Handshakes = b.Handshakes[:0]
	n.worker.Seal(b.Seal)
}

// timeout lets the device do what is due. A batch with nothing in it leaves no trace.
func (n *Node) timeout() {
	n.Handle(func(now timers.Time, b *protocol.Batch) { n.Device.HandleTimeout(now, b) })
}

// configure applies changes, remembers them for a restart, and logs a refusal.
func (n *Node) configure(changes ...protocol.Change) {
	n.Handle(func(now timers.Time, b *protocol.Batch) {
		err := n.Device.Configure(now, changes, b)
		switch {
		case err == nil:
			n.history = append(n.history, changes...)
		case errors.Is(err, protocol.ErrPeerExists), errors.Is(err, protocol.ErrUnknownPeer),
			errors.Is(err, protocol.ErrLimit), errors.Is(err, protocol.ErrInvalid):
			n.env.log.add(n, showEvents, "", "refuses the configuration: %v", err)
		default:
			n.env.never(n, "Configure failed with an error that no caller can know: %v", err)
		}
	})
}

// report writes the log of a batch and lets the world have what is in it. The bytes that leave are copied, since the
// batch and the buffers behind it are used again.
func (n *Node) report() {
	b := &n.batch
	n.learnPeers()
	for i := range b.Events {
		n.explain(&b.Events[i])
	}
	for _, r := range b.Rejects {
		n.env.log.add(n, showInner, "reject"+r.Reason.String(), "rejects %s: %v (%s), its sender is told",
			innerName(r.Bytes()), r.Reason, r.Reason.Rule())
	}
	for d := range b.Outgoing() {
		n.env.send(n, d)
	}
	for _, v := range b.Deliveries {
		n.deliver(v)
	}
}

// learnPeers remembers the names of peers, so that events can be told after a peer is gone.
func (n *Node) learnPeers() {
	for s := range n.Device.Peers() {
		if _, known := n.names[s.ID]; !known {
			n.names[s.ID] = n.env.nameOf(s.PublicKey)
		}
	}
}

// nameOf tells whose public key it is.
func (e *Env) nameOf(key protocol.PublicKey) string {
	for _, n := range e.nodes {
		for i := 1; i <= maxKeys; i++ {
			if Identity(n.Name, i).PublicKey() == key {
				if i == 1 {
					return n.Name
				}
				return fmt.Sprintf("%s(key %d)", n.Name, i)
			}
		}
	}
	return key.String()
}

// maxKeys is how many identities of one name a script may use.
const maxKeys = 3

// deliver takes an inner packet out of the tunnel and checks that it is one that the peer put in, for the first time.
func (n *Node) deliver(v protocol.Delivery) {
	packet := append([]byte(nil), v.Bytes()...)
	n.Delivered = append(n.Delivered, packet)
	peer := n.names[v.Peer]
	n.env.log.add(n, showInner, "deliver"+peer, "delivers %s from %s", innerText(packet), peer)
	i := serial(packet)
	if i < 1 || i > len(n.env.inner) {
		n.env.never(n, "delivered a packet that nobody sent: %x", packet)
		return
	}
	sent := &n.env.inner[i-1]
	sent.count++
	switch {
	case sent.count > 1:
		n.env.never(n, "delivered packet %d %d times", i, sent.count)
	case !bytes.Equal(packet, sent.bytes) && !(n.env.marked && bytes.Equal(packet, congested(sent.bytes))):
		n.env.never(n, "delivered packet %d as %x, it was %x", i, packet, sent.bytes)
	case n.env.baseName(peer) != sent.from.Name:
		n.env.never(n, "delivered packet %d as one of %s, it was sent by %s", i, peer, sent.from.Name)
	}
}

// baseName takes the number of the key off a peer's name.
func (e *Env) baseName(peer string) string {
	for _, n := range e.nodes {
		if len(peer) > len(n.Name) && peer[:len(n.Name)] == n.Name && peer[len(n.Name)] == '(' {
			return n.Name
		}
	}
	return peer
}

// newLabel names an index of this node when it is first seen.
func (n *Node) newLabel(index uint32) string {
	if _, ok := n.env.labels[index]; !ok && index != 0 {
		n.indices++
		n.env.labels[index] = fmt.Sprintf("%s.%d", n.Name, n.indices)
	}
	return n.env.label(index)
}
