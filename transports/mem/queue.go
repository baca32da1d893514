package mem

import (
	"net"
	"sync"

	"github.com/purewire/purewire/protocol"
)

// item is a packet or a datagram in a queue. Its buffer belongs to the queue and is used again.
type item struct {
	buf  []byte
	from protocol.Endpoint // of a datagram: as its receiver sees it
	tos  uint8
	peer protocol.PeerID // of a delivery
}

// queue is a bounded first-in, first-out queue that copies in and out. Its waiting is on conditions, so that a
// testing/synctest bubble sees who waits.
type queue struct {
	mu       sync.Mutex
	nonEmpty sync.Cond
	nonFull  sync.Cond
	ring     []item
	head, n  int
	closed   bool
	lost     uint64
}

func newQueue(size int) *queue {
	q := &queue{ring: make([]item, size)}
	q.nonEmpty.L, q.nonFull.L = &q.mu, &q.mu
	return q
}

// put appends a copy of data. If the queue is full it waits, or, if it may not, loses it. False: the queue is closed.
func (q *queue) put(data []byte, with item, wait bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == len(q.ring) && !q.closed {
		if !wait {
			q.lost++
			return true
		}
		q.nonFull.Wait()
	}
	if q.closed {
		return false
	}
	at := &q.ring[(q.head+q.n)%len(q.ring)]
	with.buf = append(at.buf[:0], data...)
	*at = with
	q.n++
	q.nonEmpty.Signal()
	return true
}

// take waits until there is an item and then gives up to most of them to use, one after the other, as long as use
// says that it had room. An item that had none stays. The lock is held, so use only copies.
func (q *queue) take(most int, use func(*item) bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == 0 && !q.closed {
		q.nonEmpty.Wait()
	}
	if q.closed {
		return net.ErrClosed
	}
	for ; most > 0 && q.n > 0 && use(&q.ring[q.head]); most-- {
		q.head = (q.head + 1) % len(q.ring)
		q.n--
		q.nonFull.Signal()
	}
	return nil
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.nonEmpty.Broadcast()
	q.nonFull.Broadcast()
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
