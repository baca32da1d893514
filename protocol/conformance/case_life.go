package conformance

import (
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var lifeCases = slices.Concat(lifeRestart, bothRoles(lifeDown), lifeMore, lifeKeeps(), statCases)

var lifeDown = Case{
	ID: "life/down/wipes-sessions", Rules: []string{"LIFE-04"}, Level: Must, Isolation: OwnInstance,
	Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 2 * time.Second,
	Title: "An interface that was down has forgotten its sessions",
	Why:   "Who takes a tunnel down wants its keys gone.",
	Run: func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		t.Premise(func() { s.Deliver(p.Inbound()) })
		t.up(false)
		t.up(true)
		t.Forget()
		s.Send(p.Inbound())
		t.SilenceStill(Delivery, 500*time.Millisecond)
	},
}

var lifeRestart = []Case{
	{
		ID: "life/restart/unknown-index-is-silent", Rules: []string{"LIFE-02", "QUIET-03"}, Level: Must,
		Isolation: OwnInstance, Needs: NeedConfigure | NeedInner | NeedRestart, Lasts: 4 * time.Second,
		Title: "A subject that was restarted says nothing to data of its former life",
		Why:   "An answer would tell a stranger that somebody is there, and a handshake that anybody can start is a flood.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			t.Restart()
			t.Forget()
			s.Send(p.Inbound())
			t.Silence(Anything, 2*time.Second)
		},
	},
	{
		ID: "life/restart/begins-anew", Rules: []string{"LIFE-01"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedRestart, Lasts: 3 * time.Second,
		Title: "A subject that was restarted begins with a handshake",
		Why:   "State on disk would be a session key on disk.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			t.Restart()
			t.Forget()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation.That("before anything else", func(*Got) bool { return true }), t.Soon())
			p.SilenceStill(Transport, 200*time.Millisecond)
			s = p.Reply(g)
			p.Expect(Data.On(s), t.Soon())
		},
	},
	{
		ID: "life/restart/replayed-initiation", Rules: []string{"LIFE-03", "HS-16"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedRestart, Lasts: 3 * time.Second,
		Title: "After a restart an old initiation that is replayed makes no session that is used",
		Why:   "The one who replays it cannot confirm; data sent on it would be lost to the real peer.",
		Run: func(t *T) {
			p := t.Peer()
			old := p.Initiate(peer.Spec{}).Bytes
			p.Send(old)
			t.Premise(func() { p.Expect(Response, t.Soon()) })
			t.Restart()
			t.Forget()
			p.Send(old)
			t.Wait(300 * time.Millisecond)
			t.Inject(p.Outbound())
			p.SilenceStill(Transport, time.Second)
		},
	},
}

var lifeMore = []Case{
	{
		ID: "life/down/stops-timers", Rules: []string{"LIFE-04"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 20 * time.Second,
		Title: "An interface that is down sends nothing", Why: "Who takes a tunnel down wants to be left alone.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 3})
			t.Premise(func() { p.Reply(p.Expect(Initiation, t.Soon())) })
			t.up(false)
			t.Wait(100 * time.Millisecond)
			t.Forget()
			t.SilenceStill(AnyDatagram, 12*time.Second)
			t.up(true)
		},
	},
	{
		ID: "life/up/initiates-at-once", Rules: []string{"LIFE-04", "TIMER-22"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 2 * time.Second, Bug: "B108",
		Title: "After down and up a handshake may begin at once",
		Why:   "Waiting for the 5 s rule of the former life would delay every resume.",
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			t.Premise(func() { p.Expect(Initiation, t.Soon()) })
			t.up(false)
			t.up(true)
			t.Inject(p.Outbound())
			p.Expect(Initiation, t.Soon())
		},
	},
	{
		ID: "life/port/keeps-sessions", Rules: []string{"LIFE-09"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedInterface, Lasts: 2 * time.Second,
		Title: "Sessions go on when the port changes", Why: "The peer learns the new port from the next packet.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			port := uint16(51999)
			t.Configure(Change{ListenPort: &port})
			t.Inject(p.Outbound())
			g := p.Expect(Data.On(s), t.Soon())
			t.Equal("the port that it comes from", g.Local.Port(), port)
			s.Deliver(p.Inbound())
		},
	},
	{
		ID: "life/wall/jump-changes-no-timer", Rules: []string{"LIFE-07"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedWall, Lasts: 13 * time.Second,
		Title: "A jump of the wall clock moves no timer and ends no session",
		Why:   "Machines set their clock when the network is there, which is when the tunnel begins.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			p.Send(s.Seal(pad(p.Inbound())))
			t.SetWall(t.Setup.Wall.Add(24 * time.Hour))
			t.Premise(func() { s.Fetch(p.Outbound()) })
			at := p.Send(s.Seal(pad(p.Inbound())))
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		},
	},
	{
		ID: "life/end/no-goodbye", Rules: []string{"LIFE-10"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedRestart, Lasts: 3 * time.Second, Title: "A subject that ends sends no farewell",
		Why: "There is no such message, and whoever could forge one could end tunnels.",
		Run: func(t *T) {
			p := t.Peer()
			p.Connect()
			t.Forget()
			t.Restart()
			t.SilenceStill(AnyDatagram, time.Second)
		},
	},
	{
		ID: "life/remove/no-goodbye", Rules: []string{"LIFE-10"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "A peer that is removed is sent no farewell",
		Why: "It is not told that it was removed.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Fetch(p.Outbound())
			p.Configure(PeerChange{Remove: true})
			p.SilenceStill(AnyDatagram, time.Second)
		},
	},
}

// lifeKeeps makes a case of each change of a peer that must leave its session alone.
func lifeKeeps() (list []Case) {
	interval, key := uint16(0), Key{1, 2, 3}
	for _, k := range []struct {
		id, what string
		change   func(p *Peer) PeerChange
	}{
		{"endpoint", "endpoint", func(p *Peer) PeerChange { return PeerChange{Endpoint: &p.Addr} }},
		{"allowed-ips", "allowed IPs", func(p *Peer) PeerChange {
			return PeerChange{ReplaceAllowedIPs: true, AllowedIPs: p.Allowed}
		}},
		{"keepalive", "persistent keepalive", func(*Peer) PeerChange { return PeerChange{Keepalive: &interval} }},
		{"preshared-key", "preshared key", func(*Peer) PeerChange { return PeerChange{PresharedKey: &key} }},
	} {
		c := Case{
			ID: "life/change/" + k.id, Rules: []string{"LIFE-08"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner | NeedState, Lasts: 5 * time.Second,
			Title: "Setting the " + k.what + " of a peer leaves session, counters and timestamps alone",
			Why:   "Tools set the whole configuration again to change one line of it.",
			Run: func(t *T) {
				p := t.Peer()
				old := p.Initiate(peer.Spec{}).Bytes
				t.Wait(20 * time.Millisecond)
				s := p.Connect()
				p.Configure(k.change(p))
				counts(t, p, 148+32, 92)
				t.Inject(p.Outbound())
				g := p.Expect(AnyDatagram, t.Soon())
				t.Check(g.Session == s, "data on the session", g.String())
				s.Deliver(p.Inbound())
				p.Send(old)
				p.SilenceStill(Response, 300*time.Millisecond)
			},
		}
		if k.id == "preshared-key" {
			c.Bug = "B009"
		}
		list = append(list, c)
	}
	return list
}
