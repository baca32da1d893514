package udp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/purewire/purewire/protocol"
)

// hosts are the two families on the loopback interface: where a datagram goes, and the source it is to have.
var hosts = []struct {
	name           string
	source         int // of Receive
	remote, origin string
}{
	{"IPv4", 0, "127.0.0.1", "127.0.0.9"},
	{"IPv6", 1, "fd00::1", "fd00::9"},
}

func loopback(t *testing.T) *space {
	s := newSpace(t)
	s.IP(t, "addr add fd00::1/128 dev lo nodad", "addr add fd00::9/128 dev lo nodad", "addr add 127.0.0.9/8 dev lo")
	s.Settle(t, "fd00::1", "fd00::9")
	return s
}

// TestLoopback sends runs of every shape with segmentation and coalescing on and off: all arrive, whole, in order,
// with path and TOS (ROAM-08, QOS-01).
func TestLoopback(t *testing.T) {
	shapes := map[string][]int{
		"equal":        repeat(60, 1452),
		"many":         repeat(300, 80), // more than a send can have
		"last shorter": append(repeat(20, 1000), 17),
		"mixed":        {1, 100, 100, 100, 99, 100, 101, 0, 0, 1, 1, 1400, 1400, 32},
		"large":        {65507, 1, 40000, 40000},
		"too much":     repeat(64, 1400), // more bytes than one send can have
	}
	for _, h := range hosts {
		for _, o := range []Options{{}, {NoSegments: true}, {NoCoalescing: true}, {true, true}} {
			t.Run(fmt.Sprintf("%s/%+v", h.name, o), func(t *testing.T) {
				s := loopback(t)
				a, aPort := s.open(t, 0, o)
				b, bPort := s.open(t, 0, o)
				for name, sizes := range shapes {
					for _, tos := range []uint8{0, 0x88, 0x02} {
						sent := to(endpoint(h.remote, bPort, h.origin), tos, sizes...)
						if tos == 0 {
							sent = packed(sent)
						}
						mustSend(t, a, sent)
						all := receive(t, b, h.source, len(sent))
						same(t, all, sent)
						from := netip.AddrPortFrom(netip.MustParseAddr(h.origin), aPort)
						for i, g := range all {
							if g.from.Remote != from || g.from.Local.String() != h.remote || g.from.IfIndex != 1 {
								t.Fatalf("%s: datagram %d came on %+v, sent from %v to %s", name, i, g.from, from, h.remote)
							}
						}
					}
				}
			})
		}
	}
}

// TestCoalesced is about the known defect of wireguard-go (design §11.8): every part of a coalesced read carries the
// address on which it arrived, and an answer leaves from there.
func TestCoalesced(t *testing.T) {
	for _, h := range hosts {
		t.Run(h.name, func(t *testing.T) {
			s := loopback(t)
			a, aPort := s.open(t, 0, Options{})
			b, bPort := s.open(t, 0, Options{})
			// To the second address: the answer would by itself come from the first.
			sent := to(endpoint(h.origin, bPort, h.remote), 1, append(repeat(40, 100), 50)...)
			mustSend(t, a, sent)
			all := receive(t, b, h.source, len(sent))
			same(t, all, sent)
			coalesced := 0
			for i, g := range all {
				if g.coalesced {
					coalesced++
				}
				if g.from.Local.String() != h.origin {
					t.Fatalf("datagram %d came to %v, was sent to %s", i, g.from.Local, h.origin)
				}
			}
			if coalesced < 30 { // 100 is no multiple of a cache line: most windows of one read give themselves away
				t.Fatalf("%d of %d datagrams came coalesced: the send was not segmented, or the read not coalesced",
					coalesced, len(all))
			}
			mustSend(t, b, to(all[30].from, 0, 10))
			back := receive(t, a, h.source, 1)
			if want := netip.AddrPortFrom(netip.MustParseAddr(h.origin), bPort); back[0].from.Remote != want {
				t.Fatalf("the answer came from %v, want %v", back[0].from.Remote, want)
			}
			if aPort == bPort {
				t.Fatal("two links on one port")
			}
		})
	}
}

