package protocol_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

func init() { ruleCases = append(ruleCases, stuckCases...) }

// rekey gives the device another key of its own.
func (r *rig) rekey(n int) {
	r.key = protocoltest.Identity("ours", n)
	r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
}

// initiatesWithin demands an initiation for what waits, without a new packet.
func (r *rig) initiatesWithin(d time.Duration, why string) {
	r.Helper()
	r.advance(d)
	if len(of(r.take(), 1)) == 0 {
		r.Errorf("%s: no initiation within %v", why, d)
	}
}

// stuckCases are about jobs that come back to a changed world: whatever changed, what waits must get its handshake.
var stuckCases = []ruleCase{
	{"KEY15ADeferredRetryIsNotLost", "KEY-15 TIMER-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		response, _ := o.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		o.says(response)
		r.advance(6 * time.Second) // T1 is due, and waits for what comes of the response
		r.rekey(2)                 // nothing does, any more
		r.release()
		r.initiatesWithin(time.Minute, "the retry was deferred")
	}},
	{"KEY15TheEndOfAnOldHandshakeDoesNotEndTheNewOne", "KEY-15 TIMER-26", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		o.says(h.msg)
		s, err := h.consume(r.one(2, "response").msg)
		if err != nil {
			r.Fatalf("the response: %v", err)
		}
		r.rekey(2)
		r.send(o.ours("x"))
		r.one(1, "initiation under the new key, which is lost")
		s.says(s.seal(nil)) // confirms the session of the old key, on which nothing may be sent
		r.take()
		r.initiatesWithin(time.Minute, "a packet waits")
	}},
	{"KEY10AgeCountsAtTheCommitToo", "KEY-10", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		o.says(h.msg)
		s, err := h.consume(r.one(2, "response").msg)
		if err != nil {
			r.Fatalf("the response: %v", err)
		}
		r.advance(179 * time.Second)
		late := r.opening(o.at, s.seal(nil))
		r.send(o.ours("x"))
		r.advance(2 * time.Second)
		r.forget()
		r.do(func(_ timers.Time, b *protocol.Batch) { r.d.HandleOpened(r.now, late, b) })
		r.dropped(protocol.DropKeyExpired, 1, "opened at 179 s, given back at 181 s")
	}},
	{"HS23AKeyThatComesLastWakesWhatWaits", "HS-23 TIMER-22", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Identity = nil })
		r.peer(1, keepaliveEvery(math.MaxUint16))
		r.advance(time.Second)
		r.rekey(2)
		r.initiatesWithin(time.Second, "the keepalive was due when there was no key")
	}},
	{"HS16WhatWaitsGetsARetryIfThePeerNeverConfirms", "HS-16 TIMER-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		r.take()
		var nowhere = o.change()
		nowhere.Endpoint = new(netip.AddrPort)
		r.configure(nowhere)
		r.advance(10 * time.Second) // T1 comes, and has nowhere to go
		r.take()
		o.says(o.initiation().msg)
		r.one(2, "response, never confirmed")
		r.initiatesWithin(20*time.Second, "a packet waits")
	}},
	{"KEY15AnOldIdentitysSecretIsNotKept", "KEY-15 CRYPTO-12", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		o.says(o.initiation().msg)
		opened := r.jobs
		r.jobs = nil
		r.worker.Shake(opened)
		r.do(func(_ timers.Time, b *protocol.Batch) { r.d.HandleShaken(r.now, opened, b) }) // the answer is being made
		r.rekey(2)
		r.release()
		o.to = r.key.PublicKey()
		r.take()
		h := o.initiation()
		o.says(h.msg)
		h.complete(r.one(2, "a response under the new key").msg)
	}},
	{"COOKIE07ACookieForAnInitiationThatHasNotLeft", "COOKIE-07", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		r.send(o.ours("x"))
		r.forget()
		for _, i := range r.d.Indices() {
			o.says(o.cookieReply(i, make([]byte, 16), make([]byte, 16)))
		}
		r.dropped(protocol.DropUnknownIndex, 1, "nothing was sent that it could answer")
	}},
	{"LIFE04AResponseOfTheFormerUptimeHoldsNothingUp", "LIFE-04 TIMER-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		response, _ := o.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		o.says(response)
		former := r.jobs
		r.jobs, r.hold = nil, false
		r.down()
		r.up()
		r.send(o.ours("y"))
		r.one(1, "initiation")
		r.initiatesWithin(6*time.Second, "the retry")
		r.do(func(_ timers.Time, b *protocol.Batch) { r.d.HandleShaken(r.now, former, b) })
		r.silent("a response to an initiation of the former uptime")
	}},
	{"STAT07TheTimeHasNoPlace", "STAT-07", func(r *rig) {
		o := r.peer(1)
		o.connect()
		if at := r.stats(o).LastHandshake; at.Location() != time.UTC {
			r.Errorf("the time of the last handshake depends on the machine: %v", at)
		}
	}},
}

