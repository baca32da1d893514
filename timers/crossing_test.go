package timers

import (
	"slices"
	"testing"
	"time"
)

// side is one of two peers in a handshake reduced to what timing needs: one handshake state, which making or
// accepting an initiation overwrites (HS-11, HS-12).
type side struct {
	peer    Peer
	queue   Queue
	larger  bool
	pending int // number of our initiation that may still be answered; 0: none
	jitter  []time.Duration
	ready   bool // has a confirmed session
}

type message struct {
	at   Time
	to   int
	kind string // "initiation", "response" or "data"
	num  int
}

// cross lets both sides initiate, the second after offset, with the given delay each way, and returns when both have
// a session, or false if they fell silent or did not come together in five minutes. larger says who has the larger
// key; without yield no side gives way.
func cross(delay, offset time.Duration, larger int, yield bool, jitter [2][]time.Duration) (time.Duration, bool) {
	var sides [2]side
	var wire []message
	serial := 0
	send := func(now Time, from int, kind string, num int) {
		wire = append(wire, message{now.Add(delay), 1 - from, kind, num})
		slices.SortStableFunc(wire, func(a, b message) int { return int(a.at.Sub(b.at)) })
	}
	initiate := func(now Time, i int, retry bool) {
		s := &sides[i]
		j := s.jitter[0]
		if s.peer.WantInitiation(now, retry) && s.peer.InitiationSent(now, j, retry) {
			s.jitter = append(s.jitter[1:], j)
			serial++
			s.pending = serial
			send(now, i, "initiation", serial)
		}
	}
	receive := func(m message) {
		s := &sides[m.to]
		switch {
		case m.kind == "initiation":
			crossed := s.pending != 0
			s.pending = 0
			s.peer.ResponseSent(m.at)
			send(m.at, m.to, "response", m.num)
			s.peer.InitiationReceived(m.at)
			if crossed && yield {
				s.peer.Yield(m.at, s.larger)
			}
		case m.kind == "response" && m.num == s.pending:
			s.pending, s.ready = 0, true
			s.peer.ResponseReceived(m.at)
			s.peer.KeepaliveSent(m.at)
			send(m.at, m.to, "data", 0)
		case m.kind == "data":
			s.ready = true
			s.peer.Confirmed(m.at)
			s.peer.KeepaliveReceived(m.at)
		}
	}
	for i := range sides {
		s := &sides[i]
		s.larger, s.jitter = i == larger, jitter[i]
		s.queue.Add(&s.peer, uint32(i))
		s.peer.Up(t0)
	}
	initiate(t0, 0, false)
	second := t0.Add(offset)
	now := t0
	for step := 0; step < 10_000 && now < t0.Add(5*time.Minute); step++ {
		next, what := second, -1
		for i := range sides {
			if _, kind, at, ok := sides[i].queue.Next(); ok && kind == t1 && at < next {
				next, what = at, i
			}
		}
		if len(wire) > 0 && wire[0].at <= next {
			next, what = wire[0].at, 2
		}
		if next == Never {
			return 0, false
		}
		now = next
		switch {
		case what == 2:
			m := wire[0]
			wire = wire[1:]
			receive(m)
		case what < 0:
			second = Never
			initiate(now, 1, false)
		case sides[what].peer.Expire(now, t1) == ActRetry:
			initiate(now, what, true)
		}
		if sides[0].ready && sides[1].ready {
			return now.Sub(t0), true
		}
	}
	return 0, false
}

// OPEN-4, OPEN-15, HS-13: crossing initiations resolve themselves, for every delay with which a handshake is possible
// at all, every offset that crosses, whoever has the larger key, and the jitter at both ends of its range and equal.
func TestOpen4CrossingInitiationsConverge(t *testing.T) {
	const step = 125 * time.Millisecond
	stalled, runs := 0, 0
	jitters := [][2][]time.Duration{{{0}, {0}}, {{0}, {MaxJitter}}, {{MaxJitter}, {0}}, {{MaxJitter}, {MaxJitter}},
		{{0, MaxJitter}, {MaxJitter, 0}}}
	for delay := time.Millisecond; delay < 2500*time.Millisecond; delay += step {
		for offset := time.Duration(0); offset < delay; offset += step / 2 {
			// From the second initiation: two retransmissions, a round trip, and the way of the confirmation.
			bound := offset + YieldTime + 4*delay // answered, waited, there, back, confirmed
			for larger := range 2 {
				for _, jitter := range jitters {
					runs++
					took, ok := cross(delay, offset, larger, true, jitter)
					if !ok || took > bound {
						t.Fatalf("delay %v, offset %v, larger %d, jitter %v: session %v after %v, want within %v", delay,
							offset, larger, jitter, ok, took, bound)
					}
					if _, ok := cross(delay, offset, larger, false, jitter); !ok {
						stalled++
					}
				}
			}
		}
	}
	// The test must be able to fail: without Yield sides with equal jitter cross again and again.
	if stalled == 0 {
		t.Errorf("none of %d runs needed Yield", runs)
	}
}

func TestYieldNeedsARunningRetry(t *testing.T) {
	_, p := upPeer()
	p.Yield(t0, true)
	if _, armed := p.Deadline(t1); armed {
		t.Error("there was nothing to put off")
	}
}
