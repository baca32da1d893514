package sim

import (
	"math/bits"
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// flow is the state of a [Flow] and what is measured of it.
type flow struct {
	cfg      *Flow
	index    int
	name     string
	from, to *node
	src, dst netip.Addr
	size     int
	stop     timers.Time
	next     uint64

	forth, back, round *way // back and round: nil if the kind has none
	comeback           comeback
	rnd                *Rand   // of FlowPoisson
	asking             *asking // of FlowRequest
	bulk               *bulk   // of FlowBulk
	voice              voice
}

// Sizes of packets whose Flow does not say: those of ping(8), and of 20 ms of G.711 in RTP.
const (
	defaultSize4  = 84
	defaultSize6  = 104
	defaultVoice4 = 200
	defaultVoice6 = 220
	voiceFrame    = 20 * time.Millisecond
	outageFloor   = time.Second
)

func (s *Sim) newFlow(i int, cfg *Flow) *flow {
	f := &flow{cfg: cfg, index: i, name: cfg.Name, from: s.node(cfg.From), to: s.node(cfg.To), size: cfg.packet()}
	f.src, f.dst = innerAddr(f.from.cfg, cfg.IPv6), innerAddr(f.to.cfg, cfg.IPv6)
	if cfg.Source.IsValid() {
		f.src = cfg.Source
	}
	if f.name == "" {
		f.name = flowName(cfg)
	}
	f.stop = s.end.Add(-DrainTime)
	if cfg.Stop > 0 {
		f.stop = timers.Time(cfg.Stop)
	}
	floor := cfg.OutageFloor
	if floor == 0 {
		floor = max(outageFloor, 2*cfg.Interval)
		if cfg.Kind == FlowBulk {
			floor = outageFloor // its Interval is a pause
		}
	}
	f.forth = newWay(floor)
	switch cfg.Kind {
	case FlowPing:
		f.back, f.round = newWay(floor), newWay(floor)
	case FlowPoisson:
		f.rnd = s.stream("flow/" + f.name)
	case FlowRequest:
		f.back, f.round, f.asking = newWay(floor), newWay(floor), &asking{}
	case FlowBulk:
		f.back, f.bulk = newWay(floor), newBulk(s, f)
	}
	return f
}

// packet is the size of the packets of a flow.
func (f *Flow) packet() int {
	switch {
	case f.Size > 0:
		return f.Size
	case f.Kind == FlowVoice && f.IPv6:
		return defaultVoice6
	case f.Kind == FlowVoice:
		return defaultVoice4
	case f.IPv6:
		return defaultSize6
	}
	return defaultSize4
}

func flowName(f *Flow) string {
	name := f.Kind.String() + " "
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
func (s *Sim) tick(f *flow, gen uint32) {
	if s.now >= f.stop {
		return
	}
	again := event{kind: evFlow, who: int32(f.index)}
	switch f.cfg.Kind {
	case FlowBulk:
		f.bulk.tick(gen)
		return
	case FlowRequest:
		if f.from.awake() {
			s.ask(f, true)
		} else {
			s.later(f.cfg.Interval, again)
		}
		return
	case FlowPoisson:
		s.later(f.cfg.exponential(f.rnd.Uint64()), again)
	case FlowVoice:
		interval := f.cfg.Interval
		if interval == 0 {
			interval = voiceFrame
		}
		s.later(interval, again)
	default:
		s.later(f.cfg.Interval, again)
	}
	if !f.from.awake() {
		return
	}
	kind := InnerUDP
	if f.cfg.Kind == FlowPing {
		kind = InnerPing
		f.round.send(s.now, 0)
	}
	s.sendForth(f, kind, f.next)
	f.next++
}

// sendForth sends one packet of the flow's own host, from an event: not while the host's core is at work.
func (s *Sim) sendForth(f *flow, kind InnerKind, seq uint64) {
	p := f.from.buffer(f.size)
	s.inners++
	spec{kind: kind, src: f.src, dst: f.dst, tos: f.cfg.TOS, id: s.inners, flow: f.index, seq: seq,
		born: s.now}.build(p.window().Bytes())
	f.forth.send(s.now, f.size)
	f.comeback.send(s.now, s.troubles.ended)
	f.from.input(p)
}

// arrived takes a packet that has come to the host that it is for: the host's applications and the measures.
func (s *Sim) arrived(n *node, in *Inner) {
	if in.flow == 0 {
		return
	}
	f := s.flows[in.flow-1]
	switch {
	case in.Kind == InnerTCP:
		f.bulk.arrived(n, in)
	case n == f.to && in.Kind == InnerPing:
		f.forth.deliver(s.now, in.Delay, len(in.Data), payloadOf(in.Data))
		p := n.buffer(len(in.Data))
		pong(p.window().Bytes(), in.Data)
		f.back.send(s.now, len(in.Data))
		n.outbox = append(n.outbox, p)
	case n == f.to && in.Kind == InnerUDP:
		f.forth.deliver(s.now, in.Delay, len(in.Data), payloadOf(in.Data))
		f.comeback.deliver(s.now, in.Born, s.troubles.ended)
		if f.cfg.Kind == FlowVoice {
			f.voice.heard(in.Delay, f.cfg)
		}
	case n == f.to && in.Kind == InnerRequest:
		f.forth.deliver(s.now, in.Delay, len(in.Data), payloadOf(in.Data))
		s.answer(f, in)
	case n == f.from && in.Kind == InnerPong:
		// The label has the time of the ping; when the pong went out is in the ledger.
		if p := s.watch.ledger.find(f.to.cfg.Name, in); p != nil {
			f.back.deliver(s.now, s.now.Sub(p.at), len(in.Data), payloadOf(in.Data))
		}
		f.round.deliver(s.now, in.Delay, 0, payloadOf(in.Data))
		f.comeback.deliver(s.now, in.Born, s.troubles.ended)
	case n == f.from && in.Kind == InnerResponse:
		s.answered(f, in)
	}
}

// payloadOf is how many bytes a packet of ICMP or UDP has for the application.
func payloadOf(b []byte) int {
	if b[0]>>4 == 6 {
		return len(b) - ip6Header - upperHeader
	}
	return len(b) - ip4Header - upperHeader
}

// exponential gives the time to the next packet of a Poisson process from a random number u: −ln(u/2^64) times the
// interval. The most is 44 times the interval.
func (f *Flow) exponential(u uint64) time.Duration {
	high, low := bits.Mul64(uint64(f.Interval), negLog(u))
	return max(time.Duration(high<<32|low>>32), 1)
}

// negLog is −ln((u+1)/2^64) with 32 bits behind the point. The logarithm to base 2 comes bit by bit from squaring
// (Knuth, The Art of Computer Programming 1, §1.2.2, exercise 25, has the idea), with integers alone.
func negLog(u uint64) uint64 {
	const ln2 = 0xb17217f7d1cf79ac // ln 2 · 2^64
	if u == 1<<64-1 {
		return 0
	}
	u++
	zeros := bits.LeadingZeros64(u)
	x := u << zeros // in [2^63, 2^64), for a number in [1, 2)
	log := uint64(63-zeros) << 32
	for bit := uint64(1 << 31); bit > 0; bit >>= 1 {
		high, low := bits.Mul64(x, x) // in [2^126, 2^128)
		if high>>63 != 0 {
			log |= bit
			x = high
		} else {
			x = high<<1 | low>>63
		}
	}
	high, _ := bits.Mul64(64<<32-log, ln2)
	return high
}

// result sums the flow up.
func (f *flow) result(now timers.Time) FlowResult {
	r := FlowResult{Name: f.name, Kind: f.cfg.Kind, From: f.cfg.From, To: f.cfg.To, Forth: f.forth.result(now),
		Back: f.back.result(now), Round: f.round.result(now)}
	r.Recoveries, r.RecoveriesOmitted = f.comeback.result()
	switch f.cfg.Kind {
	case FlowBulk:
		r.Stream = f.bulk.result()
	case FlowVoice:
		r.Voice = f.voice.result(&r.Forth, f.cfg)
	}
	return r
}

// smallestInterval guards against flows and attacks that would never let time go on.
const smallestInterval = time.Microsecond
