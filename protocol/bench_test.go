package protocol

import (
	"crypto/cipher"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/timers"
)

// The data-path benchmarks. What counts is x-raw: the time per packet over that of the bare cipher on the same
// buffers, both measured in turn in one run, so that a noisy machine spoils neither. Goals: issue 2, part 4.

const (
	benchBatch  = 128
	benchLen    = 1420
	benchStride = Headroom + benchLen + Tailroom + 5 // 1472: no power of two, like a compact ring of buffers
	benchRounds = 15                                 // each gives one ratio; the median is reported
	roundBlocks = 24                                 // batches per round and side
)

// bench is a device that sends to another over one session.
type bench struct {
	a, b       *Device
	toB, toA   Endpoint
	ba, bb     Batch
	worker     Worker
	memory     []byte
	packets    []Packet
	datagrams  []Datagram
	now        timers.Time
	rawAEAD    cipher.AEAD
	rawCounter uint64
}

func newBench(tb testing.TB) *bench {
	s := &bench{memory: make([]byte, benchBatch*benchStride), now: timers.Time(time.Hour)}
	entropy := rand.NewChaCha8([32]byte{42})
	ia, ib := NewIdentity(PrivateKey{1: 1}), NewIdentity(PrivateKey{1: 2})
	at := [2]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:51820"), netip.MustParseAddrPort("192.0.2.2:51820")}
	make1 := func(own, peer Identity, remote netip.AddrPort, allowed string) *Device {
		d, err := New(Config{Identity: own, Entropy: entropy, Start: s.now, Wall: time.Unix(1e9, 0), MTU: benchLen})
		if err != nil {
			tb.Fatal(err)
		}
		d.Up(s.now, &s.ba)
		if err := d.Configure(s.now, []Change{{Op: OpAddPeer, Peer: peer.PublicKey(), Endpoint: &remote,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix(allowed)}}}, &s.ba); err != nil {
			tb.Fatal(err)
		}
		return d
	}
	s.a, s.b = make1(ia, ib, at[1], "10.0.0.2/32"), make1(ib, ia, at[0], "10.0.0.1/32")
	s.toA, s.toB = Endpoint{Remote: at[0]}, Endpoint{Remote: at[1]}
	for i := range benchBatch {
		buf := s.memory[i*benchStride : (i+1)*benchStride : (i+1)*benchStride]
		s.packets = append(s.packets, Packet{Buf: buf, Off: Headroom, Len: benchLen})
		s.datagrams = append(s.datagrams, Datagram{Packet: Packet{Buf: buf, Len: benchLen + 32}, Endpoint: s.toA})
	}
	s.fill()
	s.handshake(tb)
	s.rawAEAD = handshake.AEAD(&[32]byte{7})
	return s
}

// fill writes 128 inner packets 10.0.0.1 → 10.0.0.2 into the buffers.
func (s *bench) fill() {
	for i := range s.packets {
		p := s.packets[i].Bytes()
		copy(p, []byte{0x45, 0, benchLen >> 8, benchLen & 0xff, 12: 10, 13: 0, 14: 0, 15: 1, 16: 10, 17: 0, 18: 0, 19: 2})
	}
}

// handshake makes a session of a's and confirms it.
func (s *bench) handshake(tb testing.TB) {
	s.ba.Reset()
	s.a.HandlePackets(s.now, s.packets[:1], &s.ba)
	for turn := 0; turn < 4; turn++ {
		from, to, bf, bt, ep := s.a, s.b, &s.ba, &s.bb, s.toA
		if turn%2 == 1 {
			from, to, bf, bt, ep = s.b, s.a, &s.bb, &s.ba, s.toB
		}
		Finish(s.now, from, bf, &s.worker)
		bt.Reset()
		var in []Datagram
		for dg := range bf.Outgoing() {
			dg.Buf, dg.Off, dg.Endpoint = slices.Clone(dg.Bytes()), 0, ep
			in = append(in, dg)
		}
		to.HandleDatagrams(s.now, in, bt)
	}
	Finish(s.now, s.b, &s.bb, &s.worker)
	if !s.a.peer(1).current().maySend(s.now, "") || s.b.peer(1).current() == nil {
		tb.Fatal("no session")
	}
}

