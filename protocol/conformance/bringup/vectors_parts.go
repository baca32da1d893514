package bringup

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Sealed is a transport message alone.
type Sealed struct {
	Common
	Key      Hex    `json:"key"`
	Receiver uint32 `json:"receiver"`
	Counter  string `json:"counter"` // decimal
	Plain    Hex    `json:"plain"`
	Message  Hex    `json:"message"`
}

var counters = []uint64{0, 1, 255, 256, 1 << 32, 1<<60 + 1, 1<<64 - 1<<13 - 2}

func (m *vectorMaker) transports() Group {
	g := Group{Type: "transport",
		Notes: "04 000000 ‖ receiver, 4 bytes little-endian ‖ counter, 8 bytes little-endian ‖ " +
			"ChaCha20-Poly1305(key, 4 zero bytes ‖ counter, plain, no additional data)."}
	add := func(c Common, wrong mistakes, counter uint64, plain Hex, edit func([]byte)) {
		t := tunnel{key: m.key(), receiver: 0x04030201}
		b := t.seal(wrong, counter, plain)
		if edit != nil {
			edit(b)
		}
		if wrong == nil && edit == nil {
			m.check(bytes.Equal(b, peer.SealTransport(t.key, t.receiver, counter, plain)), c.Comment)
		}
		g.Tests = append(g.Tests, &Sealed{c, bytes.Clone(t.key[:]), t.receiver, strconv.FormatUint(counter, 10), plain,
			b})
	}
	for _, n := range counters {
		add(valid(fmt.Sprintf("counter %d", n), "CRYPTO-06", "MSG-10"), nil, n, m.bytes(32), nil)
	}
	add(valid("a keepalive", "PAD-05"), nil, 7, Hex{}, nil)
	add(valid("not padded", "MSG-09"), nil, 8, m.bytes(21), nil)
	add(invalid("a bit of the tag is flipped", "CRYPTO-08"), nil, 9, m.bytes(16), func(b []byte) { b[len(b)-1] ^= 1 })
	add(invalid("a bit of the counter is flipped", "CRYPTO-06"), nil, 10, m.bytes(16), func(b []byte) { b[8] ^= 1 })
	for _, code := range []string{"nonce-first", "nonce-big-endian", "transport-ad-header"} {
		c := causeOf(code)
		add(invalid("mistake "+c.Code+": "+c.Text, c.Rules...), mistakes{code}, 11, m.bytes(16), nil)
	}
	return g
}

// KDF is one, with all three outputs: fewer are their beginning.
type KDF struct {
	Common
	Key   Hex `json:"key"` // the chaining value
	Input Hex `json:"input"`
	T0    Hex `json:"t0"` // what is in between: HMAC(key, input)
	T1    Hex `json:"t1"`
	T2    Hex `json:"t2"`
	T3    Hex `json:"t3"`
}

func (m *vectorMaker) kdfs() Group {
	g := Group{Type: "kdf",
		Notes: "t0 = HMAC(key, input); t1 = HMAC(t0, 01); t2 = HMAC(t0, t1 ‖ 02); t3 = HMAC(t0, t2 ‖ 03). " +
			"KDF1 gives t1, KDF2 (t1, t2), KDF3 (t1, t2, t3). HMAC is over BLAKE2s-256 with its block of 64 bytes."}
	add := func(comment string, key, input Hex) {
		l := &ladder{c: key}
		out := l.kdf(3, input)
		g.Tests = append(g.Tests, &KDF{valid(comment, "CRYPTO-04"), key, input, l.mac(key, input), out[0], out[1], out[2]})
	}
	start := blake2s.Sum256([]byte(Construction))
	add("an empty input, as for the transport keys", m.bytes(32), Hex{})
	add("zeros, as without a preshared key", m.bytes(32), make(Hex, 32))
	add("the chaining value at the start, and a key", start[:], m.bytes(32))
	for range 5 {
		add("random", m.bytes(32), m.bytes(32))
	}
	return g
}

// MACVector is a mac of any kind.
type MACVector struct {
	Common
	Key     Hex `json:"key"`
	Message Hex `json:"message"`
	MAC     Hex `json:"mac"`
}

func (m *vectorMaker) hmacs() Group {
	g := Group{Type: "hmac-blake2s",
		Notes: "mac = HMAC(key, message) over BLAKE2s-256: 32 bytes."}
	for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 65, 128} {
		key, message := m.bytes(n), m.bytes(3*n%67)
		g.Tests = append(g.Tests, &MACVector{valid(fmt.Sprintf("a key of %d bytes", n), "CRYPTO-04"), key, message,
			(&ladder{}).mac(key, message)})
	}
	return g
}

