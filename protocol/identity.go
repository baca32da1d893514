package protocol

import (
	"crypto/ecdh"
)

// Identity is our static key as the core needs it: a public key and an oracle. A key that lives in another
// process, an agent or a security module can implement it, so that the node need not hold it.
//
// DH does X25519 of the private key with point. A point of low order gives a secret of zeros and no error: the
// caller refuses it (CRYPTO-11). It is called by Workers, from any goroutine, several at a
// time; it may block and it may fail, which drops the handshake with [DropIdentityFailed].
type Identity interface {
	PublicKey() PublicKey
	DH(point [KeySize]byte) (secret [KeySize]byte, err error)
}

// PrivateKeyHolder is an Identity that has its private key in memory and gives it away, to be shown by
// wg(8) and put into key logs.
type PrivateKeyHolder interface {
	Identity
	PrivateKey() PrivateKey
}

type memoryIdentity struct {
	private PrivateKey
	public  PublicKey
	key     *ecdh.PrivateKey // parsed once: each use then costs one ladder
}

// NewIdentity makes an identity of a private key, clamped first (CRYPTO-13, UAPI-10).
func NewIdentity(private PrivateKey) PrivateKeyHolder {
	private[0] &= 248
	private[31] = private[31]&127 | 64
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		panic("purewire: crypto/ecdh refuses 32 bytes: " + err.Error())
	}
	m := &memoryIdentity{private: private, key: key}
	copy(m.public[:], key.PublicKey().Bytes())
	return m
}

func (m *memoryIdentity) PublicKey() PublicKey   { return m.public }
func (m *memoryIdentity) PrivateKey() PrivateKey { return m.private }

// DH costs one ladder: the point is parsed anew, the private key is not (design §11.6).
func (m *memoryIdentity) DH(point [KeySize]byte) (secret [KeySize]byte, err error) {
	remote, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		return secret, err
	}
	b, err := m.key.ECDH(remote)
	if err != nil {
		return secret, nil // the only error that crypto/ecdh has here: an all-zero result
	}
	return [KeySize]byte(b), nil
}
