package conformance

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var keyCases = slices.Concat(indexCases, rotationCases, bothRoles(previousReceives), bothRoles(trafficWhileRekeying),
	bothRoles(ageAccepts), bothRoles(ageDrops), ageCases, bothRoles(reflected), ownKeyCases, replayCases)

func keyCase(id string, rules []string, level Level, lasts time.Duration, title, why string, run func(*T)) Case {
	return Case{ID: "key/" + id, Rules: rules, Level: level, Isolation: Shared, Needs: NeedConfigure | NeedInner,
		Lasts: lasts, Title: title, Why: why, Run: run}
}

// renew makes the subject begin another handshake, by leaving data without an answer, and completes it.
func renew(p *Peer, s *Session) (fresh *Session) {
	p.t.Premise(func() {
		s.Keepalive()
		sent := s.Fetch(p.Outbound())
		fresh = p.Reply(p.Expect(Initiation, p.t.Due(DeadPeer, sent.At)))
		p.Expect(Keepalive.On(fresh), p.t.Soon())
	})
	return fresh
}

// another is one more session, in the role that the case asks for.
func another(p *Peer, s *Session) *Session {
	if p.t.Case.Role == Initiator {
		return renew(p, s)
	}
	return p.Connect()
}

// distinct wants all indices to differ.
func distinct(t *T, what string, indices []uint32) {
	seen := map[uint32]bool{}
	for _, i := range indices {
		t.Check(!seen[i], what+" that are all different", fmt.Sprintf("%08x twice among %d", i, len(indices)))
		seen[i] = true
	}
}

// scattered wants indices that say nothing of their order.
func scattered(t *T, indices []uint32) {
	high, steps := map[uint32]bool{}, map[uint32]bool{}
	for i, index := range indices {
		high[index>>8] = true
		if i > 0 {
			steps[index-indices[i-1]] = true
		}
	}
	t.Check(len(high) > len(indices)/2, "indices whose upper 24 bits vary", fmt.Sprintf("%d values in %d indices",
		len(high), len(indices)))
	t.Check(len(steps) > len(indices)/2, "indices without a pattern", fmt.Sprintf("%d different steps between %d indices",
		len(steps), len(indices)))
}

const whyIndex = "An index says to which key a message belongs. If two have the same, one of them loses its messages."

