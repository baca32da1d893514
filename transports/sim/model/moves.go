package model

import (
	"encoding/binary"
	"fmt"

	"github.com/purewire/purewire/timers"
)

// A Kind says what a [Move] does.
type Kind uint8

// The kinds of moves.
const (
	Deliver   Kind = iota // a datagram in flight
	Drop                  // one
	Duplicate             // one: it is delivered, and a copy stays in flight
	Wait                  // until something is due; what is in flight then is held up
	Send                  // a packet, from a host's inner side
	Restart               // a host, which loses all its state
)

// Move is one step of a path.
type Move struct {
	Kind Kind
	Of   uint8 // the place of the datagram in flight, or the host
	Late uint8 // bit i: jitters that host i draws in this move are 333 ms, otherwise 0
}

// staging bounds how many packets may wait at a host before it sends no more.
const staging = 2

// maxFlight is how many datagrams a state has room for; exploration allows fewer.
const maxFlight = 6

// state is a node of the graph.
type state struct {
	host   [hosts]*host
	flight [maxFlight]datagram
	n      uint8 // in flight
	left   budget
}

// datagram is a message in flight. One that is held up has seen time pass, and may go on to do so.
type datagram struct {
	*message
	held bool
}

// budget is what a path may still do. Faults are drops, duplicates, restarts and holds together.
type budget struct{ faults, drops, duplicates, holds, restarts, packets uint8 }

// covers reports whether all that o allows, b does too, and in as many moves. Where no packet or no restart is left,
// time stops less often and more can be forgotten at once, which saves moves: hence the equal signs.
func (b budget) covers(o budget) bool {
	return b.faults >= o.faults && b.drops >= o.drops && b.duplicates >= o.duplicates && b.holds >= o.holds &&
		b.restarts >= o.restarts && (b.restarts > 0) == (o.restarts > 0) && b.packets == o.packets
}

// trim makes budgets equal that allow the same.
func (b budget) trim() budget {
	b.drops, b.duplicates = min(b.drops, b.faults), min(b.duplicates, b.faults)
	b.restarts, b.holds = min(b.restarts, b.faults), min(b.holds, b.faults)
	b.faults = min(b.faults, b.drops+b.duplicates+b.holds+b.restarts)
	return b
}

// exact names a state to the byte, but for its budget.
func (s *state) exact() (e uint64) {
	for _, h := range s.host {
		e = mix(e ^ binary.LittleEndian.Uint64(h.exact[:]))
	}
	for i := range s.n {
		e = mix(e ^ binary.LittleEndian.Uint64(s.flight[i].id[:]))
	}
	return e
}

func (s *state) now() timers.Time { return s.host[0].now }

// begin makes the first state: both hosts are up and know each other.
func (w *world) begin() (*state, error) {
	s := &state{}
	for i := range s.host {
		h, err := w.newHost(uint8(i), 0, 0)
		if err != nil {
			return nil, err
		}
		s.host[i] = w.seal(h)
	}
	return s, nil
}

// soon is the next moment at which something is due, or at which a packet would meet other rules than now, if there is
// or can be one.
func (s *state) soon() (at timers.Time, ok bool) {
	at = min(s.host[0].due, s.host[1].due)
	if s.n > 0 || s.left.packets > 0 {
		at = min(at, s.host[0].aged, s.host[1].aged)
	}
	return at, at < timers.Never
}

// fresh is how many datagrams would be held up if time passed.
func (s *state) fresh() (n uint8) {
	for i := range s.n {
		if !s.flight[i].held {
			n++
		}
	}
	return n
}

