package timers

import "time"

// The composite events, E1–E12 of rules §1.5: which hooks an event of the protocol runs, in which order. E5 (cookie
// reply) has no method because it touches no timer (COOKIE-09); E10 (packet from the inner side) is WantInitiation
// or DataSent; E11 and E12 are Up and Down.

// WantInitiation is the first half of E1: it reports whether an initiation may be made now. Every wish but that of
// T1 (retry) starts the attempt phase anew (TIMER-05).
//
// Less than 5 s after our last initiation or response the answer is no, and T1, if idle, is armed for exactly the
// rest of the wait, so that no wish for a handshake is ever forgotten (OPEN-4). While T1 is armed every wish but its
// own waits for it: it is due within 5.333 s, or later because we yield after a crossing, which packets must not
// undo. Each yes must be followed by
// InitiationSent or InitiationFailed, also when the initiation comes to nothing on the way.
func (p *Peer) WantInitiation(now Time, retry bool) bool {
	if !retry {
		p.attempts = 0
		if p.up && p.deadline[RetransmitHandshake-1] != Never {
			return false
		}
	}
	return p.mayInitiate(now)
}

// mayInitiate applies the 5 s rule. Suppression does not count as an attempt.
func (p *Peer) mayInitiate(now Time) bool {
	if p.up && p.handshakeSent && now.Sub(p.lastHandshakeSent) < RekeyTimeout {
		p.armIfIdle(RetransmitHandshake, p.lastHandshakeSent.Add(RekeyTimeout))
		return false
	}
	return p.up
}

// InitiationSent is the second half of E1, at the moment the initiation is ready to leave: making it took time, in
// which a response may have left, so the 5 s rule is applied again. False means: do not send. jitter is 0 to
// MaxJitter, drawn once per initiation; retry is what WantInitiation was told.
func (p *Peer) InitiationSent(now Time, jitter time.Duration, retry bool) bool {
	if !p.mayInitiate(now) {
		return false
	}
	if retry {
		p.countAttempt()
	}
	p.stampHandshake(now)
	p.anyTraversal(now)
	p.anySent()
	p.handshakeInitiated(now, jitter)
	return true
}

// InitiationFailed ends a permitted initiation that could not be sent, for want of entropy, endpoint or identity:
// T1, if idle, tries again after 5 s. It counts as an attempt, because retrying must stop by itself whatever the
// reason that nothing comes of it (TIMER-03).
func (p *Peer) InitiationFailed(now Time) {
	p.countAttempt()
	p.armIfIdle(RetransmitHandshake, now.Add(RekeyTimeout))
}

// InitiationReceived is the end of E2, after a valid initiation was answered.
func (p *Peer) InitiationReceived(now Time) { p.KeepaliveReceived(now) }

// Yield is for after a crossing: both sides initiated, each answered the other, and both responses were for nothing.
// T1, if armed, waits for YieldTime from now (5.667 s), or on the side with the larger static key for LongYieldTime
// (10.667 s), so that one retry arrives before the other leaves (OPEN-4, OPEN-15).
//
// A side that knows nothing of this retries within 5.333 s of its initiation, and ours must not cross that again:
// hence YieldTime. Where both do it, let the other side initiate at 0 and we at c, one way taking d > c. They answer
// at c+d, and their retry is here at c+2d+5.667 s; we answered at d, and ours leaves at d+10.667 s. So c+d must be
// less than 5 s, which holds for every d up to 2.5 s, beyond which no handshake can complete: the response comes
// after the retransmission has taken its place (HS-11). LongYieldTime is also twice the longest T1, the time in
// which HS-13 wants it over.
func (p *Peer) Yield(now Time, larger bool) {
	wait := YieldTime
	if larger {
		wait = LongYieldTime
	}
	if p.deadline[RetransmitHandshake-1] != Never {
		p.arm(RetransmitHandshake, now.Add(wait))
	}
}

// ResponseSent is E3: keys were derived and the response is about to leave. It counts for the 5 s rule.
func (p *Peer) ResponseSent(now Time) {
	p.stampHandshake(now)
	p.sessionDerived(now)
	p.anyTraversal(now)
	p.anySent()
}

// ResponseReceived is E4: a valid response arrived and keys were derived. The caller then sends the staged packets
// or a keepalive (HS-14); what that arms stays armed, since it happens after the receipt.
func (p *Peer) ResponseReceived(now Time) {
	p.sessionDerived(now)
	p.handshakeComplete()
	p.anyReceived()
	p.anyTraversal(now)
}

// Confirmed is the part of E8 and E9 for the first transport message on the responder's next key pair. The caller
// reports the message itself after it.
func (p *Peer) Confirmed(_ Time) { p.handshakeComplete() }

// DataSent is E6 for a non-empty transport message. jitter is 0 to MaxJitter, drawn once per key pair, so that the
// data path draws nothing.
func (p *Peer) DataSent(now Time, jitter time.Duration) {
	p.KeepaliveSent(now)
	p.dataSent(now, jitter)
}

// KeepaliveSent is E7. An empty message asks for no answer, so T3 is left alone (TIMER-18).
func (p *Peer) KeepaliveSent(now Time) {
	p.anyTraversal(now)
	p.anySent()
}

// KeepaliveReceived is E8. T2 is left alone, or two peers would keep each other awake for ever (TIMER-13).
func (p *Peer) KeepaliveReceived(now Time) {
	p.anyReceived()
	p.anyTraversal(now)
}

// DataReceived is E9: an authentic non-empty message that is no replay, whatever its inner packet is worth (OPEN-5).
func (p *Peer) DataReceived(now Time) {
	p.KeepaliveReceived(now)
	p.dataReceived(now)
}

// KeysExpiredByIdentity is for a changed private key of our own: the next packet may initiate at once, and a retry
// that is armed, or was deferred for a response that means nothing any more, is due at once (KEY-15).
func (p *Peer) KeysExpiredByIdentity(now Time) {
	p.attempts, p.handshakeSent = 0, false
	if p.deferred || p.deadline[RetransmitHandshake-1] != Never {
		p.arm(RetransmitHandshake, now)
	}
}

// DeferRetry is for a T1 that is due while a response is being consumed: T1 waits, unarmed, for the outcome. It may
// be called instead of Expire (then a give-up waits too) or after it.
func (p *Peer) DeferRetry() {
	p.cancel(RetransmitHandshake)
	p.deferred = p.up
}

// ArmRetryNow is for a consumed response that came to nothing: a T1 that was deferred for it, and has not been armed
// since, is due at once.
func (p *Peer) ArmRetryNow(now Time) {
	if p.deferred { // until T1 fires or ends
		p.armIfIdle(RetransmitHandshake, now)
	}
}

func (p *Peer) stampHandshake(now Time) { p.lastHandshakeSent, p.handshakeSent = now, p.up }

// countAttempt stops at the number that makes T1 give up.
func (p *Peer) countAttempt() {
	if p.up && p.attempts <= MaxAttempts {
		p.attempts++
	}
}
