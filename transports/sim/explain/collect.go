package explain

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// flowKey is two ends, the lesser first.
type flowKey struct{ low, high netip.AddrPort }

func flowOf(a, b netip.AddrPort) flowKey {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return flowKey{a, b}
}

// flowSigns is what makes two ends speak WireGuard: a well-formed message, or messages of the sizes of initiation and
// response whose reserved bytes are in use, as some providers do (against MSG-02).
type flowSigns struct{ strict, initiation, response bool }

func (s *flowSigns) wireguard() bool { return s.strict || s.initiation && s.response }

// unreachable is an ICMP error about a datagram of ours.
type unreachable struct {
	Ref
	at       int64
	from     netip.Addr
	src, dst netip.AddrPort // of the datagram that it is about
	tooBig   bool
	mtu      int
	size     int // of the UDP payload it is about
	what     string
}

// raw is a UDP payload that may be WireGuard, before the flows are known.
type raw struct {
	message
	strict bool
	flow   flowKey
	print  fingerprint
}

// collector turns frames into messages.
type collector struct {
	captures
	frags      assembler
	flows      map[flowKey]*flowSigns
	raws       []raw
	icmp       []unreachable
	linkless   int // frames of a link type that is not understood
	other      int // IP packets that are no WireGuard
	super      int // super-frames
	firstSuper Ref
	keepData   bool // the payload of transport messages is needed
}

func (c *collector) frame(f *frame) error {
	if !knownLink(f.link) {
		c.linkless++
		return nil
	}
	ip, dir, below := stripLink(f.link, f.data)
	if ip == nil {
		c.other++
		return nil
	}
	if below != 0 {
		t := c.taps[f.tap]
		t.below = below
		f.tap = c.tapOf(t)
	}
	p, ok := parseIP(ip, f.full-(len(f.data)-len(ip)))
	if ok && p.fragment {
		p, ok = c.frags.add(f, &p)
		if !ok {
			return nil
		}
	}
	switch {
	case ok && p.proto == protoUDP:
		c.udp(f, &p, dir)
	case ok && (p.proto == protoICMP || p.proto == protoICMPv6):
		c.error(f, &p)
	default:
		c.other++
	}
	return nil
}

func (c *collector) udp(f *frame, p *packet, dir heading) {
	d, ok := parseUDP(p)
	if !ok {
		c.other++
		return
	}
	parts, sizes := segments(d.payload, d.full)
	if len(parts) > 1 {
		if c.super == 0 {
			c.firstSuper = f.ref
		}
		c.super++
	}
	for i, b := range parts {
		c.payload(f, p, &d, dir, b, sizes[i])
	}
}

// payload enters one datagram. What does not look like a message is kept too if it is small: it may turn out to be a
// malformed one.
func (c *collector) payload(f *frame, p *packet, d *datagram, dir heading, b []byte, full int) {
	key := flowOf(d.src, d.dst)
	r := raw{flow: key}
	m, strict := decode(b, full, true)
	loose := strict
	if !strict {
		m, loose = decode(b, full, false)
	}
	if !loose {
		if len(b) == 0 || b[0] == 0 || b[0] > 4 {
			c.other++
			return
		}
		m = message{kind: malformed, size: full, cut: len(b) < full, reserved: len(b) >= 4 && b[1]|b[2]|b[3] != 0}
	}
	signs := c.flows[key]
	if signs == nil {
		signs = &flowSigns{}
		c.flows[key] = signs
	}
	signs.strict = signs.strict || strict
	signs.initiation = signs.initiation || loose && m.kind == initiation
	signs.response = signs.response || loose && m.kind == response
	keep := min(len(b), initiationSize)
	switch {
	case m.kind == transport && c.keepData:
		keep = len(b)
	case m.kind == transport || m.kind == malformed:
		keep = min(len(b), minTransport)
	}
	m.data, m.tos = slices.Clone(b[:keep]), p.tos
	m.noSum = d.noSum && p.src.Is6()
	m.seen = []sighting{{Ref: f.ref, at: f.at, tap: f.tap, dir: dir, src: d.src, dst: d.dst, ttl: p.ttl}}
	r.message, r.strict = m, strict
	copy(r.print.head[:], b)
	r.print.size = full
	c.raws = append(c.raws, r)
}

// error reads an ICMP error: what it says, and which datagram of ours it is about.
func (c *collector) error(f *frame, p *packet) {
	b := p.payload
	if len(b) < 8+20 {
		c.other++
		return
	}
	u := unreachable{Ref: f.ref, at: f.at, from: p.src}
	switch kind, code := b[0], b[1]; {
	case p.proto == protoICMP && kind == 3 && code == 4:
		u.tooBig, u.mtu, u.what = true, int(binary.BigEndian.Uint16(b[6:])), "fragmentation needed"
	case p.proto == protoICMPv6 && kind == 2:
		u.tooBig, u.mtu, u.what = true, int(binary.BigEndian.Uint32(b[4:])), "packet too big"
	case p.proto == protoICMP && kind == 3 && code == 3 || p.proto == protoICMPv6 && kind == 1 && code == 4:
		u.what = "port unreachable: nothing listens there"
	case p.proto == protoICMP && kind == 3 && (code == 9 || code == 10 || code == 13) ||
		p.proto == protoICMPv6 && kind == 1 && code == 1:
		u.what = "prohibited by a firewall"
	case p.proto == protoICMP && kind == 3 || p.proto == protoICMPv6 && kind == 1:
		u.what = "destination unreachable"
	default:
		c.other++
		return
	}
	inner, ok := parseIP(b[8:], len(b)-8)
	if !ok || inner.proto != protoUDP || len(inner.payload) < 4 {
		return
	}
	u.src = netip.AddrPortFrom(inner.src, binary.BigEndian.Uint16(inner.payload))
	u.dst = netip.AddrPortFrom(inner.dst, binary.BigEndian.Uint16(inner.payload[2:]))
	u.size = inner.full - 8
	c.icmp = append(c.icmp, u)
}