// moves lists what can be done in s. Late ones are not listed: whoever makes a move and sees that it drew a handshake
// makes the late one too.
func (s *state) moves(list []Move) []Move {
	for i := range s.n {
		if i > 0 && s.flight[i].id == s.flight[i-1].id && s.flight[i].held == s.flight[i-1].held {
			continue // equal ones are neighbours: see canon
		}
		list = append(list, Move{Kind: Deliver, Of: i})
		if s.left.drops > 0 {
			list = append(list, Move{Kind: Drop, Of: i})
		}
		if s.left.duplicates > 0 {
			list = append(list, Move{Kind: Duplicate, Of: i})
		}
	}
	if _, ok := s.soon(); ok && s.fresh() <= s.left.holds {
		list = append(list, Move{Kind: Wait})
	}
	for i := range uint8(hosts) {
		if s.left.packets > 0 && s.host[i].staged < staging {
			list = append(list, Move{Kind: Send, Of: i})
		}
		if s.left.restarts > 0 {
			list = append(list, Move{Kind: Restart, Of: i})
		}
	}
	return list
}

// step is a move that was made, and what came of it.
type step struct {
	s       state
	out     [hosts][]*message
	gone    []*message // delivered at once, because they could do nothing any more
	reached Reached
	came    int    // inner packets that came out
	shook   uint8  // bit i: host i drew a handshake
	full    bool   // more in flight than there is room for
	broken  string // what must never be, empty if all is well
}

// apply makes a move.
func (w *world) apply(from *state, m Move) (t step) {
	t.s = *from
	late := func(i uint8) bool { return m.Late>>i&1 != 0 }
	switch m.Kind {
	case Deliver, Duplicate:
		dg := from.flight[m.Of]
		if m.Kind == Deliver {
			t.take(m.Of)
		} else {
			t.s.left.duplicates--
			t.s.left.faults--
		}
		to := 1 - dg.from
		w.react1(&t, to, input{kind: Deliver, late: late(to), msg: dg.message})
	case Drop:
		t.take(m.Of)
		t.s.left.drops--
		t.s.left.faults--
	case Wait:
		at, _ := from.soon()
		t.s.hold()
		for i := range uint8(hosts) {
			w.react1(&t, i, input{kind: Wait, late: late(i), at: at})
		}
	case Send:
		t.s.left.packets--
		w.react1(&t, m.Of, input{kind: Send, late: late(m.Of)})
	case Restart:
		t.s.left.restarts--
		t.s.left.faults--
		w.react1(&t, m.Of, input{kind: Restart, late: late(m.Of)})
	}
	t.s.left = t.s.left.trim()
	w.settle(&t)
	return t
}

// hold marks what is in flight while time passes.
func (s *state) hold() {
	n := s.fresh()
	s.left.holds -= n
	s.left.faults -= n
	for i := range s.n {
		s.flight[i].held = true
	}
}

func (t *step) take(i uint8) {
	copy(t.s.flight[i:], t.s.flight[i+1:])
	t.s.n--
	t.s.flight[t.s.n] = datagram{}
}

// react1 lets one host have its input.
func (w *world) react1(t *step, i uint8, in input) {
	o := w.react(t.s.host[i], in)
	t.s.host[i] = o.next
	t.out[i] = o.out
	t.came += o.delivered
	t.reached |= o.reached
	if o.reached&ReachedSession != 0 && (t.s.host[0].again || t.s.host[1].again) {
		t.reached |= ReachedRestart
	}
	if o.shook {
		t.shook |= 1 << i
	}
	if o.broken != "" && t.broken == "" {
		t.broken = o.broken
	}
	for _, m := range o.out {
		if t.s.n == maxFlight {
			t.full = true
			return
		}
		t.s.flight[t.s.n] = datagram{m, false}
		t.s.n++
	}
}

// settle delivers what can do nothing any more, sees that it does nothing, and forgets it.
func (w *world) settle(t *step) {
	for i := uint8(0); i < t.s.n && t.broken == ""; {
		m := t.s.flight[i].message
		to := t.s.host[1-m.from]
		if !m.deadTo(to, t.s.left.restarts > 0) {
			i++
			continue
		}
		o := w.react(to, input{kind: Deliver, msg: m})
		t.reached |= o.reached
		switch {
		case o.broken != "":
			t.broken = o.broken
		case !o.next.same(to) || len(o.out) > 0 || o.delivered > 0:
			t.broken = fmt.Sprintf("%v, which is for nothing that %s knows, had an effect (KEY-07, QUIET-03)", m, names[to.who])
		}
		t.gone = append(t.gone, m)
		t.take(i)
	}
}
