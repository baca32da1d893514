package explain

import "slices"

// cause is why an initiation was probably sent. It is inferred from times and never more than that: nothing in the
// message says it.
type cause struct {
	kind string // first, retry, dead-peer, age-send, age-receive, expired, early, unknown
	text string
	rule string
}

// Times of the protocol (rules.md §1.1), in nanoseconds, and how much a tap and a timer may be off.
const (
	second        = int64(1e9)
	rekeyAfter    = 120 * second
	rekeyReceive  = 165 * second
	rejectAfter   = 180 * second
	retryAfter    = 5 * second
	retryLatest   = 6 * second // 5 s, jitter, and the kernel's timer wheel
	keepaliveTime = 10 * second
	deadAfter     = 15 * second
	deadLatest    = 16200 * second / 1000
	slack         = second / 2
	promptly      = 300 * second / 1000
	attemptPhase  = 90 * second
)

// inferCauses goes through the initiations of a tunnel in order.
func (t *tunnel) inferCauses() {
	var before [2]*exchange
	for _, x := range t.exchanges {
		if x.init == nil {
			continue
		}
		if p := before[x.from]; p != nil && p.confirmation() == nil && x.init.at-p.init.at <= retryLatest {
			x.retry = p.retry + 1
			x.cause = cause{"retry", "the one before led to nothing", "TIMER-01"}
		} else {
			x.cause = t.firstCause(x)
		}
		before[x.from] = x
	}
}

// firstCause explains an initiation that begins an attempt.
func (t *tunnel) firstCause(x *exchange) cause {
	at, side := x.init.at, x.from
	session := t.sessionAt(at)
	if session == nil {
		if len(t.messages) > 0 && t.messages[0] != x.init && t.messages[0].kind == transport {
			return cause{"unknown", "the session before it began before the capture", ""}
		}
		return cause{"first", "there is no session, and something to send", "HS-01"}
	}
	sent, received, unanswered := t.lookBack(x.init)
	if unanswered != nil && at-unanswered.at >= deadAfter-slack && at-unanswered.at <= deadLatest {
		return cause{"dead-peer", "nothing came back for 15 s after data was sent", "TIMER-16"}
	}
	if session.resp == nil {
		return cause{"unknown", "the session before it began before the capture, so its age is not known", ""}
	}
	age := at - session.resp.at
	lately := func(m *message) bool { return m != nil && at-m.at <= promptly }
	switch {
	case age >= rejectAfter-slack:
		return cause{"expired", "the session was too old to send with", "TIMER-11"}
	case session.from == side && age >= rekeyReceive-slack && lately(received) && !lately(sent):
		return cause{"age-receive", "it received on a session older than 165 s", "TIMER-08"}
	case session.from == side && age >= rekeyAfter-slack && lately(sent):
		return cause{"age-send", "it sent on a session older than 120 s", "TIMER-07"}
	case session.from == side && age >= rekeyAfter-slack:
		return cause{"age-send", "its session was older than 120 s (what it sent then was not seen)", "TIMER-07"}
	}
	return cause{"early", "no timer asks for it: it was restarted or reconfigured, or did not hear the other side " +
		"for 15 s, whose messages were lost behind the capture", ""}
}

// sessionAt gives the latest session that was in use before a time.
func (t *tunnel) sessionAt(at int64) (s *exchange) {
	for _, x := range t.exchanges {
		if x.start() >= at {
			break
		}
		if f := x.firstData(); f != nil && f.at < at {
			s = x
		}
	}
	return s
}

// lookBack finds the last transport messages that the sender of m sent and received before it, and the first data
// that it
// sent after the last thing that came from the other side.
func (t *tunnel) lookBack(m *message) (sent, received, unanswered *message) {
	at, _ := slices.BinarySearchFunc(t.messages, m.at, func(e *message, at int64) int { return compareInt(e.at, at) })
	for i := at - 1; i >= 0; i-- {
		e := t.messages[i]
		switch {
		case e.kind == malformed || e.copyOf != nil || e.kind == cookieReply:
		case e.from != m.from:
			if e.kind == transport {
				received = e
			}
			return sent, received, unanswered
		case e.kind == transport:
			if sent == nil {
				sent = e
			}
			if e.carries() {
				unanswered = e
			}
		}
	}
	return sent, received, unanswered
}
