package conformance

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/purewire/purewire/timers"
)

// The inner side of a given target is an echo. A case does not know: what it sends to the target's host has an answer,
// which becomes a delivery; what it injects is made an answer, by a request for it on the session of the peer that it
// is for; and where there is no session, the target is made to begin one.

// Ports of the packets of cases.
const (
	peerPort = 4000
	hostPort = 5000
)

// shape is a packet as the echo leaves it: its IP header is written anew, everything else stays.
func shape(b []byte) []byte {
	src, dst, proto, p := dissect(b)
	switch {
	case !src.IsValid():
		return nil
	case proto == 17 && len(p) >= 8:
		return UDP(netip.AddrPortFrom(src, binary.BigEndian.Uint16(p)),
			netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p[2:])), p[8:])
	case (proto == 1 || proto == 58) && len(p) >= 8:
		return ping(src, dst, p[0], p[4:])
	}
	return nil
}

// turned is the answer to a packet, or the request for one; nil for what has none.
func turned(b []byte) []byte {
	src, dst, proto, p := dissect(b)
	switch {
	case !src.IsValid() || len(p) < 8:
		return nil
	case proto == 17:
		return UDP(netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p[2:])),
			netip.AddrPortFrom(src, binary.BigEndian.Uint16(p)), p[8:])
	case proto == 1 && (p[0] == 0 || p[0] == 8):
		return ping(dst, src, 8-p[0], p[4:])
	case proto == 58 && (p[0] == 128 || p[0] == 129):
		return ping(dst, src, p[0]^1, p[4:]) // 128 and 129
	}
	return nil
}

// dissect takes an inner packet without IPv6 extension headers apart; the addresses are invalid if it is none.
func dissect(b []byte) (src, dst netip.Addr, protocol byte, payload []byte) {
	src, dst = Source(b), Destination(b)
	b = trim(b)
	switch {
	case !src.IsValid():
	case src.Is4():
		header := int(b[0]&15) * 4
		if header < 20 || header > len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // a fragment
			return netip.Addr{}, dst, 0, nil
		}
		return src, dst, b[9], b[header:]
	default:
		return src, dst, b[6], b[40:]
	}
	return src, dst, 0, nil
}

// packet makes a packet of n bytes, headers included, between a peer and the host: of the sort that the target's echo
// answers, if it is given.
func (t *T) packet(src, dst netip.Addr, n int) []byte {
	if !src.IsValid() || !dst.IsValid() {
		t.Unsupported("no inner addresses of this family are given")
	}
	text := t.Text(n - 28)
	if src.Is6() {
		text = t.Text(n - 48)
	}
	g := t.Caps.Given
	if g == nil {
		return UDP(netip.AddrPortFrom(src, peerPort), netip.AddrPortFrom(dst, hostPort), text)
	}
	from, to := netip.AddrPortFrom(src, peerPort), netip.AddrPortFrom(dst, peerPort)
	toHost := dst == t.Host4 || dst == t.Host6
	switch service := g.service(dst); {
	case toHost && !g.echoes():
		t.Unsupported("nothing shows what the device delivers: no echo is given")
	case !g.echoes() && n != packetLength(src):
		t.Unsupported("the length of what the trigger makes the device send cannot be chosen")
	case service.IsValid():
		return UDP(from, service, text)
	case g.service(src).IsValid():
		return UDP(g.service(src), to, text)
	case toHost && g.echoes():
		return ping(src, dst, echoType(src), append([]byte{1, 1, 1, 1}, text...))
	case g.echoes():
		return turned(ping(dst, src, echoType(src), append([]byte{1, 1, 1, 1}, text...)))
	}
	return UDP(from, to, text)
}

// mute makes a packet for the host that nobody there answers, and that is good for nothing else. Of a given target
// only its echo is known, which takes no packet with a wrong checksum.
func (t *T) mute(src, dst netip.Addr) []byte {
	b := t.packet(src, dst, packetLength(src))
	if t.Caps.Given == nil {
		return b
	}
	t.muted[string(turned(b))] = true
	_, _, proto, p := dissect(b)
	at := 6 // of the checksum of UDP
	if proto != 17 {
		at = 2
	}
	p[at] ^= 0x55
	return b
}

// packetLength is the length of ordinary packets, which need no padding: only what asks about padding is to find a
// subject that pads wrongly.
func packetLength(src netip.Addr) int {
	if src.Is6() {
		return 112
	}
	return 80
}

// answered reports whether the target's echo is what a packet is for.
func (g *Given) answered(b []byte) bool {
	_, dst, proto, p := dissect(b)
	switch {
	case len(p) < 8:
		return false
	case proto == 17:
		return slices.Contains(g.EchoUDP, netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p[2:])))
	case proto == 1 || proto == 58:
		return slices.Contains(g.EchoPing, dst) && p[0] == echoType(dst)
	}
	return false
}

