package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var roamCases = slices.Concat(roamMoves, bothFamilies(roamData), roamStays(),
	bothFamilies(roamSource), bothFamilies(roamSourceGone), qosCases)

func roamCase(id string, rules []string, title, why string, run func(*T)) Case {
	return Case{ID: "roam/" + id, Rules: rules, Level: Must, Isolation: Shared, Needs: NeedConfigure | NeedInner,
		Lasts: 5 * time.Second, Title: title, Why: why, Run: run}
}

const whyRoam = "People change networks. The tunnel follows whoever has the keys, and nobody else."

// goesTo wants the next packet for p to go to an address.
func goesTo(t *T, p *Peer, s *Session, to netip.AddrPort) {
	t.Inject(p.Outbound())
	g := t.Expect(Data.On(s), t.Soon())
	t.Equal("the address that the next packet goes to", g.Remote, to)
}

var roamData = Case{
	ID: "roam/data/moves-endpoint", Rules: []string{"ROAM-01"}, Level: Must, Isolation: Shared,
	Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
	Title: "Data from a new address moves the peer there", Why: whyRoam,
	Run: func(t *T) {
		p := t.Peer()
		s := p.Connect()
		elsewhere := p.NewAddr()
		packet := p.Inbound()
		p.SendFrom(elsewhere, s.Seal(pad(packet)))
		t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
		goesTo(t, p, s, elsewhere)
	},
}

var roamMoves = []Case{
	roamCase("keepalive/moves-endpoint", []string{"ROAM-04"}, "A keepalive from a new port moves the peer there", whyRoam,
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			elsewhere := p.NewPort()
			p.SendFrom(elsewhere, s.Seal(nil))
			t.Wait(50 * time.Millisecond)
			goesTo(t, p, s, elsewhere)
		}),
	roamCase("stranger-source/moves-endpoint", []string{"ROAM-05"},
		"Data from an inner address that is not allowed moves the peer too",
		"The key says where the peer is, not what it sends.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			elsewhere := p.NewPort()
			p.SendFrom(elsewhere, s.Seal(pad(p.Packet(netip.MustParseAddr("203.0.113.50"), t.Host4))))
			t.Wait(50 * time.Millisecond)
			goesTo(t, p, s, elsewhere)
		}),
	roamCase("initiation/moves-endpoint", []string{"ROAM-12", "ROAM-01"},
		"The response goes to where the initiation came from, whatever the endpoint was", whyRoam, func(t *T) {
			p := t.Peer()
			p.Connect()
			elsewhere := p.NewPort()
			t.Wait(30 * time.Millisecond)
			p.SendFrom(elsewhere, p.Initiate(peer.Spec{}).Bytes)
			g := t.Expect(Response, t.Soon())
			t.Equal("the address that the response goes to", g.Remote, elsewhere)
		}),
	roamCase("response/moves-endpoint", []string{"ROAM-01"}, "A response from a new port moves the peer there", whyRoam,
		func(t *T) {
			p := t.Peer()
			first := p.Outbound()
			t.Inject(first)
			elsewhere := p.NewPort()
			var s *Session
			t.Premise(func() {
				r, made := p.Respond(p.Expect(Initiation, t.Soon()), peer.Spec{})
				s = made
				p.SendFrom(elsewhere, r.Bytes)
			})
			g := t.Expect(Data.On(s), t.Soon())
			t.Equal("the address that the packet which waited goes to", g.Remote, elsewhere)
		}),
	roamCase("learned/from-initiation", []string{"ROAM-10"}, "A peer without endpoint gets one by its first initiation",
		"Servers do not know where their clients are.", func(t *T) {
			p := t.NewPeer(PeerOptions{NoEndpoint: true})
			s := p.Connect()
			goesTo(t, p, s, p.Addr)
		}),
	roamCase("configured/replaces-learned", []string{"ROAM-07"}, "An endpoint that is set replaces one that was learned",
		"Tools that resolve names again set it when a server has moved.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			elsewhere := p.NewPort()
			p.Configure(PeerChange{Endpoint: &elsewhere})
			goesTo(t, p, s, elsewhere)
		}),
	roamCase("learned/replaces-configured", []string{"ROAM-07", "ROAM-01"},
		"An endpoint that was set is only where it begins", whyRoam, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			wrong := p.NewPort()
			p.Configure(PeerChange{Endpoint: &wrong})
			p.Send(s.Seal(nil))
			t.Wait(50 * time.Millisecond)
			goesTo(t, p, s, p.Addr)
		}),
	{
		ID: "roam/family/four-to-six", Rules: []string{"ROAM-06"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedIPv6, Lasts: 2 * time.Second,
		Title: "A peer may move from IPv4 to IPv6 and back", Why: "Mobile networks differ in what they have.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for _, to := range []netip.AddrPort{p.NewAddr6(), p.NewAddr4()} {
				p.SendFrom(to, s.Seal(nil))
				t.Wait(50 * time.Millisecond)
				goesTo(t, p, s, to)
			}
		},
	},
	{
		ID: "roam/state/shows-endpoint", Rules: []string{"ROAM-01", "UAPI-20"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedState, Lasts: 4 * time.Second, Title: "The endpoint that was learned is the one shown",
		Why: "wg show is where people look when a tunnel does not work.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			elsewhere := p.NewPort()
			p.SendFrom(elsewhere, s.Seal(nil))
			t.Wait(50 * time.Millisecond)
			st, ok := p.State()
			t.Check(ok && st.Endpoint == elsewhere, "endpoint "+elsewhere.String(), fmt.Sprint(st.Endpoint))
		},
	},
}

