package timers

import (
	"testing"
	"time"
)

func TestKey13KeysAreErasedAfter540s(t *testing.T) {
	s := newScript(t).initiator()
	s.at(100 * sec).responder()
	s.at(639 * sec).want("counted from the newest session")
	s.at(700*sec).want("", "10m40s zero")
}

func TestKey15IdentityChangeWaivesTheWait(t *testing.T) {
	s := newScript(t)
	s.initiate(false)
	s.at(1 * sec).initiate(false)
	s.want("the 5 s rule", "0s initiation")
	s.p.KeysExpiredByIdentity(s.now)
	s.wantDeadline("the retry that waited need not wait any more", RetransmitHandshake, 1*sec)

	s = newScript(t).initiator()
	s.p.KeysExpiredByIdentity(s.now)
	s.initiate(false)
	s.want("waived for a new wish", s.now.Sub(t0).String()+" initiation")
}

func TestOpen4PacketsDoNotUndoAYield(t *testing.T) {
	s := newScript(t)
	s.initiate(false)
	s.p.ResponseSent(s.now) // a crossing: the peer's initiation came
	s.p.Yield(s.now, true)
	s.want("", "0s initiation")
	for at := 5 * sec; at < LongYieldTime; at += sec {
		s.at(at).initiate(false)
	}
	s.want("the other side goes first, whatever wants to be sent here")
	s.at(LongYieldTime+sec).want("then it is our turn", "10.666s initiation")
}

func TestLife04DownStopsEverything(t *testing.T) {
	s := newScript(t).initiator()
	s.p.SetPersistentKeepalive(s.now, 3)
	s.received(true)
	s.data()
	s.initiate(false)
	s.log = nil
	old := Session{Born: s.now.Add(-170 * sec), Initiator: true}
	if !s.p.RekeyOnReceive(s.now, old) || s.p.RekeyOnReceive(s.now, old) {
		t.Fatal("once per session")
	}
	s.p.Down()
	s.wantIdle("down", Kinds()...)
	s.at(time.Hour).want("silence")
	s.p.Up(s.now)
	s.initiate(false)
	s.want("up starts clean", "1h0m0s initiation")
	old.Born = s.now.Add(-170 * sec)
	if !s.p.RekeyOnReceive(s.now, old) {
		t.Error("up starts clean, the note of TIMER-08 included")
	}
}

// OPEN-4: an initiation suppressed by the 5 s rule is never forgotten, at either of the two points that apply it.
func TestOpen4SuppressedInitiationIsRetried(t *testing.T) {
	s := newScript(t)
	s.p.ResponseSent(s.now)
	s.at(2 * sec).initiate(false)
	s.wantDeadline("exactly the rest of the wait", t1, 5*sec)
	s.at(5*sec).want("then it leaves", "5s initiation")

	s = newScript(t)
	if !s.p.WantInitiation(s.now, false) {
		t.Fatal("permitted")
	}
	s.p.ResponseSent(s.now.Add(sec)) // while the initiation was being made
	s.at(2 * sec)
	if s.p.InitiationSent(s.now, j, true) || s.p.Attempts() != 0 {
		t.Error("suppressed after all, and not counted")
	}
	s.wantDeadline("rest of the wait", t1, 6*sec)

	s = newScript(t)
	s.initiate(false)
	s.at(3 * sec).initiate(false)
	s.wantDeadline("T1 that runs is left alone", t1, 5*sec+j)
	if s.at(5*sec - 1); s.p.WantInitiation(s.now, true) {
		t.Error("1 ns early")
	}
	if s.at(5 * sec); !s.p.WantInitiation(s.now, true) {
		t.Error("at exactly 5 s it is permitted (OPEN-11)")
	}
}

func TestDeferredRetryWaitsForTheResponse(t *testing.T) {
	for _, expireFirst := range []bool{false, true} {
		s := newScript(t)
		s.initiate(false)
		s.now = t0.Add(6 * sec)
		if expireFirst {
			s.p.Expire(s.now, t1)
		}
		s.p.DeferRetry()
		s.wantIdle("T1 waits", t1)
		s.now = t0.Add(7 * sec)
		s.p.ArmRetryNow(s.now)
		s.wantDeadline("a false response: due at once", t1, 7*sec)
	}
	for name, between := range map[string]func(s *script){
		"nothing deferred":  func(s *script) { s.p.deferred = false },
		"session complete":  func(s *script) { s.p.ResponseReceived(s.now) },
		"down and up again": func(s *script) { s.p.Down(); s.p.Up(s.now) },
		"armed and fired since": func(s *script) {
			s.p.ResponseSent(t0.Add(2 * sec))
			s.p.WantInitiation(t0.Add(3*sec), false)
			if s.p.Expire(t0.Add(7*sec), t1) != ActRetry {
				s.t.Error("the suppressed wish must fire by itself")
			}
		},
	} {
		s := newScript(t)
		s.initiate(false)
		s.now = t0.Add(6 * sec)
		s.p.DeferRetry()
		between(s)
		s.p.ArmRetryNow(s.now)
		s.wantIdle(name, t1)
	}
}
