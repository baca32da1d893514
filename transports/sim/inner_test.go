package sim

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// remake takes a packet apart with gopacket and puts it together again with lengths and checksums that gopacket
// computes: an independent opinion on every byte.
func remake(t *testing.T, b []byte) []byte {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatal(e.Error())
	}
	var parts []gopacket.SerializableLayer
	for _, l := range p.Layers() {
		if u, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := u.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
		part, ok := l.(gopacket.SerializableLayer)
		if !ok {
			part = gopacket.Payload(l.LayerContents())
		}
		parts = append(parts, part)
	}
	buf := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, o, parts...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestInnerPacketsAreRealOnes(t *testing.T) {
	a4, b4 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.255.0.1")
	a6, b6 := netip.MustParseAddr("fd00::1:2"), netip.MustParseAddr("fd00:ffff::9")
	s := start(t, stored("default"), Options{Seed: 1})
	for _, v6 := range []bool{false, true} {
		for _, kind := range []InnerKind{InnerPing, InnerUDP} {
			for size := smallestInner(v6); size < smallestInner(v6)+40; size++ {
				p := spec{kind: kind, src: a4, dst: b4, tos: 0xb8, id: uint64(size) << 20, flow: 3, seq: 77777, born: 99}
				if v6 {
					p.src, p.dst = a6, b6
				}
				b := make([]byte, size)
				p.build(b)
				checkPacket(t, s, b, p)
				if kind != InnerPing {
					continue
				}
				answer := make([]byte, size)
				pong(answer, b)
				p.kind, p.src, p.dst = InnerPong, p.dst, p.src
				checkPacket(t, s, answer, p)
			}
		}
	}
}

func checkPacket(t *testing.T, s *Sim, b []byte, p spec) {
	t.Helper()
	if again := remake(t, b); !bytes.Equal(again, b) {
		t.Fatalf("%s of %d bytes:\n%x\nas gopacket writes it\n%x", p.kind, len(b), b, again)
	}
	in := s.inner(b)
	if in.Kind != p.kind || in.ID != p.id || in.Seq != p.seq || in.Src != p.src || in.Dst != p.dst ||
		in.Born != p.born || in.Flow != s.flows[3].name {
		t.Fatalf("read back %+v, want %+v", in, p)
	}
	from, to := s.flows[3].from.cfg.Name, s.flows[3].to.cfg.Name
	if p.kind == InnerPong {
		from, to = to, from
	}
	if in.From != from || in.To != to {
		t.Fatalf("%s is from %s to %s", p.kind, in.From, in.To)
	}
}

func TestHopsRunOut(t *testing.T) {
	for _, src := range []string{"10.0.0.1", "fd00::1"} {
		a := netip.MustParseAddr(src)
		b := make([]byte, 100)
		spec{kind: InnerPing, src: a, dst: a}.build(b)
		for i := range firstHops {
			ok := hop(b)
			if ok != (i < firstHops-1) {
				t.Fatalf("%s: after %d hops: %v", src, i+1, ok)
			}
			if again := remake(t, b); !bytes.Equal(again, b) {
				t.Fatalf("%s: after %d hops the checksum is wrong", src, i+1)
			}
		}
	}
}

// Anything may come out of a tunnel; reading it must not fail, and it is not taken for a packet of ours.
func TestForeignPackets(t *testing.T) {
	s := start(t, stored("default"), Options{Seed: 1})
	r := NewRand(1, "foreign")
	for i := range 20000 {
		b := make([]byte, r.Intn(120))
		_, _ = r.Read(b)
		if len(b) > 0 && i%2 == 0 {
			b[0] = 0x40 | b[0]&0x20 | 5
		}
		if in := s.inner(b); in.Kind != InnerOther || in.ID != 0 {
			t.Fatalf("%x is taken for %+v", b, in)
		}
	}
}

// The office passes packets between laptop and branch, with one hop less.
func TestForwarding(t *testing.T) {
	var forwarded, pongs int
	hops := map[string]byte{}
	start(t, stored("default"), Options{Seed: 1, Duration: time.Minute, Observe: func(r *Record) {
		switch {
		case r.Kind == KindInnerForwarded && r.Host == "office":
			forwarded++
		case r.Kind == KindInnerDelivered && r.Inner.Src.Is6():
			if old, ok := hops[r.Host]; ok && old != r.Inner.Data[7] {
				t.Errorf("at %s with %d hops, then with %d", r.Host, old, r.Inner.Data[7])
			}
			hops[r.Host] = r.Inner.Data[7]
			if r.Host == "laptop" && r.Inner.Kind == InnerPong && r.Inner.From == "branch" {
				pongs++
			}
		}
	}}).Run()
	if forwarded < 18 || pongs < 8 {
		t.Errorf("%d packets forwarded, %d answers from the branch", forwarded, pongs)
	}
	if hops["office"] != firstHops || hops["branch"] != firstHops-1 || hops["laptop"] != firstHops-1 {
		t.Errorf("hops left: %v", hops)
	}
}
