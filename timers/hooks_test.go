package timers

import (
	"testing"
	"time"
)

const (
	t0 = Time(1_000_000 * time.Second) // where the tests begin
	t1 = RetransmitHandshake
	t2 = SendKeepalive
	t3 = NewHandshake
	t4 = ZeroKeyMaterial
	t5 = PersistentKeepalive
	j  = 123 * time.Millisecond
)

// effect is one cell of the table of elementary hooks in rules §1.5.
type effect struct {
	kind Kind
	what string // "cancel", "re-arm" or "arm if idle"
	in   time.Duration
}

// TestHooks runs the table of rules §1.5 row by row, each from all timers idle and from all timers pending. A timer
// that a row does not name must be left alone.
func TestHooks(t *testing.T) {
	const interval = 25
	for _, row := range []struct {
		hook    string
		run     func(p *Peer)
		effects []effect
	}{
		{"data_sent: TIMER-16, TIMER-17", func(p *Peer) { p.dataSent(t0, j) },
			[]effect{{t3, "arm if idle", 15*time.Second + j}}},
		{"data_received: TIMER-12", func(p *Peer) { p.dataReceived(t0) },
			[]effect{{t2, "arm if idle", 10 * time.Second}}},
		{"any_authenticated_packet_sent: TIMER-14", func(p *Peer) { p.anySent() },
			[]effect{{t2, "cancel", 0}}},
		{"any_authenticated_packet_received: TIMER-17", func(p *Peer) { p.anyReceived() },
			[]effect{{t3, "cancel", 0}}},
		{"any_authenticated_packet_traversal: TIMER-19", func(p *Peer) { p.anyTraversal(t0) },
			[]effect{{t5, "re-arm", interval * time.Second}}},
		{"handshake_initiated: TIMER-01", func(p *Peer) { p.handshakeInitiated(t0, j) },
			[]effect{{t1, "re-arm", 5*time.Second + j}}},
		{"handshake_complete: TIMER-26", func(p *Peer) { p.handshakeComplete() },
			[]effect{{t1, "cancel", 0}}},
		{"session_derived: KEY-13", func(p *Peer) { p.sessionDerived(t0) },
			[]effect{{t4, "re-arm", 540 * time.Second}}},
	} {
		for _, pending := range []bool{false, true} {
			_, p := upPeer()
			p.interval = interval
			want := map[Kind]Time{}
			for _, k := range Kinds() {
				if pending {
					p.arm(k, t0+Time(k))
					want[k] = t0 + Time(k)
				}
			}
			for _, e := range row.effects {
				switch {
				case e.what == "cancel":
					delete(want, e.kind)
				case e.what == "re-arm" || !pending:
					want[e.kind] = t0 + Time(e.in)
				}
			}
			row.run(p)
			for _, k := range Kinds() {
				at, armed := p.Deadline(k)
				if w, ok := want[k]; armed != ok || armed && at != w {
					t.Errorf("%s, pending %v: %v is armed %v at %v, want %v at %v", row.hook, pending, k, armed,
						at.Sub(t0), ok, w.Sub(t0))
				}
			}
		}
	}
}

// The variables column of rules §1.5.
func TestHookVariables(t *testing.T) {
	_, p := upPeer()
	p.attempts, p.lastMinute, p.deferred = 7, true, true
	p.handshakeComplete()
	if p.attempts != 0 || p.lastMinute || p.deferred {
		t.Error("handshake_complete must clear attempts and last_minute_sent")
	}
	p.deferred = true
	p.handshakeInitiated(t0, 0)
	if p.deferred {
		t.Error("an initiation that left owes no deferred retry")
	}
}

// "Timers are only armed while the interface is up and the peer is alive": no hook, no event.
func TestNothingIsArmedWhileDown(t *testing.T) {
	var q Queue
	var added, removed, zero Peer
	q.Add(&added, 1)
	q.Add(&removed, 2)
	removed.Up(t0)
	removed.DataReceived(t0)
	q.Remove(&removed)
	for _, p := range []*Peer{&added, &removed, &zero} {
		p.SetPersistentKeepalive(t0, 25)
		for _, event := range everyEvent() {
			event.run(p, t0)
			if _, _, at, ok := q.Next(); ok {
				t.Fatalf("%s armed something at %v", event.name, at)
			}
			for _, k := range Kinds() {
				if at, armed := p.Deadline(k); armed || at != Never {
					t.Errorf("%s armed %v of a peer that is down", event.name, k)
				}
				if a := p.Expire(Never, k); a != ActNone {
					t.Errorf("after %s, %v fired as %v on a peer that is down", event.name, k, a)
				}
			}
		}
		if p.Attempts() != 0 {
			t.Error("attempts were counted while down")
		}
		if p.handshakeSent {
			t.Error("a handshake message was stamped while down")
		}
		if p.PersistentKeepalive() != 25 {
			t.Error("the interval is configuration and is kept while down")
		}
	}
	if added.WantInitiation(t0, false) || added.InitiationSent(t0, 0, false) {
		t.Error("a peer that is down may not initiate")
	}
}

type namedEvent struct {
	name string
	run  func(p *Peer, now Time)
}

// everyEvent lists all events but Up and Down, with fixed arguments.
func everyEvent() []namedEvent {
	old := Session{Born: t0.Add(-170 * time.Second), Initiator: true}
	return []namedEvent{
		{"WantInitiation", func(p *Peer, now Time) { p.WantInitiation(now, false) }},
		{"WantInitiation retry", func(p *Peer, now Time) { p.WantInitiation(now, true) }},
		{"InitiationSent", func(p *Peer, now Time) { p.InitiationSent(now, j, false) }},
		{"InitiationSent retry", func(p *Peer, now Time) { p.InitiationSent(now, j, true) }},
		{"InitiationFailed", func(p *Peer, now Time) { p.InitiationFailed(now) }},
		{"InitiationReceived", func(p *Peer, now Time) { p.InitiationReceived(now) }},
		{"Yield", func(p *Peer, now Time) { p.Yield(now, true) }},
		{"ResponseSent", func(p *Peer, now Time) { p.ResponseSent(now) }},
		{"ResponseReceived", func(p *Peer, now Time) { p.ResponseReceived(now) }},
		{"Confirmed", func(p *Peer, now Time) { p.Confirmed(now) }},
		{"DataSent", func(p *Peer, now Time) { p.DataSent(now, j) }},
		{"KeepaliveSent", func(p *Peer, now Time) { p.KeepaliveSent(now) }},
		{"DataReceived", func(p *Peer, now Time) { p.DataReceived(now) }},
		{"KeepaliveReceived", func(p *Peer, now Time) { p.KeepaliveReceived(now) }},
		{"KeysExpiredByIdentity", func(p *Peer, now Time) { p.KeysExpiredByIdentity(now) }},
		{"RekeyOnReceive", func(p *Peer, now Time) { p.RekeyOnReceive(now, old) }},
		{"DeferRetry", func(p *Peer, _ Time) { p.DeferRetry() }},
		{"ArmRetryNow", func(p *Peer, now Time) { p.ArmRetryNow(now) }},
		{"KickPersistentKeepalive", func(p *Peer, now Time) { p.KickPersistentKeepalive(now) }},
		{"SetPersistentKeepalive", func(p *Peer, now Time) { p.SetPersistentKeepalive(now, 25) }},
	}
}

func upPeer() (*Queue, *Peer) {
	q, p := new(Queue), new(Peer)
	q.Add(p, 1)
	p.Up(t0)
	return q, p
}
