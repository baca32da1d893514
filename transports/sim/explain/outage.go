package explain

import "fmt"

// outage is a time in which one side was not heard although the other sent what has to be answered: data is answered
// within 10 s if only by a keepalive (TIMER-12), an initiation at once (HS-03).
type outage struct {
	silent      int      // side
	from, to    int64    // from the first message without an answer
	last, next  *message // of the silent side, before and after; nil: none
	asked       []*message
	initiations int
	data        int
}

// outageAfter is the passive keepalive's time with what a timer may be late.
const outageAfter = 12 * second

// outages finds them all, in order of their begin.
func (a *analysis) outages(t *tunnel) (all []outage) {
	var open [2]outage
	var last [2]*message
	for i := range open {
		open[i].silent = i
	}
	take := func(o *outage, to int64) {
		o.to = to
		if len(o.asked) >= 2 && o.to-o.from >= outageAfter {
			all = append(all, *o)
		}
	}
	for _, m := range t.messages {
		if m.kind == malformed || m.copyOf != nil || m.open == forged || m.ident.mac1 == forged {
			continue // nobody has to answer these
		}
		if o := &open[m.from]; len(o.asked) > 0 {
			o.next = m
			take(o, m.at)
		}
		last[m.from] = m
		open[m.from] = outage{silent: m.from, last: m}
		if m.carries() || m.kind == initiation {
			o := &open[1-m.from]
			o.last = last[1-m.from]
			if len(o.asked) == 0 {
				o.from = m.at
			}
			o.asked = append(o.asked, m)
			if m.kind == initiation {
				o.initiations++
			} else {
				o.data++
			}
		}
	}
	for i := range open {
		if o := &open[i]; len(o.asked) > 0 {
			take(o, a.end)
		}
	}
	return all
}

// evidence is what the counters of the silent side say about the time.
type evidence struct {
	missing uint64
	low     uint64
	high    uint64
	before  *message
	after   *message
	joined  bool // a session of before was used after
}

func (t *tunnel) evidence(o *outage) (e evidence) {
	for _, x := range t.exchanges {
		f := &x.flow[o.silent]
		if f.first == nil || f.first.at > o.from || f.last.at < o.to {
			continue
		}
		e.joined = true
		for i := range f.gaps {
			g := &f.gaps[i]
			if g.missing > 0 && g.before.at <= o.from+second && g.after.at >= o.to {
				e.missing += g.missing
				e.low, e.high, e.before, e.after = g.low, g.high, g.before, g.after
			}
		}
	}
	return e
}

// diagnoseOutages tells each.
func (a *analysis) diagnoseOutages(t *tunnel, all []outage) {
	for i := range all {
		o := &all[i]
		e := t.evidence(o)
		idle := o.idleBefore(t)
		switch {
		case idle >= natIdle && o.last != nil && e.missing == 0:
			a.natTimeout(t, o, idle)
		case e.missing > 0:
			a.repliesLost(t, o, &e)
		case o.next == nil && o.last == nil:
			a.noAnswer(t, o)
		case o.next == nil:
			a.peerGone(t, o)
		case e.joined:
			a.requestsLost(t, o)
		default:
			a.cameBack(t, o)
		}
	}
}

func (o *outage) what() string {
	switch {
	case o.initiations == 0:
		return fmt.Sprintf("%d data messages", o.data)
	case o.data == 0:
		return fmt.Sprintf("%d initiations", o.initiations)
	}
	return fmt.Sprintf("%d data messages and %d initiations", o.data, o.initiations)
}

// icmpDuring finds errors about what went to the silent side.
func (a *analysis) icmpDuring(t *tunnel, side int, from, to int64) *unreachable {
	for i := range a.icmp {
		u := &a.icmp[i]
		if u.at < from || u.at > to+second || u.tooBig {
			continue
		}
		for _, at := range t.ends[side].at {
			if at == u.dst {
				return u
			}
		}
	}
	return nil
}

func (a *analysis) repliesLost(t *tunnel, o *outage, e *evidence) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "replies-lost", Certainty: Certain, From: o.from, To: o.to, weight: 90}
	here := "the capture"
	if t.near(a.places(t), 1-o.silent) {
		here = "this side"
	}
	f.Title = fmt.Sprintf("replies never reach %s: for %s nothing of %s came to %s", here, span(o), silent, asking)
	f.Text = fmt.Sprintf("%s sent %s without an answer. %s was alive and sending: across that time its counters jump by "+
		"%d "+
		"(%d to %d are missing), so it sent these %d messages, and they were lost before the capture. One direction was "+
		"broken, from %s to %s.", asking, o.what(), silent, e.missing+1, e.low, e.high, e.missing, silent, asking)
	if e.missing*3 >= uint64(o.data) && e.missing >= 5 {
		f.Text += fmt.Sprintf(" So many were answers: the way from %s to %s worked.", asking, silent)
	}
	f.Advice = fmt.Sprintf("Look for what drops UDP from %s to %s on the way: a firewall, a NAT, an asymmetric route.",
		silent, asking)
	a.find(t, f, o.last, o.asked[0], o.lastAsked(initiation), e.before, e.after, o.next)
}

func span(o *outage) string { return seconds(o.to - o.from) }

// lastAsked is the last unanswered message of a kind.
func (o *outage) lastAsked(k kind) (m *message) {
	for _, q := range o.asked {
		if q.kind == k {
			m = q
		}
	}
	return m
}