func (m *vectorMaker) keyed() Group {
	g := Group{Type: "keyed-blake2s",
		Notes: "mac = BLAKE2s with a key parameter and an output length of 16."}
	for _, n := range []int{16, 32} {
		for _, length := range []int{0, 1, 63, 64, 65, 116, 132} {
			key, message := m.bytes(n), m.bytes(length)
			mac := peer.MAC(key, message)
			g.Tests = append(g.Tests, &MACVector{valid(fmt.Sprintf("a key of %d bytes, a message of %d", n, length),
				"CRYPTO-05"), key, message, mac[:]})
		}
	}
	key, message := m.bytes(32), m.bytes(116)
	for _, f := range []string{"cut", "HMAC", "unkeyed", "BLAKE2b"} {
		r := macRule{function: f}
		g.Tests = append(g.Tests, &MACVector{invalid("mistake: "+functionText[f], "CRYPTO-05"), key, message,
			r.sum(key, message)})
	}
	return g
}

// MAC1 is that of a handshake message.
type MAC1 struct {
	Common
	Public  Hex `json:"receiverPublic"`
	Key     Hex `json:"key"`     // BLAKE2s("mac1----" ‖ receiverPublic)
	Message Hex `json:"message"` // all before mac1
	MAC     Hex `json:"mac1"`
}

func (m *vectorMaker) mac1s() Group {
	g := Group{Type: "mac1",
		Notes: `key = BLAKE2s-256("mac1----" ‖ receiverPublic); mac1 = keyed BLAKE2s of 16 bytes over ` +
			"all of the message before it: 116 bytes of an initiation, 60 of a response."}
	add := func(c Common, r macRule, length int) {
		sender, receiver := peer.NewPair(m.random).Public, peer.NewPair(m.random).Public
		message := m.bytes(length)
		key := peer.LabelKey(peer.LabelMAC1, receiver)
		whole := append(bytes.Clone(message), make([]byte, 32)...)
		mac := r.sum(r.macKey(sender, receiver), r.covered(whole, length))
		if c.Result == "valid" {
			want := peer.MAC(key[:], message)
			m.check(bytes.Equal(mac, want[:]), c.Comment)
		}
		g.Tests = append(g.Tests, &MAC1{c, bytes.Clone(receiver[:]), key[:], message, mac})
	}
	for _, length := range []int{116, 60} {
		add(valid(fmt.Sprintf("of a message with %d bytes before it", length), "COOKIE-01"), macRule{}, length)
		for _, r := range macProbes(length) {
			_, text := r.diagnosis("mac1", length)
			add(invalid("mistake: "+text, "COOKIE-01", "CRYPTO-05"), r, length)
		}
	}
	return g
}

// MAC2 is that of a handshake message.
type MAC2 struct {
	Common
	Cookie  Hex `json:"cookie"`
	Message Hex `json:"message"` // all before mac2, hence with mac1
	MAC     Hex `json:"mac2"`
}

func (m *vectorMaker) mac2s() Group {
	g := Group{Type: "mac2",
		Notes: "mac2 = keyed BLAKE2s of 16 bytes with the cookie as key, over all of the message before " +
			"it, mac1 included. Without a cookie mac2 is zero."}
	for _, length := range []int{132, 76} {
		cookie, message := m.bytes(16), m.bytes(length)
		mac, short := peer.MAC(cookie, message), peer.MAC(cookie, message[:length-16])
		g.Tests = append(g.Tests,
			&MAC2{valid(fmt.Sprintf("of a message with %d bytes before it", length), "COOKIE-05"), cookie, message, mac[:]},
			&MAC2{invalid("mistake: mac1 is left out", "COOKIE-05"), cookie, message, short[:]})
	}
	return g
}

// CookieReply is a message of that kind.
type CookieReply struct {
	Common
	Public   Hex    `json:"issuerPublic"`
	Key      Hex    `json:"key"` // BLAKE2s("cookie--" ‖ issuerPublic)
	Receiver uint32 `json:"receiver"`
	MAC1     Hex    `json:"mac1"` // of the message that is answered
	Nonce    Hex    `json:"nonce"`
	Cookie   Hex    `json:"cookie"`
	Message  Hex    `json:"message"` // all 64 bytes
}

func (m *vectorMaker) cookies() Group {
	g := Group{Type: "cookie-reply",
		Notes: `key = BLAKE2s-256("cookie--" ‖ issuerPublic); message = 03 000000 ‖ receiver, 4 ` +
			"bytes little-endian ‖ nonce ‖ XChaCha20-Poly1305(key, nonce, cookie, additional data mac1)."}
	add := func(c Common, edit func(r *CookieReply)) {
		issuer := peer.NewPair(m.random).Public
		key := peer.LabelKey(peer.LabelCookie, issuer)
		r := &CookieReply{c, bytes.Clone(issuer[:]), key[:], 0x0a0b0c0d, m.bytes(16), m.bytes(24), m.bytes(16), nil}
		r.Message = peer.CookieReply(issuer, r.Receiver, [16]byte(r.MAC1), [24]byte(r.Nonce), r.Cookie)
		if edit != nil {
			edit(r)
		}
		g.Tests = append(g.Tests, r)
	}
	for range 3 {
		add(valid("right", "CRYPTO-09", "COOKIE-13"), nil)
	}
	add(invalid("bound to another mac1", "COOKIE-06"), func(r *CookieReply) { r.MAC1[0] ^= 1 })
	add(invalid("a bit of the tag is flipped", "COOKIE-06"), func(r *CookieReply) { r.Message[63] ^= 1 })
	add(invalid("a bit of the nonce is flipped", "CRYPTO-09"), func(r *CookieReply) { r.Message[8] ^= 1 })
	return g
}

