package scenario

import (
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// counter counts a kind of record. The list is closed; expectations and conditions share it.
type counter struct {
	name, one string // many and one of it
	// counts reports whether it counts the record. detail is the word behind the name, "" for any.
	counts  func(r *sim.Record, detail string) bool
	details func() []string // nil: there is no detail
	inner   bool            // it is about inner packets, from end to end, and not about the ends of a tunnel
}

func coreEvent(kind protocol.EventKind) func(*sim.Record, string) bool {
	return func(r *sim.Record, _ string) bool { return r.Kind == sim.KindCore && r.Event.Kind == kind }
}

func ofKind(kind sim.Kind) func(*sim.Record, string) bool {
	return func(r *sim.Record, _ string) bool { return r.Kind == kind }
}

var counters = []counter{
	{name: "handshakes", one: "handshake", counts: func(r *sim.Record, _ string) bool {
		return r.Kind == sim.KindCore && r.Event.Kind == protocol.EventHandshakeComplete && r.Event.Initiator
	}},
	{name: "initiations", one: "initiation", details: causes, counts: func(r *sim.Record, cause string) bool {
		return r.Kind == sim.KindCore && r.Event.Kind == protocol.EventInitiationSent &&
			(cause == "" || r.Event.Cause.String() == cause)
	}},
	{name: "responses", one: "response", counts: coreEvent(protocol.EventResponseSent)},
	{name: "give-ups", one: "give-up", counts: coreEvent(protocol.EventGaveUp)},
	{name: "roams", one: "roam", counts: coreEvent(protocol.EventRoamed)},
	{name: "cookies", one: "cookie", counts: coreEvent(protocol.EventCookieSent)},
	{name: "cookies-accepted", one: "cookie-accepted", counts: coreEvent(protocol.EventCookieAccepted)},
	{name: "keepalives", one: "keepalive", counts: coreEvent(protocol.EventKeepaliveSent)},
	{name: "zeroings", one: "zeroing", counts: coreEvent(protocol.EventKeysZeroed)},
	{name: "drops", one: "drop", details: reasons, counts: func(r *sim.Record, reason string) bool {
		return r.Kind == sim.KindCore && r.Event.Kind == protocol.EventDrop &&
			(reason == "" || r.Event.Reason.String() == reason)
	}},
	{name: "datagrams", one: "datagram", details: fates, counts: func(r *sim.Record, fate string) bool {
		if fate == "" {
			return r.Kind == sim.KindDatagram
		}
		return r.Kind == sim.KindFate && r.Fate.String() == fate
	}},
	{name: "forgeries", one: "forgery", counts: func(r *sim.Record, _ string) bool {
		return r.Kind == sim.KindDatagram && r.Attack != sim.AttackNone
	}},
	{name: "actions", one: "action", details: func() []string { return names(actionKinds) },
		counts: func(r *sim.Record, kind string) bool {
			return r.Kind == sim.KindAction && (kind == "" || r.Action.String() == kind)
		}},
	{name: "packets-sent", one: "packet-sent", inner: true, counts: func(r *sim.Record, _ string) bool {
		return r.Kind == sim.KindInnerSent && r.Host == r.Inner.From
	}},
	{name: "packets-delivered", one: "packet-delivered", inner: true, counts: func(r *sim.Record, _ string) bool {
		return r.Kind == sim.KindInnerDelivered && r.Host == r.Inner.To
	}},
	{name: "packets-refused", one: "packet-refused", inner: true, counts: ofKind(sim.KindInnerRefused)},
}

func counterNames() (list []string) {
	for i := range counters {
		list = append(list, counters[i].name)
	}
	return list
}

func causes() (list []string) {
	for c := range protocol.NumCauses {
		list = append(list, c.String())
	}
	return list[1:]
}

func reasons() (list []string) {
	for r := range protocol.NumDropReasons {
		list = append(list, r.String())
	}
	return list[1:]
}

func fates() (list []string) {
	for f := range sim.NumFates {
		list = append(list, f.String())
	}
	return list
}

// counted is a counter with its detail and scope.
type counted struct {
	*counter
	detail string
	scope  scope
}

// counter reads the name of a counter and its detail. single asks for the form for one of it.
func (w *words) counter(single bool) (c counted) {
	name := w.next()
	var known []string
	for i := range counters {
		k := &counters[i]
		if known = append(known, k.name); single {
			known[i] = k.one
		}
		if known[i] == name {
			c.counter = k
		}
	}
	if c.counter == nil {
		w.fail("%s is no counter%s", quoted(name), DidYouMean(name, known))
		return c
	}
	if c.details == nil {
		return c
	}
	next := w.peek()
	for _, d := range c.details() {
		if d == next {
			c.detail = w.next()
		}
	}
	return c
}

// sees reports whether the record counts.
func (c *counted) sees(r *sim.Record) bool {
	if !c.counts(r, c.detail) {
		return false
	}
	if c.inner {
		return c.scope.covers(r.Inner.From, r.Inner.To, r.Inner.Flow)
	}
	to := r.Peer
	if r.Kind == sim.KindFate {
		to = r.To
	}
	return c.scope.covers(r.Host, to, "")
}

func (c *counted) String() string { return strings.TrimSpace(c.name + " " + c.detail) }
