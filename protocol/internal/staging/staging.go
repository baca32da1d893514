// Package staging keeps copies of inner packets that wait for a handshake (rules QUEUE), bounded in packets
// per peer and in bytes per device.
package staging

import "slices"

// Budget is the memory that all queues of one device share.
type Budget struct {
	Limit int // bytes
	used  int
}

// Queue is what waits for one peer, oldest first. The zero value is ready.
type Queue struct{ packets [][]byte }

// Len is the number of packets that wait.
func (q *Queue) Len() int { return len(q.packets) }

// Push copies p to the end, into a buffer with room for head bytes before and tail bytes behind it. To make
// room the oldest packets go (QUEUE-03); it returns how many were lost, which includes p itself if it would
// not fit even into an empty queue.
func (q *Queue) Push(b *Budget, most int, p []byte, head, tail int) (lost int) {
	size := head + len(p) + tail
	for len(q.packets) > 0 && (len(q.packets) >= most || b.used+size > b.Limit) {
		b.used -= len(q.packets[0])
		q.packets = slices.Delete(q.packets, 0, 1)
		lost++
	}
	if most < 1 || b.used+size > b.Limit {
		return lost + 1
	}
	buf := make([]byte, size)
	copy(buf[head:], p)
	q.packets = append(q.packets, buf)
	b.used += size
	return lost
}

// Clone gives a copy of the queue that shares no packet with it, for a copy of the budget.
func (q *Queue) Clone() (c Queue) {
	for _, p := range q.packets {
		c.packets = append(c.packets, slices.Clone(p))
	}
	return c
}

// Take hands over every buffer, oldest first; the queue forgets them.
func (q *Queue) Take(b *Budget) [][]byte {
	packets := q.packets
	q.packets = nil
	for _, p := range packets {
		b.used -= len(p)
	}
	return packets
}
