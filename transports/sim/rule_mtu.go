package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// TooBig is what happens to an outer packet that is longer than a path's MTU.
type TooBig uint8

// The ways.
const (
	TooBigFragment  TooBig = iota // it goes on in fragments
	TooBigBlackHole               // it is dropped and nobody is told
	// TooBigReport: it is dropped and its sender's IP stack is told. The core hears nothing of that; but the stack cuts
	// what it sends on this way into fragments from then on, for ten minutes (RFC 1191 §6.3).
	TooBigReport
	invalidFromTooBig
)

// MTU is the largest outer IP packet that a line takes whole. In a [Fault] with a time it is a change of the path MTU.
type MTU struct {
	Size         int // bytes, from 576
	TooBig       TooBig
	FragmentLoss Ratio // of each fragment; without one of them a datagram is lost
}

// pathMemory is how long a stack remembers what it was told of a path's MTU.
const pathMemory = 10 * time.Minute

// Judge implements [Rule]. It is never called: Fresh gives what keeps the state.
func (m MTU) Judge(now timers.Time, p *Passing, r *Rand) Verdict { return m.Fresh().Judge(now, p, r) }

// Fresh implements [Rule].
func (m MTU) Fresh() Rule { return &mtu{MTU: m, told: map[path]timers.Time{}} }

type mtu struct {
	MTU
	told map[path]timers.Time // until when a stack knows; looked up only
}

type path struct {
	host string
	dst  netip.Addr
}

func (m *mtu) Judge(now timers.Time, p *Passing, r *Rand) Verdict {
	size := p.OuterSize()
	if size <= m.Size {
		return Verdict{}
	}
	switch m.TooBig {
	case TooBigBlackHole:
		return Verdict{Drop: true, Why: "too big", Kind: FaultMTUBlackHole}
	case TooBigReport:
		way := path{p.Host, p.Dst.Addr()}
		if until, ok := m.told[way]; !ok || now >= until {
			m.told[way] = now.Add(pathMemory)
			return Verdict{Drop: true, Why: "too big, reported", Kind: FaultMTUReport}
		}
	}
	for range fragments(size, m.Size, p.Dst.Addr().Is4()) {
		if r.Chance(m.FragmentLoss) {
			return Verdict{Drop: true, Why: "fragment lost", Kind: FaultFragmentLoss}
		}
	}
	return Verdict{Why: "fragment", Kind: FaultFragment}
}

// fragments is how many pieces an IP packet is cut into: their payloads are multiples of 8 but for the last one's (RFC
// 791 §3.2), and in IPv6 each has a fragment header of 8 bytes (RFC 8200 §4.5).
func fragments(size, mtu int, v4 bool) int {
	header, extra := ip4Header, 0
	if !v4 {
		header, extra = ip6Header, 8
	}
	each := max((mtu-header-extra)&^7, 8)
	return (size - header + each - 1) / each
}
