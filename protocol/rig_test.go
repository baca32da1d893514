package protocol_test

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// checkT is what a rule case needs of a test. On a known-bad core it is not a *testing.T.
type checkT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A ruleCase is one script about one Device. rules are the IDs that its deciding assertions are about.
type ruleCase struct {
	name  string
	rules string
	run   func(r *rig)
}

// Where the device under test is, outside and inside.
var (
	here       = netip.MustParseAddrPort("192.0.2.1:51820")
	ourInner4  = netip.MustParseAddr("10.0.0.1")
	ourInner6  = netip.MustParseAddr("fd00::1")
	ourMTU     = 1420
	everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
)

// rig is a Device with its surroundings: it plays the clock, the network and the tunnel. Everything that comes out of
// the device is copied and kept until somebody asks for it.
type rig struct {
	checkT
	make     func(protocol.Config) *protocol.Device
	d        *protocol.Device
	key      protocol.PrivateKeyHolder
	config   protocol.Config
	entropy  *protocoltest.Entropy
	now      timers.Time
	wallStep time.Duration
	batch    protocol.Batch
	worker   protocol.Worker

	strict    bool // look for leaks after every call; known-bad cores are to fail for better reasons
	hold      bool // handshake jobs stay in jobs until release
	jobs      []protocol.HandshakeJob
	out       []sent
	delivered []protocol.Delivery
	rejected  []protocol.Reject
	events    []protocol.Event
	drops     [protocol.NumDropReasons]uint64 // at the last look
}

// sent is a datagram that left the device.
type sent struct {
	at  timers.Time
	to  protocol.Endpoint
	tos uint8
	msg []byte
}

func newRig(t checkT, make func(protocol.Config) *protocol.Device) *rig {
	r := &rig{checkT: t, make: make, now: timers.Time(time.Hour), key: protocoltest.Identity("ours", 1)}
	r.restart()
	return r
}

// restart makes the device anew: up, with its identity and without peers or any memory. tweaks stay for later restarts.
func (r *rig) restart(tweaks ...func(*protocol.Config)) {
	r.Helper()
	if r.entropy == nil {
		r.entropy = protocoltest.NewEntropy(1, "ours")
		r.config = protocol.Config{Identity: r.key, Entropy: r.entropy, MTU: ourMTU, Trace: protocol.TraceAll}
	}
	for _, tweak := range tweaks {
		tweak(&r.config)
	}
	r.config.Start, r.config.Wall = r.now, r.wall()
	r.d = r.make(r.config)
	r.jobs, r.drops = nil, [protocol.NumDropReasons]uint64{}
	r.up()
}

// wall is what the device's wall clock shows.
func (r *rig) wall() time.Time { return protocoltest.WallStart.Add(time.Duration(r.now) + r.wallStep) }

// setWall moves the wall clock and tells the device.
func (r *rig) setWall(step time.Duration) {
	r.wallStep += step
	r.d.SetWallClock(r.now, r.wall())
}

// do calls f, does the work that it left, and runs what became due by it.
func (r *rig) do(f func(now timers.Time, b *protocol.Batch)) {
	r.Helper()
	r.batch.Reset()
	f(r.now, &r.batch)
	r.finish()
	for range 1000 {
		at, _, ok := r.d.Deadline()
		if !ok || at > r.now {
			if err := r.d.Invariants(); err != nil && r.strict {
				r.Fatalf("%v", err)
			}
			return
		}
		r.batch.Reset()
		r.d.HandleTimeout(r.now, &r.batch)
		r.finish()
	}
	r.Fatalf("at %v timers are due for ever", r.now)
}

func (r *rig) finish() {
	b := &r.batch
	if r.hold {
		r.worker.Open(b.Open)
		r.d.HandleOpened(r.now, b.Open, b)
		r.jobs = append(r.jobs, b.Handshakes...)
		r.worker.Seal(b.Seal)
	} else {
		protocol.Finish(r.now, r.d, b, &r.worker)
	}
	for dg := range b.Outgoing() {
		r.out = append(r.out, sent{r.now, dg.Endpoint, dg.TOS, bytes.Clone(dg.Bytes())})
	}
	for _, v := range b.Deliveries {
		v.Packet = protocol.Packet{Buf: bytes.Clone(v.Bytes()), Len: v.Len}
		r.delivered = append(r.delivered, v)
	}
	r.rejected = append(r.rejected, b.Rejects...)
	r.events = append(r.events, b.Events...)
}

// release does the held handshake jobs and gives them back, also those that come of it.
func (r *rig) release() {
	r.Helper()
	r.hold = false
	jobs := r.jobs
	r.jobs = nil
	r.worker.Shake(jobs)
	r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, jobs, b) })
}

// advance lets time pass and wakes the device whenever it wants.
func (r *rig) advance(d time.Duration) {
	r.Helper()
	target := r.now.Add(d)
	for range 20_000 {
		at, _, ok := r.d.Deadline()
		if !ok || at > target {
			r.now = target
			return
		}
		r.now = max(r.now, at)
		r.do(r.d.HandleTimeout)
	}
	r.Fatalf("the device wakes without end before %v", target)
}

