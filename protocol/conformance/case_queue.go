package conformance

import (
	"fmt"
	"time"
)

var queueCases = []Case{
	{
		ID: "queue/order", Rules: []string{"QUEUE-01", "MSG-14"}, Level: Must, Isolation: Shared, Bug: "B073",
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Packets that waited for the handshake are sent after it, in order, with counters from 0 on",
		Why:   "The first packets of a connection are those that wait; out of order they are taken for lost.",
		Run: func(t *T) {
			p := t.Peer()
			packets := [][]byte{p.Outbound()}
			first := t.Inject(packets[0])
			for range 9 {
				packets = append(packets, p.Outbound())
			}
			t.Inject(packets[1:]...)
			var s *Session
			t.Premise(func() { s = p.Reply(p.Expect(Initiation, t.Between(first, 0, time.Second))) })
			next := uint64(0)
			for i, b := range packets {
				g := p.Expect(Data.On(s), t.Soon())
				if i == 0 { // whether a keepalive goes first is a question of HS-15
					next = uint64(len(t.Take(Keepalive.On(s))))
				}
				t.Check(string(g.Inner) == string(b) && g.Counter == next, fmt.Sprintf("packet %d with counter %d", i, next),
					fmt.Sprintf("%v with counter %d", g, g.Counter))
				next++
			}
		},
	},
	{
		ID: "queue/capacity", Rules: []string{"QUEUE-02"}, Level: Impl, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "How many packets wait for a handshake",
		Why: "None, and every connection begins with a loss; too many, and they are old when they leave.",
		Run: func(t *T) {
			all := overflow(t)
			t.Check(len(all) > 0, "at least one packet of 300 after the handshake", "none")
			t.Measure("packets that waited, of 300", fmt.Sprint(len(all)))
		},
	},
	{
		ID: "queue/no-endpoint", Rules: []string{"QUEUE-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 6 * time.Second,
		Title: "Of packets for a peer without endpoint no more wait than a queue holds",
		Why:   "Nothing may ever come of them. A host that goes on sending would fill the memory of the gateway.",
		Run: func(t *T) {
			const most, sent = 1024, 1500 // more than any queue that is known
			p := t.NewPeer(PeerOptions{NoEndpoint: true})
			for range sent / 50 {
				var batch [][]byte
				for range 50 {
					batch = append(batch, p.Outbound())
				}
				t.Inject(batch...)
			}
			p.Connect()
			n := len(t.Gather(Transport.To(p), time.Second))
			t.Note("%d of %d packets had waited", n, sent)
			t.Check(n <= most, fmt.Sprintf("at most %d of %d packets after the peer has called", most, sent), fmt.Sprint(n))
		},
	},
	{
		ID: "queue/oldest-goes", Rules: []string{"QUEUE-03"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "When too many wait the oldest go",
		Why: "The newest are those that somebody still waits for.",
		Run: func(t *T) {
			all := overflow(t)
			t.Check(len(all) > 0 && all[len(all)-1] == 299, "the last of 300 packets among those that were kept",
				fmt.Sprintf("%d kept, the last of them %v", len(all), all[max(len(all)-1, 0):]))
		},
	},
	{
		ID: "queue/instead-of-keepalive", Rules: []string{"QUEUE-05", "HS-15"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B078",
		Title: "A packet that waits goes in place of the keepalive that was to be sent",
		Why:   "It confirms the session as well, and a message less is sent.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 25})
			g := p.Expect(Initiation, t.Soon())
			t.Inject(p.Outbound())
			t.Wait(20 * time.Millisecond)
			s := p.Reply(g)
			p.Expect(Data.On(s), t.Soon())
			p.Silence(Keepalive, time.Second)
		},
	},
	{
		ID: "queue/keepalive-waits", Rules: []string{"QUEUE-06", "HS-14"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Bug: "B077",
		Title: "A keepalive that was wanted without a session is sent right after the handshake",
		Why:   "Until the initiator has sent something the responder may not.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 25})
			s := p.Reply(p.Expect(Initiation, t.Soon()))
			p.Expect(Keepalive.On(s), t.Soon())
		},
	},
	{
		ID: "queue/down-discards", Rules: []string{"QUEUE-07"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 3 * time.Second,
		Title: "Packets that wait are discarded when the interface goes down",
		Why:   "After hours of sleep they would be sent to whoever has the address now.",
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			t.Premise(func() { p.Expect(Initiation, t.Soon()) })
			t.up(false)
			t.up(true)
			s := p.Connect()
			p.Silence(Data.On(s), time.Second)
		},
	},
	{
		ID: "queue/removal-discards", Rules: []string{"QUEUE-07", "ROUTE-11"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "Packets that wait are discarded when their peer is removed",
		Why:   "A peer that is added again is a new one.",
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			t.Premise(func() { p.Expect(Initiation, t.Soon()) })
			p.Configure(PeerChange{Remove: true})
			p.Configure(PeerChange{Endpoint: &p.Addr, AllowedIPs: p.Allowed})
			s := p.Connect()
			p.Silence(Data.On(s), time.Second)
		},
	},
}

// overflow injects 300 numbered packets for a peer without a session, lets the handshake happen, and gives the
// numbers of those that come, in the order in which they do.
func overflow(t *T) (numbers []int) {
	p := t.Peer()
	number := map[string]int{}
	var first Stamp
	for i := 0; i < 300; { // all within 5 s, or the first initiation is void
		var batch [][]byte
		for range 50 {
			b := p.Outbound()
			number[string(b)] = i
			batch = append(batch, b)
			i++
		}
		if at := t.Inject(batch...); i == len(batch) {
			first = at
		}
	}
	var s *Session
	t.Premise(func() { s = p.Reply(p.Expect(Initiation, t.Between(first, 0, 2*time.Second))) })
	for _, g := range t.Gather(Data.On(s), time.Second) {
		if n, ok := number[string(g.Inner)]; ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
