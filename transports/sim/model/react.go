package model

import (
	"bytes"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

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
	ReachedExpiry                       // a message was refused for the age of its session
	ReachedErasure                      // a host wiped its keys
	numReached      = iota
)

var reachedNames = [numReached]string{"session", "full rekey", "crossing initiations", "session after a restart",
	"replay refused", "previous key pair used", "session too old", "keys erased"}

// work is an input in the making.
type work struct {
	*world
	h        *host // the new one
	o        outcome
	e        entropy
	batch    protocol.Batch
	worker   protocol.Worker
	accepted bool // the transport message that was delivered
}

func (t *work) fail(format string, args ...any) {
	if t.o.broken == "" {
		t.o.broken = fmt.Sprintf(format, args...)
	}
}

// workOut lets a copy of the host's device have the input.
func (w *world) workOut(h *host, in input) *outcome {
	t := &work{world: w, e: entropy{luck: w.luck, host: h.who, late: in.late, draws: h.draws}}
	if in.kind == Restart {
		var err error
		if t.h, err = w.newHost(h.who, h.now, h.draws); err != nil {
			return &outcome{next: h, broken: fmt.Sprintf("%s: %v", names[h.who], err)}
		}
		t.h.again = true
	} else {
		t.h = &host{who: h.who, now: h.now, device: h.device.Clone(&t.e), actual: h.actual, model: h.model,
			sentAt: h.sentAt, latest: h.latest, sent: h.sent, waiting: h.waiting, late: h.late, heard: h.heard,
			heardAt: h.heardAt, again: h.again}
	}
	switch in.kind {
	case Deliver:
		t.deliver(in.msg)
	case Wait:
		t.wait(in.at)
	case Send:
		t.h.device.HandlePackets(h.now, []protocol.Packet{window(w.packet[h.who])}, &t.batch)
		t.commit(nil)
	}
	if err := t.h.model.compare(&t.h.actual); err != nil {
		t.fail("%s: %v", names[h.who], err)
	}
	t.o.shook, t.h.draws = t.e.draws > h.draws, t.e.draws
	t.o.next = w.seal(t.h)
	return &t.o
}

// window lays bytes out as a Device wants them.
func window(b []byte) protocol.Packet {
	buf := make([]byte, protocol.Headroom+len(b)+protocol.Tailroom+16)
	copy(buf[protocol.Headroom:], b)
	return protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(b)}
}

func (t *work) deliver(m *message) {
	h := t.h
	must, fresh := false, false
	if m.kind() == transport {
		index := m.receiver()
		fresh = h.model.fresh(index, m.counter())
		must = fresh && h.model.takes(index, h.now)
		if s := h.model.find(index); s != nil && !h.model.takes(index, h.now) {
			t.o.reached |= ReachedExpiry
		}
		if must && index == h.model.slot[protocol.SlotPrevious].local {
			t.o.reached |= ReachedPrevious
		}
	}
	h.device.HandleDatagrams(h.now, []protocol.Datagram{{Packet: window(m.bytes),
		Endpoint: protocol.Endpoint{Remote: t.outer[m.from], Local: t.outer[h.who].Addr()}}}, &t.batch)
	t.commit(m)
	switch {
	case m.kind() != transport:
	case t.accepted && !fresh:
		t.fail("%s accepted %v twice (REPLAY-01)", names[h.who], m)
	case t.accepted && !must:
		t.fail("%s accepted %v under a key pair that it may not use any more (KEY-10)", names[h.who], m)
	case !t.accepted && must:
		t.fail("%s refused %v, which is authentic, new and in time (KEY-06)", names[h.who], m)
	case !fresh:
		t.o.reached |= ReachedReplay
	}
}

// wait lets time pass. A device is called whether something is due or not: what its state is relative to is its own
// time, which must be that of the world.
func (t *work) wait(at timers.Time) {
	t.h.now = at
	if t.h.model.passed(at) {
		t.o.reached |= ReachedErasure
		t.h.waiting = false
	}
	t.h.device.HandleTimeout(at, &t.batch)
	t.commit(nil)
	if due, _, ok := t.h.device.Deadline(); ok && due <= at {
		t.fail("%s: a deadline at %v does not move on", names[t.h.who], time.Duration(at))
	}
}

