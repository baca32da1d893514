package model

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// host is one side at one moment: the device, what its events said, and what the model says. Once made it is never
// changed, so that any number of states can share it.
type host struct {
	who    uint8
	now    timers.Time
	device *protocol.Device
	actual [protocol.NumSlots]uint32 // local index by slot, of EventKeySlot
	model  ring
	draws  uint32 // handshakes drawn so far on the path

	sentAt  timers.Time // of its latest initiation, if sent
	latest  uint32      // its index
	sent    bool        // since its start
	waiting bool        // for an answer to that
	late    bool        // it drew a jitter with it, which its key pair will have: no part of AppendState
	heard   bool        // it accepted an initiation since its start
	heardAt timers.Time // when the latest of them was made
	again   bool        // it was restarted

	// What follows from the above.
	exact   hash // two hosts with this the same are equal to the last byte
	text    hash // two hosts with this the same differ in time and in the names of indices alone
	indices [2*3 + 1]uint32
	due     timers.Time // when the device wants to be called
	aged    timers.Time // when a packet would meet other rules than now
	staged  int
	words   string // what text is the hash of; only in amnesic worlds, whose states are compared

	mu   sync.Mutex
	memo map[input]*outcome
}

// input is what can happen to a host.
type input struct {
	kind Kind // Deliver, Wait, Send or Restart
	late bool
	msg  *message    // Deliver
	at   timers.Time // Wait
}

// outcome is what a host makes of an input.
type outcome struct {
	next      *host
	out       []*message
	reached   Reached
	delivered int  // inner packets that came out
	shook     bool // a handshake was drawn, so that another jitter may lead elsewhere
	broken    string
}

// newHost is a host after a start.
func (w *world) newHost(who uint8, now timers.Time, draws uint32) (*host, error) {
	h := &host{who: who, now: now, model: ring{erase: timers.Never}, draws: draws}
	d, err := w.device(who, now, &entropy{luck: w.luck, host: who})
	if err != nil {
		return nil, err
	}
	h.device = d
	return h, nil
}

// seal works out what follows from a host, after which it is not changed any more, and gives the one that is equal.
func (w *world) seal(h *host) *host {
	at := make([]byte, 0, 1024)
	at = h.device.AppendState(at)
	pending := bytes.Contains(at, []byte(" pending #"))
	ago := func(t timers.Time) time.Duration { return h.now.Sub(t) }
	at = fmt.Appendf(at, "%s waiting=%t", names[h.who], h.waiting)
	if pending || h.waiting {
		at = fmt.Appendf(at, " late=%t", h.late)
	}
	if h.sent {
		at = fmt.Appendf(at, " sent=%v", min(ago(h.sentAt), 5*time.Second))
	}
	if h.heard {
		at = fmt.Appendf(at, " heard=%v", ago(h.heardAt))
	}
	for slot := protocol.SlotPrevious; slot < protocol.NumSlots; slot++ {
		s := &h.model.slot[slot]
		i := 2 * (slot - protocol.SlotPrevious)
		h.indices[i], h.indices[i+1] = s.local, s.remote
		if s.exists() {
			at = fmt.Appendf(at, " %v age=%v initiator=%t sent=%d taken=%x", slot, min(ago(s.born), eraseAfter), s.initiator,
				s.sent, s.taken)
		}
	}
	if h.model.erase < timers.Never {
		at = fmt.Appendf(at, " erase=%v", h.model.erase.Sub(h.now))
	}
	if pending || h.waiting {
		h.indices[6] = h.latest
	}
	text := at
	if w.forget != nil {
		text = w.forget(bytes.Clone(at))
	}
	h.text = sum(text)
	if w.amnesic {
		h.words = string(text)
	}
	at = fmt.Appendf(at, "\n%d %d %d %t %d %d %t %x", h.now, h.draws, h.sentAt, h.again, h.heardAt, h.latest, h.sent,
		h.indices)
	h.exact = sum(at)
	if !w.amnesic {
		if old, ok := w.hosts.get(h.exact); ok {
			return old
		}
	}
	h.due, h.aged = timers.Never, h.model.soon(h.now)
	if due, _, armed := h.device.Deadline(); armed {
		h.due = max(due, h.now)
	}
	for p := range h.device.Peers() {
		h.staged = p.Staged
	}
	if w.amnesic {
		return h
	}
	return w.hosts.one(h.exact, h)
}

// same reports whether h and o cannot be told apart, but for the luck that is left to them.
func (h *host) same(o *host) bool {
	return h == o || h.now == o.now && h.text == o.text && h.indices == o.indices
}

// appendNamed appends the host's text with its indices as name has them.
func (h *host) appendNamed(b []byte, name func(uint32) byte) []byte {
	b = append(b, h.text[:]...)
	for _, index := range h.indices {
		b = append(b, name(index))
	}
	return b
}

// react gives what a host makes of an input.
func (w *world) react(h *host, in input) *outcome {
	if w.amnesic {
		return w.workOut(h, in)
	}
	h.mu.Lock()
	o := h.memo[in]
	h.mu.Unlock()
	if o != nil {
		return o
	}
	if in.late {
		o = w.react(h, input{kind: in.kind, msg: in.msg, at: in.at})
	}
	if o == nil || o.shook { // jitter makes no difference where none is drawn
		o = w.workOut(h, in)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.memo == nil {
		h.memo = map[input]*outcome{}
	}
	if old := h.memo[in]; old != nil {
		return old
	}
	h.memo[in] = o
	return o
}

// deadTo reports whether a message can do nothing at h any more, whatever comes: it is for an index that h has no use
// for or, once h cannot restart, an initiation that is no news.
func (m *message) deadTo(h *host, mayRestart bool) bool {
	switch m.kind() {
	case initiation:
		return !mayRestart && h.heard && stamp(m.made) <= stamp(h.heardAt)
	case response:
		return !h.waiting || m.receiver() != h.latest
	case transport:
		return !h.model.takes(m.receiver(), h.now) && (!h.waiting || m.receiver() != h.latest)
	}
	return false
}