func (a *analysis) noAnswer(t *tunnel, o *outage) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "no-answer", Certainty: Possible, From: o.from, To: o.to, weight: 80,
		Title: "no answer at all: nothing of " + silent + " is in the capture"}
	f.Text = fmt.Sprintf("%s sent %s in %s.", asking, o.what(), span(o))
	if u := a.icmpDuring(t, o.silent, o.from, o.to); u != nil {
		f.Certainty = Certain
		f.Packets = append(f.Packets, u.Ref)
		f.Text += fmt.Sprintf(" An ICMP error came from %s: %s.", u.from, u.what)
		f.Advice = "Start WireGuard at " + silent + ", or correct the endpoint's address and port."
	} else {
		f.Or = []string{"the endpoint's address or port is wrong, or nothing runs there",
			"a firewall drops the initiations, or the answers, on the way",
			fmt.Sprintf("%s refuses them silently: it does not know %s's key, or %s has a wrong key for it", silent, asking,
				asking)}
		f.Advice = "A capture at the other side tells the first two apart from the third; --config of both tells the third."
	}
	a.find(t, f, append([]*message{o.asked[0]}, o.asked...)...)
}

func (a *analysis) peerGone(t *tunnel, o *outage) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "peer-gone", Certainty: Possible, From: o.from, To: o.to, weight: 85,
		Title: fmt.Sprintf("%s is not heard any more from %s on, to the end of the capture", silent, a.when(o.from))}
	f.Text = fmt.Sprintf("Its last message is packet %s. %s sent %s since, for %s.", a.packet(o.last.ref()), asking,
		o.what(), span(o))
	if u := a.icmpDuring(t, o.silent, o.from, o.to); u != nil {
		f.Certainty = Certain
		f.Packets = append(f.Packets, u.Ref)
		f.Text += fmt.Sprintf(" An ICMP error came from %s: %s. WireGuard at %s ended, or its port changed.", u.from, u.what,
			silent)
	} else {
		f.Or = []string{silent + " or its network is down", "what it sends is lost on the way here (one direction is broken)",
			"what is sent to it is lost on the way, and it has nothing to send of its own"}
		if t.near(a.places(t), o.silent) {
			f.Or = []string{"WireGuard at " + silent + " ended, or its host stopped or sleeps", "a firewall on its host drops " +
				"them"}
		}
		f.Advice = "A capture at the other side tells these apart."
	}
	a.find(t, f, o.last, o.asked[0], o.lastAsked(initiation), o.lastAsked(transport))
}

func (a *analysis) requestsLost(t *tunnel, o *outage) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "requests-lost", Certainty: Likely, From: o.from, To: o.to, weight: 88}
	f.Title = fmt.Sprintf("nothing of %s reached %s for %s", asking, silent, span(o))
	f.Text = fmt.Sprintf("%s sent %s without an answer, and %s sent nothing at all in that time: its counters go on "+
		"without a "+
		"gap. Had it received data it would have sent a keepalive within 10 s (TIMER-12).", asking, o.what(), silent)
	f.Or = []string{silent + " slept or stood still"}
	if t.near(a.places(t), o.silent) {
		f.Title = fmt.Sprintf("%s did not react for %s to what came to its host", silent, span(o))
		f.Or = append(f.Or, "a firewall on its host dropped what came in")
	} else {
		f.Or = append(f.Or, fmt.Sprintf("the way from the capture to %s was cut in that direction", silent))
	}
	a.find(t, f, o.last, o.asked[0], o.next)
}

// cameBack tells an outage that ended with another session.
func (a *analysis) cameBack(t *tunnel, o *outage) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "outage", Certainty: Possible, From: o.from, To: o.to, weight: 70,
		Title: fmt.Sprintf("%s was not heard for %s, then came back with a new handshake", silent, span(o))}
	f.Text = fmt.Sprintf("%s sent %s without an answer.", asking, o.what())
	f.Or = []string{silent + " was restarted, or slept", "one or both directions of the way were cut"}
	u := a.icmpDuring(t, o.silent, o.from, o.to)
	early := o.next.kind == initiation && o.next.exchange != nil && o.next.exchange.cause.kind == "early"
	if early || o.next.kind == response && o.initiations == 1 {
		how := "answered the first initiation at once, but none of the data on the old session before it"
		if o.next.kind == initiation {
			how = "came back with an initiation of its own"
		}
		f.Kind, f.Certainty, f.weight = "peer-restarted", Likely, 86
		f.Title = fmt.Sprintf("%s was restarted, or lost its sessions in some other way", silent)
		f.Text += fmt.Sprintf(" %s %s: it no longer knew that session (LIFE-01, LIFE-02). The tunnel was dead for %s, which "+
			"%s needs to notice (TIMER-16).", silent, how, span(o), asking)
		f.Or = []string{"the way was cut and came back just then"}
	}
	if u != nil {
		f.Packets = append(f.Packets, u.Ref)
		f.Text += fmt.Sprintf(" An ICMP error in that time says: %s.", u.what)
		f.Kind, f.Certainty, f.Or, f.weight = "peer-restarted", Certain, nil, 86
		f.Title = fmt.Sprintf("%s was not running for a while and was started again", silent)
	}
	a.find(t, f, o.last, o.asked[0], o.lastAsked(initiation), o.next)
}
