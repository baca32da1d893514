package bringup_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"math/rand/v2"
	"slices"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
)

// tiny is the cryptography of a small WireGuard with one switchable mistake. It shares no code with what diagnoses it:
// it is written as a port would write it, from paper §5.4. What is around it is in tiny_subject_test.go.
type tiny struct {
	flaw, second    string // second only of what is asked for with is
	random          *rand.ChaCha8
	private, public []byte
}

func (t *tiny) is(flaws ...string) bool {
	return slices.Contains(flaws, t.flaw) || slices.Contains(flaws, t.second)
}

func (t *tiny) draw(n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(t.random, b) // ChaCha8 never fails
	return b
}

func (t *tiny) newHash() hash.Hash {
	if t.is("hash-sha256") {
		return sha256.New()
	}
	if t.is("hash-blake2b") {
		h, _ := blake2b.New256(nil)
		return h
	}
	h, _ := blake2s.New256(nil)
	return h
}

func (t *tiny) hash(parts ...[]byte) []byte {
	h := t.newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

type wide struct{ hash.Hash }

func (wide) BlockSize() int { return 128 }

func (t *tiny) hmac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(t.newHash, key)
	if t.is("kdf-keyed") {
		h, _ = blake2s.New256(key)
	}
	if t.is("hmac-block-128") {
		h = hmac.New(func() hash.Hash { return wide{t.newHash()} }, key)
	}
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (t *tiny) kdf(key, input []byte) (a, b, c []byte) {
	one, two, three := byte(1), byte(2), byte(3)
	if t.is("kdf-from-zero") {
		one, two, three = 0, 1, 2
	}
	root := t.hmac(key, input)
	if t.is("kdf-arguments") {
		root = t.hmac(input, key)
	}
	if t.is("kdf-extract-keyed") {
		h, _ := blake2s.New256(key)
		h.Write(input)
		root = h.Sum(nil)
	}
	a = t.hmac(root, []byte{one})
	b = t.hmac(root, a, []byte{two})
	if t.is("kdf-unchained") {
		b = t.hmac(root, []byte{two})
	}
	c = t.hmac(root, b, []byte{three})
	return a, b, c
}

func (t *tiny) dh(private, public []byte) ([]byte, bool) {
	b, err := curve25519.X25519(private, public)
	if err != nil {
		return make([]byte, 32), t.is("low-order")
	}
	if t.is("dh-reversed") {
		slices.Reverse(b)
	}
	return b, true
}

// tinyState is a handshake in the making.
type tinyState struct {
	t       *tiny
	c, h, k []byte
	n       uint64
}

func (t *tiny) begin(initiator, responder []byte) *tinyState {
	construction, identifier := "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", "WireGuard v1 zx2c4 Jason@zx2c4.com"
	switch t.flaw {
	case "construction-nul":
		construction += "\x00"
	case "construction-ik":
		construction = "Noise_IK_25519_ChaChaPoly_BLAKE2s"
	case "construction-odd":
		construction = "Noise_XX_25519_ChaChaPoly_BLAKE2s"
	case "identifier-nul":
		identifier += "\x00"
	}
	s := &tinyState{t: t, c: t.hash([]byte(construction))}
	s.h = s.c
	if !t.is("identifier-missing") {
		s.h = t.hash(s.c, []byte(identifier))
	}
	if t.is("start-own-static") {
		responder = initiator
	}
	s.mixHash(responder)
	return s
}

func (s *tinyState) mixHash(b []byte) { s.h = s.t.hash(s.h, b) }

func (s *tinyState) ephemeral(public []byte) {
	if !s.t.is("e-no-kdf") {
		s.c, _, _ = s.t.kdf(s.c, public)
	}
	if !s.t.is("e-no-hash") {
		s.mixHash(public)
	}
}

func (s *tinyState) mixKey(dh []byte) {
	s.c, s.k, _ = s.t.kdf(s.c, dh)
	if s.t.is("kdf-order") {
		s.c, s.k = s.k, s.c
	}
	if !s.t.is("aead-counts-on") {
		s.n = 0
	}
}

func (s *tinyState) psk(psk []byte) {
	if s.t.is("psk-zeros") {
		psk = make([]byte, 32)
	}
	a, b, c := s.t.kdf(s.c, psk)
	s.c, s.k = a, c
	switch s.t.flaw {
	case "psk-two":
		s.k = b
	case "psk-odd":
		s.mixHash(a)
	case "psk-no-tau":
	case "psk-order":
		s.k = b
		s.mixHash(c)
	default:
		s.mixHash(b)
	}
}

func (s *tinyState) nonce() []byte {
	n := make([]byte, 12)
	binary.LittleEndian.PutUint64(n[4:], s.n)
	s.n++
	return n
}

func (s *tinyState) ad() []byte {
	if s.t.is("aead-no-ad") {
		return nil
	}
	return s.h
}

// seal and open are AEAD with the hash, which takes the ciphertext in.
func (s *tinyState) seal(plain []byte, skip, inTheClear string) []byte {
	a, _ := chacha20poly1305.New(s.k)
	b := a.Seal(nil, s.nonce(), plain, s.ad())
	s.absorb(b, plain, skip, inTheClear)
	return b
}

func (s *tinyState) open(b []byte, skip, inTheClear string) ([]byte, bool) {
	a, _ := chacha20poly1305.New(s.k)
	plain, err := a.Open(nil, s.nonce(), b, s.ad())
	s.absorb(b, plain, skip, inTheClear)
	return plain, err == nil
}

func (s *tinyState) absorb(b, plain []byte, skip, inTheClear string) {
	switch s.t.flaw {
	case skip:
	case inTheClear:
		s.mixHash(plain)
	default:
		s.mixHash(b)
	}
}

// respond does the second half of the key schedule for both ends; products in the order ee, se.
func (s *tinyState) respond(er, ee, se, psk []byte) {
	s.ephemeral(er)
	if s.t.is("psk-one") {
		s.psk(psk)
	}
	if s.t.is("ee-se-swapped") {
		ee, se = se, ee
	}
	s.mixKey(ee)
	if !s.t.is("se-missing") {
		s.mixKey(se)
	}
	if !s.t.is("psk-one", "psk-missing") {
		s.psk(psk)
	}
}

func (s *tinyState) keys(initiator bool) (send, recv []byte) {
	chain := s.c
	if s.t.is("keys-from-hash") {
		chain = s.h
	}
	a, b, _ := s.t.kdf(chain, nil)
	if s.t.is("kdf-order") {
		a, b = b, a
	}
	if s.t.is("keys-single") {
		b = a
	}
	if initiator != s.t.is("keys-swapped") {
		return a, b
	}
	return b, a
}

func (t *tiny) index(b []byte, i uint32) []byte {
	if t.is("index-big-endian") {
		return binary.BigEndian.AppendUint32(b, i)
	}
	return binary.LittleEndian.AppendUint32(b, i)
}

func (t *tiny) readIndex(b []byte) uint32 {
	if t.is("index-big-endian") {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// macKey is that of mac1 for the owner of a key.
func (t *tiny) macKey(receiver, sender []byte) []byte {
	label := "mac1----"
	if t.is("mac1-label") {
		label = "mac1"
	}
	if t.is("mac1-static") {
		receiver = sender
	}
	return t.hash([]byte(label), receiver)
}

func (t *tiny) mac(key, data []byte) []byte {
	if t.is("mac1-hmac") {
		return t.hmac(key, data)[:16]
	}
	h, _ := blake2s.New128(key)
	if t.is("mac1-cut") {
		h, _ = blake2s.New256(key)
	}
	if t.is("hash-blake2b") {
		h, _ = blake2b.New(16, key)
	}
	h.Write(data)
	return h.Sum(nil)[:16]
}

// mac1 of a message that ends where mac1 begins.
func (t *tiny) mac1(b, receiver, sender []byte) []byte {
	data := bytes.Clone(b)
	switch t.flaw {
	case "mac1-too-much":
		data = append(data, make([]byte, 32)...)
	case "mac1-too-little":
		data = data[4:]
	case "mac1-zero":
		return make([]byte, 16)
	}
	return t.mac(t.macKey(receiver, sender), data)
}

// finish adds the macs.
func (t *tiny) finish(b, receiver, cookie []byte) []byte {
	mac1 := t.mac1(b, receiver, t.public)
	end := append(b, mac1...)
	mac2 := make([]byte, 16)
	switch {
	case t.is("mac2-missing"):
		return end
	case cookie != nil && t.is("mac2-without-mac1"):
		mac2 = t.mac(cookie, b)
	case cookie != nil:
		mac2 = t.mac(cookie, end)
	case t.is("mac2-zero-cookie"):
		mac2 = t.mac(mac2, end)
	}
	return append(end, mac2...)
}

// seal and open are transport messages.
func (t *tiny) sealData(key []byte, receiver uint32, counter uint64, plain []byte) []byte {
	b := t.index([]byte{4, 0, 0, 0}, receiver)
	if t.is("counter-big-endian") {
		b = binary.BigEndian.AppendUint64(b, counter)
	} else {
		b = binary.LittleEndian.AppendUint64(b, counter)
	}
	a, _ := chacha20poly1305.New(key)
	var ad []byte
	if t.is("transport-ad-header") {
		ad = bytes.Clone(b)
	}
	return a.Seal(b, t.dataNonce(counter), plain, ad)
}

func (t *tiny) openData(key, b []byte) (counter uint64, plain []byte, ok bool) {
	counter = binary.LittleEndian.Uint64(b[8:])
	if t.is("counter-big-endian") {
		counter = binary.BigEndian.Uint64(b[8:])
	}
	a, _ := chacha20poly1305.New(key)
	var ad []byte
	if t.is("transport-ad-header") {
		ad = b[:16]
	}
	plain, err := a.Open(nil, t.dataNonce(counter), b[16:], ad)
	return counter, plain, err == nil
}

func (t *tiny) dataNonce(counter uint64) []byte {
	n := make([]byte, 12)
	switch t.flaw {
	case "nonce-first":
		binary.LittleEndian.PutUint64(n, counter)
	case "nonce-big-endian":
		binary.BigEndian.PutUint64(n[4:], counter)
	default:
		binary.LittleEndian.PutUint64(n[4:], counter)
	}
	return n
}
