package explain

import (
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
)

// verdict is the outcome of a check that takes keys.
type verdict uint8

const (
	unchecked verdict = iota // the keys that it takes are not known, or the message is cut
	genuine
	forged // it fails: a wrong key on one side, damage, or an attacker
)

// identity is what keys tell about a handshake message.
type identity struct {
	mac1    verdict // forged: made for none of the keys that are known
	to      key     // for whom mac1 was made
	static  verdict // forged: does not decrypt
	by      key     // who made it, if static is genuine
	stamp   verdict // forged: whoever made it does not have by's private key
	stampAt [12]byte
	mac2    verdict // against the last cookie in the capture
}

// The two strings that every WireGuard handshake begins with (CRYPTO-01, CRYPTO-02).
const (
	construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
	identifier   = "WireGuard v1 zx2c4 Jason@zx2c4.com"
)

// transcript is the running state of a handshake as an onlooker with some of the keys follows it (paper §5.4).
type transcript struct {
	ring  *keyring
	chain [32]byte
	hash  [32]byte
}

func newTranscript(ring *keyring, responder key) *transcript {
	t := &transcript{ring: ring}
	t.chain = blake2s.Sum256([]byte(construction))
	t.hash = blake2s.Sum256(append(t.chain[:], identifier...))
	t.absorb(responder[:])
	return t
}

func (t *transcript) absorb(b []byte) {
	t.hash = blake2s.Sum256(append(append([]byte{}, t.hash[:]...), b...))
}

func newHash() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err) // only a key that is too long is refused
	}
	return h
}

func mac(k []byte, parts ...[]byte) (out [32]byte) {
	h := hmac.New(newHash, k)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// mix is the paper's KDF: the chaining key moves on, and up to two more values come out of it.
func (t *transcript) mix(input []byte) (second, third [32]byte) {
	secret := mac(t.chain[:], input)
	t.chain = mac(secret[:], []byte{1})
	second = mac(secret[:], t.chain[:], []byte{2})
	third = mac(secret[:], second[:], []byte{3})
	return second, third
}

// agree mixes the Diffie-Hellman result of two public keys, if the private key to one of them is known.
func (t *transcript) agree(a, b key) (k [32]byte, ok bool) {
	private, known := t.ring.private[a]
	if !known {
		private, known = t.ring.private[b]
		b = a
	}
	if !known {
		return k, false
	}
	shared, err := curve25519.X25519(private[:], b[:])
	if err != nil {
		return k, false // a low-order point: nobody completes this handshake (CRYPTO-11)
	}
	k, _ = t.mix(shared)
	return k, true
}

func aead(k [32]byte) cipher.AEAD {
	a, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic(err) // only a wrong length of key is refused
	}
	return a
}

// unseal opens a field of a handshake message, whose counter is 0 (CRYPTO-07), and absorbs it.
func (t *transcript) unseal(k [32]byte, field []byte) (plain []byte, v verdict) {
	plain, err := aead(k).Open(nil, make([]byte, 12), field, t.hash[:])
	if err != nil {
		return nil, forged
	}
	t.absorb(field)
	return plain, genuine
}

// checkMac1 finds the key that mac1 was made for (COOKIE-01).
func (r *keyring) checkMac1(m *message) (to key, v verdict) {
	if m.cut || len(r.publics) == 0 {
		return to, unchecked
	}
	at := len(m.data) - 32
	for _, k := range r.publics {
		label := blake2s.Sum256(append([]byte("mac1----"), k[:]...))
		h, err := blake2s.New128(label[:])
		if err != nil {
			panic(err) // the key is 32 bytes long
		}
		h.Write(m.data[:at])
		if hmac.Equal(h.Sum(nil), m.data[at:at+16]) {
			return k, genuine
		}
	}
	return to, forged
}

// identify reads an initiation as its responder would, as far as the keys go. The transcript after it is given for the
// response, if it went all the way.
func (r *keyring) identify(m *message) (t *transcript) {
	id := &m.ident
	if id.to, id.mac1 = r.checkMac1(m); id.mac1 != genuine || m.kind != initiation {
		return nil
	}
	t = newTranscript(r, id.to)
	ephemeral := key(m.ephemeral())
	t.mix(ephemeral[:])
	t.absorb(ephemeral[:])
	k, ok := t.agree(ephemeral, id.to)
	if !ok {
		return nil
	}
	var static, stamp []byte
	if static, id.static = t.unseal(k, m.data[40:88]); id.static != genuine {
		return nil
	}
	id.by = key(static)
	if k, ok = t.agree(id.by, id.to); !ok {
		return nil
	}
	if stamp, id.stamp = t.unseal(k, m.data[88:116]); id.stamp != genuine {
		return nil
	}
	id.stampAt = [12]byte(stamp)
	return t
}

// pair is the two transport keys of a session, by the side of the exchange that sends with it: initiator, responder.
type pair [2]cipher.AEAD

// complete follows a response, trying each preshared key that is known. psk is the one that fits. v is unchecked if a
// private key is missing, forged if no preshared key fits.
func (t *transcript) complete(init, resp *message) (keys *pair, psk key, v verdict) {
	if t == nil || resp.cut || init.cut {
		return nil, psk, unchecked
	}
	after := *t // there may be several responses
	ei, er := key(init.ephemeral()), key(resp.ephemeral())
	after.mix(er[:])
	after.absorb(er[:])
	if _, ok := after.agree(ei, er); !ok {
		return nil, psk, unchecked
	}
	if _, ok := after.agree(init.ident.by, er); !ok {
		return nil, psk, unchecked
	}
	for _, psk = range t.ring.psks {
		try := after
		tau, k := try.mix(psk[:])
		try.absorb(tau[:])
		if _, v = try.unseal(k, resp.data[44:60]); v != genuine {
			continue
		}
		secret := mac(try.chain[:])
		first := mac(secret[:], []byte{1})
		return &pair{aead(first), aead(mac(secret[:], first[:], []byte{2}))}, psk, genuine
	}
	return nil, key{}, forged
}

// open decrypts a transport message (CRYPTO-06, CRYPTO-08).
func (p *pair) open(side int, m *message) ([]byte, verdict) {
	if m.cut || len(m.data) != m.size {
		return nil, unchecked
	}
	var nonce [12]byte
	binary.LittleEndian.PutUint64(nonce[4:], m.counter)
	plain, err := p[side].Open(nil, nonce[:], m.data[transportHead:], nil)
	if err != nil {
		return nil, forged
	}
	return plain, genuine
}
