package model

import "sync"

type item struct {
	id int32
	s  state
}

// node is a state that was reached, and how. Those that are equal but for their budgets are linked.
type node struct {
	parent int32 // −1: a root
	equal  int32 // another, −1: none
	move   Move
	root   uint8
	left   budget
	exact  uint64 // of the state, to the byte
}

// explorer is a breadth-first search. Only the states of the latest level are kept; others are made again if needed.
type explorer struct {
	*world
	o       Options
	roots   []root
	nodes   []node
	known   map[hash]int32 // the node found last of those that are equal but for their budgets
	safe    ways
	pairs   sampler
	reached Reached
	report  Report
	over    bool // a counter-example was found, or Stop says so
}

// Check explores until there is nothing new, a bound is reached, or something is found that must not be. An error
// means that the world could not be made.
func Check(o Options) (*Report, error) {
	x := &explorer{world: newWorld(o.Prepare), o: o.withDefaults(), known: map[hash]int32{}}
	x.world.forget = o.forget
	x.safe.w, x.pairs.want = x.world, x.o.Pairs
	if err := x.plant(); err != nil {
		return nil, err
	}
	var level []item
	var l Level
	for i := range x.roots {
		if x.report.Failure != nil {
			break
		}
		var scratch []byte
		s := *x.roots[i].s
		scratch = s.canon(scratch)
		n := node{parent: -1, root: uint8(i), left: s.left, exact: s.exact()}
		level = x.add(found{key: sum(scratch), s: s}, n, level, &l)
	}
	for depth := 1; len(level) > 0 && !x.over; depth++ {
		if depth > x.o.Depth || len(x.nodes) >= x.o.States {
			x.report.Stopped = true
			break
		}
		level = x.expand(level, depth)
	}
	x.report.Complete = len(level) == 0 && !x.over
	x.report.Different = x.pairs.seen
	x.report.States, x.report.Configurations = len(x.nodes), len(x.known)
	if x.report.Failure == nil {
		x.tryPairs()
	}
	for i, name := range reachedNames {
		if x.reached>>i&1 == 0 {
			x.report.Missed = append(x.report.Missed, name)
		}
	}
	return &x.report, nil
}

// found is what one move came to.
type found struct {
	move    Move
	key     hash
	s       state
	reached Reached
	broken  string
	full    bool
	exact   uint64
}

// successors makes all moves of a state, and those that drew a jitter once more with another.
func (x *explorer) successors(it *item, scratch *[]byte) (list []found) {
	var room [32]Move
	for _, m := range it.s.moves(room[:0]) {
		from := len(list)
		t := x.apply(&it.s, m)
		list = append(list, x.name(m, &t, scratch))
		for late := uint8(1); late < 1<<hosts; late++ {
			if late&^t.shook != 0 {
				continue
			}
			m.Late = late
			other := x.apply(&it.s, m)
			f := x.name(m, &other, scratch)
			differs := true
			for _, e := range list[from:] {
				differs = differs && e.key != f.key
			}
			if differs {
				list = append(list, f)
			}
		}
	}
	return list
}

func (x *explorer) name(m Move, t *step, scratch *[]byte) found {
	f := found{move: m, s: t.s, reached: t.reached, broken: t.broken, full: t.full || int(t.s.n) > x.o.Flight}
	*scratch = f.s.canon((*scratch)[:0])
	f.key, f.exact = sum(*scratch), f.s.exact()
	return f
}

const chunk = 512

// expand makes the next level. Work is spread over goroutines in chunks; what they found is taken in order, so that
// the numbers of states do not depend on luck.
func (x *explorer) expand(level []item, depth int) (next []item) {
	l := Level{Depth: depth}
	for len(level) > 0 && !x.over {
		part := level[:min(chunk*16, len(level))]
		lists := make([][]found, len(part))
		x.parallel(len(part), func(i int, scratch *[]byte) { lists[i] = x.successors(&part[i], scratch) })
		from := len(next)
		for i := range part {
			next = x.merge(part[i].id, lists[i], next, &l)
		}
		x.recover(next[from:])
		level = level[len(part):]
		if x.o.Stop != nil && x.o.Stop() {
			x.over, x.report.Stopped = true, true
		}
		if x.o.Progress != nil {
			x.o.Progress(l, len(x.nodes), len(level))
		}
	}
	if !x.over {
		x.report.Depth = depth
	}
	x.report.Levels = append(x.report.Levels, l)
	return next
}

// recover wants a way back from each of these.
func (x *explorer) recover(fresh []item) {
	problems, unsafe := make([]string, len(fresh)), make([]bool, len(fresh))
	x.parallel(len(fresh), func(i int, scratch *[]byte) {
		problems[i], unsafe[i] = x.safe.check(&fresh[i].s, scratch, nil)
	})
	for i, p := range problems {
		if p == "" || x.report.Failure != nil {
			continue
		}
		rule, head := "recovery", "-- from here on nothing is lost, and still:"
		if unsafe[i] {
			rule, head = "safety", "-- and then, on the way back:"
		}
		steps := append(x.tell(fresh[i].id, nil), head)
		var scratch []byte
		x.safe.check(&fresh[i].s, &scratch, func(before *state, m Move, t *step) {
			steps = append(steps, describe(before, m, t))
		})
		x.over = true
		x.report.Failure = &CounterExample{Rule: rule, What: p, Steps: steps}
	}
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
	root := x.nodes[parent].root
	for _, f := range list {
		l.Moves++
		x.reach(f.reached, root, l.Depth)
		if f.broken != "" {
			if x.report.Failure == nil {
				x.over = true
				x.report.Failure = &CounterExample{Rule: "safety", What: f.broken, Steps: x.tell(parent, &f.move)}
			}
			continue
		}
		if f.full {
			l.Full++
			continue
		}
		if l.Depth > x.o.DoubleDepth && int(f.s.left.faults)+1 < x.o.Faults {
			l.Cut++
			continue
		}
		next = x.add(f, node{parent: parent, move: f.move, root: root, left: f.s.left, exact: f.exact}, next, l)
	}
	return next
}

// add makes a node of what was found, unless one is known that is equal and may do all that this one may: whatever
// can come of this one comes of that one too, in as many moves, and that one was reached in no more.
func (x *explorer) add(f found, n node, next []item, l *Level) []item {
	first, ok := x.known[f.key]
	n.equal = -1
	if ok {
		n.equal = first
		for id := first; id >= 0; id = x.nodes[id].equal {
			if !x.nodes[id].left.covers(n.left) {
				continue
			}
			l.Merged++
			if x.nodes[id].exact != n.exact && n.parent >= 0 {
				x.pairs.offer(pair{n.parent, n.move, id})
			}
			return next
		}
	}
	id := int32(len(x.nodes))
	x.nodes = append(x.nodes, n)
	x.known[f.key] = id
	l.New++
	x.report.Span = max(x.report.Span, f.s.now().Sub(0))
	return append(next, item{id, f.s})
}

func (x *explorer) reach(r Reached, root uint8, depth int) {
	for i := range reachedNames {
		if r>>i&1 != 0 && x.reached>>i&1 == 0 {
			x.report.Reached = append(x.report.Reached,
				Milestone{reachedNames[i], depth, x.roots[root].name})
		}
	}
	x.reached |= r
}
