package sim

import "github.com/purewire/purewire/protocol"

// previous: KEY-06. It follows the key pairs of every host from outside: a session begins when a response is sent or
// taken, and moves when the first message on it is taken.
type previous struct {
	slots map[pair]*keySlots // looked up only
}

// keySlots are the key pairs that a host must know for a peer.
type keySlots struct {
	current, previous, next *session
	epoch                   int
}

func (*previous) about() (name, rule string) {
	return "previous-key", "what was under way when the key changed is taken as long as the old pair lives: until it is " +
		"180 s old or two newer ones are there (KEY-06, KEY-09)"
}

func (c *previous) of(w *watch, host, peer string) *keySlots {
	k := pair{host, peer}
	s := c.slots[k]
	if epoch := w.s.byName[host].epoch; s == nil || s.epoch != epoch {
		s = &keySlots{epoch: epoch}
		c.slots[k] = s
	}
	return s
}

func (c *previous) see(w *watch, r *Record) {
	switch {
	case r.forgets():
		delete(c.slots, pair{r.Host, r.Peer})
	case r.Kind == KindDatagram && w.read.kind == typeResponse && w.read.session != nil:
		// The responder derives its keys: previous dropped, next the new pair (rules §1.4).
		s := c.of(w, r.Host, w.read.peer)
		s.previous, s.next = nil, w.read.session
	case r.Kind == KindFate:
		of := w.of(r.Datagram)
		n := w.s.byName[r.To]
		if of == nil || of.session == nil || n == nil {
			return
		}
		peer := w.s.byName[of.from].canon
		if genuine(r) {
			c.of(w, r.To, peer).took(of)
		} else if r.Fate == FateRejected && !r.Damaged && of.kind == typeTransport {
			w.looked()
			c.judge(w, r, of, peer)
		}
	}
}

// took moves the pairs as rules §1.4 say.
func (s *keySlots) took(of *carried) {
	switch {
	case of.kind == typeResponse && s.current != of.session:
		s.previous = s.current
		if s.next != nil {
			s.previous = s.next
		}
		s.current, s.next = of.session, nil
	case of.kind == typeTransport && s.next == of.session:
		s.previous, s.current, s.next = s.current, s.next, nil
	}
}

// judge excuses what a host may forget: a key that is too old, and one that the two newest have displaced.
func (c *previous) judge(w *watch, r *Record, of *carried, peer string) {
	if r.Reason != protocol.DropUnknownIndex {
		return // it knows the key
	}
	n, s, k := w.s.byName[r.To], of.session, c.of(w, r.To, peer)
	end := 1 - of.end
	if s != k.current && s != k.previous && s != k.next || !s.alive[end] || s.epoch[end] != n.epoch {
		return
	}
	if age := n.felt().Sub(s.born[end]); age < rejectAfter {
		w.fault(r.To, "does not know a key any more on which %s sends, %s old", of.from, seconds(age))
	}
}
