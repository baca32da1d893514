package cookie

import (
	"encoding"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol/wire"
)

// Layout of the state that the blake2s digest marshals: a magic, eight big-endian chaining words, two counter words,
// the output length, the buffered block and how much of it is filled. NewHasher proves it before first use.
const (
	stateH      = 3
	stateC      = stateH + 8*4
	stateSize   = stateC + 2*4
	stateBlock  = stateSize + 1
	stateFilled = stateBlock + blake2s.BlockSize
	stateLen    = stateFilled + 1
)

// parameter0 is the first word of BLAKE2s's initialisation vector with fanout and depth 1 (RFC 7693 §2.5) and an
// output of 16 bytes; the key length is still to be xored in, shifted by 8.
const parameter0 = 0x6a09e667 ^ 0x01010000 ^ wire.MACSize

// Hasher computes keyed BLAKE2s-128 under any key without allocating, which blake2s.New128 cannot: a cookie is the
// key of one single MAC, so that there is no digest worth keeping per key. One unkeyed digest is kept instead, and for
// each MAC it is loaded with the state that a keyed one starts from, the padded key as its first buffered block.
type Hasher struct {
	digest hash.Hash
	loader encoding.BinaryUnmarshaler
	state  [stateLen]byte     // of a fresh keyed digest; its block is zero between calls, so no key stays here
	sum    [wire.MACSize]byte // a local array given to an interface would be moved to the heap
	source [18]byte           // input of a cookie, for the same reason
}

// NewHasher returns the scratch space that one device needs for all its MACs. It panics if x/crypto no longer
// marshals its digests as the code here expects: a broken build, found at start and not at the first handshake.
func NewHasher() *Hasher {
	const broken = "cookie: the marshalled state of x/crypto/blake2s has changed"
	digest, err := blake2s.New256(nil)
	if err != nil {
		panic(broken)
	}
	marshaler, ok := digest.(encoding.BinaryMarshaler)
	loader, ok2 := digest.(encoding.BinaryUnmarshaler)
	if !ok || !ok2 {
		panic(broken)
	}
	h := &Hasher{digest: digest, loader: loader}
	if state, err := marshaler.MarshalBinary(); err != nil || copy(h.state[:], state) != stateLen {
		panic(broken)
	}
	h.state[stateSize] = wire.MACSize
	h.state[stateFilled] = blake2s.BlockSize

	key := [blake2s.Size]byte{1, 2, 3}
	reference, err := blake2s.New128(key[:])
	if err != nil {
		panic(broken)
	}
	var got [wire.MACSize]byte
	h.MAC(&got, key[:], key[:])
	reference.Write(key[:])
	if got != [wire.MACSize]byte(reference.Sum(nil)) {
		panic(broken)
	}
	return h
}

// MAC writes Mac(key, msg) of paper §5.4 to dst: keyed BLAKE2s with a 16-byte output, "never HMAC, and not a truncated
// 32-byte output" (CRYPTO-05). The key has 1 to 32 bytes; in the protocol 16 (a cookie) or 32.
func (h *Hasher) MAC(dst *[wire.MACSize]byte, key, msg []byte) {
	if len(key) == 0 || len(key) > blake2s.Size {
		panic("cookie: MAC key of impossible length")
	}
	binary.BigEndian.PutUint32(h.state[stateH:], parameter0^uint32(len(key))<<8)
	block := h.state[stateBlock:stateFilled]
	copy(block, key)
	if err := h.loader.UnmarshalBinary(h.state[:]); err != nil {
		panic(err) // NewHasher has loaded the same layout before
	}
	clear(block[:len(key)])
	h.digest.Write(msg)
	h.digest.Sum(h.sum[:0])
	*dst = h.sum
}
