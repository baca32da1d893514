package program

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// What the target can measure, and what it costs: go test -run '^$' -bench . -benchtime 200x

func percentiles(b *testing.B, what string, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	for _, p := range []int{50, 99, 100} {
		b.ReportMetric(float64(all[min(len(all)*p/100, len(all)-1)])/1e3, fmt.Sprintf("µs-%s-p%d", what, p))
	}
}

// BenchmarkStamps measures how uncertain the time stamps are, in and out.
func BenchmarkStamps(b *testing.B) {
	s := subject(b, factory(b, fakeCommand(b, "echo")), nil)
	var in, out []time.Duration
	for b.Loop() {
		at := s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("when?")}})
		o := until(b, s, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 })
		in = append(in, at.Latest.Sub(at.Earliest))
		out = append(out, o.Datagrams[0].At.Latest.Sub(o.Datagrams[0].At.Earliest))
	}
	percentiles(b, "in", in)
	percentiles(b, "out", out)
}

// BenchmarkStart measures how long a subject takes to be there, and to be gone.
func BenchmarkStart(b *testing.B) {
	for name, command := range realPrograms(b) {
		b.Run(name, func(b *testing.B) {
			f := factory(b, command)
			var start, stop []time.Duration
			for b.Loop() {
				setup, err := realtime.Idle()
				if err != nil {
					b.Fatal(err)
				}
				begin := time.Now()
				s, err := f.New(setup)
				if err != nil {
					b.Fatal(err)
				}
				begun := time.Now()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				start, stop = append(start, begun.Sub(begin)), append(stop, time.Since(begun))
			}
			percentiles(b, "start", start)
			percentiles(b, "stop", stop)
		})
	}
}

// BenchmarkHandshakes measures how fast initiations are answered, one after the other, each by another peer.
func BenchmarkHandshakes(b *testing.B) {
	for name, command := range realPrograms(b) {
		b.Run(name, func(b *testing.B) {
			const peers = 64
			parties := make([]*peer.Party, peers)
			s := subject(b, factory(b, command), func(setup *conformance.Setup) {
				setup.Config.Peers = nil
				for i := range parties {
					parties[i] = &peer.Party{Static: peer.NewPair(rand.Reader), Random: rand.Reader,
						Remote: peer.PairOf(peer.Key(*setup.Config.PrivateKey)).Public}
					setup.Config.Peers = append(setup.Config.Peers, conformance.PeerChange{
						PublicKey:  conformance.Key(parties[i].Static.Public),
						AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}), 32)}})
				}
			})
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				if n%peers == 0 { // the 20 ms in which a peer may not come again (HS-28)
					time.Sleep(25 * time.Millisecond)
				}
				i, err := parties[n%peers].Initiate(peer.TAI64N(time.Now()), peer.Spec{})
				if err != nil {
					b.Fatal(err)
				}
				// From an address of its own: boringtun connects a socket to it, which serves that peer alone.
				from := netip.AddrPortFrom(tester4.Addr(), uint16(10000+n%peers))
				at := s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: from, Bytes: i.Bytes}})
				o := until(b, s, "a response", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 })
				if len(o.Datagrams[0].Bytes) != peer.ResponseLength {
					b.Fatalf("answered by %d bytes", len(o.Datagrams[0].Bytes))
				}
				took = append(took, o.Datagrams[0].At.Latest.Sub(at.Earliest))
			}
			percentiles(b, "answer", took)
		})
	}
}
