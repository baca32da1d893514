package sim

import (
	"net/netip"

	"github.com/purewire/purewire/protocol"
)

// The way of a datagram: from its host through the NAT and the firewall of its network, over that network's line, the
// same once more for each network that this one is behind, over the Internet, and back down on the other side.

// send puts a datagram of a host on its way: to a neighbour, or outwards.
func (s *Sim) send(n *node, g protocol.Datagram) {
	d := s.newDatagram(g.Bytes())
	d.from, d.dst, d.tos = n.cfg.Name, g.Endpoint.Remote, g.TOS
	if n.cfg.Steals != "" {
		s.took(FaultStolenKey)
	}
	seg, addr := n.source(g.Endpoint.Local, d.dst.Addr())
	if seg == nil {
		s.emit(s.fill(KindDatagram, d))
		s.lose(d, FateUnsent, "", "")
		return
	}
	d.network, d.src = seg.cfg.Name, netip.AddrPortFrom(addr, n.port)
	if seg.cfg.Prefix.Contains(d.dst.Addr()) {
		s.emit(s.fill(KindDatagram, d))
		s.later(lanLatency, event{kind: evArrive, who: int32(seg.index), d: d})
		return
	}
	s.outward(seg, d)
}

// outward takes a datagram that is inside a network and bound for elsewhere through the NAT, the firewall and the line.
// It is shown behind the first NAT, or in front of a NAT that has no room for it.
func (s *Sim) outward(seg *segment, d *datagram) {
	shown := d.translated || d.number != s.datagrams
	why := ""
	switch {
	case seg.nat == nil:
	case seg.nat.full(s.now, d.src, d.dst):
		why = "full"
		s.took(FaultNATOverflow)
	default:
		d.src = seg.nat.outbound(s.now, d.src, d.dst)
		if d.translated {
			s.took(FaultDoubleNAT)
		}
	}
	if !shown {
		s.emit(s.fill(KindDatagram, d))
	}
	d.translated = true
	switch {
	case why != "":
		s.lose(d, FateFiltered, seg.cfg.Name+" nat: "+why, "")
	case seg.nat != nil && d.dst.Addr() == seg.cfg.NAT.Public:
		s.hairpin(seg, d)
	default:
		if seg.fw != nil && !s.mayLeave(seg, d) {
			return
		}
		s.cross(&seg.up, 0, d, 0, event{kind: evCross, who: int32(seg.index)})
	}
}

// mayLeave asks a firewall about a datagram on its way out and loses the datagram if it may not go.
func (s *Sim) mayLeave(seg *segment, d *datagram) bool {
	if why, kind := seg.fw.out(s.now, d.src, d.dst); why != "" {
		s.took(kind)
		s.lose(d, FateFiltered, seg.cfg.Name+" firewall: "+why, "")
		return false
	}
	return true
}

// hairpin takes a datagram from inside a NAT to the NAT's own outside address (RFC 4787 §6).
func (s *Sim) hairpin(seg *segment, d *datagram) {
	s.took(FaultHairpin)
	if !seg.cfg.NAT.Hairpin {
		s.lose(d, FateFiltered, seg.cfg.Name+" nat: no hairpin", "")
		return
	}
	s.later(lanLatency, event{kind: evArrive, who: int32(seg.index), d: d})
}

// crossed comes up when a datagram has left the line of a network, or was sent by an attacker (from −1): it is in the
// network around, or on the Internet.
func (s *Sim) crossed(from int32, d *datagram) {
	if from >= 0 {
		if g := s.segments[from].parent; g != nil {
			if g.cfg.Prefix.Contains(d.dst.Addr()) {
				s.later(lanLatency, event{kind: evArrive, who: int32(g.index), d: d})
				return
			}
			s.outward(g, d)
			return
		}
		s.overhear(d)
	}
	s.onInternet(d)
}

