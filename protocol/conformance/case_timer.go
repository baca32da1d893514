package conformance

import (
	"fmt"
	"slices"
	"time"
)

var timerCases = slices.Concat(retransmitCases, giveUpCases, bothRoles(giveUpDropsStaged),
	bothRoles(giveUpKeepsSession), timerRekeyCases, timerKeepaliveCases, timerDeadPeerCases, timerPersistentCases)

// timerCase fills in what most cases about timers have in common: a peer of their own and inner packets.
func timerCase(id string, rules []string, level Level, lasts time.Duration, title, why string, run func(*T)) Case {
	return Case{ID: "timer/" + id, Rules: rules, Level: level, Isolation: Shared, Needs: NeedConfigure | NeedInner,
		Lasts: lasts, Title: title, Why: why, Run: run}
}

// hadBug names the bug that a case would have caught.
func hadBug(bug string, c Case) Case {
	c.Bug = bug
	return c
}

// before lets time pass until just before a session's age reaches a limit, and olderThan until just after it.
func before(t *T, s *Session, age time.Duration) {
	t.WaitUntil(s.Made.Earliest.Add(age - t.Slack()))
	if t.Now() > s.Made.Earliest.Add(age-t.Slack()/4) {
		t.Inconclusive(fmt.Sprintf("the machine was too slow to act before a session was %v old", age))
	}
}

func olderThan(t *T, s *Session, age time.Duration) { t.WaitUntil(s.Made.Latest.Add(age + t.Slack())) }

// next waits for a match until a moment and takes it; nil: none came.
func next(t *T, m Match, within time.Duration) *Got {
	for end := t.Now().Add(within); ; t.step(end) {
		if g := t.Peek(m); g != nil {
			g.used = true
			return g
		}
		if t.Now() >= end {
			return nil
		}
	}
}

// attempts takes initiations for p until the subject has given up: until none has come for longer than the time
// between two. It stops after more than any implementation makes.
func attempts(t *T, p *Peer) (all []*Got) {
	const more = 26
	for len(all) < more {
		g := next(t, Initiation.To(p), t.Due(Retransmit, t.Last()).Max+time.Second)
		if g == nil {
			return all
		}
		all = append(all, g)
	}
	return all
}

// A sized packet from the peer to the host; its length tells it from all others.
func inbound(t *T, p *Peer, n int) []byte {
	return t.packet(p.Inner4, t.Host4, n)
}

const (
	rekeyAfter  = 120 * time.Second
	renewAfter  = 165 * time.Second // on receiving
	rejectAfter = 180 * time.Second
)

