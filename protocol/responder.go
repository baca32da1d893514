package protocol

import (
	"bytes"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// handleHandshake takes an initiation or a response: mac1, then, under load, mac2 and the source's budget, and
// only then anything that costs a public-key operation (HS-04, COOKIE-20).
func (d *Device) handleHandshake(t wire.Type, dg *Datagram, out *Batch) {
	msg := dg.Bytes()
	if d.identity == nil {
		d.drop(out, DropNoIdentity, nil, dg.Endpoint, dg.Len)
		return
	}
	if !d.checker.CheckMAC1(d.hasher, msg) && d.bad != "skip-mac1" {
		d.drop(out, DropMAC1, nil, dg.Endpoint, dg.Len)
		if d.bad == "answer-bad-mac1" {
			d.answerCookie(dg, out)
		}
		return
	}
	loaded := d.loaded(out)
	if t == wire.TypeInitiation {
		d.load.Initiation(d.now) // also one that load refuses, or load would end while the flood goes on
	}
	if loaded {
		if reason := d.admit(dg, out); reason != DropNone {
			d.drop(out, reason, nil, dg.Endpoint, dg.Len)
			return
		}
	}
	if t == wire.TypeResponse {
		d.handleResponse(dg, out)
	} else {
		d.handleInitiation(dg, out)
	}
}

// loaded is UnderLoad, with a report when it changes.
func (d *Device) loaded(out *Batch) bool {
	is := d.judgeLoad(&d.load, d.now)
	if is != d.wasLoaded {
		d.wasLoaded = is
		d.emit(out, Event{Kind: EventLoad, Under: is})
	}
	return is
}

// Handshakes with a valid mac2 that one source may have processed under load: "20 per second, burst 5" (DOS-03).
const sourcePerSecond, sourceBurst = 20, 5

// admit decides under load about a handshake message whose mac1 is valid: DropNone is "process it" (COOKIE-18),
// otherwise a cookie reply may have been sent (COOKIE-12).
func (d *Device) admit(dg *Datagram, out *Batch) DropReason {
	if d.checker.CheckMAC2(d.hasher, dg.Bytes(), d.cookieAddress(dg), d.now) {
		if d.bad == "no-source-limit" ||
			d.sources.Allow(d.hasher, &d.seed, dg.Endpoint.Remote.Addr(), d.now) {
			return DropNone
		}
		return DropRateLimited // silently (DOS-04)
	}
	if !d.answered.Allow(d.hasher, &d.seed, dg.Endpoint.Remote.Addr(), d.now) || !d.cookies.Take(d.now) {
		return DropCookieBudget
	}
	return d.answerCookie(dg, out)
}

// answerCookie sends a cookie reply to where the message came from, whatever a peer's endpoint is (COOKIE-17).
// It is counted nowhere (STAT-04).
func (d *Device) answerCookie(dg *Datagram, out *Batch) DropReason {
	defer clear(d.draw[:])
	secret, nonce := (*[32]byte)(d.draw[:]), (*[24]byte)(d.draw[:])
	if d.checker.NeedsSecret(d.now) {
		if !d.read(secret[:]) {
			return DropNoEntropy
		}
		d.checker.SetSecret(d.now, secret)
	}
	if !d.read(nonce[:]) {
		return DropNoEntropy
	}
	buf := out.alloc(wire.CookieReplySize)
	d.checker.Reply(d.hasher, (*[wire.CookieReplySize]byte)(buf), dg.Bytes(), d.cookieAddress(dg), nonce)
	out.Datagrams = append(out.Datagrams, Datagram{Packet: Packet{Buf: buf, Len: len(buf)}, Endpoint: dg.Endpoint})
	d.emit(out, Event{Kind: EventCookieSent, Endpoint: dg.Endpoint})
	return DropNoCookie
}

// handleInitiation makes job 1 of the responder: nobody knows yet whose it is.
func (d *Device) handleInitiation(dg *Datagram, out *Batch) {
	s := d.takeSlot(jobOpen, nil)
	if s == nil {
		d.drop(out, DropBusy, nil, dg.Endpoint, dg.Len) // the newest goes (DOS-07)
		return
	}
	s.arrival, s.from = d.now, dg.Endpoint
	copy(s.message[:], dg.Bytes())
	d.hand(s, out)
}

// commitOpen makes job 2 of job 1, in the same slot, for the peer whose static key the initiation names.
func (d *Device) commitOpen(s *jobSlot, out *Batch) (p *peer, kept bool) {
	p, reason := d.refuseOpen(s)
	if reason != DropNone {
		d.drop(out, reason, p, s.from, wire.InitiationSize)
		return p, false
	}
	s.kind = jobAnswer
	d.bind(s, p)
	d.byIdx[s.drawn.index] = indexEntry{peer: p}
	d.hand(s, out)
	return p, true
}

// refuseOpen finds the peer of an initiation and draws what its answer needs, or says why there will be none.
func (d *Device) refuseOpen(s *jobSlot) (p *peer, r DropReason) {
	if d.superseded(s) {
		return nil, DropSuperseded
	}
	if s.refused != DropNone {
		return nil, s.refused
	}
	p = d.byKey[s.remote]
	switch {
	case p == nil:
		return nil, DropUnknownPeer // HS-05
	case p.ss.State == handshake.Never:
		return p, DropLowOrder // CRYPTO-12
	}
	var ok bool
	if s.drawn, ok = d.drawHandshake(); !ok {
		return p, DropNoEntropy
	}
	return p, DropNone
}

// commitAnswer is E2 and E3: the initiation is genuine and new, so it is accepted and answered. The timestamp
// is compared with the greatest one of now: of two copies that were worked on at once one is answered.
func (d *Device) commitAnswer(s *jobSlot, out *Batch) {
	p := s.peer
	if !d.superseded(s) {
		p.ss = s.ss
	}
	if reason := d.refuseAnswer(p, s); reason != DropNone {
		delete(d.byIdx, s.drawn.index)
		d.drop(out, reason, p, s.from, wire.InitiationSize)
		return
	}
	// From here on the peer's state changes: "Nothing of it changes before all of these passed" (HS-04).
	p.greatest, p.lastAccepted, p.accepted = s.stamp, s.arrival, true
	p.handshakes++
	crossed := p.pending != nil
	if d.bad != "keep-own-initiation" {
		d.dropPending(p) // "a single handshake state per peer" (HS-12)
	}
	remote := s.message.Sender()
	d.heard(p, s.from, out) // before the response, which goes there (ROAM-12)
	d.emit(out, Event{Kind: EventInitiationAccepted, Peer: p.id, Endpoint: s.from, Remote: remote})
	d.beginResponder(p, d.derive(p, &s.keys, &s.drawn, remote, false), out)
	p.timers.ResponseSent(d.now)
	if crossed && d.bad != "crossing-stall" {
		p.timers.Yield(d.now, bytes.Compare(d.public[:], p.public[:]) > 0) // OPEN-4, OPEN-15
	}
	d.secrets(p, s, false, out)
	msg := out.alloc(wire.ResponseSize)
	copy(msg, s.reply[:])
	d.sendHandshake(p, msg, out)
	d.emit(out, Event{Kind: EventResponseSent, Peer: p.id, Endpoint: p.endpoint, Local: s.drawn.index, Remote: remote})
	p.rx += wire.InitiationSize
	p.timers.InitiationReceived(d.now)
	if p.staged.Len() > 0 {
		p.timers.WantInitiation(d.now, true) // should the peer never confirm, T1 runs for what waits
	}
	if d.bad == "handshake-time-on-response" {
		d.complete(p, false, out)
	}
}

// refuseAnswer applies "timestamp decrypt → replay test → flood test → state change" (HS-04) at the moment of the
// commit: whatever was accepted while the job was out counts.
func (d *Device) refuseAnswer(p *peer, s *jobSlot) DropReason {
	switch {
	case d.superseded(s):
		return DropSuperseded
	case s.refused != DropNone:
		return s.refused
	case bytes.Compare(s.stamp[:], p.greatest[:]) <= 0 && d.bad != "ignore-timestamp":
		return DropOldTimestamp // TAI-02
	case p.accepted && s.arrival.Sub(p.lastAccepted) < timers.InitiationFloodInterval && d.bad != "no-flood-limit":
		return DropFlood // HS-28, by arrival; it leaves no trace, and its timestamp can come again (OPEN-7)
	}
	return DropNone
}
