package explain

import (
	"fmt"
	"slices"
	"strings"
)

// diagnose looks for everything that may be wrong with a tunnel.
func (a *analysis) diagnose(t *tunnel) {
	between := a.lostBetween(t)
	a.diagnoseOutages(t, a.outages(t))
	a.identities(t)
	a.handshakes(t, between)
	a.cookies(t)
	a.moved(t)
	a.crossings(t)
	a.storm(t)
	a.gaveUp(t)
	a.oneWay(t)
	a.windows(t)
	a.sizes(t)
	a.insides(t)
	a.losses(t, between)
}

// attempt is a row of exchanges that one side initiated and that led to nothing, and what ended it.
type attempt struct {
	side     int
	list     []*exchange
	next     *exchange // the same side's next after them, nil at the end
	answered int       // with a response
	cookied  int
}

// attempts groups the exchanges of each side.
func (t *tunnel) attempts() (all []attempt) {
	for side := range 2 {
		cur := attempt{side: side}
		end := func(next *exchange) {
			if len(cur.list) > 0 {
				cur.next = next
				all = append(all, cur)
			}
			cur = attempt{side: side}
		}
		for _, x := range t.exchanges {
			if x.init == nil || x.from != side {
				continue
			}
			if x.confirmation() != nil {
				end(x)
				continue
			}
			if n := len(cur.list); n > 0 && x.init.at-cur.list[n-1].init.at > retryLatest {
				end(x)
			}
			cur.list = append(cur.list, x)
			if x.resp != nil {
				cur.answered++
			}
			if len(x.cookies) > 0 {
				cur.cookied++
			}
		}
		end(nil)
	}
	return all
}

func (p *attempt) from() int64 { return p.list[0].init.at }
func (p *attempt) to() int64   { return p.list[len(p.list)-1].end() }

func (p *attempt) messages() (all []*message) {
	for _, x := range p.list {
		all = append(all, x.init)
		if x.resp != nil {
			all = append(all, x.resp)
		}
	}
	return all
}

// worked reports that a session whose handshake this side began was ever confirmed.
func (t *tunnel) worked(side int) bool {
	return slices.ContainsFunc(t.exchanges, func(x *exchange) bool {
		return x.init != nil && x.from == side && x.confirmation() != nil
	})
}

// handshakes tells of initiations that were answered in vain, and of those that a living side did not answer.
func (a *analysis) handshakes(t *tunnel, between []lossRun) {
	outages := a.outages(t)
	for _, p := range t.attempts() {
		explained := a.covered(p.from(), p.to(), between) || p.cookied*2 >= len(p.list) ||
			slices.ContainsFunc(a.findings, func(f Finding) bool { return f.Tunnel == t.id && f.weight >= 95 })
		switch {
		case explained:
		case p.answered >= 2 || p.answered == 1 && len(p.list) == 1 && !t.establishedAfter(p.from()) &&
			a.end-p.from() > retryLatest:
			a.deaf(t, &p)
		case len(p.list)-p.answered >= 2:
			silent := slices.ContainsFunc(outages, func(o outage) bool {
				return o.silent != p.side && o.from <= p.to() && o.to >= p.from()
			})
			if !silent {
				a.refused(t, &p)
			}
		}
	}
}

// establishedAfter reports that a session came up after a time, whoever began it.
func (t *tunnel) establishedAfter(at int64) bool {
	return slices.ContainsFunc(t.exchanges, func(x *exchange) bool { return x.start() > at && x.established() })
}

func (a *analysis) covered(from, to int64, runs []lossRun) bool {
	return slices.ContainsFunc(runs, func(r lossRun) bool { return r.from <= to && r.to >= from })
}

