package sim

import (
	"math/bits"
	"time"

	"github.com/purewire/purewire/timers"
)

// Late adds between Min and Max of delay, every value equally likely.
type Late struct{ Min, Max time.Duration }

// Judge implements [Rule].
func (l Late) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	return Verdict{Delay: l.Min + r.Duration(l.Max-l.Min), Why: "delay", Kind: FaultDelay}
}

// Fresh implements [Rule].
func (l Late) Fresh() Rule { return l }

// Jitter adds between 0 and Most of delay, distributed as Shape says, to a Base that is not counted as trouble. Ordered
// keeps each datagram behind the one before it.
type Jitter struct {
	Base, Most time.Duration
	Shape      Shape
	Ordered    bool
}

var shapeKinds = [...]FaultKind{FaultJitter, FaultNormalJitter, FaultHeavyTail}

// Judge implements [Rule]; only for a Jitter that is not Ordered, which keeps no state.
func (j Jitter) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	extra := j.Shape.draw(j.Most, r)
	v := Verdict{Delay: j.Base + extra, Why: "jitter"}
	if extra > 0 {
		v.Kind = shapeKinds[j.Shape]
	}
	return v
}

// Fresh implements [Rule].
func (j Jitter) Fresh() Rule {
	if j.Ordered {
		return &ordered{Jitter: j}
	}
	return j
}

// ordered is a Jitter that remembers when the last datagram got through.
type ordered struct {
	Jitter
	last timers.Time
}

func (o *ordered) Judge(now timers.Time, p *Passing, r *Rand) Verdict {
	v := o.Jitter.Judge(now, p, r)
	o.last = max(o.last, now.Add(v.Delay))
	v.Delay = o.last.Sub(now)
	return v
}

// draw takes a delay from 0 to most from the stream; 0 draws nothing. All of it is arithmetic of whole numbers.
func (s Shape) draw(most time.Duration, r *Rand) time.Duration {
	if most <= 0 {
		return 0
	}
	switch s {
	case ShapeNormal:
		return normal(most, r.Uint64())
	case ShapePareto:
		return pareto(most, r.Uint64())
	}
	return r.Duration(most)
}

// normal adds the sixteen digits of u to the base 16: a sum of sixteen equal draws, which is as good as bell-shaped.
// Its mean is 120 and its deviation 18.4, so that eight deviations are 148; what lies farther out is cut off. The grid
// between two sums is filled from a mix of the same bits.
func normal(most time.Duration, u uint64) time.Duration {
	sum := uint64(0)
	for v := u; v > 0; v >>= 4 {
		sum += v & 15
	}
	const low, wide = 120 - 74, 148
	fine := sum<<16 | u*0x9e3779b97f4a7c15>>48
	fine = min(max(fine, low<<16), (low+wide)<<16) - low<<16
	hi, lo := bits.Mul64(uint64(most), fine)
	q, _ := bits.Div64(hi, lo, wide<<16)
	return time.Duration(q)
}

// pareto is a law of power 1 from 1/100 of most on, moved to begin at 0 and cut off at most: of n draws about n/100
// are over half of it, and half are under a hundredth.
func pareto(most time.Duration, u uint64) time.Duration {
	scale := max(uint64(most)/100, 1)
	// scale·(2^32/v − 1) for v equally likely from 1 to 2^32.
	v := u>>32 + 1
	hi, lo := bits.Mul64(scale, 1<<32-v)
	if hi >= v {
		return most
	}
	q, _ := bits.Div64(hi, lo, v)
	return time.Duration(min(q, uint64(most)))
}

// Reorder holds some datagrams back for By, so that those which come after overtake them.
type Reorder struct {
	Ratio Ratio
	By    time.Duration
}

// Judge implements [Rule].
func (o Reorder) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	if !r.Chance(o.Ratio) {
		return Verdict{}
	}
	return Verdict{Delay: o.By, Why: "reorder", Kind: FaultReorder}
}

// Fresh implements [Rule].
func (o Reorder) Fresh() Rule { return o }

// Duplicate makes one copy more.
type Duplicate struct{ Ratio Ratio }

// Judge implements [Rule].
func (d Duplicate) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	if r.Chance(d.Ratio) {
		return Verdict{Copies: 1, Why: "duplicate", Kind: FaultDuplicate}
	}
	return Verdict{}
}

// Fresh implements [Rule].
func (d Duplicate) Fresh() Rule { return d }
