package explain

import (
	"encoding/base64"
	"fmt"
	"slices"
)

// report turns the analysis into what is given out.
func (a *analysis) report(sources []Source, clocks []Clock) *Report {
	r := &Report{Version: 1, Frames: a.frames, Start: a.start, Duration: a.end - a.start, Depth: DepthNoKeys,
		Clocks: clocks, Notes: a.notes, Tunnels: []Tunnel{}, Findings: []Finding{}, Deviations: []Deviation{}}
	for _, s := range sources {
		r.Files = append(r.Files, s.Name)
	}
	for _, t := range a.tunnels {
		out := a.tunnelReport(t)
		if out.Depth == DepthFull || out.Depth == DepthConfig && r.Depth == DepthNoKeys {
			r.Depth = out.Depth
		}
		r.Tunnels = append(r.Tunnels, out)
	}
	r.DepthText = a.depthText(r.Depth)
	slices.SortStableFunc(a.findings, func(x, y Finding) int {
		if x.weight != y.weight {
			return y.weight - x.weight
		}
		return compareInt(x.From, y.From)
	})
	r.Findings = append(r.Findings, a.findings...)
	r.Deviations = append(r.Deviations, a.deviations...)
	return r
}

func (a *analysis) depthText(d Depth) string {
	switch {
	case d == DepthFull:
		return "handshakes and data are decrypted"
	case d == DepthConfig && a.ring.logLines > 0:
		return "who, timestamps, mac1; the key log does not open the data of this capture"
	case d == DepthConfig:
		return "who, timestamps, mac1 and mac2, as far as the private keys go; a key log (--keylog) would open the data"
	case len(a.ring.publics) > 0:
		return "types, indices, counters, sizes and times; the keys given fit nothing in this capture"
	}
	return "types, indices, counters, sizes and times; --config FILE.conf tells who and when, --keylog FILE what is inside"
}

func (a *analysis) tunnelReport(t *tunnel) Tunnel {
	out := Tunnel{ID: t.id, Depth: a.depth(t), Place: a.placeText(t), State: a.state(t), Sessions: []Session{}}
	for i := range t.ends {
		e := &t.ends[i]
		end := End{Name: t.side(i)}
		if e.known {
			end.PublicKey = base64.StdEncoding.EncodeToString(e.key[:])
		}
		add := func(s string) {
			if s != "invalid AddrPort" && !slices.Contains(end.Addresses, s) {
				end.Addresses = append(end.Addresses, s)
			}
		}
		add(e.first.String())
		for _, v := range t.moves {
			if v.side == i {
				add(v.from.String())
				add(v.to.String())
			}
		}
		for _, at := range e.at {
			add(at.String())
		}
		for _, m := range t.messages {
			if m.from == i {
				end.Messages++
			}
		}
		out.Ends[i] = end
	}
	for _, x := range t.exchanges {
		if x.resp != nil || x.init == nil {
			out.Sessions = append(out.Sessions, a.session(t, x))
		}
	}
	out.Timeline = a.timeline(t)
	return out
}

func (a *analysis) placeText(t *tunnel) string {
	var words []string
	places := a.places(t)
	slices.Sort(places)
	for _, p := range slices.Compact(places) {
		switch p {
		case placeSide0, placeSide1:
			words = append(words, "at "+t.side(int(p-placeSide0)))
		case placeBoth:
			words = append(words, "on the link of both, or at each sender")
		default:
			words = append(words, "somewhere between the two")
		}
	}
	return join(words, "; ")
}

func join(words []string, sep string) (s string) {
	for i, w := range words {
		if i > 0 {
			s += sep
		}
		s += w
	}
	return s
}

// state says how the capture leaves the tunnel.
func (a *analysis) state(t *tunnel) string {
	var last [2]*message
	for _, m := range t.messages {
		if m.kind == transport && m.copyOf == nil && m.open != forged {
			last[m.from] = m
		}
	}
	for _, o := range a.outages(t) {
		if o.next == nil {
			return fmt.Sprintf("dead at the end: nothing of %s for %s", t.side(o.silent), span(&o))
		}
	}
	switch {
	case last[0] == nil && last[1] == nil:
		return "no session in this capture"
	case last[0] == nil || last[1] == nil:
		return "data of one side only"
	case a.end-max(last[0].at, last[1].at) > 2*outageAfter:
		return "idle at the end"
	}
	return "working at the end"
}

