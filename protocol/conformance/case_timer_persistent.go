package conformance

import (
	"slices"
	"time"
)

var timerPersistentCases = slices.Concat(bothRoles(persistentInterval), persistentCases, persistentSwitchCases,
	bothRoles(persistentOn))

// keepAlive sets a peer's interval. The endpoint is set again with it, so that a subject that forgets it when something
// else is set (LIFE-08) is not found here.
func keepAlive(p *Peer, n uint16) { p.Configure(PeerChange{Keepalive: &n, Endpoint: &p.Addr}) }

// persist tells the subject to keep a path open by a keepalive every n seconds, and takes the first.
func persist(p *Peer, s *Session, n uint16) (first *Got) {
	keepAlive(p, n)
	p.t.Premise(func() {
		first = p.Expect(Keepalive.On(s), p.t.Between(p.t.Last(), 0, p.t.DuePersistent(int(n), p.t.Last()).Max))
	})
	return first
}

const whyPersistent = "A NAT forgets a path that is not used. Too late, and the peer cannot be reached from outside."

var persistentInterval = hadBug("B111 (Linux)", timerCase("persistent/interval", []string{"TIMER-19"}, Must,
	34*time.Second, "With an interval of 5 s there is a keepalive every 5 s", whyPersistent, func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		g := persist(p, s, 5)
		for range 4 {
			g = p.Expect(Transport, t.DuePersistent(5, g.At))
			t.Check(g.Opened && len(g.Plain) == 0, "an authentic empty message", g.String())
		}
	}))

var persistentCases = []Case{
	// For those whose interval cannot be changed once the peer is there, too.
	timerCase("persistent/from-the-start", []string{"TIMER-19"}, Must, 28*time.Second,
		"A peer that is added with an interval of 5 s gets a keepalive every 5 s", whyPersistent, func(t *T) {
			p := t.NewPeer(PeerOptions{Keepalive: 5})
			var sent []*Got
			t.Premise(func() {
				p.Reply(p.Expect(Initiation, t.Between(t.Last(), 0, t.DuePersistent(5, t.Last()).Max)))
				sent = t.Gather(Transport.To(p), 300*time.Millisecond)
				t.Check(len(sent) > 0, "a confirmation", "none")
			})
			g := sent[len(sent)-1]
			for range 4 {
				g = p.Expect(Transport, t.DuePersistent(5, g.At))
				t.Check(g.Opened && len(g.Plain) == 0, "an authentic empty message", g.String())
			}
		}),
	{
		ID: "timer/persistent/interval-v6", Rules: []string{"TIMER-19"}, Level: Must, Isolation: Shared, V6: true,
		Needs: NeedConfigure | NeedIPv6, Lasts: 26 * time.Second,
		Title: "With an interval of 4 s there is a keepalive over IPv6 every 4 s", Why: whyPersistent,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := persist(p, s, 4)
			for range 3 {
				g = p.Expect(Keepalive.On(s), t.DuePersistent(4, g.At))
			}
		},
	},
	timerCase("persistent/one-second", []string{"TIMER-19"}, Must, 14*time.Second,
		"The smallest interval of 1 s works", whyPersistent, func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := persist(p, s, 1)
			for range 6 {
				g = p.Expect(Keepalive.On(s), t.DuePersistent(1, g.At))
			}
		}),
	timerCase("persistent/largest", []string{"TIMER-19"}, Must, 40*time.Second,
		"The largest interval of 65535 s is no small one",
		"Seconds counted in too few bits turn one keepalive a day into a flood.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			keepAlive(p, 65535)
			next(t, Keepalive.On(s), time.Second) // the one for switching it on
			p.Silence(AnyDatagram, 30*time.Second)
		}),
	timerCase("persistent/sent-data-restarts", []string{"TIMER-19"}, Must, 26*time.Second,
		"Data that is sent restarts the interval", "A path that is in use needs nothing to hold it open.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := persist(p, s, 6)
			t.WaitUntil(g.At.Latest.Add(4 * time.Second))
			t.Premise(func() { g = s.Fetch(p.Outbound()) })
			p.Expect(Keepalive.On(s), t.DuePersistent(6, g.At))
		}),
	timerCase("persistent/received-data-restarts", []string{"TIMER-19"}, Must, 26*time.Second,
		"Messages that arrive restart the interval", "What arrives shows the NAT that the path is in use, too.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := persist(p, s, 6)
			t.WaitUntil(g.At.Latest.Add(4 * time.Second))
			at := s.Keepalive()
			p.Expect(Keepalive.On(s), t.DuePersistent(6, at))
		}),
	timerCase("persistent/handshake-restarts", []string{"TIMER-19"}, Must, 26*time.Second,
		"A handshake of the peer restarts the interval", "A path that is in use needs nothing to hold it open.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			g := persist(p, s, 6)
			t.WaitUntil(g.At.Latest.Add(4 * time.Second))
			s = p.Begin()
			at := s.Keepalive()
			p.Expect(Keepalive.On(s), t.DuePersistent(6, at))
		}),
	timerCase("persistent/not-restarted-by-replay", []string{"REPLAY-08", "TIMER-19"}, Must, 26*time.Second,
		"A replayed message does not restart the interval",
		"Whoever recorded one packet could silence a peer until its NAT has forgotten it.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(nil)
			p.Send(b)
			g := persist(p, s, 6)
			t.WaitUntil(g.At.Latest.Add(4 * time.Second))
			p.Send(b)
			p.Expect(Keepalive.On(s), t.DuePersistent(6, g.At))
		}),
	timerCase("persistent/off", []string{"TIMER-19"}, Must, 30*time.Second,
		"An interval of 0 ends persistent keepalives", "Who switches it off wants silence.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			persist(p, s, 3)
			keepAlive(p, 0)
			t.Forget()
			p.Silence(AnyDatagram, 15*time.Second)
		}),
	timerCase("persistent/peers", []string{"TIMER-25", "TIMER-19"}, Must, 24*time.Second,
		"Two peers have intervals of their own", "Each path has its own NAT with its own patience.", func(t *T) {
			a, b := t.Peer(), t.Peer()
			sa, sb := a.Connect(), b.Connect()
			ga, gb := persist(a, sa, 2), persist(b, sb, 5)
			for range 6 {
				ga = a.Expect(Keepalive.On(sa), t.DuePersistent(2, ga.At))
			}
			for range 2 {
				gb = b.Expect(Keepalive.On(sb), t.DuePersistent(5, gb.At))
			}
		}),
	hadBug("B109 (NepTUN)", timerCase("persistent/never-gives-up", []string{"TIMER-20"}, Must, 330*time.Second,
		"With persistent keepalives a peer that does not answer is called again and again",
		"A server behind a NAT must come back by itself after an outage of any length.", func(t *T) {
			n, asked := uint16(25), At(t.Now()) // by being configured, or by the packet if that alone starts nothing
			p := t.NewPeer(PeerOptions{Keepalive: n})
			t.Inject(p.Outbound())
			first := p.Expect(Initiation, t.Between(asked, 0, time.Second))
			for g := first; g.At.Earliest.Sub(first.At.Latest) < 290*time.Second; {
				w := t.DuePersistent(int(n), g.At)
				w.Min = 5 * time.Second // while an attempt goes on
				g = p.Expect(Initiation, w)
			}
		})),
	hadBug("B109 (NepTUN)", timerCase("persistent/after-expiry", []string{"TIMER-20"}, Must, 188*time.Second,
		"With persistent keepalives a session that has expired is replaced without any traffic",
		"A server behind a NAT can be reached only if its tunnel is up before somebody needs it.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.WaitUntil(s.Made.Latest.Add(173 * time.Second))
			g := persist(p, s, 10)
			p.Expect(Initiation, t.DuePersistent(10, g.At))
		})),
}

