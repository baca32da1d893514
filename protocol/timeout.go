package protocol

import (
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/timers"
)

// duePerCall bounds the work of one HandleTimeout, so that no call takes long however many peers are due.
const duePerCall = 256

// HandleTimeout does what is due at now, at most 256 entries of it; Deadline stays at or before now while
// there is more. Called when nothing is due it does nothing.
func (d *Device) HandleTimeout(now timers.Time, out *Batch) {
	d.tick(now, out)
	for range duePerCall {
		t, kind, at, ok := d.queue.Next()
		if !ok || at > d.now {
			return
		}
		p := d.peer(PeerID(t.ID()))
		d.emit(out, Event{Kind: EventTimerFired, Peer: p.id, Timer: kind, Deadline: at})
		d.fire(p, kind, out)
		d.traceTimers(p, kind, out)
	}
}

// fire does what rules.md §1.5 lists under the timer.
func (d *Device) fire(p *peer, kind timers.Kind, out *Batch) {
	// An attacker on the path who sees our index could keep a forged response in work all the time and so put off
	// the retry. He could as well drop our messages.
	if kind == timers.RetransmitHandshake && p.consuming > 0 {
		p.timers.DeferRetry() // a response is being looked at: wait for what it says (design §4)
		return
	}
	switch p.timers.Expire(d.now, kind) {
	case timers.ActRetry:
		p.forgetSource() // TIMER-24
		d.initiate(p, CauseRetransmit, true, out)
	case timers.ActGiveUp:
		d.giveUp(p, out)
	case timers.ActKeepalive:
		// "If nothing at all is sent to that peer for 10 s, send one empty message" (TIMER-12).
		if d.bad != "no-passive-keepalive" {
			d.keepalive(p, CauseKeepalive, out)
		}
	case timers.ActNewHandshake:
		// "After sending data, if nothing authentic arrives for 15 s + J, start a handshake" (TIMER-16).
		if d.bad != "no-dead-peer-detection" {
			p.forgetSource()
			d.initiate(p, CauseSilence, false, out)
		}
	case timers.ActZero:
		if d.bad != "no-erasure" {
			d.emit(out, Event{Kind: EventKeysZeroed, Peer: p.id})
			d.zero(p, out)
		}
	case timers.ActPersistentKeepalive:
		if d.bad != "keepalive-once" || p.current().maySend(d.now, d.bad) {
			d.keepalive(p, CausePersistentKeepalive, out)
		}
	}
}

// giveUp ends an attempt phase: what waited is dropped (TIMER-04), the key pairs stay (TIMER-06).
func (d *Device) giveUp(p *peer, out *Batch) {
	if d.bad == "never-give-up" {
		d.initiate(p, CauseRetransmit, true, out)
		return
	}
	d.emit(out, Event{Kind: EventGaveUp, Peer: p.id, Attempt: p.timers.Attempts()})
	if d.bad != "give-up-keeps-staged" {
		d.purge(p, out)
	}
}

// The TAI64N timestamp (paper §5.1): label 2^62 + 10 is Unix second 0 (TAI-08), and the nanoseconds are cut to
// multiples of 2^24, so that they are no precise clock (TAI-07).
const (
	tai64Base  = 1<<62 + 10
	stampGrain = 1 << 24
)

// stamp gives the timestamp of an initiation to p: now, or, should the wall clock have gone back or not have
// moved far enough, just after the one sent last (TAI-06, TAI-10).
func (d *Device) stamp(p *peer) (t [12]byte) {
	at := d.wallClock().UnixNano()
	if d.bad != "precise-timestamp" {
		at = coarse(at)
	}
	if p.stamped && at <= p.lastStamp {
		at = coarse(p.lastStamp + stampGrain)
	}
	p.lastStamp, p.stamped = at, true
	base := int64(tai64Base)
	if d.bad == "timestamp-offset" {
		base = 10
	}
	wall := time.Unix(0, at)
	binary.BigEndian.PutUint64(t[:], uint64(base+wall.Unix()))
	binary.BigEndian.PutUint32(t[8:], uint32(wall.Nanosecond()))
	return t
}

// coarse cuts the nanoseconds within the second of a Unix time in ns.
func coarse(ns int64) int64 {
	t := time.Unix(0, ns)
	return ns - int64(t.Nanosecond()%stampGrain)
}
