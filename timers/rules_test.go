package timers

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const sec = time.Second

func TestTimer01RetransmitAfterFiveSecondsAndJitter(t *testing.T) {
	s := newScript(t)
	s.initiate(false)
	s.want("the first initiation leaves at once", "0s initiation")
	s.jitter = 333 * time.Millisecond
	s.at(6*sec).want("5 s and the first jitter later", "5.123s initiation")
	s.jitter = 0
	s.at(11*sec).want("the jitter is that of the initiation before", "10.456s initiation")
	s.at(16*sec).want("and no earlier than 5 s", "15.456s initiation")
}

func TestTimer03RetryingStopsByItself(t *testing.T) {
	for _, jitter := range []time.Duration{0, j, MaxJitter} {
		s := newScript(t)
		s.jitter = jitter
		s.initiate(false)
		s.at(time.Hour)
		gap := RekeyTimeout + jitter
		want := []string{}
		for i := range 20 {
			want = append(want, fmt.Sprint(time.Duration(i)*gap, " initiation"))
		}
		want = append(want, fmt.Sprint(20*gap, " give-up"), fmt.Sprint(20*gap+540*sec, " zero"))
		s.want("20 initiations (OPEN-1), then silence", want...)
		if last := 19 * gap; last < 85*sec || last > 102*sec {
			t.Errorf("the last initiation left after %v", last)
		}
	}
}

func TestTimer03FailuresEndTheAttemptPhaseToo(t *testing.T) {
	s := newScript(t)
	tries, gaveUp := 0, false
	if !s.p.WantInitiation(s.now, false) {
		t.Fatal("the first initiation is permitted")
	}
	for s.p.InitiationFailed(s.now); !gaveUp && tries < 100; tries++ {
		_, kind, at, ok := s.q.Next()
		if !ok || kind != t1 || at.Sub(s.now) != RekeyTimeout {
			t.Fatalf("after a failure %v is next at %v, want T1 5 s later", kind, at.Sub(s.now))
		}
		s.now = at
		if gaveUp = s.p.Expire(at, kind) == ActGiveUp; !gaveUp {
			if !s.p.WantInitiation(s.now, true) {
				t.Fatal("nothing was sent, so the 5 s rule has nothing to say")
			}
			s.p.InitiationFailed(s.now)
		}
	}
	if !gaveUp || tries != MaxAttempts+1 {
		t.Errorf("gave up %v after %d tries, want after %d", gaveUp, tries, MaxAttempts+1)
	}
}

func TestInitiationFailedLeavesAnEarlierRetryAlone(t *testing.T) {
	s := newScript(t)
	s.p.InitiationFailed(s.now)
	s.at(1 * sec)
	s.p.InitiationFailed(s.now)
	s.wantDeadline("T1 is armed only if idle", t1, 5*sec)
}

func TestTimer05NewPacketRestartsTheCount(t *testing.T) {
	s := newScript(t)
	s.initiate(false)
	for d := 30 * sec; d <= 300*sec; d += 30 * sec {
		s.at(d)
		if s.p.Attempts() == 0 {
			t.Fatalf("%v: no retry was counted", d)
		}
		s.initiate(false)
		if s.p.Attempts() != 0 {
			t.Fatalf("%v: a new packet must restart the count", d)
		}
	}
	var last time.Duration
	for _, line := range s.log {
		when, what, _ := strings.Cut(line, " ")
		at, err := time.ParseDuration(when)
		if err != nil || what != "initiation" {
			t.Fatalf("unexpected %q", line)
		}
		if at > 0 && (at-last < 5*sec || at-last > 5333*time.Millisecond) {
			t.Errorf("gap from %v to %v: a new packet sends neither sooner nor later", last, at)
		}
		last = at
	}
	if last < 290*sec {
		t.Errorf("the last initiation left at %v, want them to go on", last)
	}
}

func TestTimer06GiveUpLeavesTheSessionAlone(t *testing.T) {
	s := newScript(t).initiator()
	s.p.attempts = MaxAttempts + 1
	s.p.SetPersistentKeepalive(s.now, 200)
	s.at(0) // the first keepalive
	s.p.handshakeInitiated(s.now, 0)
	s.p.arm(t2, s.now.Add(8*sec))
	s.at(6*sec).want("the phase ends", "0s keepalive", "5s give-up")
	s.wantIdle("T1 is not armed again, T2 is cancelled", t1, t2)
	s.wantDeadline("T4 runs on from the session", t4, 540*sec)
	s.wantDeadline("T5 stays", t5, 200*sec)
	if !s.usable || s.session.Expired(s.now) {
		t.Error("the session must stay usable")
	}
}

