package handshake

import (
	"crypto/ecdh"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// floor is what a side of a handshake cannot do without: one base multiplication, three X25519 with keys that are
// parsed already, and the hash and AEAD calls of rules.md §1.3 on ready-made buffers, with nothing around them.
type floor struct {
	key    *ecdh.PrivateKey
	remote *ecdh.PublicKey
	buf    [128]byte
	out    [64]byte
}

// hashes are the input lengths of the BLAKE2s calls of one side: per HMAC an inner one over a block and its input
// and an outer one over a block and a digest.
var hashes = func() (lengths []int) {
	hmacs := func(inputs ...int) {
		for _, n := range inputs {
			lengths = append(lengths, 64+n, 64+32)
		}
	}
	lengths = append(lengths, 64) // Sr
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
	hmacs(0, 1, 33) // transport
	return lengths
}()

func (f *floor) run(b *testing.B, seal ...bool) {
	if _, err := ecdh.X25519().NewPrivateKey(f.buf[:32]); err != nil {
		b.Fatal(err)
	}
	for range 3 {
		if _, err := f.key.ECDH(f.remote); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range hashes {
		sum := blake2s.Sum256(f.buf[:n])
		f.buf[0] ^= sum[0]
	}
	for i, n := range []int{32, 12, 0} {
		aead, err := chacha20poly1305.New(f.buf[:32])
		if err != nil {
			b.Fatal(err)
		}
		if seal[i] {
			aead.Seal(f.out[:0], zeroNonce[:], f.buf[:n], f.buf[64:96])
		} else if _, err = aead.Open(f.out[:0], zeroNonce[:], f.buf[:n+16], f.buf[64:96]); err == nil {
			b.Fatal("zeros are no ciphertext")
		}
	}
}

// benchmark times side and floor alternately, so that both see the same machine, and reports the median ratio.
func benchmark(b *testing.B, side func(), seal ...bool) {
	f := &floor{key: newIdentity(b, [32]byte{1}).key, remote: newIdentity(b, [32]byte{2}).key.PublicKey()}
	var ratios []float64
	b.ReportAllocs()
	for range b.N {
		t0 := time.Now()
		side()
		ours := time.Since(t0)
		b.StopTimer()
		t0 = time.Now()
		f.run(b, seal...)
		ratios = append(ratios, float64(ours)/float64(time.Since(t0)))
		b.StartTimer()
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-floor")
}

// sides are the steady work of both roles: the ephemeral is new each time, the static-static secret is cached.
func sides(t tb) (initiator, responder func()) {
	sc := newScene(t, 12)
	ss, err := precompute(sc.i, &sc.r.public)
	if err != nil {
		t.Fatal(err)
	}
	genuine, _ := sc.initiate(t)
	answer, want := sc.respond(t, &genuine)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	initiator = func() {
		var msg [148]byte
		e, err := NewEphemeral(&sc.ei.seed)
		must(err)
		s, err := CreateInitiation(&msg, sc.sender, e, &sc.i.public, &sc.r.public, sc.i, &ss, &sc.stamp)
		must(err)
		keys, err := ConsumeResponse(&answer, s, e, sc.i, &sc.psk)
		must(err)
		if msg != genuine || keys != want {
			t.Fatal("another handshake")
		}
	}
	responder = func() {
		var msg [92]byte
		remote, s, err := ConsumeInitiationStatic(&genuine, &sc.r.public, sc.r)
		must(err)
		_, err = ConsumeInitiationTimestamp(&genuine, &s, &remote, sc.r, &ss)
		must(err)
		e, err := NewEphemeral(&sc.er.seed)
		must(err)
		keys, err := CreateResponse(&msg, &s, sc.receiver, sc.sender, e, (*[32]byte)(genuine[8:]), &remote, &sc.psk)
		must(err)
		if msg != answer || keys != want {
			t.Fatal("another handshake")
		}
	}
	return initiator, responder
}

func BenchmarkInitiator(b *testing.B) {
	initiator, _ := sides(b)
	benchmark(b, initiator, true, true, false)
}

func BenchmarkResponder(b *testing.B) {
	_, responder := sides(b)
	benchmark(b, responder, false, false, true)
}

// The budget of issue 2: at most 30 allocations a side. crypto/ecdh takes four for a key pair and three for each
// result.
func TestHandshakeAllocations(t *testing.T) {
	initiator, responder := sides(t)
	i, r := testing.AllocsPerRun(50, initiator), testing.AllocsPerRun(50, responder)
	t.Logf("initiator %v, responder %v allocations", i, r)
	if i > 30 || r > 30 {
		t.Errorf("initiator %v, responder %v allocations; the budget is 30", i, r)
	}
}
