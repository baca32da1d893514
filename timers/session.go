package timers

// Session is what the age rules need to know of a key pair. The age counts from the derivation of the keys
// (KEY-11). Boundaries count as reached: at exactly 120, 165 or 180 s the rule applies (OPEN-11).
type Session struct {
	Born      Time
	Initiator bool // we sent the initiation of this session
}

// Expired reports whether the session may no longer be used in either direction (KEY-10, TIMER-11).
func (s Session) Expired(now Time) bool { return now.Sub(s.Born) >= RejectAfterTime }

// RekeyOnSend reports whether a transport message just sent on the session calls for a new handshake. counter is
// the session's next send counter. Age counts only for the side that initiated, so that the two ends do not both
// rekey (TIMER-07, TIMER-10); the counter counts for both (TIMER-09). A keepalive is a transport message too
// (TIMER-27).
func (s Session) RekeyOnSend(now Time, counter uint64) bool {
	return counter > RekeyAfterMessages || s.Initiator && now.Sub(s.Born) >= RekeyAfterTime
}

// RekeyOnReceive reports whether a transport message just received calls for a new handshake, s being the current
// session: only for its initiator, only from 165 s on, and once per session, of which it makes a note (TIMER-08).
func (p *Peer) RekeyOnReceive(now Time, s Session) bool {
	if !p.up || p.lastMinute || !s.Initiator || now.Sub(s.Born) < RekeyOnReceiveTime {
		return false
	}
	p.lastMinute = true
	return true
}
