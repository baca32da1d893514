package protocol

import (
	"net/netip"

	"github.com/purewire/purewire/protocol/internal/cookie"
	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/protocol/internal/staging"
	"github.com/purewire/purewire/routing"
	"github.com/purewire/purewire/timers"
)

// peer is all that a device knows of one peer. A million idle ones must fit into memory (at most 1 KiB each
// with their routes and map entries), so what only an active peer needs hangs on pointers.
type peer struct {
	timers   timers.Peer
	allowed  routing.List
	public   PublicKey
	psk      PresharedKey
	endpoint Endpoint
	ss       handshake.StaticStatic // under the identity of the moment

	pending *pending    // our initiation that waits for its response
	jar     *cookie.Jar // made with the first handshake message that we send
	// The key pairs by slot, paper §6.3 and rules.md §1.4; SlotNone is always empty. Packets are sent on
	// SlotCurrent and received on all.
	keys   [NumSlots]*keypair
	staged staging.Queue
	shown  *[timers.NumKinds]shownTimer // what traceTimers reported last

	creating      uint64 // the job that makes an initiation of ours; 0: none
	rx, tx        uint64
	lastHandshake int64       // wall clock in Unix ns; if shaken
	lastStamp     int64       // the timestamp sent last, in Unix ns; if stamped (TAI-10)
	lastAccepted  timers.Time // when the last accepted initiation arrived; if accepted (HS-28)
	greatest      [12]byte    // the greatest timestamp accepted (TAI-02, TAI-04)

	id         PeerID
	handshakes uint32 // generation of pending: initiations made and accepted
	consuming  uint32 // responses to pending that are being worked on
	retry      bool   // that initiation is a retransmission
	cause      Cause  // of that initiation
	stamped    bool
	shaken     bool
	accepted   bool
	dead       bool // removed
}

// pending is an initiation of ours for which a response may come (HS-08).
type pending struct {
	state     handshake.State
	ephemeral *handshake.Ephemeral
	index     uint32
	drawn     drawn
}

// current is the key pair that we send on, or nil.
func (p *peer) current() *keypair { return p.keys[SlotCurrent] }

// AllowedIPs makes a peer a routing.Holder.
func (p *peer) AllowedIPs() *routing.List { return &p.allowed }

// heard takes the endpoint of an authenticated message (ROAM-01): it may move to any address, family included
// (ROAM-06), and the local address becomes the source of what we send (ROAM-08).
func (d *Device) heard(p *peer, from Endpoint, out *Batch) {
	// Compared before anything is written: on a quiet path every packet ends here.
	if p.endpoint == from || d.bad == "no-roam" && p.endpoint.IsValid() {
		return
	}
	if p.endpoint.IsValid() && p.endpoint.Remote != from.Remote {
		d.emit(out, Event{Kind: EventRoamed, Peer: p.id, Endpoint: from, Previous: p.endpoint})
	}
	p.endpoint = from
}

// forgetSource gives up the sticky local address (TIMER-24, ROAM-09). The interface index stays where it is
// the scope of a link-local address.
func (p *peer) forgetSource() {
	p.endpoint.Local = netip.Addr{}
	if !p.endpoint.Remote.Addr().IsLinkLocalUnicast() {
		p.endpoint.IfIndex = 0
	}
}

// ForgetSources forgets the sticky source address local of every peer, or any if local is the zero Addr: for
// an address that went, a route that moved, a new port or mark (ROAM-09).
func (d *Device) ForgetSources(now timers.Time, local netip.Addr) {
	d.now = max(d.now, now)
	for p := range d.all() {
		if !local.IsValid() || p.endpoint.Local == local {
			p.forgetSource()
		}
	}
}

// sign adds both MACs to a handshake message for p, which is complete but for them.
func (d *Device) sign(p *peer, msg []byte) {
	if p.jar == nil {
		p.jar = cookie.NewJar((*[KeySize]byte)(&p.public))
	}
	now := d.now
	if d.bad == "cookie-forever" {
		now = 0
	}
	p.jar.Sign(d.hasher, msg, now)
}

// handshakeTOS is the outer TOS byte of initiations and responses: DSCP AF41 (QOS-01).
const handshakeTOS = 0x88

// sendHandshake signs msg, which lies in out's arena, and sends it.
func (d *Device) sendHandshake(p *peer, msg []byte, out *Batch) {
	d.sign(p, msg)
	p.tx += uint64(len(msg))
	out.Datagrams = append(out.Datagrams,
		Datagram{Packet: Packet{Buf: msg, Len: len(msg)}, Endpoint: p.endpoint, TOS: handshakeTOS})
}

// dropPending forgets our initiation; a response to it is no longer known (HS-11, HS-12).
func (d *Device) dropPending(p *peer) {
	if p.pending == nil {
		return
	}
	delete(d.byIdx, p.pending.index)
	p.pending.state.Wipe() // SEC-03
	p.pending = nil
}

// stage keeps a copy of an inner packet, or of the wish for a keepalive (no bytes, QUEUE-06), until there is
// a session.
func (d *Device) stage(p *peer, packet []byte, out *Batch) {
	if d.bad == "stage-drops-newest" && p.staged.Len() >= d.limits.StagedPackets {
		d.drop(out, DropStagedOverflow, p, Endpoint{}, len(packet))
		return
	}
	lost := p.staged.Push(&d.staged, d.limits.StagedPackets, packet, Headroom, Tailroom)
	for range lost {
		d.drop(out, DropStagedOverflow, p, Endpoint{}, 0)
	}
}

// purge drops all that waits (TIMER-04, QUEUE-07).
func (d *Device) purge(p *peer, out *Batch) {
	waited := p.staged.Take(&d.staged)
	for _, buf := range waited {
		if n := len(buf) - Headroom - Tailroom; n > 0 {
			d.drop(out, DropStagedPurged, p, Endpoint{}, n)
		}
	}
}

// flush sends what waits, in order; the caller has seen to a usable current key pair (QUEUE-01).
func (d *Device) flush(p *peer, out *Batch) {
	waited := p.staged.Take(&d.staged)
	for _, buf := range waited {
		if n := len(buf) - Headroom - Tailroom; n > 0 || len(waited) == 1 { // data makes the wish needless (HS-15)
			d.seal(p, Packet{Buf: buf, Off: Headroom, Len: n}, out)
		}
	}
}

// wipe ends all that p has under way: handshake, key pairs, timers, staged packets. What outlives it is the
// configuration, the counters, the endpoint and the greatest timestamp (rules.md §1.5 E12, TAI-04).
func (d *Device) wipe(p *peer, out *Batch) {
	d.purge(p, out)
	p.timers.Down()
	d.zero(p, out)
	p.creating, p.consuming = 0, 0
	p.handshakes++
	d.traceTimers(p, timers.None, out)
}

// zero wipes handshake and key pairs (KEY-13, KEY-14).
func (d *Device) zero(p *peer, out *Batch) {
	d.dropPending(p)
	if p.jar != nil {
		p.jar.Wipe()
	}
	for s := SlotPrevious; s < NumSlots; s++ {
		d.put(p, nil, s, out)
	}
}