// onInternet finds whose address the destination is and takes the datagram over that network's line.
func (s *Sim) onInternet(d *datagram) {
	p := s.public[d.dst.Addr()]
	switch {
	case p.attack != nil:
		p.attack.takes(d)
		s.lose(d, FateDelivered, "", p.attack.cfg.Name)
	case p.segment == nil:
		s.lose(d, FateNoAddress, "", "")
	default:
		s.cross(&p.segment.down, 0, d, 0, event{kind: evArrive, who: int32(p.segment.index)})
	}
}

// arrive takes a datagram from the inner end of a segment's line, or from a neighbour, to its host or to the network
// behind whose NAT that is.
func (s *Sim) arrive(seg *segment, d *datagram) {
	dst := d.dst
	if d.inside.IsValid() {
		dst = d.inside
	}
	local := seg.cfg.Prefix.Contains(d.src.Addr())
	if seg.fw != nil && !local {
		if why, kind := seg.fw.in(s.now, d.src, dst); why != "" {
			s.took(kind)
			s.lose(d, FateFiltered, seg.cfg.Name+" firewall: "+why, "")
			return
		}
	}
	if seg.nat != nil && dst.Addr() == seg.cfg.NAT.Public {
		inside, why := seg.nat.inbound(s.now, d.src, dst.Port())
		if why != "" {
			s.took(FaultNATFilter)
			s.lose(d, FateFiltered, seg.cfg.Name+" nat: "+why, "")
			return
		}
		dst = inside
		d.inside = inside
	}
	if c := seg.child(dst.Addr()); c != nil {
		s.cross(&c.down, 0, d, 0, event{kind: evArrive, who: int32(c.index)})
		return
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
		n.receive(d, dst.Addr())
	}
}

// count notes that a verdict took effect. A rule that left a datagram alone counts for nothing.
func (s *Sim) count(v *Verdict, oneWay bool) {
	if v.Kind == FaultNone || v.idle() && v.Kind != FaultFragment {
		return
	}
	if v.Kind == FaultPartition && oneWay {
		v.Kind = FaultOneWay
	}
	s.took(v.Kind)
}

// concerns reports whether a datagram on a line goes to a network or comes from it.
func (s *Sim) concerns(l *line, far string, d *datagram) bool {
	if d.network == far {
		return true
	}
	p := s.public[d.dst.Addr()]
	return p.segment != nil && p.segment.cfg.Name == far
}

// home is an address that a host has in a network.
type home struct {
	seg  *segment
	addr netip.Addr
}

// join gives a node an address in a network: the one asked for or the next free one. The first is its default route.
func (n *node) join(g *segment, want netip.Addr) netip.Addr {
	a := g.free(want)
	g.hosts[a] = n
	if g.nat == nil {
		n.s.public[a] = place{segment: g}
	}
	n.homes = append(n.homes, home{g, a})
	if n.seg == nil {
		n.seg, n.addr = g, a
	}
	return a
}

// leave takes an address away from a node. If it was that of the default route, the first that is left is next.
func (n *node) leave(a netip.Addr, g *segment) {
	for i, h := range n.homes {
		if h.addr != a || h.seg != g {
			continue
		}
		n.homes = append(n.homes[:i], n.homes[i+1:]...)
		delete(g.hosts, a)
		if g.nat == nil {
			delete(n.s.public, a)
		}
		break
	}
	if n.seg == g && n.addr == a {
		n.seg, n.addr = nil, netip.Addr{}
		if len(n.homes) > 0 {
			n.seg, n.addr = n.homes[0].seg, n.homes[0].addr
		}
	}
}

// source gives the network and the address from which a node sends: those that the core asks for if it still has them
// (ROAM-08), the neighbour's network, or else those of its default route.
func (n *node) source(local, dst netip.Addr) (*segment, netip.Addr) {
	for _, h := range n.homes {
		if h.addr == local {
			return h.seg, h.addr
		}
	}
	for _, h := range n.homes {
		if h.seg.cfg.Prefix.Contains(dst) {
			return h.seg, h.addr
		}
	}
	return n.seg, n.addr
}