// roamStrays are datagrams that must not move a peer.
var roamStrays = []struct {
	id, what string
	make     func(t *T, p *Peer, s *Session) []byte
}{
	{"bad-tag", "a transport message with a wrong tag", func(_ *T, p *Peer, s *Session) []byte {
		b := s.Seal(pad(p.Inbound()))
		b[len(b)-1] ^= 1
		return b
	}},
	{"cut", "a transport message that was cut", func(_ *T, p *Peer, s *Session) []byte {
		return s.Seal(pad(p.Inbound()))[:48]
	}},
	{"spoofed-index", "16 bytes with the session's index", func(_ *T, p *Peer, s *Session) []byte {
		return append(s.Seal(nil)[:16:16], make([]byte, 16)...)
	}},
	{"unknown-index", "a transport message to an unknown index", func(_ *T, p *Peer, s *Session) []byte {
		b := s.Seal(pad(p.Inbound()))
		b[4] ^= 0x80
		return b
	}},
	{"bad-mac1", "an initiation with a wrong mac1", func(_ *T, p *Peer, _ *Session) []byte {
		b := p.Initiate(peer.Spec{}).Bytes
		b[120] ^= 1
		return b
	}},
	{"old-timestamp", "an initiation with an old timestamp", func(_ *T, p *Peer, _ *Session) []byte {
		return p.Initiate(peer.Spec{Timestamp: &peer.Timestamp{}}).Bytes
	}},
	{"bad-initiation", "an initiation with a damaged timestamp", func(_ *T, p *Peer, _ *Session) []byte {
		b := p.Initiate(peer.Spec{}).Bytes
		b[110] ^= 1
		return p.Remac(b)
	}},
	{"bad-response", "a response to nothing", func(_ *T, p *Peer, s *Session) []byte {
		b := make([]byte, 92)
		b[0] = 2
		return p.Remac(b)
	}},
}

