package conformance

import (
	"slices"
	"time"
)

var timerRekeyCases = slices.Concat(rekeyOnSendCases, rekeyOnReceiveCases, bothRoles(expiredWaits),
	bothRoles(expiredTakesOver), bothRoles(idleIsLeftAlone))

// initiated is a session that the subject initiated and that owes nobody an answer.
func initiated(p *Peer) *Session {
	s := p.Accept()
	s.Keepalive()
	return s
}

var rekeyOnSendCases = []Case{
	timerCase("rekey/on-send/due", []string{"TIMER-07"}, Must, 130*time.Second,
		"The initiator renews a session of 120 s on which it sends",
		"Forward secrecy: who steals keys can read two minutes, not a year.", func(t *T) {
			p := t.Peer()
			s := initiated(p)
			olderThan(t, s, rekeyAfter)
			s.Fetch(p.Outbound())
			p.Expect(Initiation, t.Soon())
			for range 3 { // in the meantime the old session carries on
				s.Fetch(p.Outbound())
			}
		}),
	timerCase("rekey/on-send/not-before", []string{"TIMER-07"}, Must, 128*time.Second,
		"The initiator does not renew a session by sending before it is 120 s old",
		"A handshake is the dear part of the protocol: one in two minutes is what is paid for forward secrecy.",
		func(t *T) {
			p := t.Peer()
			s := initiated(p)
			for range 8 {
				t.Wait(14 * time.Second)
				s.Fetch(p.Outbound())
				s.Keepalive()
			}
			before(t, s, rekeyAfter)
			s.Fetch(p.Outbound())
			p.Silence(Initiation, 4*time.Second)
		}),
	timerCase("rekey/on-send/switches", []string{"TIMER-07", "KEY-05"}, Must, 130*time.Second,
		"After the renewal at 120 s packets go on the new session", "A renewal that nobody uses renews nothing.",
		func(t *T) {
			p := t.Peer()
			s := initiated(p)
			olderThan(t, s, rekeyAfter)
			var fresh *Session
			t.Premise(func() {
				s.Fetch(p.Outbound())
				fresh = p.Reply(p.Expect(Initiation, t.Soon()))
			})
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Data.Carrying(packet), t.Soon())
			t.Equal("the receiver index of data after a renewal", g.Receiver(), fresh.Local)
		}),
	timerCase("rekey/on-keepalive", []string{"TIMER-27"}, Should, 165*time.Second,
		"A keepalive on a session of 120 s renews it too",
		"A tunnel that only keepalives hold open would otherwise be dead for a moment every three minutes.",
		func(t *T) {
			p := t.Peer()
			s := initiated(p)
			keepAlive(p, 45) // the second is due before 120 s, the third after it, however late they are
			for {
				var g *Got
				t.Premise(func() { g = p.Expect(Keepalive.On(s), t.Between(t.Last(), 0, 160*time.Second)) })
				if g.At.Earliest.Sub(s.Made.Latest) > rekeyAfter {
					p.Expect(Initiation, t.Between(g.At, 0, 300*time.Millisecond))
					return
				}
			}
		}),
	hadBug("B093 (Linux)", timerCase("rekey/responder/traffic", []string{"TIMER-10"}, Must, 185*time.Second,
		"The responder does not renew a session by its age, however much traffic there is",
		"If both ends did they would do it at the same time, and the handshakes would cross.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for range 17 {
				t.Wait(10 * time.Second)
				s.Fetch(p.Outbound())
				s.Deliver(p.Inbound())
				t.Never(Initiation.To(p), "no initiation of the responder for 175 s")
			}
			before(t, s, 175*time.Second)
			s.Fetch(p.Outbound())
			s.Deliver(p.Inbound())
			p.Silence(Initiation, time.Second)
		})),
	timerCase("rekey/responder/receives-only", []string{"TIMER-10"}, Must, 176*time.Second,
		"The responder does not renew a session of 165 s on which it receives",
		"The initiator sees the age of its session itself.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for _, age := range []time.Duration{121, 150, 166, 168} {
				olderThan(t, s, age*time.Second)
				s.Keepalive()
			}
			p.Silence(Initiation, 3*time.Second)
		}),
}

var rekeyOnReceiveCases = []Case{
	hadBug("B095 (wireguard-go)", timerCase("rekey/on-receive/due", []string{"TIMER-08"}, Must, 178*time.Second,
		"The initiator renews a session of 165 s on which it only receives",
		"Somebody who only listens to a stream would lose it at 180 s, when the keys may no longer be used.",
		func(t *T) {
			p := t.Peer()
			s := initiated(p)
			olderThan(t, s, renewAfter)
			t.Forget()
			s.Keepalive() // data would make it send a keepalive, and that renews at 120 s
			p.Expect(Initiation, t.Soon())
			for range 8 {
				t.Wait(500 * time.Millisecond)
				s.Keepalive()
			}
			t.Never(Initiation.To(p), "one initiation, not one for each message received")
		})),
	hadBug("B095 (wireguard-go)", timerCase("rekey/on-receive/not-before", []string{"TIMER-08"}, Must, 178*time.Second,
		"The initiator does not renew a session by receiving before it is 165 s old",
		"The peer that sends renews it at 120 s if it is the initiator; if not, 165 s leaves time for three attempts.",
		func(t *T) {
			p := t.Peer()
			s := initiated(p)
			for _, age := range []time.Duration{104, 107, 119, 122, 140, 160} {
				olderThan(t, s, age*time.Second)
				s.Keepalive()
			}
			before(t, s, renewAfter)
			s.Keepalive()
			p.Silence(Initiation, 4*time.Second)
		})),
}

var expiredWaits = hadBug("B064 (NetBSD)", timerCase("expired/starts-handshake", []string{"TIMER-11"}, Must,
	186*time.Second, "At 180 s a packet starts a handshake and nothing goes on the old session",
	"Reject-After-Time is the promise that keys older than three minutes protect nothing any more.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		olderThan(t, s, rejectAfter)
		t.Forget()
		t.Inject(p.Outbound())
		p.Expect(Initiation, t.Soon())
		p.Silence(Transport, 2*time.Second)
	}))

var expiredTakesOver = timerCase("expired/packet-waits", []string{"TIMER-11"}, Must, 186*time.Second,
	"A packet for a session of more than 180 s waits for the new one",
	"The first packet after a pause must not be lost: it may be the only one.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		olderThan(t, s, rejectAfter)
		packet := p.Outbound()
		t.Inject(packet)
		var fresh *Session
		t.Premise(func() { fresh = p.Reply(p.Expect(Initiation, t.Soon())) })
		p.Expect(Data.On(fresh).Carrying(packet), t.Soon())
	})

var idleIsLeftAlone = timerCase("rekey/idle", []string{"TIMER-21"}, Must, 188*time.Second,
	"A session that carried data and then rests is not renewed",
	"A phone that does nothing must not wake its radio every two minutes.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		t.Wait(time.Second)
		s.Fetch(p.Outbound())
		s.Keepalive()
		p.Silence(AnyDatagram, 183*time.Second)
	})
