package timers

// Queue knows the earliest deadline of all peers of a device. The zero value is ready.
//
// It is a heap of branching four with at most one entry per peer. An entry is never later than its peer's earliest
// deadline, but may be earlier: a packet touches the heap only to move a deadline forward, while cancelling and
// putting off, which is what nearly every packet does, leave the entry stale for Next to correct. So each entry is
// corrected about once per timer length instead of once per packet. A peer with nothing armed has no entry.
type Queue struct{ heap []entry }

// entry is ordered by time, then id; the kind is the peer's to say.
type entry struct {
	at   Time
	peer *Peer
}

func (e entry) before(f entry) bool { return e.at < f.at || e.at == f.at && e.peer.id < f.peer.id }

// Add makes p a peer of this queue: down, nothing armed, no persistent keepalive. The id breaks ties and must be
// unique in the queue. Adding a peer that is in a queue is a bug and panics.
func (q *Queue) Add(p *Peer, id uint32) {
	if p.queue != nil {
		panic("timers: Add of a peer that is in a queue")
	}
	*p = Peer{queue: q, id: id}
	p.Down()
}

// AddCopy adds p with the id, timers and variables of another peer, of any queue: for cloning a device.
func (q *Queue) AddCopy(p, of *Peer) {
	q.Add(p, of.id)
	*p = *of
	p.queue, p.slot = q, 0
	if _, at := p.earliest(); at < Never {
		q.schedule(p, at)
	}
}

// Remove takes p out and resets it to its zero value. A peer that is not in this queue is left alone.
func (q *Queue) Remove(p *Peer) {
	if p.queue != q {
		return
	}
	if p.slot > 0 {
		q.delete(int(p.slot) - 1)
	}
	*p = Peer{}
}

// Next returns the earliest deadline with its peer and kind: the smaller id, then the smaller kind of those due at
// one moment. ok is false if nothing is armed. The answer holds until the next event of any peer.
func (q *Queue) Next() (p *Peer, kind Kind, at Time, ok bool) {
	for len(q.heap) > 0 {
		e := q.heap[0]
		kind, at = e.peer.earliest()
		switch {
		case at == e.at:
			return e.peer, kind, at, true
		case at == Never:
			q.delete(0)
		default:
			q.down(0, entry{at, e.peer})
		}
	}
	return nil, None, Never, false
}

// schedule makes sure that p's entry is not later than at.
func (q *Queue) schedule(p *Peer, at Time) {
	i := int(p.slot) - 1
	if i < 0 {
		i = len(q.heap)
		q.heap = append(q.heap, entry{})
	} else if q.heap[i].at <= at {
		return
	}
	q.up(i, entry{at, p})
}

func (q *Queue) delete(i int) {
	q.heap[i].peer.slot = 0
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap[n] = entry{} // or the slice would keep the peer alive
	q.heap = q.heap[:n]
	if i == n {
		return
	}
	if i > 0 && last.before(q.heap[(i-1)/4]) {
		q.up(i, last)
	} else {
		q.down(i, last)
	}
}

// up puts e at place i, whose content is void, or closer to the root.
func (q *Queue) up(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(q.heap[parent]) {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, e)
}

// down puts e at place i, whose content is void, or farther from the root.
func (q *Queue) down(i int, e entry) {
	for {
		first := 4*i + 1
		if first >= len(q.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(q.heap)); c++ {
			if q.heap[c].before(q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(e) {
			break
		}
		q.put(i, q.heap[least])
		i = least
	}
	q.put(i, e)
}

func (q *Queue) put(i int, e entry) {
	q.heap[i] = e
	e.peer.slot = uint32(i + 1)
}
