package bringup

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Construction is the name of the handshake (CRYPTO-01).
const Construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"

// Hex is bytes that are written in lower-case hexadecimal.
type Hex []byte

// MarshalText writes the digits.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads them.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// Step is one rung of the key schedule: what went in and all values after it (rules.md §1.3). What a step does not
// change is not repeated.
type Step struct {
	Name    string `json:"step"`
	Formula string `json:"formula"`
	DH      Hex    `json:"dh,omitempty"`    // the product of keys that was mixed in
	C       Hex    `json:"C,omitempty"`     // the chaining value
	Tau     Hex    `json:"tau,omitempty"`   // what the preshared key adds to the hash
	K       Hex    `json:"k,omitempty"`     // the key of the field that follows
	Nonce   Hex    `json:"nonce,omitempty"` // of the field
	AD      Hex    `json:"ad,omitempty"`    // what the field is bound to: the hash before it
	Plain   Hex    `json:"plain,omitempty"` // what is in the field, if it opens
	Field   Hex    `json:"field,omitempty"` // the bytes of the message
	H       Hex    `json:"h,omitempty"`     // the hash after it
	T1      Hex    `json:"T1,omitempty"`    // the initiator sends with it
	T2      Hex    `json:"T2,omitempty"`    // the responder sends with it
}

// values lists what a step has, in the order in which it is computed.
func (s *Step) values() []Value {
	all := []Value{{"dh", s.DH}, {"C", s.C}, {"tau", s.Tau}, {"k", s.K}, {"nonce", s.Nonce}, {"ad", s.AD},
		{"plain", s.Plain}, {"field", s.Field}, {"h", s.H}, {"T1", s.T1}, {"T2", s.T2}}
	return slices.DeleteFunc(all, func(v Value) bool { return v.Bytes == nil })
}

// Value is a named intermediate value.
type Value struct {
	Name  string `json:"name"`
	Bytes Hex    `json:"bytes"`
}

// mistakes are codes of Causes. None: everything is right.
type mistakes []string

func (m mistakes) has(code string) bool { return slices.Contains(m, code) }

// exchange is all that goes into the key schedule of one handshake. A field that is nil is made by the ladder, and one
// that is there is opened.
type exchange struct {
	si, sr, ei, er peer.Key // public keys: static and ephemeral, of initiator and responder
	es, ss, ee, se peer.Key // products
	psk            peer.Key
	stamp          []byte // the plaintext of the timestamp field, if it is made
	static, when   []byte // fields of the initiation
	empty          []byte // field of the response
}

// ladder computes the key schedule, with mistakes if there are any.
type ladder struct {
	mistakes
	c, h, k []byte
	used    uint64 // how often k was used
	steps   []Step

	// Whether the fields opened and what was in them.
	opened struct{ static, when, empty bool }
	plain  struct{ static, when []byte }
}

func (l *ladder) newHash() hash.Hash {
	var h hash.Hash
	switch {
	case l.has("hash-sha256"):
		return sha256.New()
	case l.has("hash-blake2b"):
		h, _ = blake2b.New256(nil) // errors are about keys that are too long
	case l.has("hash-blake2b-cut"):
		h, _ = blake2b.New512(nil)
		return cut{h}
	default:
		h, _ = blake2s.New256(nil)
	}
	return h
}

// cut is the first 32 bytes of a longer hash.
type cut struct{ hash.Hash }

func (c cut) Sum(b []byte) []byte { return append(b, c.Hash.Sum(nil)[:32]...) }
func (c cut) Size() int           { return 32 }

// block is a hash that says that its blocks are of another size, as HMAC asks.
type block struct {
	hash.Hash
	size int
}

func (b block) BlockSize() int { return b.size }