func (r *rig) up()   { r.do(r.d.Up) }
func (r *rig) down() { r.do(r.d.Down) }

// configure applies changes that must be accepted.
func (r *rig) configure(changes ...protocol.Change) {
	r.Helper()
	r.do(func(now timers.Time, b *protocol.Batch) {
		if err := r.d.Configure(now, changes, b); err != nil {
			r.Fatalf("Configure: %v", err)
		}
	})
}

// receive gives the device datagrams, in one batch, each in a buffer of its own that is scribbled over afterwards.
func (r *rig) receive(from protocol.Endpoint, msgs ...[]byte) { r.receiveTOS(from, 0, msgs...) }

func (r *rig) receiveTOS(from protocol.Endpoint, tos uint8, msgs ...[]byte) {
	r.Helper()
	in := make([]protocol.Datagram, len(msgs))
	for i, m := range msgs {
		in[i] = protocol.Datagram{Packet: protocol.Packet{Buf: bytes.Clone(m), Len: len(m)}, Endpoint: from, TOS: tos}
	}
	r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleDatagrams(now, in, b) })
	for _, dg := range in {
		for i := range dg.Buf {
			dg.Buf[i] = 0xdb
		}
	}
}

// send gives the device packets from the tunnel.
func (r *rig) send(packets ...[]byte) {
	r.Helper()
	in := make([]protocol.Packet, len(packets))
	for i, p := range packets {
		in[i] = protocoltest.Window(p)
	}
	r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandlePackets(now, in, b) })
}

// take gives what was sent since the last look.
func (r *rig) take() []sent {
	out := r.out
	r.out = nil
	return out
}

// silent demands that nothing was sent since the last look.
func (r *rig) silent(why string) {
	r.Helper()
	for _, s := range r.take() {
		r.Fatalf("%s, but at %v message of type %d, %d bytes, went to %v", why, s.at, s.msg[0], len(s.msg), s.to.Remote)
	}
}

// one demands that exactly one message was sent since the last look, of that type.
func (r *rig) one(typ byte, why string) sent {
	r.Helper()
	all := r.take()
	if len(all) != 1 || all[0].msg[0] != typ {
		r.Fatalf("%s: want one message of type %d, got %v", why, typ, types(all))
	}
	return all[0]
}

// some demands at least one, all of that type.
func (r *rig) some(typ byte, why string) []sent {
	r.Helper()
	all := r.take()
	if len(all) == 0 || slices.ContainsFunc(all, func(s sent) bool { return s.msg[0] != typ }) {
		r.Fatalf("%s: want messages of type %d, got %v", why, typ, types(all))
	}
	return all
}

func types(all []sent) (t []byte) {
	for _, s := range all {
		t = append(t, s.msg[0])
	}
	return t
}

// of picks the messages of one type.
func of(all []sent, typ byte) (some []sent) {
	for _, s := range all {
		if s.msg[0] == typ {
			some = append(some, s)
		}
	}
	return some
}

// delivers demands that exactly these packets came out of the tunnel since the last look, in order.
func (r *rig) delivers(why string, want ...[]byte) {
	r.Helper()
	got := r.delivered
	r.delivered = nil
	if len(got) != len(want) {
		r.Fatalf("%s: %d packets delivered, want %d", why, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i].Bytes(), want[i]) {
			r.Fatalf("%s: packet %d delivered is\n%x, want\n%x", why, i, got[i].Bytes(), want[i])
		}
	}
}

// dropped demands that since the last look exactly n were dropped for the reason, and nothing for another.
func (r *rig) dropped(reason protocol.DropReason, n int, why string) {
	r.Helper()
	now := r.d.Drops()
	for i := range now {
		got, want := int(now[i]-r.drops[i]), 0
		if protocol.DropReason(i) == reason {
			want = n
		}
		if got != want {
			r.Errorf("%s: %d dropped as %v, want %d", why, got, protocol.DropReason(i), want)
		}
	}
	r.drops = now
	if reason != protocol.DropNone && n > 0 && reason.Rule() == "" {
		r.Errorf("%v names no rule", reason)
	}
}

// seen takes the events of one kind out of those since the last look and forgets the others.
func (r *rig) seen(kind protocol.EventKind) (some []protocol.Event) {
	for _, e := range r.events {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	r.events = nil
	return some
}

// forget looks away from all that came out so far.
func (r *rig) forget() {
	r.out, r.delivered, r.rejected, r.events, r.drops = nil, nil, nil, nil, r.d.Drops()
}

// stats gives the numbers of a peer that must exist.
func (r *rig) stats(o *outsider) protocol.PeerStats {
	r.Helper()
	s, ok := r.d.Stats(o.id)
	if !ok {
		r.Fatalf("peer %d is gone", o.id)
	}
	return s
}
