package report

import (
	"fmt"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// core tells what a host's protocol core reports, as far as it is a story: timers, key slots and keepalives are
// in the JSON.
func (t *Text) core(r *sim.Record) {
	e := &r.Event
	switch e.Kind {
	case protocol.EventInitiationSent:
		t.handshakes.initiated(r)
	case protocol.EventHandshakeComplete:
		t.completed(r)
	case protocol.EventGaveUp:
		t.gaveUp(r)
	case protocol.EventRoamed:
		t.roamed(r)
	case protocol.EventKeysZeroed:
		t.say(r.Host, faint, "wipes its keys for %s: no new session for 540 s (KEY-13)", r.Peer)
	case protocol.EventLoad:
		t.load(r.Host, e.Under)
	case protocol.EventCookieAccepted:
		t.say(between(r.Host, r.Peer), plain, "has a cookie now, and will use it at the next attempt (COOKIE-08)")
	case protocol.EventClock:
		t.say(r.Host, wrong, "was given a time that lies %s back", span(e.At.Sub(e.Deadline)))
	case protocol.EventDrop:
		// With an endpoint it is the fate of a datagram; these two come as rejects.
		if !e.Endpoint.IsValid() && e.Reason != protocol.DropNoRoute && e.Reason != protocol.DropNoEndpoint {
			t.inside(r.Host, r.Peer, e.Reason)
		}
	}
}

// roamed tells that a host learnt a new address of its peer, and why that changed (ROAM-01).
func (t *Text) roamed(r *sim.Record) {
	e := &r.Event
	if e.Endpoint.Remote == e.Previous.Remote {
		return // only our own address changed
	}
	if !e.Previous.IsValid() {
		t.say(r.Host, faint, "learns that %s is at %s", r.Peer, t.place(e.Endpoint.Remote))
		return
	}
	moved := t.moved[direction{r.Peer, r.Host}]
	t.moved[direction{r.Peer, r.Host}] = false
	if e.Endpoint.Remote.Addr() == e.Previous.Remote.Addr() && !moved {
		t.say(r.Host, move, "follows %s to another port of its NAT, %s%d → %d", r.Peer,
			t.network(e.Endpoint.Remote.Addr(), "%s, "), e.Previous.Remote.Port(), e.Endpoint.Remote.Port())
		return
	}
	t.say(r.Host, move, "follows %s to %s", r.Peer, t.place(e.Endpoint.Remote))
}

// inside tells the first of each kind of packet that came to nothing before it was on the wire.
func (t *Text) inside(host, peer string, reason protocol.DropReason) {
	kind := refusal{host: host, reason: reason, what: "from its own side"}
	if peer != "" {
		kind.what += ", for " + peer
	}
	if t.tally.refuse(kind, t.now.Sub(t.start)) {
		t.say(host, alarm, "refuses a packet %s: %s (%s)", kind.what, reason, reason.Rule())
	}
}

func (t *Text) refused(r *sim.Record) { t.inside(r.Host, r.Peer, r.Reason) }

// fate counts what became of a datagram, and tells the first of each kind that its receiver refused.
func (t *Text) fate(r *sim.Record) {
	now := t.now.Sub(t.start)
	switch r.Fate {
	case sim.FateDelivered, sim.FatePending:
		return
	case sim.FateRejected:
	default:
		t.tally.lose(loss{fate: r.Fate, rule: lostBy(r)}, now)
		return
	}
	if r.Attack != sim.AttackNone {
		kind := refusal{host: r.To, reason: r.Reason, what: r.Attack.String() + " by " + r.Host}
		if t.tally.refuse(kind, now) && !t.knocked[r.Host] {
			t.knocked[r.Host] = true
			t.say(r.Host, faint, "begins to knock; %s stays silent (%s: %s, %s)", r.To, r.Attack, r.Reason,
				r.Reason.Rule())
		}
		return
	}
	kind := refusal{host: r.To, reason: r.Reason, what: "from " + r.Host}
	switch {
	case r.Damaged:
		kind.what = "damaged on the way"
	case r.Original != 0 || t.doubled[r.Datagram]:
		kind.what = "doubled on the way"
	}
	if t.tally.refuse(kind, now) {
		t.say(r.To, faint, "refuses a datagram %s: %s (%s)", kind.what, r.Reason, r.Reason.Rule())
	}
}

// lostBy names who or what is to blame.
func lostBy(r *sim.Record) string {
	switch {
	case r.Rule != "":
		return r.Rule
	case r.Fate == sim.FateAsleep:
		return r.To + " was asleep"
	case r.Fate == sim.FateDown:
		return r.To + " was not running"
	case r.Fate == sim.FateUnsent:
		return r.Host + " was in no network"
	}
	return fmt.Sprintf("nobody was at %s any more", r.Dst.Addr())
}