// TestSpill gives the reader a super-datagram of more parts than a batch has room for.
func TestSpill(t *testing.T) {
	s := loopback(t)
	l, port := s.open(t, 0, Options{})
	r := &l.readers[0]
	e := endpoint("127.0.0.1", port, "")
	data := message(1, 1001)
	d := newDatagrams()
	copy(d.Buf, data)
	r.into, r.pos = d, 0
	r.name.set(&e, false)
	r.hdr.Flags, r.hdr.Controllen = 0, 0
	_, n := r.ctrl.put(0, 17, 104, 4) // UDP_GRO
	r.ctrl.bytes()[n-8] = 3
	r.hdr.SetControllen(n)
	r.split(d.Buf, len(data))
	var whole []byte
	var sizes []int
	for range 10 {
		for _, g := range d.List {
			whole = append(whole, g.Bytes()...)
			sizes = append(sizes, g.Len)
			if g.Endpoint.Remote != e.Remote {
				t.Fatalf("from %v", g.Endpoint.Remote)
			}
		}
		if len(r.spill) == 0 {
			break
		}
		if err := l.Receive(0, d); err != nil {
			t.Fatal(err)
		}
	}
	if string(whole) != string(data) || len(sizes) != 334 || sizes[332] != 3 || sizes[333] != 2 {
		t.Fatalf("%d bytes in %d parts, want 1001 in 334", len(whole), len(sizes))
	}
}

// TestManyFlows mixes families, destinations, sizes and TOS at random: each destination gets its own, in order.
func TestManyFlows(t *testing.T) {
	s := loopback(t)
	a, _ := s.open(t, 0, Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	type end struct {
		l      *Link
		source int
		e      protocol.Endpoint
	}
	var ends []end
	for _, h := range hosts {
		for range 2 {
			l, port := s.open(t, 0, Options{})
			ends = append(ends, end{l, h.source, endpoint(h.remote, port, h.origin)})
		}
	}
	for round := range 20 {
		var sent []protocol.Datagram
		expected := make([][]protocol.Datagram, len(ends))
		for len(sent) < 200 {
			i, size, tos := rnd.IntN(len(ends)), []int{60, 600, 1300}[rnd.IntN(3)], uint8(rnd.IntN(3))
			for _, d := range to(ends[i].e, tos, repeat(1+rnd.IntN(9), size)...) {
				d.Buf = message(len(sent), size)
				sent = append(sent, d)
				expected[i] = append(expected[i], d)
			}
		}
		mustSend(t, a, sent)
		for i, e := range ends {
			if len(expected[i]) > 0 {
				same(t, receive(t, e.l, e.source, len(expected[i])), expected[i])
			}
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// TestNoAllocations: neither direction makes garbage once it is warm.
func TestNoAllocations(t *testing.T) {
	s := loopback(t)
	for _, h := range hosts {
		a, _ := s.open(t, 0, Options{})
		b, port := s.open(t, 0, Options{})
		sent := packed(to(endpoint(h.remote, port, h.origin), 2, append(repeat(40, 1452), 60, 60, 1452)...))
		d := newDatagrams()
		round := func() {
			if err := a.Send(sent); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(sent); n += len(d.List) {
				if err := b.Receive(h.source, d); err != nil {
					t.Fatal(err)
				}
			}
		}
		round()
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%s: %v allocations per batch", h.name, n)
		}
	}
}

func BenchmarkLoopback(b *testing.B) {
	for _, size := range []int{96, 1452} {
		for _, o := range []Options{{}, {true, true}} {
			b.Run(fmt.Sprintf("%d/%+v", size, o), func(b *testing.B) {
				l, port := New(o), uint16(0)
				defer l.Close()
				port, err := l.Open(port)
				if err != nil {
					b.Fatal(err)
				}
				const n = 44
				sent := packed(to(endpoint("127.0.0.1", port, ""), 0, repeat(n, size)...))
				d := newDatagrams()
				for b.Loop() {
					if err := l.Send(sent); err != nil {
						b.Fatal(err)
					}
					for got := 0; got < n; got += len(d.List) {
						if err := l.Receive(0, d); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
			})
		}
	}
}