var indexCases = []Case{
	keyCase("index/unique", []string{"KEY-01"}, Must, 5*time.Second, "The indices of all peers' sessions differ", whyIndex,
		func(t *T) {
			peers := []*Peer{t.Peer(), t.Peer(), t.Peer()}
			var indices []uint32
			for range 6 {
				for _, p := range peers {
					indices = append(indices, p.Begin().Remote)
				}
				t.Wait(40 * time.Millisecond)
			}
			distinct(t, "indices of 18 sessions", indices)
		}),
	keyCase("index/unique-while-pending", []string{"KEY-01"}, Must, 5*time.Second,
		"The indices of initiations that are on their way differ from each other and from those of sessions", whyIndex,
		func(t *T) {
			var indices []uint32
			for range 8 {
				a, b := t.Peer(), t.Peer()
				indices = append(indices, a.Connect().Remote)
				t.Inject(b.Outbound())
				indices = append(indices, b.Expect(Initiation, t.Soon()).Sender())
			}
			distinct(t, "indices of 8 sessions and 8 initiations", indices)
		}),
	keyCase("index/new-for-each-initiation", []string{"KEY-02"}, Must, 20*time.Second,
		"Each repeated initiation has a new index",
		"A late answer to an older attempt must not be taken for one to the newest.", func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			indices := []uint32{g.Sender()}
			for range 2 {
				t.Premise(func() { g = p.Expect(Initiation, t.Due(Retransmit, g.At)) })
				indices = append(indices, g.Sender())
			}
			distinct(t, "indices of three attempts", indices)
		}),
	keyCase("index/new-for-each-response", []string{"KEY-02"}, Must, 4*time.Second, "Each response has a new index",
		"Data on the older session would be tried with the newer key, and lost.", func(t *T) {
			p := t.Peer()
			var indices []uint32
			for range 6 {
				indices = append(indices, p.Begin().Remote)
			}
			distinct(t, "indices of six responses", indices)
		}),
	keyCase("index/random-responses", []string{"KEY-03"}, Must, 5*time.Second, "The indices of responses are random",
		"A counter would tell everybody on the path how many peers there are and how busy.", func(t *T) {
			var indices []uint32
			for range 16 {
				indices = append(indices, t.Peer().Connect().Remote)
			}
			scattered(t, indices)
		}),
	keyCase("index/random-initiations", []string{"KEY-03"}, Must, 4*time.Second,
		"The indices of initiations are random",
		"A counter would tell everybody on the path how many peers there are and how busy.", func(t *T) {
			var indices []uint32
			for range 16 {
				p := t.Peer()
				t.Inject(p.Outbound())
				indices = append(indices, p.Expect(Initiation, t.Soon()).Sender())
			}
			scattered(t, indices)
		}),
	keyCase("index/of-the-initiation", []string{"KEY-04"}, Must, 3*time.Second,
		"The index of an initiation becomes that of the session",
		"It is the only name of the session that the peer has.", func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			p.Reply(p.Expect(Initiation, t.Soon())).Deliver(inbound(t, p, 208))
		}),
	hadBug("B084 (gotatun)", keyCase("index/slow-response", []string{"KEY-04"}, Must, 9*time.Second,
		"The index of an initiation lives until the next attempt",
		"Responses of hosts far away or under load come late, and are as good as others.", func(t *T) {
			p := t.Peer()
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Initiation, t.Soon())
			t.Wait(4600 * time.Millisecond)
			s := p.Reply(g)
			p.Expect(Data.On(s).Carrying(packet), t.Soon())
		})),
	keyCase("index/other-is-dropped", []string{"KEY-04"}, Must, 3*time.Second,
		"A message for an index that is nobody's is dropped, whatever its key",
		"Trying all keys for a message with a wrong index would let anybody burn the processor.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(inbound(t, p, 224)))
			binary.LittleEndian.PutUint32(b[4:], s.Remote^0x01000000)
			p.Send(b)
			t.Silence(Delivery, time.Second)
		}),
}

