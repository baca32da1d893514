package conformance

import (
	"net/netip"
	"time"
)

// narrower gives b a prefix inside one of a's, and an address in it.
func narrower(t *T, v6 bool) (a, b *Peer, wide, narrow netip.Addr) {
	if v6 {
		host := t.Host6.As16()
		net := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 4: host[14], 5: host[15]}), 48)
		wide, narrow = net.Addr().Next(), net.Addr().Next().Next()
		return t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{net}}),
			t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{netip.PrefixFrom(narrow, 128)}}), wide, narrow
	}
	host := t.Host4.As4()
	net := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 20 + host[2]%8, host[3], 0}), 24)
	wide, narrow = net.Addr().Next(), net.Addr().Next().Next()
	return t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{net}}),
		t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{netip.PrefixFrom(narrow, 32)}}), wide, narrow
}

// packetTo is a packet of the host to an address, of either family.
func packetTo(t *T, to netip.Addr) []byte {
	from := t.Host4
	if to.Is6() {
		from = t.Host6
	}
	return UDP(netip.AddrPortFrom(from, 7), netip.AddrPortFrom(to, 8), t.Text(60))
}

func packetFrom(t *T, from netip.Addr) []byte {
	to := t.Host4
	if from.Is6() {
		to = t.Host6
	}
	return UDP(netip.AddrPortFrom(from, 7), netip.AddrPortFrom(to, 8), t.Text(60))
}

func routeCase(id string, rules []string, level Level, title, why string, run func(*T)) Case {
	return Case{ID: "inner/route/" + id, Rules: rules, Level: level, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 6 * time.Second, Title: title, Why: why, Run: run}
}

func toldCase(id string, rules []string, title, why string, run func(*T)) Case {
	c := routeCase(id, rules, Should, title, why, run)
	c.Needs |= NeedErrors
	c.Isolation, c.Lasts = OwnInstance, 3*time.Second // errors may be limited, and what others cause counts
	return c
}

const whyRouting = "Cryptokey routing is the firewall of WireGuard: an address stands for a key."

func longestOut(v6 bool) func(*T) {
	return func(t *T) {
		a, b, wide, narrow := narrower(t, v6)
		sa, sb := a.Connect(), b.Connect()
		t.Inject(packetTo(t, narrow))
		t.Expect(Data.On(sb), t.Soon())
		t.Inject(packetTo(t, wide))
		t.Expect(Data.On(sa), t.Soon())
	}
}

func longestIn(v6 bool) func(*T) {
	return func(t *T) {
		a, b, wide, narrow := narrower(t, v6)
		sa, sb := a.Connect(), b.Connect()
		sa.Deliver(packetFrom(t, wide))
		sb.Deliver(packetFrom(t, narrow))
		sa.Send(packetFrom(t, narrow))
		t.SilenceStill(Delivery, 500*time.Millisecond)
		sa.Deliver(packetFrom(t, wide))
	}
}

// toldOf wants an ICMP error about a packet: "ICMPv4 type 3 code 1 / ICMPv6 type 1 code 3".
func toldOf(v6 bool) Match {
	return Delivery.That("ICMP host unreachable", func(g *Got) bool {
		b := g.Packet
		if v6 {
			return len(b) > 48 && b[0]>>4 == 6 && b[6] == 58 && b[40] == 1 && b[41] == 3
		}
		return len(b) > 28 && b[0]>>4 == 4 && b[9] == 1 && b[20] == 3 && b[21] == 1
	})
}

