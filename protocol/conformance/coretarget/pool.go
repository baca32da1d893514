package coretarget

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// pool models the processors that do handshakes: k of them, each busy for the same time with a job, so that jobs are
// done in the order in which they came.
type pool struct {
	queue []pooled
	busy  []timers.Time // until when each processor is
}

type pooled struct {
	job  protocol.HandshakeJob
	done timers.Time
}

func (p *pool) reset(k int) { *p = pool{busy: make([]timers.Time, max(k, 1))} }

// take moves the jobs of a batch to the pool.
func (p *pool) take(now timers.Time, b *protocol.Batch, each time.Duration) {
	for _, j := range b.Handshakes {
		first := 0
		for i, t := range p.busy {
			if t < p.busy[first] {
				first = i
			}
		}
		p.busy[first] = max(now, p.busy[first]).Add(each)
		p.queue = append(p.queue, pooled{j, p.busy[first]})
	}
	b.Handshakes = b.Handshakes[:0]
}

// next is when the first job is done.
func (p *pool) next() timers.Time {
	if len(p.queue) == 0 {
		return timers.Never
	}
	return p.queue[0].done
}

// done takes the jobs that are done by now.
func (p *pool) done(now timers.Time) (jobs []protocol.HandshakeJob) {
	for len(p.queue) > 0 && p.queue[0].done <= now {
		jobs = append(jobs, p.queue[0].job)
		p.queue = p.queue[1:]
	}
	return jobs
}

// entropy is the random source of one life: the same for the same seed.
func entropy(seed uint64, life int) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "core %d life %d", seed, life)))
}