var rotationCases = []Case{
	keyCase("rotation/responder-waits-for-confirmation", []string{"KEY-05", "KEY-07"}, Must, 4*time.Second,
		"The responder sends on the old session until the new one is confirmed",
		"The response may have been lost: then the initiator does not have the new key.", func(t *T) {
			p := t.Peer()
			first := p.Connect()
			second := p.Begin()
			for range 3 {
				packet := p.Outbound()
				t.Inject(packet)
				g := p.Expect(Data.Carrying(packet), t.Soon())
				t.Equal("the receiver index before the confirmation", g.Receiver(), first.Local)
			}
			t.Never(Transport.On(second), "nothing on the session that is not confirmed")
		}),
	hadBug("B068 (wiretun)", keyCase("rotation/first-session-waits", []string{"KEY-05"}, Must, 4*time.Second,
		"The responder sends nothing on its first session before that is confirmed",
		"An initiation can be replayed by anybody; only a confirmation shows that the peer is there.", func(t *T) {
			p := t.Peer()
			p.Begin()
			t.Inject(p.Outbound())
			p.Silence(Transport, time.Second)
		})),
	keyCase("rotation/responder-switches", []string{"KEY-05"}, Must, 3*time.Second,
		"The responder sends on the new session once it is confirmed",
		"A session is renewed in order to be used.", func(t *T) {
			p := t.Peer()
			p.Connect()
			second := p.Begin()
			second.Send(inbound(t, p, 400))
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Data.Carrying(packet), t.Soon())
			t.Equal("the receiver index after the confirmation", g.Receiver(), second.Local)
		}),
	keyCase("rotation/initiator-switches", []string{"KEY-05"}, Must, 22*time.Second,
		"The initiator sends on the new session as soon as it has the response",
		"Its first message on it is what lets the responder use it.", func(t *T) {
			p := t.Peer()
			s := p.Accept()
			var fresh *Session
			t.Premise(func() {
				s.Keepalive()
				sent := s.Fetch(p.Outbound())
				fresh = p.Reply(p.Expect(Initiation, t.Due(DeadPeer, sent.At)))
			})
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Data.Carrying(packet), t.Soon())
			t.Equal("the receiver index after the response", g.Receiver(), fresh.Local)
		}),
	keyCase("rotation/unconfirmed-receives-old", []string{"KEY-07"}, Must, 4*time.Second,
		"While a new session is not confirmed the old one receives",
		"Whatever becomes of the new session, the tunnel must not stop.", func(t *T) {
			p := t.Peer()
			first := p.Connect()
			p.Begin()
			for range 3 {
				first.Deliver(inbound(t, p, 384))
			}
		}),
	keyCase("rotation/unconfirmed-is-replaced", []string{"KEY-09"}, Should, 4*time.Second,
		"A newer handshake takes the place of one that was not confirmed",
		"Otherwise each initiation would leave keys behind for three minutes.", func(t *T) {
			p := t.Peer()
			first := p.Connect()
			second := p.Begin()
			third := p.Begin()
			first.Deliver(p.Inbound())
			second.Send(inbound(t, p, 240))
			t.SilenceStill(Delivery, 600*time.Millisecond)
			third.Deliver(p.Inbound())
		}),
	hadBug("B071 (FreeBSD)", keyCase("rotation/third-generation-drops-first", []string{"KEY-09"}, Should, 4*time.Second,
		"With the third session the first is gone", "Old keys are to be forgotten, or they protect nothing.",
		func(t *T) {
			p := t.Peer()
			first := p.Connect()
			second := p.Connect()
			third := p.Begin()
			first.Send(inbound(t, p, 256))
			t.SilenceStill(Delivery, 600*time.Millisecond)
			second.Deliver(p.Inbound())
			third.Deliver(p.Inbound())
		})),
	keyCase("rotation/confirmed-keeps-one-before", []string{"KEY-06", "KEY-07"}, Must, 4*time.Second,
		"Of four sessions the two newest receive", "Messages that were on their way must arrive, but no older ones.",
		func(t *T) {
			p := t.Peer()
			for range 2 {
				p.Connect()
			}
			third, fourth := p.Connect(), p.Connect()
			third.Deliver(p.Inbound())
			fourth.Deliver(p.Inbound())
			third.Deliver(p.Inbound())
		}),
}

var previousReceives = keyCase("rotation/previous-receives", []string{"KEY-06"}, Must, 22*time.Second,
	"After a renewal, messages on the old session are still delivered",
	"They were on their way when the keys changed. Losing them would be a hiccup every two minutes.", func(t *T) {
		p := t.Peer()
		first := p.Handshake()
		second := another(p, first)
		first.Deliver(p.Inbound())
		second.Deliver(p.Inbound())
		first.Deliver(p.Inbound())
	})

