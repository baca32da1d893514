package cookie

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// A handshake message ends with mac1 and mac2 (paper §5.4.2, §5.4.3); both kinds have their sender index at bytes 4–7.
const macsSize, senderEnd = 2 * wire.MACSize, 8

// Checker is the receiving side of one identity: it judges mac1 and mac2 of handshake messages sent to us and makes
// cookie replies. The zero value has no key and accepts nothing; SetKey comes first.
type Checker struct {
	aead     cipher.AEAD // under H("cookie--"‖own public key); nil: no key
	mac1Key  [blake2s.Size]byte
	secret   [32]byte // Rm of paper §5.4.7, known to nobody else
	secretAt timers.Time
	secretOK bool
}

// newAEAD returns the XChaCha20-Poly1305 that cookie replies by the owner of public are sealed with (paper §5.4.7).
func newAEAD(public *[32]byte) cipher.AEAD {
	key := handshake.CookieKey(public)
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // the key has the right length: a process held to FIPS 140 algorithms, which cannot run WireGuard
	}
	return aead
}

// SetKey makes the Checker the one of an identity. Cookies made for an earlier identity are worthless from here on,
// because the secret is forgotten (COOKIE-21). It allocates; it belongs to the control plane.
func (c *Checker) SetKey(public *[32]byte) {
	*c = Checker{aead: newAEAD(public), mac1Key: handshake.MAC1Key(public)}
}

// CheckMAC1 reports whether msg, a whole initiation or response, was made by somebody who knows our public key
// (COOKIE-01, COOKIE-02). Nothing else may be done with a message that fails, not even answering it.
func (c *Checker) CheckMAC1(h *Hasher, msg []byte) bool {
	body := len(msg) - macsSize
	if c.aead == nil || body < senderEnd {
		return false
	}
	var want [wire.MACSize]byte
	h.MAC(&want, c.mac1Key[:], msg[:body])
	return subtle.ConstantTimeCompare(want[:], msg[body:body+wire.MACSize]) == 1 // SEC-01
}

// CheckMAC2 reports whether the sender of msg holds the cookie that we give to src now, and so receives at src. A mac2
// of zeros says "no cookie" and is never valid; nor is a cookie under a secret of 120 s or more, without grace for
// the one before (COOKIE-15, OPEN-8). It is a question for times of load only (COOKIE-03).
func (c *Checker) CheckMAC2(h *Hasher, msg []byte, src netip.AddrPort, now timers.Time) bool {
	covered := len(msg) - wire.MACSize
	if covered < senderEnd+wire.MACSize || c.NeedsSecret(now) {
		return false
	}
	var none, cookie, want [wire.MACSize]byte
	if subtle.ConstantTimeCompare(none[:], msg[covered:]) == 1 {
		return false
	}
	c.bake(h, &cookie, src)
	h.MAC(&want, cookie[:], msg[:covered]) // mac2 covers mac1 too (COOKIE-05)
	return subtle.ConstantTimeCompare(want[:], msg[covered:]) == 1
}

// bake sets cookie to MAC(secret, source address‖source port): "a 16-byte MAC, under a secret only the responder
// knows, of the source IP address and UDP port" (COOKIE-14). An address has 4 or 16 bytes, IPv4-mapped ones count as
// IPv4, and a zone is no part of it.
func (c *Checker) bake(h *Hasher, cookie *[wire.MACSize]byte, src netip.AddrPort) {
	input := binary.BigEndian.AppendUint16(appendAddr(h.source[:0], src.Addr()), src.Port())
	h.MAC(cookie, c.secret[:], input)
}

// appendAddr appends the 4 or 16 bytes of an address, none if it is invalid.
func appendAddr(b []byte, addr netip.Addr) []byte {
	b, _ = addr.Unmap().WithZone("").AppendBinary(b) // its error is always nil
	return b
}

// NeedsSecret reports whether there is no secret, or one that "is replaced at the latest every 120 s" (COOKIE-15).
// The caller then draws 32 random bytes for SetSecret before it makes the next Reply.
func (c *Checker) NeedsSecret(now timers.Time) bool {
	return !c.secretOK || now.Sub(c.secretAt) >= timers.CookieSecretLife
}

// SetSecret starts the life of a secret, copied from random bytes of the caller. Every older cookie ends here.
func (c *Checker) SetSecret(now timers.Time, secret *[32]byte) {
	c.secret, c.secretAt, c.secretOK = *secret, now, true
}

// Reply writes to dst the cookie reply that answers msg, a whole handshake message from src whose mac1 is valid: the
// receiver is the sender index of msg (COOKIE-13), the cookie belongs to src and is sealed to whoever saw the mac1 of
// msg (paper §5.4.7). The nonce is 24 fresh random bytes (COOKIE-16). It reports false, and leaves dst alone, if there
// is no key or no secret to make a cookie from; whether that secret is young enough is asked with NeedsSecret before.
func (c *Checker) Reply(h *Hasher, dst *[64]byte, msg []byte, src netip.AddrPort, nonce *[24]byte) bool {
	body := len(msg) - macsSize
	if c.aead == nil || !c.secretOK || body < senderEnd {
		return false
	}
	reply := (*wire.CookieReply)(dst)
	reply.Init()
	reply.SetReceiver(binary.LittleEndian.Uint32(msg[4:senderEnd]))
	*reply.Nonce() = *nonce
	sealed := reply.Cookie()
	c.bake(h, (*[wire.MACSize]byte)(sealed), src)
	c.aead.Seal(sealed[:0], reply.Nonce()[:], sealed[:wire.MACSize], msg[body:body+wire.MACSize])
	return true
}
