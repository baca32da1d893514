package protocoltest

import (
	"encoding/binary"
	"math/bits"
)

// Forged handshake messages need a valid mac1, or they are stopped before anything interesting. The standard library
// has no BLAKE2s and this package may use nothing but that, so here is RFC 7693 in its plainest form. A test compares
// it with golang.org/x/crypto.

var blakeIV = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// blakeSigma is the message schedule: which word each half of each mixing step takes (RFC 7693 §2.7).
var blakeSigma = [10][16]byte{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

// blakeLanes are the columns and diagonals of the state that one round mixes.
var blakeLanes = [8][4]byte{
	{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15},
	{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14},
}

const blakeBlock = 64

// blake2s hashes data to size bytes (at most 32), keyed if key is not empty (at most 32 bytes).
func blake2s(size int, key, data []byte) []byte {
	h := blakeIV
	h[0] ^= 0x01010000 ^ uint32(len(key))<<8 ^ uint32(size)
	if len(key) > 0 {
		data = append(append(make([]byte, 0, blakeBlock+len(data)), key...), append(make([]byte, blakeBlock-len(key)),
			data...)...)
	}
	done := 0
	for len(data)-done > blakeBlock {
		done += blakeBlock
		blakeMix(&h, data[done-blakeBlock:done], uint64(done), false)
	}
	var last [blakeBlock]byte
	copy(last[:], data[done:])
	blakeMix(&h, last[:], uint64(len(data)), true)
	var out [32]byte
	for i, w := range h {
		binary.LittleEndian.PutUint32(out[4*i:], w)
	}
	return out[:size]
}

// blakeMix is the compression function F of RFC 7693 §3.2.
func blakeMix(h *[8]uint32, block []byte, count uint64, last bool) {
	var m, v [16]uint32
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(block[4*i:])
	}
	copy(v[:8], h[:])
	copy(v[8:], blakeIV[:])
	v[12] ^= uint32(count)
	v[13] ^= uint32(count >> 32)
	if last {
		v[14] = ^v[14]
	}
	for _, s := range blakeSigma {
		for i, l := range blakeLanes {
			a, b, c, d := &v[l[0]], &v[l[1]], &v[l[2]], &v[l[3]]
			*a += *b + m[s[2*i]]
			*d = bits.RotateLeft32(*d^*a, -16)
			*c += *d
			*b = bits.RotateLeft32(*b^*c, -12)
			*a += *b + m[s[2*i+1]]
			*d = bits.RotateLeft32(*d^*a, -8)
			*c += *d
			*b = bits.RotateLeft32(*b^*c, -7)
		}
	}
	for i := range h {
		h[i] ^= v[i] ^ v[i+8]
	}
}

// mac1 is the first MAC of a handshake message for the owner of public, over all bytes before it (COOKIE-01): what
// everybody who knows the public key can compute.
func mac1(public [32]byte, before []byte) []byte {
	return blake2s(16, blake2s(32, nil, append([]byte("mac1----"), public[:]...)), before)
}
