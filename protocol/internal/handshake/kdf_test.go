package handshake

import (
	"crypto/hkdf"
	"testing"

	"pgregory.net/rapid"
)

// kdf is HKDF with empty info, as the standard library computes it over the hash of x/crypto, for each n and every
// input length that a handshake has or could have.
func TestCrypto04KDF(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chain := draw32(t, "chain")
		input := rapid.SliceOfN(rapid.Byte(), 0, 33).Draw(t, "input")
		n := rapid.IntRange(1, 3).Draw(t, "n")
		want, err := hkdf.Key(newBLAKE2s, input, chain[:], "", 32*n)
		if err != nil {
			t.Fatal(err)
		}
		var out [3][32]byte
		kdf(&chain, input, []*[32]byte{&out[0], &out[1], &out[2]}[:n]...)
		for i := range out[:n] {
			wantBytes(t, "output", out[i][:], want[32*i:32*i+32])
		}
		for i := n; i < 3; i++ {
			wantBytes(t, "output that was not asked for", out[i][:], make([]byte, 32))
		}
		// In place, as the chaining value is always used.
		kdf(&chain, input, []*[32]byte{&chain, &out[1], &out[2]}[:n]...)
		wantBytes(t, "chain in place", chain[:], want[:32])
		if n > 1 {
			wantBytes(t, "second output after the chain in place", out[1][:], want[32:64])
		}
	})
}

func TestHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := draw32(t, "key")
		input := rapid.SliceOfN(rapid.Byte(), 0, 33).Draw(t, "input")
		var out [32]byte
		hmacSum(&out, &key, input)
		wantBytes(t, "HMAC", out[:], refHMAC(key[:], input))
	})
}

func TestMixHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Hash: draw32(t, "hash")}
		data := rapid.SliceOfN(rapid.Byte(), 0, 48).Draw(t, "data")
		want := refHash(s.Hash[:], data)
		s.mixHash(data)
		wantBytes(t, "h", s.Hash[:], want)
	})
}

// The helpers live on the stack; what a handshake allocates is crypto/ecdh's and the AEAD's.
func TestHelpersDoNotAllocate(t *testing.T) {
	s := start(&[32]byte{1})
	public, input, key := [32]byte{2}, [32]byte{3}, [32]byte{}
	for name, f := range map[string]func(){
		"MAC1Key":      func() { key = MAC1Key(&public) },
		"CookieKey":    func() { key = CookieKey(&public) },
		"start":        func() { s = start(&public) },
		"mixEphemeral": func() { s.mixEphemeral(&public) },
		"mixHash":      func() { s.mixHash(input[:]) },
		"kdf1":         func() { kdf(&s.Chain, input[:], &s.Chain) },
		"kdf2":         func() { kdf(&s.Chain, input[:], &s.Chain, &key) },
		"kdf3":         func() { kdf(&s.Chain, input[:], &s.Chain, &input, &key) },
		"mixResponse":  func() { key = s.mixResponse(&public, &input, &input, &input) },
		"split":        func() { k := s.split(); key = k.Initiator },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}
