package conformance

import "time"

var roamCases = []Case{
	{
		ID: "roam/data/moves-endpoint", Rules: []string{"ROAM-01"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "Data from a new address moves the peer there",
		Why:   "People change networks. The tunnel follows whoever has the keys.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			elsewhere := p.NewAddr()
			packet := p.Inbound()
			p.SendFrom(elsewhere, s.Seal(pad(packet)))
			t.Expect(Delivery.Carrying(packet), t.Soon())
			g := s.Fetch(p.Outbound())
			t.Equal("the address that the next packet goes to", g.Remote, elsewhere)
		},
	},
	{
		ID: "qos/data/dscp-stays-inside", Rules: []string{"QOS-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedTOS, Lasts: 3 * time.Second,
		Title: "The DSCP of an inner packet is not on the outer one",
		Why:   "It tells an observer what kind of traffic is inside.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := s.Fetch(SetTOS(p.Outbound(), 0xb8))
			t.Equal("the outer DSCP", g.TOS>>2, byte(0))
		},
	},
}
