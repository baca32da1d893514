package conformance

import (
	"fmt"
	"time"
)

// How a session is confirmed: by its initiator's first transport message.

var confirmCases = []Case{
	{
		ID: "handshake/confirm/not-before", Rules: []string{"HS-16"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Bug: "B068 (wiretun)",
		Title: "A responder sends nothing on a first session before the initiator has",
		Why: "Until then the initiation may have been a replay, to which nobody has the keys: what is sent is lost, and " +
			"of use only to who records it.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Begin()
			for range 3 {
				t.Inject(p.Outbound())
				p.SilenceStill(Transport, 500*time.Millisecond)
			}
			s.Keepalive()
			t.Premise(func() { s.Fetch(p.Outbound()) })
		},
	},
	{
		ID: "handshake/confirm/old-session-goes-on", Rules: []string{"HS-16"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Bug: "B068 (wiretun)",
		Title: "A responder does not send on a new session before it is confirmed",
		Why:   "The initiator may never have got the response. On the old session nothing is lost.",
		Run: func(t *T) {
			p := t.Peer()
			old := p.Connect()
			old.Deliver(p.Inbound())
			s := p.Begin()
			for range 3 {
				t.Inject(p.Outbound())
				p.SilenceStill(Transport.On(s), 300*time.Millisecond)
			}
			s.Keepalive()
			t.Premise(func() { s.Fetch(p.Outbound()) })
		},
	},
	{
		ID: "handshake/confirm/keepalive", Rules: []string{"HS-17"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A keepalive confirms a session as data does",
		Why:   "An initiator with nothing to say sends just that, and waits for what is queued at the other end.",
		Run: func(t *T) {
			p := t.Peer()
			p.Connect().Deliver(p.Inbound())
			s := p.Begin()
			s.Keepalive()
			s.Fetch(p.Outbound())
		},
	},
	{
		ID: "handshake/confirm/counter-zero", Rules: []string{"HS-17"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B053 (wireguard-lwip)",
		Title: "Data with counter 0 confirms a session and is delivered",
		Why:   "Counters start at 0. Who takes 0 for none loses the first packet of every session.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Begin()
			s.Deliver(p.Inbound())
			s.Fetch(p.Outbound())
		},
	},
	{
		ID: "handshake/confirm/flushes", Rules: []string{"HS-18"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "On confirmation the responder sends what waits",
		Why:   "The packets wait for a session; it is there. Nothing else may come for a long time that would send them.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Begin()
			packets := [][]byte{p.Outbound(), p.Outbound(), p.Outbound()}
			t.Inject(packets...)
			t.Wait(200 * time.Millisecond)
			s.Keepalive()
			for _, packet := range packets {
				p.Expect(Data.On(s).Carrying(packet), t.Soon())
			}
		},
	},
	{
		ID: "handshake/confirm/flushes-after-own-initiation", Rules: []string{"HS-18"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B072 (boringtun), B073 (Linux)",
		Title: "Packets that wait for the subject's own handshake are sent on the peer's when that is first",
		Why:   "They wait for a session, whoever began it.",
		Run: func(t *T) {
			p := t.Peer()
			_, packet := provoked(t, p)
			s := p.Begin()
			s.Keepalive()
			p.Expect(Data.On(s).Carrying(packet), t.Soon())
		},
	},
	{
		ID: "handshake/confirm/nothing-waits", Rules: []string{"HS-19"}, Level: May, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "What a responder with nothing to send says to a confirmation",
		Why:   "Silence saves a message; a keepalive tells the initiator at once that its confirmation came (OPEN-9).",
		Run: func(t *T) {
			p := t.Peer()
			p.Connect()
			t.Take(Response.To(p))
			got := t.Gather(AnyDatagram.To(p), 2*time.Second)
			for _, g := range got {
				t.Check(Keepalive.Is(g), "nothing, or a keepalive", g.text())
			}
			t.Check(len(got) <= 1, "one message at most", fmt.Sprintf("%d messages", len(got)))
			t.Measure("messages to a confirmation with nothing to send", fmt.Sprint(len(got)))
		},
	},
	{
		ID: "handshake/confirm/empty-queue", Rules: []string{"HS-14"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 5 * time.Second, Bug: "B077 (Linux)",
		Title: "An initiator with nothing to send confirms its session with a keepalive, counter 0, at once",
		Why:   "The responder may not send before. Its packets would wait until the initiator has something to say.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 3}) // which some send for the first time only when it has passed
			var g *Got
			t.Premise(func() { g = p.Expect(Initiation, t.Between(t.Last(), 0, 4*time.Second)) })
			s := p.Reply(g)
			k := p.Expect(Transport.On(s), t.Soon())
			t.Check(Keepalive.Is(k) && k.Counter == 0, "a keepalive with counter 0", k.text())
		},
	},
	{
		ID: "handshake/confirm/empty-queue-after-silence", Rules: []string{"HS-14"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 18 * time.Second, Bug: "B077 (Linux)",
		Title: "So it does when it began the handshake because nobody answered its data",
		Why:   "No packet waits in this case: what was sent is gone. The responder waits all the same.",
		Run: func(t *T) {
			p := t.Peer()
			var g *Got
			t.Premise(func() {
				g = p.Expect(Initiation, t.Due(DeadPeer, p.Accept().Made)) // its packet is not answered
			})
			s := p.Reply(g)
			k := p.Expect(Transport.On(s), t.Soon())
			t.Check(Keepalive.Is(k) && k.Counter == 0, "a keepalive with counter 0", k.text())
		},
	},
	{
		ID: "handshake/confirm/by-the-queue", Rules: []string{"HS-14", "HS-15"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "Packets that wait confirm the session: they come at once, from counter 0",
		Why:   "This is what the handshake was for.",
		Run: func(t *T) {
			p := t.Peer()
			g, first := provoked(t, p)
			packets := [][]byte{first, p.Outbound(), p.Outbound()}
			t.Inject(packets[1:]...)
			s := p.Reply(g)
			for n, packet := range packets {
				d := p.Expect(Data.On(s).Carrying(packet), t.Soon())
				t.Check(d.Counter <= 3, fmt.Sprintf("a counter of about %d", n), fmt.Sprint(d.Counter))
			}
		},
	},
	{
		ID: "handshake/confirm/no-empty-message", Rules: []string{"HS-15"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Bug: "B078 (Linux)",
		Title: "When packets confirm the session no keepalive does so too",
		Why:   "It says nothing that the packets do not.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			s := p.Reply(g)
			t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
			p.Silence(Transport, time.Second)
		},
	},
	{
		ID: "handshake/confirm/one-initiator-at-a-time", Rules: []string{"HS-22"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 10 * time.Second,
		Title: "Within 5 s of a response the subject does not initiate itself",
		Why:   "The peer's handshake is under way. A second one in the other direction crosses it and ends it.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Begin()
			for range 16 {
				t.Inject(p.Outbound())
				t.Wait(500 * time.Millisecond)
				if t.Peek(Initiation.To(p)) != nil {
					break
				}
			}
			w := t.Between(s.Made, 5*time.Second-t.Slack(), 8*time.Second)
			p.Expect(Initiation, w)
		},
	},
}