var routeCases = []Case{
	routeCase("longest-prefix-out", []string{"ROUTE-01"}, Must, "The longest prefix of the destination chooses the peer",
		whyRouting, longestOut(false)),
	routeCase("longest-prefix-out-v6", []string{"ROUTE-01"}, Must,
		"The longest prefix of an IPv6 destination chooses the peer", whyRouting, longestOut(true)),
	routeCase("longest-prefix-in", []string{"ROUTE-02"}, Must,
		"A packet from an address that routes to another peer is dropped", whyRouting, longestIn(false)),
	routeCase("longest-prefix-in-v6", []string{"ROUTE-02"}, Must,
		"A packet from an IPv6 address that routes to another peer is dropped", whyRouting+
			" One implementation checked IPv4 only.", longestIn(true)),
	routeCase("moves-out", []string{"ROUTE-04", "ROUTE-08"}, Must,
		"A prefix given to another peer leads there from the next packet on", whyRouting, func(t *T) {
			a, b := t.Peer(), t.Peer()
			sa, sb := a.Connect(), b.Connect()
			sa.Fetch(a.Outbound())
			b.Configure(PeerChange{AllowedIPs: []netip.Prefix{netip.PrefixFrom(a.Inner4, 32)}})
			t.Inject(packetTo(t, a.Inner4))
			t.Expect(Data.On(sb), t.Soon())
		}),
	routeCase("moves-in", []string{"ROUTE-04", "ROUTE-08"}, Must,
		"A peer that lost a prefix is not heard from there any more", whyRouting, func(t *T) {
			a, b := t.Peer(), t.Peer()
			sa, sb := a.Connect(), b.Connect()
			sa.Deliver(a.Inbound())
			b.Configure(PeerChange{AllowedIPs: []netip.Prefix{netip.PrefixFrom(a.Inner4, 32)}})
			sa.Send(packetFrom(t, a.Inner4))
			t.SilenceStill(Delivery, 500*time.Millisecond)
			sb.Deliver(packetFrom(t, a.Inner4))
		}),
	routeCase("replaced-allowed-ips", []string{"ROUTE-08"}, Must,
		"An allowed IP that was taken away counts no more from the next packet on", whyRouting, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			p.Configure(PeerChange{ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{netip.PrefixFrom(p.Inner6, 128)}})
			s.Send(p.Inbound())
			t.SilenceStill(Delivery, 500*time.Millisecond)
			s.Deliver(p.Inbound6())
		}),
	{
		ID: "inner/route/default", Rules: []string{"ROUTE-07"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 2 * time.Second, Title: "0.0.0.0/0 and ::/0 are prefixes like others",
		Why: "They are what most VPN clients have.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"),
				netip.MustParsePrefix("::/0")}})
			s := p.Connect()
			for _, a := range []string{"203.0.113.77", "2001:db8:77::1"} {
				t.Inject(packetTo(t, netip.MustParseAddr(a)))
				p.Expect(Data.On(s), t.Soon())
			}
			s.Deliver(packetFrom(t, netip.MustParseAddr("203.0.113.78")))
		},
	},
	{
		ID: "inner/route/host-bits", Rules: []string{"ROUTE-07"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "Host bits of an allowed IP are ignored",
		Why: "People write the address of the host with the length of its network.",
		Run: func(t *T) {
			host := t.Host4.As4()
			own := netip.AddrFrom4([4]byte{172, 28, host[2]<<4 | host[3]>>4, host[3] << 4})
			p := t.NewPeer(PeerOptions{AllowedIPs: []netip.Prefix{netip.PrefixFrom(own.Next().Next(), 28)}})
			s := p.Connect()
			t.Inject(packetTo(t, own.Next()))
			p.Expect(Data.On(s), t.Soon())
		},
	},
	toldCase("no-peer-is-told", []string{"ROUTE-05"}, "The sender of a packet for nobody is told",
		"Without an ICMP error a program waits for its timeout.", func(t *T) {
			for _, a := range []string{"203.0.113.99", "2001:db8:99::1"} {
				to := netip.MustParseAddr(a)
				t.Inject(packetTo(t, to))
				t.Expect(toldOf(to.Is6()), t.Soon())
			}
		}),
	toldCase("no-endpoint-is-told", []string{"ROUTE-06"},
		"The sender of a packet for a peer without endpoint is told",
		"Without an ICMP error a program waits for its timeout.", func(t *T) {
			p := t.NewPeer(PeerOptions{NoEndpoint: true})
			t.Inject(p.Outbound())
			t.Expect(toldOf(false), t.Soon())
		}),
	routeCase("not-ip", []string{"ROUTE-10"}, Must, "What is no IP packet is not sent", "There is no address to route by.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := p.Outbound()
			b[0] = 0x50 | b[0]&15
			t.Inject(b)
			p.SilenceStill(AnyDatagram, 500*time.Millisecond)
			s.Fetch(p.Outbound())
		}),
	routeCase("removed-peer", []string{"ROUTE-11"}, Should, "A peer that is removed is neither heard nor spoken to",
		"Removing a peer is how access is taken away.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			p.Configure(PeerChange{Remove: true})
			late := p.Inbound()
			s.Send(late)
			t.Inject(p.Outbound())
			t.SilenceStill(Delivery.Carrying(late), 500*time.Millisecond)
			p.SilenceStill(AnyDatagram, 500*time.Millisecond)
		}),
}
