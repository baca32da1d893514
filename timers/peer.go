package timers

import (
	"fmt"
	"time"
)

// Peer is the timer state of one peer, meant to be embedded by value; it must not be copied (see [Queue.AddCopy]).
// The zero value is down and belongs to no queue.
type Peer struct {
	deadline          [NumKinds - 1]Time // of kind k at k-1; Never: not armed
	lastHandshakeSent Time               // of an initiation or response, if handshakeSent
	queue             *Queue
	id                uint32
	slot              uint32 // place in the queue's heap plus one; 0: none
	interval          uint16 // of the persistent keepalive, in seconds; 0: off
	attempts          uint8  // retries of the current attempt phase
	up                bool
	handshakeSent     bool
	lastMinute        bool // receiving has caused a handshake for this session (TIMER-08)
	deferred          bool // T1 fired while a response was being consumed
}

// ID returns the id given to [Queue.Add].
func (p *Peer) ID() uint32 { return p.id }

// IsUp reports whether timers may be armed.
func (p *Peer) IsUp() bool { return p.up }

// PersistentKeepalive returns the configured interval in seconds, 0 for none.
func (p *Peer) PersistentKeepalive() uint16 { return p.interval }

// Attempts returns the number of retries counted in the current attempt phase.
func (p *Peer) Attempts() int { return int(p.attempts) }

// Deadline returns the moment timer k is due, or Never and false if it is not armed.
func (p *Peer) Deadline(k Kind) (at Time, armed bool) {
	if !p.up || k == None || k >= NumKinds || p.deadline[k-1] == Never {
		return Never, false
	}
	return p.deadline[k-1], true
}

// Up lets timers be armed. With a persistent keepalive T5 is due at once, which sends the first one (E11,
// TIMER-22): so bringing up a million peers does no work here. Up of a peer that is up changes nothing.
func (p *Peer) Up(now Time) {
	if p.queue == nil {
		panic("timers: Up of a peer that is in no queue")
	}
	if !p.up {
		p.up = true
		p.KickPersistentKeepalive(now)
	}
}

// Down cancels all timers and forgets the attempt phase and the last handshake message, so that the next Up starts
// clean and may initiate at once (E12, LIFE-04). The persistent keepalive interval is configuration and stays.
func (p *Peer) Down() {
	p.up, p.attempts, p.handshakeSent, p.lastMinute, p.deferred = false, 0, false, false, false
	for i := range p.deadline {
		p.deadline[i] = Never
	}
}

// SetPersistentKeepalive sets the interval, 0 for off. From off to on T5 is due at once (TIMER-22); from one
// interval to another it starts anew and sends nothing (TIMER-23), unless it was due already; the same again
// changes nothing.
func (p *Peer) SetPersistentKeepalive(now Time, seconds uint16) {
	old := p.interval
	p.interval = seconds
	switch {
	case seconds == old:
	case seconds == 0:
		p.cancel(PersistentKeepalive)
	case old == 0:
		p.KickPersistentKeepalive(now)
	case p.deadline[PersistentKeepalive-1] > now:
		p.anyTraversal(now)
	}
}

// KickPersistentKeepalive makes T5 due at once if there is an interval, for a peer that just became reachable.
func (p *Peer) KickPersistentKeepalive(now Time) {
	if p.interval > 0 {
		p.arm(PersistentKeepalive, now)
	}
}

func (p *Peer) arm(k Kind, at Time) {
	if !p.up {
		return
	}
	p.deadline[k-1] = at
	if at < Never {
		p.queue.schedule(p, at)
	}
}

func (p *Peer) armIfIdle(k Kind, at Time) {
	if p.deadline[k-1] == Never {
		p.arm(k, at)
	}
}

// cancel leaves the queue alone: its entry is then too early, which Next corrects when it comes to it.
func (p *Peer) cancel(k Kind) { p.deadline[k-1] = Never }

// earliest returns the peer's next timer, the smaller kind of two at one moment; None and Never if nothing is armed.
func (p *Peer) earliest() (k Kind, at Time) {
	at = Never
	for i, t := range p.deadline {
		if t < at {
			k, at = Kind(i+1), t
		}
	}
	return k, at
}

// The eight hooks. Each is one row of the table in rules §1.5; the composite events are made of them.

// dataSent arms T3 only if it is idle: the 15 s run from the first unanswered data (TIMER-16, TIMER-17).
func (p *Peer) dataSent(now Time, jitter time.Duration) {
	p.armIfIdle(NewHandshake, now.Add(NewHandshakeTime+jitter))
}

// dataReceived arms T2 only if it is idle: 10 s from the first unanswered data (TIMER-12).
//
// Linux and wireguard-go also remember that more data came while T2 ran, in order to arm it again when it fires.
// Here that variable does not exist (OPEN-3): T2 firing sends a message, every message sent cancels T2, and so the
// second keepalive could never be seen. TIMER-15 permits one as well as two.
func (p *Peer) dataReceived(now Time) { p.armIfIdle(SendKeepalive, now.Add(KeepaliveTimeout)) }

// anySent cancels T2: whatever was sent has told the peer that we are alive (TIMER-14).
func (p *Peer) anySent() { p.cancel(SendKeepalive) }

// anyReceived cancels T3: the peer is alive (TIMER-17).
func (p *Peer) anyReceived() { p.cancel(NewHandshake) }

// anyTraversal starts T5 anew (TIMER-19).
func (p *Peer) anyTraversal(now Time) {
	if p.interval > 0 {
		p.arm(PersistentKeepalive, now.Add(time.Duration(p.interval)*time.Second))
	}
}

// handshakeInitiated starts T1 anew (TIMER-01).
func (p *Peer) handshakeInitiated(now Time, jitter time.Duration) {
	p.deferred = false
	p.arm(RetransmitHandshake, now.Add(RekeyTimeout+jitter))
}

// handshakeComplete ends the attempt phase (TIMER-26).
func (p *Peer) handshakeComplete() {
	p.cancel(RetransmitHandshake)
	p.attempts, p.lastMinute, p.deferred = 0, false, false
}

// sessionDerived starts T4 anew (KEY-13).
func (p *Peer) sessionDerived(now Time) { p.arm(ZeroKeyMaterial, now.Add(KeyErasureTime)) }

// AppendState appends a line with all that decides what p will do, times relative to now, and how long ago we last
// sent a handshake message clamped to the 5 s for which it matters.
func (p *Peer) AppendState(b []byte, now Time) []byte {
	b = fmt.Appendf(b, " timers up=%t every=%d attempts=%d lastminute=%t deferred=%t", p.up, p.interval, p.attempts,
		p.lastMinute, p.deferred)
	if p.handshakeSent {
		b = fmt.Appendf(b, " sent=%v", min(now.Sub(p.lastHandshakeSent), RekeyTimeout))
	}
	for _, k := range Kinds() {
		if at, armed := p.Deadline(k); armed {
			b = fmt.Appendf(b, " %v=%v", k, at.Sub(now))
		}
	}
	return append(b, '\n')
}
