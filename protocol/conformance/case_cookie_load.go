package conformance

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// loadCase is a case about a subject under load. They are short, for each has the machine for itself.
func loadCase(id string, rules []string, level Level, lasts time.Duration, title string, run func(*T)) Case {
	return Case{ID: "cookie/load/" + id, Rules: rules, Level: level, Isolation: QuietMachine,
		Needs: NeedConfigure | NeedLoad, Lasts: lasts, Setup: SlowHandshakes, Title: title, Why: whyCookie,
		Run: run}
}

// baked gets a cookie for p, at its address, from a subject under load.
func baked(t *T, p *Peer) (reply *Got, i *peer.Initiation) {
	t.Overload()
	reply = cookieFor(t, p, func() []byte {
		i = p.Initiate(peer.Spec{})
		return i.Bytes
	})
	return reply, i
}

// cookieFor sends an initiation to a subject under load and expects a cookie reply. In real time it tries again if
// there is a response: some count by the second, and the load that was may be over.
func cookieFor(t *T, p *Peer, initiation func() []byte) *Got {
	for try := 0; !t.Caps.Virtual && try < 3; try++ {
		p.Send(initiation())
		if g := p.Expect(anyAnswer, t.Soon()); CookieReply.Is(g) {
			return g
		}
		t.Overload()
	}
	p.Send(initiation())
	return p.Expect(CookieReply, t.Soon())
}

var anyAnswer = Match{"an answer", func(g *Got) bool { return CookieReply.Is(g) || Response.Is(g) }}

// worked lets the queue of a subject under load be worked off.
func worked(t *T) Window { return t.Between(t.Last(), 0, 2*time.Second) }

var loadCases = []Case{
	loadCase("no-cookie-no-response", []string{"COOKIE-12", "COOKIE-18"}, Must, 3*time.Second,
		"Under load an initiation without mac2 gets a cookie, and with it a response", loadCookie),
	loadCase("wrong-mac2", []string{"COOKIE-12"}, Must, time.Second,
		"Under load a wrong mac2 is as good as none", func(t *T) {
			p := t.Peer()
			t.Overload()
			cookieFor(t, p, func() []byte {
				b := p.Initiate(peer.Spec{}).Bytes
				copy(b[132:], t.Text(16))
				return b
			})
		}),
	loadCase("bad-mac1-is-silent", []string{"COOKIE-02"}, Must, 2*time.Second,
		"Under load too a wrong mac1 is not answered", func(t *T) {
			p := t.Peer()
			t.Overload()
			b := p.Initiate(peer.Spec{}).Bytes
			b[116] ^= 1
			p.Send(b)
			p.SilenceStill(AnyDatagram, time.Second)
		}),
	loadCase("receiver-index", []string{"COOKIE-13"}, Must, time.Second,
		"A cookie reply names the sender index that it answers",
		func(t *T) {
			p := t.Peer()
			reply, i := baked(t, p)
			t.Equal("the receiver index", fmt.Sprintf("%08x", reply.Receiver()), fmt.Sprintf("%08x", i.Index))
		}),
	loadCase("bound-to-port", []string{"COOKIE-14"}, Must, 4*time.Second,
		"A cookie is good for the port that it was sent to, only",
		func(t *T) {
			p := t.Peer()
			here, _ := baked(t, p)
			p.Addr = p.NewPort()
			there, _ := baked(t, p)
			t.Check(!bytes.Equal(here.Cookie, there.Cookie), "different cookies for two ports", "the same")
			t.Overload()
			p.Send(p.Initiate(peer.Spec{Cookie: here.Cookie}).Bytes)
			p.SilenceStill(Response, 2*time.Second)
		}),
	loadCase("nonces", []string{"COOKIE-16"}, Must, 3*time.Second,
		"Each cookie reply has a nonce of its own, around the same cookie",
		func(t *T) {
			p := t.Peer()
			seen := map[string]bool{}
			var cookie []byte
			t.Overload()
			for n := 0; n < 12; {
				if n%4 == 3 {
					t.Overload()
				}
				g := cookieFor(t, p, func() []byte { return p.Initiate(peer.Spec{}).Bytes })
				n++
				nonce := string(g.Bytes[8:32])
				t.Check(!seen[nonce], "a new nonce", fmt.Sprintf("%x again", nonce))
				seen[nonce] = true
				if cookie == nil {
					cookie = g.Cookie
				}
				t.Check(bytes.Equal(cookie, g.Cookie), fmt.Sprintf("the cookie %x", cookie), fmt.Sprintf("%x", g.Cookie))
			}
		}),
	loadCase("to-the-source", []string{"COOKIE-17"}, Must, time.Second,
		"A cookie reply goes where the message came from", func(t *T) {
			p := t.Peer()
			p.Connect()
			t.Wait(30 * time.Millisecond)
			t.Overload()
			elsewhere := p.NewPort()
			p.SendFrom(elsewhere, p.Initiate(peer.Spec{}).Bytes)
			g := t.Expect(Match{"cookie reply to the peer", func(g *Got) bool {
				return CookieReply.Is(g) && g.Remote.Port() != 0 && (g.Remote == elsewhere || g.Remote == p.Addr)
			}}, t.Soon())
			t.Equal("the address that it goes to", g.Remote, elsewhere)
		}),
	loadCase("tos", []string{"QOS-01"}, Should, time.Second, "A cookie reply has the TOS 0", func(t *T) {
		if t.Caps.Has&NeedTOS == 0 {
			t.Unsupported("the outer TOS cannot be seen")
		}
		p := t.Peer()
		reply, _ := baked(t, p)
		t.Equal("the outer TOS", reply.TOS, byte(0))
	}),
	loadCase("held", []string{"DOS-02"}, Should, time.Second,
		"Load is held for a second after it was seen", func(t *T) {
			p := t.Peer()
			t.Overload()
			t.Wait(200 * time.Millisecond)
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			g := p.Expect(anyAnswer, t.Soon())
			t.Check(g.Kind == peer.KindCookieReply, "a cookie reply", g.String())
		}),
	loadCase("ends", []string{"DOS-02", "COOKIE-03"}, Must, 5*time.Second,
		"Load ends when the flood does", func(t *T) {
			p := t.Peer()
			t.Overload()
			t.Wait(4 * time.Second)
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			g := p.Expect(anyAnswer, t.Soon())
			t.Check(g.Kind == peer.KindResponse, "a response", g.String())
		}),
	loadCase("limited", []string{"DOS-03", "DOS-04"}, Must, 7*time.Second,
		"Under load a source gets few handshakes at once, even with cookies, and no cookies for the rest", limited),
	{
		ID: "cookie/load/data-goes-on", Rules: []string{"DOS-05"}, Level: Must, Isolation: QuietMachine,
		Needs: NeedConfigure | NeedLoad | NeedInner, Lasts: 3 * time.Second, Setup: SlowHandshakes,
		Title: "A flood of handshakes does not stop the data of sessions", Why: whyCookie,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			through := 0
			for range 20 {
				t.Flood(200)
				b := p.Inbound()
				s.Send(b)
				t.Wait(50 * time.Millisecond)
				through += len(t.Take(Delivery.Carrying(b)))
			}
			t.Check(through >= 10, "at least half of 20 packets during a flood", fmt.Sprint(through))
		},
	},
	{
		ID: "cookie/load/threshold", Rules: []string{"DOS-01"}, Level: Impl, Isolation: QuietMachine,
		Needs: NeedConfigure | NeedLoad, Lasts: 2 * time.Second, Setup: SlowHandshakes,
		Title: "How many initiations at once bring it under load", Why: "It says how soon clients wait a round trip more.",
		Run: func(t *T) {
			p := t.flooder()
			for burst := 8; burst <= 4096; burst *= 2 {
				t.Flood(burst)
				t.Wait(20 * time.Millisecond)
				if len(t.Take(CookieReply.To(p))) > 0 {
					t.Measure("junk at once that brings load", fmt.Sprintf("at most %d", burst))
					return
				}
			}
			if t.Caps.Virtual { // its processors are modelled, and they are all busy
				t.Fail("cookie replies to 4096 initiations at once", "none")
			}
			t.Measure("junk at once that brings load", "more than 4096")
		},
	},
}

