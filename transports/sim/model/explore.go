package model

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/purewire/purewire/protocol"
)

// Options bound a check. A zero field stands for the default behind it.
type Options struct {
	States     int // stop after a level that reaches so many: 2,000,000
	Depth      int // moves on a path: 64
	Flight     int // datagrams in flight at once: 4; a path that would have more ends
	Drops      int // per path: 1; negative: none, as with the following
	Duplicates int // 1
	Restarts   int // 1
	Packets    int // 4
	Workers    int // goroutines: GOMAXPROCS
	Pairs      int // merged pairs to try out: 10,000
	// Prepare, if set, is called with each new core before it is configured, so that known-bad ones can be made.
	Prepare func(host string, d *protocol.Device)
	// Stop, if set, is asked now and then whether to end at once.
	Stop func() bool
	// Progress, if set, is told about each level.
	Progress func(Level)
}

func (o Options) withDefaults() Options {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
		*v = max(*v, 0)
	}
	set(&o.States, 2_000_000)
	set(&o.Depth, 64)
	set(&o.Flight, 4)
	set(&o.Drops, 1)
	set(&o.Duplicates, 1)
	set(&o.Restarts, 1)
	set(&o.Packets, 4)
	set(&o.Workers, runtime.GOMAXPROCS(0))
	set(&o.Pairs, 10_000)
	return o
}

// Level is what the states of one depth came to.
type Level struct {
	Depth     int `json:"depth"`
	New       int `json:"new"`       // states first reached with so many moves
	Moves     int `json:"moves"`     // that led to them or to states known before
	Merged    int `json:"merged"`    // moves that led to a state known before
	Full      int `json:"full"`      // moves not made because too much would have been in flight
	Recovered int `json:"recovered"` // of New, after which recovery was shown
}

// Report is what a check found.
type Report struct {
	States   int             `json:"states"`
	Depth    int             `json:"depth"` // of the last level that is complete
	Complete bool            `json:"complete"`
	Stopped  bool            `json:"stopped"` // by Options.Stop, States or Depth
	Levels   []Level         `json:"levels"`
	Reached  []string        `json:"reached"`
	Missed   []string        `json:"missed"`
	Pairs    int             `json:"merged_pairs_tried"`
	Span     time.Duration   `json:"longest_ns"` // virtual time of the longest path
	Failure  *CounterExample `json:"failure,omitempty"`
}

// CounterExample is a path to a state that must not be.
type CounterExample struct {
	Rule  string   `json:"rule"` // safety, recovery or merge
	What  string   `json:"what"`
	Steps []string `json:"steps"`
}

// node is a state that was reached, and how.
type node struct {
	parent int32
	move   Move
}

type item struct {
	id int32
	s  *state
}

// explorer is a breadth-first search. Only the states of the latest level are kept alive.
type explorer struct {
	*fixed
	o       Options
	nodes   []node
	known   map[hash]int32
	safe    recovered
	pairs   sampler
	reached Reached
	report  Report
	// over is set once a counter-example is found or Stop says so.
	over bool
}

// Check explores until there is nothing new, a bound is reached, or something is found that must not be. An error
// means that the world could not be made.
func Check(o Options) (*Report, error) {
	x := &explorer{fixed: newFixed(o.Prepare), o: o.withDefaults(), known: map[hash]int32{}}
	x.safe.x, x.pairs.want = x, x.o.Pairs
	first, err := begin(x.fixed, budget{uint8(x.o.Drops), uint8(x.o.Duplicates), uint8(x.o.Restarts),
		uint8(x.o.Packets)})
	if err != nil {
		return nil, err
	}
	x.nodes = append(x.nodes, node{parent: -1})
	x.known[sum(first.canon(nil, true))] = 0
	level := []item{{0, first}}
	for depth := 1; len(level) > 0 && !x.over; depth++ {
		if depth > x.o.Depth || len(x.nodes) >= x.o.States {
			x.report.Stopped = true
			break
		}
		level = x.expand(level, depth)
	}
	x.report.Complete = len(level) == 0 && !x.over
	x.report.States = len(x.nodes)
	if x.report.Failure == nil {
		x.tryPairs()
	}
	x.report.Reached = x.reached.Names()
	x.report.Missed = (^x.reached & (1<<numReached - 1)).Names()
	return &x.report, nil
}

// seedOf gives each move of each state its own luck.
func seedOf(id int32, m Move) uint64 {
	z := uint64(id)<<24 | uint64(m.Kind)<<16 | uint64(m.Of)<<8
	if m.Late {
		z |= 1
	}
	z = (z ^ z>>33) * 0xff51afd7ed558ccd
	z = (z ^ z>>33) * 0xc4ceb9fe1a85ec53
	return z ^ z>>33
}

// found is what one move came to.
type found struct {
	move    Move
	key     hash
	s       *state
	reached Reached
	broken  string
	full    bool
}

// successors makes all moves of a state.
func (x *explorer) successors(it item, scratch *[]byte) (list []found) {
	for _, m := range it.s.moves(x.o.Flight) {
		for {
			t := x.apply(it.s, m, seedOf(it.id, m))
			f := found{move: m, s: t.s, reached: t.reached, broken: t.broken, full: len(t.s.flight) > x.o.Flight}
			if !f.full {
				*scratch = t.s.canon((*scratch)[:0], true)
				f.key = sum(*scratch)
			}
			list = append(list, f)
			if m.Late || t.e.shakes == 0 {
				break
			}
			m.Late = true
		}
	}
	return list
}