var retransmitCases = []Case{
	{
		ID: "timer/retransmit/interval", Rules: []string{"TIMER-01"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 40 * time.Second,
		Title: "An unanswered initiation is repeated after 5 s and a jitter",
		Why:   "Sooner floods a path that is slow; later makes a tunnel over a lossy path take for ever to come up.",
		Run:   retriesInTime,
	},
	{
		ID: "timer/retransmit/interval-v6", Rules: []string{"TIMER-01"}, Level: Must, Isolation: Shared, V6: true,
		Needs: NeedConfigure | NeedInner | NeedIPv6, Lasts: 40 * time.Second,
		Title: "An unanswered initiation over IPv6 is repeated after 5 s and a jitter",
		Why:   "A path may lose packets in one family and not in the other.",
		Run:   retriesInTime,
	},
	hadBug("B099 (Linux, gotatun, firezone), B100 (firezone/boringtun)", timerCase("retransmit/jitter",
		[]string{"TIMER-02"}, Should, 36*time.Second, "The times between initiations differ by up to a third of a second",
		"Two peers that begin at the same moment and wait for the same time collide again and again.", func(t *T) {
			var last [4]*Got
			var peers [4]*Peer
			for i := range peers {
				peers[i] = t.Peer()
				t.Inject(peers[i].Outbound())
				last[i] = peers[i].Expect(Initiation, t.Soon())
			}
			least, most := time.Hour, time.Duration(0)
			for range 5 {
				for i, p := range peers {
					g := p.Expect(Initiation, t.Due(Retransmit, last[i].At))
					lower, upper := g.At.Sub(last[i].At)
					least, most = min(least, (lower+upper)/2), max(most, (lower+upper)/2)
					last[i] = g
				}
			}
			t.Measure("spread of 20 intervals", seconds(most-least))
			t.Check(most-least >= 150*time.Millisecond, "20 intervals that differ by 0.150 s or more",
				"a spread of "+seconds(most-least))
		})),
	timerCase("retransmit/answered-late", []string{"TIMER-26"}, Must, 26*time.Second,
		"When a repeated initiation is answered no more follow",
		"Each needless handshake costs both ends public-key work and a new session.", func(t *T) {
			p := t.Peer()
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Initiation, t.Soon())
			for range 2 {
				g = p.Expect(Initiation, t.Due(Retransmit, g.At))
			}
			s := p.Reply(g)
			t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
			s.Keepalive()
			p.Silence(Initiation, 8*time.Second)
		}),
	timerCase("retransmit/crossing", []string{"TIMER-26"}, Must, 14*time.Second,
		"When the peer's own handshake completes, a pending initiation is not repeated",
		"There is a session. Who goes on asking for one replaces it for nothing.", func(t *T) {
			p := t.Peer()
			packet := p.Outbound()
			t.Inject(packet)
			p.Expect(Initiation, t.Soon())
			s := p.Connect()
			t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
			s.Keepalive()
			p.Silence(Initiation, 8*time.Second)
		}),
	hadBug("B113 (firezone/boringtun)", timerCase("retransmit/not-sooner-for-more-packets", []string{"TIMER-05"}, Should,
		12*time.Second, "More packets for a peer that does not answer send no initiation sooner",
		"A busy program would turn a dead peer's address into the target of a flood.", func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			for range 10 {
				t.Inject(p.Outbound())
				t.Wait(100 * time.Millisecond)
			}
			p.Expect(Initiation, t.Due(Retransmit, g.At))
		})),
	{
		ID: "timer/source/forgotten-by-retransmission", Rules: []string{"TIMER-24"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 23 * time.Second,
		Title: "A repeated initiation does not stick to the source address that was used last",
		Why:   "If that address does not work any more every retry from it is lost, and the tunnel never comes back.",
		Run:   func(t *T) { forgetsSource(t, 2) },
	},
	{
		ID: "timer/source/forgotten-after-silence", Rules: []string{"TIMER-24"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 18 * time.Second,
		Title: "The new handshake after silence does not stick to the source address that was used last",
		Why:   "Silence may mean that the path from that address is broken: another one is worth the try.",
		Run:   func(t *T) { forgetsSource(t, 1) },
	},
}

func retriesInTime(t *T) {
	p := t.Peer()
	t.Inject(p.Outbound())
	g := p.Expect(Initiation, t.Soon())
	for range 6 {
		g = p.Expect(Initiation, t.Due(Retransmit, g.At))
	}
}

// forgetsSource lets the peer speak to the host's second address only, and looks from where the nth initiation comes
// when nothing is heard any more.
func forgetsSource(t *T, n int) {
	p, s, _, host := reached(t)
	packet := p.Outbound()
	t.Inject(packet)
	var sent, g *Got
	t.Premise(func() {
		sent = p.Expect(Data.On(s).Carrying(packet), t.Soon())
		g = p.Expect(Initiation, t.Due(DeadPeer, sent.At))
	})
	for range n - 1 {
		g = p.Expect(Initiation, t.Due(Retransmit, g.At))
	}
	t.Note("data left from %v", sent.Local)
	if g.Local.Addr() == host.Addr() {
		t.FailAt(g, "an initiation from the host's first address again", "one from "+g.Local.String())
	}
}

var giveUpCases = []Case{
	hadBug("B098 (NetBSD)", timerCase("give-up/ends", []string{"TIMER-03"}, Must, 160*time.Second,
		"Retrying ends by itself after about 90 s",
		"A peer that is gone must not be called for ever: each call tells the network that somebody is here.",
		func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			all := []*Got{p.Expect(Initiation, t.Soon())}
			all = append(all, attempts(t, p)...)
			last := all[len(all)-1]
			least, most := last.At.Sub(all[0].At)
			t.Measure("initiations", fmt.Sprint(len(all)))
			t.Measure("last initiation after", span(least, most))
			// An attempt takes 90 s: it is over too early if one more was due before that. The kernel counts to 20
			// instead (OPEN-1), and each may be as late as the table grants it.
			longest := t.Due(Retransmit, last.At).Max
			t.Check(len(all) <= 20 && most >= 90*time.Second-longest && least <= max(102*time.Second, 19*longest),
				"18 to 20 initiations, the last when no other is due within 90 s, and up to 102 s, after the first",
				fmt.Sprintf("%d initiations, the last %s after the first", len(all), span(least, most)))
			p.Silence(AnyDatagram, 25*time.Second)
		})),
	timerCase("give-up/new-packet-begins-anew", []string{"TIMER-03"}, Must, 145*time.Second,
		"After giving up, a new packet starts a handshake at once",
		"The peer may be back, and nothing but traffic tells.", func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			t.Premise(func() { p.Expect(Initiation, t.Soon()) })
			attempts(t, p)
			packet := p.Outbound()
			t.Inject(packet)
			s := p.Reply(p.Expect(Initiation, t.Soon()))
			p.Expect(Data.On(s).Carrying(packet), t.Soon())
		}),
	timerCase("give-up/new-packet-restarts-count", []string{"TIMER-05"}, Should, 150*time.Second,
		"Packets that come while it retries let it go on for longer",
		"As long as programs want the peer, it is worth calling; a pause would keep a peer that comes back waiting.",
		func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			first := p.Expect(Initiation, t.Soon())
			g, injected := first, t.Now()
			for g.At.Earliest.Sub(first.At.Latest) < 130*time.Second {
				if t.Now().Sub(injected) >= 28*time.Second {
					injected = t.Now()
					t.Inject(p.Outbound())
				}
				g = p.Expect(Initiation, t.Due(Retransmit, g.At))
			}
		}),
}

var giveUpDropsStaged = timerCase("give-up/drops-staged", []string{"TIMER-04"}, Must, 150*time.Second,
	"Packets that waited are dropped when it gives up",
	"Packets that are minutes old only confuse whoever gets them, and they fill memory.", func(t *T) {
		p := t.Peer()
		t.Inject(p.Outbound(), p.Outbound())
		t.Premise(func() { p.Expect(Initiation, t.Soon()) })
		attempts(t, p)
		t.Forget()
		s := p.Handshake()
		p.Silence(Data.On(s), 2*time.Second)
	})

var giveUpKeepsSession = timerCase("give-up/keeps-session", []string{"TIMER-06"}, Should, 165*time.Second,
	"Giving up a handshake leaves a session that is still valid alone",
	"The peer may only have been unable to answer for a while; what it sends afterwards is as good as before.",
	func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		t.Wait(time.Second)
		t.Premise(func() {
			sent := s.Fetch(p.Outbound())
			p.Expect(Initiation, t.Due(DeadPeer, sent.At))
		})
		attempts(t, p)
		if t.Now() > s.Made.Earliest.Add(rejectAfter-time.Second) {
			t.Unsupported("it retries for so long that the session is over by then")
		}
		s.Deliver(p.Inbound())
	})
