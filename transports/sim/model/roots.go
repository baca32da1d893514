package model

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/timers"
)

// root is a state from which is explored. Depths count from it.
type root struct {
	name  string
	s     *state
	steps []string // how it came about
}

// plant makes the roots: two hosts that have just come up, or a session, opened by either, whose last moment before
// its initiator wants another one has come. What led there is a path without faults and without jitter.
func (x *explorer) plant() error {
	from, to := -1, 0
	if x.o.Aged {
		from, to = 0, hosts
	}
	for i := from; i < to; i++ {
		s, err := x.begin()
		if err != nil {
			return err
		}
		r := root{name: "the start", s: s}
		if i >= 0 {
			r.name = fmt.Sprintf("a session of %s's that is 120 s old", names[i])
			if broken := x.grow(&r, uint8(i)); broken != "" {
				x.report.Failure = &CounterExample{Rule: "safety", What: broken, Steps: r.steps}
				return nil
			}
		}
		r.s.left = x.o.budget()
		x.roots = append(x.roots, r)
		x.report.Roots = append(x.report.Roots, r.name)
	}
	return nil
}

// grow opens a session from a host and lets both be quiet until it is 120 s old.
func (x *explorer) grow(r *root, from uint8) (broken string) {
	var scratch []byte
	move := func(m Move) {
		t := x.apply(r.s, m)
		r.steps = append(r.steps, describe(r.s, m, &t))
		r.s = &t.s
		scratch = r.s.canon(scratch[:0])
		if broken == "" {
			broken = t.broken
		}
	}
	r.s.left.packets = 2 // one is never sent: with none left, the ages of sessions would not matter
	move(Move{Kind: Send, Of: from})
	for broken == "" && r.s.now() < timers.Time(120*time.Second) {
		if r.s.n > 0 {
			move(Move{Kind: Deliver})
		} else {
			move(Move{Kind: Wait})
		}
	}
	return broken
}
