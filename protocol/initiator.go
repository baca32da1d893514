package protocol

import (
	"math"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// waitsForSlot stands for the job that an initiation of ours has not got yet.
const waitsForSlot = math.MaxUint64

// initiate is E1 of rules.md §1.5: somebody wants a handshake with p. It is asked for now and leaves when the
// job comes back, unless the 5 s rule holds it up here or there (HS-21).
func (d *Device) initiate(p *peer, cause Cause, retry bool, out *Batch) {
	switch {
	case !d.up || p.creating != 0:
		return
	case d.identity == nil:
		d.drop(out, DropNoIdentity, p, Endpoint{}, 0)
		return
	case !p.endpoint.IsValid():
		d.drop(out, DropNoEndpoint, p, Endpoint{}, 0)
		return
	case p.ss.State == handshake.Never:
		d.drop(out, DropLowOrder, p, Endpoint{}, 0) // CRYPTO-12
		return
	}
	if !d.wantInitiation(p, retry) {
		d.emit(out, Event{Kind: EventSuppressed, Peer: p.id, Cause: cause})
		return
	}
	p.cause, p.retry = cause, retry
	if s := d.takeSlot(jobCreate, p); s != nil {
		d.create(s, p, out)
	} else {
		p.creating = waitsForSlot
		d.waiting = append(d.waiting, p) // never shed: it is ours (design §4)
	}
}

// serveWaiting gives a slot that became free to the longest waiting initiation of ours.
func (d *Device) serveWaiting(out *Batch) {
	for len(d.waiting) > 0 && len(d.free) > 0 {
		p := d.waiting[0]
		d.waiting[0], d.waiting = nil, d.waiting[1:]
		if p.creating == waitsForSlot {
			p.creating = 0
			d.initiate(p, p.cause, p.retry, out) // looks again: identity or endpoint may have gone meanwhile
			d.traceTimers(p, timers.None, out)
		}
	}
}

// create makes the job of an initiation: everything random and everything that depends on the time is drawn
// here, so that the result is the same wherever and whenever it is computed.
func (d *Device) create(s *jobSlot, p *peer, out *Batch) {
	var ok bool
	if s.drawn, ok = d.drawHandshake(); !ok {
		d.release(s)
		p.creating = 0
		d.drop(out, DropNoEntropy, p, Endpoint{}, 0)
		p.timers.InitiationFailed(d.now)
		return
	}
	d.byIdx[s.drawn.index] = indexEntry{peer: p}
	s.stamp = d.stamp(p)
	d.hand(s, out)
	p.creating = s.generation
}

// commitCreate sends the initiation that job made, if it may still leave.
func (d *Device) commitCreate(s *jobSlot, job uint64, out *Batch) {
	p := s.peer
	if d.superseded(s) || s.handshakes != p.handshakes {
		delete(d.byIdx, s.drawn.index)
		d.drop(out, DropSuperseded, p, Endpoint{}, 0)
		if p.creating == job { // the identity changed, or the peer initiated, which may have made ours needless
			if p.creating = 0; p.keys[SlotNext] != nil || !p.current().maySend(d.now, d.bad) {
				d.initiate(p, p.cause, p.retry, out)
			}
		}
		return
	}
	p.creating = 0
	p.ss = s.ss // computed by the job if it was not known (design §4)
	if s.refused == DropNone && !p.endpoint.IsValid() {
		s.refused = DropNoEndpoint // it was forgotten meanwhile
	}
	switch {
	case s.refused == DropNone && d.mayLeave(p, s):
		d.sendInitiation(p, s, out)
		return
	case s.refused == DropNone:
		d.emit(out, Event{Kind: EventSuppressed, Peer: p.id, Cause: p.cause})
	case s.refused == DropLowOrder || s.refused == DropNoEndpoint:
		d.drop(out, s.refused, p, Endpoint{}, 0) // no retry: never otherwise (CRYPTO-12), or until one is set
	default:
		d.drop(out, s.refused, p, Endpoint{}, 0)
		p.timers.InitiationFailed(d.now)
	}
	delete(d.byIdx, s.drawn.index)
}

// sendInitiation makes the initiation of s the one that waits for its response; an older one is dropped (HS-11).
func (d *Device) sendInitiation(p *peer, s *jobSlot, out *Batch) {
	d.dropPending(p)
	// "Each retransmitted initiation has a new ephemeral, a new sender index and a newer timestamp" (HS-20), so
	// nothing of the old one is of use.
	p.pending = &pending{state: s.state, ephemeral: s.ephemeral, index: s.drawn.index, drawn: s.drawn}
	p.pending.drawn.seed = [32]byte{}
	p.handshakes++

	d.secrets(p, s, true, out)
	msg := out.alloc(wire.InitiationSize)
	copy(msg, s.message[:])
	d.sendHandshake(p, msg, out)
	d.emit(out, Event{Kind: EventInitiationSent, Peer: p.id, Cause: p.cause, Attempt: p.timers.Attempts(),
		Endpoint: p.endpoint, Local: s.drawn.index})
}

// secrets reports the ephemeral key of a handshake, before the message that it serves.
func (d *Device) secrets(p *peer, s *jobSlot, initiator bool, out *Batch) {
	if d.tracing(EventSecrets) {
		d.emit(out, Event{Kind: EventSecrets, Peer: p.id, Local: s.drawn.index, Initiator: initiator,
			Secret: s.ephemeral.Private()})
	}
}

// handleResponse makes the job for a response: its receiver index must be that of an initiation that waits
// (HS-08). Several may be under way for one initiation, so that a forged one cannot shut out the genuine one
// (HS-10); the first that authenticates wins (HS-09).
func (d *Device) handleResponse(dg *Datagram, out *Batch) {
	msg := wire.AsResponse(dg.Bytes())
	p := d.byIdx[msg.Receiver()].peer
	if p == nil {
		d.drop(out, DropUnknownIndex, nil, dg.Endpoint, dg.Len)
		return
	}
	if p.pending == nil || p.pending.index != msg.Receiver() {
		d.drop(out, DropNotPending, p, dg.Endpoint, dg.Len)
		return
	}
	s := d.takeSlot(jobConsume, p)
	if s == nil {
		d.drop(out, DropBusy, p, dg.Endpoint, dg.Len)
		return
	}
	s.from = dg.Endpoint
	s.state, s.ephemeral, s.drawn = p.pending.state, p.pending.ephemeral, p.pending.drawn
	copy(s.message[:], msg[:])
	p.consuming++
	d.hand(s, out)
}

// commitConsume is E4: the session is up, and its first message proves it to the peer (HS-14).
func (d *Device) commitConsume(s *jobSlot, out *Batch) {
	p := s.peer
	if d.superseded(s) {
		d.drop(out, DropSuperseded, p, s.from, wire.ResponseSize)
		return
	}
	// consuming counts the jobs of this peer since it last went down or the identity changed, as do those that
	// get here: superseded ones were taken out of the count then.
	p.consuming--
	reason := s.refused
	if s.handshakes != p.handshakes || p.pending == nil {
		reason = DropSuperseded // another one was faster (HS-09, HS-25)
	}
	if reason != DropNone {
		d.drop(out, reason, p, s.from, wire.ResponseSize)
		if d.bad == "failed-response-clears" {
			d.dropPending(p)
		}
		if p.consuming == 0 {
			p.timers.ArmRetryNow(d.now)
		}
		return
	}
	remote := wire.AsResponse(s.message[:wire.ResponseSize]).Sender()
	d.dropPending(p)
	p.handshakes++
	// E4 in its order: endpoint, keys, session_derived and handshake_complete, then what waits.
	d.heard(p, s.from, out)
	d.emit(out, Event{Kind: EventResponseAccepted, Peer: p.id, Endpoint: s.from, Local: s.drawn.index, Remote: remote})
	d.beginInitiator(p, d.derive(p, &s.keys, &s.drawn, remote, true), out)
	p.timers.ResponseReceived(d.now)
	d.complete(p, true, out)
	p.rx += wire.ResponseSize
	waited := p.staged.Len() > 0
	if d.bad != "no-confirmation" || waited {
		d.keepalive(p, CausePacket, out) // "the queued packets if any, else one keepalive" (HS-14, HS-15)
	}
	if d.bad == "extra-keepalive" && waited {
		d.sealEmpty(p, out)
	}
}

// complete notes that a handshake completed (STAT-07).
func (d *Device) complete(p *peer, initiator bool, out *Batch) {
	p.lastHandshake, p.shaken = d.wallClock().UnixNano(), true
	d.emit(out, Event{Kind: EventHandshakeComplete, Peer: p.id, Initiator: initiator})
}

// handleCookie is E5: a cookie reply moves nothing but the cookie (COOKIE-09, COOKIE-11). Its index is that of
// our last handshake message, be it an initiation or a response.
func (d *Device) handleCookie(dg *Datagram, out *Batch) {
	msg := wire.AsCookieReply(dg.Bytes())
	p := d.byIdx[msg.Receiver()].peer
	if p == nil || p.jar == nil {
		d.drop(out, DropUnknownIndex, nil, dg.Endpoint, dg.Len) // COOKIE-07
		return
	}
	d.cookieArrived(p, (*[wire.CookieReplySize]byte)(msg), dg, out)
}