// same yields the same bytes for ever.
type same byte

func (s same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

// A source that always says the same gives no second index: that is an error of the source and no endless search.
func TestConstantEntropyEnds(t *testing.T) {
	d, err := protocol.New(protocol.Config{Identity: protocoltest.Identity("a", 1), Entropy: same(7)})
	if err != nil {
		t.Fatal(err)
	}
	var b protocol.Batch
	d.Up(0, &b)
	at, every := netip.MustParseAddrPort("192.0.2.9:5"), uint16(25)
	for i := range 2 {
		k := protocoltest.Identity("b", i+1).PublicKey()
		err := d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer, Peer: k, Endpoint: &at,
			PersistentKeepalive: &every}}, &b)
		if err != nil {
			t.Fatal(err)
		}
	}
	d.HandleTimeout(0, &b)
	if n := d.Drops()[protocol.DropNoEntropy]; n != 1 || len(b.Handshakes) != 1 {
		t.Errorf("%d initiations dropped for want of an index and %d made, want 1 and 1", n, len(b.Handshakes))
	}
}

// A job belongs to the device that made it: another one leaves it alone, and loses no slot to it.
func TestJobOfAnotherDevice(t *testing.T) {
	pair, err := protocoltest.NewPair(protocoltest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs protocol.Batch
	var w protocol.Worker
	a, b, now := pair.A, pair.B, pair.Now()
	a.Device.HandlePackets(now, []protocol.Packet{protocoltest.Window(a.Packet(b, "x"))}, &ours)
	b.Device.HandlePackets(now, []protocol.Packet{protocoltest.Window(b.Packet(a, "y"))}, &theirs)
	w.Shake(ours.Handshakes)
	b.Device.HandleShaken(now, ours.Handshakes, &theirs)
	if len(theirs.Datagrams) != 0 {
		t.Fatal("bob sends what alice made")
	}
	if err := b.Device.Invariants(); err != nil {
		t.Error(err)
	}
	a.Device.HandleShaken(now, ours.Handshakes, &ours)
	if len(ours.Datagrams) != 1 {
		t.Errorf("alice sends %d initiations, want 1", len(ours.Datagrams))
	}
}

// alone is a device without peers.
func alone(t *testing.T) *protocol.Device {
	d, err := protocol.New(protocol.Config{Identity: protocoltest.Identity("a", 1),
		Entropy: protocoltest.NewEntropy(1, "alone")})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Pages of PeersAfter are Peers, whatever is removed in between.
func TestPeersAfter(t *testing.T) {
	d := alone(t)
	var b protocol.Batch
	for i := range 10 {
		k := protocoltest.Identity("b", i).PublicKey()
		if err := d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer, Peer: k}}, &b); err != nil {
			t.Fatal(err)
		}
	}
	var seen []protocol.PeerID
	last := protocol.PeerID(0)
	for page := 0; page < 10; page++ {
		n := 0
		for s := range d.PeersAfter(last) {
			if seen, last, n = append(seen, s.ID), s.ID, n+1; n == 3 {
				break
			}
		}
		if page == 0 { // one that was seen, one that was not
			for _, i := range []int{1, 4} {
				k := protocoltest.Identity("b", i).PublicKey()
				if err := d.Configure(0, []protocol.Change{{Op: protocol.OpRemovePeer, Peer: k}}, &b); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if want := []protocol.PeerID{1, 2, 3, 4, 6, 7, 8, 9, 10}; !slices.Equal(seen, want) {
		t.Errorf("pages show %v, want %v", seen, want)
	}
}

// A configured link-local endpoint keeps its scope, any other has none (ROAM-11).
func TestROAM11ConfiguredScope(t *testing.T) {
	for _, c := range []struct {
		at   string
		want uint32
	}{{"[fe80::1%eth0]:5", 7}, {"[fe80::1]:5", 7}, {"[2001:db8::1]:5", 0}, {"192.0.2.1:5", 0},
		{"[::ffff:192.0.2.1]:5", 0}} {
		d, at := alone(t), netip.MustParseAddrPort(c.at)
		err := d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer, Peer: protocoltest.Identity("b", 1).PublicKey(),
			Endpoint: &at, EndpointIfIndex: 7}}, &protocol.Batch{})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := d.Stats(1)
		if s.Endpoint.IfIndex != c.want || s.Endpoint.Remote.Addr().Zone() != "" || s.Endpoint.Remote.Addr().Is4In6() {
			t.Errorf("%s: %+v, want scope %d", c.at, s.Endpoint, c.want)
		}
	}
}