func (a *analysis) session(t *tunnel, x *exchange) Session {
	s := Session{ID: x.id, Initiator: "?", Begin: a.rel(x.start()), End: a.rel(x.end()), Cause: t.reason(x).text,
		CauseRule: t.reason(x).rule, Confirmed: x.established(), Assumed: x.assumed, Decrypted: x.keys != nil, Initiations: 0}
	if x.fromKnow {
		s.Initiator = t.side(x.from)
	}
	if x.init != nil {
		s.Initiations = x.retry + 1
		s.Packets = append(s.Packets, x.init.ref())
	}
	if x.resp != nil {
		s.Packets = append(s.Packets, x.resp.ref())
		if x.init != nil {
			s.RoundTrip = x.resp.at - x.init.at
		}
		if c := x.confirmation(); c != nil {
			s.Packets = append(s.Packets, c.ref())
		}
	}
	for i := range x.flow {
		f := &x.flow[i]
		s.Index[i] = "?"
		if x.indexed[i] {
			s.Index[i] = fmt.Sprintf("0x%08x", x.index[i])
		}
		s.Flow[i] = Flow{Messages: f.count, Keepalives: f.keepalives, Bytes: f.bytes, Missing: f.missing(),
			Reordered: f.reordered, Copies: len(f.copies), LastNumber: f.high}
	}
	return s
}

// timeline puts what happened into lines: handshakes, rows of attempts, silences, moves, losses.
func (a *analysis) timeline(t *tunnel) (all []Event) {
	add := func(at int64, side int, text string, packets ...*message) {
		e := Event{At: a.rel(at), Text: text}
		if side >= 0 {
			e.Who = t.side(side)
		}
		for _, m := range packets {
			if m != nil {
				e.Packets = append(e.Packets, m.ref())
			}
		}
		all = append(all, e)
	}
	a.handshakeEvents(t, add)
	for _, v := range t.moves {
		add(v.at, v.side, fmt.Sprintf("is at %s now, before it was at %s", v.to, v.from), v.message)
	}
	for _, o := range a.outages(t) {
		text := fmt.Sprintf("is silent for %s while %s sends %s", span(&o), t.side(1-o.silent), o.what())
		add(o.from, o.silent, text, o.asked[0], o.next)
	}
	for _, x := range t.exchanges {
		for side := range x.flow {
			for _, g := range x.flow[side].gaps {
				if g.missing >= 3 {
					add(g.after.at, side, fmt.Sprintf("%d messages of session #%d are missing: counters %d to %d were sent since %s",
						g.missing, x.id, g.low, g.high, a.when(g.before.at)), g.before, g.after)
				}
			}
		}
	}
	for i := range a.icmp {
		u := &a.icmp[i]
		for side := range t.ends {
			if slices.Contains(t.ends[side].at, u.dst) && (i == 0 || u.what != a.icmp[i-1].what) {
				all = append(all, Event{At: a.rel(u.at), Who: u.from.String(), Text: "ICMP: " + u.what, Packets: []Ref{u.Ref}})
			}
		}
	}
	if n := len(t.messages); n > 0 {
		add(t.messages[n-1].at, t.messages[n-1].from, "last message of the capture", t.messages[n-1])
	}
	slices.SortStableFunc(all, func(x, y Event) int { return compareInt(x.At, y.At) })
	return all
}

func (a *analysis) handshakeEvents(t *tunnel, add func(int64, int, string, ...*message)) {
	if x := t.exchanges; len(x) > 0 && x[0].init == nil {
		add(x[0].start(), -1, fmt.Sprintf("session #%d is under way when the capture begins", x[0].id), x[0].firstData())
	}
	for _, x := range t.exchanges {
		switch {
		case x.init == nil || x.resp == nil && x.retry > 0:
		case x.resp == nil:
			add(x.init.at, x.from, "initiation without an answer: "+x.cause.text+" (inferred"+ruled(x.cause.rule)+")", x.init)
		case x.confirmation() == nil:
			add(x.init.at, x.from, fmt.Sprintf("initiation, answered as session #%d and never confirmed: %s (inferred%s)", x.id,
				t.reason(x).text, ruled(t.reason(x).rule)), x.init, x.resp)
		default:
			tries := ""
			if x.retry > 0 {
				tries = fmt.Sprintf(" at try %d", x.retry+1)
			}
			add(x.init.at, x.from, fmt.Sprintf("handshake, session #%d in %s%s: %s (inferred%s)", x.id,
				seconds(x.resp.at-x.init.at), tries, t.reason(x).text, ruled(t.reason(x).rule)), x.init, x.resp, x.confirmation())
		}
		if len(x.cookies) > 0 {
			add(x.cookies[0].at, x.cookies[0].from, "answers with a cookie: it is under load (COOKIE-12)", x.cookies...)
		}
	}
	for _, p := range t.attempts() {
		if n := len(p.list); n >= 2 && p.answered < n {
			last := p.list[n-1].init
			add(last.at, p.side, fmt.Sprintf("has sent %d initiations in %s, %d were answered", n, seconds(last.at-p.from()),
				p.answered), p.list[0].init, last)
		}
	}
}

// reason is the cause of the attempt that an exchange belongs to: that of its first initiation.
func (t *tunnel) reason(x *exchange) (c cause) {
	c = x.cause
	for _, o := range t.exchanges {
		if x.retry > 0 && o.init != nil && o.from == x.from && o.init.at < x.init.at && o.retry == 0 {
			c = o.cause
		}
	}
	return c
}

func ruled(rule string) string {
	if rule == "" {
		return ""
	}
	return ", " + rule
}
