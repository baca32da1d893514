package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// lanLatency is the delay between two hosts of one network.
const lanLatency = 200 * time.Microsecond

// datagram is one outer datagram under way. It owns data.
type datagram struct {
	number, original uint64
	from             string // host or attack
	network          string
	src, dst         netip.AddrPort
	tos              uint8
	attack           AttackKind
	damaged, decided bool
	jobs             int // handshake jobs that must be done before its fate is known
	data             []byte
}

// segment is the state of a [Network].
type segment struct {
	cfg      *Network
	index    int
	nat      *nat
	up, down line
	hosts    map[netip.Addr]*node // looked up only
	next     netip.Addr           // where the search for a free address starts
}

// line is one direction of a network's line: rules in the order in which a datagram meets them.
type line struct {
	name  string
	rules []lineRule
}

type lineRule struct {
	rule        Rule
	rnd         *Rand
	name        string // of the fault, or of the line
	from, until timers.Time
}

func (s *Sim) newSegment(i int, cfg *Network) *segment {
	g := &segment{cfg: cfg, index: i, hosts: map[netip.Addr]*node{}, next: cfg.Prefix.Masked().Addr().Next()}
	if cfg.NAT != nil {
		g.nat = newNAT(*cfg.NAT, s.stream("nat/"+cfg.Name))
		s.public[cfg.NAT.Public] = place{segment: g}
	}
	g.up = s.newLine(cfg.Name, "up", cfg.Up, func(f *Fault) bool { return f.Up || !f.Down })
	g.down = s.newLine(cfg.Name, "down", cfg.Down, func(f *Fault) bool { return f.Down || !f.Up })
	return g
}

func (s *Sim) newLine(network, direction string, cfg Line, concerns func(*Fault) bool) line {
	l := line{name: network + " " + direction}
	for _, r := range cfg.rules() {
		l.rules = append(l.rules, lineRule{rule: r, name: l.name, until: timers.Never})
	}
	for i := range s.sc.Faults {
		f := &s.sc.Faults[i]
		if (f.Network == "" || f.Network == network) && concerns(f) {
			until := timers.Never
			if f.Until > 0 {
				until = timers.Time(f.Until)
			}
			l.rules = append(l.rules, lineRule{f.Rule.Fresh(), s.stream("fault/" + f.Name + "/" + l.name), f.Name,
				timers.Time(f.From), until})
		}
	}
	base := s.stream("line/" + l.name)
	for i := range l.rules {
		if l.rules[i].rnd == nil {
			l.rules[i].rnd = base
		}
	}
	return l
}

// join puts a node into the segment, with the address asked for or the next free one.
func (g *segment) join(n *node, want netip.Addr) {
	for !want.IsValid() {
		a := g.next
		if g.next = g.next.Next(); !g.cfg.Prefix.Contains(g.next) {
			g.next = g.cfg.Prefix.Masked().Addr().Next()
		}
		if g.hosts[a] == nil && (g.nat == nil || a != g.cfg.NAT.Public) {
			want = a
		}
	}
	n.seg, n.addr = g, want
	g.hosts[want] = n
	if g.nat == nil {
		n.s.public[want] = place{segment: g}
	}
}

func (g *segment) leave(n *node) {
	delete(g.hosts, n.addr)
	if g.nat == nil {
		delete(n.s.public, n.addr)
	}
	n.seg, n.addr = nil, netip.Addr{}
}

// place is what has an address on the Internet.
type place struct {
	segment *segment
	attack  *attacker
}

func (s *Sim) newDatagram(data []byte) *datagram {
	d := &datagram{}
	if n := len(s.free); n > 0 {
		d, s.free = s.free[n-1], s.free[:n-1]
	}
	buf := d.data[:0]
	s.datagrams++
	*d = datagram{number: s.datagrams, data: append(buf, data...)}
	return d
}

func (s *Sim) release(d *datagram) {
	if d.decided && d.jobs == 0 {
		s.free = append(s.free, d)
	}
}

func (s *Sim) fill(kind Kind, d *datagram) *Record {
	r := s.record(kind)
	r.Host, r.Datagram, r.Original, r.Src, r.Dst = d.from, d.number, d.original, d.src, d.dst
	r.Network, r.TOS, r.Data, r.Attack, r.Damaged = d.network, d.tos, d.data, d.attack, d.damaged
	return r
}

// decide says what became of a datagram, once.
func (s *Sim) decide(d *datagram, f Fate, rule, to string, reason protocol.DropReason) {
	if d.decided {
		return
	}
	d.decided = true
	r := s.fill(KindFate, d)
	r.Fate, r.Rule, r.To, r.Reason = f, rule, to, reason
	s.emit(r)
}

