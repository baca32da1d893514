package shimcheck

import (
	"bytes"
	"reflect"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// trafficChecks are about datagrams and packets.
var trafficChecks = []check{
	{"datagrams/answer", "a right initiation brings a right response, to where it came from, in the same reply",
		func(b *bench) {
			var i *instance
			m := newMate(1, false)
			b.premise(func() { i = b.open("a", 1, m.config(0)) })
			i.handshake(m)
			if o := to(m, peer.KindResponse, i.seen)[0]; o.Datagram.Local != i.host(m) {
				b.fail("the response is from %v, the initiation was for %v", o.Datagram.Local, i.host(m))
			}
		}},
	{"datagrams/order", "the datagrams of a request are dealt with one after the other", func(b *bench) {
		var i *instance
		first, second := newMate(1, false), newMate(2, false)
		b.premise(func() { i = b.open("a", 1, first.config(0), second.config(0)) })
		r := i.must(i.sending(i.datagram(first, i.initiate(first).Bytes), i.datagram(second, i.initiate(second).Bytes)))
		var order []any
		for _, o := range r.Outputs {
			if o.Datagram != nil && peer.KindOf(o.Datagram.Bytes) == peer.KindResponse {
				order = append(order, o.Datagram.Remote)
			}
		}
		if !reflect.DeepEqual(order, []any{first.addr, second.addr}) {
			b.fail("initiations from %v and %v in one request bring responses to %v", first.addr, second.addr, order)
		}
	}},
	{"datagrams/any-length", "datagrams of 0 to 65507 bytes do no harm", func(b *bench) {
		var i *instance
		m := newMate(1, false)
		b.premise(func() { i = b.open("a", 1, m.config(0)) })
		for _, n := range []int{0, 1, 3, 4, 15, 147, 65507} {
			junk := bytes.Repeat([]byte{4}, n)
			if r := i.must(i.sending(i.datagram(m, junk))); len(r.Outputs) > 0 {
				b.fail("%d bytes of junk bring %s", n, describe(r.Outputs))
			}
		}
		b.premise(func() { i.handshake(m) })
	}},
	{"packets/in", "what comes through the tunnel is put out as a packet, without its padding", func(b *bench) {
		b.need("inner")
		i, m, s := connected(b)
		packet := inbound(m)
		r := i.must(i.sending(i.datagram(m, s.Seal(pad(packet)))))
		if !contains(r.Outputs, func(o proto.Output) bool { return o.Packet != nil && bytes.Equal(*o.Packet, packet) }) {
			b.fail("an inner packet of %d bytes in a transport message brings %s", len(packet), describe(r.Outputs))
		}
	}},
	{"packets/out", "an inner packet for a peer is sent through its tunnel, in the same reply", func(b *bench) {
		b.need("inner")
		i, m, s := connected(b)
		packet := outbound(m)
		r := i.must(&proto.Request{Op: proto.OpPackets, At: i.later(moment), Packets: []proto.Hex{packet}})
		if !contains(to(m, peer.KindTransport, r.Outputs), func(o proto.Output) bool {
			plain, err := s.Open(o.Datagram.Bytes)
			return err == nil && bytes.HasPrefix(plain, packet)
		}) {
			b.fail("an inner packet for a peer with a session brings %s", describe(r.Outputs))
		}
	}},
	{"packets/order", "the packets of a request are sent one after the other", func(b *bench) {
		b.need("inner")
		i, m, s := connected(b)
		var in []proto.Hex
		for k := range 5 {
			p := outbound(m)
			p[len(p)-1] = byte(k)
			in = append(in, p)
		}
		r := i.must(&proto.Request{Op: proto.OpPackets, At: i.later(moment), Packets: in})
		next := 0
		for _, o := range to(m, peer.KindTransport, r.Outputs) {
			plain, err := s.Open(o.Datagram.Bytes)
			if err != nil || len(plain) == 0 {
				continue
			}
			if next == len(in) || !bytes.HasPrefix(plain, in[next]) {
				b.fail("packet %d of what is sent is not packet %d of the request", next, next)
			}
			next++
		}
		if next != len(in) {
			b.fail("of %d packets of a request %d are sent", len(in), next)
		}
	}},
	{"tos/shown", "sent datagrams show their TOS byte", func(b *bench) {
		b.need("tos")
		i, _, _ := connected(b)
		for k, o := range i.seen {
			if o.Datagram != nil && o.Datagram.TOS == nil {
				b.fail("output %d, %s, has no tos, but it says that it has the capability", k, describe(i.seen[k:k+1]))
			}
		}
	}},
	{"ipv6/answer", "an initiation over IPv6 is answered over IPv6", func(b *bench) {
		b.need("ipv6")
		var i *instance
		m := newMate(1, true)
		b.premise(func() { i = b.open("a", 1, m.config(0)) })
		i.handshake(m)
	}},
}

// connected is an instance with a session.
func connected(b *bench) (i *instance, m *mate, s *peer.Session) {
	b.premise(func() {
		m = newMate(1, false)
		i = b.open("a", 1, m.config(0))
		s = i.handshake(m)
	})
	return i, m, s
}
