package interop_test

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// arrival is a datagram from the network.
type arrival struct {
	from netip.AddrPort
	msg  []byte
}

// wire is our end of the outer network.
type wire interface {
	addr() netip.AddrPort
	arrivals() <-chan arrival
	send(to netip.AddrPort, msg []byte) error
	close()
}

// udpWire is a socket on loopback.
type udpWire struct {
	conn *net.UDPConn
	in   chan arrival
	stop chan struct{}
	done chan struct{}
}

func newUDPWire(t testing.TB) *udpWire {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	w := &udpWire{conn, make(chan arrival, 256), make(chan struct{}), make(chan struct{})}
	go w.read()
	return w
}

func (w *udpWire) read() {
	defer close(w.done)
	buf := make([]byte, 1<<16)
	for {
		n, from, err := w.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return // closed
		}
		select {
		case w.in <- arrival{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), append([]byte(nil), buf[:n]...)}:
		case <-w.stop:
			return
		}
	}
}

func (w *udpWire) addr() netip.AddrPort     { return w.conn.LocalAddr().(*net.UDPAddr).AddrPort() }
func (w *udpWire) arrivals() <-chan arrival { return w.in }
func (w *udpWire) send(to netip.AddrPort, msg []byte) error {
	_, err := w.conn.WriteToUDPAddrPort(msg, to)
	return err
}

func (w *udpWire) close() {
	close(w.stop)
	_ = w.conn.Close()
	<-w.done
}

// clock is ours: the machine's, and what the test adds to it. It outlives a restart of the node, as a real one
// does: the timestamps of initiations must not go back (TAI-06).
type clock struct {
	mu     sync.Mutex
	start  time.Time
	offset time.Duration
}

func (c *clock) now() timers.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return timers.Time(time.Since(c.start) + c.offset)
}

func (c *clock) wall() time.Time { return c.start.Add(time.Duration(c.now())) }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// node is our end: a Device that belongs to one goroutine, which does what the package documentation of protocol
// calls the short way.
type node struct {
	clock *clock
	wire  wire
	inner mailbox
	log   *journal

	dev    *protocol.Device
	batch  protocol.Batch
	worker protocol.Worker
	at     timers.Time // of the round under way
	calls  chan func()
	quit   chan struct{}
	done   chan struct{}

	// What was seen, for the goroutine of the node and those who call it.
	seen      [protocol.NumEventKinds]int
	causes    [protocol.NumCauses]int
	last      [protocol.NumEventKinds]protocol.Event
	tap       func(out bool, msg []byte) // if set, sees every datagram
	delivered int
}

// newNode starts a node that is up.
func newNode(t testing.TB, c *clock, w wire, key protocol.PrivateKey, limits protocol.Limits) *node {
	t.Helper()
	n := &node{clock: c, wire: w, log: newJournal(), calls: make(chan func()), quit: make(chan struct{}),
		done: make(chan struct{})}
	var err error
	n.dev, err = protocol.New(protocol.Config{Identity: protocol.NewIdentity(key), Entropy: rand.Reader, Start: c.now(),
		Wall: c.wall(), MTU: innerMTU, Limits: limits, Trace: protocol.TraceAll})
	if err != nil {
		t.Fatal(err)
	}
	n.log.show(t, "our events")
	go n.run()
	n.call(func() { n.dev.Up(n.at, &n.batch) })
	return n
}

// close ends the node's goroutine; a second time it does nothing.
func (n *node) close() {
	select {
	case <-n.quit:
	default:
		close(n.quit)
		<-n.done
		n.wire.close()
	}
}

func (n *node) run() {
	defer close(n.done)
	for {
		alarm := time.NewTimer(n.untilDeadline())
		select {
		case a := <-n.wire.arrivals():
			n.receive(a)
		case f := <-n.calls:
			f()
		case <-alarm.C:
		case <-n.quit:
			alarm.Stop()
			return
		}
		alarm.Stop()
		for n.untilDeadline() == 0 {
			n.round(func(now timers.Time) { n.dev.HandleTimeout(now, &n.batch) })
		}
	}
}

func (n *node) untilDeadline() time.Duration {
	at, _, ok := n.dev.Deadline()
	if !ok {
		return time.Hour
	}
	return max(0, at.Sub(n.clock.now()))
}

// call runs f on the node's goroutine and waits for it.
func (n *node) call(f func()) {
	done := make(chan struct{})
	n.calls <- func() {
		n.round(func(timers.Time) { f() })
		close(done)
	}
	<-done
}

