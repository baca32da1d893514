package handshake

import (
	"crypto/cipher"
	"crypto/subtle"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// The strings of §5.4 (CRYPTO-01, CRYPTO-02, CRYPTO-03), hashed without a terminator.
const (
	construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
	identifier   = "WireGuard v1 zx2c4 Jason@zx2c4.com"
	labelMAC1    = "mac1----"
	labelCookie  = "cookie--"
)

// Every handshake starts from the same C and the same h, before the responder's static key is mixed in (§5.4.2).
var (
	initialChain = blake2s.Sum256([]byte(construction))
	initialHash  = blake2s.Sum256(append(initialChain[:], identifier...))
)

var (
	zeros [32]byte
	// zeroNonce serves all three fields: each has a key of its own, so the counter is always 0 (CRYPTO-07).
	zeroNonce [chacha20poly1305.NonceSize]byte
)

// AEAD is ChaCha20-Poly1305 under key, of the handshake (§5.4) and of transport messages (§5.4.6).
func AEAD(key *[32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // a process held to FIPS 140 algorithms, which cannot run WireGuard
	}
	return aead
}

// MAC1Key is the key of mac1 in messages *to* the owner of public (§5.4.4).
func MAC1Key(public *[32]byte) [32]byte { return labelled(labelMAC1, public) }

// CookieKey is the key under which the owner of public encrypts its cookie replies (§5.4.7).
func CookieKey(public *[32]byte) [32]byte { return labelled(labelCookie, public) }

func labelled(label string, public *[32]byte) [32]byte {
	var buf [8 + 32]byte
	copy(buf[copy(buf[:], label):], public[:])
	return blake2s.Sum256(buf[:])
}

// State is the symmetric state between two messages: the chaining value C and the hash h of §5.4.
type State struct {
	Chain, Hash [32]byte
}

// Wipe overwrites both values.
func (s *State) Wipe() { *s = State{} }

// start is the state before the first message: h also binds the static key of the responder.
func start(responder *[32]byte) State {
	s := State{initialChain, initialHash}
	s.mixHash(responder[:])
	return s
}

// mixHash is h := Hash(h ‖ data). The longest data is the encrypted static key.
func (s *State) mixHash(data []byte) {
	var buf [32 + 32 + chacha20poly1305.Overhead]byte
	n := copy(buf[:], s.Hash[:])
	n += copy(buf[n:], data)
	s.Hash = blake2s.Sum256(buf[:n])
}

// mixEphemeral absorbs an ephemeral key, byte for byte as it is on the wire (CRYPTO-10), into both C and h.
func (s *State) mixEphemeral(public *[32]byte) {
	kdf(&s.Chain, public[:], &s.Chain)
	s.mixHash(public[:])
}

// seal writes Aead(key, 0, plaintext, h) to field and mixes it into h. It fails only where the process forbids the
// cipher.
func (s *State) seal(field []byte, key *[32]byte, plaintext []byte) {
	AEAD(key).Seal(field[:0], zeroNonce[:], plaintext, s.Hash[:])
	s.mixHash(field)
}

// open is the inverse of seal. It appends the plaintext to dst, whose capacity must suffice.
func (s *State) open(dst []byte, key *[32]byte, field []byte) error {
	if _, err := AEAD(key).Open(dst, zeroNonce[:], field, s.Hash[:]); err != nil {
		return ErrDecrypt
	}
	s.mixHash(field)
	return nil
}

// split derives the transport keys from C (§5.4.5).
func (s *State) split() (keys Keys) {
	kdf(&s.Chain, nil, &keys.Initiator, &keys.Responder)
	return keys
}

// kdf is Kdfₙ of §5.4 for n = len(out): t₀ = Hmac(chain, input), t₁ = Hmac(t₀, 1), tᵢ = Hmac(t₀, tᵢ₋₁ ‖ i). The first
// output may be chain itself. It is HKDF, on HMAC and never on keyed BLAKE2s (CRYPTO-04).
func kdf(chain *[32]byte, input []byte, out ...*[32]byte) {
	var secret [32]byte
	var block [33]byte
	hmacSum(&secret, chain, input)
	for i, t := range out {
		block[32] = byte(i + 1)
		if i == 0 {
			hmacSum(t, &secret, block[32:])
		} else {
			copy(block[:], out[i-1][:])
			hmacSum(t, &secret, block[:])
		}
	}
	clear(secret[:])
	clear(block[:])
}

// hmacSum is HMAC-BLAKE2s-256 (RFC 2104) of at most 33 bytes, on the stack: crypto/hmac would allocate two digests a
// call.
func hmacSum(out, key *[32]byte, input []byte) {
	var inner [blake2s.BlockSize + 33]byte
	var outer [blake2s.BlockSize + 32]byte
	for i := range blake2s.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	subtle.XORBytes(inner[:], inner[:32], key[:])
	subtle.XORBytes(outer[:], outer[:32], key[:])
	n := copy(inner[blake2s.BlockSize:], input)
	digest := blake2s.Sum256(inner[:blake2s.BlockSize+n])
	copy(outer[blake2s.BlockSize:], digest[:])
	*out = blake2s.Sum256(outer[:])
	clear(inner[:])
	clear(outer[:])
	clear(digest[:])
}
