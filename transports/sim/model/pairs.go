package model

import (
	"bytes"
	"fmt"
	"strings"
)

// pair is a move that led to a state known before, if not the same to the byte: after it, from, and the state same
// cannot be told apart, which tryPairs does not take on trust.
type pair struct {
	from int32
	move Move
	same int32
}

// luck draws numbers.
type luck uint64

func (l *luck) draw(n int) int {
	*l += 0x9e3779b97f4a7c15
	return int(mix(uint64(*l)) >> 16 % uint64(n))
}

// sampler keeps so many of all pairs offered, each with the same chance.
type sampler struct {
	want, seen int
	luck       luck
	list       []pair
}

func (s *sampler) offer(p pair) {
	s.seen++
	if len(s.list) < s.want {
		s.list = append(s.list, p)
	} else if i := s.luck.draw(s.seen); i < s.want {
		s.list[i] = p
	}
}

// pairSteps is how long the two states of a pair are compared.
const pairSteps = 6

// tryPairs makes six random moves from both states of each pair, in worlds with different luck for keys and indices
// and without a memory, and wants equal states after each.
func (x *explorer) tryPairs() {
	list := x.pairs.list
	failures := make([]*CounterExample, len(list))
	x.parallel(len(list), func(i int, scratch *[]byte) {
		failures[i] = x.tryPair(list[i], uint64(i), scratch)
	})
	for _, f := range failures {
		if f != nil && x.report.Failure == nil {
			x.report.Failure = f
		}
	}
	x.report.Pairs = len(list)
}

// difference says for people in what two states differ, as far as the hosts' texts show it.
func difference(a, b *state) string {
	for i, h := range a.host {
		one, two := strings.Split(h.words, "\n"), strings.Split(b.host[i].words, "\n")
		for k := range min(len(one), len(two)) {
			if one[k] != two[k] {
				return fmt.Sprintf("%s has %q and %q", names[i], one[k], two[k])
			}
		}
		if len(one) != len(two) {
			return fmt.Sprintf("%s has %d and %d key pairs and handshakes", names[i], len(one), len(two))
		}
	}
	return "the hosts are alike, and the indices or what is in flight are not"
}

func (x *explorer) tryPair(p pair, number uint64, scratch *[]byte) *CounterExample {
	before := x.rebuild(p.from, nil)
	t := x.apply(before, p.move)
	a, b := t.s, *x.rebuild(p.same, nil)
	key := func(s *state) string {
		*scratch = s.canon((*scratch)[:0])
		return string(*scratch)
	}
	a.left = b.left // the first may do all that the second may: see explorer.covered
	key(&a)
	key(&b)
	one, two := x.afresh(1+2*number), x.afresh(2+2*number)
	dice := luck(number)
	var steps []string
	for k := range pairSteps {
		moves := a.moves(nil)
		if len(moves) == 0 {
			break
		}
		m := moves[dice.draw(len(moves))]
		m.Late = uint8(dice.draw(4))
		s, t := one.apply(&a, m), two.apply(&b, m)
		steps = append(steps, describe(&a, m, &s))
		if s.full || t.full {
			break
		}
		a, b = s.s, t.s
		left, right := []byte(key(&a)), []byte(key(&b))
		if !bytes.Equal(left, right) || s.broken != t.broken || s.came != t.came {
			return &CounterExample{Rule: "merge", Steps: append(x.tell(p.same, nil), append(
				[]string{"-- this and another path lead to states that were merged; from both on:"}, steps...)...),
				What: fmt.Sprintf("two states that were merged differ after %d moves: %s", k+1, difference(&a, &b)),
			}
		}
	}
	return nil
}
