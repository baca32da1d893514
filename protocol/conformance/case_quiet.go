package conformance

import (
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

const whyQuiet = "Somebody who scans the network must not find out that there is a tunnel."

func quietCase(id string, rules []string, title string, lasts time.Duration, run func(*T)) Case {
	return Case{ID: "quiet/" + id, Rules: rules, Level: Must, Isolation: Shared, Needs: NeedConfigure, Lasts: lasts,
		Title: title, Why: whyQuiet, Run: run}
}

var quietCases = slices.Concat(quietMore, bothRoles(quietIdle), []Case{
	quietCase("stranger/random-datagrams", []string{"QUIET-01", "QUIET-02"}, "Random datagrams are not answered",
		6*time.Second, func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			for i := range 400 {
				b := t.Text(1 + i*7%300)
				b[0] = byte(i % 6)
				if i%2 == 0 && len(b) > 4 {
					b[1], b[2], b[3] = 0, 0, 0
				}
				p.Send(b)
				if i%50 == 49 {
					t.Wait(20 * time.Millisecond)
				}
			}
			p.SilenceStill(Anything, time.Second)
			t.Never(OtherPacket, "no ICMP error either")
			t.Alive()
		}),
	quietCase("stranger/unknown-key", []string{"QUIET-01", "HS-05"},
		"A right initiation of an unknown key is not answered", 4*time.Second, func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			p.Silence(AnyDatagram, time.Second)
		}),
	quietCase("stranger/version", []string{"QUIET-07"}, "There is no answer to message types that do not exist",
		4*time.Second, func(t *T) {
			p := t.Peer()
			for kind := 5; kind < 256; kind += 10 {
				b := append([]byte{byte(kind), 0, 0, 0}, t.Text(144)...)
				p.Send(p.Remac(b[:148:148]))
			}
			p.Silence(AnyDatagram, time.Second)
		}),
})

var quietMore = []Case{
	{
		ID: "quiet/data/bad-tag", Rules: []string{"QUIET-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "Data with a wrong tag is dropped in silence",
		Why: whyQuiet,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := s.Seal(pad(p.Inbound()))
			b[20] ^= 1
			p.Send(b)
			p.SilenceStill(AnyDatagram, time.Second)
			s.Deliver(p.Inbound())
		},
	},
	{
		ID: "quiet/data/replayed", Rules: []string{"QUIET-03", "REPLAY-01"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second, Title: "Data that came before is dropped in silence",
		Why: whyQuiet,
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			b := p.Inbound()
			sealed := s.Seal(pad(b))
			p.Send(sealed)
			t.Premise(func() { t.Expect(Delivery.Carrying(b), t.Soon()) })
			p.Send(sealed)
			t.SilenceStill(Delivery.Carrying(b), 500*time.Millisecond)
			p.SilenceStill(AnyDatagram, 500*time.Millisecond)
		},
	},
	{
		ID: "quiet/data/expired", Rules: []string{"QUIET-03", "KEY-10"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 190 * time.Second,
		Title: "Data of a session that is too old is dropped in silence", Why: whyQuiet, Bug: "B063",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			t.Wait(180*time.Second + t.Slack())
			b := p.Inbound()
			s.Send(b)
			t.SilenceStill(Delivery.Carrying(b), 500*time.Millisecond)
			p.SilenceStill(AnyDatagram, time.Second)
		},
	},
	{
		ID: "quiet/configured/not-contacted", Rules: []string{"QUIET-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 35 * time.Second,
		Title: "A peer that nobody sends to is never contacted", Why: whyQuiet,
		Run: func(t *T) {
			p := t.Peer()
			p.Silence(AnyDatagram, 30*time.Second)
		},
	},
}

var quietIdle = Case{
	ID: "quiet/idle/for-ever", Rules: []string{"QUIET-04", "TIMER-21"}, Level: Must, Isolation: Shared,
	Needs: NeedConfigure | NeedInner, Lasts: 190 * time.Second,
	Title: "After the last passive keepalive an idle session is silent", Why: whyQuiet,
	Run: func(t *T) {
		p := t.Peer()
		s := p.Handshake()
		at := p.Send(s.Seal(pad(p.Mute())))
		t.Premise(func() { p.Expect(Keepalive.On(s), t.Due(Passive, at)) })
		s.Keepalive()
		p.SilenceStill(AnyDatagram, 172*time.Second)
	},
}
