package sim

import (
	"math/bits"
	"time"

	"github.com/purewire/purewire/timers"
)

// Queue is a bottleneck: a line of so many bits a second with a buffer before it. The sizes that count are those of the
// outer IP packets. A full buffer drops what comes (tail drop); CoDel also drops when datagrams have been waiting too
// long for too long (RFC 8289).
type Queue struct {
	Rate  uint64 // bits per second; at least 1000
	Limit int    // bytes that may wait; zero: what the line carries in 100 ms, but at least 3000
	CoDel bool
	// Target and Interval of CoDel; zero: 5 ms and 100 ms.
	Target, Interval time.Duration
}

// Judge implements [Rule]. It is never called: Fresh gives what keeps the state.
func (q Queue) Judge(now timers.Time, p *Passing, r *Rand) Verdict { return q.Fresh().Judge(now, p, r) }

// Fresh implements [Rule]. The buffer is empty at first.
func (q Queue) Fresh() Rule {
	q.Rate = max(q.Rate, 1000)
	if q.Limit == 0 {
		q.Limit = max(int(min(q.Rate, 1<<40)/80), 3000)
	}
	if q.Target == 0 {
		q.Target = 5 * time.Millisecond
	}
	if q.Interval == 0 {
		q.Interval = 100 * time.Millisecond
	}
	return &queue{Queue: q}
}

// queue is the state of a Queue. Since it is first in, first out, what will happen to a datagram is known when it
// comes: it leaves when those before it have left. CoDel decides at the moment of leaving, which is worked out in
// advance; its fate is therefore told a little early.
type queue struct {
	Queue
	busy timers.Time // when the line is free
	codel
}

// codel is the state that RFC 8289 §5 describes.
type codel struct {
	above    timers.Time // when the waiting will have been too long for an interval; 0: it is not too long
	dropping bool
	count    uint64
	last     uint64 // count when it last left the dropping state
	next     timers.Time
}

// OuterSize is the length of the outer IP packet that carries a UDP payload, in bytes.
func (p *Passing) OuterSize() int {
	if p.Dst.Addr().Is4() {
		return ip4Header + upperHeader + len(p.Data)
	}
	return ip6Header + upperHeader + len(p.Data)
}

// serial is how long the line needs for so many bytes.
func (q *Queue) serial(size int) time.Duration {
	hi, lo := bits.Mul64(uint64(size)*8, uint64(time.Second))
	d, _ := bits.Div64(hi%q.Rate, lo, q.Rate)
	return time.Duration(d)
}

func (q *queue) Judge(now timers.Time, p *Passing, _ *Rand) Verdict {
	size := p.OuterSize()
	wait := max(q.busy.Sub(now), 0)
	hi, lo := bits.Mul64(uint64(wait), q.Rate)
	backlog, _ := bits.Div64(hi, lo, 8*uint64(time.Second))
	if wait > 0 && backlog+uint64(size) > uint64(q.Limit) {
		return Verdict{Drop: true, Why: "queue full", Kind: FaultTailDrop}
	}
	if q.CoDel && q.drop(now.Add(wait), wait, backlog) {
		return Verdict{Drop: true, Why: "codel", Kind: FaultCoDel}
	}
	q.busy = now.Add(wait + q.serial(size))
	v := Verdict{Delay: q.busy.Sub(now), Why: "queue"}
	if wait > 0 {
		v.Kind = FaultQueueDelay
	}
	return v
}

// drop is CoDel's decision on a datagram that leaves the buffer at a moment after a wait. A backlog under one datagram
// is never too long.
func (q *queue) drop(leaves timers.Time, wait time.Duration, backlog uint64) bool {
	long := false
	switch {
	case wait < q.Target || backlog <= 1500:
		q.above = 0
	case q.above == 0:
		q.above = leaves.Add(q.Interval)
	default:
		long = leaves >= q.above
	}
	switch {
	case q.dropping && !long:
		q.dropping = false
	case q.dropping && leaves >= q.next:
		q.count++
		q.next = q.law(q.next)
		return true
	case !q.dropping && long:
		q.dropping = true
		// Start near the rate that last worked if that was not long ago.
		delta := q.count - q.last
		q.count = 1
		if delta > 1 && leaves.Sub(q.next) < 16*q.Interval {
			q.count = delta
		}
		q.next = q.law(leaves)
		q.last = q.count
		return true
	}
	return false
}

// law is RFC 8289's control law: an interval divided by the square root of the count, here in 1/1024.
func (q *queue) law(t timers.Time) timers.Time {
	return t.Add(time.Duration(uint64(q.Interval) * 1024 / max(root(q.count<<20), 1)))
}

// root is the whole part of a square root, by Newton's method.
func root(n uint64) uint64 {
	if n < 2 {
		return n
	}
	x := uint64(1) << ((bits.Len64(n) + 1) / 2)
	for {
		y := (x + n/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
}
