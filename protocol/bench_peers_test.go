package protocol

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// heap gives the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// addPeers configures n peers in calls of 4096: random keys, an endpoint, one IPv4 and one IPv6 prefix each.
func addPeers(tb testing.TB, d *Device, n int) {
	random := rand.NewChaCha8([32]byte{9})
	var out Batch
	changes := make([]Change, 0, 4096)
	for i := range n {
		c := Change{Op: OpAddPeer}
		if _, err := random.Read(c.Peer[:]); err != nil {
			tb.Fatal(err)
		}
		var v4 [4]byte
		v6 := [16]byte{0: 0xfd, 1: 7}
		binary.BigEndian.PutUint32(v4[:], 10<<24+uint32(i))
		binary.BigEndian.PutUint32(v6[12:], uint32(i))
		endpoint := netip.AddrPortFrom(netip.AddrFrom4(v4), 51820)
		c.Endpoint = &endpoint
		c.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(v4), 32), netip.PrefixFrom(netip.AddrFrom16(v6), 128)}
		if changes = append(changes, c); len(changes) == cap(changes) || i == n-1 {
			if err := d.Configure(0, changes, &out); err != nil {
				tb.Fatal(err)
			}
			changes = changes[:0]
		}
	}
}

func newServer(tb testing.TB) *Device {
	d, err := New(Config{Identity: NewIdentity(PrivateKey{1: 1}), Entropy: rand.NewChaCha8([32]byte{1}),
		Wall: time.Unix(1e9, 0)})
	if err != nil {
		tb.Fatal(err)
	}
	d.Up(0, &Batch{})
	return d
}

// BenchmarkIdlePeer is the heap that 2^20 configured peers cost, everything included, and the time to add them.
func BenchmarkIdlePeer(b *testing.B) {
	const n = 1 << 20
	for range b.N {
		before := heap()
		d := newServer(b)
		start := time.Now()
		addPeers(b, d, n)
		b.ReportMetric(time.Since(start).Seconds(), "s-to-add")
		b.ReportMetric(float64(heap()-before)/n, "B/peer")
		if len(d.byKey) != n {
			b.Fatalf("%d peers", len(d.byKey))
		}
		runtime.KeepAlive(d)
	}
}

// connect gives p as many key pairs as there are slots named, newest last, as a finished handshake would.
func connect(d *Device, p *peer, index uint32, pairs int) {
	var out Batch
	keys := handshake.Keys{Initiator: [32]byte{1}, Responder: [32]byte{2}}
	for i := range pairs {
		k := d.derive(p, &keys, &drawn{index: index + uint32(i)}, 7, i < pairs-1)
		if i == pairs-1 && pairs > 1 {
			d.put(p, k, SlotNext, &out) // previous, current and a next that is not confirmed
		} else {
			d.beginInitiator(p, k, &out)
		}
		p.timers.ResponseReceived(d.now)
	}
	d.sign(p, make([]byte, wire.InitiationSize))
}

// BenchmarkConnectedIdlePeer is the heap of a peer with one and with three key pairs (B/peer), replay windows
// and cookie jar included.
func BenchmarkConnectedIdlePeer(b *testing.B) {
	const n = 1 << 14
	for _, c := range []struct {
		name  string
		pairs int
	}{{"pairs=1", 1}, {"pairs=3", 3}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				before := heap()
				d := newServer(b)
				addPeers(b, d, n)
				for p := range d.all() {
					connect(d, p, uint32(p.id)*8, c.pairs)
				}
				if len(d.byIdx) != n*c.pairs {
					b.Fatalf("%d key pairs", len(d.byIdx))
				}
				b.ReportMetric(float64(heap()-before)/n, "B/peer")
				runtime.KeepAlive(d)
			}
		})
	}
}

// BenchmarkTimeout is one due timer out of 2^20 armed ones: the deadline, what it does, and the next deadline.
// The timers are T4 of peers that had a session, spread over nine minutes; each is armed again afterwards.
func BenchmarkTimeout(b *testing.B) {
	const n = 1 << 20
	d := newServer(b)
	addPeers(b, d, n)
	var out Batch
	i := 0
	for p := range d.all() {
		p.timers.ResponseSent(timers.Time(i) * timers.Time(timers.KeyErasureTime) / n)
		i++
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		out.Reset()
		p, kind, at, ok := d.queue.Next()
		if !ok || kind != timers.ZeroKeyMaterial {
			b.Fatal("no timer is armed")
		}
		d.HandleTimeout(at, &out)
		p.ResponseSent(d.now)
	}
}

// junk is 128 initiations with a valid mac1 and nothing else that is right.
func junk(d *Device) (in []Datagram) {
	random := rand.NewChaCha8([32]byte{5})
	for i := range benchBatch {
		var m wire.Initiation
		random.Read(m[:])
		copy(m[:], []byte{1, 0, 0, 0})
		key := handshake.MAC1Key((*[KeySize]byte)(&d.public))
		d.hasher.MAC(m.MAC1(), key[:], m[:wire.InitiationMAC1Offset])
		clear(m.MAC2()[:])
		in = append(in, Datagram{Packet: Packet{Buf: m[:], Len: len(m)},
			Endpoint: Endpoint{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}), 1)}})
	}
	return in
}

// BenchmarkMAC1Junk is the cost of one forged initiation whose mac1 is right: quiet, without and with the
// public-key operation that it gets a Worker to do (whose allocations are crypto/ecdh's), and under load.
func BenchmarkMAC1Junk(b *testing.B) {
	run := func(name string, limit int, finish bool, want DropReason) {
		b.Run(name, func(b *testing.B) {
			d, err := New(Config{Identity: NewIdentity(PrivateKey{1: 1}), Entropy: rand.NewChaCha8([32]byte{1}),
				Limits: Limits{HandshakesPerSecond: limit, Jobs: 2048}})
			if err != nil {
				b.Fatal(err)
			}
			var out Batch
			var w Worker
			d.Up(0, &out)
			in := junk(d)
			now := timers.Time(0)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += benchBatch {
				out.Reset()
				now += timers.Time(time.Millisecond)
				d.HandleDatagrams(now, in, &out)
				if finish {
					Finish(now, d, &out, &w)
				} else {
					d.HandleShaken(now, out.Handshakes, &out)
				}
			}
			b.StopTimer()
			if d.drops[want] == 0 {
				b.Fatalf("nothing was dropped as %v: %v", want, d.drops)
			}
		})
	}
	run("quiet", 1<<30, false, DropBusy)
	run("quiet+x25519", 1<<30, true, DropStaticTag)
	run("load", 1, false, DropNoCookie)
}