func (s *Sim) lose(d *datagram, f Fate, rule, to string) {
	s.decide(d, f, rule, to, protocol.DropNone)
	s.release(d)
}

// send puts a datagram of a host on its way: to a neighbour, or through the NAT and over the line.
func (s *Sim) send(n *node, g protocol.Datagram) {
	d := s.newDatagram(g.Bytes())
	d.from, d.dst, d.tos = n.cfg.Name, g.Endpoint.Remote, g.TOS
	if n.seg == nil {
		s.emit(s.fill(KindDatagram, d))
		s.lose(d, FateUnsent, "", "")
		return
	}
	seg := n.seg
	d.network, d.src = seg.cfg.Name, netip.AddrPortFrom(n.addr, n.port)
	if seg.cfg.Prefix.Contains(d.dst.Addr()) {
		s.emit(s.fill(KindDatagram, d))
		s.later(lanLatency, event{kind: evArrive, who: int32(seg.index), d: d})
		return
	}
	if seg.nat == nil {
		s.emit(s.fill(KindDatagram, d))
		s.cross(&seg.up, 0, d, 0, event{kind: evCross})
		return
	}
	if seg.nat.full(s.now, d.src, d.dst) {
		s.emit(s.fill(KindDatagram, d))
		s.lose(d, FateFiltered, seg.cfg.Name+" nat: full", "")
		return
	}
	d.src = seg.nat.outbound(s.now, d.src, d.dst)
	s.emit(s.fill(KindDatagram, d))
	if d.dst.Addr() == seg.cfg.NAT.Public {
		s.hairpin(seg, d)
		return
	}
	s.cross(&seg.up, 0, d, 0, event{kind: evCross})
}

// hairpin takes a datagram from inside a NAT to the NAT's own outside address (RFC 4787 §6).
func (s *Sim) hairpin(seg *segment, d *datagram) {
	if !seg.cfg.NAT.Hairpin {
		s.lose(d, FateFiltered, seg.cfg.Name+" nat: no hairpin", "")
		return
	}
	s.later(lanLatency, event{kind: evArrive, who: int32(seg.index), d: d})
}

// cross takes a datagram over a line from its rule number i on, and makes the event then with what delay it got.
func (s *Sim) cross(l *line, i int, d *datagram, delay time.Duration, then event) {
	for ; i < len(l.rules); i++ {
		r := &l.rules[i]
		if s.now < r.from || s.now >= r.until {
			continue
		}
		s.passing = Passing{d.number, d.from, d.src, d.dst, d.data}
		v := r.rule.Judge(s.now, &s.passing, r.rnd)
		if v.Drop {
			s.lose(d, FateLost, r.name+": "+v.Why, "")
			return
		}
		delay += v.Delay
		for _, bit := range v.Flip {
			if bit >= 0 && bit < 8*len(d.data) {
				d.data[bit/8] ^= 1 << (bit % 8)
				d.damaged = true
			}
		}
		for range v.Copies {
			s.cross(l, i+1, s.copyOf(d), delay, then)
		}
	}
	then.d = d
	s.later(delay, then)
}

func (s *Sim) copyOf(d *datagram) *datagram {
	c := s.newDatagram(d.data)
	data := c.data
	number := c.number
	*c = *d
	c.number, c.data, c.jobs, c.decided = number, data, 0, false
	if c.original == 0 {
		c.original = d.number
	}
	s.emit(s.fill(KindDatagram, c))
	return c
}

// onInternet finds whose address the destination is and takes the datagram over that network's line.
func (s *Sim) onInternet(d *datagram) {
	p := s.public[d.dst.Addr()]
	switch {
	case p.attack != nil:
		s.lose(d, FateDelivered, "", p.attack.cfg.Name)
	case p.segment == nil:
		s.lose(d, FateNoAddress, "", "")
	default:
		s.cross(&p.segment.down, 0, d, 0, event{kind: evArrive, who: int32(p.segment.index)})
	}
}

// arrive takes a datagram from the inner end of a segment's line, or from a neighbour, to its host.
func (s *Sim) arrive(seg *segment, d *datagram) {
	dst := d.dst
	if seg.nat != nil && dst.Addr() == seg.cfg.NAT.Public {
		inside, why := seg.nat.inbound(s.now, d.src, dst.Port())
		if why != "" {
			s.lose(d, FateFiltered, seg.cfg.Name+" nat: "+why, "")
			return
		}
		dst = inside
	}
	n := seg.hosts[dst.Addr()]
	switch {
	case n == nil || n.port != dst.Port():
		s.lose(d, FateNoAddress, "", "")
	case !n.running:
		s.lose(d, FateDown, "", n.cfg.Name)
	case n.asleep:
		s.lose(d, FateAsleep, "", n.cfg.Name)
	default:
		n.receive(d)
	}
}