// commit finishes what a device wants done and takes note of all that came out of it. m is what was delivered, nil
// if nothing was.
func (t *work) commit(m *message) {
	h := t.h
	protocol.Finish(h.now, h.device, &t.batch, &t.worker)
	for i := range t.batch.Events {
		t.heed(&t.batch.Events[i], m)
	}
	for _, d := range t.batch.Deliveries {
		t.accepted = true
		t.o.delivered++
		if m == nil || !bytes.Equal(d.Bytes(), t.packet[1-h.who]) {
			t.fail("%s delivered a packet that nobody sent", names[h.who])
		}
	}
	if t.accepted && m != nil && m.kind() == transport {
		older := h.model.slot[protocol.SlotCurrent].exists()
		if h.model.used(m.receiver(), m.counter()) {
			t.o.reached |= ReachedSession
			if older {
				t.o.reached |= ReachedRekey
			}
		}
	}
	for out := range t.batch.Outgoing() {
		t.emit(t.message(h.who, h.now, bytes.Clone(out.Bytes())))
	}
}

// heed follows an event.
func (t *work) heed(e *protocol.Event, m *message) {
	h := t.h
	switch e.Kind {
	case protocol.EventKeySlot:
		if e.From != protocol.SlotNone && h.actual[e.From] == e.Local {
			h.actual[e.From] = 0
		}
		if e.To != protocol.SlotNone {
			h.actual[e.To] = e.Local
		}
	case protocol.EventInitiationSent:
		if h.sent && h.now.Sub(h.sentAt) < 5*time.Second {
			t.fail("%s sent initiations %v apart (HS-21)", names[h.who], h.now.Sub(h.sentAt))
		}
		h.sent, h.sentAt, h.latest, h.waiting, h.late = true, h.now, e.Local, true, t.e.late
	case protocol.EventInitiationAccepted:
		if h.waiting {
			t.o.reached |= ReachedCrossing
		}
		if h.heard && stamp(m.made) <= stamp(h.heardAt) {
			t.fail("%s accepted %v, whose timestamp is not greater than the greatest one (TAI-02)", names[h.who], m)
		}
		h.heard, h.heardAt = true, m.made
		h.waiting = false // "a single handshake state per peer" (HS-12)
	case protocol.EventResponseSent:
		h.model.answered(session{local: e.Local, remote: e.Remote, born: h.now})
	case protocol.EventResponseAccepted:
		if !h.waiting || e.Local != h.latest {
			t.fail("%s accepted a response to %08x, which is not what it waits for (HS-08, HS-11)", names[h.who], e.Local)
		}
		h.waiting = false
		h.model.completed(session{local: e.Local, remote: e.Remote, born: h.now, initiator: true})
	case protocol.EventKeepaliveReceived:
		t.accepted = true
	}
}

// emit puts a datagram of a host on the wire, after a look at what it sends.
func (t *work) emit(m *message) {
	h := t.h
	switch m.kind() {
	case transport:
		current, next := &h.model.slot[protocol.SlotCurrent], &h.model.slot[protocol.SlotNext]
		switch {
		case next.exists() && m.receiver() == next.remote:
			t.fail("%s sent under a key pair that the initiator has not confirmed (HS-16)", names[h.who])
		case !current.exists() || m.receiver() != current.remote:
			t.fail("%s sent to index %08x, which is not that of its current key pair (KEY-05)", names[h.who], m.receiver())
		case h.now.Sub(current.born) >= rejectAfter:
			t.fail("%s sent under a key pair that is %v old (KEY-10)", names[h.who], h.now.Sub(current.born))
		case m.counter() != current.sent:
			t.fail("%s sent counter %d, the next under this key is %d: a nonce again (MSG-14)", names[h.who], m.counter(),
				current.sent)
		}
		current.sent++
	case cookieReply:
		t.fail("%s sent a cookie reply without being under load (COOKIE-12)", names[h.who])
	}
	t.o.out = append(t.o.out, m)
}