var trafficWhileRekeying = keyCase("rotation/nothing-lost", []string{"KEY-08"}, Must, 24*time.Second,
	"Packets that are sent while sessions change all arrive, once and readable",
	"Renewals happen all the time, and nobody must notice.", func(t *T) {
		p := t.Peer()
		p.Handshake()
		t.Forget()
		rounds := 5
		if t.Case.Role == Initiator {
			rounds = 1
		}
		var sent [][]byte
		burst := func() {
			packets := [][]byte{sized(t, p, 416), sized(t, p, 416), sized(t, p, 416), sized(t, p, 416)}
			t.Inject(packets...)
			sent = append(sent, packets...)
		}
		for range rounds {
			burst()
			var s *Session
			if t.Case.Role == Initiator {
				g := next(t, Initiation.To(p), t.Due(DeadPeer, t.Last()).Max+time.Second)
				t.Check(g != nil, "an initiation after 15 s of silence", "none")
				burst()
				s = p.Reply(g)
			} else {
				s = p.Begin()
				burst()
				s.Keepalive()
			}
			burst()
			s.Keepalive()
		}
		t.Wait(500 * time.Millisecond)
		t.Never(Transport.That("transport message that does not authenticate", func(g *Got) bool { return !g.Opened }),
			"messages that authenticate")
		for i, packet := range sent {
			n := len(t.Take(Data.Carrying(packet)))
			t.Check(n == 1, fmt.Sprintf("packet %d of %d once", i+1, len(sent)), fmt.Sprintf("%d times", n))
		}
	})

var ageAccepts = keyCase("age/receives-until-180", []string{"KEY-10"}, Must, 186*time.Second,
	"A session of almost 180 s still receives", "The ends' clocks may differ by the time that a message takes.",
	func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		before(t, s, rejectAfter)
		s.Deliver(p.Inbound())
	})

var ageDrops = hadBug("B063 (boringtun)", keyCase("age/dropped-after-180", []string{"KEY-10"}, Must, 185*time.Second,
	"A session of more than 180 s does not receive",
	"A stolen key must not be good for more than three minutes.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		olderThan(t, s, rejectAfter)
		s.Send(inbound(t, p, 272))
		t.Silence(Delivery, time.Second)
	}))

var ageCases = []Case{
	keyCase("age/from-response-received", []string{"KEY-11"}, Must, 187*time.Second,
		"The initiator's session is as old as the response, not as the initiation",
		"If the ends count from different moments, one of them sends what the other drops.", func(t *T) {
			p := t.Peer()
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Initiation, t.Soon())
			t.Wait(4 * time.Second)
			s := p.Reply(g)
			t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
			s.Keepalive()
			before(t, s, rejectAfter)
			s.Deliver(inbound(t, p, 288))
		}),
	keyCase("age/from-response-sent", []string{"KEY-11"}, Must, 185*time.Second,
		"The responder's session is as old as its response, not as its confirmation",
		"If the ends count from different moments, one of them sends what the other drops.", func(t *T) {
			p := t.Peer()
			s := p.Begin()
			t.Wait(15 * time.Second)
			s.Keepalive()
			olderThan(t, s, rejectAfter)
			s.Send(inbound(t, p, 304))
			t.Silence(Delivery, time.Second)
		}),
	keyCase("age/previous-is-dropped-too", []string{"KEY-10"}, Must, 185*time.Second,
		"The session before the present one is dropped at 180 s of its own age",
		"Each key has its own life; a renewal does not lengthen that of the old one.", func(t *T) {
			p := t.Peer()
			old := p.Connect()
			t.Wait(60 * time.Second)
			s := p.Connect()
			olderThan(t, old, rejectAfter)
			old.Send(inbound(t, p, 336))
			t.SilenceStill(Delivery, time.Second)
			s.Deliver(p.Inbound())
		}),
	keyCase("erasure/pending-handshake", []string{"KEY-13", "KEY-14"}, Must, 610*time.Second,
		"540 s after the last session an unfinished handshake is forgotten too",
		"What is kept for ever can be stolen at any time: the secrets of a dead handshake are still secrets.",
		func(t *T) {
			p := t.Peer()
			s := p.Handshake()
			s.Keepalive()
			t.WaitUntil(s.Made.Latest.Add(425 * time.Second)) // the attempts end before 540 s
			t.Inject(p.Outbound())
			var last *Got
			t.Premise(func() { last = p.Expect(Initiation, t.Soon()) })
			if all := attempts(t, p); len(all) > 0 {
				last = all[len(all)-1]
			}
			t.WaitUntil(s.Made.Latest.Add(t.Due(Erasure, s.Made).Max + t.Slack()))
			t.Forget()
			r, fresh := p.Respond(last, peer.Spec{})
			p.Send(r.Bytes)
			p.SilenceStill(Transport.On(fresh), 500*time.Millisecond)
			fresh.Send(inbound(t, p, 352))
			t.SilenceStill(Delivery, 500*time.Millisecond)
		}),
}

