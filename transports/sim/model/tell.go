package model

import (
	"fmt"
	"strings"
)

// rebuild makes the state of a node again, move by move, and shows each to see.
func (x *explorer) rebuild(id int32, see func(before *state, m Move, t *step)) *state {
	var ids []int32
	for ; x.nodes[id].parent >= 0; id = x.nodes[id].parent {
		ids = append(ids, id)
	}
	s := *x.roots[x.nodes[id].root].s
	var scratch []byte
	for k := len(ids) - 1; k >= 0; k-- {
		m := x.nodes[ids[k]].move
		t := x.apply(&s, m)
		if see != nil {
			see(&s, m, &t)
		}
		s = t.s
		scratch = s.canon(scratch[:0])
	}
	return &s
}

// tell writes a path down for people: to the state of a node, then one move more, if there is one.
func (x *explorer) tell(id int32, last *Move) (steps []string) {
	steps = append(steps, x.roots[x.nodes[id].root].steps...)
	see := func(before *state, m Move, t *step) { steps = append(steps, describe(before, m, t)) }
	s := x.rebuild(id, see)
	if last != nil {
		t := x.apply(s, *last)
		see(s, *last, &t)
	}
	return steps
}

// describe is one line of a counter-example: when, what was done, and what it led to.
func describe(before *state, m Move, t *step) string {
	var b strings.Builder
	ms := t.s.now().Sub(0).Milliseconds()
	fmt.Fprintf(&b, "%5d.%03ds  ", ms/1000, ms%1000)
	switch m.Kind {
	case Deliver:
		fmt.Fprintf(&b, "%v arrives", before.flight[m.Of])
	case Drop:
		fmt.Fprintf(&b, "%v is lost", before.flight[m.Of])
	case Duplicate:
		fmt.Fprintf(&b, "%v arrives, and a copy is still on its way", before.flight[m.Of])
	case Wait:
		fmt.Fprintf(&b, "%v later", t.s.now().Sub(before.now()))
	case Send:
		fmt.Fprintf(&b, "%s sends a packet", names[m.Of])
	case Restart:
		fmt.Fprintf(&b, "%s restarts and has lost everything", names[m.Of])
	}
	for i, name := range names {
		if m.Late>>i&1 != 0 && t.shook>>i&1 != 0 {
			fmt.Fprintf(&b, " (%s draws a jitter of 333 ms)", name)
		}
	}
	const arrow = " → "
	if t.came > 0 {
		b.WriteString(arrow + "the packet comes out")
	}
	for _, out := range t.out {
		for _, o := range out {
			b.WriteString(arrow + o.String())
		}
	}
	for _, gone := range t.gone {
		fmt.Fprintf(&b, "%s%v can do nothing any more", arrow, gone)
	}
	return b.String()
}