func TestTimer07InitiatorRekeysOnSendAt120s(t *testing.T) {
	s := newScript(t).initiator()
	s.at(119999 * time.Millisecond).data()
	s.want("before 120 s nothing", "1m59.999s data")
	s.at(120 * sec).data()
	s.want("at 120 s (OPEN-11)", "2m0s data", "2m0s initiation")
	s.at(121 * sec).data()
	s.want("data goes on under the old key, the 5 s rule holds", "2m1s data")
}

func TestTimer08InitiatorRekeysOnReceiveOncePerSession(t *testing.T) {
	s := newScript(t).initiator()
	s.at(164999 * time.Millisecond).received(true)
	s.want("before 165 s nothing")
	s.at(165 * sec).received(false)
	s.want("at 165 s, a keepalive counts", "2m45s initiation")
	if s.p.RekeyOnReceive(t0.Add(179*sec), s.session) {
		t.Error("once per session")
	}
	s.at(166 * sec)
	s.initiator().at((166 + 165) * sec).received(true)
	s.want("a new session has its own", "5m31s initiation")
	if s := (Session{Born: t0}); newScript(t).p.RekeyOnReceive(t0.Add(170*sec), s) {
		t.Error("its responder does not")
	}
}

func TestTimer09CounterRekeysEitherRole(t *testing.T) {
	for _, initiator := range []bool{false, true} {
		s := Session{Born: t0, Initiator: initiator}
		if s.RekeyOnSend(t0, 1<<60) {
			t.Error("at 2^60 it is not yet exceeded")
		}
		if !s.RekeyOnSend(t0, 1<<60+1) {
			t.Error("beyond 2^60 either role rekeys")
		}
	}
}

func TestTimer10ResponderDoesNotRekeyByAge(t *testing.T) {
	s := newScript(t).responder()
	for d := sec; d < 180*sec; d += sec {
		s.at(d).received(true)
		s.data()
	}
	for _, line := range s.log {
		if strings.HasSuffix(line, "initiation") {
			t.Fatalf("the responder rekeyed: %s", line)
		}
	}
}

func TestTimer11EitherRoleInitiatesAt180s(t *testing.T) {
	for _, initiator := range []bool{false, true} {
		s := newScript(t)
		if initiator {
			s.initiator()
		} else {
			s.responder()
		}
		if s.session.Expired(t0.Add(180*sec - 1)) {
			t.Error("a session lives for 180 s")
		}
		s.at(180 * sec).data()
		s.want("no data any more, a handshake instead", "3m0s initiation")
	}
	if (Session{Born: t0}).Expired(t0.Add(-time.Hour)) {
		t.Error("a clock that went backwards expires nothing")
	}
}

func TestTimer12PassiveKeepalive(t *testing.T) {
	s := newScript(t).initiator()
	s.received(true)
	s.at(9999 * time.Millisecond).want("silence for 10 s")
	s.at(60*sec).want("then one empty message", "10s keepalive")
}

func TestTimer13KeepaliveIsNotAnswered(t *testing.T) {
	s := newScript(t).initiator()
	s.received(false)
	s.at(100 * sec).want("no ping-pong")
}

func TestTimer14AnythingSentCancelsTheKeepalive(t *testing.T) {
	for name, send := range map[string]func(s *script){
		"data":       (*script).data,
		"keepalive":  (*script).keepalive,
		"initiation": func(s *script) { s.initiate(false) },
		"response":   func(s *script) { s.p.ResponseSent(s.now) },
	} {
		s := newScript(t).initiator()
		s.at(5 * sec)
		s.received(true)
		s.at(10 * sec)
		send(s)
		s.wantIdle(name+" cancels T2", t2)
		s.at(12 * sec).received(true)
		s.wantDeadline("10 s after newer data", t2, 22*sec)
	}
}

