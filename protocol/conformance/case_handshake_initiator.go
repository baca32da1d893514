package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var initiatorCases = slices.Concat(
	bothFamilies(Case{
		ID: "handshake/initiate/at-once", Rules: []string{"HS-01", "HS-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "A first packet makes the subject initiate at once, and waits for the session",
		Why:   "A tunnel comes up by being used; nobody has to bring it up.",
		Run: func(t *T) {
			p := t.Peer()
			packet := p.Outbound6()
			t.Inject(packet)
			g := p.Expect(Initiation, t.Soon())
			t.Check(g.Initiation != nil, "an initiation encrypted to its receiver's key", "one that it cannot read")
			t.Equal("the static key in the initiation", Key(g.Initiation.Static), t.Key)
			s := p.Reply(g)
			p.Expect(Data.On(s).Carrying(packet), t.Soon())
		},
	}),
	[]Case{
		{
			ID: "handshake/initiate/retries-differ", Rules: []string{"HS-20", "CRYPTO-13", "TAI-06"}, Level: Must,
			Isolation: Shared, Needs: NeedConfigure | NeedInner, Lasts: 18 * time.Second,
			Title: "A repeated initiation has a new ephemeral key, a new index and a later timestamp",
			Why: "A copy is a replay: the receiver drops it if it had the first, and only its response got lost. Then " +
				"the tunnel does not come up.",
			Run: retriesDiffer,
		},
		{
			ID: "handshake/initiate/spacing", Rules: []string{"HS-21"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 31 * time.Second, Bug: "B113 (firezone/boringtun)",
			Title: "Under constant traffic initiations are 5 s apart or more",
			Why:   "Each one costs its receiver public-key work. One per packet is a flood.",
			Run: func(t *T) {
				p := t.Peer()
				var stamps []Stamp
				for range 120 {
					t.Inject(p.Outbound())
					for _, g := range t.Gather(Initiation.To(p), 250*time.Millisecond) {
						stamps = append(stamps, g.At)
					}
					for i := 1; i < len(stamps); i++ {
						least, most := stamps[i].Sub(stamps[i-1])
						t.Check(most >= 5*time.Second-t.Slack(), "5 s at least between two initiations", span(least, most))
					}
				}
				t.Check(len(stamps) >= 4, "an initiation now and then in 30 s of traffic", fmt.Sprint(len(stamps)))
			},
		},
		{
			ID: "handshake/initiate/fresh-timestamp-and-index", Rules: []string{"HS-20"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
			Title: "Initiations to different peers share neither index nor ephemeral key",
			Why:   "The index tells the response which handshake it belongs to.",
			Run: func(t *T) {
				seen := map[string]bool{}
				for range 5 {
					g, _ := provoked(t, t.Peer())
					index, ephemeral := string(g.Bytes[4:8]), string(g.Bytes[8:40])
					t.Check(!seen[index] && !seen[ephemeral], "another index and ephemeral key for each peer", g.text())
					seen[index], seen[ephemeral] = true, true
				}
			},
		},
	},
)

func retriesDiffer(t *T) {
	p := t.Peer()
	g, _ := provoked(t, p)
	for range 3 {
		next := p.Expect(Initiation, t.Due(Retransmit, g.At))
		t.Check(next.Initiation != nil, "an initiation that its receiver can read", next.text())
		a, b := g.Initiation, next.Initiation
		t.Check(a.Ephemeral != b.Ephemeral, "a new ephemeral key", show(Key(b.Ephemeral))+" again")
		t.Check(a.Sender != b.Sender, "a new sender index", fmt.Sprintf("%08x again", b.Sender))
		t.Check(bytes.Compare(b.Timestamp[:], a.Timestamp[:]) > 0, "a timestamp after "+show(a.Timestamp[:]),
			show(b.Timestamp[:]))
		g = next
	}
}

// What the initiator takes for the response to its initiation.
var responseCases = []Case{
	{
		ID: "handshake/accept/wrong-index", Rules: []string{"HS-08"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A response to an index that is not that of the initiation is dropped",
		Why:   "The index says which handshake is meant; all else could be tried against every one that is under way.",
		Run: func(t *T) {
			p, q := t.Peer(), t.Peer()
			g, packet := provoked(t, p)
			other, _ := provoked(t, q)
			r, s := p.Respond(g, peer.Spec{})
			for _, index := range []uint32{0, 0xffffffff, g.Sender() + 1, g.Sender() ^ 1<<31, r.Index, other.Sender()} {
				wrong := bytes.Clone(r.Bytes)
				wrong[8], wrong[9], wrong[10], wrong[11] = byte(index), byte(index>>8), byte(index>>16), byte(index>>24)
				p.Send(p.Remac(wrong))
			}
			t.SilenceStill(Transport, time.Second)
			t.Premise(func() { completes(t, p, r, s, packet) })
		},
	},
	{
		ID: "handshake/accept/unasked", Rules: []string{"HS-08"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 6 * time.Second,
		Title: "A response that nobody waits for is dropped",
		Why:   "A session that the subject did not ask for would be one that somebody else chose.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			r, s := p.Respond(g, peer.Spec{})
			completes(t, p, r, s, packet)
			hush(t, p)
			again, stale := p.Respond(g, peer.Spec{}) // the handshake is over
			p.Send(again.Bytes)
			p.SilenceStill(Transport, time.Second)
			stale.Send(p.Inbound())
			t.SilenceStill(Delivery, 500*time.Millisecond)
			t.Premise(func() { s.Fetch(p.Outbound()) })
		},
	},
	{
		ID: "handshake/accept/once", Rules: []string{"HS-09"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "A second copy of a response is dropped",
		Why:   "Taken twice, the same keys would start again at counter 0: the same nonces for other messages.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			r, s := p.Respond(g, peer.Spec{})
			t.Premise(func() { completes(t, p, r, s, packet) })
			hush(t, p)
			p.Send(r.Bytes)
			p.Send(r.Bytes)
			p.SilenceStill(Transport, time.Second)
			d := s.Fetch(p.Outbound())
			t.Check(d.Counter > 0, "a counter that goes on", fmt.Sprint(d.Counter))
		},
	},
	{
		ID: "handshake/accept/after-forgeries", Rules: []string{"HS-10"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B010 (monad-bft wireauth), B011 (wireguard-rs)",
		Title: "Responses that do not authenticate leave the handshake as it was",
		Why: "Who sees the initiation can send them before the right response is there. If one of them counted, he " +
			"could keep the tunnel down for ever.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			psk := peer.Key(drawKey(t))
			for n, spec := range []peer.Spec{{PSK: &psk}, {}, {}, {}, {}} {
				r, _ := p.Respond(g, spec)
				if n >= 1 {
					r.Bytes[12+t.draw(48)] ^= 1 // the ephemeral key or the tag
				}
				p.Send(p.Remac(r.Bytes))
			}
			p.SilenceStill(Transport, 500*time.Millisecond)
			r, s := p.Respond(g, peer.Spec{})
			completes(t, p, r, s, packet)
		},
	},
	{
		ID: "handshake/accept/wrong-mac1", Rules: []string{"HS-26"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "A response with a wrong mac1 is as if there had been none",
		Why:   "mac1 is checked before any public-key work, so that the work is not anybody's to cause.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			r, _ := p.Respond(g, peer.Spec{})
			for _, bit := range []int{0, 7, 64, 127} {
				wrong := bytes.Clone(r.Bytes)
				wrong[60+bit/8] ^= 1 << (bit % 8)
				p.Send(wrong)
			}
			p.SilenceStill(Transport, time.Second)
			p.Expect(Initiation, t.Due(Retransmit, g.At))
		},
	},
	{
		ID: "handshake/accept/late", Rules: []string{"HS-08"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 7 * time.Second, Bug: "B084 (gotatun)",
		Title: "A response that comes after 4 s completes the handshake",
		Why:   "Satellites, sleeping phones and full queues are slow. The initiation is good until it is repeated.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			t.Wait(4 * time.Second)
			r, s := p.Respond(g, peer.Spec{})
			completes(t, p, r, s, packet)
		},
	},
	{
		ID: "handshake/accept/superseded", Rules: []string{"HS-11"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 9 * time.Second, Bug: "B013 (OpenBSD, FreeBSD)",
		Title: "A response to an initiation that was repeated since is dropped, one to the repetition is taken",
		Why:   "One handshake at a time: who keeps the old ones can be made to keep any number.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			next := p.Expect(Initiation, t.Due(Retransmit, g.At))
			p.Reply(g)
			p.SilenceStill(Transport, time.Second)
			r, s := p.Respond(next, peer.Spec{})
			completes(t, p, r, s, packet)
		},
	},
	{
		ID: "handshake/accept/roams-when-authentic", Rules: []string{"HS-24"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedState, Lasts: 4 * time.Second,
		Title: "A response counts and moves the endpoint only if it authenticates",
		Why:   "Who can send from any address could lead the tunnel away.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			before := stable(p)
			r, s := p.Respond(g, peer.Spec{})
			forged := bytes.Clone(r.Bytes)
			forged[50] ^= 1
			p.SendFrom(p.NewPort(), p.Remac(forged))
			forged[70] ^= 1 // now mac1 is wrong as well
			p.SendFrom(p.NewPort(), forged)
			t.Equal("what the subject says of the peer", stable(p), before)
			p.Addr = p.NewPort()
			p.Send(r.Bytes)
			d := p.Expect(Data.On(s).Carrying(packet), t.Soon())
			t.Equal("where data goes after a right response", d.Remote, p.Addr)
		},
	},
}

// draw gives a number below n.
func (t *T) draw(n int) int {
	k := drawKey(t)
	return (int(k[1])<<8 | int(k[2])) % n
}

// slowWork is what a piece of public-key work takes in the case about being overtaken.
const slowWork = 400 * time.Millisecond

var crossingCases = []Case{
	{
		ID: "handshake/crossing/own-is-dropped", Rules: []string{"HS-12"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "With a response to the peer's initiation the subject's own is forgotten",
		Why:   "One handshake per peer and at a time; two make each end believe in another session.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			s := p.Begin()
			own := p.Reply(g)
			p.SilenceStill(Transport.On(own), time.Second)
			s.Keepalive()
			t.Premise(func() { s.Fetch(p.Outbound()) })
		},
	},
	{
		ID: "handshake/crossing/replay-is-no-crossing", Rules: []string{"HS-04", "TAI-02"}, Level: Must,
		Isolation: Shared, Needs: NeedConfigure | NeedInner, Lasts: 9 * time.Second, Bug: "B012 (firezone/boringtun)",
		Title: "An old initiation sent again does not disturb the subject's own handshake",
		Why:   "Who recorded it could keep the tunnel down by sending it again after each initiation that he sees.",
		Run: func(t *T) {
			p := t.Peer()
			i := p.Initiate(peer.Spec{})
			p.Send(i.Bytes)
			t.Premise(func() { p.Expect(Response, t.Soon()) })
			t.Wait(5*time.Second + 2*t.Slack()) // it was not confirmed, and the subject may initiate again
			g, packet := provoked(t, p)
			p.Send(i.Bytes)
			p.SilenceStill(Response, 300*time.Millisecond)
			r, s := p.Respond(g, peer.Spec{})
			completes(t, p, r, s, packet)
		},
	},
	{
		ID: "handshake/crossing/converges", Rules: []string{"HS-13"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 30 * time.Second,
		Title: "After initiations that crossed, twice, a session comes up within 12 s",
		Why:   "Two ends that begin at the same moment must not go on doing so for ever.",
		Run:   func(t *T) { cross(t, 0) },
	},
	{
		ID: "handshake/crossing/converges-on-a-slow-path", Rules: []string{"HS-13"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 35 * time.Second,
		Title: "So it does when the two ends are far apart",
		Why: "The retry is due 5 s and a jitter after the own initiation, but not within 5 s of the response that came " +
			"later. Who forgets the retry then is silent until there is traffic, and so may be the other end: OPEN-4.",
		Run: func(t *T) { cross(t, 300*time.Millisecond) },
	},
	{
		ID: "handshake/crossing/overtaken-response", Rules: []string{"HS-25"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedVirtual, Lasts: 5 * time.Second,
		Setup: func(s *Setup) { s.HandshakeTime, s.HandshakeWorkers = slowWork, 2 },
		Title: "A response that is overtaken by an initiation of the peer is not applied to what that left",
		Why:   "Public-key work takes time, and the state may be another one at its end than at its beginning.",
		Run:   overtaken,
	},
}

// cross lets initiations cross twice: each time the peer's own leaves before the subject's is there, so that both ends
// answer and both drop the other's answer. The path takes delay each way. Then the peer only answers.
func cross(t *T, delay time.Duration) {
	p := t.Peer()
	g, packet := provoked(t, p)
	for range 2 {
		// The subject's initiation takes its time to us; ours left at about the same moment.
		t.Wait(delay)
		p.Send(p.Initiate(peer.Spec{}).Bytes)
		t.Premise(func() { p.Expect(Response, t.Soon()) })
		t.Wait(delay)
		p.Reply(g) // to an initiation that the subject has forgotten
		if t.Peek(Data.To(p)) != nil {
			break // or has not (HS-12): there is a session
		}
		g = p.Expect(Initiation, t.Between(g.At, 0, 12*time.Second+2*delay))
	}
	p.Reply(g)
	p.Expect(Data.Carrying(packet), t.Between(t.Last(), 0, 12*time.Second))
}

// overtaken sends an initiation, and the response to the subject's own so soon after it that the subject works on both
// and is done with the initiation first, be it that this takes it one piece of work (to read) or two (to answer too).
func overtaken(t *T) {
	p := t.Peer()
	t.Inject(p.Outbound())
	var g *Got
	t.Premise(func() { g = p.Expect(Initiation, t.Between(t.Last(), 0, 2*time.Second)) })
	p.Send(p.Initiate(peer.Spec{}).Bytes)
	if t.Peek(Response.To(p)) != nil {
		t.Unsupported("its public-key work takes no time, so that nothing can overtake it")
	}
	t.Wait(slowWork + slowWork/20)
	own := p.Reply(g)
	var s *Session
	t.Premise(func() {
		s = p.Expect(Response.That("response that completes the handshake", func(g *Got) bool {
			return g.Session != nil
		}), t.Between(t.Last(), 0, 2*time.Second)).Session
	})
	p.SilenceStill(Transport.On(own), time.Second)
	s.Keepalive()
	s.Fetch(p.Outbound())
}
