package protocoltest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
)

// ErrEntropy is what a failing [Entropy] returns.
var ErrEntropy = errors.New("protocoltest: the entropy source fails, as the test wants it")

// Entropy is an io.Reader whose bytes depend on a seed and a label and on nothing else: ChaCha8 keyed with a hash of
// both. It is for tests; whoever knows the seed knows every key. One goroutine at a time.
type Entropy struct {
	// Failing makes Read fail, with nothing drawn.
	Failing bool
	source  *rand.ChaCha8
	drawn   int
}

// NewEntropy gives the stream of one seed and label. Devices of one test take the same seed and their own labels.
func NewEntropy(seed uint64, label string) *Entropy {
	text := binary.BigEndian.AppendUint64([]byte("purewire/protocoltest "), seed)
	return &Entropy{source: rand.NewChaCha8(sha256.Sum256(append(text, label...)))}
}

// Read fills p, or fails if Failing is set; it never reads in part.
func (e *Entropy) Read(p []byte) (int, error) {
	if e.Failing {
		return 0, ErrEntropy
	}
	e.drawn += len(p)
	return e.source.Read(p)
}

// Drawn is the number of bytes read so far.
func (e *Entropy) Drawn() int { return e.drawn }