// seal is the sender's whole way of one batch: HandlePackets and Seal.
func (s *bench) seal() {
	s.ba.Reset()
	s.a.HandlePackets(s.now, s.packets, &s.ba)
	s.worker.Seal(s.ba.Seal)
}

// open is the receiver's: HandleDatagrams, Open, HandleOpened.
func (s *bench) open() {
	s.bb.Reset()
	s.b.HandleDatagrams(s.now, s.datagrams, &s.bb)
	s.worker.Open(s.bb.Open)
	s.b.HandleOpened(s.now, s.bb.Open, &s.bb)
}

func (s *bench) rawSeal() {
	for i := range s.packets {
		p := s.packets[i].Bytes()
		s.rawAEAD.Seal(p[:0], s.worker.setNonce(s.rawCounter), p, nil)
		s.rawCounter++
	}
}

func (s *bench) rawOpen() {
	s.rawCounter -= benchBatch
	for i := range s.packets {
		p := s.packets[i].Buf[Headroom : Headroom+benchLen+16]
		if _, err := s.rawAEAD.Open(p[:0], s.worker.setNonce(s.rawCounter), p, nil); err != nil {
			panic(err)
		}
		s.rawCounter++
	}
}

// timed runs prepare (not timed) and then run, blocks times, and gives the time of the runs.
func timed(blocks int, prepare, run func()) (total time.Duration) {
	for range blocks {
		prepare()
		start := time.Now()
		run()
		total += time.Since(start)
	}
	return total
}

// measure reports ns per packet of subject, and x-raw, from alternating rounds. prepare functions restore what
// the timed ones consume and count for neither side.
func (s *bench) measure(b *testing.B, prepare, subject, rawPrepare, raw func()) {
	b.ReportAllocs()
	blocks := max(1, b.N/benchBatch)
	total := timed(blocks, prepare, subject)
	b.StopTimer()
	b.ReportMetric(float64(total.Nanoseconds())/float64(blocks*benchBatch), "ns/op")
	ratios := make([]float64, 0, benchRounds)
	for range benchRounds {
		ours := timed(roundBlocks, prepare, subject)
		bare := timed(roundBlocks, rawPrepare, raw)
		ratios = append(ratios, float64(ours)/float64(bare))
	}
	b.ReportMetric(median(ratios), "x-raw")
	if n := s.a.drops; n != [NumDropReasons]uint64{} || s.b.drops != n {
		b.Fatalf("something was dropped: %v %v", s.a.drops, s.b.drops)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkRawAEAD1420 is the bare ChaCha20-Poly1305 over the buffers of the benchmarks below.
func BenchmarkRawAEAD1420(b *testing.B) {
	s := newBench(b)
	s.measure(b, s.fill, s.rawSeal, s.fill, s.rawSeal)
}

func BenchmarkSeal1420(b *testing.B) {
	s := newBench(b)
	s.measure(b, s.fill, s.seal, s.fill, s.rawSeal)
}

func BenchmarkOpen1420(b *testing.B) {
	s := newBench(b)
	s.measure(b, func() { s.fill(); s.seal() }, s.open, func() { s.fill(); s.rawSeal() }, s.rawOpen)
}

// BenchmarkRoundTrip1420 is both ways in one; the bare cipher seals only, so the ideal is 2.
func BenchmarkRoundTrip1420(b *testing.B) {
	s := newBench(b)
	s.measure(b, s.fill, func() { s.seal(); s.open() }, s.fill, s.rawSeal)
}

// TestDataPathAllocations holds the steady data path to no allocations at all.
func TestDataPathAllocations(t *testing.T) {
	s := newBench(t)
	round := func() {
		s.fill()
		s.seal()
		s.open()
		s.a.HandleTimeout(s.now, &s.ba)
		if _, _, ok := s.a.Deadline(); !ok || len(s.bb.Deliveries) != benchBatch {
			t.Fatalf("%d packets delivered, want %d", len(s.bb.Deliveries), benchBatch)
		}
	}
	round()
	if n := testing.AllocsPerRun(50, round); n != 0 {
		t.Errorf("%v allocations per batch of %d, want 0", n, benchBatch)
	}
}
