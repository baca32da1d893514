package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

var innerCases = withBugs(map[string]string{
	"inner/route/longest-prefix-in-v6": "B128", "inner/route/longest-prefix-out": "B132",
}, padCases, bothRoles(padMultiple), badInnerCases(), innerPassCases, innerCountsCases, routeCases)

// sized is an inner packet of n bytes from the host to p, the IP header included.
func sized(t *T, p *Peer, n int) []byte {
	return t.packet(t.Host4, p.Inner4, n)
}

// fetched injects packets one by one and gives what arrives for each on a session.
func fetched(t *T, s *Session, packets ...[]byte) (all []*Got) {
	for _, b := range packets {
		t.Inject(b)
		all = append(all, s.Peer.Expect(Data.On(s).That(fmt.Sprintf("of the packet of %d bytes", len(b)),
			func(g *Got) bool { return bytes.HasPrefix(g.Plain, b) }), t.Soon()))
	}
	return all
}

var padMultiple = Case{
	ID: "inner/pad/multiple-of-16", Rules: []string{"PAD-01"}, Level: Must, Isolation: Shared,
	Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Title: "Packets are padded to multiples of 16 bytes",
	Why: "Their exact lengths would tell a listener what is inside.",
	Run: func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		for n := 29; n < 90; n += 7 {
			g := fetched(t, s, sized(t, p, n))[0]
			if (len(g.Bytes)-32)%16 != 0 {
				t.FailAt(g, "a plaintext of a multiple of 16 bytes", fmt.Sprintf("%d for a packet of %d", len(g.Plain), n))
			}
		}
	},
}

var padCases = []Case{
	{
		ID: "inner/pad/not-beyond-mtu", Rules: []string{"PAD-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Padding does not make a packet longer than the interface's MTU",
		Why:   "The largest packets would not fit the path any more: connections open and then hang.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for n := 1409; n <= 1420; n += 2 { // the MTU of every setup is 1420
				g := fetched(t, s, sized(t, p, n))[0]
				if want := min((n+15)/16*16, 1420); len(g.Plain) != want {
					t.FailAt(g, fmt.Sprintf("%d bytes of plaintext for a packet of %d", want, n), fmt.Sprint(len(g.Plain)))
				}
			}
		},
	},
	{
		ID: "inner/pad/larger-than-mtu", Rules: []string{"PAD-03"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedVirtual, Lasts: 3 * time.Second,
		Title: "A packet larger than the MTU is sent whole",
		Why:   "The MTU may have been lowered while the packet was on its way.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := sized(t, p, 1500)
			g := fetched(t, s, b)[0]
			t.Check(bytes.Equal(g.Inner, b), "the packet of 1500 bytes", fmt.Sprintf("%d bytes of it", len(g.Inner)))
		},
	},
	{
		ID: "inner/pad/mtu-zero", Rules: []string{"PAD-02"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface | NeedVirtual, Lasts: 2 * time.Second, Bug: "B140",
		Title: "An MTU of 0 is no reason to fail",
		Why:   "It is a legal MTU, and two implementations divided by it.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			none := 0
			t.Configure(Change{MTU: &none})
			t.Inject(sized(t, p, 100))
			p.Expect(Data.On(s), t.Soon())
		},
	},
	{
		ID: "inner/pad/zeros", Rules: []string{"PAD-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second, Title: "Padding is zeros",
		Why: "What else is there has been in the sender's memory.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := sized(t, p, 33)
			t.Inject(b)
			g := p.Expect(Data.On(s), t.Soon())
			rest := g.Plain[min(len(b), len(g.Plain)):]
			t.Check(len(bytes.Trim(rest, "\x00")) == 0, "zeros behind the packet", fmt.Sprintf("%x", rest))
		},
	},
	{
		ID: "inner/pad/keepalive-is-empty", Rules: []string{"PAD-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Title: "A keepalive is 32 bytes long", Bug: "B111",
		Why: "Anything longer is data to the receiver, and is answered.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 25})
			g := p.Expect(Initiation, t.Soon())
			p.Reply(g)
			g = p.Expect(Transport, t.Soon())
			if len(g.Bytes) != 32 {
				t.FailAt(g, "a keepalive of 32 bytes", fmt.Sprintf("%d bytes", len(g.Bytes)))
			}
		},
	},
	{
		ID: "inner/pad/trimmed", Rules: []string{"PAD-06"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "What is behind an inner packet is cut off, whatever it is and however much",
		Why:   "Bytes that are not the packet's reach programs that trust the length of what they read.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for _, b := range [][]byte{p.Inbound(), p.Inbound6()} {
				for _, n := range []int{1, 15, 16, 700} {
					p.Send(s.Seal(append(slices.Clone(b), bytes.Repeat([]byte{0xff}, n)...)))
					g := t.Expect(Delivery.That("that begins with the packet", func(g *Got) bool {
						return bytes.HasPrefix(g.Packet, b)
					}), t.Soon())
					t.Equal("the length of what is delivered", len(g.Packet), len(b))
				}
			}
		},
	},
}

