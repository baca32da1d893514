package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var handshakeCases = slices.Concat(responderCases, refusalCases, floodCases, confirmCases, initiatorCases,
	responseCases, crossingCases, timestampCases, timestampSentCases)

// apart is a time after which the flood rule (HS-28) has no say in the next initiation of a peer: 20 ms, and what a
// coarse clock adds. Implementations whose clock is coarser than that have no such rule.
func apart(t *T) time.Duration { return 30*time.Millisecond + min(t.Slack(), 20*time.Millisecond) }

// settled is Peer.Connect, and what the subject says to the confirmation is taken (OPEN-9: some say something).
func settled(t *T, p *Peer) *Session {
	s := p.Connect()
	hush(t, p)
	return s
}

// hush takes what else a subject says when a session begins (HS-15 is a case of its own).
func hush(t *T, p *Peer) {
	t.Wait(200 * time.Millisecond)
	t.Take(AnyDatagram.To(p))
}

var responderCases = slices.Concat(
	bothFamilies(Case{
		ID: "handshake/response/answers", Rules: []string{"HS-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "A right initiation gets one response, where it came from",
		Why:   "This is how a tunnel begins. No answer, no tunnel; two answers, two sessions.",
		Run:   answersOnce,
	}),
	bothFamilies(Case{
		ID: "handshake/response/to-the-source", Rules: []string{"HS-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Bug: "B122 (gotatun), B123 (wireguard-go)",
		Title: "The response goes where the initiation came from, whatever was known before",
		Why:   "A peer that moved, or whose address nobody configured, has no other way to begin.",
		Run: func(t *T) {
			for _, p := range []*Peer{t.NewPeer(PeerOptions{NoEndpoint: true}), t.Peer()} {
				for _, from := range []func() netip.AddrPort{p.NewPort, p.NewAddr} {
					p.Addr = from()
					p.Send(p.Initiate(peer.Spec{}).Bytes)
					g := p.Expect(Response, t.Soon())
					t.Equal("the address that is answered", g.Remote, p.Addr)
					t.Wait(apart(t))
					t.Take(Response.To(p))
				}
			}
		},
	}),
	[]Case{
		{
			ID: "handshake/response/families-in-turn", Rules: []string{"HS-03"}, Level: Must, Isolation: OwnInstance,
			Needs: NeedConfigure | NeedIPv6, Lasts: 2 * time.Second,
			Title: "Initiations over IPv4 and IPv6 in turn are answered each to its source",
			Why:   "Buffers that both families share keep an address of 4 bytes where one of 16 belongs.",
			Run: func(t *T) {
				for range 12 {
					p := t.Peer()
					q := t.NewPeer(PeerOptions{V6: true})
					for _, p := range []*Peer{p, q} {
						p.Send(p.Initiate(peer.Spec{}).Bytes)
						g := p.Expect(Response, t.Soon())
						t.Equal("the address that is answered", g.Remote, p.Addr)
					}
				}
			},
		},
		{
			ID: "handshake/response/fresh-index", Rules: []string{"HS-07"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure, Lasts: 3 * time.Second,
			Title: "Every response has a sender index of its own, and the initiator's as receiver index",
			Why:   "Messages of two sessions under one index cannot be told apart.",
			Run: func(t *T) {
				p := t.Peer()
				seen := map[uint32]bool{}
				for range 4 {
					i := p.Initiate(peer.Spec{})
					p.Send(i.Bytes)
					g := p.Expect(Response, t.Soon())
					t.Equal("the receiver index of the response", g.Receiver(), i.Index)
					t.Check(!seen[g.Sender()], "a sender index that was not there before", fmt.Sprintf("%08x", g.Sender()))
					seen[g.Sender()] = true
					t.Wait(apart(t))
					t.Take(Response.To(p)) // a second one is another case's business
				}
			},
		},
		{
			ID: "handshake/response/several", Rules: []string{"HS-27"}, Level: May, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
			Title: "How many of several initiations in a row are answered; the last answer counts",
			Why:   "A peer that lost the response asks again, and knows only the newest keys.",
			Run: func(t *T) {
				p := t.Peer()
				var last *Session
				answers := 0
				for range 3 {
					p.Send(p.Initiate(peer.Spec{}).Bytes)
					for _, g := range t.Gather(Response.To(p), 100*time.Millisecond) {
						answers++
						last = g.Session
					}
				}
				t.Measure("responses to three initiations 100 ms apart", fmt.Sprint(answers))
				t.Check(last != nil, "an answer that completes a handshake", "none")
				last.Keepalive()
				last.Fetch(p.Outbound())
				last.Deliver(p.Inbound())
			},
		},
	},
	bothRoles(Case{
		ID: "handshake/session/carries-data", Rules: []string{"KEY-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "A new session carries packets both ways",
		Why:   "The handshake's only purpose: both ends have the same keys and use them.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Handshake()
			s.Deliver(p.Inbound())
			s.Fetch(p.Outbound())
		},
	}),
)

func answersOnce(t *T) {
	p := t.Peer()
	i := p.Initiate(peer.Spec{})
	p.Send(i.Bytes)
	g := p.Expect(Response, t.Soon())
	t.Equal("the address that is answered", g.Remote, p.Addr)
	t.Equal("the receiver index of the response", g.Receiver(), i.Index)
	t.Check(g.Session != nil, "a response that completes the handshake", "one that does not authenticate")
	p.Silence(Handshake, time.Second)
}

var refusalCases = []Case{
	{
		ID: "handshake/refuse/stranger", Rules: []string{"HS-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "An initiation by a key that is no peer's gets no answer",
		Why:   "An answer would tell a stranger that there is something to attack; a session would let him in.",
		Run: func(t *T) {
			for range 3 {
				p := t.NewPeer(PeerOptions{Stranger: true})
				p.Send(p.Initiate(peer.Spec{}).Bytes)
			}
			t.Silence(AnyDatagram, time.Second)
		},
	},
	{
		ID: "handshake/refuse/impostor", Rules: []string{"HS-06"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "An initiation that names a peer's key without having it gets no answer",
		Why:   "Public keys are public: only the timestamp's encryption shows that the sender is who he says.",
		Run: func(t *T) {
			p := t.Peer()
			for range 3 {
				impostor := peer.NewPair(t.Random)
				impostor.Public = p.Party.Static.Public
				p.Send(p.Initiate(peer.Spec{Static: &impostor}).Bytes)
				t.Wait(apart(t))
			}
			p.SilenceStill(AnyDatagram, time.Second)
			t.Premise(func() { p.Connect() })
		},
	},
	{
		ID: "handshake/refuse/changed", Rules: []string{"HS-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "An initiation of which any field was changed on the way gets no answer",
		Why:   "Every byte of it is covered by something. The one that is not could be chosen by the path.",
		Run: func(t *T) {
			p := t.Peer()
			for _, at := range []int{8, 20, 39, 40, 70, 87, 88, 99, 100, 115} {
				i := p.Initiate(peer.Spec{})
				i.Bytes[at] ^= 0x04
				p.Send(p.Remac(i.Bytes))
				t.Wait(apart(t))
			}
			p.SilenceStill(AnyDatagram, time.Second)
			t.Premise(func() { p.Connect() })
		},
	},
	{
		ID: "handshake/refuse/leaves-no-trace", Rules: []string{"HS-04", "HS-24"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedState, Lasts: 5 * time.Second,
		Title: "Initiations that are refused change nothing of the peer they name",
		Why: "Anybody can send them. What they change, anybody can change: who does so before all checks lets a tunnel " +
			"be led away.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			before := stable(p)
			for _, b := range badInitiations(t, p) {
				p.SendFrom(p.NewPort(), b)
				t.Wait(apart(t))
			}
			t.Equal("what the subject says of the peer", stable(p), before)
			s.Fetch(p.Outbound())
			s.Deliver(p.Inbound())
		},
	},
	{
		ID: "handshake/refuse/many", Rules: []string{"HS-04"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure, Lasts: 2 * time.Second, Bug: "B034 (wireguard-go)",
		Title: "A hundred initiations that are refused cost the next right one nothing",
		Why:   "An error path that ends a worker, or leaks a slot, shows only after as many errors as there are workers.",
		Run: func(t *T) {
			p := t.Peer()
			for n := range 100 {
				i := p.Initiate(peer.Spec{})
				i.Bytes[[]int{116, 60, 100}[n%3]] ^= 1
				if n%3 > 0 {
					p.Remac(i.Bytes)
				}
				p.Send(i.Bytes)
				t.Wait(5 * time.Millisecond)
			}
			t.Wait(500 * time.Millisecond)
			answered(t, p, peer.Spec{})
		},
	},
	{
		ID: "handshake/refuse/without-own-key", Rules: []string{"HS-23"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInterface | NeedInner, Lasts: 2 * time.Second,
		Title: "Without a private key the subject neither initiates nor answers",
		Why:   "A key of zeros is known to everybody.",
		Run: func(t *T) {
			p := t.Peer()
			key, i := *t.Setup.Config.PrivateKey, p.Initiate(peer.Spec{})
			t.Configure(Change{PrivateKey: &Key{}})
			t.Forget()
			t.Inject(p.Outbound())
			p.Send(i.Bytes)
			p.SilenceStill(AnyDatagram, time.Second)
			t.Configure(Change{PrivateKey: &key})
			t.Premise(func() { answered(t, p, peer.Spec{}) })
		},
	},
}

// stable is what a subject says of a peer as far as only authentic messages may change it.
func stable(p *Peer) string {
	st, _ := p.State()
	s := fmt.Sprintf("endpoint %v, %d bytes received, %d bytes sent", st.Endpoint, st.Received, st.Sent)
	if st.LastHandshake.Year() > 2000 { // otherwise it is no time of the day at all (UAPI-27)
		s += fmt.Sprintf(", handshake at %v", st.LastHandshake.UTC())
	}
	return s
}

// badInitiations are wrong in one respect each, from what is looked at first to what is looked at last.
func badInitiations(t *T, p *Peer) (bad [][]byte) {
	add := func(s peer.Spec, edit func(b []byte) []byte) {
		bad = append(bad, edit(p.Initiate(s).Bytes))
	}
	same := func(b []byte) []byte { return b }
	flip := func(at int) func(b []byte) []byte {
		return func(b []byte) []byte {
			b[at] ^= 1
			return b
		}
	}
	impostor, point, old := peer.NewPair(t.Random), peer.LowOrderPair(peer.LowOrderPoints()[2]), peer.Timestamp{11: 1}
	impostor.Public = p.Party.Static.Public
	add(peer.Spec{}, func(b []byte) []byte { return p.Remac(append(b, 0)) })
	add(peer.Spec{}, flip(116))
	add(peer.Spec{Ephemeral: &point}, same)
	add(peer.Spec{}, func(b []byte) []byte { return p.Remac(flip(50)(b)) })
	add(peer.Spec{Static: &impostor}, same)
	add(peer.Spec{}, func(b []byte) []byte { return p.Remac(flip(100)(b)) })
	add(peer.Spec{Timestamp: &old}, same) // a replay, by its time
	return bad
}

var floodCases = []Case{
	{
		ID: "handshake/flood/within-20-ms", Rules: []string{"HS-28"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second, Bug: "B047 (wireguard-rs)",
		Title: "Of two initiations of a peer within 20 ms one is answered",
		Why:   "A peer that floods, or somebody who holds its messages back and lets them go at once, makes endless work.",
		Run: func(t *T) {
			p := t.Peer()
			i, j := p.Initiate(peer.Spec{}), p.Initiate(peer.Spec{})
			t.Burst(2)
			local := t.hostFor(p.Addr.Addr())
			both := t.Input(Datagram{Local: local, Remote: p.Addr, Bytes: i.Bytes},
				Datagram{Local: local, Remote: p.Addr, Bytes: j.Bytes})
			got := t.Gather(Handshake.To(p), 500*time.Millisecond)
			if most := both.Latest.Sub(both.Earliest); most > 15*time.Millisecond {
				t.Inconclusive(fmt.Sprintf("the two were sent up to %v apart", most))
			}
			t.Equal("responses to two initiations at once", len(got), 1)
			if t.Caps.Virtual { // several threads may take the second for the first
				t.Equal("the initiation that is answered", got[0].Receiver(), i.Index)
			}
			// OPEN-7: whether what was too fast may come again.
			p.Send(j.Bytes)
			again := t.Gather(Response.To(p), 300*time.Millisecond)
			t.Measure("an initiation that came too fast is answered when it comes again", fmt.Sprint(len(again) > 0))
		},
	},
	{
		ID: "handshake/flood/after-20-ms", Rules: []string{"HS-28"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second, Bug: "B046 (wireguard-go)",
		Title: "Initiations of a peer 30 ms apart are all answered",
		Why:   "Fifty a second are granted. Less, and a peer whose first response got lost waits in vain.",
		Run: func(t *T) {
			p := t.Peer()
			t.Burst(4)
			for range 4 {
				answered(t, p, peer.Spec{})
				t.Wait(30 * time.Millisecond)
			}
		},
	},
}
