package model

import (
	"bytes"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// A Kind says what a [Move] does.
type Kind uint8

// The kinds of moves.
const (
	Deliver   Kind = iota // a datagram in flight
	Drop                  // one
	Duplicate             // one: a copy is in flight too
	Wait                  // until something is due
	Send                  // a packet, from a host's inner side
	Restart               // a host, which loses all its state
	numKinds
)

// Move is one step of a path.
type Move struct {
	Kind Kind
	Of   uint8 // the place of the datagram in flight, or the host
	Late bool  // jitters drawn in this move are 333 ms, otherwise 0
}

// staging bounds how many packets may wait at a host before it sends no more.
const staging = 2

// moves lists what can be done in s. Late ones are not listed: whoever makes a move and sees that it drew a handshake
// makes the late one too.
func (s *state) moves(flight int) (list []Move) {
	for i := range s.flight {
		list = append(list, Move{Kind: Deliver, Of: uint8(i)})
		if s.left.drops > 0 {
			list = append(list, Move{Kind: Drop, Of: uint8(i)})
		}
		if s.left.duplicates > 0 && len(s.flight) < flight {
			list = append(list, Move{Kind: Duplicate, Of: uint8(i)})
		}
	}
	if _, ok := s.soon(); ok {
		list = append(list, Move{Kind: Wait})
	}
	for i := range uint8(hosts) {
		if s.left.packets > 0 && s.staged(int(i)) < staging {
			list = append(list, Move{Kind: Send, Of: i})
		}
		if s.left.restarts > 0 {
			list = append(list, Move{Kind: Restart, Of: i})
		}
	}
	return list
}

// step is one move in the making, and what came of it.
type step struct {
	*fixed
	s         *state
	e         entropy
	batch     protocol.Batch
	worker    protocol.Worker
	reached   Reached
	delivered int    // inner packets that came out
	accepted  bool   // the transport message that was delivered
	broken    string // what must never be, empty if all is well
}

// Reached is a set of things worth reaching.
type Reached uint32

// What a run can reach.
const (
	ReachedSession  Reached = 1 << iota // a handshake completed on both sides
	ReachedRekey                        // a second session took the place of a first on both sides
	ReachedCrossing                     // a host accepted an initiation while one of its own was waiting
	ReachedRestart                      // a host restarted and had a session again
	ReachedReplay                       // a duplicate of a transport message was refused
	ReachedPrevious                     // a message under the previous key pair was accepted
	ReachedExpiry                       // a session was refused for its age
	ReachedErasure                      // a host wiped its keys
	numReached      = iota
)

var reachedNames = [numReached]string{"session", "full rekey", "crossing initiations", "session after a restart",
	"replay refused", "previous key pair used", "session too old", "keys erased"}

// Names gives the names of all in r.
func (r Reached) Names() (list []string) {
	for i, name := range reachedNames {
		if r>>i&1 != 0 {
			list = append(list, name)
		}
	}
	return list
}

func (t *step) fail(format string, args ...any) {
	if t.broken == "" {
		t.broken = fmt.Sprintf(format, args...)
	}
}

// apply makes a move in a copy of from. The seed must be different for each state and move.
func (f *fixed) apply(from *state, m Move, seed uint64) *step {
	t := &step{fixed: f, e: entropy{state: seed, late: m.Late}}
	t.s = from.clone(&t.e)
	switch m.Kind {
	case Deliver:
		dg := t.take(m.Of)
		t.deliver(&dg)
	case Drop:
		t.take(m.Of)
		t.s.left.drops--
	case Duplicate:
		t.s.flight = append(t.s.flight, t.s.flight[m.Of])
		t.s.left.duplicates--
	case Wait:
		t.wait()
	case Send:
		t.send(int(m.Of))
		t.s.left.packets--
	case Restart:
		t.restart(int(m.Of))
		t.s.left.restarts--
	}
	for i := range t.s.side {
		h := &t.s.side[i]
		if err := h.model.compare(&h.actual); err != nil {
			t.fail("%s: %v", names[i], err)
		}
		if at, _, ok := h.device.Deadline(); ok && m.Kind == Wait && at <= t.s.now {
			t.fail("%s: a deadline at %v does not move on", names[i], time.Duration(at))
		}
	}
	return t
}

func (t *step) take(i uint8) message {
	dg := t.s.flight[i]
	rest := append([]message(nil), t.s.flight[:i]...)
	t.s.flight = append(rest, t.s.flight[i+1:]...)
	return dg
}

// window lays bytes out as a Device wants them.
func window(b []byte) protocol.Packet {
	buf := make([]byte, protocol.Headroom+len(b)+protocol.Tailroom+16)
	copy(buf[protocol.Headroom:], b)
	return protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(b)}
}

func (t *step) deliver(dg *message) {
	to := 1 - int(dg.from)
	h := &t.s.side[to]
	must := false
	if dg.kind() == transport {
		must = h.model.takes(dg.field(4), t.s.now) && !dg.taken
		if !dg.taken && !must && t.s.now.Sub(0) >= rejectAfter {
			t.reached |= ReachedExpiry
		}
		if dg.field(4) == h.model.slot[protocol.SlotPrevious].local && must {
			t.reached |= ReachedPrevious
		}
	}
	t.batch.Reset()
	h.device.HandleDatagrams(t.s.now, []protocol.Datagram{{Packet: window(dg.bytes),
		Endpoint: protocol.Endpoint{Remote: t.outer[dg.from], Local: t.outer[to].Addr()}}}, &t.batch)
	t.commit(to, dg)
	switch {
	case dg.kind() != transport:
	case t.accepted && !must && dg.taken:
		t.fail("%s accepted %v twice (REPLAY-01)", names[to], dg)
	case t.accepted && !must:
		t.fail("%s accepted %v under a key pair that it may not use any more (KEY-10)", names[to], dg)
	case !t.accepted && must:
		t.fail("%s refused %v, which is authentic, new and in time (KEY-06)", names[to], dg)
	case !t.accepted && dg.taken:
		t.reached |= ReachedReplay
	}
}