func (l *ladder) hash(parts ...[]byte) []byte {
	h := l.newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// mac is HM of the rules: HMAC over the hash.
func (l *ladder) mac(key []byte, parts ...[]byte) []byte {
	var h hash.Hash
	switch {
	case l.has("kdf-keyed"):
		return keyed(key, parts...)
	case l.has("hmac-block-32"):
		h = hmac.New(func() hash.Hash { return block{l.newHash(), 32} }, key)
	case l.has("hmac-block-128"):
		h = hmac.New(func() hash.Hash { return block{l.newHash(), 128} }, key)
	default:
		h = hmac.New(l.newHash, key)
	}
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// keyed is BLAKE2s with a key parameter, which has 32 bytes here, or none.
func keyed(key []byte, parts ...[]byte) []byte {
	h, _ := blake2s.New256(key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// kdf is D(n) of the rules with the chaining value.
func (l *ladder) kdf(n int, input []byte) (out [][]byte) {
	root := l.mac(l.c, input)
	switch {
	case l.has("kdf-arguments"):
		root = l.mac(input, l.c)
	case l.has("kdf-extract-keyed"):
		root = keyed(l.c, input)
	}
	first := byte(1)
	if l.has("kdf-from-zero") {
		first = 0
	}
	var last []byte
	for i := range n {
		chained := last
		if l.has("kdf-unchained") {
			chained = nil
		}
		number := []byte{first + byte(i)}
		last = l.mac(root, chained, number)
		if l.has("kdf-expand-keyed") {
			last = keyed(root, chained, number)
		}
		out = append(out, last)
	}
	if n == 2 && l.has("kdf-order") {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

func (l *ladder) mixHash(b []byte) { l.h = l.hash(l.h, b) }

// mixKey gives the product as it was mixed.
func (l *ladder) mixKey(dh []byte) []byte {
	if l.has("dh-reversed") {
		dh = bytes.Clone(dh)
		slices.Reverse(dh)
	}
	out := l.kdf(2, dh)
	l.c, l.k = out[0], out[1]
	if !l.has("aead-counts-on") {
		l.used = 0
	}
	return dh
}

func (l *ladder) step(s Step) { l.steps = append(l.steps, s) }

// field makes or opens an encrypted field of a message and mixes it into the hash, if no mistake keeps it out.
func (l *ladder) field(name, formula string, plain, wire []byte) (field, got []byte, ok bool) {
	ad, counter := l.h, l.used
	if l.has("aead-no-ad") {
		ad = nil
	}
	if l.has("aead-from-one") {
		counter = 1
	}
	l.used++
	aead := aeadOf(l.k)
	nonce := handshakeNonce(counter)
	if wire == nil {
		wire, got, ok = aead.Seal(nil, nonce, plain, ad), plain, true
	} else {
		opened, err := aead.Open([]byte{}, nonce, wire, ad)
		got, ok = opened, err == nil
	}
	switch {
	case l.has(name + "-no-hash"):
	case l.has(name + "-hash-plain"):
		l.mixHash(got)
	default:
		l.mixHash(wire)
	}
	l.step(Step{Name: name, Formula: formula, Nonce: nonce, AD: ad, Plain: got, Field: wire, H: l.h})
	return wire, got, ok
}

func aeadOf(key []byte) cipher.AEAD {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err) // every key here has 32 bytes
	}
	return a
}

func (l *ladder) start(x *exchange) {
	construction, identifier := Construction, peer.Prologue
	switch {
	case l.has("construction-nul"):
		construction += "\x00"
	case l.has("construction-ik"):
		construction = "Noise_IK_25519_ChaChaPoly_BLAKE2s"
	case l.has("construction-psk1"):
		construction = "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2s"
	case l.has("construction-blake2b"):
		construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
	case l.has("construction-sha256"):
		construction = "Noise_IKpsk2_25519_ChaChaPoly_SHA256"
	case l.has("construction-long-cipher"):
		construction = "Noise_IKpsk2_25519_ChaCha20Poly1305_BLAKE2s"
	}
	switch {
	case l.has("identifier-nul"):
		identifier += "\x00"
	case l.has("identifier-v0"):
		identifier = "WireGuard v0 zx2c4 Jason@zx2c4.com"
	case l.has("identifier-no-mail"):
		identifier = "WireGuard v1"
	}
	l.c = l.hash([]byte(construction))
	if l.has("construction-unhashed") {
		l.c = []byte(construction)[:32]
	}
	l.h = l.c
	switch {
	case l.has("identifier-missing"):
	case l.has("identifier-alone"):
		l.h = l.hash([]byte(identifier))
	default:
		l.mixHash([]byte(identifier))
	}
	l.step(Step{Name: "start", C: l.c, H: l.h,
		Formula: `C = H("` + Construction + `"); h = H(C ‖ "` + peer.Prologue + `")`})
	switch {
	case l.has("start-no-static"):
	case l.has("start-own-static"):
		l.mixHash(x.si[:])
	default:
		l.mixHash(x.sr[:])
	}
	l.step(Step{Name: "responder", Formula: "h = H(h ‖ Sr)", H: l.h})
}

// ephemeral mixes an ephemeral public key in.
func (l *ladder) ephemeral(name, symbol string, key peer.Key) {
	if !l.has("e-no-kdf") {
		l.c = l.kdf(1, key[:])[0]
	}
	if !l.has("e-no-hash") {
		l.mixHash(key[:])
	}
	l.step(Step{Name: name, Formula: "C = KDF1(C, " + symbol + "); h = H(h ‖ " + symbol + ")", C: l.c, H: l.h})
}

func (l *ladder) psk(name string, x *exchange) {
	psk := x.psk
	if l.has("psk-zeros") {
		psk = peer.Key{}
	}
	out := l.kdf(3, psk[:])
	tau := out[1]
	l.c, l.k = out[0], out[2]
	switch {
	case l.has("psk-two"): // C and k of a KDF2, and no tau
		l.k, tau = out[1], nil
	case l.has("psk-order"):
		l.k, tau = out[1], out[2]
		l.mixHash(tau)
	case l.has("psk-no-tau"):
	case l.has("psk-itself"):
		l.mixHash(psk[:])
	default:
		l.mixHash(tau)
	}
	if !l.has("aead-counts-on") {
		l.used = 0
	}
	l.step(Step{Name: name, Formula: "(C, tau, k) = KDF3(C, psk); h = H(h ‖ tau)", C: l.c, Tau: tau, K: l.k, H: l.h})
}

// initiation computes what the first message needs (paper §5.4.2).
func (l *ladder) initiation(x *exchange) {
	l.start(x)
	if l.has("psk-first") {
		l.psk("psk", x)
	}
	l.ephemeral("e", "Ei", x.ei)
	first, second := x.es, x.ss
	switch {
	case l.has("es-ss-swapped"):
		first, second = x.ss, x.es
	case l.has("es-is-ss"):
		first = x.ss
	}
	dh := l.mixKey(first[:])
	l.step(Step{Name: "es", Formula: "(C, k) = KDF2(C, DH(ei, Sr))", DH: dh, C: l.c, K: l.k})
	x.static, l.plain.static, l.opened.static = l.field("static", "field = AEAD(k, 0, Si, h); h = H(h ‖ field)",
		x.si[:], x.static)
	dh = nil
	if !l.has("ss-missing") {
		dh = l.mixKey(second[:])
	}
	l.step(Step{Name: "ss", Formula: "(C, k) = KDF2(C, DH(si, Sr))", DH: dh, C: l.c, K: l.k})
	x.when, l.plain.when, l.opened.when = l.field("timestamp", "field = AEAD(k, 0, TAI64N, h); h = H(h ‖ field)",
		x.stamp, x.when)
}

// response goes on with what the second message needs (paper §5.4.3).
func (l *ladder) response(x *exchange) {
	l.ephemeral("e2", "Er", x.er)
	if l.has("psk-one") {
		l.psk("psk", x)
	}
	first, second := x.ee, x.se
	switch {
	case l.has("ee-se-swapped"):
		first, second = x.se, x.ee
	case l.has("ee-is-es"):
		first = x.es
	case l.has("se-is-ss"):
		second = x.ss
	case l.has("se-is-es"):
		second = x.es
	}
	for i, product := range []peer.Key{first, second} {
		name, dh := []string{"ee", "se"}[i], []byte(nil)
		if !l.has(name + "-missing") {
			dh = l.mixKey(product[:])
		}
		l.step(Step{Name: name, Formula: "C = KDF1(C, DH(er, " + []string{"Ei", "Si"}[i] + "))", DH: dh, C: l.c})
	}
	if !l.has("psk-one") && !l.has("psk-first") && !l.has("psk-missing") {
		l.psk("psk", x)
	}
	x.empty, _, l.opened.empty = l.field("empty", `field = AEAD(k, 0, "", h); h = H(h ‖ field)`,
		nil, x.empty)
	if l.has("keys-from-hash") {
		l.c = l.h
	}
	out := l.kdf(2, nil)
	l.step(Step{Name: "transport", Formula: `(T1, T2) = KDF2(C, "")`, T1: out[0], T2: out[1]})
}

// parting gives the first value at which two ladders differ: the name of the step, its formula and both values.
func parting(right, wrong []Step) *Parting {
	for i := range min(len(right), len(wrong)) {
		r, w := right[i].values(), wrong[i].values()
		for _, v := range r {
			k := slices.IndexFunc(w, func(o Value) bool { return o.Name == v.Name })
			if k < 0 {
				return &Parting{right[i].Name, right[i].Formula, v.Name, v.Bytes, nil}
			}
			if !bytes.Equal(v.Bytes, w[k].Bytes) {
				return &Parting{right[i].Name, right[i].Formula, v.Name, v.Bytes, w[k].Bytes}
			}
		}
	}
	return nil
}

func handshakeNonce(counter uint64) []byte { return transportNonce(nil, counter) }
