package conformance

import (
	"time"
)

var timerCases = []Case{
	{
		ID: "timer/retransmit/interval", Rules: []string{"TIMER-01"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 40 * time.Second,
		Title: "An unanswered initiation is repeated after 5 s and a jitter",
		Why:   "Sooner floods a path that is slow; later makes a tunnel over a lossy path take for ever to come up.",
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			for range 6 {
				g = p.Expect(Initiation, t.Due(Retransmit, g.At))
			}
		},
	},
	{
		ID: "timer/passive-keepalive/due", Rules: []string{"TIMER-12"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 12 * time.Second,
		Title: "10 s after data that nothing answered, a keepalive is sent",
		Why:   "Without it the sender of a one-way stream believes that the tunnel is dead and renews it every 15 s.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			at := s.Send(p.Inbound())
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		},
	},
}
