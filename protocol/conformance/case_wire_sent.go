package conformance

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// What the subject sends.

var wireSentCases = slices.Concat(
	[]Case{
		{
			ID: "wire/sent/types", Rules: []string{"MSG-01"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
			Title: "Every message has the type and length of its kind",
			Why:   "The first byte is all that tells the messages apart.",
			Run: func(t *T) {
				everyKind(t, func(what string, kind peer.Kind, g *Got) {
					t.Check(g.Kind == kind, fmt.Sprintf("a right %v as %s", kind, what), g.text())
				})
			},
		},
		{
			ID: "wire/sent/reserved", Rules: []string{"MSG-02"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
			Title: "The three bytes behind the type are zero in every message",
			Why: "Every receiver drops the message otherwise; and whoever may choose these bits can mark a user's " +
				"packets with them.",
			Run: func(t *T) {
				everyKind(t, func(what string, _ peer.Kind, g *Got) {
					t.Check(len(g.Bytes) >= 4, "a message as "+what, g.text())
					t.Equal("reserved bytes of "+what, g.Bytes[1:4], []byte{0, 0, 0})
				})
			},
		},
	},
	bothRoles(Case{
		ID: "wire/sent/counters", Rules: []string{"MSG-14", "MSG-10"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "Counters begin at 0 and grow by 1, little-endian",
		Why: "The counter is the nonce: two messages under one nonce give away both. Gaps say how much somebody else " +
			"sends, and a wrong order of bytes ends in the receiver's replay window.",
		Run: sentCounters,
	}),
	bothRoles(Case{
		ID: "wire/sent/receiver-index", Rules: []string{"MSG-15"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "Data carries the index that its receiver announced",
		Why:   "The receiver finds the key by it.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Handshake()
			// By its length, since with a wrong index it is of no session.
			const length = 256
			t.Inject(IP(t.Host4, p.Inner4, 253, t.Text(length-peer.TransportOverhead-20)))
			g := p.Expect(Transport.That("transport message of 256 bytes", func(g *Got) bool {
				return len(g.Bytes) == length
			}), t.Soon())
			t.Equal("the receiver index of data", g.Receiver(), s.Local)
		},
	}),
	bothRoles(Case{
		ID: "wire/index/any-value", Rules: []string{"MSG-11"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
		Title: "A sender index of 0, 1, the greatest and any other is taken and echoed",
		Why: "The index is its owner's to choose. A receiver for which 0 or −1 means \"none\" has no tunnel with one " +
			"peer in four milliards, at a time that nobody can explain.",
		Run: anyIndex,
	}),
)

// everyKind makes the subject send a response, data, an initiation and a keepalive, and looks at each.
func everyKind(t *T, look func(what string, kind peer.Kind, g *Got)) {
	p := t.Peer()
	i := p.Initiate(peer.Spec{})
	p.Send(i.Bytes)
	g := p.Expect(AnyDatagram, t.Soon())
	look("the answer to an initiation", peer.KindResponse, g)
	if g.Session != nil {
		g.Session.Keepalive()
		t.Inject(p.Outbound())
		look("what carries a packet", peer.KindTransport, p.Expect(AnyDatagram, t.Soon()))
	}
	// A persistent keepalive makes it initiate with nothing to say.
	q := t.NewPeer(PeerOptions{Keepalive: 1})
	g = q.Expect(AnyDatagram, t.Between(t.Last(), 0, 2*time.Second))
	look("the beginning of a handshake", peer.KindInitiation, g)
	if g.Initiation != nil {
		q.Reply(g)
		look("the confirmation of a session", peer.KindTransport, q.Expect(AnyDatagram, t.Soon()))
	}
}

func sentCounters(t *T) {
	p := t.Peer()
	s := p.Handshake() // as initiator the subject has sent one packet on it
	const batches, each = 10, 30
	for range batches {
		var packets [][]byte
		for range each {
			packets = append(packets, p.Outbound())
		}
		t.Inject(packets...)
		t.Wait(20 * time.Millisecond)
	}
	t.Wait(300 * time.Millisecond)
	var counters []uint64
	for n := range s.seen {
		counters = append(counters, n)
	}
	slices.Sort(counters)
	t.Check(len(counters) >= batches*each, fmt.Sprintf("%d messages with a counter of their own", batches*each),
		fmt.Sprintf("%d different counters", len(counters)))
	for i, n := range counters {
		t.Check(n == uint64(i), fmt.Sprintf("counter %d as number %d", i, i), fmt.Sprintf("%d (%#x)", n, n))
	}
	for _, b := range t.Breaches() {
		t.Check(!strings.Contains(b, "twice"), "no counter twice", b)
	}
}

func anyIndex(t *T) {
	for _, index := range []uint32{0, 1, 1 << 31, 0xffffffff, 0x01020304} {
		p := t.Peer()
		spec := peer.Spec{Index: &index}
		what := fmt.Sprintf(" with our index %08x", index)
		if t.Case.Role == Initiator {
			g, packet := provoked(t, p)
			r, s := p.Respond(g, spec)
			p.Send(r.Bytes)
			got := p.Expect(Data.Carrying(packet).That("data"+what, Data.On(s).Is), t.Soon())
			t.Equal("the receiver index of data", got.Receiver(), index)
			continue
		}
		p.Send(p.Initiate(spec).Bytes)
		g := p.Expect(Response.That("response to an initiation"+what, Response.Is), t.Soon())
		t.Check(g.Receiver() == index && g.Session != nil, fmt.Sprintf("a response to index %08x", index), g.text())
		g.Session.Keepalive()
		got := g.Session.Fetch(p.Outbound())
		t.Equal("the receiver index of data", got.Receiver(), index)
	}
}

var wireOuterCases = slices.Concat(
	bothFamilies(Case{
		ID: "wire/outer/udp-checksum", Rules: []string{"MSG-16"}, Level: Should, Isolation: Shared,
		Needs: NeedConfigure | NeedOuter, Lasts: 2 * time.Second,
		Title: "Outer UDP checksums are there",
		Why:   "Over IPv6 a datagram without one is dropped; over IPv4 some middleboxes do so too.",
		Run: func(t *T) {
			header := outerHeader(t)
			start := 20
			if t.Case.V6 {
				start = 40
			}
			t.Check(binary.BigEndian.Uint16(header[start+6:]) != 0, "a UDP checksum", "zero: none")
		},
	}),
	[]Case{
		{
			ID: "wire/outer/may-be-fragmented", Rules: []string{"MSG-17"}, Level: Should, Isolation: Shared,
			Needs: NeedConfigure | NeedOuter, Lasts: 2 * time.Second,
			Title: "Outer IPv4 packets do not forbid fragmentation",
			Why: "With the bit set a path with a smaller MTU swallows large packets, while small ones still pass: " +
				"connections open and then hang.",
			Run: func(t *T) {
				t.Check(outerHeader(t)[6]&0x40 == 0, "the don't-fragment bit clear", "it is set")
			},
		},
		{
			ID: "wire/outer/one-port", Rules: []string{"MSG-18"}, Level: May, Isolation: OwnInstance,
			Needs: NeedConfigure | NeedIPv6, Lasts: 1 * time.Second,
			Title: "Whether IPv4 and IPv6 are served on one port",
			Why:   "A peer that changes between the families expects the port that it was told.",
			Run: func(t *T) {
				var served []string
				complete := Response.That("response that completes the handshake", func(g *Got) bool { return g.Session != nil })
				for _, v6 := range []bool{false, true} {
					p := t.NewPeer(PeerOptions{V6: v6})
					p.Send(p.Initiate(peer.Spec{}).Bytes)
					if t.Wait(300 * time.Millisecond); t.Peek(complete.To(p)) != nil {
						served = append(served, map[bool]string{false: "IPv4", true: "IPv6"}[v6])
					}
				}
				t.Check(len(served) > 0, "an answer over one of the families at least", "none")
				t.Measure("families served on the port", strings.Join(served, ", "))
			},
		},
	},
)

// outerHeader gives the IP packet of a response.
func outerHeader(t *T) []byte {
	p := t.Peer()
	p.Send(p.Initiate(peer.Spec{}).Bytes)
	var g *Got
	t.Premise(func() { g = p.Expect(Response, t.Soon()) })
	if len(g.Datagram.IP) < 28 {
		t.Unsupported("outer headers cannot be seen here")
	}
	return g.Datagram.IP
}
