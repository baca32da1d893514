package protocol

import (
	"crypto/ecdh"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// handshakeFloor is what no side can do without: one base multiplication, three X25519 with parsed keys, and
// the listed hash and AEAD calls of rules.md §1.3, on ready-made buffers.
type handshakeFloor struct {
	key    *ecdh.PrivateKey
	remote *ecdh.PublicKey
	buf    [160]byte
	out    [64]byte
}

// hashInputs are the input lengths of one side's BLAKE2s calls: an HMAC is a block and its input, then a block
// and a digest; the MACs count with their key block.
var hashInputs = func() (lengths []int) {
	hmacs := func(inputs ...int) {
		for _, n := range inputs {
			lengths = append(lengths, 64+n, 64+32)
		}
	}
	lengths = append(lengths, 64) // the responder's key
	hmacs(32, 1)                  // e
	lengths = append(lengths, 64)
	hmacs(32, 1, 33) // es
	lengths = append(lengths, 80)
	hmacs(32, 1, 33) // ss
	lengths = append(lengths, 60)
	hmacs(32, 1) // e of the response
	lengths = append(lengths, 64)
	hmacs(32, 1, 32, 1, 32, 1, 33, 33) // ee, se, psk
	lengths = append(lengths, 64, 48)
	hmacs(0, 1, 33)                          // the transport keys
	return append(lengths, 64+116-20, 64+60) // mac1 made, mac1 checked
}()

func newHandshakeFloor(tb testing.TB) *handshakeFloor {
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		k, err := ecdh.X25519().NewPrivateKey(append(make([]byte, 31), byte(i+1)))
		if err != nil {
			tb.Fatal(err)
		}
		keys[i] = k
	}
	return &handshakeFloor{key: keys[0], remote: keys[1].PublicKey()}
}

func (f *handshakeFloor) run(tb testing.TB) {
	if _, err := ecdh.X25519().NewPrivateKey(f.buf[:32]); err != nil {
		tb.Fatal(err)
	}
	for range 3 {
		if _, err := f.key.ECDH(f.remote); err != nil {
			tb.Fatal(err)
		}
	}
	for _, n := range hashInputs {
		sum := blake2s.Sum256(f.buf[:n])
		f.buf[0] ^= sum[0]
	}
	var nonce [12]byte
	for _, n := range []int{32, 12, 0} {
		aead, err := chacha20poly1305.New(f.buf[:32])
		if err != nil {
			tb.Fatal(err)
		}
		aead.Seal(f.out[:0], nonce[:], f.buf[:n], f.buf[64:96])
	}
}

// cost is what one side of a handshake took, message handling and key installation included. Allocations are
// counted on request, for that takes time itself.
type cost struct {
	time   time.Duration
	allocs uint64
}

func (c *cost) add(o cost) { c.time, c.allocs = c.time+o.time, c.allocs+o.allocs }

// shake does one whole handshake between both devices of s, 200 s after the last.
func (s *bench) shake(tb testing.TB, count bool) (initiator, responder cost) {
	s.now = s.now.Add(200 * time.Second)
	clock := func(d *Device, out *Batch, do func()) cost {
		out.Reset()
		var before, after runtime.MemStats
		if count {
			runtime.ReadMemStats(&before)
		}
		start := time.Now()
		do()
		Finish(s.now, d, out, &s.worker)
		c := cost{time: time.Since(start)}
		if count {
			runtime.ReadMemStats(&after)
			c.allocs = after.Mallocs - before.Mallocs
		}
		return c
	}
	carry := func(from *Batch, source Endpoint) []Datagram {
		in := s.datagrams[:0:0]
		for dg := range from.Outgoing() {
			dg.Endpoint = source
			in = append(in, dg)
		}
		return in
	}
	s.a.tick(s.now, &s.ba)
	s.a.purge(s.a.peer(1), &s.ba)
	initiator = clock(s.a, &s.ba, func() { s.a.keepalive(s.a.peer(1), CausePersistentKeepalive, &s.ba) })
	in := carry(&s.ba, s.toA)
	responder = clock(s.b, &s.bb, func() { s.b.HandleDatagrams(s.now, in, &s.bb) })
	in = carry(&s.bb, s.toB)
	initiator.add(clock(s.a, &s.ba, func() { s.a.HandleDatagrams(s.now, in, &s.ba) }))
	in = carry(&s.ba, s.toA)
	if len(in) != 1 || in[0].Len != 32 {
		tb.Fatalf("no session was confirmed: %d messages", len(in))
	}
	clock(s.b, &s.bb, func() { s.b.HandleDatagrams(s.now, in, &s.bb) })
	return initiator, responder
}

func benchmarkHandshake(b *testing.B, pick func(i, r cost) cost) {
	s, f := newBench(b), newHandshakeFloor(b)
	var total time.Duration
	var ratios []float64
	for range b.N {
		ours := pick(s.shake(b, false)).time
		start := time.Now()
		f.run(b)
		ratios = append(ratios, float64(ours)/float64(time.Since(start)))
		total += ours
	}
	b.StopTimer()
	allocs := make([]float64, 21)
	for i := range allocs {
		allocs[i] = float64(pick(s.shake(b, true)).allocs)
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/op")
	b.ReportMetric(median(ratios), "x-floor")
	b.ReportMetric(median(allocs), "allocs/op")
}

func pickInitiator(i, _ cost) cost { return i }
func pickResponder(_, r cost) cost { return r }

// BenchmarkHandshakeInitiator is the wish for a session up to the confirming keepalive: the initiator's part.
func BenchmarkHandshakeInitiator(b *testing.B) { benchmarkHandshake(b, pickInitiator) }

// BenchmarkHandshakeResponder is the initiation up to the response: the responder's part.
func BenchmarkHandshakeResponder(b *testing.B) { benchmarkHandshake(b, pickResponder) }

// TestHandshakeAllocations holds each side to 30 allocations per handshake, nearly all of them crypto/ecdh's.
func TestHandshakeAllocations(t *testing.T) {
	s := newBench(t)
	for name, pick := range map[string]func(i, r cost) cost{"initiator": pickInitiator, "responder": pickResponder} {
		allocs := make([]float64, 9)
		for i := range allocs {
			allocs[i] = float64(pick(s.shake(t, true)).allocs)
		}
		if n := median(allocs); n == 0 || n > 30 {
			t.Errorf("%s: %v allocations, want 1 to 30", name, n)
		}
	}
}
