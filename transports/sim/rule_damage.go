package sim

import (
	"slices"

	"github.com/purewire/purewire/timers"
)

// Corrupt turns over one to three bits, different ones.
type Corrupt struct{ Ratio Ratio }

// Judge implements [Rule].
func (c Corrupt) Judge(_ timers.Time, p *Passing, r *Rand) Verdict {
	if len(p.Data) == 0 || !r.Chance(c.Ratio) {
		return Verdict{}
	}
	v := Verdict{Why: "corrupt", Kind: FaultCorrupt}
	for n := 1 + r.Intn(3); n > 0; n-- {
		bit := r.Intn(8 * len(p.Data))
		if !slices.Contains(v.Flip, bit) {
			v.Flip = append(v.Flip, bit)
		}
	}
	return v
}

// Fresh implements [Rule].
func (c Corrupt) Fresh() Rule { return c }

// Truncate cuts off the end of a datagram: one byte at least, all of it at most.
type Truncate struct{ Ratio Ratio }

// Judge implements [Rule].
func (c Truncate) Judge(_ timers.Time, p *Passing, r *Rand) Verdict {
	if len(p.Data) == 0 || !r.Chance(c.Ratio) {
		return Verdict{}
	}
	return Verdict{Cut: 1 + r.Intn(len(p.Data)), Why: "truncate", Kind: FaultTruncate}
}

// Fresh implements [Rule].
func (c Truncate) Fresh() Rule { return c }

// Extend appends 1 to Most random bytes to a datagram; zero Most: 16.
type Extend struct {
	Ratio Ratio
	Most  int
}

// Judge implements [Rule].
func (c Extend) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	if !r.Chance(c.Ratio) {
		return Verdict{}
	}
	most := c.Most
	if most <= 0 {
		most = 16
	}
	v := Verdict{Extend: make([]byte, 1+r.Intn(most)), Why: "extend", Kind: FaultExtend}
	_, _ = r.Read(v.Extend)
	return v
}

// Fresh implements [Rule].
func (c Extend) Fresh() Rule { return c }