// badInner is a plaintext that must not be delivered.
type badInner struct {
	id, rule, title string
	make            func(t *T, p *Peer) []byte
}

// edited is the inbound packet with something else in it.
func edited(v6 bool, edit func(b []byte) []byte) func(*T, *Peer) []byte {
	return func(_ *T, p *Peer) []byte {
		b := p.Inbound()
		if v6 {
			b = p.Inbound6()
		}
		return edit(slices.Clone(b))
	}
}

func version(n byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b[0] = n<<4 | b[0]&15
		return b
	}
}

func cutTo(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

// totalLength writes another length into the IP header and makes the plaintext n bytes long.
func totalLength(v uint16, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		b = append(b, make([]byte, n)...)[:n]
		at := 2
		if b[0]>>4 == 6 {
			at = 4
		}
		binary.BigEndian.PutUint16(b[at:], v)
		return FixHeader(b)
	}
}

var badInner4 = []badInner{
	{"version-0", "INNER-01", "A packet of IP version 0", edited(false, version(0))},
	{"version-1", "INNER-01", "A packet of IP version 1", edited(false, version(1))},
	{"version-5", "INNER-01", "A packet of IP version 5", edited(false, version(5))},
	{"version-7", "INNER-01", "A packet of IP version 7", edited(true, version(7))},
	{"version-15", "INNER-01", "A packet of IP version 15", edited(true, version(15))},
	{"ipv4-one-byte", "INNER-02", "A single byte", edited(false, cutTo(1))},
	{"ipv4-19-bytes", "INNER-02", "An IPv4 packet of 19 bytes", edited(false, cutTo(19))},
	{"ipv6-39-bytes", "INNER-02", "An IPv6 packet of 39 bytes", edited(true, cutTo(39))},
	{"ipv4-length-0", "INNER-03", "An IPv4 packet with a total length of 0", edited(false, totalLength(0, 211))},
	{"ipv4-length-19", "INNER-03", "An IPv4 packet with a total length of 19", edited(false, totalLength(19, 213))},
	{"ipv4-one-short", "INNER-04", "An IPv4 packet of which a byte is missing", edited(false, totalLength(216, 215))},
	{"ipv4-length-65535", "INNER-04", "A short IPv4 packet that claims 65535 bytes", edited(false,
		totalLength(65535, 217))},
	{"ipv6-one-short", "INNER-04", "An IPv6 packet of which a byte is missing", edited(true, totalLength(180, 219))},
	{"ipv6-length-65496", "INNER-04", "A short IPv6 packet that claims 65496 bytes, 65536 with its header",
		edited(true, totalLength(65496, 221))},
	{"ipv6-length-65535", "INNER-04", "A short IPv6 packet that claims 65535 bytes", edited(true,
		totalLength(65535, 223))},
	{"not-its-source", "ROUTE-03", "A packet from an IPv4 address that is nobody's", func(t *T, p *Peer) []byte {
		return UDP(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 9}), 1), netip.AddrPortFrom(t.Host4, 2),
			t.Text(225-28))
	}},
	{"not-its-source-v6", "ROUTE-03", "A packet from an IPv6 address that is nobody's", func(t *T, p *Peer) []byte {
		return UDP(netip.AddrPortFrom(netip.MustParseAddr("2001:db8:ffff::9"), 1), netip.AddrPortFrom(t.Host6, 2),
			t.Text(227-48))
	}},
	{"mapped-source", "ROUTE-09", "An IPv6 packet from the mapped form of an allowed IPv4 address",
		func(t *T, p *Peer) []byte {
			return UDP(netip.AddrPortFrom(netip.AddrFrom16(p.Inner4.As16()), 1), netip.AddrPortFrom(t.Host6, 2),
				t.Text(229-48))
		}},
}