func (t *step) wait() {
	at, _ := t.s.soon()
	t.s.now = at
	for i := range t.s.side {
		if t.s.side[i].model.passed(at) {
			t.reached |= ReachedErasure
		}
	}
	for i := range t.s.side {
		if due, _, ok := t.s.side[i].device.Deadline(); ok && due <= at {
			t.batch.Reset()
			t.s.side[i].device.HandleTimeout(at, &t.batch)
			t.commit(i, nil)
		}
	}
}

func (t *step) send(i int) {
	t.batch.Reset()
	t.s.side[i].device.HandlePackets(t.s.now, []protocol.Packet{window(t.packet[i])}, &t.batch)
	t.commit(i, nil)
}

func (t *step) restart(i int) {
	d, err := t.device(i, t.s.now, &t.e)
	if err != nil {
		t.fail("%s: %v", names[i], err)
		return
	}
	t.s.side[i] = side{device: d, model: ring{erase: timers.Never}, again: true}
}

// commit finishes what a device wants done and takes note of all that came out of it. dg is what was delivered, nil
// if nothing was.
func (t *step) commit(i int, dg *message) {
	h := &t.s.side[i]
	protocol.Finish(t.s.now, h.device, &t.batch, &t.worker)
	for _, e := range t.batch.Events {
		t.heed(i, &e)
	}
	for _, d := range t.batch.Deliveries {
		t.accepted = true
		t.delivered++
		if dg == nil || !bytes.Equal(d.Bytes(), t.packet[1-i]) {
			t.fail("%s delivered a packet that nobody sent", names[i])
		}
	}
	if dg != nil && dg.kind() == transport && t.accepted {
		t.used(h, dg)
	}
	for out := range t.batch.Outgoing() {
		t.emit(i, out.Bytes())
	}
}

// used moves the model for an accepted transport message.
func (t *step) used(h *side, dg *message) {
	for k := range t.s.flight {
		if t.s.flight[k].id == dg.id {
			t.s.flight[k].taken = true
		}
	}
	older := h.model.slot[protocol.SlotCurrent].exists()
	if h.model.used(dg.field(4)) {
		t.reached |= ReachedSession
		if t.s.side[0].again || t.s.side[1].again {
			t.reached |= ReachedRestart
		}
		if older {
			t.reached |= ReachedRekey
		}
	}
}

// heed follows an event.
func (t *step) heed(i int, e *protocol.Event) {
	h := &t.s.side[i]
	switch e.Kind {
	case protocol.EventKeySlot:
		if e.From != protocol.SlotNone && h.actual[e.From] == e.Local {
			h.actual[e.From] = 0
		}
		if e.To != protocol.SlotNone {
			h.actual[e.To] = e.Local
		}
	case protocol.EventInitiationSent:
		if h.sent && t.s.now.Sub(h.sentAt) < 5*time.Second {
			t.fail("%s sent initiations %v apart (HS-21)", names[i], t.s.now.Sub(h.sentAt))
		}
		h.sent, h.sentAt, h.latest, h.waiting = true, t.s.now, e.Local, true
	case protocol.EventInitiationAccepted:
		if h.waiting {
			t.reached |= ReachedCrossing
		}
		h.waiting = false // "a single handshake state per peer" (HS-12)
	case protocol.EventResponseSent:
		h.model.answered(session{local: e.Local, remote: e.Remote, born: t.s.now})
	case protocol.EventResponseAccepted:
		if !h.waiting || e.Local != h.latest {
			t.fail("%s accepted a response to %08x, which is not what it waits for (HS-08, HS-11)", names[i], e.Local)
		}
		h.waiting = false
		h.model.completed(session{local: e.Local, remote: e.Remote, born: t.s.now, initiator: true})
	case protocol.EventKeepaliveReceived:
		t.accepted = true
	case protocol.EventGaveUp:
		h.purged = true
	}
}

// emit puts a datagram of a host on the wire, after a look at what it sends.
func (t *step) emit(i int, b []byte) {
	h := &t.s.side[i]
	t.s.serial++
	m := message{id: t.s.serial, from: uint8(i), made: t.s.now, bytes: bytes.Clone(b)}
	if m.kind() == transport {
		current := &h.model.slot[protocol.SlotCurrent]
		switch {
		case m.field(4) == h.model.slot[protocol.SlotNext].remote && h.model.slot[protocol.SlotNext].exists():
			t.fail("%s sent under a key pair that the initiator has not confirmed (HS-16)", names[i])
		case !current.exists() || m.field(4) != current.remote:
			t.fail("%s sent to index %08x, which is not that of its current key pair (KEY-05)", names[i], m.field(4))
		case t.s.now.Sub(current.born) >= rejectAfter:
			t.fail("%s sent under a key pair that is %v old (KEY-10)", names[i], t.s.now.Sub(current.born))
		case m.counter() != current.sent:
			t.fail("%s sent counter %d, the next under this key is %d: a nonce again (MSG-14)", names[i], m.counter(),
				current.sent)
		}
		current.sent++
	}
	t.s.flight = append(t.s.flight, m)
}
