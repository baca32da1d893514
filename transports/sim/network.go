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
	inside           netip.AddrPort // where it is going behind a NAT that it has come through; zero: to dst
	tos              uint8
	translated       bool // by a NAT on its way out
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
	fw       *firewall
	parent   *segment // in which its NAT is; nil: on the Internet
	children []*segment
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
	lasting     bool   // the line's own delay, which stays when all trouble has ended
	oneWay      bool   // a fault of one direction
	far         string // of a fault: only what goes to or comes from this network
}

func (s *Sim) newSegment(i int, cfg *Network) *segment {
	g := &segment{cfg: cfg, index: i, hosts: map[netip.Addr]*node{}, next: cfg.Prefix.Masked().Addr().Next()}
	if cfg.NAT != nil {
		g.nat = newNAT(*cfg.NAT, s.stream("nat/"+cfg.Name))
		g.nat.took = s.took
		if cfg.Behind == "" {
			s.public[cfg.NAT.Public] = place{segment: g}
		}
	}
	if cfg.Firewall != nil {
		g.fw = newFirewall(*cfg.Firewall)
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
	l.rules[len(l.rules)-1].lasting = true
	for i := range s.sc.Faults {
		f := &s.sc.Faults[i]
		if (f.Network == "" || f.Network == network) && concerns(f) {
			until := timers.Never
			if f.Until > 0 {
				until = timers.Time(f.Until)
			}
			l.rules = append(l.rules, lineRule{rule: f.Rule.Fresh(), rnd: s.stream("fault/" + f.Name + "/" + l.name),
				name: f.Name, from: timers.Time(f.From), until: until, oneWay: f.Up != f.Down, far: f.Far})
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

// free finds the address asked for, or the next free one.
func (g *segment) free(want netip.Addr) netip.Addr {
	for !want.IsValid() {
		a := g.next
		if g.next = g.next.Next(); !g.cfg.Prefix.Contains(g.next) {
			g.next = g.cfg.Prefix.Masked().Addr().Next()
		}
		if g.hosts[a] == nil && (g.nat == nil || a != g.cfg.NAT.Public) && g.child(a) == nil {
			want = a
		}
	}
	return want
}

// child is the network behind this one whose NAT has an address here, or nil.
func (g *segment) child(a netip.Addr) *segment {
	for _, c := range g.children {
		if c.cfg.NAT.Public == a {
			return c
		}
	}
	return nil
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

// cross takes a datagram over a line from its rule number i on, and makes the event then with what delay it got.
func (s *Sim) cross(l *line, i int, d *datagram, delay time.Duration, then event) {
	for ; i < len(l.rules); i++ {
		r := &l.rules[i]
		if s.now < r.from || s.now >= r.until || s.healed && !r.lasting || r.far != "" && !s.concerns(l, r.far, d) {
			continue
		}
		s.passing = Passing{d.number, d.from, d.src, d.dst, d.data}
		v := r.rule.Judge(s.now, &s.passing, r.rnd)
		s.count(&v, r.oneWay)
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
		if v.Cut > 0 || len(v.Extend) > 0 {
			d.data = append(d.data[:max(len(d.data)-v.Cut, 0)], v.Extend...)
			d.damaged = true
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
