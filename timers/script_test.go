package timers

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// script drives one peer as a device would, without keys and packets: it fires what is due, does what the action
// asks, and logs every message that leaves and every act that ends something, with the time since t0.
type script struct {
	t       *testing.T
	q       *Queue
	p       *Peer
	now     Time
	jitter  time.Duration
	session Session
	counter uint64 // next send counter of the session; the session exists if it has a birth
	usable  bool
	log     []string
}

func newScript(t *testing.T) *script {
	q, p := upPeer()
	return &script{t: t, q: q, p: p, now: t0, jitter: j}
}

func (s *script) note(what string) { s.log = append(s.log, fmt.Sprintf("%v %s", s.now.Sub(t0), what)) }

// at lets time pass until d after t0, stopping at every deadline.
func (s *script) at(d time.Duration) *script {
	s.t.Helper()
	for steps := 0; ; steps++ {
		p, kind, at, ok := s.q.Next()
		if !ok || at > t0.Add(d) {
			break
		}
		if steps > 10_000 {
			s.t.Fatalf("%v fires without end at %v", kind, at.Sub(t0))
		}
		s.now = max(s.now, at)
		s.act(p.Expire(s.now, kind))
	}
	s.now = t0.Add(d)
	return s
}

func (s *script) act(a Action) {
	switch a {
	case ActRetry:
		s.initiate(true)
	case ActNewHandshake:
		s.initiate(false)
	case ActKeepalive, ActPersistentKeepalive:
		s.keepalive()
	case ActGiveUp, ActZero:
		s.note(a.String())
		s.usable = s.usable && a != ActZero
	case ActNone:
		s.t.Errorf("%v: Next named a timer that is not due", s.now.Sub(t0))
	}
}

func (s *script) initiate(retry bool) {
	if s.p.WantInitiation(s.now, retry) && s.p.InitiationSent(s.now, s.jitter, retry) {
		s.note("initiation")
	}
}

func (s *script) keepalive() {
	if !s.usable || s.session.Expired(s.now) {
		s.initiate(false)
		return
	}
	s.p.KeepaliveSent(s.now)
	s.note("keepalive")
	s.sent()
}

func (s *script) data() {
	if !s.usable || s.session.Expired(s.now) {
		s.initiate(false)
		return
	}
	s.p.DataSent(s.now, s.jitter)
	s.note("data")
	s.sent()
}

func (s *script) sent() {
	s.counter++
	if s.session.RekeyOnSend(s.now, s.counter) {
		s.initiate(false)
	}
}

func (s *script) received(data bool) {
	if s.p.RekeyOnReceive(s.now, s.session) {
		s.initiate(false)
	}
	if data {
		s.p.DataReceived(s.now)
	} else {
		s.p.KeepaliveReceived(s.now)
	}
}

// initiator makes a session as if our initiation had just been answered, and sends the confirming keepalive.
func (s *script) initiator() *script {
	s.p.ResponseReceived(s.now)
	s.session, s.usable, s.counter = Session{Born: s.now, Initiator: true}, true, 0
	s.keepalive()
	s.log = nil
	return s
}

// responder makes a session as if we had answered an initiation and got its confirmation at once.
func (s *script) responder() *script {
	s.p.ResponseSent(s.now)
	s.p.InitiationReceived(s.now)
	s.p.Confirmed(s.now)
	s.p.KeepaliveReceived(s.now)
	s.session, s.usable, s.counter = Session{Born: s.now}, true, 0
	return s
}

// want compares the log with what should have happened since the last want.
func (s *script) want(why string, lines ...string) *script {
	s.t.Helper()
	if !slices.Equal(s.log, lines) {
		s.t.Errorf("%s:\n got %q\nwant %q", why, s.log, lines)
	}
	s.log = nil
	return s
}

func (s *script) wantDeadline(why string, k Kind, in time.Duration) {
	s.t.Helper()
	at, armed := s.p.Deadline(k)
	if !armed || at != t0.Add(in) {
		s.t.Errorf("%s: %v armed %v for %v, want %v", why, k, armed, at.Sub(t0), in)
	}
}

func (s *script) wantIdle(why string, kinds ...Kind) {
	s.t.Helper()
	for _, k := range kinds {
		if at, armed := s.p.Deadline(k); armed {
			s.t.Errorf("%s: %v is armed for %v", why, k, at.Sub(t0))
		}
	}
}
