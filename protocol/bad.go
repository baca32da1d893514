package protocol

import (
	"net/netip"

	"github.com/purewire/purewire/protocol/internal/cookie"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// Decision points at which a known-bad core needs more than a condition. Each is the plain call when the
// device has no defects.

// classify is wire.Classify.
func (d *Device) classify(dg *Datagram) (wire.Type, wire.Problem) {
	b := dg.Bytes()
	t, problem := wire.Classify(b)
	switch {
	case problem == wire.OK:
	case problem == wire.BadReserved && d.bad == "accept-reserved":
		return wire.Classify(append([]byte{b[0], 0, 0, 0}, b[4:]...))
	case problem == wire.BadLength && b[0] == byte(wire.TypeInitiation) && len(b) > wire.InitiationSize &&
		d.bad == "accept-long":
		dg.Len = wire.InitiationSize
		return wire.TypeInitiation, wire.OK
	}
	return t, problem
}

// wantInitiation is timers.Peer.WantInitiation.
func (d *Device) wantInitiation(p *peer, retry bool) bool {
	if d.bad == "no-initiation-limit" {
		p.timers.DeferRetry()
		p.timers.KeysExpiredByIdentity(d.now)
	}
	_, armed := p.timers.Deadline(timers.RetransmitHandshake)
	return d.unlessStalled(p, armed, p.timers.WantInitiation(d.now, retry))
}

// mayLeave is timers.Peer.InitiationSent.
func (d *Device) mayLeave(p *peer, s *jobSlot) bool {
	_, armed := p.timers.Deadline(timers.RetransmitHandshake)
	return d.unlessStalled(p, armed, p.timers.InitiationSent(d.now, s.drawn.retransmit, p.retry))
}

// unlessStalled takes away the retry that a suppressed initiation was given, as if there were no such rule. One that
// was armed before stays, as it does in Linux and wireguard-go.
func (d *Device) unlessStalled(p *peer, armed, allowed bool) bool {
	if d.bad == "crossing-stall" && !allowed && !armed {
		p.timers.DeferRetry()
	}
	return allowed
}

// cookieAddress is what a cookie is bound to: address and port (COOKIE-14).
func (d *Device) cookieAddress(dg *Datagram) netip.AddrPort {
	if d.bad == "cookie-ignores-port" {
		return netip.AddrPortFrom(dg.Endpoint.Remote.Addr(), 0)
	}
	return dg.Endpoint.Remote
}

var cookieDrops = [...]DropReason{cookie.NothingSent: DropCookieUnexpected, cookie.Forged: DropCookieForged}

// cookieArrived is cookie.Jar.Consume.
func (d *Device) cookieArrived(p *peer, msg *[wire.CookieReplySize]byte, dg *Datagram, out *Batch) {
	if reason := cookieDrops[p.jar.Consume(msg, d.now)]; reason != DropNone {
		d.drop(out, reason, p, dg.Endpoint, dg.Len)
		return
	}
	d.emit(out, Event{Kind: EventCookieAccepted, Peer: p.id})
	switch d.bad {
	case "roam-on-cookie":
		p.endpoint = dg.Endpoint
	case "count-cookies":
		p.rx += wire.CookieReplySize
	case "cookie-retries-at-once":
		p.timers.KeysExpiredByIdentity(d.now)
		d.initiate(p, CauseRetransmit, true, out)
	}
}

// session is k.session as the rekey rules see it.
func (d *Device) session(k *keypair) timers.Session {
	s := k.session
	if d.bad == "responder-rekeys" {
		s.Initiator = true
	}
	return s
}
