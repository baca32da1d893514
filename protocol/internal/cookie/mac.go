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
	stateSize   = stateH + 8*4 + 2*4
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
	digest resumable
	state  [stateLen]byte     // of a fresh keyed digest; its block is zero between calls, so no key stays here
	sum    [wire.MACSize]byte // a local array given to an interface would be moved to the heap
	source [16 + 2]byte       // an address and a port, for the same reason
}

// resumable is what blake2s.New256 documents that its digest is.
type resumable interface {
	hash.Hash
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// NewHasher returns the scratch space that one device needs for all its MACs. It panics if x/crypto no longer
// marshals its digests as the code here expects: a broken build, found at start and not at the first handshake.
func NewHasher() *Hasher {
	plain, _ := blake2s.New256(nil) // can fail by its key only
	h := &Hasher{digest: plain.(resumable)}
	fresh, _ := h.digest.MarshalBinary()
	copy(h.state[:], fresh)
	h.state[stateSize], h.state[stateFilled] = wire.MACSize, blake2s.BlockSize

	key, got := [blake2s.Size]byte{1, 2, 3}, [wire.MACSize]byte{}
	h.MAC(&got, key[:], key[:])
	reference, _ := blake2s.New128(key[:])
	reference.Write(key[:])
	if string(reference.Sum(nil)) != string(got[:]) {
		panic("cookie: the marshalled state of x/crypto/blake2s has changed")
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
	_ = h.digest.UnmarshalBinary(h.state[:]) // refuses another magic or length only, and NewHasher has tried these
	clear(block[:len(key)])
	h.digest.Write(msg)
	h.digest.Sum(h.sum[:0])
	*dst = h.sum
}
