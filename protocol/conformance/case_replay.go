package conformance

import (
	"fmt"
	"math"
	"slices"
	"time"
)

var replayCases = slices.Concat(bothRoles(replayedAtOnce), replayOnceCases, replayWindowCases, replayLimitCases,
	replayEffectCases)

func replayCase(id string, rules []string, level Level, title, why string, run func(*T)) Case {
	return keyCase("replay/"+id, rules, level, 5*time.Second, title, why, run)
}

// at sends a packet with a counter of the case's choice, and numbered expects that it is delivered. Next follows the
// greatest, so that Send goes on after it.
func (s *Session) at(counter uint64) (packet []byte) {
	packet = s.Peer.Inbound()
	s.Peer.Send(s.SealAt(counter, pad(packet)))
	return packet
}

func (s *Session) numbered(counter uint64) {
	packet := s.at(counter)
	t := s.Peer.t
	t.Expect(Delivery.Carrying(packet).That(fmt.Sprintf("inner packet of message #%d", counter),
		func(*Got) bool { return true }), t.Soon())
}

// dropped lets whatever was sent before arrive and wants nothing of it delivered.
func dropped(t *T, what string) {
	t.quiet(Delivery.That("inner packet of "+what, func(*Got) bool { return true }), 400*time.Millisecond)
}

// takes tells whether a counter is accepted.
func (s *Session) takes(counter uint64) bool {
	packet := s.at(counter)
	return next(s.Peer.t, Delivery.Carrying(packet), s.Peer.t.Soon().Max) != nil
}

const whyReplay = "Whoever recorded packets could send them again: orders, passwords, opened doors."

var replayedAtOnce = replayCase("at-once", []string{"REPLAY-01"}, Must, "A datagram that comes twice is delivered once",
	whyReplay, func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		packet := p.Inbound()
		b := s.Seal(pad(packet))
		p.Send(b)
		t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
		p.Send(b)
		p.Send(b)
		dropped(t, "a replayed message")
		s.Deliver(p.Inbound())
	})

var replayOnceCases = []Case{
	replayCase("later", []string{"REPLAY-01"}, Must, "A datagram is not delivered again after others", whyReplay,
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			var all [][]byte
			for i := range uint64(40) {
				packet := p.Inbound()
				b := s.SealAt(10+3*i, pad(packet))
				p.Send(b)
				all = append(all, b)
				t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			}
			for _, b := range all {
				p.Send(b)
			}
			dropped(t, "40 replayed messages")
			s.numbered(11)
		}),
	replayCase("other-content", []string{"REPLAY-01"}, Must, "A counter is accepted once, whatever the message says",
		"It is the counter that makes a message unique; two messages with one counter break the cipher.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(7)
			s.at(7)
			dropped(t, "another message with a used counter")
			s.numbered(8)
		}),
	replayCase("forged-high", []string{"REPLAY-02"}, Must, "A forged message with a great counter moves no window",
		"One forged datagram would make the receiver drop everything genuine that follows.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(1)
			b := s.SealAt(1_000_000, pad(p.Inbound()))
			b[len(b)-1] ^= 0x80
			p.Send(b)
			dropped(t, "a forged message")
			s.numbered(2)
			s.numbered(4)
			s.numbered(3)
		}),
	replayCase("forged-same", []string{"REPLAY-02"}, Must, "A forged message does not use up its counter",
		"Whoever sees counters pass could send a forgery of the next one first, and kill it.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for counter := uint64(3); counter < 6; counter++ {
				b := s.SealAt(counter, pad(p.Inbound()))
				b[20] ^= 1
				p.Send(b)
			}
			dropped(t, "forged messages")
			for _, counter := range []uint64{5, 4, 3} {
				s.numbered(counter)
			}
		}),
	replayCase("forged-after-genuine", []string{"REPLAY-02"}, Must,
		"A forged message with a great counter does not make old ones acceptable",
		"A window that a forgery can empty lets every recorded packet in again.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			packet := p.Inbound()
			old := s.SealAt(5, pad(packet))
			p.Send(old)
			t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			b := s.SealAt(1<<40, pad(p.Inbound()))
			b[len(b)-1] ^= 1
			p.Send(b)
			p.Send(old)
			dropped(t, "a replayed message")
			s.numbered(6)
		}),
	hadBug("B053 (wireguard-lwip)", replayCase("counter-zero", []string{"REPLAY-09"}, Must,
		"The first message of a session, with counter 0, is accepted",
		"It is the one that confirms the session, and often the only one for a while.", func(t *T) {
			p := t.Peer()
			s := p.Begin()
			packet := inbound(t, p, 432)
			p.Send(s.SealAt(0, pad(packet)))
			t.Expect(Delivery.Carrying(packet), t.Soon())
		})),
	replayCase("new-session", []string{"REPLAY-09"}, Must, "A new session begins with an empty window",
		"Counters begin at 0 with each key. A window that goes on would drop the first packets after each renewal.",
		func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(50_000)
			s = p.Connect()
			for _, counter := range []uint64{1, 3, 2} {
				s.numbered(counter)
			}
		}),
	replayCase("old-session-keeps-window", []string{"REPLAY-09", "REPLAY-01"}, Must,
		"A new session does not empty the window of the one before",
		"Otherwise each renewal would make the packets of the last two minutes acceptable again.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			packet := p.Inbound()
			b := s.SealAt(9, pad(packet))
			p.Send(b)
			t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			p.Connect()
			p.Send(b)
			dropped(t, "a replayed message")
			s.numbered(10)
		}),
}

