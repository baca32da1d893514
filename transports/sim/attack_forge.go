package sim

import (
	"encoding/binary"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol"
)

// Attackers who know the protocol: what they can do with public keys alone.

// grant is what an attacker knows of the cookies of a target.
type grant struct {
	mac1   [grantsOpen][16]byte // of its last initiations: what a cookie reply is sealed with
	next   int
	cookie [16]byte
	has    bool
}

// grantsOpen is how many initiations an attacker remembers while it waits for a cookie.
const grantsOpen = 64

// takes lets an attacker have a datagram that came to its own address: the cookie that it was given (paper §5.4.7).
func (a *attacker) takes(d *datagram) {
	for i, n := range a.targets {
		g := &a.grants[i]
		if len(d.data) != cookieSize || d.data[0] != typeCookie || n.cfg.Name != d.from {
			continue
		}
		key := blake2s.Sum256(append([]byte("cookie--"), n.public[:]...))
		seal, err := chacha20poly1305.NewX(key[:])
		if err != nil {
			panic("sim: xchacha20poly1305 refuses 32 bytes: " + err.Error())
		}
		for k := range g.mac1 {
			if cookie, err := seal.Open(nil, d.data[8:32], d.data[32:], g.mac1[k][:]); err == nil {
				g.has = true
				copy(g.cookie[:], cookie)
			}
		}
	}
}

// initiation fills b, which is random, with an initiation for a target that has the right mac1, and a mac2 if the
// attacker was given a cookie. Of the rest it makes as much as the kind of attack says.
func (a *attacker) initiation(kind AttackKind, target int, b []byte) {
	n := a.targets[target]
	binary.LittleEndian.PutUint32(b, typeInitiation)
	switch kind {
	case AttackLowOrder:
		clear(b[8:40]) // of order 1: every Diffie-Hellman with it is zero (CRYPTO-11)
	case AttackImpostor:
		a.impersonate(n, b)
	}
	mac := mac1(n.public, b[:initiationSize-32])
	copy(b[initiationSize-32:], mac[:])
	if kind != AttackWithCookie {
		return
	}
	g := &a.grants[target]
	g.mac1[g.next%grantsOpen] = mac
	g.next++
	clear(b[initiationSize-16:])
	if g.has {
		h, err := blake2s.New128(g.cookie[:])
		if err != nil {
			panic("sim: blake2s refuses a key of 16 bytes: " + err.Error())
		}
		h.Write(b[:initiationSize-16])
		h.Sum(b[:initiationSize-16])
	}
}

// impersonate seals the public key of a peer of n into the initiation in b, which anybody can. The timestamp is
// random: to seal that takes the peer's private key (paper §5.4.2).
func (a *attacker) impersonate(n *node, b []byte) {
	if len(n.peers) == 0 {
		return
	}
	victim := n.peers[a.rnd.Intn(len(n.peers))].public
	private := derive(a.rnd.Uint64(), "ephemeral", a.cfg.Name)
	ephemeral := parse(protocol.PrivateKey(private))
	copy(b[8:40], ephemeral.PublicKey().Bytes())
	chain := blake2s.Sum256([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	hash := mix(chain, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
	hash = mix(hash, n.public[:])
	chain, _, _ = kdf(chain, b[8:40])
	hash = mix(hash, b[8:40])
	_, key, _ := kdf(chain, dh(ephemeral, n.public))
	aead(key).Seal(b[40:40], make([]byte, 12), victim[:], hash[:])
}