const chunk = 256

// expand makes the next level. Work is spread over goroutines in chunks; what they found is taken in order, so that
// the numbers of states do not depend on luck.
func (x *explorer) expand(level []item, depth int) (next []item) {
	l := Level{Depth: depth}
	for len(level) > 0 && !x.over {
		part := level[:min(chunk*x.o.Workers, len(level))]
		lists := make([][]found, len(part))
		x.parallel(len(part), func(i int, scratch *[]byte) { lists[i] = x.successors(part[i], scratch) })
		from := len(next)
		for i := range part {
			next = x.merge(part[i].id, lists[i], next, &l)
			part[i].s = nil
		}
		fresh := next[from:]
		failures := make([]*CounterExample, len(fresh))
		x.parallel(len(fresh), func(i int, scratch *[]byte) { failures[i] = x.safe.check(fresh[i], scratch) })
		for _, f := range failures {
			if f != nil && x.report.Failure == nil {
				x.report.Failure, x.over = f, true
			}
		}
		l.Recovered += len(fresh)
		level = level[len(part):]
		if x.o.Stop != nil && x.o.Stop() {
			x.over, x.report.Stopped = true, true
		}
	}
	if !x.over {
		x.report.Depth = depth
	}
	x.report.Levels = append(x.report.Levels, l)
	if x.o.Progress != nil {
		x.o.Progress(l)
	}
	return next
}

// parallel calls work for 0 to n−1.
func (x *explorer) parallel(n int, work func(i int, scratch *[]byte)) {
	var wg sync.WaitGroup
	for w := range x.o.Workers {
		wg.Go(func() {
			var scratch []byte
			for i := w; i < n; i += x.o.Workers {
				work(i, &scratch)
			}
		})
	}
	wg.Wait()
}

// merge takes what the moves of one state came to.
func (x *explorer) merge(parent int32, list []found, next []item, l *Level) []item {
	for _, f := range list {
		l.Moves++
		x.reached |= f.reached
		if f.broken != "" {
			if x.report.Failure == nil {
				x.over = true
				x.report.Failure = &CounterExample{Rule: "safety", What: f.broken, Steps: x.tell(parent, &f.move, nil)}
			}
			continue
		}
		if f.full {
			l.Full++
			continue
		}
		if same, ok := x.known[f.key]; ok {
			l.Merged++
			x.pairs.offer(pair{parent, f.move, same})
			continue
		}
		id := int32(len(x.nodes))
		x.nodes = append(x.nodes, node{parent, f.move})
		x.known[f.key] = id
		l.New++
		x.report.Span = max(x.report.Span, f.s.now.Sub(0))
		next = append(next, item{id, f.s})
	}
	return next
}

// path gives the states' numbers from the first to id.
func (x *explorer) path(id int32) (ids []int32) {
	for ; id >= 0; id = x.nodes[id].parent {
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids
}

// rebuild makes the state of a node again, move by move, and shows each to see.
func (x *explorer) rebuild(id int32, see func(before *state, m Move, t *step)) (*state, error) {
	s, err := begin(x.fixed, budget{uint8(x.o.Drops), uint8(x.o.Duplicates), uint8(x.o.Restarts), uint8(x.o.Packets)})
	if err != nil {
		return nil, err
	}
	ids := x.path(id)
	for k := 1; k < len(ids); k++ {
		m := x.nodes[ids[k]].move
		t := x.apply(s, m, seedOf(ids[k-1], m))
		if see != nil {
			see(s, m, t)
		}
		s = t.s
	}
	return s, nil
}

// tell writes a path down for people: to the state of a node, then one move more, if there is one, and what came
// after it.
func (x *explorer) tell(id int32, last *Move, after []string) (steps []string) {
	see := func(before *state, m Move, t *step) { steps = append(steps, describe(before, m, t)) }
	s, err := x.rebuild(id, see)
	if err != nil {
		return []string{err.Error()}
	}
	if last != nil {
		see(s, *last, x.apply(s, *last, seedOf(id, *last)))
	}
	return append(steps, after...)
}

// describe is one line of a counter-example: when, what was done, and what it led to.
func describe(before *state, m Move, t *step) string {
	var what string
	switch m.Kind {
	case Deliver, Drop, Duplicate:
		what = map[Kind]string{Deliver: "arrives: ", Drop: "is lost: ", Duplicate: "is doubled: "}[m.Kind] +
			before.flight[m.Of].String()
	case Wait:
		what = fmt.Sprintf("%v pass", t.s.now.Sub(before.now))
	case Send:
		what = names[m.Of] + " sends a packet"
	case Restart:
		what = names[m.Of] + " restarts and has lost everything"
	}
	if m.Late {
		what += " (jitter 333 ms)"
	}
	known := map[uint64]bool{}
	for _, d := range before.flight {
		known[d.id] = true
	}
	arrow := " → "
	for i := range t.s.flight {
		if !known[t.s.flight[i].id] {
			what += arrow + t.s.flight[i].String()
			arrow = ", "
		}
	}
	if t.delivered > 0 {
		what += arrow + "the packet comes out"
	}
	return fmt.Sprintf("%9.3fs  %s", t.s.now.Sub(0).Seconds(), what)
}
