package model

import (
	"fmt"
	"sync"
	"time"

	"github.com/purewire/purewire/timers"
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

// ways remembers the states, but for their budgets, from which a way back was shown, and how long it takes. A way that
// meets one of them need not be gone to its end: that is backward reachability, made while going forward.
type ways struct {
	w    *world
	part [64]struct {
		mu    sync.Mutex
		takes map[hash]time.Duration
	}
}

func (r *ways) get(h hash) (takes time.Duration, ok bool) {
	p := &r.part[h[0]%64]
	p.mu.Lock()
	defer p.mu.Unlock()
	takes, ok = p.takes[h]
	return takes, ok
}

func (r *ways) put(h hash, takes time.Duration) {
	p := &r.part[h[0]%64]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.takes == nil {
		p.takes = map[hash]time.Duration{}
	}
	p.takes[h] = takes
}

// check shows that from a state all is well again without faults: first that what waits is delivered with nobody
// sending anything more, then that packets get through both ways. It gives what is wrong, empty if nothing is, and
// whether that is a matter of safety. tell, if set, is shown all that is done, and then nothing that is known already
// is used.
func (r *ways) check(s *state, scratch *[]byte, tell func(before *state, m Move, t *step)) (problem string,
	unsafe bool) {
	w := way{w: r.w, s: *s, scratch: scratch, tell: tell}
	w.s.left = budget{holds: 255, faults: 255} // time may pass whatever is in flight
	t := step{s: w.s}
	r.w.settle(&t)
	w.s = t.s
	begun := w.s.now()
	passed, rest, ended := w.drain(r)
	if !ended && w.problem == "" && w.s.now().Sub(begun)+rest > drainWithin {
		w.late()
	}
	if ended && w.problem == "" {
		_ = w.probe(0) && w.probe(1)
	}
	if w.problem != "" {
		return w.problem, w.unsafe
	}
	end := passed[len(passed)-1].at.Add(rest)
	for _, p := range passed {
		r.put(p.key, end.Sub(p.at))
	}
	return "", false
}

// way is a walk without faults.
type way struct {
	w       *world
	s       state
	tell    func(before *state, m Move, t *step)
	moved   int
	got     int // packets that came out
	shook   bool
	problem string
	unsafe  bool // the problem is something that must never be
	scratch *[]byte
}

type passed struct {
	key hash
	at  timers.Time
}

func (w *way) move(m Move) {
	w.moved++
	t := w.w.apply(&w.s, m)
	if w.tell != nil {
		w.tell(&w.s, m, &t)
	}
	w.got += t.came
	w.shook = w.shook || t.shook != 0
	if t.full && t.broken == "" {
		t.broken = fmt.Sprintf("more than %d datagrams are in flight", maxFlight)
	}
	if t.broken != "" && w.problem == "" {
		w.problem, w.unsafe = t.broken, true
	}
	w.s = t.s
	w.key()
}

// key gives the state's name, and puts what is in flight in order.
func (w *way) key() hash {
	*w.scratch = w.s.canon((*w.scratch)[:0])
	return sum(*w.scratch)
}

func (w *way) over() bool {
	if w.moved > patience && w.problem == "" {
		w.problem = fmt.Sprintf("no end after %d steps", patience)
	}
	return w.problem != ""
}

func (w *way) late() {
	w.problem = fmt.Sprintf("a packet waits for a handshake that does not come within %v (HS-13, TIMER-01)", drainWithin)
}

// waits reports whether a host holds packets for a handshake.
func (w *way) waits() bool { return w.s.host[0].staged+w.s.host[1].staged > 0 }

// drain goes on until nothing is in flight and nothing waits. It gives the states on the way, and ended; if not, it
// met one that is known to have a way that takes rest.
func (w *way) drain(r *ways) (on []passed, rest time.Duration, ended bool) {
	begun := w.s.now()
	for !w.over() {
		if r != nil {
			h := w.key()
			on = append(on, passed{h, w.s.now()})
			if rest, ok := r.get(h); ok && w.tell == nil {
				return on, rest, false
			}
		}
		switch {
		case w.s.n > 0:
			w.move(Move{Kind: Deliver})
		case w.waits():
			at, ok := w.s.soon()
			if !ok || at.Sub(begun) > drainWithin {
				w.late()
				return on, 0, true
			}
			w.move(Move{Kind: Wait})
		default:
			return on, 0, true
		}
	}
	return on, 0, true
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
		until := w.s.now().Add(silence)
		for !w.shook && !w.over() {
			at, ok := w.s.soon()
			if !ok || at > until {
				break
			}
			w.move(Move{Kind: Wait})
			for w.s.n > 0 && !w.over() {
				w.move(Move{Kind: Deliver})
			}
		}
		w.drain(nil)
	}
	if w.problem == "" {
		w.problem = fmt.Sprintf("no packet of %s gets through any more (HS-13, TIMER-16)", names[host])
	}
	return false
}
