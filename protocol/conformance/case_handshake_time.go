package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// The timestamp of initiations: rules TAI.

// takes sends an initiation with a timestamp and expects it to be answered, or not.
func takes(t *T, p *Peer, what string, ts peer.Timestamp, yes bool) {
	t.Note("timestamp %s: %x", what, ts[:])
	p.Send(p.Initiate(peer.Spec{Timestamp: &ts}).Bytes)
	if yes {
		p.Expect(Response.That("response to an initiation with a timestamp "+what, Response.Is), t.Soon())
		t.Take(Response.To(p))
	} else {
		p.SilenceStill(Response.That("response to an initiation with a timestamp "+what, Response.Is),
			300*time.Millisecond)
	}
	t.Wait(apart(t))
}

// recorded initiates and confirms, and gives the initiation to be sent again later. It is a premise.
func recorded(t *T, p *Peer) *peer.Initiation {
	i := p.Initiate(peer.Spec{})
	t.Premise(func() {
		p.Send(i.Bytes)
		p.Expect(Response.That("response that completes the handshake", func(g *Got) bool {
			return g.Session != nil
		}), t.Soon()).Session.Keepalive()
	})
	t.Wait(apart(t))
	t.Take(Response.To(p))
	return i
}

// after is the timestamp n nanoseconds later, which must not leave the second.
func after(ts peer.Timestamp, n int) peer.Timestamp {
	binary.BigEndian.PutUint32(ts[8:], uint32(int(binary.BigEndian.Uint32(ts[8:]))+n))
	return ts
}

