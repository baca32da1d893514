package cookie

import (
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// Result says what became of a cookie reply.
type Result uint8

// The results of Jar.Consume.
const (
	OK          Result = iota // authentic; the cookie is stored
	NothingSent               // no mac1 is outstanding: nothing was sent, or its one reply came already (COOKIE-08)
	Forged                    // not sealed by the peer for the last mac1 that it was sent (COOKIE-06)
)

// Jar is the sending side towards one peer: it signs our handshake messages and keeps the cookie that the peer asked
// us to use. It exists only for peers with which we shake hands, and is small: 112 bytes, and 32 for its AEAD.
type Jar struct {
	aead     cipher.AEAD // under H("cookie--"‖peer's public key)
	mac1Key  [blake2s.Size]byte
	mac1     [wire.MACSize]byte // of the last message sent; meaningful while awaiting
	cookie   [wire.MACSize]byte // meaningful while held
	opened   [wire.MACSize]byte // where a reply is decrypted to: a forgery must not touch the cookie
	cookieAt timers.Time
	awaiting bool
	held     bool
}

// NewJar returns the empty jar for the peer with that public key.
func NewJar(remotePublic *[32]byte) *Jar {
	return &Jar{aead: newAEAD(remotePublic), mac1Key: handshake.MAC1Key(remotePublic)}
}

// Sign fills in the last 32 bytes of msg, a whole initiation or response that is complete up to there: mac1 over all
// before it (COOKIE-01), and mac2 over all before that under the stored cookie (COOKIE-05), or zeros without a cookie
// or with one of 120 s or more (COOKIE-04, COOKIE-10). From here on only a reply to this very mac1 counts (COOKIE-06).
func (j *Jar) Sign(h *Hasher, msg []byte, now timers.Time) {
	body, covered := len(msg)-macsSize, len(msg)-wire.MACSize
	h.MAC(&j.mac1, j.mac1Key[:], msg[:body])
	copy(msg[body:covered], j.mac1[:])
	j.awaiting = true

	if j.held && now.Sub(j.cookieAt) >= timers.CookieLife {
		j.held = false
		clear(j.cookie[:])
	}
	var mac2 [wire.MACSize]byte
	if j.held {
		h.MAC(&mac2, j.cookie[:], msg[:covered])
	}
	copy(msg[covered:], mac2[:])
}

// Consume takes a cookie reply whose receiver index is that of our last handshake message to this peer. A good one
// stores its cookie for the messages to come, uses up the outstanding mac1, and is no reason to send anything
// (COOKIE-08, COOKIE-09); any other changes nothing. The reply itself is not written to.
func (j *Jar) Consume(reply *[64]byte, now timers.Time) Result {
	if !j.awaiting {
		return NothingSent
	}
	m := (*wire.CookieReply)(reply)
	if _, err := j.aead.Open(j.opened[:0], m.Nonce()[:], m.Cookie(), j.mac1[:]); err != nil {
		return Forged
	}
	j.cookie, j.cookieAt, j.held = j.opened, now, true
	j.awaiting = false
	clear(j.opened[:])
	return OK
}

// Wipe forgets the cookie and the outstanding mac1. The jar can go on being used, as if new.
func (j *Jar) Wipe() { *j = Jar{aead: j.aead, mac1Key: j.mac1Key} }

// AppendState appends what decides the messages to come, times relative to now.
func (j *Jar) AppendState(b []byte, now timers.Time) []byte {
	age := min(now.Sub(j.cookieAt), timers.CookieLife)
	return fmt.Appendf(b, " jar awaiting=%t held=%t age=%v\n", j.awaiting, j.held, age)
}
