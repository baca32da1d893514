package conformance

import (
	"bytes"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var cookieCases = withBugs(map[string]string{
	"cookie/load/ends": "B022, B023", "cookie/load/held": "B024", "cookie/load/wrong-mac2": "B027",
	"cookie/load/no-cookie-no-response": "B028, B030",
}, macCases, cookieTakenCases, loadCases)

const (
	whyMAC1 = "mac1 shows that the sender knows the public key. Whoever answers without it can be found by scanning, " +
		"and can be made to work by anybody."
	whyCookie = "Public-key work is dear. Under load it is done only for those who can receive at the address that " +
		"they claim to have, or a flood of forged addresses stops all handshakes."
)

var macCases = []Case{
	{
		ID: "cookie/mac1/wrong-is-silent", Rules: []string{"COOKIE-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 10 * time.Second, Bug: "B026",
		Title: "An initiation with a wrong bit in mac1 is not answered at all", Why: whyMAC1,
		Run: func(t *T) {
			p := t.Peer()
			right := p.Initiate(peer.Spec{}).Bytes
			for bit := range 128 {
				b := bytes.Clone(right)
				b[116+bit/8] ^= 1 << (bit % 8)
				p.Send(b)
				t.Wait(25 * time.Millisecond)
			}
			p.Silence(AnyDatagram, time.Second)
		},
	},
	{
		ID: "cookie/mac1/of-initiation", Rules: []string{"COOKIE-01", "CRYPTO-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B025",
		Title: "The mac1 of an initiation is right", Why: whyMAC1,
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Match{"initiation", func(g *Got) bool { return g.Kind == peer.KindInitiation }}, t.Soon())
			t.Check(g.MAC1, "a mac1 over all that is before it, for the peer's key", "another one")
		},
	},
	{
		ID: "cookie/mac1/of-response", Rules: []string{"COOKIE-01", "CRYPTO-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Bug: "B025",
		Title: "The mac1 of a response is right", Why: whyMAC1,
		Run: func(t *T) {
			p := t.Peer()
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			g := p.Expect(Match{"response", func(g *Got) bool { return g.Kind == peer.KindResponse }}, t.Soon())
			t.Check(g.MAC1, "a mac1 over all that is before it, for the peer's key", "another one")
		},
	},
	{
		ID: "cookie/mac2/ignored-without-load", Rules: []string{"COOKIE-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Title: "Without load mac2 is not looked at",
		Why: "A client that still has an old cookie must get in.",
		Run: func(t *T) {
			p := t.Peer()
			b := p.Initiate(peer.Spec{}).Bytes
			copy(b[132:], t.Text(16))
			p.Send(b)
			p.Expect(Response, t.Soon())
		},
	},
	{
		ID: "cookie/mac2/zero-without-cookie", Rules: []string{"COOKIE-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Title: "Without a cookie mac2 is zeros",
		Why: "Anything else is taken for a wrong cookie.",
		Run: func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Soon())
			t.Equal("mac2", fmt.Sprintf("%x", g.Bytes[132:148]), fmt.Sprintf("%x", make([]byte, 16)))
		},
	},
	{
		ID: "cookie/mac1/old-key", Rules: []string{"COOKIE-21"}, Level: Should, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInterface, Lasts: 2 * time.Second,
		Title: "After a change of key a message for the old public key is dropped", Why: whyMAC1,
		Run: func(t *T) {
			p := t.Peer()
			old := p.Initiate(peer.Spec{}).Bytes
			key := Key(t.Text(32))
			t.Configure(Change{PrivateKey: &key})
			p.Send(old)
			p.SilenceStill(AnyDatagram, time.Second)
		},
	},
}

// cookied makes the subject initiate and answers with a cookie reply. It gives the initiation and the next one.
func cookied(t *T, reply func(p *Peer, g *Got)) (p *Peer, first, next *Got) {
	p = t.Peer()
	t.Inject(p.Outbound())
	t.Premise(func() { first = p.Expect(Initiation, t.Soon()) })
	reply(p, first)
	next = p.Expect(Initiation, t.Due(Retransmit, first.At))
	return p, first, next
}

func takenCase(id string, rules []string, level Level, title, why string, lasts time.Duration, run func(*T)) Case {
	return Case{ID: "cookie/taken/" + id, Rules: rules, Level: level, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: lasts, Title: title, Why: why, Run: run}
}

// mac2Is wants mac2 to be that of a cookie, or zeros for none.
func mac2Is(t *T, g *Got, cookie []byte) {
	got := g.Bytes[132:148]
	switch {
	case cookie == nil && !bytes.Equal(got, make([]byte, 16)):
		t.FailAt(g, "a mac2 of zeros, for there is no cookie", fmt.Sprintf("%x", got))
	case cookie != nil && !peer.CheckMAC2(g.Bytes, cookie):
		t.FailAt(g, fmt.Sprintf("a mac2 made with the cookie %x", cookie), fmt.Sprintf("%x", got))
	}
}

var aCookie, bCookie = bytes.Repeat([]byte{0xc0}, 16), bytes.Repeat([]byte{0xc1}, 16)

const whyTaken = "A client that uses a cookie wrongly cannot reach a server under attack; one that takes any cookie " +
	"can be kept away by anybody."

// ignoredReply is a case about a cookie reply in which something is wrong: the next initiation is as without.
func ignoredReply(id, rule, title string, spoil func([]byte) []byte) Case {
	return takenCase(id, []string{rule}, Must, title, whyTaken, 8*time.Second, func(t *T) {
		_, _, next := cookied(t, func(p *Peer, g *Got) { p.Send(spoil(p.CookieReply(g, aCookie))) })
		mac2Is(t, next, nil)
	})
}

var cookieTakenCases = []Case{
	takenCase("used", []string{"COOKIE-05", "COOKIE-09"}, Must, "The next initiation has a mac2 made with the cookie",
		whyTaken, 8*time.Second, func(t *T) {
			_, _, next := cookied(t, func(p *Peer, g *Got) { p.Send(p.CookieReply(g, aCookie)) })
			mac2Is(t, next, aCookie)
		}),
	{
		ID: "cookie/taken/for-responses", Rules: []string{"COOKIE-19", "COOKIE-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "A cookie that answers a response is used in the next one",
		Why:   "An initiator may be under load, too; without the cookie it never takes the response.",
		Run: func(t *T) {
			p := t.Peer()
			respond := func() *Got {
				t.Wait(20*time.Millisecond + t.Slack())
				p.Send(p.Initiate(peer.Spec{}).Bytes)
				return p.Expect(Response, t.Soon())
			}
			var first *Got
			t.Premise(func() { first = respond() })
			p.Send(p.CookieReply(first, aCookie))
			t.Wait(50 * time.Millisecond)
			next := respond()
			got := next.Bytes[peer.ResponseLength-16:]
			if !peer.CheckMAC2(next.Bytes, aCookie) {
				t.FailAt(next, fmt.Sprintf("a mac2 made with the cookie %x", aCookie), fmt.Sprintf("%x", got))
			}
		},
	},
	takenCase("no-retry-at-once", []string{"COOKIE-09"}, Must, "A cookie reply makes the subject send nothing at once",
		"Whoever answers cookie replies can be made to send by anybody.", 8*time.Second, func(t *T) {
			p := t.Peer()
			t.Inject(p.Outbound())
			first := p.Expect(Initiation, t.Soon())
			p.Send(p.CookieReply(first, aCookie))
			p.SilenceStill(AnyDatagram, 3*time.Second)
		}),
	takenCase("under-older-mac1", []string{"COOKIE-06"}, Must, "A cookie reply to an older message is ignored", whyTaken,
		14*time.Second, func(t *T) {
			p, first, second := cookied(t, func(*Peer, *Got) {})
			p.Send(p.CookieReply(first, aCookie))
			third := p.Expect(Initiation, t.Due(Retransmit, second.At))
			mac2Is(t, third, nil)
		}),
	ignoredReply("damaged", "COOKIE-06", "A cookie reply that does not authenticate is ignored", func(b []byte) []byte {
		b[63] ^= 1
		return b
	}),
	ignoredReply("unknown-index", "COOKIE-07", "A cookie reply to an unknown index is ignored", func(b []byte) []byte {
		b[4] ^= 0x10
		return b
	}),
	takenCase("first-counts", []string{"COOKIE-08"}, Should, "Of two cookies for one message the first counts", whyTaken,
		8*time.Second, func(t *T) {
			_, _, next := cookied(t, func(p *Peer, g *Got) {
				p.Send(p.CookieReply(g, aCookie))
				t.Wait(100 * time.Millisecond)
				p.Send(p.CookieReply(g, bCookie))
			})
			mac2Is(t, next, aCookie)
		}),
	ignoredReply("wrong-length", "MSG-07", "A cookie reply of 65 bytes is ignored", func(b []byte) []byte {
		return append(b, 0)
	}),
	takenCase("expires", []string{"COOKIE-10"}, Must, "A cookie is used for 120 seconds at most",
		"The one who made it has another secret by then, and would only send another cookie.", 140*time.Second,
		func(t *T) {
			p, _, next := cookied(t, func(p *Peer, g *Got) { p.Send(p.CookieReply(g, aCookie)) })
			took := next.At
			t.Premise(func() { mac2Is(t, next, aCookie) })
			t.WaitUntil(took.Latest.Add(124 * time.Second))
			t.Take(Anything.To(p))
			t.Inject(p.Outbound())
			g := p.Expect(Initiation, t.Between(t.Last(), 0, 6*time.Second))
			mac2Is(t, g, nil)
		}),
}