// elicit is Inject for a given target.
func (t *T) elicit(packets [][]byte) {
	var from timers.Time
	for i, b := range packets {
		p := t.peerFor(Destination(b))
		if p == nil {
			t.Unsupported("the device cannot be made to send to an address of none of the peers that it knows")
		}
		switch {
		case p.Session() != nil:
			t.ask(p.Session(), b)
		case len(packets) > 1:
			t.Unsupported("the device cannot be made to keep more than one packet waiting for a session")
		default:
			t.provoke(p, b)
		}
		if i == 0 {
			from = t.last.Earliest
		}
	}
	t.last.Earliest = from
}

// peerFor is the peer with an inner address.
func (t *T) peerFor(a netip.Addr) *Peer {
	for _, p := range t.peers {
		if p.lent != nil && (p.Inner4 == a || p.Inner6 == a) {
			return p
		}
	}
	return nil
}

// ask makes the target send a packet on a session: by a request for it, or otherwise as it can.
func (t *T) ask(s *Session, b []byte) {
	g := t.Caps.Given
	request := turned(b)
	switch {
	case request != nil && g.answered(request):
		t.asked[string(shape(b))] = true
		t.Note("the device is asked to send %s", describePacket(b))
		// From where the peer sent last: the answer goes there.
		from := s.Peer.Addr
		if s.Peer.from.IsValid() {
			from = s.Peer.from
		}
		s.Peer.SendFrom(from, s.Seal(pad(request)))
	case g.Sends && shape(b) != nil:
		t.Note("the device is made to send something to %v", Destination(b))
		t.owed = b
		t.use(func(s Subject) { t.last = s.Packets(s.Now(), [][]byte{b}) })
		if t.busy { // in the midst of what came in: what the trigger brings is recognized when it comes
			return
		}
		for end := t.Now().Add(g.Patience); t.owed != nil && t.step(end); {
		}
		if t.owed != nil {
			t.Unsupported("the trigger did not make the device send to " + Destination(b).String())
		}
	default:
		t.Unsupported("the device cannot be made to send " + describePacket(b))
	}
}

// provoke makes the target begin a handshake with a peer without a session: it has one after all, sends data, gets no
// answer, and wants another 15 s later (TIMER-16). The packet is asked for again when the new session is there, as if
// it had waited for it.
func (t *T) provoke(p *Peer, b []byte) {
	from := t.Now()
	t.Premise(func() {
		s := p.Connect()
		t.ask(s, b)
		g := t.Expect(Data.On(s).Carrying(b), t.Soon())
		p.owed = b
		due := t.Due(DeadPeer, g.At)
		g = t.Expect(Initiation.To(p), due)
		g.used = false // it is what the case waits for
		t.last = g.At
	})
	t.provoked += t.Now().Sub(from)
}

// repay asks for the packet that a peer is owed as soon as the target has a session by a response of the peer. It says
// so by its first message there; a request before that might overtake the response in its threads, and be lost.
func (p *Peer) repay(g *Got) {
	t := p.t
	if p.owed == nil || !g.Opened || p.responses[g.Session.Local] != g.Session ||
		p.paid == g.Session {
		return
	}
	p.paid = g.Session
	last := t.last
	t.ask(g.Session, p.owed)
	t.last = last
}

// translate turns an answer of the target's echo into a delivery, which it shows, and recognizes what was asked for.
func (t *T) translate(g *Got) *Got {
	given := t.Caps.Given
	if given == nil || !g.Opened || len(g.Inner) == 0 {
		return g
	}
	b := shape(g.Inner)
	request := turned(b)
	switch {
	case b == nil:
	case t.muted[string(b)]:
		t.Unsupported("its host answers packets with a wrong checksum: it cannot be given data that has no answer")
	case t.asked[string(b)]:
		// The header is the host's own; the rest is what was asked for.
		g.Plain = append(bytes.Clone(b), g.Plain[min(len(b), len(g.Plain)):]...)
		g.Inner = b
		if bytes.Equal(g.Peer.owed, b) {
			g.Peer.owed = nil
		}
	case request != nil && given.answered(request):
		d := &Got{At: g.At, Packet: request}
		d.entry = t.record(TraceEntry{Kind: "packet-out", Text: describePacket(request) + ", as its echo shows",
			Bytes: request, TOS: TOS(request)}, g.At)
		return d
	case t.owed != nil && Destination(b) == Destination(t.owed):
		g.Plain = append(bytes.Clone(t.owed), g.Plain[len(g.Inner):]...)
		g.Inner, t.last, t.owed = t.owed, g.At, nil
		g.Peer.owed = nil
	}
	return g
}
