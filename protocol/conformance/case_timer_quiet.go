package conformance

import (
	"fmt"
	"slices"
	"time"
)

const whyPassive = "Without it who sends a one-way stream believes that the tunnel is dead and renews it every 15 s."

var timerKeepaliveCases = slices.Concat([]Case{
	{
		ID: "timer/passive-keepalive/due", Rules: []string{"TIMER-12"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 12 * time.Second,
		Title: "10 s after data that nothing answered, a keepalive is sent", Why: whyPassive,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			at := s.Send(p.Mute())
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		},
	},
}, bothRoles(passiveLater), passiveCases, bothRoles(noPingPong))

// passiveLater asks some time after the handshake: a clock with coarse ticks may take data in the tick of its own
// latest message for answered.
var passiveLater = hadBug("B106 (zephyr-wireguard)", timerCase("passive-keepalive/in-an-old-session",
	[]string{"TIMER-12"}, Must, 16*time.Second, "10 s after data on a session that was idle, a keepalive is sent",
	whyPassive, func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		t.Wait(1500 * time.Millisecond)
		t.Forget() // a keepalive too many after the handshake is none of this
		at := s.Send(p.Mute())
		p.Expect(Keepalive.On(s), t.Due(Passive, at))
	}))

var passiveCases = []Case{
	{
		ID: "timer/passive-keepalive/due-v6", Rules: []string{"TIMER-12"}, Level: Must, Isolation: Shared, V6: true,
		Needs: NeedConfigure | NeedIPv6, Lasts: 15 * time.Second,
		Title: "10 s after IPv6 data over IPv6 that nothing answered, a keepalive is sent", Why: whyPassive,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Wait(time.Second)
			at := s.Send(p.Mute6())
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		},
	},
	timerCase("passive-keepalive/one", []string{"TIMER-12"}, Must, 28*time.Second,
		"For one packet there is one keepalive", "Otherwise an idle tunnel would never be quiet again.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Wait(time.Second)
			at := s.Send(p.Mute())
			t.Premise(func() { p.Expect(Keepalive.On(s), t.Due(Passive, at)) })
			p.Silence(Transport, 13*time.Second)
		}),
	timerCase("passive-keepalive/cancelled-by-data", []string{"TIMER-14"}, Must, 20*time.Second,
		"Data that goes back takes the keepalive's place", "The peer has its sign of life; another is a waste.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Send(p.Mute())
			t.Wait(5 * time.Second)
			t.Premise(func() { s.Fetch(p.Outbound()) })
			p.Silence(Transport, 9*time.Second)
		}),
	timerCase("passive-keepalive/cancelled-by-response", []string{"TIMER-14"}, Must, 20*time.Second,
		"A response that goes back takes the keepalive's place", "The peer has its sign of life; another is a waste.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Send(p.Mute())
			t.Wait(5 * time.Second)
			p.Begin()
			p.Silence(Transport, 9*time.Second)
		}),
	timerCase("passive-keepalive/counts-from-newer-data", []string{"TIMER-14"}, Must, 22*time.Second,
		"After an answer, the next keepalive is due 10 s after newer data",
		"Each packet of the peer wants its own sign of life.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Send(p.Mute())
			t.Wait(4 * time.Second)
			t.Premise(func() { s.Fetch(p.Outbound()) })
			t.Wait(2 * time.Second)
			at := s.Send(p.Mute())
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		}),
	timerCase("passive-keepalive/counts-from-first-data", []string{"TIMER-12"}, Must, 14*time.Second,
		"More data does not put the keepalive off", "A steady stream would put it off for ever.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Wait(time.Second)
			at := s.Send(p.Mute())
			for range 3 {
				t.Wait(3 * time.Second)
				s.Send(p.Mute())
			}
			p.Expect(Keepalive.On(s), t.Due(Passive, at))
		}),
	timerCase("passive-keepalive/second", []string{"TIMER-15"}, May, 28*time.Second,
		"Data while a keepalive is pending may bring a second one",
		"Implementations differ, and whoever counts keepalives must know.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Wait(time.Second)
			s.Send(p.Mute())
			t.Wait(time.Second)
			s.Send(p.Mute())
			n := len(t.Gather(Keepalive.On(s), 21*time.Second+t.Slack()))
			t.Measure("keepalives", fmt.Sprint(n))
			t.Check(n == 1 || n == 2, "one or two keepalives within 21 s", fmt.Sprint(n))
		}),
	timerCase("peers/passive-keepalives", []string{"TIMER-25"}, Must, 14*time.Second,
		"What is sent to one peer does not cancel another's keepalive",
		"Each peer has to hear for itself that its packets arrive.", func(t *T) {
			a, b := t.Peer(), t.Peer()
			sa, sb := a.Connect(), b.Connect()
			t.Wait(time.Second)
			at := sb.Send(b.Mute())
			sa.Send(a.Mute())
			t.Wait(5 * time.Second)
			t.Premise(func() { sa.Fetch(a.Outbound()) })
			b.Expect(Keepalive.On(sb), t.Due(Passive, at))
			t.Never(Keepalive.On(sa), "no keepalive for the peer that got data")
		}),
	timerCase("peers/dead-peers", []string{"TIMER-25"}, Must, 19*time.Second,
		"What one peer sends does not hide that another is silent",
		"One busy peer would keep dead tunnels to all others from being noticed.", func(t *T) {
			a, b := t.Peer(), t.Peer()
			sa, sb := a.Connect(), b.Connect()
			sent := sb.Fetch(b.Outbound())
			sa.Fetch(a.Outbound())
			t.Wait(5 * time.Second)
			sa.Keepalive()
			b.Expect(Initiation, t.Due(DeadPeer, sent.At))
			t.Never(Initiation.To(a), "no initiation to the peer that answered")
		}),
	timerCase("peers/retransmissions", []string{"TIMER-25", "TIMER-01"}, Must, 18*time.Second,
		"The answer of one peer does not end the attempts for another",
		"A tunnel that is slow to come up must not be forgotten because another is fast.", func(t *T) {
			a, b := t.Peer(), t.Peer()
			injected := t.Inject(a.Outbound(), b.Outbound())
			sent := b.Expect(Initiation, t.Due(Prompt, injected))
			s := a.Reply(a.Expect(Initiation, t.Due(Prompt, injected)))
			a.Expect(Transport.On(s), t.Soon())
			for range 2 {
				sent = b.Expect(Initiation, t.Due(Retransmit, sent.At))
			}
		}),
}

