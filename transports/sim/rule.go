package sim

import (
	"net/netip"
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
	Cut    int           // so many bytes are cut off its end
	Extend []byte        // bytes to be put at its end
	Why    string        // one word: "loss"
	Kind   FaultKind     // what took effect, if anything did
}

// idle reports whether a verdict lets a datagram pass as if there were no rule.
func (v *Verdict) idle() bool {
	return !v.Drop && v.Delay == 0 && v.Copies == 0 && len(v.Flip) == 0 && v.Cut == 0 && len(v.Extend) == 0
}

// Rule is a fault of the network. It is asked about each datagram that comes to a line, in the order in which they
// come, with the time and a random stream of its own. A rule that keeps state makes it in Fresh.
type Rule interface {
	Judge(now timers.Time, p *Passing, r *Rand) Verdict
	// Fresh returns the rule as it is at the start of a run: itself if it keeps no state.
	Fresh() Rule
}

// rules of a line, in the order in which a datagram meets them. Duplicate stands before the delay, so that a copy has
// one of its own.
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
	for _, r := range l.Rules {
		rules = append(rules, r.Fresh())
	}
	return append(rules, Jitter{Base: l.Latency, Most: l.Jitter, Shape: l.Shape, Ordered: l.Ordered}.Fresh())
}