// deaf is an initiator that goes on initiating although answers to it are in the capture.
func (a *analysis) deaf(t *tunnel, p *attempt) {
	asking, answering := t.side(p.side), t.side(1-p.side)
	f := Finding{Kind: "replies-lost", Certainty: Likely, From: p.from(), To: p.to(), weight: 87}
	f.Text = fmt.Sprintf("%s sent %d initiations, %d of them were answered, and it acted on none of the answers: no "+
		"message "+
		"of it on the new sessions.", asking, len(p.list), p.answered)
	late := 0
	for i, x := range p.list[:len(p.list)-1] {
		if x.resp != nil && x.resp.at > p.list[i+1].init.at {
			late++
		}
	}
	switch worked := t.worked(p.side); {
	case late >= 2:
		f.Kind, f.Certainty = "answers-too-late", Likely
		f.Title = fmt.Sprintf("the answers to %s come after it has tried again", asking)
		f.Text += " A response to an initiation that was repeated meanwhile is no longer accepted (HS-11)."
		f.Advice = "The round trip is longer than 5 s, or the answering side is overloaded."
	case t.near(a.places(t), p.side):
		f.Kind, f.Certainty = "wrong-psk", Possible
		f.Title = fmt.Sprintf("%s gets answers and accepts none: most often the preshared keys differ", asking)
		f.Or = []string{"a firewall on its own host drops them after the capture"}
		if worked {
			f.Kind = "replies-refused"
			f.Title = fmt.Sprintf("%s gets answers at its host and accepts none", asking)
			f.Or = append(f.Or, "the preshared key was changed on one side since the last session")
		}
		f.Advice = "Compare PresharedKey on both sides, or give both files with --config."
	case worked && t.spoke(1-p.side, p.from(), p.to()) > 0:
		f.Title = fmt.Sprintf("replies never reach %s for %s: %s answers, and %s keeps asking", asking,
			seconds(f.To-f.From), answering, asking)
		f.Text += fmt.Sprintf(" All the while %s went on with the old session, %d messages: it hears %s, and %s does not "+
			"hear "+
			"it. Handshakes between the two worked at other times, so their keys fit.", answering,
			t.spoke(1-p.side, p.from(), p.to()), asking, asking)
		f.Or = []string{"a key was changed on one side for that time"}
		f.Advice = fmt.Sprintf("Look for what drops UDP from %s to %s behind the capture.", answering, asking)
	case worked:
		f.Certainty = Possible
		f.Title = fmt.Sprintf("%s answers, but for %s %s accepts no answer", answering, seconds(f.To-f.From), asking)
		f.Text += " Handshakes between the two worked at other times."
		f.Or = []string{fmt.Sprintf("the answers are lost between the capture and %s", asking),
			"the preshared key or another key was changed on one side"}
		f.Advice = fmt.Sprintf("A capture at %s tells them apart; so does --config of both.", asking)
	default:
		f.Certainty = Possible
		f.Title = fmt.Sprintf("%s answers, but %s never accepts an answer", answering, asking)
		f.Text += " No handshake between the two worked in this capture."
		f.Or = []string{fmt.Sprintf("the answers are lost between the capture and %s", asking), "the preshared keys differ"}
		f.Advice = fmt.Sprintf("A capture at %s tells them apart; so does --config of both.", asking)
	}
	a.find(t, f, p.messages()...)
}

// spoke counts the transport messages of a side in a time.
func (t *tunnel) spoke(side int, from, to int64) (n int) {
	for _, m := range t.messages {
		if m.from == side && m.kind == transport && m.copyOf == nil && m.at >= from && m.at <= to {
			n++
		}
	}
	return n
}

// refused is a living side that answers data but not initiations.
func (a *analysis) refused(t *tunnel, p *attempt) {
	asking, silent := t.side(p.side), t.side(1-p.side)
	f := Finding{Kind: "initiations-refused", Certainty: Possible, From: p.from(), To: p.to(), weight: 84}
	f.Title = fmt.Sprintf("%s is alive but does not answer the initiations of %s", silent, asking)
	f.Text = fmt.Sprintf("%d initiations got no answer while other messages of %s went by.", len(p.list)-p.answered,
		silent)
	f.Or = []string{"the clock of " + asking + " went back: its timestamps are not newer than the last (TAI-02)",
		"a key was changed on one side", silent + " is under load and sheds them"}
	if !t.near(a.places(t), 1-p.side) {
		f.Or = append(f.Or, "the initiations are lost behind the capture")
	}
	f.Advice = "--config with the file of " + silent + " shows the timestamps and keys."
	a.find(t, f, p.messages()...)
}

// cookies tells of load, and of handshakes that do not get past it.
func (a *analysis) cookies(t *tunnel) {
	for _, p := range t.attempts() {
		if p.cookied < 3 || p.cookied*2 < len(p.list) {
			continue
		}
		asking, silent := t.side(p.side), t.side(1-p.side)
		var with, without, fits int
		var packets []*message
		for i, x := range p.list {
			packets = append(packets, x.init)
			packets = append(packets, x.cookies...)
			if i == 0 || len(p.list[i-1].cookies) == 0 || x.init.cut {
				continue
			}
			if x.init.hasMac2() {
				with++
				if x.init.ident.mac2 == genuine {
					fits++
				}
			} else {
				without++
			}
		}
		f := Finding{Kind: "cookie-loop", Certainty: Certain, From: p.from(), To: p.to(), weight: 92}
		f.Title = fmt.Sprintf("cookie loop: %s answers the initiations of %s with cookies only", silent, asking)
		f.Text = fmt.Sprintf("%d of %d initiations were answered with a cookie reply, which means that %s is under load "+
			"(COOKIE-12), and no handshake came of them.", p.cookied, len(p.list), silent)
		switch {
		case with > without:
			f.Text += fmt.Sprintf(" %d initiations after a cookie carried a mac2 and were refused all the same.", with)
			if fits > 0 {
				f.Text += fmt.Sprintf(" mac2 of %d fits the cookie before it, so %s did its part.", fits, asking)
			}
			f.Or = []string{"the address or port of " + asking + " changes on the way between two initiations (COOKIE-14)",
				silent + " is several machines behind one address, each with its own secret",
				"the secret changes or the limit per source is reached (DOS-03)"}
		default:
			f.Text += fmt.Sprintf(" %d initiations after a cookie carried no mac2: %s did not take the cookies.", without,
				asking)
			f.Or = []string{"the cookie replies do not reach " + asking,
				asking + " has another public key for its peer than the one that made the cookies (COOKIE-06)"}
		}
		a.find(t, f, packets...)
	}
}

