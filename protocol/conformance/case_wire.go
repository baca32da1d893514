package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

var wireCases = slices.Concat(wireDropCases, wireLengthCases, wireSentCases, wireOuterCases, cryptoCases, pskCases)

// provoked makes the subject initiate by a packet for p. It is a premise.
func provoked(t *T, p *Peer) (g *Got, packet []byte) {
	t.Premise(func() {
		packet = p.Outbound()
		t.Inject(packet)
		g = p.Expect(Initiation, t.Soon())
		t.Check(g.Initiation != nil, "an initiation that its receiver can read", g.String())
	})
	return g, packet
}

// completes shows that a subject that waits for the response r takes it after all: what came before it was refused for
// what it was, and did no harm. The packet is the one that waits.
func completes(t *T, p *Peer, r *peer.Response, s *Session, packet []byte) {
	s.Made = p.Send(r.Bytes)
	p.Expect(Data.On(s).Carrying(packet), t.Soon())
}

var wireDropCases = []Case{
	{
		ID: "wire/reserved/initiation", Rules: []string{"MSG-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 8 * time.Second,
		Title: "An initiation with a reserved bit set is dropped",
		Why: "The three bytes behind the type are kept for the future. A receiver that ignores them accepts messages " +
			"that a later version may mean differently, and gives an observer bits to mark packets with.",
		Run: reservedInitiation,
	},
	{
		ID: "wire/reserved/response", Rules: []string{"MSG-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A response with a reserved bit set is dropped",
		Why:   "The check belongs before all others; an implementation that parses each type on its own forgets one.",
		Run: func(t *T) {
			p := t.Peer()
			g, packet := provoked(t, p)
			r, s := p.Respond(g, peer.Spec{})
			for bit := range 24 {
				p.Send(p.Remac(reserved(r.Bytes, bit)))
			}
			p.SilenceStill(Transport, time.Second)
			t.Premise(func() { completes(t, p, r, s, packet) })
		},
	},
	{
		ID: "wire/reserved/cookie-reply", Rules: []string{"MSG-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "A cookie reply with a reserved bit set is dropped",
		Why:   "What is accepted here changes what the subject sends for two minutes.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			for bit := range 24 {
				p.Send(reserved(p.CookieReply(g, t.Text(16)), bit))
			}
			next := p.Expect(Initiation, t.Due(Retransmit, g.At))
			t.Equal("mac2 of the next initiation", next.Bytes[132:], make([]byte, 16))
		},
	},
	{
		ID: "wire/reserved/data", Rules: []string{"MSG-03"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Data with a reserved bit set is dropped",
		Why: "The bits are covered by no authentication in a transport message: who accepts them lets anybody on the " +
			"path mark packets and watch where they go.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			for bit := range 24 {
				p.Send(reserved(s.Seal(pad(p.Inbound())), bit))
			}
			t.SilenceStill(Delivery, time.Second)
			t.Premise(func() { s.Deliver(p.Inbound()) })
		},
	},
	{
		ID: "wire/type/unknown-initiation", Rules: []string{"MSG-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "An initiation under any type but 1 is dropped",
		Why:   "Only four types exist. A receiver that looks at some bits of the type, or guesses by length, answers more.",
		Run: func(t *T) {
			p := t.Peer()
			i := p.Initiate(peer.Spec{})
			for _, kind := range append(unknownTypes(), 2, 3, 4) {
				b := bytes.Clone(i.Bytes)
				b[0] = kind
				p.Send(p.Remac(b))
			}
			p.SilenceStill(AnyDatagram, time.Second)
			p.Send(i.Bytes)
			t.Premise(func() { p.Expect(Response, t.Soon()) })
		},
	},
	{
		ID: "wire/type/unknown-data", Rules: []string{"MSG-04"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Data under any type but 4 is dropped",
		Why:   "Only four types exist, and the type of a transport message is not authenticated.",
		Run: func(t *T) {
			p := t.Peer()
			s := settled(t, p)
			for _, kind := range append(unknownTypes(), 1, 2, 3) {
				b := s.Seal(pad(p.Inbound()))
				b[0] = kind
				p.Send(b)
			}
			t.SilenceStill(answer, time.Second)
			t.Premise(func() { s.Deliver(p.Inbound()) })
		},
	},
	{
		ID: "wire/datagram/two-messages", Rules: []string{"MSG-12"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Two messages in one datagram are dropped",
		Why:   "One datagram is one message. Whoever takes more lets one forged header carry many messages past a filter.",
		Run: func(t *T) {
			p := t.Peer()
			i, j := p.Initiate(peer.Spec{}), p.Initiate(peer.Spec{})
			p.Send(slices.Concat(i.Bytes, j.Bytes))
			p.SilenceStill(AnyDatagram, 500*time.Millisecond)
			s := p.Connect()
			p.Send(slices.Concat(s.Seal(pad(p.Inbound())), s.Seal(pad(p.Inbound()))))
			p.Send(slices.Concat(s.Seal(nil), s.Seal(pad(p.Inbound()))))
			t.SilenceStill(Delivery, 500*time.Millisecond)
			t.Premise(func() { s.Deliver(p.Inbound()) })
		},
	},
	{
		ID: "wire/datagram/extreme-lengths", Rules: []string{"MSG-13"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure, Lasts: 2 * time.Second,
		Title: "Datagrams of 0 to 3 bytes and of the greatest length are survived in silence",
		Why:   "Anybody can send them. A receiver that reads the type without looking at the length dies of one.",
		Run: func(t *T) {
			p := t.Peer()
			for kind := range byte(6) {
				for _, n := range []int{0, 1, 2, 3, 4, 65507} {
					b := make([]byte, n)
					copy(b, []byte{kind})
					p.Send(b)
				}
			}
			t.SilenceStill(answer, time.Second)
			p.Send(p.Initiate(peer.Spec{}).Bytes)
			p.Expect(Response, t.Soon())
		},
	},
}

// answer is Anything, for messages that read well.
var answer = Match{"datagram or inner packet", Anything.Is}

// reserved is a copy with one of the 24 reserved bits set.
func reserved(b []byte, bit int) []byte {
	b = bytes.Clone(b)
	b[1+bit/8] |= 1 << (bit % 8)
	return b
}

// unknownTypes are 0 and 5 to 255.
func unknownTypes() (types []byte) {
	for kind := range 256 {
		if kind < 1 || kind > 4 {
			types = append(types, byte(kind))
		}
	}
	return types
}

func reservedInitiation(t *T) {
	p := t.Peer()
	for bit := range 24 {
		i := p.Initiate(peer.Spec{})
		p.Send(p.Remac(reserved(i.Bytes, bit))) // only the reserved bit is wrong
		t.Wait(30 * time.Millisecond)
		t.Note("reserved bit %d", bit)
	}
	p.Silence(Response, time.Second)
	// The same peer with the bits clear is answered: it was they.
	t.Premise(func() { p.Connect() })
	t.Measure("reserved bits tried", fmt.Sprint(24))
}

var wireLengthCases = []Case{
	{
		ID: "wire/length/initiation-long", Rules: []string{"MSG-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second, Bug: "B143, B144 (wireguard-go)",
		Title: "An initiation with bytes behind its end is dropped",
		Why:   "Bytes that nothing authenticates could be anything, and a later version could not use the length.",
		Run: func(t *T) {
			p := t.Peer()
			for _, n := range []int{1, 2, 4, 16, 64} {
				i := p.Initiate(peer.Spec{})
				// The macs at their place with bytes behind them, and at the new end.
				p.Send(append(bytes.Clone(i.Bytes), make([]byte, n)...))
				t.Wait(30 * time.Millisecond)
				p.Send(p.Remac(append(bytes.Clone(i.Bytes), make([]byte, n)...)))
				t.Wait(30 * time.Millisecond)
			}
			p.SilenceStill(AnyDatagram, time.Second)
			t.Premise(func() { p.Connect() })
		},
	},
	{
		ID: "wire/length/initiation-short", Rules: []string{"MSG-05"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure, Lasts: 4 * time.Second,
		Title: "An initiation without its last bytes is dropped",
		Why:   "A parser that does not look at the length reads what stood in its buffer before.",
		Run: func(t *T) {
			p := t.Peer()
			for _, n := range []int{1, 4, 16, 32, 60, 140} {
				i := p.Initiate(peer.Spec{})
				p.Send(i.Bytes[:len(i.Bytes)-n])
				t.Wait(30 * time.Millisecond)
				if cut := i.Bytes[:len(i.Bytes)-n]; n <= 60 { // and with macs at the new end
					p.Send(p.Remac(bytes.Clone(cut)))
					t.Wait(30 * time.Millisecond)
				}
			}
			p.SilenceStill(AnyDatagram, time.Second)
			t.Premise(func() { p.Connect() })
		},
	},
	{
		ID: "wire/length/response", Rules: []string{"MSG-06"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second, Bug: "B144 (wireguard-go)",
		Title: "A response that is too long or too short is as if there had been none",
		Why:   "Bytes that nothing authenticates could be anything.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			r, _ := p.Respond(g, peer.Spec{})
			for _, n := range []int{1, 4, 16} {
				p.Send(append(bytes.Clone(r.Bytes), make([]byte, n)...))
				p.Send(p.Remac(append(bytes.Clone(r.Bytes), make([]byte, n)...)))
				p.Send(r.Bytes[:len(r.Bytes)-n])
				p.Send(p.Remac(bytes.Clone(r.Bytes[:len(r.Bytes)-n])))
			}
			p.SilenceStill(Transport, time.Second)
			p.Expect(Initiation, t.Due(Retransmit, g.At))
		},
	},
	{
		ID: "wire/length/cookie-reply", Rules: []string{"MSG-07"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
		Title: "A cookie reply that is too long or too short is as if there had been none",
		Why:   "Bytes that nothing authenticates could be anything.",
		Run: func(t *T) {
			p := t.Peer()
			g, _ := provoked(t, p)
			b := p.CookieReply(g, t.Text(16))
			for _, n := range []int{1, 4, 32} {
				p.Send(append(bytes.Clone(b), make([]byte, n)...))
				p.Send(b[:len(b)-n])
			}
			next := p.Expect(Initiation, t.Due(Retransmit, g.At))
			t.Equal("mac2 of the next initiation", next.Bytes[132:], make([]byte, 16))
		},
	},
	{
		ID: "wire/length/data-short", Rules: []string{"MSG-08"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 2 * time.Second,
		Title: "A transport message of less than 32 bytes is dropped",
		Why: "There is no room for a tag. A receiver that takes the length of the plaintext from it gets a negative " +
			"number.",
		Run: func(t *T) {
			p := t.Peer()
			s := settled(t, p)
			for n := 4; n < peer.TransportOverhead; n++ {
				p.Send(s.Seal(nil)[:n])
			}
			t.SilenceStill(answer, time.Second)
			s.Deliver(p.Inbound())
		},
	},
	{
		ID: "wire/length/data-unpadded", Rules: []string{"MSG-09"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "Packets that were not padded are delivered",
		Why:   "Senders pad to 16 bytes, but need not at the MTU, and some never do.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			// A packet that is shorter than any text that tells whose it is has only its addresses to be known by.
			p.Send(s.Seal(IP(p.Inner4, t.Host4, 253, []byte{7})))
			t.Expect(Delivery.That("the packet of 21 bytes", func(g *Got) bool { return len(g.Packet) == 21 }), t.Soon())
			for n := 81; n < 96; n++ {
				packet := IP(p.Inner4, t.Host4, 253, t.Text(n-20))
				p.Send(s.Seal(packet))
				t.Expect(Delivery.Carrying(packet), t.Soon())
			}
		},
	},
}