var timestampCases = []Case{
	{
		ID: "handshake/timestamp/replay", Rules: []string{"TAI-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 5 * time.Second,
		Title: "Only an initiation with a timestamp after the last one is answered, to the nanosecond",
		Why:   "Who recorded an initiation could make the subject forget its keys, again and again, by sending it again.",
		Run: func(t *T) {
			p := t.Peer()
			base := peer.TAI64N(time.Date(2030, 1, 1, 0, 0, 0, 1<<25+1000, time.UTC))
			takes(t, p, "of any time", base, true)
			takes(t, p, "equal to it", base, false)
			takes(t, p, "a nanosecond before it", after(base, -1), false)
			takes(t, p, "a nanosecond after it", after(base, 1), true)
			earlier := peer.TAI64N(time.Date(2029, 12, 31, 23, 59, 59, 999999999, time.UTC))
			takes(t, p, "a second before it with more nanoseconds", earlier, false)
			takes(t, p, "two nanoseconds after it", after(base, 2), true)
		},
	},
	{
		ID: "handshake/timestamp/no-clock", Rules: []string{"TAI-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "A timestamp need not be near the subject's time: from 1 to the greatest, each is taken after the last",
		Why:   "A router without a clock begins in 1970 after each start. The timestamp is a counter.",
		Run: func(t *T) {
			p := t.Peer()
			takes(t, p, "of 1", peer.Timestamp{11: 1}, true)
			takes(t, p, "of 2", peer.Timestamp{11: 2}, true)
			takes(t, p, "of 2^32 nanoseconds and no second", peer.Timestamp{8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff}, true)
			takes(t, p, "of 1970", peer.TAI64N(time.Unix(0, 0)), true)
			takes(t, p, "of the year 2500", peer.TAI64N(time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)), true)
			takes(t, p, "with the top bit", peer.Timestamp{0: 0x80}, true)
			takes(t, p, "of all ones", peer.Timestamp(bytes.Repeat([]byte{0xff}, 12)), true)
		},
	},
	{
		ID: "handshake/timestamp/per-peer", Rules: []string{"TAI-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 3 * time.Second,
		Title: "One peer's timestamp says nothing about another's",
		Why:   "A single peer whose clock is ahead would lock out all others.",
		Run: func(t *T) {
			takes(t, t.Peer(), "of the year 2500", peer.TAI64N(time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)), true)
			takes(t, t.Peer(), "of today, by another peer", peer.TAI64N(t.Setup.Wall), true)
		},
	},
	{
		ID: "handshake/timestamp/survives-rekey", Rules: []string{"TAI-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "An initiation from before the last handshakes is still a replay",
		Why:   "What was recorded does not go bad: all that protects is the memory of the greatest timestamp.",
		Run: func(t *T) {
			p := t.Peer()
			i := recorded(t, p)
			for range 3 {
				p.Connect().Deliver(p.Inbound())
			}
			t.Wait(apart(t))
			p.Send(i.Bytes)
			p.Silence(Response, time.Second)
		},
	},
	{
		ID: "handshake/timestamp/survives-down", Rules: []string{"TAI-04"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInterface, Lasts: 2 * time.Second,
		Title: "It is one after the interface was down and up",
		Why:   "Interfaces go down and up whenever a laptop sleeps.",
		Run: func(t *T) {
			p := t.Peer()
			i := recorded(t, p)
			t.up(false)
			t.Wait(100 * time.Millisecond)
			t.up(true)
			t.Wait(apart(t))
			p.Send(i.Bytes)
			p.SilenceStill(Response, time.Second)
			t.Premise(func() { answered(t, p, peer.Spec{}) })
		},
	},
	{
		ID: "handshake/timestamp/survives-erasure", Rules: []string{"TAI-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 606 * time.Second,
		Title: "It is one after all keys were erased, 540 s later",
		Why:   "When everything else about a peer is forgotten this must not be.",
		Run: func(t *T) {
			p := t.Peer()
			i := recorded(t, p)
			w := t.Due(Erasure, t.Last())
			t.Wait(min(w.Max+2*time.Second, 603*time.Second))
			t.Forget()
			p.Send(i.Bytes)
			p.SilenceStill(Response, time.Second)
			t.Premise(func() { answered(t, p, peer.Spec{}) })
		},
	},
	{
		ID: "handshake/timestamp/forgotten-with-the-peer", Rules: []string{"TAI-05"}, Level: May, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "Whether the greatest timestamp is forgotten with its peer",
		Why:   "A peer that was removed and added again starts anew; its old initiations can be replayed once.",
		Run: func(t *T) {
			p := t.Peer()
			i := recorded(t, p)
			k := p.Party.Static.Public
			t.Configure(Change{Peers: []PeerChange{{PublicKey: k, Remove: true}}})
			p.Configure(PeerChange{Endpoint: &p.Addr, ReplaceAllowedIPs: true, AllowedIPs: p.Allowed})
			t.Wait(apart(t))
			p.Send(i.Bytes)
			replayed := len(t.Gather(Response.To(p), 300*time.Millisecond)) > 0
			t.Measure("an old initiation of a peer that was removed and added is answered", fmt.Sprint(replayed))
			answered(t, p, peer.Spec{})
		},
	},
	{
		ID: "handshake/timestamp/forgotten-by-restart", Rules: []string{"TAI-05"}, Level: May, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedRestart, Lasts: 2 * time.Second,
		Title: "Whether the greatest timestamp is forgotten by a restart",
		Why:   "Few implementations write it down.",
		Run: func(t *T) {
			p := t.Peer()
			i := recorded(t, p)
			t.Restart()
			t.Wait(apart(t))
			p.Send(i.Bytes)
			replayed := len(t.Gather(Response.To(p), 300*time.Millisecond)) > 0
			t.Measure("an old initiation is answered after a restart", fmt.Sprint(replayed))
			answered(t, p, peer.Spec{})
		},
	},
}

var timestampSentCases = []Case{
	{
		ID: "handshake/timestamp/form", Rules: []string{"TAI-01", "HS-02"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 18 * time.Second,
		Bug:   "B041 (wireguard-go), B043 (Linux), B044 (wireguard-rs)",
		Title: "Timestamps are TAI64N of the present time, with nanoseconds below 10^9",
		Why: "Two implementations that share a key, one after the other, must agree on what is later; and nanoseconds " +
			"that overflow make timestamps fall back.",
		Run: func(t *T) {
			for _, g := range initiations(t, 3) {
				ts := g.Initiation.Timestamp
				ns, off := binary.BigEndian.Uint32(ts[8:]), ts.Time().Sub(t.wallAt(g))
				t.Check(off > -time.Minute && off < time.Minute, "a label within 60 s of now", fmt.Sprintf("%v off", off))
				t.Check(ns < 1e9, "nanoseconds below 10^9", fmt.Sprint(ns))
			}
		},
	},
	{
		ID: "handshake/timestamp/epoch", Rules: []string{"TAI-08"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "The label of Unix time 0 is 2^62 + 10",
		Why:   "All implementations agree on it, so that a key can move from one to another.",
		Run: func(t *T) {
			g := initiations(t, 1)[0]
			label := int64(binary.BigEndian.Uint64(g.Initiation.Timestamp[:]))
			off := label - 1<<62 - t.wallAt(g).Unix()
			t.Check(off >= 9 && off <= 11, "a label of 2^62 + 10 + Unix time", fmt.Sprintf("2^62 %+d + Unix time", off))
		},
	},
	{
		ID: "handshake/timestamp/rises", Rules: []string{"TAI-06"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 18 * time.Second,
		Title: "Each initiation has a later timestamp than the one before",
		Why:   "The receiver takes no other: a tunnel whose clock stands still does not come up.",
		Run: func(t *T) {
			all := initiations(t, 4)
			for i, g := range all[1:] {
				a, b := all[i].Initiation.Timestamp, g.Initiation.Timestamp
				t.Check(bytes.Compare(b[:], a[:]) > 0, "a timestamp after "+show(a[:]), show(b[:]))
			}
		},
	},
	{
		ID: "handshake/timestamp/coarse", Rules: []string{"TAI-07"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B042 (wireguard-go, Linux)",
		Title: "Timestamps are rounded down to multiples of 2^24 ns",
		Why:   "The exact time of the machine's clock tells it from others, and helps who measures what it does.",
		Run: func(t *T) {
			for range 4 {
				g, _ := provoked(t, t.Peer())
				ns := binary.BigEndian.Uint32(g.Initiation.Timestamp[8:])
				t.Check(ns&(1<<24-1) == 0, "nanoseconds whose low 24 bits are zero", fmt.Sprintf("%d = %#x", ns, ns))
				t.Wait(37 * time.Millisecond)
			}
		},
	},
	{
		ID: "handshake/timestamp/clock-set-back", Rules: []string{"TAI-09", "TAI-10"}, Level: Should,
		Isolation: OwnInstance, Needs: NeedConfigure | NeedInner | NeedWall, Lasts: 7 * time.Second,
		Title: "Timestamps rise even when the clock is set back by an hour",
		Why:   "The receiver takes nothing that is not later: for an hour no handshake would succeed.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			t.SetWall(t.wallAt(g).Add(-time.Hour))
			next := p.Expect(Initiation, t.Due(Retransmit, g.At))
			a, b := g.Initiation.Timestamp, next.Initiation.Timestamp
			t.Measure("timestamp after the clock was set back by an hour", b.Time().Sub(a.Time()).String())
			t.Check(bytes.Compare(b[:], a[:]) > 0, "a timestamp after "+show(a[:]), show(b[:]))
		},
	},
}

// initiations gives n initiations to one peer, unanswered.
func initiations(t *T, n int) (all []*Got) {
	p := t.Peer()
	g, _ := provoked(t, p)
	for all = append(all, g); len(all) < n; all = append(all, g) {
		t.Premise(func() {
			g = p.Expect(Initiation, t.Due(Retransmit, g.At))
			t.Check(g.Initiation != nil, "an initiation that its receiver can read", g.text())
		})
	}
	return slices.Clip(all)
}

// wallAt is what the subject's wall clock showed when it sent something, as far as it was not set.
func (t *T) wallAt(g *Got) time.Time { return t.Setup.Wall.Add(time.Duration(g.At.Latest)) }
