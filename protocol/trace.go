package protocol

import (
	"encoding/base64"

	"github.com/purewire/purewire/timers"
)

func (d *Device) tracing(k EventKind) bool { return d.trace&k.Mask() != 0 }

// emit reports e, if that kind was asked for. Callers on the data path ask tracing first.
func (d *Device) emit(out *Batch, e Event) {
	if d.tracing(e.Kind) {
		e.At = d.now
		out.Events = append(out.Events, e)
	}
}

// drop counts something that goes no further, and reports it. p and from may be absent.
func (d *Device) drop(out *Batch, r DropReason, p *peer, from Endpoint, length int) {
	d.drops[r]++
	if d.tracing(EventDrop) {
		e := Event{Kind: EventDrop, Reason: r, Endpoint: from, Length: length}
		if p != nil {
			e.Peer = p.id
		}
		d.emit(out, e)
	}
}

// shownTimer is a timer as it was reported last.
type shownTimer struct {
	at    timers.Time
	armed bool
}

// traceTimers reports how p's timers changed since it was last called for p. Re-arming is reported for T1
// alone: the others move with nearly every packet. One that fired was reported already.
func (d *Device) traceTimers(p *peer, fired timers.Kind, out *Batch) {
	if p == nil || d.trace&(1<<EventTimerArmed|1<<EventTimerCancelled) == 0 {
		return
	}
	if p.shown == nil {
		p.shown = &[timers.NumKinds]shownTimer{}
	}
	for _, k := range timers.Kinds() {
		at, armed := p.timers.Deadline(k)
		was := p.shown[k]
		p.shown[k] = shownTimer{at, armed}
		switch {
		case armed && (!was.armed || k == fired || was.at != at && k == timers.RetransmitHandshake):
			d.emit(out, Event{Kind: EventTimerArmed, Peer: p.id, Timer: k, Deadline: at})
		case !armed && was.armed && k != fired:
			d.emit(out, Event{Kind: EventTimerCancelled, Peer: p.id, Timer: k})
		}
	}
}

// AppendKeyLog appends the lines of Wireshark's WireGuard key log that go with e, an EventSecrets of this
// device, to dst: the static private key if the identity gives it away, the peer's public key, the ephemeral
// private key and behind it the preshared key. Other events add nothing. The lines belong before the message
// that e came with; with those of one side a capture can be decrypted.
func (d *Device) AppendKeyLog(dst []byte, e Event) []byte {
	p := d.peer(e.Peer)
	if e.Kind != EventSecrets || p == nil {
		return dst
	}
	line := func(name string, key [KeySize]byte) {
		dst = append(append(dst, name...), '=')
		dst = append(base64.StdEncoding.AppendEncode(dst, key[:]), '\n')
	}
	if h, ok := d.identity.(PrivateKeyHolder); ok {
		line("LOCAL_STATIC_PRIVATE_KEY", h.PrivateKey())
	}
	line("REMOTE_STATIC_PUBLIC_KEY", p.public)
	line("LOCAL_EPHEMERAL_PRIVATE_KEY", e.Secret)
	line("PRESHARED_KEY", p.psk)
	return dst
}
