package peer

import (
	"errors"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// The labels of paper §5.4 (CRYPTO-03).
const (
	LabelMAC1   = "mac1----"
	LabelCookie = "cookie--"
)

// ErrTag is the error of everything that does not authenticate.
var ErrTag = errors.New("does not authenticate")

// LabelKey is H(label‖public): the key of mac1 (checked by the owner of public) and of cookie replies (issued by it).
func LabelKey(label string, public Key) Key {
	return blake2s.Sum256(append([]byte(label), public[:]...))
}

// MAC is keyed BLAKE2s with 16 bytes of output (CRYPTO-05).
func MAC(key, data []byte) (m [16]byte) {
	h, err := blake2s.New128(key)
	if err != nil {
		panic(err) // only for a key over 32 bytes or an empty one, which no caller has
	}
	h.Write(data)
	h.Sum(m[:0])
	return m
}

// Remac makes the macs of a handshake message right for its bytes as they are, in place: mac1 for the owner of the
// public key to, and mac2 with the cookie if there is one, else zeros (COOKIE-01, COOKIE-04, COOKIE-05). The macs are
// the last 32 bytes, whatever the length. It returns b.
func Remac(b []byte, to Key, cookie []byte) []byte { return remac(b, LabelMAC1, to, cookie) }

func remac(b []byte, label string, to Key, cookie []byte) []byte {
	if len(b) < mac1FromEnd {
		return b
	}
	key := LabelKey(label, to)
	at := len(b) - mac1FromEnd
	m := MAC(key[:], b[:at])
	copy(b[at:], m[:])
	clear(b[at+16:])
	if len(cookie) > 0 {
		m = MAC(cookie, b[:at+16])
		copy(b[at+16:], m[:])
	}
	return b
}

// CheckMAC1 reports whether mac1 of a handshake message is right for the owner of the public key to.
func CheckMAC1(b []byte, to Key) bool {
	if len(b) < mac1FromEnd {
		return false
	}
	key := LabelKey(LabelMAC1, to)
	return MAC(key[:], b[:len(b)-mac1FromEnd]) == MAC1(b)
}

// CheckMAC2 reports whether mac2 of a handshake message is right for a cookie; for none (nil), whether it is zero.
func CheckMAC2(b, cookie []byte) bool {
	switch {
	case len(b) < mac1FromEnd:
		return false
	case len(cookie) == 0:
		return MAC2(b) == [16]byte{}
	}
	return MAC(cookie, b[:len(b)-mac2FromEnd]) == MAC2(b)
}

// CookieReply makes the cookie reply that issuer sends in answer to a handshake message with this mac1, whose sender
// index is receiver (paper §5.4.7, CRYPTO-09).
func CookieReply(issuer Key, receiver uint32, mac1 [16]byte, nonce [24]byte, cookie []byte) []byte {
	b := header(KindCookieReply, receiver)
	b = append(b, nonce[:]...)
	return xaead(issuer).Seal(b, nonce[:], cookie, mac1[:])
}

// OpenCookieReply gives the cookie in a reply that issuer sent in answer to a message with this mac1 (COOKIE-06).
func OpenCookieReply(b []byte, issuer Key, mac1 [16]byte) (cookie []byte, err error) {
	if KindOf(b) != KindCookieReply {
		return nil, errors.New(Fault(b))
	}
	cookie, err = xaead(issuer).Open(nil, b[8:32], b[32:], mac1[:])
	if err != nil {
		return nil, ErrTag
	}
	return cookie, nil
}

func xaead(issuer Key) interface {
	Seal(dst, nonce, plaintext, ad []byte) []byte
	Open(dst, nonce, ciphertext, ad []byte) ([]byte, error)
} {
	key := LabelKey(LabelCookie, issuer)
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // only for a key of another size
	}
	return a
}
