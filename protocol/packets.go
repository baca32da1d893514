package protocol

import (
	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// HandlePackets takes inner packets from the tunnel (E10 of rules.md §1.5). Each becomes a SealJob at once, or
// is copied to wait for a handshake, or is refused: in out.Rejects if its sender is to be told. The windows
// need Headroom and Tailroom around them, unless the caller sets SealJob.Dst.
func (d *Device) HandlePackets(now timers.Time, in []Packet, out *Batch) {
	d.tick(now, out)
	for i := range in {
		pkt := &in[i]
		if !d.up {
			d.drop(out, DropDown, nil, Endpoint{}, pkt.Len)
			continue
		}
		dst, ok := wire.InnerDestination(pkt.Bytes())
		if !ok {
			d.drop(out, DropNotIP, nil, Endpoint{}, pkt.Len)
			continue
		}
		p, ok := d.routes.Lookup(dst) // ROUTE-01
		if !ok {
			d.reject(out, DropNoRoute, nil, pkt)
			continue
		}
		if !p.endpoint.IsValid() {
			d.reject(out, DropNoEndpoint, p, pkt) // QUEUE-04: nothing waits for nowhere
			continue
		}
		if p.current().maySend(d.now, d.bad) {
			d.flush(p, out)
			d.seal(p, *pkt, out)
		} else {
			d.stage(p, pkt.Bytes(), out)
			d.initiate(p, CausePacket, false, out)
		}
		d.traceTimers(p, timers.None, out)
	}
}

// reject refuses a packet whose sender should be told: "dropped, and the sender gets ICMPv4 type 3 code 1 /
// ICMPv6 type 1 code 3" (ROUTE-05, ROUTE-06). Making that message is the tunnel's side of it.
func (d *Device) reject(out *Batch, reason DropReason, p *peer, pkt *Packet) {
	d.drop(out, reason, p, Endpoint{}, pkt.Len)
	r := Reject{Packet: *pkt, Reason: reason}
	if p != nil {
		r.Peer = p.id
	}
	out.Rejects = append(out.Rejects, r)
}

// seal makes the job that encrypts pkt, empty for a keepalive, on p's current key pair, whose counter is
// assigned here (design §3 rule 4). It is E6 and E7: a job made counts as a message sent.
func (d *Device) seal(p *peer, pkt Packet, out *Batch) {
	// Who waits behind a rotation keeps the key that the job was given (KEY-08): nothing is looked up again later.
	k := p.current()
	job := SealJob{Datagram: Datagram{Packet: pkt, Endpoint: p.endpoint}, Peer: p.id, keypair: k, counter: k.counter,
		padded: d.pad(pkt.Len)}
	k.counter++
	if d.bad == "nonce-reuse" {
		job.counter &^= 1
	}
	if pkt.Len > 0 {
		inner := wire.InnerTOS(pkt.Bytes())
		job.TOS = wire.OuterECN(inner) // QOS-02, QOS-03
		if d.bad == "leak-dscp" {
			job.TOS = inner
		}
	}
	p.tx += uint64(job.Size())
	out.Seal = append(out.Seal, job)
	if pkt.Len > 0 || d.bad == "keepalive-is-data" {
		p.timers.DataSent(d.now, k.jitter)
	} else {
		p.timers.KeepaliveSent(d.now)
		d.emit(out, Event{Kind: EventKeepaliveSent, Peer: p.id, Endpoint: p.endpoint})
	}
	if d.session(k).RekeyOnSend(d.now, k.counter) {
		d.rekey(p, k, out)
	}
}

// rekey starts a handshake because of the age or use of the key pair that was just sent on (TIMER-07, TIMER-09).
func (d *Device) rekey(p *peer, k *keypair, out *Batch) {
	cause := CauseRekeyTime
	if k.counter > timers.RekeyAfterMessages {
		cause = CauseRekeyMessages
	} else if d.bad == "no-rekey" {
		return
	}
	d.initiate(p, cause, false, out)
}

// pad gives the length of n bytes of plaintext with padding: the next multiple of 16 (PAD-01), but not beyond
// the MTU (PAD-02), of which a packet larger than it is counted modulo (PAD-03).
func (d *Device) pad(n int) int {
	aligned := (n + 15) &^ 15
	if d.bad == "no-padding" {
		return n
	}
	if d.mtu == 0 || d.bad == "pad-beyond-mtu" {
		return aligned
	}
	// The kernel's arithmetic: only the part behind the last whole MTU is padded, and never over its edge.
	last := n
	if n > d.mtu {
		last = n % d.mtu
	}
	return n + min((last+15)&^15, d.mtu) - last
}

// sealEmpty sends a keepalive on the current key pair (PAD-05).
func (d *Device) sealEmpty(p *peer, out *Batch) {
	buf := out.alloc(Headroom + Tailroom)
	d.seal(p, Packet{Buf: buf, Off: Headroom}, out)
}

// keepalive sends what waits, else an empty message (QUEUE-05). Without a usable session the wish itself waits,
// unless something does already, and a handshake starts for the cause (QUEUE-06).
func (d *Device) keepalive(p *peer, cause Cause, out *Batch) {
	switch {
	case !p.endpoint.IsValid():
		d.drop(out, DropNoEndpoint, p, Endpoint{}, 0)
	case !p.current().maySend(d.now, d.bad):
		if p.staged.Len() == 0 {
			d.stage(p, nil, out)
		}
		d.initiate(p, cause, false, out)
	case p.staged.Len() > 0:
		d.flush(p, out)
	default:
		d.sealEmpty(p, out)
	}
}