// badInnerCases sends each in a session that works, wants silence, and the session to work on.
func badInnerCases() (list []Case) {
	for _, b := range badInner4 {
		list = append(list, Case{
			// Of its own, for nobody else could tell whose packet it is if it comes out.
			ID: "inner/drop/" + b.id, Rules: []string{b.rule}, Level: Must, Isolation: OwnInstance,
			Needs: NeedConfigure | NeedInner, Lasts: 1500 * time.Millisecond, Title: b.title + " is dropped in silence",
			Why: "The host's stack takes what comes out of the tunnel for checked; the session must not suffer either.",
			Run: func(t *T) {
				p := t.Peer()
				s := p.Connect()
				t.Premise(func() { s.Deliver(p.Inbound()) })
				t.Forget()
				p.Send(s.Seal(b.make(t, p)))
				t.SilenceStill(Delivery, 300*time.Millisecond)
				p.SilenceStill(AnyDatagram, 300*time.Millisecond)
				s.Deliver(p.Inbound())
			},
		})
	}
	return list
}

// passes is a case about an unusual packet that must come out as it went in.
func passes(id, rule, title string, make func(t *T, p *Peer) []byte) Case {
	level := Must
	if rule == "INNER-08" {
		level = Should
	}
	return Case{ID: "inner/pass/" + id, Rules: []string{rule}, Level: level, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Title: title + " is passed unchanged, both ways",
		Why: "A tunnel for IP carries all of IP: who filters breaks something.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := make(t, p)
			p.Send(s.Seal(b))
			g := t.Expect(Delivery, t.Soon())
			t.Check(bytes.Equal(g.Packet, b), "the packet as it was sent", fmt.Sprintf("%x", g.Packet))
		}}
}

var innerPassCases = []Case{
	passes("ipv4-options", "INNER-05", "An IPv4 packet with options", func(t *T, p *Peer) []byte {
		b := slices.Insert(slices.Clone(p.Inbound()), 20, 1, 1, 1, 0)
		b[0] = 0x46
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return FixHeader(b)
	}),
	passes("ipv6-extension", "INNER-05", "An IPv6 packet with a hop-by-hop header", func(t *T, p *Peer) []byte {
		b := slices.Clone(p.Inbound6())
		b = slices.Insert(b, 40, b[6], 0, 1, 4, 0, 0, 0, 0)
		b[6] = 0
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		return b
	}),
	passes("fragment", "INNER-08", "A fragment", func(t *T, p *Peer) []byte {
		b := slices.Clone(p.Inbound())
		b[6], b[7] = 0x20, 0x10
		return FixHeader(b)
	}),
	passes("unknown-protocol", "INNER-08", "A packet of protocol 253", func(t *T, p *Peer) []byte {
		return IP(p.Inner4, t.Host4, 253, t.Text(40))
	}),
	passes("wrong-checksum", "INNER-08", "A packet with a wrong UDP checksum", func(t *T, p *Peer) []byte {
		b := slices.Clone(p.Inbound())
		b[26] ^= 0x55
		return b
	}),
}

// Sixteen zero bytes are no IP packet, but they authenticate: "a bad inner packet still counts" (INNER-07).
var innerCountsCases = []Case{
	{
		ID: "inner/bad/moves-endpoint", Rules: []string{"INNER-07", "ROAM-01"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A message with a bad inner packet moves the endpoint like any other",
		Why:   "It is the peer's key that says where the peer is, not what it sends.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			to := p.NewPort()
			p.SendFrom(to, s.Seal(make([]byte, 16)))
			t.Wait(50 * time.Millisecond)
			t.Inject(p.Outbound())
			g := t.Expect(Data.On(s), t.Soon())
			t.Equal("where the next packet goes", g.Remote, to)
		},
	},
	{
		ID: "inner/bad/is-data-for-the-keepalive", Rules: []string{"INNER-07", "TIMER-12"}, Level: Must,
		Isolation: Shared, Needs: NeedConfigure | NeedInner, Lasts: 14 * time.Second,
		Title: "A bad inner packet is answered by a passive keepalive like any other",
		Why:   "Its sender waits for a sign of life, and would start a new handshake.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			at := p.Send(s.Seal(make([]byte, 16)))
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		},
	},
	{
		ID: "inner/bad/confirms", Rules: []string{"INNER-07", "HS-17"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A bad inner packet confirms the session like any other message",
		Why:   "It proves that the peer has the keys.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Begin()
			p.Send(s.Seal(make([]byte, 16)))
			t.Wait(50 * time.Millisecond)
			t.Inject(p.Outbound())
			p.Expect(Data.On(s), t.Soon())
		},
	},
}