var replayWindowCases = []Case{
	replayCase("reordered", []string{"REPLAY-03"}, Must, "Messages in any order are delivered, each once",
		"Networks do not keep order. A receiver that insists on it loses packets where nothing was lost.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(20_000)
			// 97 and 500 have no factor in common: the distances, from 1 to 500, are all different and in no order.
			var all [][]byte
			for i := range uint64(60) {
				distance := 1 + i*97%500
				packet := p.Inbound()
				b := s.SealAt(20_000-distance, pad(packet))
				p.Send(b)
				all = append(all, b)
				t.Expect(Delivery.Carrying(packet).That(fmt.Sprintf("inner packet of a message %d behind", distance),
					func(*Got) bool { return true }), t.Soon())
			}
			for _, b := range all {
				p.Send(b)
			}
			dropped(t, "replayed messages")
		}),
	{
		ID: "key/replay/window", Rules: []string{"REPLAY-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 14 * time.Second,
		Title: "What is far behind is dropped; how far is measured",
		Why:   "Nobody can remember all counters. What cannot be told from a replay must be taken for one.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			const newest = 40_000
			s.numbered(newest)
			low, high := uint64(0), uint64(newest) // accepted, not accepted
			used := []uint64{newest}
			for high-low > 1 {
				if middle := (low + high) / 2; s.takes(newest - middle) {
					low = middle
					used = append(used, newest-middle)
				} else {
					high = middle
				}
			}
			t.Measure("oldest accepted distance", fmt.Sprint(low))
			t.Check(low >= 1, "a window: a message 1 behind the newest is accepted", "none is")
			t.Check(low < newest-1, "an end of the window: a message 39999 behind the newest is dropped", "it is accepted")
			for _, counter := range used {
				s.at(counter)
			}
			dropped(t, "replayed messages")
		},
	},
	hadBug("B051 (gotatun, firezone), B052 (wireguard-lwip)", replayCase("window-of-1984", []string{"REPLAY-05"}, Should,
		"A message 1984 behind the newest is delivered",
		"At gigabit speed a few milliseconds of detour are thousands of packets.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(10_000)
			for _, distance := range []uint64{1, 33, 500, 1100, 1500, 1984} {
				s.numbered(10_000 - distance)
			}
		})),
	{
		ID: "key/replay/jumps", Rules: []string{"REPLAY-06"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "A jump ahead makes nothing acceptable again, and nothing new unacceptable",
		Why:   "After a burst of losses the receiver has to forget exactly what it may, or it loses more or lets replays in.",
		Run:   jumps,
	},
	hadBug("B054 (wireguard-go)", replayCase("ring", []string{"REPLAY-06"}, Must,
		"A counter whose place in the ring is used again stays dropped",
		"The oldest part of a ring is also its newest: off by one block, and replays come in.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for i, size := range []uint64{1024, 2048, 8192} { // of rings that are in use somewhere
				base := uint64(i) << 14
				replays := []uint64{1, 2, 62, 63, 64, 65, 127, 128}
				for _, counter := range replays {
					s.numbered(base + counter)
				}
				for _, counter := range []uint64{size - 1, size, size + 61, size + 62} {
					s.numbered(base + counter)
				}
				for _, counter := range replays {
					s.at(base + counter)
				}
				dropped(t, "replayed messages")
				s.numbered(base + size + 63)
			}
		})),
	hadBug("B055 (boringtun)", replayCase("nothing-lost-in-order", []string{"REPLAY-06"}, Must,
		"Messages in order are never taken for replays, however many there were",
		"Places of the window are used again and again; what was there before must not count.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for counter := uint64(64); counter < 18_000; counter += 96 {
				s.numbered(counter)
			}
		})),
}

// jumps jumps by distances around the sizes of blocks and windows. What it sends again must not be delivered; what it
// has not sent before, just behind the newest, must be.
func jumps(t *T) {
	p := t.Peer()
	s := p.Connect()
	newest := uint64(100)
	s.numbered(newest)
	var used [][]byte
	for _, jump := range []uint64{63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 1983, 1984, 1985, 2047, 2048, 2049, 8127,
		8128, 8129, 8191, 8192, 8193, 16256, 16384, 1 << 32} {
		packet := p.Inbound()
		b := s.SealAt(newest+2, pad(packet))
		p.Send(b)
		t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
		used = append(used, b)
		newest += jump
		s.numbered(newest)
		p.Send(b)
		s.numbered(newest - 1)
		s.numbered(newest - 31)
		s.at(newest - 1)
		s.at(newest)
	}
	for _, b := range used {
		p.Send(b)
	}
	dropped(t, "replayed messages")
	s.numbered(newest + 1)
}