// receive handles a and what else has arrived, as one batch.
func (n *node) receive(a arrival) {
	in := []protocol.Datagram{datagram(a)}
	for more := true; more && len(in) < 64; {
		select {
		case a = <-n.wire.arrivals():
			in = append(in, datagram(a))
		default:
			more = false
		}
	}
	if n.tap != nil {
		for i := range in {
			n.tap(false, in[i].Bytes())
		}
	}
	n.round(func(now timers.Time) { n.dev.HandleDatagrams(now, in, &n.batch) })
}

func datagram(a arrival) protocol.Datagram {
	return protocol.Datagram{Packet: protocol.Packet{Buf: a.msg, Len: len(a.msg)},
		Endpoint: protocol.Endpoint{Remote: a.from}}
}

// round is decide, compute, commit, and then send and deliver.
func (n *node) round(decide func(now timers.Time)) {
	n.batch.Reset()
	now := n.clock.now()
	n.at = now
	decide(now)
	protocol.Finish(now, n.dev, &n.batch, &n.worker)
	for _, e := range n.batch.Events {
		n.note(e)
	}
	for dg := range n.batch.Outgoing() {
		if n.tap != nil {
			n.tap(true, dg.Bytes())
		}
		if err := n.wire.send(dg.Endpoint.Remote, dg.Bytes()); err != nil {
			n.log.printf("send to %v: %v", dg.Endpoint.Remote, err)
		}
	}
	for _, d := range n.batch.Deliveries {
		n.delivered++
		n.inner.put(append([]byte(nil), d.Bytes()...))
	}
}

// note counts an event and writes it down; those that come with every packet are only counted.
func (n *node) note(e protocol.Event) {
	n.seen[e.Kind]++
	n.last[e.Kind] = e
	switch e.Kind {
	case protocol.EventTimerArmed, protocol.EventTimerCancelled:
		return
	case protocol.EventInitiationSent:
		n.causes[e.Cause]++
	}
	n.log.printf("t=%-14v %v%s", time.Duration(e.At).Round(time.Microsecond), e.Kind, details(e))
}

func details(e protocol.Event) (s string) {
	add := func(show bool, name string, value any) {
		if show {
			s += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	add(e.Reason != 0, "reason", e.Reason)
	add(e.Cause != 0, "cause", e.Cause)
	add(e.Attempt != 0, "attempt", e.Attempt)
	add(e.Timer != 0, "timer", e.Timer)
	add(e.From != e.To, "slot", fmt.Sprint(e.From, "->", e.To))
	add(e.Kind == protocol.EventHandshakeComplete, "initiator", e.Initiator)
	add(e.Kind == protocol.EventLoad, "under", e.Under)
	add(e.Local != 0 || e.Remote != 0, "indices", fmt.Sprintf("%08x/%08x", e.Local, e.Remote))
	add(e.Endpoint.IsValid(), "endpoint", e.Endpoint.Remote)
	add(e.Previous.IsValid(), "previous", e.Previous.Remote)
	return s
}

// count is how often kind was reported.
func (n *node) count(kind protocol.EventKind) (c int) {
	n.call(func() { c = n.seen[kind] })
	return c
}

// initiated is how many initiations left for cause.
func (n *node) initiated(cause protocol.Cause) (c int) {
	n.call(func() { c = n.causes[cause] })
	return c
}

func (n *node) lastEvent(kind protocol.EventKind) (e protocol.Event) {
	n.call(func() { e = n.last[kind] })
	return e
}

func (n *node) drops(r protocol.DropReason) (c uint64) {
	n.call(func() { c = n.dev.Drops()[r] })
	return c
}

// configure applies changes.
func (n *node) configure(t testing.TB, changes ...protocol.Change) {
	t.Helper()
	var err error
	n.call(func() { err = n.dev.Configure(n.at, changes, &n.batch) })
	if err != nil {
		t.Fatal(err)
	}
}

// send gives inner packets to our side, all at once.
func (n *node) send(packets ...[]byte) {
	in := make([]protocol.Packet, len(packets))
	for i, p := range packets {
		buf := make([]byte, protocol.Headroom+len(p)+protocol.Tailroom)
		copy(buf[protocol.Headroom:], p)
		in[i] = protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(p)}
	}
	n.call(func() { n.dev.HandlePackets(n.at, in, &n.batch) })
}

// stats is the snapshot of the only peer.
func (n *node) stats(t testing.TB) (s protocol.PeerStats) {
	t.Helper()
	found := 0
	n.call(func() {
		for s = range n.dev.Peers() {
			found++
		}
	})
	if found != 1 {
		t.Fatalf("%d peers", found)
	}
	return s
}
