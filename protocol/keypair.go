package protocol

import (
	"crypto/cipher"
	"time"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/internal/replay"
	"github.com/purewire/purewire/timers"
)

// keypair is one session: two keys, a send counter and a replay window (paper §5.4.5, §5.4.6).
type keypair struct {
	peer          *peer
	send, receive cipher.AEAD
	counter       uint64 // of the next message sent (MSG-14)
	session       timers.Session
	jitter        time.Duration // of T3, drawn once per key pair
	local, remote uint32        // indices: ours and the peer's (KEY-04, MSG-15)
	slot          Slot
	expired       bool // our private key changed: no more sending (KEY-15), receiving goes on (KEY-16)
	window        replay.Window
}

// maySend reports whether messages may leave on k (KEY-05, KEY-10, KEY-12).
func (k *keypair) maySend(now timers.Time, bad string) bool {
	switch {
	case k == nil || k.expired:
		return false
	case k.session.Expired(now) && bad != "keys-live-forever":
		return false
	}
	return k.counter < timers.RejectAfterMessages || bad == "no-counter-limit"
}

// derive makes the key pair of a finished handshake. Its age counts from now (KEY-11); the index of the
// handshake becomes its index (KEY-04).
func (d *Device) derive(p *peer, keys *handshake.Keys, h *drawn, remote uint32, initiator bool) *keypair {
	send, receive := &keys.Responder, &keys.Initiator
	if initiator {
		send, receive = receive, send
	}
	k := &keypair{
		peer: p, send: handshake.AEAD(send), receive: handshake.AEAD(receive), local: h.index, remote: remote,
		jitter: h.newShake, session: timers.Session{Born: d.now, Initiator: initiator},
	}
	d.byIdx[k.local] = indexEntry{p, k}
	if d.bad == "forget-timestamp-on-rekey" {
		p.greatest = [12]byte{}
	}
	return k
}

// put moves k from its slot, if it has one, to another. What was there is dropped: its index is free again and
// messages under it are unknown. The reference to a key is all that Go lets us take away (SECURITY.md, SEC-04);
// outstanding jobs keep theirs. A nil k just drops.
func (d *Device) put(p *peer, k *keypair, to Slot, out *Batch) {
	if old := p.keys[to]; old != nil {
		delete(d.byIdx, old.local)
		p.keys[to], d.recent = nil, nil
		d.moved(old, SlotNone, out)
	}
	if k != nil {
		p.keys[k.slot] = nil
		p.keys[to] = k
		d.moved(k, to, out)
		if to == SlotPrevious && d.bad == "drop-previous-key" {
			d.put(p, nil, to, out)
		}
	}
}

// moved notes where k is now and reports the move. SlotNone is how a job that comes back learns that its key
// pair is gone.
func (d *Device) moved(k *keypair, to Slot, out *Batch) {
	if d.tracing(EventKeySlot) {
		d.emit(out, Event{Kind: EventKeySlot, Peer: k.peer.id, From: k.slot, To: to, Local: k.local, Remote: k.remote})
	}
	k.slot = to
}

// beginResponder installs what a responder derived: next, until the initiator proves that it has it (HS-16).
// "The responder derives keys: previous dropped, current unchanged, next the new pair" (rules.md §1.4, KEY-09).
func (d *Device) beginResponder(p *peer, k *keypair, out *Batch) {
	d.put(p, nil, SlotPrevious, out)
	d.put(p, k, SlotNext, out)
	if d.bad == "confirm-early" {
		d.promote(p, out)
	}
}

// beginInitiator installs what an initiator derived: current at once (KEY-05). A next that is still
// unconfirmed is newer than the old current, so that one becomes previous.
func (d *Device) beginInitiator(p *peer, k *keypair, out *Batch) {
	if p.keys[SlotNext] != nil {
		d.put(p, nil, SlotCurrent, out)
		d.put(p, p.keys[SlotNext], SlotPrevious, out)
	} else {
		d.put(p, p.keys[SlotCurrent], SlotPrevious, out)
	}
	d.put(p, k, SlotCurrent, out)
}

// promote makes next current, on the first authentic message under it (HS-17).
func (d *Device) promote(p *peer, out *Batch) {
	d.put(p, p.keys[SlotCurrent], SlotPrevious, out)
	d.put(p, p.keys[SlotNext], SlotCurrent, out)
}