var noPingPong = hadBug("B087 (boringtun), B091 (firezone/boringtun)", timerCase("keepalive/not-answered",
	[]string{"TIMER-13"}, Must, 35*time.Second, "A keepalive is not answered by a keepalive",
	"Two ends that answer each other's keepalives never stop, and an idle tunnel drains batteries.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		t.Wait(time.Second)
		t.Forget()
		s.Keepalive()
		p.Silence(AnyDatagram, 30*time.Second)
	}))

var timerDeadPeerCases = slices.Concat(bothRoles(deadPeerDue), deadPeerCases, bothRoles(persistentIsNoData),
	bothRoles(passiveIsNoData))

const whyDead = "A peer that restarted has forgotten the session. Without this the tunnel stays dead for three minutes."

var deadPeerDue = hadBug("B106 (zephyr-wireguard)", timerCase("dead-peer/due", []string{"TIMER-16"}, Must,
	20*time.Second, "15 s after data that nothing answered, a handshake begins", whyDead, func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		sent := s.Fetch(p.Outbound())
		p.Expect(Initiation, t.Due(DeadPeer, sent.At))
	}))

// unanswered makes a session on which the subject has sent data and heard nothing.
func unanswered(p *Peer) (s *Session, sent Stamp) {
	s = p.Connect()
	p.t.Premise(func() { sent = s.Fetch(p.Outbound()).At })
	return s, sent
}