// roamStays makes a case of each kind of datagram that must not move a peer.
func roamStays() (list []Case) {
	for _, k := range roamStrays {
		list = append(list, roamCase("stays/"+k.id, []string{"ROAM-02"}, "The peer does not move for "+k.what, whyRoam,
			func(t *T) {
				p := t.Peer()
				s := p.Connect()
				t.Wait(30 * time.Millisecond)
				p.SendFrom(p.NewPort(), k.make(t, p, s))
				t.Wait(100 * time.Millisecond)
				goesTo(t, p, s, p.Addr)
			}))
	}
	replay := roamCase("stays/replay", []string{"ROAM-02"},
		"The peer does not move for a transport message that came before", whyRoam, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(p.Inbound()))
			p.Send(b)
			t.Wait(50 * time.Millisecond)
			p.SendFrom(p.NewPort(), b)
			t.Wait(50 * time.Millisecond)
			goesTo(t, p, s, p.Addr)
		})
	replay.Bug = "B121"
	cookie := roamCase("stays/cookie-reply", []string{"ROAM-03", "COOKIE-11"},
		"The peer does not move for a cookie reply", whyRoam, func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			var first *Got
			t.Premise(func() { first = p.Expect(Initiation, t.Soon()) })
			p.SendFrom(p.NewPort(), p.CookieReply(first, make([]byte, 16)))
			g := t.Expect(Initiation, t.Due(Retransmit, first.At))
			t.Equal("the address that the next initiation goes to", g.Remote, p.Addr)
		})
	cookie.Lasts = 8 * time.Second
	return append(list, replay, cookie)
}

// reached makes a session at the second outer address of the subject's host.
func reached(t *T) (p *Peer, s *Session, response *Got, host netip.AddrPort) {
	second := t.HostAddr(1, t.Case.V6)
	t.SetAddresses([]netip.Prefix{second}, nil)
	t.Wait(300 * time.Millisecond) // what a subject does about its host's addresses is no part of the question
	p = t.Peer()
	host = netip.AddrPortFrom(second.Addr(), *t.Setup.Config.ListenPort)
	i := p.Initiate(peer.Spec{})
	p.SendTo(host, p.Addr, i.Bytes, 0)
	t.Premise(func() {
		response = p.Expect(Response, t.Soon())
		t.Check(response.Session != nil, "a response that completes the handshake", "one that does not authenticate")
	})
	s = response.Session
	p.SendTo(host, p.Addr, s.Seal(nil), 0)
	return p, s, response, host
}

var roamSource = Case{
	ID: "roam/source/answers-from-there", Rules: []string{"ROAM-08"}, Level: Should, Isolation: OwnInstance,
	Needs: NeedConfigure | NeedInner, Lasts: time.Second,
	Title: "What is sent leaves from the address that the peer has reached",
	Why:   "A NAT or firewall before the peer lets answers in from there only.",
	Run: func(t *T) {
		p, s, response, host := reached(t)
		t.Equal("the source of the response", response.Local, host)
		packet := p.Outbound()
		t.Inject(packet)
		g := p.Expect(Data.On(s).Carrying(packet), t.Soon())
		t.Equal("the source of data", g.Local, host)
		// And back: a host that chooses by itself may have chosen one of the two, not both.
		first := t.hostFor(p.Addr.Addr())
		p.SendTo(first, p.Addr, s.Seal(nil), 0)
		packet = p.Outbound()
		t.Inject(packet)
		g = p.Expect(Data.On(s).Carrying(packet), t.Soon())
		t.Equal("the source of data after the peer has reached the first address", g.Local, first)
	},
}

var roamSourceGone = Case{
	ID: "roam/source/forgotten-with-it", Rules: []string{"ROAM-09"}, Level: Should, Isolation: OwnInstance,
	Needs: NeedConfigure | NeedInner, Lasts: 2 * time.Second,
	Title: "When that address goes away, what is sent leaves from another",
	Why:   "An address that is gone sends nothing: the tunnel would be dead until the peer speaks.",
	Run: func(t *T) {
		p, s, _, host := reached(t)
		packet := p.Outbound()
		t.Inject(packet)
		t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
		t.SetAddresses(nil, []netip.Prefix{t.HostAddr(1, t.Case.V6)})
		first := t.hostFor(p.Addr.Addr())
		packet = p.Outbound()
		t.Inject(packet)
		g := p.Expect(Data.On(s).Carrying(packet), t.Soon())
		t.Check(g.Local.Addr() == first.Addr(), "data from "+first.Addr().String()+", for "+host.Addr().String()+
			" is gone", "data from "+g.Local.Addr().String())
	},
}
