package sim

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// Lose drops datagrams, each independently of the others.
type Lose struct{ Ratio Ratio }

// Judge implements [Rule].
func (l Lose) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	return Verdict{Drop: r.Chance(l.Ratio), Why: "loss", Kind: FaultLoss}
}

// Fresh implements [Rule].
func (l Lose) Fresh() Rule { return l }

// Burst loses in bursts: the model of Gilbert and Elliott. The line is in a good or a bad state, in which it loses
// LossGood and LossBad of the datagrams; after each datagram it goes from good to bad with Enter, back with Leave. The
// mean length of a stay in the bad state is 1/Leave datagrams; the share of time in it Enter/(Enter+Leave).
type Burst struct {
	Enter, Leave      Ratio
	LossGood, LossBad Ratio // zero LossBad: all
}

// Judge implements [Rule]. It is never called: Fresh gives what keeps the state.
func (b Burst) Judge(now timers.Time, p *Passing, r *Rand) Verdict { return b.Fresh().Judge(now, p, r) }

// Fresh implements [Rule]. A run begins in the good state.
func (b Burst) Fresh() Rule {
	if b.LossBad.Num == 0 {
		b.LossBad = Percent(100)
	}
	return &burst{Burst: b}
}

type burst struct {
	Burst
	bad bool
}

func (b *burst) Judge(_ timers.Time, _ *Passing, r *Rand) Verdict {
	loss, turn := b.LossGood, b.Enter
	if b.bad {
		loss, turn = b.LossBad, b.Leave
	}
	v := Verdict{Drop: r.Chance(loss), Why: "burst", Kind: FaultBurstLoss}
	if r.Chance(turn) {
		b.bad = !b.bad
	}
	return v
}

// Cut drops everything: a partition. In a [Fault] of one direction it makes a network deaf or dumb.
type Cut struct{}

// Judge implements [Rule].
func (Cut) Judge(timers.Time, *Passing, *Rand) Verdict {
	return Verdict{Drop: true, Why: "cut", Kind: FaultPartition}
}

// Fresh implements [Rule].
func (c Cut) Fresh() Rule { return c }

// Flap is a link that goes down and up: up for Up and down for Down, again and again, each time up to Jitter longer.
type Flap struct{ Up, Down, Jitter time.Duration }

// Judge implements [Rule]. It is never called: Fresh gives what keeps the state.
func (f Flap) Judge(now timers.Time, p *Passing, r *Rand) Verdict { return f.Fresh().Judge(now, p, r) }

// Fresh implements [Rule]. The first stay up begins with the first datagram.
func (f Flap) Fresh() Rule { return &flap{Flap: f, down: true, until: -1} }

type flap struct {
	Flap
	down  bool
	until timers.Time // when the state changes
}

func (f *flap) Judge(now timers.Time, _ *Passing, r *Rand) Verdict {
	if f.until < 0 {
		f.until = now
	}
	for now >= f.until {
		f.down = !f.down
		stay := f.Up
		if f.down {
			stay = f.Down
		}
		f.until = f.until.Add(max(stay+r.Duration(f.Jitter), time.Millisecond))
	}
	if f.down {
		return Verdict{Drop: true, Why: "flap", Kind: FaultFlap}
	}
	return Verdict{}
}

// Block drops datagrams to and from certain UDP ports; nil Ports: all of them, as a firewall that passes no UDP.
type Block struct{ Ports []uint16 }

// Judge implements [Rule].
func (b Block) Judge(_ timers.Time, p *Passing, _ *Rand) Verdict {
	if b.Ports == nil {
		return Verdict{Drop: true, Why: "udp blocked", Kind: FaultBlockedUDP}
	}
	for _, port := range b.Ports {
		if p.Src.Port() == port || p.Dst.Port() == port {
			return Verdict{Drop: true, Why: "port blocked", Kind: FaultBlockedPort}
		}
	}
	return Verdict{}
}

// Fresh implements [Rule].
func (b Block) Fresh() Rule { return b }