func loadCookie(t *T) {
	p := t.Peer()
	reply, _ := baked(t, p)
	t.Check(len(reply.Cookie) == 16, "a cookie of 16 bytes under the mac1 that was sent", "another one")
	again := p.Initiate(peer.Spec{Cookie: reply.Cookie})
	p.Send(again.Bytes)
	// The queue before it has to be worked off first.
	p.Expect(Response, worked(t))
}

// limited has 24 peers at one address, each with a right cookie. "Token bucket 20/s, burst 5" lets five of them
// through at once; a subject that looks when it takes them from its queue lets through some more.
func limited(t *T) {
	var peers []*Peer
	cookie := map[*Peer][]byte{}
	for len(peers) < 24 {
		var some []*Peer
		var ask []Datagram
		for range 12 {
			p := t.NewPeer(PeerOptions{})
			if len(peers)+len(some) > 0 {
				p.Addr = netip.AddrPortFrom(slices.Concat(peers, some)[0].Addr.Addr(), p.Addr.Port())
				p.Addr = p.NewPort()
			}
			ask = append(ask, p.Datagram(p.Initiate(peer.Spec{}).Bytes))
			some = append(some, p)
		}
		t.Overload() // which lasts a second: all is ready by now
		first := t.Input(ask...)
		for _, p := range some {
			t.Premise(func() { cookie[p] = p.Expect(CookieReply, t.Between(first, 0, time.Second)).Cookie })
		}
		peers = append(peers, some...)
		t.Wait(1100 * time.Millisecond)
	}
	var all []Datagram
	for _, p := range peers {
		t.Equal("the address of all", p.Addr.Addr(), peers[0].Addr.Addr())
		all = append(all, p.Datagram(p.Initiate(peer.Spec{Cookie: cookie[p]}).Bytes))
	}
	t.Overload()
	t.Forget()
	t.Input(all...)
	taken := 0
	for _, g := range t.Gather(Handshake, 3*time.Second) {
		if _, ours := cookie[g.Peer]; ours {
			t.Check(g.Kind == peer.KindResponse, "silence for what is too much", g.String())
			taken++
		}
	}
	t.Check(taken <= 16, "at most 16 responses to 24 initiations at once from one address", fmt.Sprint(taken))
}