var persistentSwitchCases = []Case{
	timerCase("persistent/on-without-session", []string{"TIMER-22"}, Should, 4*time.Second,
		"Switching persistent keepalives on starts a handshake if there is no session",
		"Who switches it on wants the peer to be able to call, now.", func(t *T) {
			p := t.Peer()
			keepAlive(p, 30)
			p.Expect(Initiation, t.Between(t.Last(), 0, 500*time.Millisecond))
		}),
	{
		ID: "timer/persistent/interface-up", Rules: []string{"TIMER-22"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInterface, Lasts: 3 * time.Second, Bug: "B108 (Linux, wireguard-go)",
		Title: "When the interface comes up a peer with persistent keepalive is called",
		Why:   "After a start of the machine nobody else would make the first call.",
		Run: func(t *T) {
			up, down := true, false
			t.Configure(Change{Up: &down})
			p := t.NewPeer(PeerOptions{Keepalive: 30})
			if t.Wait(100 * time.Millisecond); t.Peek(Initiation.To(p)) != nil {
				t.Unsupported("it sends while its interface is down")
			}
			t.Configure(Change{Up: &up})
			p.Expect(Initiation, t.Between(t.Last(), 0, 500*time.Millisecond))
		},
	},
	timerCase("persistent/same-again", []string{"TIMER-23"}, Should, 12*time.Second,
		"Setting the interval that is set already sends nothing",
		"Tools write the whole configuration each time; a keepalive for each would be noise.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			keepAlive(p, 60)
			next(t, Keepalive.On(s), time.Second) // the one for switching it on
			keepAlive(p, 60)
			p.Silence(AnyDatagram, 6*time.Second)
		}),
	timerCase("persistent/changed", []string{"TIMER-23"}, Should, 12*time.Second,
		"Changing one interval to another sends nothing by itself",
		"Only who did not keep the path open before has to hurry.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			keepAlive(p, 60)
			next(t, Keepalive.On(s), time.Second) // the one for switching it on
			keepAlive(p, 90)
			p.Silence(AnyDatagram, 6*time.Second)
		}),
}

var persistentOn = timerCase("persistent/on-with-session", []string{"TIMER-22"}, Should, 4*time.Second,
	"Switching persistent keepalives on sends one at once", "The NAT may be about to forget the path.",
	func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		keepAlive(p, 30)
		p.Expect(Keepalive.On(s), t.Between(t.Last(), 0, 500*time.Millisecond))
	})