func TestTimer15OneKeepaliveForManyPackets(t *testing.T) {
	s := newScript(t).initiator()
	s.received(true)
	s.at(1 * sec).received(true)
	s.at(9 * sec).received(true)
	s.at(40*sec).want("10 s from the first, and only one (OPEN-3)", "10s keepalive")
}

func TestTimer16DeadPeerDetection(t *testing.T) {
	s := newScript(t).initiator()
	s.at(10 * sec).data()
	s.at(26*sec).want("15 s and jitter after data", "10s data", "25.123s initiation")
}

func TestTimer17FirstUnansweredDataCounts(t *testing.T) {
	s := newScript(t).initiator()
	for d := 10 * sec; d <= 20*sec; d += 5 * sec {
		s.at(d).data()
	}
	s.log = nil
	s.at(26*sec).want("later data does not extend it", "25.123s initiation")
	for name, receive := range map[string]func(s *script){
		"keepalive":  func(s *script) { s.received(false) },
		"data":       func(s *script) { s.received(true) },
		"initiation": func(s *script) { s.p.InitiationReceived(s.now) },
		"response":   func(s *script) { s.p.ResponseReceived(s.now) },
	} {
		s := newScript(t).initiator()
		s.at(10 * sec).data()
		s.at(24 * sec)
		receive(s)
		s.wantIdle("authentic "+name+" cancels T3", t3)
	}
}

func TestTimer18KeepaliveDoesNotStartDetection(t *testing.T) {
	s := newScript(t).initiator()
	s.p.SetPersistentKeepalive(s.now, 30)
	s.at(100*sec).want("keepalives only", "0s keepalive", "30s keepalive", "1m0s keepalive", "1m30s keepalive")
	s.wantIdle("no T3", t3)
}

func TestTimer19PersistentKeepaliveRunsFromTheLastTraversal(t *testing.T) {
	s := newScript(t).responder()
	s.p.SetPersistentKeepalive(s.now, 5)
	s.at(11*sec).want("when idle", "0s keepalive", "5s keepalive", "10s keepalive")
	for name, traverse := range map[string]func(){
		"data sent":           s.data,
		"data received":       func() { s.received(true) },
		"keepalive received":  func() { s.received(false) },
		"response sent":       func() { s.p.ResponseSent(s.now) },
		"response received":   func() { s.p.ResponseReceived(s.now) },
		"initiation received": func() { s.p.InitiationReceived(s.now) },
	} {
		traverse()
		s.wantDeadline(name+" starts the interval anew", t5, s.now.Sub(t0)+5*sec)
		s.at(s.now.Sub(t0) + sec)
	}
	s = newScript(t)
	s.p.SetPersistentKeepalive(s.now, 5)
	s.initiate(false)
	s.wantDeadline("initiation sent starts the interval anew", t5, 5*sec)
	s.p.SetPersistentKeepalive(s.now, 65535)
	s.wantDeadline("the longest interval", t5, 65535*sec)
	s.p.SetPersistentKeepalive(s.now, 0)
	s.wantIdle("off", t5)
	s.p.KeepaliveReceived(s.now)
	s.wantIdle("and stays off", t5)
}

func TestTimer20PersistentKeepaliveOutlivesGiveUp(t *testing.T) {
	s := newScript(t)
	s.p.SetPersistentKeepalive(s.now, 200)
	s.at(1000 * sec)
	last, gaveUp := "", 0
	for _, line := range s.log {
		if strings.HasSuffix(line, "give-up") {
			gaveUp++
		} else {
			last = line
		}
	}
	if gaveUp < 3 || !strings.HasPrefix(last, "16m") {
		t.Errorf("gave up %d times, last %q: handshakes must go on", gaveUp, last)
	}

	// Also when nothing at all can be sent.
	_, p := upPeer()
	p.SetPersistentKeepalive(t0, 25)
	for now := t0; now < t0.Add(100*sec); now = now.Add(25 * sec) {
		if a := p.Expire(now, t5); a != ActPersistentKeepalive {
			t.Errorf("%v: %v", now.Sub(t0), a)
		}
	}
}

func TestTimer21IdleSessionIsLeftAlone(t *testing.T) {
	s := newScript(t).initiator()
	s.at(1 * sec).data()
	s.received(false)
	s.at(539*sec).want("nothing happens by age alone", "1s data")
	s.at(600*sec).want("until the keys are wiped", "9m0s zero")
}

