package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/timers"
)

// Passing is a datagram on a line, as a [Rule] sees it. It must not be changed.
type Passing struct {
	Number   uint64
	Host     string // who sent it
	Src, Dst netip.AddrPort
	Data     []byte
}

// Verdict is what a [Rule] wants done with a datagram. The zero Verdict lets it pass.
type Verdict struct {
	Drop   bool
	Delay  time.Duration // more time on the line
	Copies int           // so many more of it, each of which meets the rules that follow
	Flip   []int         // bits of the payload to turn over, counted from bit 0 of byte 0
	Why    string        // one word: "loss"
}

// Rule is a fault of the network. It is asked about each datagram that comes to a line, in the order in which they
// come, with the time and a random stream of its own. A rule that keeps state makes it in Fresh.
type Rule interface {
	Judge(now timers.Time, p *Passing, r *Rand) Verdict
	// Fresh returns the rule as it is at the start of a run: itself if it keeps no state.
	Fresh() Rule
}

// The rules below are the parts of a [Line], usable in a [Fault] too.

// Lose drops datagrams, each independently of the others.
type Lose struct{ Ratio Ratio }

// Judge implements [Rule].
func (l Lose) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	return Verdict{Drop: r.Chance(l.Ratio), Why: "loss"}
}

// Fresh implements [Rule].
func (l Lose) Fresh() Rule { return l }

// Late adds between Min and Max of delay.
type Late struct{ Min, Max time.Duration }

// Judge implements [Rule].
func (l Late) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	return Verdict{Delay: l.Min + r.Duration(l.Max-l.Min), Why: "delay"}
}

// Fresh implements [Rule].
func (l Late) Fresh() Rule { return l }

// Duplicate makes one copy more.
type Duplicate struct{ Ratio Ratio }

// Judge implements [Rule].
func (d Duplicate) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	if r.Chance(d.Ratio) {
		return Verdict{Copies: 1, Why: "duplicate"}
	}
	return Verdict{}
}

// Fresh implements [Rule].
func (d Duplicate) Fresh() Rule { return d }

// Corrupt turns over one to three bits, different ones.
type Corrupt struct{ Ratio Ratio }

// Judge implements [Rule].
func (c Corrupt) Judge(_ timers.Time, p *Passing, r *Rand) Verdict {
	if len(p.Data) == 0 || !r.Chance(c.Ratio) {
		return Verdict{}
	}
	v := Verdict{Why: "corrupt"}
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

// rules of a line, in the order in which a datagram meets them. Duplicate stands before Late, so that a copy has
// a delay of its own.
func (l Line) rules() []Rule {
	var rules []Rule
	if l.Loss.Num > 0 {
		rules = append(rules, Lose{l.Loss})
	}
	if l.Duplicate.Num > 0 {
		rules = append(rules, Duplicate{l.Duplicate})
	}
	if l.Corrupt.Num > 0 {
		rules = append(rules, Corrupt{l.Corrupt})
	}
	return append(rules, Late{l.Latency, l.Latency + l.Jitter})
}
