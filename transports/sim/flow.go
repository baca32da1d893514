package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// flow is the state of a [Flow].
type flow struct {
	cfg      *Flow
	index    int
	name     string
	from, to *node
	src, dst netip.Addr
	size     int
	stop     timers.Time
	next     uint64
}

// Sizes of packets whose Flow does not say: those of ping(8).
const (
	defaultSize4 = 84
	defaultSize6 = 104
)

func (s *Sim) newFlow(i int, cfg *Flow) *flow {
	f := &flow{cfg: cfg, index: i, name: cfg.Name, from: s.node(cfg.From), to: s.node(cfg.To), size: cfg.Size}
	f.src, f.dst = innerAddr(f.from.cfg, cfg.IPv6), innerAddr(f.to.cfg, cfg.IPv6)
	if cfg.Source.IsValid() {
		f.src = cfg.Source
	}
	if f.name == "" {
		f.name = flowName(cfg)
	}
	switch {
	case f.size > 0:
	case cfg.IPv6:
		f.size = defaultSize6
	default:
		f.size = defaultSize4
	}
	f.stop = s.end.Add(-DrainTime)
	if cfg.Stop > 0 {
		f.stop = timers.Time(cfg.Stop)
	}
	return f
}

func flowName(f *Flow) string {
	name := "ping "
	if f.Kind == FlowUDP {
		name = "udp "
	}
	if f.IPv6 {
		name = "ipv6 " + name
	}
	return name + f.From + "→" + f.To
}

// innerAddr gives the first inner address of a host of one family, or the zero Addr.
func innerAddr(h *Host, v6 bool) netip.Addr {
	for _, a := range h.Inner {
		if a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}

// tick is one turn of the flow. While its host sleeps or is down nothing is sent and nothing is made up for later,
// as with an application that is stopped.
func (s *Sim) tick(f *flow) {
	if s.now >= f.stop {
		return
	}
	s.later(f.cfg.Interval, event{kind: evFlow, who: int32(f.index)})
	if !f.from.awake() {
		return
	}
	p := f.from.buffer(f.size)
	kind := InnerPing
	if f.cfg.Kind == FlowUDP {
		kind = InnerUDP
	}
	s.inners++
	spec{kind: kind, src: f.src, dst: f.dst, tos: f.cfg.TOS, id: s.inners, flow: f.index, seq: f.next,
		born: s.now}.build(p.window().Bytes())
	f.next++
	f.from.input(p)
}

// smallestInterval guards against flows and attacks that would never let time go on.
const smallestInterval = time.Microsecond
