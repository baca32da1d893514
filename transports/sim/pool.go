package sim

import (
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// pool models the processors that do a host's handshake jobs: k workers, each busy for the same time with each job.
// So jobs are done in the order in which they came.
type pool struct {
	queue []poolJob
	busy  []timers.Time // until when each worker is busy
	late  int           // jobs at the head of the queue that were done while the host slept
}

type poolJob struct {
	job   protocol.HandshakeJob
	cause *datagram // the datagram that made the job; nil: the host's own
}

// reset empties the pool, gives it k workers and returns the jobs that were in it.
func (p *pool) reset(k int) []poolJob {
	lost := p.queue
	*p = pool{busy: make([]timers.Time, k)}
	return lost
}

// add queues a job and gives the time at which it will be done.
func (p *pool) add(now timers.Time, j poolJob, service time.Duration) timers.Time {
	first := 0
	for i, t := range p.busy {
		if t < p.busy[first] {
			first = i
		}
	}
	done := max(now, p.busy[first]).Add(service)
	p.busy[first] = done
	p.queue = append(p.queue, j)
	return done
}

func (p *pool) pop() poolJob {
	j := p.queue[0]
	n := copy(p.queue, p.queue[1:])
	p.queue[n] = poolJob{}
	p.queue = p.queue[:n]
	return j
}

// overworked is how long a job must have to wait for a host to be one that cannot be expected to shake hands in time.
const overworked = 500 * time.Millisecond

// hire moves the jobs of a batch into the pool. A job is the doing of cause if cause is a handshake message.
func (n *node) hire(cause *datagram) {
	b := &n.batch
	if cause != nil && (len(cause.data) == 0 || cause.data[0] != typeInitiation && cause.data[0] != typeResponse) {
		cause = nil
	}
	for _, j := range b.Handshakes {
		if cause != nil {
			cause.jobs++
		}
		done := n.pool.add(n.s.now, poolJob{j, cause}, n.jobTime)
		if n.jobTime > 0 {
			n.s.took(FaultSlowCPU)
		}
		if done.Sub(n.s.now) > overworked {
			n.strained = max(n.strained, done)
		}
		n.s.at(done, event{kind: evJob, who: int32(n.index), gen: uint32(n.life)})
	}
	b.Handshakes = b.Handshakes[:0]
}

// jobDone comes up when the first job in the pool is done.
func (n *node) jobDone(life uint32) {
	switch {
	case !n.running || life != uint32(n.life):
	case n.asleep:
		n.pool.late++
	default:
		n.giveBack()
	}
}

func (n *node) giveBack() {
	j := n.pool.pop()
	jobs := []protocol.HandshakeJob{j.job}
	n.worker.Shake(jobs)
	n.batch.Reset()
	n.dev.HandleShaken(n.now(), jobs, &n.batch)
	if j.cause != nil {
		j.cause.jobs--
	}
	n.settle(j.cause)
}

// finish does the work of the batch: all of it at once, or, if jobs take time, all but those.
func (n *node) finish(cause *datagram) {
	b := &n.batch
	if n.jobTime == 0 && len(n.pool.queue) == 0 {
		protocol.Finish(n.now(), n.dev, b, &n.worker)
		return
	}
	for n.hire(cause); len(b.Open) > 0; n.hire(cause) {
		opened := append([]protocol.OpenJob(nil), b.Open...)
		b.Open = b.Open[:0]
		n.worker.Open(opened)
		n.dev.HandleOpened(n.now(), opened, b)
	}
	n.worker.Seal(b.Seal)
}
