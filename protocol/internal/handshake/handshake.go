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
)

// Error is a reason why a handshake step did not succeed. All of them mean: drop the message, change nothing.
type Error uint8

const (
	// ErrLowOrder: a Diffie-Hellman result was all zero, so the remote point has low order (CRYPTO-11, CRYPTO-12).
	ErrLowOrder Error = iota + 1
	// ErrDecrypt: an AEAD field did not authenticate.
	ErrDecrypt
	// ErrIdentity: the static identity could not do its Diffie-Hellman. The error returned wraps the cause too.
	ErrIdentity
)

// Error implements error.
func (e Error) Error() string {
	switch e {
	case ErrLowOrder:
		return "handshake: low order point"
	case ErrDecrypt:
		return "handshake: field does not authenticate"
	case ErrIdentity:
		return "handshake: identity failed"
	}
	return "handshake: unknown error"
}

// identityError is ErrIdentity with its cause.
type identityError struct{ cause error }

func (e *identityError) Error() string   { return ErrIdentity.Error() + ": " + e.cause.Error() }
func (e *identityError) Unwrap() []error { return []error{ErrIdentity, e.cause} }

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
		return [32]byte{}, &identityError{err}
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

// Wipe forgets the key pair. The private bytes are inside crypto/ecdh, so all we can do is let them go.
func (e *Ephemeral) Wipe() { e.key = nil }

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

// PrecomputeStaticStatic asks the identity for the secret with remote. A low order key is an answer, Never, and
// not an error. An identity that fails leaves Unknown and an ErrIdentity: the next attempt asks again.
func PrecomputeStaticStatic(dh DH, remote *[32]byte) (StaticStatic, error) {
	secret, err := staticDH(dh, remote)
	switch {
	case err == nil:
		return StaticStatic{secret, Known}, nil
	case errors.Is(err, ErrLowOrder):
		return StaticStatic{State: Never}, nil
	}
	return StaticStatic{}, err
}

// resolve makes sure that ss.Secret can be used, asking the identity if nobody did so before.
func (ss *StaticStatic) resolve(dh DH, remote *[32]byte) (err error) {
	if ss.State == Unknown {
		if *ss, err = PrecomputeStaticStatic(dh, remote); err != nil {
			return err
		}
	}
	if ss.State != Known {
		return ErrLowOrder
	}
	return nil
}

// Keys are the transport keys of §5.4.5, named after the side that sends with them. All counters start at 0.
type Keys struct {
	Initiator, Responder [32]byte
}

// Wipe overwrites both keys.
func (k *Keys) Wipe() { *k = Keys{} }