var deadPeerCases = []Case{
	{
		ID: "timer/dead-peer/due-v6", Rules: []string{"TIMER-16"}, Level: Must, Isolation: Shared, V6: true,
		Needs: NeedConfigure | NeedInner | NeedIPv6, Lasts: 20 * time.Second,
		Title: "15 s after IPv6 data over IPv6 that nothing answered, a handshake begins", Why: whyDead,
		Run: func(t *T) {
			p := t.Peer()
			sent := p.Connect().Fetch(p.Outbound6())
			p.Expect(Initiation, t.Due(DeadPeer, sent.At))
		},
	},
	hadBug("B102 (Linux, wireguard-go, gotatun)", timerCase("dead-peer/jitter", []string{"TIMER-16"}, Must,
		24*time.Second, "The 15 s of silence have a jitter too",
		"After a break of the network all tunnels notice at the same time, and would all call at once.", func(t *T) {
			const peers = 12
			least, most := time.Hour, time.Duration(0)
			var all [peers]*Peer
			var sent [peers]Stamp
			for i := range all {
				all[i] = t.Peer()
				_, sent[i] = unanswered(all[i])
				t.Wait(137 * time.Millisecond) // the ticks of a coarse clock then fall differently
			}
			for i, p := range all {
				g := p.Expect(Initiation, t.Due(DeadPeer, sent[i]))
				lower, upper := g.At.Sub(sent[i])
				least, most = min(least, (lower+upper)/2), max(most, (lower+upper)/2)
			}
			t.Measure("spread of 12 times", seconds(most-least))
			t.Check(most-least >= 100*time.Millisecond, "12 times of silence that differ by 0.100 s or more",
				"a spread of "+seconds(most-least))
		})),
	timerCase("dead-peer/from-first-packet", []string{"TIMER-17"}, Must, 19*time.Second,
		"The 15 s run from the first packet that nothing answered",
		"A program that keeps sending would otherwise never let the tunnel be renewed.", func(t *T) {
			p := t.Peer()
			s, sent := unanswered(p)
			for range 2 {
				t.Wait(5 * time.Second)
				t.Premise(func() { s.Fetch(p.Outbound()) })
			}
			p.Expect(Initiation, t.Due(DeadPeer, sent))
		}),
	timerCase("dead-peer/cancelled-by-keepalive", []string{"TIMER-17"}, Must, 34*time.Second,
		"A keepalive of the peer shows that it lives: no handshake", "That is what it was sent for, after all.", func(t *T) {
			p := t.Peer()
			s, _ := unanswered(p)
			t.Wait(14 * time.Second)
			s.Keepalive()
			p.Silence(Initiation, 17*time.Second)
		}),
	timerCase("dead-peer/cancelled-by-data", []string{"TIMER-17"}, Must, 34*time.Second,
		"Data of the peer shows that it lives: no handshake", "An answer is the best sign of life.", func(t *T) {
			p := t.Peer()
			s, _ := unanswered(p)
			t.Wait(14 * time.Second)
			s.Send(p.Mute())
			p.Silence(Initiation, 17*time.Second)
		}),
	timerCase("dead-peer/cancelled-by-handshake", []string{"TIMER-17"}, Must, 34*time.Second,
		"An initiation of the peer shows that it lives: no handshake",
		"The peer noticed first; a second handshake would only cross the first.", func(t *T) {
			p := t.Peer()
			unanswered(p)
			t.Wait(9 * time.Second)
			p.Begin()
			p.Silence(Initiation, 17*time.Second)
		}),
	timerCase("dead-peer/not-cancelled-by-forgery", []string{"TIMER-17"}, Must, 19*time.Second,
		"A forged message does not pass for a sign of life",
		"Anybody could keep a dead tunnel from being renewed, just by sending noise.", func(t *T) {
			p := t.Peer()
			s, sent := unanswered(p)
			t.Wait(10 * time.Second)
			b := s.Seal(nil)
			b[len(b)-1] ^= 1
			p.Send(b)
			p.Expect(Initiation, t.Due(DeadPeer, sent))
		}),
	timerCase("dead-peer/not-cancelled-by-replay", []string{"REPLAY-08", "TIMER-17"}, Must, 19*time.Second,
		"A replayed message does not pass for a sign of life",
		"Whoever recorded one packet could keep a dead tunnel from being renewed.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(p.Mute()))
			p.Send(b)
			sent := s.Fetch(p.Outbound())
			t.Wait(10 * time.Second)
			p.Send(b)
			p.Expect(Initiation, t.Due(DeadPeer, sent.At))
		}),
	timerCase("dead-peer/not-cancelled-by-cookie-reply", []string{"TIMER-17", "COOKIE-11"}, Must, 26*time.Second,
		"A cookie reply does not pass for a sign of life",
		"It says that the peer's host is under load, not that the session lives.", func(t *T) {
			p := t.Peer()
			packet := p.Outbound()
			t.Inject(packet)
			g := p.Expect(Initiation, t.Soon())
			s := p.Reply(g)
			t.Premise(func() { p.Expect(Data.On(s).Carrying(packet), t.Soon()) })
			s.Keepalive()
			sent := s.Fetch(p.Outbound())
			t.Wait(10 * time.Second)
			p.Send(p.CookieReply(g, make([]byte, 16)))
			p.Expect(Initiation, t.Due(DeadPeer, sent.At))
		}),
	timerCase("dead-peer/session-goes-on", []string{"TIMER-16"}, Must, 24*time.Second,
		"While it looks for a silent peer it goes on sending on the session",
		"The peer may hear well and only be unable to answer.", func(t *T) {
			p := t.Peer()
			s, sent := unanswered(p)
			t.Premise(func() { p.Expect(Initiation, t.Due(DeadPeer, sent)) })
			for range 3 {
				t.Wait(time.Second)
				s.Fetch(p.Outbound())
			}
		}),
	timerCase("dead-peer/response-ends-it", []string{"TIMER-16", "TIMER-26"}, Must, 44*time.Second,
		"When the silent peer answers the handshake there are no more",
		"The peer is back, which is all that was asked.", func(t *T) {
			p := t.Peer()
			_, sent := unanswered(p)
			s := p.Reply(p.Expect(Initiation, t.Due(DeadPeer, sent)))
			p.Expect(Keepalive.On(s), t.Soon()) // nothing waits, so an empty message confirms
			p.Silence(Initiation, 18*time.Second)
		}),
	hadBug("B088 (wireguard-go), B089 (gotatun)", timerCase("dead-peer/not-after-confirming-keepalive",
		[]string{"TIMER-18"}, Must, 28*time.Second, "The keepalive that confirms a session needs no answer",
		"If it did, two idle ends would shake hands every 15 s.", func(t *T) {
			p := t.Peer()
			keepAlive(p, 600) // no data: a handshake for a keepalive
			s := p.Reply(p.Expect(Initiation, t.Between(t.Last(), 0, time.Second)))
			t.Premise(func() { p.Expect(Keepalive.On(s), t.Soon()) })
			p.Silence(Initiation, 18*time.Second)
		})),
}

var persistentIsNoData = hadBug("B086 (Linux), B089 (gotatun)", timerCase("dead-peer/not-after-persistent-keepalives",
	[]string{"TIMER-18"}, Must, 46*time.Second, "Persistent keepalives need no answer",
	"They are sent to hold a path open, and the other end has nothing to say to them.", func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		keepAlive(p, 6)
		t.Premise(func() {
			for range 2 {
				p.Expect(Keepalive.On(s), t.Between(t.Last(), 0, 15*time.Second))
			}
		})
		p.Silence(Initiation, 24*time.Second)
	}))

var passiveIsNoData = hadBug("B086 (Linux), B087 (boringtun), B088 (wireguard-go)", timerCase(
	"dead-peer/not-after-passive-keepalive", []string{"TIMER-18"}, Must, 34*time.Second,
	"A passive keepalive needs no answer", "If it did, every packet would bring a handshake 25 s later.",
	func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		s.Keepalive()
		t.Wait(time.Second)
		t.Forget()
		at := s.Send(p.Mute())
		t.Premise(func() { p.Expect(Keepalive.On(s), t.Due(Passive, at)) })
		p.Silence(Initiation, 18*time.Second)
	}))
