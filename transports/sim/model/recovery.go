package model

import (
	"fmt"
	"sync"
	"time"
)

// How long, in virtual time, a way back may take once there are no more faults. What waits for a handshake meets at
// worst a 5 s rule that has just begun, a crossing in which the other side goes first (10.666 s) and a retry
// (5.333 s). A packet that goes into a session that the other side has lost is noticed after 15.333 s of silence.
const (
	drainWithin = 5*time.Second + 10666*time.Millisecond + 5333*time.Millisecond
	silence     = 15333 * time.Millisecond
	probeTries  = 3
	patience    = 400 // steps, so that a loop without time ends
)

// recovered remembers the states, but for their budgets, from which a way back was shown. A way that meets one of
// them need not be gone to its end: that is backward reachability, made while going forward.
type recovered struct {
	x    *explorer
	mu   sync.Mutex
	good map[hash]bool
}

func (r *recovered) has(h hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.good[h]
}

func (r *recovered) add(list []hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.good == nil {
		r.good = map[hash]bool{}
	}
	for _, h := range list {
		r.good[h] = true
	}
}

// check shows that from a state all is well again without faults: first that what waits is delivered with nobody
// sending anything more, then that packets get through both ways.
func (r *recovered) check(it item, scratch *[]byte) *CounterExample {
	w := way{x: r.x, s: it.s, id: uint64(it.id)<<32 | 1<<63, scratch: scratch}
	hashes, ok := w.drain(r)
	if ok && w.problem == "" {
		ok = w.probe(0) && w.probe(1)
	} else if w.problem == "" {
		r.add(hashes) // it met a state that is known to be well
		return nil
	}
	if !ok || w.problem != "" {
		return &CounterExample{Rule: "recovery", What: w.problem, Steps: r.x.tell(it.id, nil, append(
			[]string{"-- from here on nothing is lost, and still:"}, w.steps...))}
	}
	r.add(hashes)
	return nil
}

// way is a walk without faults.
type way struct {
	x       *explorer
	s       *state
	id      uint64
	steps   []string
	moved   int
	got     int // packets that came out
	shook   bool
	problem string
	scratch *[]byte
}

func (w *way) move(m Move) {
	w.moved++
	t := w.x.apply(w.s, m, seedOf(int32(w.moved), m)^w.id)
	w.steps = append(w.steps, describe(w.s, m, t))
	w.got += t.delivered
	w.shook = w.shook || t.e.shakes > 0
	if t.broken != "" && w.problem == "" {
		w.problem = t.broken
	}
	w.s = t.s
}

func (w *way) over() bool {
	if w.moved > patience && w.problem == "" {
		w.problem = fmt.Sprintf("no end after %d steps", patience)
	}
	return w.problem != ""
}

// waits reports whether a host holds packets for a handshake.
func (w *way) waits() bool { return w.s.staged(0)+w.s.staged(1) > 0 }

// deliver lets everything in flight arrive, the oldest first.
func (w *way) deliver() {
	for len(w.s.flight) > 0 && !w.over() {
		w.move(Move{Kind: Deliver})
	}
}

// drain goes on until nothing is in flight and nothing waits. It gives the states on the way; ended is false if it
// met one from which a way is known.
func (w *way) drain(r *recovered) (passed []hash, ended bool) {
	begun := w.s.now
	for !w.over() {
		if r != nil {
			*w.scratch = w.s.canon((*w.scratch)[:0], false)
			h := sum(*w.scratch)
			if r.has(h) {
				return passed, false
			}
			passed = append(passed, h)
		}
		switch {
		case len(w.s.flight) > 0:
			w.move(Move{Kind: Deliver})
		case w.waits():
			at, ok := w.s.soon()
			if !ok || at.Sub(begun) > drainWithin {
				w.problem = fmt.Sprintf("a packet waits for a handshake that does not come within %v (HS-13, TIMER-01)",
					drainWithin)
				return passed, true
			}
			w.move(Move{Kind: Wait})
		default:
			return passed, true
		}
	}
	return passed, true
}

// probe sends a packet from a host, waits for what silence brings if it does not come out, and tries again.
func (w *way) probe(host uint8) bool {
	for range probeTries {
		w.s.left.packets = 1
		before := w.got
		w.shook = false
		w.move(Move{Kind: Send, Of: host})
		w.drain(nil)
		if w.problem != "" {
			return false
		}
		if w.got > before {
			return true
		}
		until := w.s.now.Add(silence)
		for !w.shook && !w.over() {
			at, ok := w.s.soon()
			if !ok || at > until {
				break
			}
			w.move(Move{Kind: Wait})
			w.deliver()
		}
		w.drain(nil)
	}
	if w.problem == "" {
		w.problem = fmt.Sprintf("no packet of %s gets through any more (HS-13, TIMER-16)", names[host])
	}
	return false
}
