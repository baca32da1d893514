package timers

// Expire fires timer k if it is due: it disarms it, does what the rules ask of the other timers, and returns what is
// left for the caller to do. A timer that is not due stays as it is, so spurious calls do nothing.
func (p *Peer) Expire(now Time, k Kind) Action {
	if at, armed := p.Deadline(k); !armed || at > now {
		return ActNone
	}
	p.cancel(k)
	switch k {
	case RetransmitHandshake:
		p.deferred = false
		if p.attempts <= MaxAttempts {
			return ActRetry
		}
		// The end of the attempt phase (§6.4): sending has failed, so no keepalive; what is left of old sessions
		// goes in time even if none was derived by this attempt (KEY-13). T5 goes on (TIMER-20).
		p.cancel(SendKeepalive)
		p.armIfIdle(ZeroKeyMaterial, now.Add(KeyErasureTime))
		return ActGiveUp
	case SendKeepalive:
		return ActKeepalive
	case NewHandshake:
		return ActNewHandshake
	case ZeroKeyMaterial:
		return ActZero
	}
	// Armed again here and not by the keepalive, which may be impossible to send: "again and again" (TIMER-20).
	p.anyTraversal(now)
	return ActPersistentKeepalive
}
