package protocol

import (
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

var problemDrops = [...]DropReason{wire.TooShort: DropShort, wire.BadType: DropType, wire.BadReserved: DropReserved,
	wire.BadLength: DropLength}

// HandleDatagrams takes UDP payloads from the network. What they ask for lies in out; nothing about a peer
// changes before something in them has authenticated (design §3 rules 4 and 6).
func (d *Device) HandleDatagrams(now timers.Time, in []Datagram, out *Batch) {
	d.tick(now, out)
	for i := range in {
		dg := &in[i]
		if !d.up {
			d.drop(out, DropDown, nil, dg.Endpoint, dg.Len)
			continue
		}
		t, problem := d.classify(dg)
		switch {
		case problem != wire.OK:
			d.drop(out, problemDrops[problem], nil, dg.Endpoint, dg.Len)
		case t == wire.TypeTransport:
			d.handleTransport(dg, out)
		case t == wire.TypeCookieReply:
			d.handleCookie(dg, out)
		default:
			d.handleHandshake(t, dg, out)
		}
	}
}

// handleTransport makes the job that decrypts a transport message. The key pair is that of the receiver index,
// whichever slot it is in (KEY-06, KEY-07).
func (d *Device) handleTransport(dg *Datagram, out *Batch) {
	msg := dg.Bytes()
	index, k := wire.TransportReceiver(msg), d.recent
	if k == nil || k.local != index { // most packets come in company
		k = d.byIdx[index].keypair
		d.recent = k
	}
	if k == nil {
		d.drop(out, DropUnknownIndex, nil, dg.Endpoint, dg.Len)
		return
	}
	if k.session.Expired(d.now) && d.bad != "keys-live-forever" {
		d.drop(out, DropKeyExpired, k.peer, dg.Endpoint, dg.Len)
		return
	}
	// The window is not asked yet: "consulted and updated only after the tag verified" (REPLAY-02).
	counter := wire.TransportCounter(msg)
	if counter >= timers.RejectAfterMessages && d.bad != "no-counter-limit" {
		d.drop(out, DropCounterLimit, k.peer, dg.Endpoint, dg.Len) // REPLAY-07
		return
	}
	if d.bad == "roam-before-auth" {
		k.peer.endpoint = dg.Endpoint
	}
	out.Open = append(out.Open, OpenJob{Datagram: *dg, keypair: k, counter: counter, length: dg.Len})
}

// HandleOpened takes the open jobs back from the Worker, in the order in which they came: here a message is
// authentic or not, and here replay window, key confirmation, roaming, timers and source check move.
func (d *Device) HandleOpened(now timers.Time, in []OpenJob, out *Batch) {
	d.tick(now, out)
	for i := range in {
		j := &in[i]
		p := j.keypair.peer
		if reason := d.refuseOpened(j); reason != DropNone {
			d.drop(out, reason, p, j.Endpoint, j.length)
			continue
		}
		d.authentic(p, j, out)
		d.traceTimers(p, timers.None, out)
	}
}

// refuseOpened says why a message that came back from the Worker counts for nothing: "silence, no reset message,
// no handshake" (QUIET-03), and no refreshed endpoint, timer or counter either (REPLAY-08).
func (d *Device) refuseOpened(j *OpenJob) DropReason {
	k := j.keypair
	switch {
	case k.slot == SlotNone:
		return DropSuperseded // the key pair was dropped while the job was out
	case k.session.Expired(d.now) && d.bad != "keys-live-forever":
		return DropKeyExpired // or it grew too old meanwhile (KEY-10)
	case !j.opened:
		if d.bad == "forgery-burns-counter" {
			k.window.Accept(j.counter, timers.RejectAfterMessages)
		}
		return DropTag
	case !d.fresh(k, j.counter):
		if d.bad == "roam-on-replay" {
			k.peer.endpoint = j.Endpoint
		}
		return DropReplayed
	}
	return DropNone
}

// fresh consults and moves the replay window, only ever for a message whose tag is right (REPLAY-02).
func (d *Device) fresh(k *keypair, counter uint64) bool {
	if d.bad == "no-replay-window" {
		return true
	}
	if greatest, ok := k.window.Greatest(); ok && d.bad == "small-replay-window" && counter+32 < greatest {
		return false
	}
	return k.window.Accept(counter, timers.RejectAfterMessages)
}

// authentic is E8 and E9: an authentic message that is no replay, empty or not.
func (d *Device) authentic(p *peer, j *OpenJob, out *Batch) {
	k := j.keypair
	// Keepalives move the endpoint, too (ROAM-04), and so does data that is not allowed here (ROAM-05).
	d.heard(p, j.Endpoint, out)
	empty := j.Len == 0
	confirmed := k.slot == SlotNext && !(empty && d.bad == "keepalive-no-confirm")
	if confirmed {
		// "A keepalive confirms the session just like data does" (HS-17): the peer has derived the same keys.
		d.promote(p, out)
		p.timers.Confirmed(d.now)
		d.complete(p, false, out)
	}
	if !empty || d.bad == "keepalive-loop" {
		p.timers.DataReceived(d.now)
	} else {
		p.timers.KeepaliveReceived(d.now)
		d.emit(out, Event{Kind: EventKeepaliveReceived, Peer: p.id, Endpoint: j.Endpoint})
	}
	// After the receipt was noted, so that T3 runs for what leaves here (see timers.Peer.ResponseReceived).
	if confirmed && p.staged.Len() > 0 && d.bad != "no-flush-on-confirm" {
		d.keepalive(p, CausePacket, out) // HS-18; under an identity that we gave up a handshake leaves instead (KEY-15)
	}
	if c := p.current(); c != nil && d.bad != "no-rekey-on-receive" && p.timers.RekeyOnReceive(d.now, d.session(c)) {
		d.initiate(p, CauseRekeyReceive, false, out)
	}
	if empty {
		p.rx += transportOverhead
		return
	}
	d.deliver(p, j, out)
}

var innerDrops = [...]DropReason{wire.InnerVersion: DropInnerVersion, wire.InnerShort: DropInnerShort,
	wire.InnerLength: DropInnerLength}

// deliver gives the decrypted packet to the tunnel, without its padding (PAD-06). A bad packet has counted as
// authentic all the same (INNER-07), but does not count in rx (STAT-03, OPEN-10).
func (d *Device) deliver(p *peer, j *OpenJob, out *Batch) {
	data := j.Bytes()
	n, reason := d.inspect(p, data)
	if reason == DropNone || d.bad == "count-dropped" {
		p.rx += uint64(transportOverhead + len(data))
	}
	if reason != DropNone {
		d.drop(out, reason, p, j.Endpoint, j.length)
		return
	}
	if ecn, change := wire.DecapECN(j.TOS, wire.InnerTOS(data)); change {
		wire.SetInnerECN(data, ecn) // QOS-04
	}
	out.Deliveries = append(out.Deliveries, Delivery{Packet{j.Buf, j.Off, n}, p.id})
}

// inspect gives the true length of a decrypted packet of p's, or says why it may not be delivered.
func (d *Device) inspect(p *peer, data []byte) (n int, r DropReason) {
	src, n, problem := wire.Inner(data)
	// "Delivered only if the device-wide longest-prefix lookup of its source address yields the sending peer."
	owner, _ := d.routes.Lookup(src) // nobody's if there is a problem
	switch {
	case problem == wire.InnerVersion && d.bad == "deliver-any-version", owner == p && d.bad == "no-trim":
		return len(data), DropNone
	case problem != wire.InnerOK:
		return 0, innerDrops[problem]
	case owner != p && d.bad != "wrong-allowed-ip":
		return 0, DropInnerSource // ROUTE-02, ROUTE-03
	}
	return n, DropNone
}