// AEAD is a sealed text.
type AEAD struct {
	Common
	Key    Hex `json:"key"`
	Nonce  Hex `json:"nonce"`
	AD     Hex `json:"ad"`
	Plain  Hex `json:"plain"`
	Sealed Hex `json:"sealed"` // ciphertext and tag
}

func (m *vectorMaker) aeads() Group {
	g := Group{Type: "aead",
		Notes: "sealed = ChaCha20-Poly1305(key, nonce, plain, ad), with the nonce that a counter gives: 4 " +
			"zero bytes and 8 bytes little-endian."}
	for i, n := range counters {
		key, ad, plain := m.bytes(32), m.bytes(32*(i%2)), m.bytes(16*i+i%3)
		nonce := transportNonce(nil, n)
		g.Tests = append(g.Tests, &AEAD{valid(fmt.Sprintf("counter %d", n), "CRYPTO-06"), key, nonce, ad, plain,
			aeadOf(key).Seal(nil, nonce, plain, ad)})
	}
	return g
}

func (m *vectorMaker) xaeads() Group {
	g := Group{Type: "xaead",
		Notes: "sealed = XChaCha20-Poly1305(key, nonce, plain, ad) with a nonce of 24 bytes: " +
			"HChaCha20(key, its first 16) is the key of ChaCha20-Poly1305, with 4 zero bytes and its last 8 as nonce."}
	for _, n := range []int{0, 16, 32, 65} {
		key, nonce, ad, plain := m.bytes(32), m.bytes(24), m.bytes(16), m.bytes(n)
		a, err := chacha20poly1305.NewX(key)
		m.check(err == nil, "xaead")
		t := &AEAD{valid(fmt.Sprintf("%d bytes", n), "CRYPTO-09"), key, nonce, ad, plain, a.Seal(nil, nonce, plain, ad)}
		bad := *t
		bad.Common, bad.Sealed = invalid("a bit is flipped", "CRYPTO-09"), bytes.Clone(t.Sealed)
		bad.Sealed[n/2] ^= 0x10
		g.Tests = append(g.Tests, t, &bad)
	}
	return g
}

// Product is one of Curve25519.
type Product struct {
	Common
	Private Hex `json:"private"`
	Public  Hex `json:"public"`
	Shared  Hex `json:"shared"` // zeros: to be refused
}

func (m *vectorMaker) products() Group {
	g := Group{Type: "x25519",
		Notes: "shared = X25519(private, public). All zeros: the message is refused."}
	for i, p := range peer.LowOrderPoints() {
		private := peer.NewPair(m.random).Private
		shared := product(private, p)
		m.check(shared == peer.Key{}, "a point of low order")
		g.Tests = append(g.Tests, &Product{invalid(fmt.Sprintf("point %d of low order", i+1), "CRYPTO-11"),
			bytes.Clone(private[:]), bytes.Clone(p[:]), shared[:]})
	}
	for range 2 {
		private, public := peer.NewPair(m.random).Private, peer.NewPair(m.random).Public
		shared := product(private, public)
		g.Tests = append(g.Tests, &Product{valid("random", "HS-02"), bytes.Clone(private[:]), bytes.Clone(public[:]),
			shared[:]})
		public[31] |= 0x80
		g.Tests = append(g.Tests, &Product{valid("the same with bit 255 set, which is ignored", "CRYPTO-10"),
			bytes.Clone(private[:]), bytes.Clone(public[:]), shared[:]})
	}
	return g
}

// TAI64N is a time and its twelve bytes.
type TAI64N struct {
	Common
	Seconds     int64  `json:"unixSeconds"`
	Nanoseconds uint32 `json:"nanoseconds"`
	Timestamp   Hex    `json:"timestamp"`
}

func (m *vectorMaker) timestamps() Group {
	g := Group{Type: "tai64n",
		Notes: "timestamp = 2^62 + 10 + unixSeconds, 8 bytes big-endian ‖ nanoseconds, 4 bytes " +
			"big-endian. Senders may round the nanoseconds down."}
	for _, c := range []struct {
		comment string
		s       int64
		ns      uint32
	}{{"the beginning of Unix time", 0, 0}, {"one nanosecond later", 0, 1}, {"the last nanosecond of a second", 1700000000,
		999999999}, {"after 2038", 1 << 31, 0}, {"after 2106", 1 << 32, 0x12000000}} {
		b := peer.TAI64N(time.Unix(c.s, int64(c.ns)))
		g.Tests = append(g.Tests, &TAI64N{valid(c.comment, "TAI-01", "TAI-08"), c.s, c.ns, bytes.Clone(b[:])})
	}
	return g
}