var replayLimitCases = []Case{
	replayCase("limit", []string{"REPLAY-07"}, Must, "Counters at the end of their range are not accepted",
		"After the last counter the first would come again, and with it the cipher's nonces.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			p.Send(s.SealAt(math.MaxUint64, inbound(t, p, 480)))
			p.Send(s.SealAt(math.MaxUint64-1, inbound(t, p, 480)))
			dropped(t, "a message beyond Reject-After-Messages")
		}),
	replayCase("limit-moves-nothing", []string{"REPLAY-07"}, Must,
		"A counter at the end of its range leaves the window alone",
		"What is dropped must have no effect.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(5)
			s.Peer.Send(s.SealAt(math.MaxUint64, pad(inbound(t, p, 448))))
			s.numbered(6)
			s.numbered(4)
		}),
	replayCase("limit-measured", []string{"REPLAY-07"}, Must, "Below the limit counters are accepted",
		"The limit is far away, but what is below it is the peer's right.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.numbered(1 << 32)
			s.numbered(1 << 60)
			s.numbered(1<<63 + 1)
			s.numbered(math.MaxUint64 - 1<<14)
		}),
	{
		ID: "key/replay/limit-reached", Rules: []string{"REPLAY-10"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "Once the last counter was received the key accepts nothing more",
		Why:   "The sender has no counter left: whatever still comes under this key is not the sender's.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			// 2^64 less these is where wireguard-go, 32-bit and 64-bit kernels have their limit.
			for _, below := range []uint64{8193, 8162, 8130} {
				limit := -below
				if !s.takes(limit - 1) {
					t.Unsupported("it has its limit below those of wireguard-go and the kernel")
				}
				if s.takes(limit) {
					continue
				}
				t.Measure("Reject-After-Messages", fmt.Sprintf("2^64-%d", below))
				p.Send(s.SealAt(limit-3, inbound(t, p, 464)))
				dropped(t, "a message after the last counter")
				return
			}
			t.Fail("a limit at 2^64-8130 or below", "a message with that counter was delivered")
		},
	},
}

var replayEffectCases = []Case{
	replayCase("keeps-endpoint", []string{"REPLAY-08"}, Must, "A replayed message does not move the endpoint",
		"Whoever recorded one packet could take over a tunnel's traffic by sending it again.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			packet := p.Inbound()
			b := s.Seal(pad(packet))
			p.Send(b)
			t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			p.SendFrom(p.NewPort(), b)
			t.Wait(100 * time.Millisecond)
			out := p.Outbound()
			t.Inject(out)
			g := p.Expect(Data.On(s).Carrying(out), t.Soon())
			t.Equal("where data goes after a replay from elsewhere", g.Remote, p.Addr)
		}),
	keyCase("replay/no-passive-keepalive", []string{"REPLAY-08"}, Must, 26*time.Second,
		"A replayed message brings no passive keepalive",
		"Whoever recorded one packet could find out where the tunnel's other end is.", func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(p.Mute()))
			at := p.Send(b)
			t.Premise(func() { p.Expect(Keepalive.On(s), t.Due(Passive, at)) })
			p.Send(b)
			p.Silence(Transport, 12*time.Second)
		}),
	{
		ID: "key/replay/not-counted", Rules: []string{"REPLAY-08"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner | NeedState, Lasts: 4 * time.Second,
		Title: "A replayed message is not counted as received",
		Why:   "Counters are used for billing and for finding out whether a peer lives.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			packet := p.Inbound()
			b := s.Seal(pad(packet))
			p.Send(b)
			t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			first, _ := p.State()
			for range 3 {
				p.Send(b)
			}
			t.Wait(300 * time.Millisecond)
			second, _ := p.State()
			t.Equal("received bytes after three replays", second.Received, first.Received)
		},
	},
	replayCase("confirms-nothing", []string{"REPLAY-08"}, Must, "A replayed message of an old session confirms no new one",
		"A confirmation shows that the peer has the new key. An old message shows nothing.", func(t *T) {
			p := t.Peer()
			first := p.Connect()
			packet := p.Inbound()
			b := first.Seal(pad(packet))
			p.Send(b)
			t.Premise(func() { t.Expect(Delivery.Carrying(packet), t.Soon()) })
			second := p.Begin()
			p.Send(b)
			t.Inject(p.Outbound())
			p.SilenceStill(Transport.On(second), 500*time.Millisecond)
			second.Keepalive()
			second.Fetch(p.Outbound())
		}),
}
