package explain

import (
	"fmt"
	"slices"
)

// deviant notes a deviation; several of one rule and sender become one with a count.
func (a *analysis) deviant(t *tunnel, side int, rule string, c Certainty, m *message, format string, args ...any) {
	who := t.side(side)
	for i := range a.deviations {
		if d := &a.deviations[i]; d.Rule == rule && d.Tunnel == t.id && d.Who == who && d.Certainty == c {
			d.Count++
			if len(d.Packets) < 8 {
				d.Packets = append(d.Packets, m.ref())
			}
			return
		}
	}
	a.deviations = append(a.deviations, Deviation{Rule: rule, Tunnel: t.id, Who: who, Text: fmt.Sprintf(format, args...),
		Certainty: c, Count: 1, Packets: []Ref{m.ref()}})
}

// deviate holds what was seen to the rules. What the network may have done to a message on its way to the tap is only
// possible, not certain.
func (a *analysis) deviate(t *tunnel) {
	for _, m := range t.messages {
		a.deviateMessage(t, m)
	}
	a.deviateInitiations(t)
	a.deviateIndices(t)
	for _, x := range t.exchanges {
		a.deviateHandshake(t, x)
		for side := range 2 {
			a.deviateFlow(t, x, side)
		}
	}
}

func (a *analysis) deviateMessage(t *tunnel, m *message) {
	if m.reserved {
		a.deviant(t, m.from, "MSG-02", Certain, m, "bytes 1 to 3 of a message are not zero: Linux and wireguard-go drop it "+
			"(MSG-03)")
	}
	if m.kind == malformed {
		rule, text := "MSG-01", "a datagram of type %d and %d bytes is no message"
		if len(m.data) > 0 && m.data[0] <= byte(transport) {
			rule = [...]string{initiation: "MSG-05", response: "MSG-06", cookieReply: "MSG-07", transport: "MSG-08"}[m.data[0]]
			text = "a message of type %d has %d bytes"
		}
		a.deviant(t, m.from, rule, Certain, m, text, m.data[0], m.size)
	}
	if m.noSum {
		a.deviant(t, m.from, "MSG-16", Certain, m, "UDP over IPv6 without a checksum")
	}
	if m.kind == transport && m.tos>>2 != 0 {
		a.deviant(t, m.from, "QOS-02", Possible, m, "a data packet has DSCP %d outside; a router may have set it", m.tos>>2)
	}
	if in := m.inner; in != nil {
		if in.dirty {
			a.deviant(t, m.from, "PAD-04", Certain, m, "padding of %d bytes that is not zero", in.padding)
		}
		if !in.valid && !in.empty {
			a.deviant(t, m.from, "INNER-01", Certain, m, "the decrypted packet of %d bytes is neither IPv4 nor IPv6",
				in.plainSize)
		}
	}
	if id := &m.ident; id.stamp == genuine {
		if id.stampAt[9]|id.stampAt[10]|id.stampAt[11] != 0 {
			a.deviant(t, m.from, "TAI-07", Certain, m, "the timestamp's nanoseconds are not rounded down to a multiple of 2^24")
		}
	}
}

// deviateInitiations looks at the times between initiations (HS-21, HS-22, TIMER-01), and at what must be new in each.
func (a *analysis) deviateInitiations(t *tunnel) {
	const early = 4900 * second / 1000 // a network may bring two messages a little nearer to each other
	var last, answered [2]*message
	for _, m := range t.messages {
		if m.copyOf != nil {
			continue
		}
		switch m.kind {
		case response:
			answered[m.from] = m
		case initiation:
			if p := last[m.from]; p != nil {
				rule := "HS-21"
				if x := m.exchange; x != nil && x.retry > 0 {
					rule = "TIMER-01"
				}
				if m.at-p.at < early {
					a.deviant(t, m.from, rule, Likely, m, "an initiation %s after the one before, where 5 s are the least; a restart "+
						"in between excuses it", seconds(m.at-p.at))
				}
				if !m.cut && !p.cut && string(m.ephemeral()) == string(p.ephemeral()) {
					a.deviant(t, m.from, "HS-20", Certain, m, "an initiation with the ephemeral key of the one before")
				}
			}
			if p := answered[m.from]; p != nil && m.at-p.at < early && (last[m.from] == nil || last[m.from].at < p.at) {
				a.deviant(t, m.from, "HS-22", Possible, m, "an initiation %s after an own response, where 5 s are the least",
					seconds(m.at-p.at))
			}
			last[m.from] = m
		}
	}
}

