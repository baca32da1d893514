// Package handshake is WireGuard's Noise_IKpsk2 handshake as pure functions: bytes and keys in, bytes and keys out.
//
// It follows §5.4 of the WireGuard paper line by line. An initiator calls [CreateInitiation] and later
// [ConsumeResponse]; a responder calls [ConsumeInitiationStatic], looks the peer up, then calls
// [ConsumeInitiationTimestamp], judges the timestamp, and calls [CreateResponse]. Who may be talked to, which
// index means what, whether a timestamp is fresh, both MACs and every timer are the caller's business; so are the
// first eight bytes of a message (four more in a response), which no AEAD covers and which only mac1 protects.
//
// Nothing here keeps state between calls. A [State] is a value: work on a copy, and a message that fails to
// authenticate has changed nothing (HS-10). Functions are safe for concurrent use as long as their pointer
// arguments are not shared.
//
// Secrets are overwritten when they are no longer needed (SEC-03). What Go does not let us reach is not: copies
// that the compiler leaves in registers and dead stack frames, and the bytes inside crypto/ecdh and cipher.AEAD
// values, which live until the garbage collector reuses their memory.
package handshake

import (
	"crypto/ecdh"
	"crypto/subtle"
	"errors"
	"fmt"
)

// The reasons why a handshake step does not succeed; test with errors.Is. All mean: drop the message, change nothing.
var (
	// ErrLowOrder: a Diffie-Hellman result was all zero, so the remote point has low order (CRYPTO-11, CRYPTO-12).
	ErrLowOrder = errors.New("handshake: low order point")
	// ErrDecrypt: an AEAD field did not authenticate.
	ErrDecrypt = errors.New("handshake: field does not authenticate")
	// ErrIdentity: the static identity could not do its Diffie-Hellman. The error returned wraps the cause too.
	ErrIdentity = errors.New("handshake: identity failed")
)

// DH is the static identity as the handshake sees it: X25519 of our static private key with point. It may block
// and it may fail. A low order point should be answered with an error that is ErrLowOrder; an all-zero result
// without an error is taken for one as well (CRYPTO-11), any other error becomes ErrIdentity.
type DH interface {
	DH(point [32]byte) ([32]byte, error)
}

// staticDH asks the identity and distrusts its answer: the zero check is repeated here, in constant time
// (CRYPTO-11).
func staticDH(dh DH, point *[32]byte) ([32]byte, error) {
	secret, err := dh.DH(*point)
	switch {
	case errors.Is(err, ErrLowOrder):
		return [32]byte{}, ErrLowOrder
	case err != nil:
		return [32]byte{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	case subtle.ConstantTimeCompare(secret[:], zeros[:]) == 1:
		return [32]byte{}, ErrLowOrder
	}
	return secret, nil
}

// Ephemeral is a key pair of one handshake. The parsed form is kept because crypto/ecdh then pays one ladder per
// Diffie-Hellman, not a second one to find the public key again.
type Ephemeral struct{ key *ecdh.PrivateKey }

// NewEphemeral makes the key pair of 32 freshly drawn bytes, which it clamps (CRYPTO-13) in a copy; seed stays the
// caller's to wipe. (ecdh.GenerateKey would ignore the source it is given.) It fails only where the process forbids
// X25519 altogether, as in FIPS 140-only mode.
func NewEphemeral(seed *[32]byte) (*Ephemeral, error) {
	scalar := *seed
	defer clear(scalar[:])
	scalar[0] &= 248
	scalar[31] = scalar[31]&127 | 64
	key, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		return nil, err
	}
	return &Ephemeral{key}, nil
}

// Private returns a copy of the clamped private key, for key logs.
func (e *Ephemeral) Private() [32]byte { return [32]byte(e.key.Bytes()) }

// Public returns the public key as it goes on the wire.
func (e *Ephemeral) Public() [32]byte { return [32]byte(e.key.PublicKey().Bytes()) }

// dh is X25519 of the ephemeral with a point that is used as received: bit 255 and non-canonical values are the
// ladder's to ignore (CRYPTO-10). ECDH fails on exactly one thing, an all-zero result (CRYPTO-11).
func (e *Ephemeral) dh(point *[32]byte) (secret [32]byte, err error) {
	remote, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		return secret, err
	}
	shared, err := e.key.ECDH(remote)
	if err != nil {
		return secret, ErrLowOrder
	}
	copy(secret[:], shared)
	clear(shared)
	return secret, nil
}

// What is known about a static-static secret.
const (
	Unknown uint8 = iota // not computed yet
	Known                // Secret holds it
	Never                // the remote key has low order: no handshake with it can succeed (CRYPTO-12)
)

// StaticStatic is the cached Diffie-Hellman of both static keys, which every handshake of a pair shares. The zero
// value is Unknown; assign it to forget the secret when either key changes.
type StaticStatic struct {
	Secret [32]byte
	State  uint8 // Unknown, Known or Never
}

// resolve makes sure that ss.Secret can be used, asking the identity if nobody did so before. An identity that fails
// leaves Unknown and gives ErrIdentity: the next attempt asks again. A low order key is Never, for good.
func (ss *StaticStatic) resolve(dh DH, remote *[32]byte) error {
	if ss.State == Unknown {
		secret, err := staticDH(dh, remote)
		switch {
		case err == nil:
			*ss = StaticStatic{secret, Known}
		case errors.Is(err, ErrLowOrder):
			ss.State = Never
		default:
			return err
		}
	}
	if ss.State == Never {
		return ErrLowOrder
	}
	return nil
}

// Keys are the transport keys of §5.4.5, named after the side that sends with them. All counters start at 0.
type Keys struct {
	Initiator, Responder [32]byte
}
