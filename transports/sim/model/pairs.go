package model

import (
	"bytes"
	"fmt"
)

// pair is a move that led to a state known before: after it, from, and the state same cannot be told apart, which
// tryPairs does not take on trust.
type pair struct {
	from int32
	move Move
	same int32
}

// sampler keeps so many of all pairs offered, each with the same chance.
type sampler struct {
	want, seen int
	luck       entropy
	list       []pair
}

func (s *sampler) draw(n int) int {
	var b [8]byte
	_, _ = s.luck.Read(b[:])
	v := 0
	for _, c := range b[:6] {
		v = v<<8 | int(c)
	}
	return v % n
}

func (s *sampler) offer(p pair) {
	s.seen++
	if len(s.list) < s.want {
		s.list = append(s.list, p)
	} else if i := s.draw(s.seen); i < s.want {
		s.list[i] = p
	}
}

// pairSteps is how long the two states of a pair are compared.
const pairSteps = 6

// tryPairs makes six random moves from both states of each pair, with different luck for keys and indices, and wants
// equal states after each.
func (x *explorer) tryPairs() {
	list := x.pairs.list
	failures := make([]*CounterExample, len(list))
	x.parallel(len(list), func(i int, _ *[]byte) {
		failures[i] = x.tryPair(list[i], uint64(i))
	})
	for _, f := range failures {
		if f != nil && x.report.Failure == nil {
			x.report.Failure = f
		}
	}
	x.report.Pairs = len(list)
}

func (x *explorer) tryPair(p pair, number uint64) *CounterExample {
	before, err := x.rebuild(p.from, nil)
	if err != nil {
		return &CounterExample{Rule: "merge", What: err.Error()}
	}
	a := x.apply(before, p.move, seedOf(p.from, p.move)).s
	b, err := x.rebuild(p.same, nil)
	if err != nil {
		return &CounterExample{Rule: "merge", What: err.Error()}
	}
	luck := sampler{luck: entropy{state: number ^ 0x5bd1e995}}
	var steps []string
	for k := range uint64(pairSteps) {
		moves := a.moves(x.o.Flight)
		if len(moves) == 0 {
			return nil
		}
		m := moves[luck.draw(len(moves))]
		m.Late = luck.draw(2) == 1
		one := x.apply(a, m, number<<8|k)
		two := x.apply(b, m, ^(number<<8 | k))
		steps = append(steps, describe(a, m, one))
		a, b = one.s, two.s
		if s, t := a.canon(nil, true), b.canon(nil, true); !bytes.Equal(s, t) || one.broken != two.broken {
			return &CounterExample{Rule: "merge", Steps: steps, What: fmt.Sprintf(
				"two states that were merged behave differently after %d moves:\n%s\n%s\n%s", k+1, s, t, one.broken)}
		}
	}
	return nil
}
