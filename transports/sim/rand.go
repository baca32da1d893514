package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Rand is a random stream. Each purpose in a run has one of its own, which follows from the seed and a name, so that
// adding a host or a flow leaves the luck of all others as it was. It is an [io.Reader] that never fails.
type Rand struct{ src *rand.ChaCha8 }

// NewRand makes the stream of a name.
func NewRand(seed uint64, name string) *Rand {
	return &Rand{rand.NewChaCha8(derive(seed, "stream", name))}
}

// derive gives 32 bytes that follow from the seed, a kind of use and a name.
func derive(seed uint64, use, name string) [32]byte {
	b := []byte("purewire sim\x00" + use + "\x00")
	b = binary.LittleEndian.AppendUint64(b, seed)
	return sha256.Sum256(append(b, name...))
}

// Read fills p.
func (r *Rand) Read(p []byte) (int, error) { return r.src.Read(p) }

// Uint64 draws 64 bits.
func (r *Rand) Uint64() uint64 { return r.src.Uint64() }

// Intn draws from 0 to n−1. n must be positive. The bias of the remainder is under n/2^64.
func (r *Rand) Intn(n int) int { return int(r.src.Uint64() % uint64(n)) }

// Duration draws from 0 to d, both included; 0 draws nothing.
func (r *Rand) Duration(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.src.Uint64() % (uint64(d) + 1))
}

// Chance is true with the given probability. A probability of zero draws nothing.
func (r *Rand) Chance(p Ratio) bool {
	return p.Num > 0 && r.src.Uint64()%uint64(max(p.Den, 1)) < uint64(p.Num)
}