func TestTimer22KeepaliveAtOnce(t *testing.T) {
	s := newScript(t)
	s.p.SetPersistentKeepalive(s.now, 25)
	s.wantDeadline("0 to n is due now", t5, 0)
	s.at(0).want("and starts a handshake if needed", "0s initiation")
	s.p.Down()
	s.at(1 * sec)
	s.p.Up(s.now)
	s.wantDeadline("so is going up with it on", t5, 1*sec)
	s.at(1*sec).want("and Down waived the 5 s rule", "1s initiation")
	s.p.Up(s.now)
	s.wantDeadline("up again changes nothing", t5, 26*sec)
	s.at(2 * sec)
	s.p.KickPersistentKeepalive(s.now)
	s.wantDeadline("a peer that becomes reachable", t5, 2*sec)
}

func TestTimer23ChangingTheIntervalSendsNothing(t *testing.T) {
	s := newScript(t).responder()
	s.p.SetPersistentKeepalive(s.now, 25)
	s.p.SetPersistentKeepalive(s.now, 30)
	s.wantDeadline("a keepalive that is due stays due", t5, 0)
	s.at(10*sec).want("it is sent", "0s keepalive")
	s.p.SetPersistentKeepalive(s.now, 30)
	s.wantDeadline("the same again changes nothing", t5, 30*sec)
	s.p.SetPersistentKeepalive(s.now, 7)
	s.wantDeadline("n to m starts anew", t5, 17*sec)
	s.at(16 * sec).want("and sends nothing by itself")
}

func TestTimer24RetriesForgetTheSource(t *testing.T) {
	// The core of the rule is that the caller can tell these expiries from all others.
	for k, want := range map[Kind]Action{
		t1: ActRetry, t2: ActKeepalive, t3: ActNewHandshake, t4: ActZero, t5: ActPersistentKeepalive,
	} {
		_, p := upPeer()
		p.interval = 1
		p.arm(k, t0)
		if got := p.Expire(t0-1, k); got != ActNone {
			t.Errorf("%v fired early as %v", k, got)
		}
		if got := p.Expire(t0, k); got != want {
			t.Errorf("%v fired as %v, want %v", k, got, want)
		}
		if got := p.Expire(t0, k); got != ActNone {
			t.Errorf("%v fired twice, as %v", k, got)
		}
	}
	_, p := upPeer()
	for _, k := range []Kind{None, NumKinds, 255} {
		if p.Expire(Never, k) != ActNone {
			t.Errorf("%v is no timer", k)
		}
	}
}

func TestTimer25PeersAreIndependent(t *testing.T) {
	for _, event := range everyEvent() {
		var q Queue
		var a, b Peer
		q.Add(&a, 1)
		q.Add(&b, 2)
		for _, p := range []*Peer{&a, &b} {
			p.Up(t0)
			p.InitiationSent(t0, j, true)
			p.DataReceived(t0)
		}
		before := b
		event.run(&a, t0.Add(3*sec))
		before.slot = b.slot
		if b != before {
			t.Errorf("%s of one peer changed another", event.name)
		}
	}
}

func TestTimer26HandshakeCompleteEndsRetrying(t *testing.T) {
	for name, complete := range map[string]func(s *script){
		"response received": func(s *script) { s.p.ResponseReceived(s.now) },
		"confirmed":         func(s *script) { s.p.Confirmed(s.now) },
	} {
		s := newScript(t)
		s.initiate(false)
		s.at(12 * sec)
		if s.p.Attempts() != 2 {
			t.Fatalf("%d attempts, want 2", s.p.Attempts())
		}
		complete(s)
		s.wantIdle(name, t1)
		if s.p.Attempts() != 0 {
			t.Errorf("%s: the count is %d", name, s.p.Attempts())
		}
	}
	s := newScript(t)
	s.initiate(false)
	s.p.ResponseSent(s.now)
	s.p.InitiationReceived(s.now)
	s.wantDeadline("a response sent completes nothing", t1, 5*sec+j)
}

func TestTimer27KeepaliveRekeysToo(t *testing.T) {
	s := newScript(t).initiator()
	s.p.SetPersistentKeepalive(s.now, 25)
	s.at(124 * sec)
	s.log = nil
	s.at(126*sec).want("the first keepalive after 120 s", "2m5s keepalive", "2m5s initiation")
}
