package sim

import (
	"math/bits"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// tally sums up the records of a run.
type tally struct {
	s       *Sim
	fates   [NumFates]uint64
	tunnels []*tunnelTally
	byPair  map[pair]*tunnelTally // looked up only; both orders
}

type tunnelTally struct {
	a, b        string
	handshakes  uint64
	initiations [protocol.NumCauses]uint64
	gaveUp      uint64
	roamed      uint64
	ways        [2]wayTally // from a, from b
}

type wayTally struct {
	sum     DirectionSum
	wire    uint64
	waiting bool
	since   timers.Time
	delays  histogram
}

func newTally(s *Sim) *tally {
	t := &tally{s: s, byPair: map[pair]*tunnelTally{}}
	for _, n := range s.nodes {
		for _, p := range n.peers {
			k := pair{n.cfg.Name, p.cfg.Host}
			if t.byPair[k] == nil {
				tt := &tunnelTally{a: k.host, b: k.peer}
				t.byPair[k], t.byPair[pair{k.peer, k.host}] = tt, tt
				t.tunnels = append(t.tunnels, tt)
			}
		}
	}
	return t
}

func (t *tally) see(r *Record) {
	switch r.Kind {
	case KindFate:
		t.fates[r.Fate]++
	case KindCore:
		t.core(r)
	case KindDatagram:
		if m := &t.s.watch.read; r.Attack == AttackNone && r.Original == 0 && m.peer != "" {
			if tt := t.byPair[pair{r.Host, m.peer}]; tt != nil {
				tt.way(r.Host).wire += uint64(len(r.Data))
			}
		}
	case KindInnerSent, KindInnerForwarded:
		if tt := t.byPair[pair{r.Host, r.Peer}]; tt != nil {
			tt.way(r.Host).sent(t.s.now, len(r.Inner.Data))
		}
	case KindInnerDelivered:
		if tt := t.byPair[pair{r.Host, r.Peer}]; tt != nil {
			tt.way(r.Peer).delivered(t.s.now, r)
		}
	}
}

func (t *tally) core(r *Record) {
	tt := t.byPair[pair{r.Host, r.Peer}]
	if tt == nil {
		return
	}
	switch e := &r.Event; e.Kind {
	case protocol.EventHandshakeComplete:
		if e.Initiator {
			tt.handshakes++
		}
	case protocol.EventInitiationSent:
		tt.initiations[e.Cause]++
	case protocol.EventGaveUp:
		tt.gaveUp++
	case protocol.EventRoamed:
		tt.roamed++
	}
}

func (tt *tunnelTally) way(from string) *wayTally {
	if from == tt.a {
		return &tt.ways[0]
	}
	return &tt.ways[1]
}

func (w *wayTally) sent(now timers.Time, size int) {
	w.sum.Sent++
	w.sum.SentBytes += uint64(size)
	if !w.waiting {
		w.waiting, w.since = true, now
	}
}

func (w *wayTally) delivered(now timers.Time, r *Record) {
	w.sum.Delivered++
	w.sum.DeliveredBytes += uint64(len(r.Inner.Data))
	if w.waiting {
		w.sum.LongestOutage = max(w.sum.LongestOutage, now.Sub(w.since))
	}
	w.waiting = false
	if r.Inner.Kind != InnerPong { // a pong carries the time of its ping
		w.delays.add(r.Inner.Delay)
	}
}

func (w *wayTally) result(now timers.Time) DirectionSum {
	d := w.sum
	if w.waiting {
		d.LongestOutage = max(d.LongestOutage, now.Sub(w.since))
	}
	d.Delay = Delays{w.delays.percentile(50), w.delays.percentile(90), w.delays.percentile(99), w.delays.max}
	return d
}

// histogram counts durations in classes that are a sixteenth of their size wide, so that a percentile costs no memory
// per packet and no floating point.
type histogram struct {
	class []uint64 // as long as the greatest class that was needed
	n     uint64
	max   time.Duration
}

func classOf(d time.Duration) int {
	u := uint64(max(d, 0))
	if u < 16 {
		return int(u)
	}
	shift := bits.Len64(u) - 5
	return (shift+1)*16 + int(u>>shift) - 16
}

// topOf is the greatest duration in a class.
func topOf(class int) time.Duration {
	if class < 16 {
		return time.Duration(class)
	}
	shift := class/16 - 1
	return time.Duration(uint64(class%16+17)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	c := classOf(d)
	for c >= len(h.class) {
		h.class = append(h.class, 0)
	}
	h.class[c]++
	h.n++
	h.max = max(h.max, d)
}

// percentile gives a duration that p in a hundred do not exceed, or 0 if there are none.
func (h *histogram) percentile(p uint64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank, seen := (h.n*p+99)/100, uint64(0)
	for c, n := range h.class {
		if seen += n; seen >= rank {
			return min(topOf(c), h.max)
		}
	}
	return h.max
}

func (s *Sim) result() Result {
	t := s.tally
	r := Result{Scenario: s.sc.Name, Seed: s.o.Seed, Virtual: time.Duration(s.now), Events: s.events,
		Datagrams: s.datagrams, Fates: t.fates, Violations: append([]Violation(nil), s.shown...),
		Effects: s.effects}
	for _, tt := range t.tunnels {
		r.Tunnels = append(r.Tunnels, TunnelResult{A: tt.a, B: tt.b, Handshakes: tt.handshakes,
			Initiations: tt.initiations, GaveUp: tt.gaveUp, Roamed: tt.roamed,
			AtoB: tt.ways[0].result(s.now), BtoA: tt.ways[1].result(s.now),
			WireAtoB: tt.ways[0].wire, WireBtoA: tt.ways[1].wire})
	}
	r.Disturbances = append(r.Disturbances, s.troubles.ended...)
	for _, f := range s.flows {
		r.Flows = append(r.Flows, f.result(s.now))
	}
	for i := range s.owing {
		r.Liveness = append(r.Liveness, s.owing[i].Liveness)
	}
	for _, n := range s.nodes {
		h := HostResult{Name: n.cfg.Name, Drops: n.drops}
		if n.dev != nil {
			for i, c := range n.dev.Drops() {
				h.Drops[i] += c
			}
		}
		r.Hosts = append(r.Hosts, h)
	}
	for _, c := range s.watch.list {
		r.Checkers = append(r.Checkers, CheckerResult{c.name, c.rule, c.checked, c.violations})
	}
	return r
}