var reflected = keyCase("reflected", []string{"KEY-17"}, Must, 4*time.Second,
	"A message of the subject's own that comes back is dropped",
	"With one key for both directions, anybody could send a tunnel's own packets back into it.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		// Its source and destination are both the peer's: no check of inner addresses drops it on its way back.
		packet := UDP(netip.AddrPortFrom(p.Inner4, 4000), netip.AddrPortFrom(p.Inner4.Next(), 5000), t.Text(320-28))
		t.Inject(packet)
		g := p.Expect(Data.On(s).Carrying(packet), t.Soon())
		b := slices.Clone(g.Bytes)
		binary.LittleEndian.PutUint32(b[4:], s.Remote)
		p.Send(b)
		t.Silence(Delivery, time.Second)
	})

const whyOwnKey = "A key is changed because the old one is not trusted any more."

// ownKeyCase is one that changes the device's private key.
func ownKeyCase(id string, rules []string, level Level, lasts time.Duration, title string, run func(*T)) Case {
	c := keyCase("own-key/"+id, rules, level, lasts, title, whyOwnKey, run)
	c.Isolation = OwnInstance
	return c
}

// changeKey gives the device another private key.
func changeKey(t *T) {
	k := Key(peer.NewPair(t.Random).Private)
	t.Configure(Change{PrivateKey: &k})
}

var ownKeyCases = []Case{
	hadBug("B065 (wireguard-go, Linux)", ownKeyCase("changed/starts-handshake", []string{"KEY-15"}, Must, 2*time.Second,
		"After a change of the private key the next packet starts a handshake with the new key", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			changeKey(t)
			t.Forget()
			packet := p.Outbound()
			t.Inject(packet)
			// The handshake was less than 5 s ago: that limit is waived.
			g := p.Expect(Initiation, t.Soon())
			t.Check(g.Initiation != nil && g.Initiation.Static == t.Key, "an initiation of the new key", g.String())
			t.Never(Transport.On(s), "nothing on the session of the old key")
		})),
	ownKeyCase("changed/stops-sending", []string{"KEY-15"}, Must, 2*time.Second,
		"After a change of the private key nothing is sent on the old sessions", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			changeKey(t)
			t.Inject(p.Outbound())
			p.Silence(Transport.On(s), time.Second)
		}),
	hadBug("B154 (boringtun)", ownKeyCase("same-again", []string{"KEY-15"}, Must, 2*time.Second,
		"Setting the private key that is set already changes nothing", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Configure(Change{PrivateKey: t.Setup.Config.PrivateKey})
			s.Fetch(p.Outbound())
			s.Deliver(p.Inbound())
			t.Never(Initiation.To(p), "no new handshake")
		})),
	ownKeyCase("changed/old-session-receives", []string{"KEY-16"}, Should, 2*time.Second,
		"After a change of the private key, what arrives on the old sessions is still delivered", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			changeKey(t)
			s.Deliver(inbound(t, p, 368))
		}),
	ownKeyCase("changed/new-session", []string{"KEY-15"}, Must, 2*time.Second,
		"After a change of the private key a handshake with the new one gives a session", func(t *T) {
			p := t.Peer()
			p.Connect()
			changeKey(t)
			packet := p.Outbound()
			t.Inject(packet)
			s := p.Reply(p.Expect(Initiation, t.Soon()))
			p.Expect(Data.On(s).Carrying(packet), t.Soon())
			s.Deliver(p.Inbound())
		}),
}