// moved tells where the ends were seen at another address.
func (a *analysis) moved(t *tunnel) {
	for _, v := range t.moves {
		who := t.side(v.side)
		f := Finding{Kind: "nat-port-changed", Certainty: Certain, From: v.at, To: v.at, weight: 60}
		f.Title = fmt.Sprintf("the NAT port of %s changed: %s became %s", who, v.from, v.to)
		f.Text = "The same session went on from another port."
		switch {
		case v.message.kind == initiation && !v.guessed:
			f.Text = "Its static key in the initiation tells that it is the same."
		case v.guessed:
			f.Certainty = Likely
			f.Text = "A handshake came from the same address with another port, and the old one was not heard again."
			f.Or = []string{"another client behind the same NAT", "WireGuard was restarted with a port of the system's choice"}
		}
		if v.from.Addr() != v.to.Addr() {
			f.Kind, f.weight = "roamed", 50
			f.Title = fmt.Sprintf("%s moved from %s to %s", who, v.from, v.to)
			f.Text = strings.Replace(f.Text, "port", "address", 1)
		}
		if idle := t.idleUntil(v.message); idle >= natIdle && f.Kind == "nat-port-changed" {
			f.Text += fmt.Sprintf(" Nothing of it had been heard for %s before: the NAT had dropped the mapping.", seconds(idle))
			f.Advice = "PersistentKeepalive = 25 on " + who + " keeps a mapping alive."
		}
		a.find(t, f, t.before(v.message), v.message)
	}
}

// before is the last message of the same side before m.
func (t *tunnel) before(m *message) (last *message) {
	for _, e := range t.messages {
		if e == m {
			break
		}
		if e.from == m.from {
			last = e
		}
	}
	return last
}

func (t *tunnel) idleUntil(m *message) int64 {
	if b := t.before(m); b != nil {
		return m.at - b.at
	}
	return 0
}

// natIdle is the shortest time after which NATs and firewalls in use forget a UDP flow.
const natIdle = 28 * second

// idleBefore is how long nothing at all passed before the outage began.
func (o *outage) idleBefore(t *tunnel) int64 {
	var last int64
	for _, m := range t.messages {
		if m.at >= o.from {
			break
		}
		last = m.at
	}
	if last == 0 {
		return 0
	}
	return o.from - last
}

// natTimeout tells of a side that could not be reached after a pause until it spoke itself.
func (a *analysis) natTimeout(t *tunnel, o *outage, idle int64) {
	silent, asking := t.side(o.silent), t.side(1-o.silent)
	f := Finding{Kind: "idle-nat-timeout", Certainty: Possible, From: o.from - idle, To: o.to, weight: 91}
	f.Title = fmt.Sprintf("idle, then unreachable: after %s without traffic %s could not reach %s", seconds(idle), asking,
		silent)
	f.Text = fmt.Sprintf("%s sent %s in vain, to where %s was before the pause.", asking, o.what(), silent)
	switch {
	case o.next != nil && t.movedAt(o.silent, o.next):
		f.Certainty = Certain
		f.Text += " Then it spoke itself, from another port: a NAT had forgotten the old one."
	case o.next != nil && (o.next.kind == initiation || o.next.kind == transport && !t.evidence(o).joined ||
		o.next.kind == transport && t.evidence(o).missing == 0):
		f.Certainty = Likely
		f.Text += " As soon as it sent something itself the way was open again."
		f.Or = []string{silent + " slept or had no network"}
	default:
		f.Or = []string{silent + " went away during the pause"}
	}
	f.Advice = "PersistentKeepalive = 25 on " + silent + " keeps the mapping of its NAT or firewall alive (TIMER-19)."
	a.find(t, f, o.last, o.asked[0], o.asked[len(o.asked)-1], o.next)
}

func (t *tunnel) movedAt(side int, m *message) bool {
	return slices.ContainsFunc(t.moves, func(v move) bool {
		return v.side == side && v.message == m && v.from.Addr() == v.to.Addr()
	})
}