// deviateIndices looks for an index that is used for two handshakes (KEY-01, KEY-02).
func (a *analysis) deviateIndices(t *tunnel) {
	var seen [2]map[uint32]*message
	for side := range seen {
		seen[side] = map[uint32]*message{}
	}
	for _, m := range t.messages {
		if m.kind != initiation && m.kind != response || m.copyOf != nil {
			continue
		}
		if seen[m.from][m.sender] != nil {
			a.deviant(t, m.from, "KEY-02", Certain, m, "index 0x%08x is used for a second handshake", m.sender)
		}
		seen[m.from][m.sender] = m
	}
}

func (a *analysis) deviateHandshake(t *tunnel, x *exchange) {
	for _, m := range x.extra {
		a.deviant(t, m.from, "HS-03", Certain, m, "a second response, different from the first, to one initiation")
	}
	for _, m := range x.cookies {
		if !m.cut && x.init != nil && m.at < x.init.at {
			a.deviant(t, m.from, "COOKIE-13", Possible, m, "a cookie reply before the message that it answers")
		}
	}
	if x.resp == nil || x.init == nil {
		return
	}
	first := x.flow[1-x.from].first
	confirm := x.confirmation()
	if first != nil && (confirm == nil || first.at < confirm.at-second/100) {
		a.deviant(t, 1-x.from, "HS-16", Likely, first, "the responder used session #%d before the initiator had confirmed "+
			"it", x.id)
	}
	if confirm != nil && confirm.at-x.resp.at > 2*second+2*(x.resp.at-x.init.at) {
		a.deviant(t, x.from, "HS-14", Possible, confirm, "the initiator confirmed session #%d only %s after the response; "+
			"an earlier "+
			"message may have been lost before the capture", x.id, seconds(confirm.at-x.resp.at))
	}
}

func (a *analysis) deviateFlow(t *tunnel, x *exchange, side int) {
	f := &x.flow[side]
	for _, m := range f.reused {
		a.deviant(t, side, "MSG-14", Certain, m, "counter %d of session #%d is used for two different messages", m.counter,
			x.id)
	}
	if f.first == nil {
		return
	}
	a.deviateAge(t, x, side)
	// The inner MTU caps padding (PAD-02), so the largest messages of a flow may be of any size.
	largest := t.largest(side)
	for _, m := range x.sent[side] {
		if (m.size-minTransport)%16 != 0 && m.size < largest {
			a.deviant(t, side, "PAD-01", Certain, m, "a message of %d bytes is not padded to a multiple of 16, and is not as "+
				"large as "+
				"the largest", m.size)
		}
	}
}

func (t *tunnel) largest(side int) (n int) {
	for _, x := range t.exchanges {
		n = max(n, x.flow[side].largest)
	}
	return n
}

// deviateAge looks for messages on a session that is too old (KEY-10), and for an initiator that does not renew it
// (TIMER-07). The age counts from the response at the latest moment that either side can claim.
func (a *analysis) deviateAge(t *tunnel, x *exchange, side int) {
	if x.resp == nil || x.confirmation() == nil {
		return
	}
	born := max(x.resp.at, x.confirmation().at)
	if side != x.from {
		born = x.resp.at
	}
	for _, m := range x.sent[side] {
		age := m.at - born
		if age > rejectAfter+second {
			a.deviant(t, side, "KEY-10", Likely, m, "a message on session #%d, which is %s old, where 180 s are the most", x.id,
				seconds(age))
		}
		if side != x.from || age <= rekeyAfter+6*second || age > rejectAfter {
			continue
		}
		renewed := slices.ContainsFunc(t.exchanges, func(o *exchange) bool {
			return o != x && o.init != nil && o.init.at > born && o.init.at <= m.at
		})
		if !renewed {
			a.deviant(t, side, "TIMER-07", Likely, m, "data on session #%d at an age of %s and no new handshake, which is due "+
				"at 120 s",
				x.id, seconds(age))
		}
	}
}
