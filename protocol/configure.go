package protocol

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/routing"
	"github.com/purewire/purewire/timers"
)

// invalid makes an error that names the field, for the caller adds which change it was.
func invalid(field string, value any) error {
	return fmt.Errorf("%w: %s %v", ErrInvalid, field, value)
}

// Configure validates all changes, in order, each as if the ones before it were applied; then it applies them
// all, or none and returns an error that tells which one and why (test with errors.Is). Keepalives that a change
// brings about become due at once and are HandleTimeout's, so ask for the Deadline afterwards; what packets waited
// for may come out of this call: deal with out as after every other.
//
// A peer with our own public key is silently ignored, and an identity whose public key is a peer's removes
// that peer (UAPI-33). An update never re-creates a peer (LIFE-08).
func (d *Device) Configure(now timers.Time, changes []Change, out *Batch) error {
	d.tick(now, out)
	v := validation{device: d, peers: map[PublicKey]bool{}, public: d.public, own: d.identity != nil,
		count: len(d.byKey)}
	for i := range changes {
		if err := v.check(&changes[i]); err != nil {
			return fmt.Errorf("change %d: %w", i, err)
		}
	}
	for i := range changes {
		d.apply(&changes[i], out)
	}
	return nil
}

// validation follows what a list of changes would do to the set of peers and the identity.
type validation struct {
	device  *Device
	peers   map[PublicKey]bool // what the changes made of a peer; absent: nothing
	cleared bool
	public  PublicKey
	own     bool
	count   int
}

// has reports whether there would be such a peer by now. What the changes did comes before what the device has.
func (v *validation) has(k PublicKey) bool {
	if is, ok := v.peers[k]; ok {
		return is
	}
	_, is := v.device.byKey[k]
	return is && !v.cleared
}

// remove is for a peer that there may be.
func (v *validation) remove(k PublicKey) {
	if v.has(k) {
		v.peers[k] = false
		v.count--
	}
}

// check decides about one change and notes what it would do to those behind it, so that applying cannot fail.
func (v *validation) check(c *Change) error {
	switch c.Op {
	case OpIdentity:
		if v.own = c.Identity != nil; v.own {
			v.public = c.Identity.PublicKey()
			v.remove(v.public)
		}
		return nil
	case OpMTU:
		if c.MTU < 0 {
			return invalid("MTU", c.MTU)
		}
		return nil
	case OpRemovePeers:
		v.cleared, v.count = true, 0
		clear(v.peers)
		return nil
	case OpRemovePeer:
		if !v.has(c.Peer) && !c.Lenient {
			return fmt.Errorf("%w: %v", ErrUnknownPeer, c.Peer)
		}
		v.remove(c.Peer)
		return nil
	case OpAddPeer, OpUpdatePeer, OpPutPeer:
		return v.checkPeer(c)
	}
	return invalid("Op", c.Op)
}

// checkPeer is check for the operations that write a peer. A port of 0 is refused because nothing can be sent
// there; prefixes are refused only if they are none, host bits being masked (ROUTE-07).
func (v *validation) checkPeer(c *Change) error {
	has := v.has(c.Peer)
	switch {
	case v.own && c.Peer == v.public: // ignored when it is applied (UAPI-33)
	case c.Op == OpAddPeer && has && !c.Lenient:
		return fmt.Errorf("%w: %v", ErrPeerExists, c.Peer)
	case c.Op == OpUpdatePeer && !has && !c.Lenient:
		return fmt.Errorf("%w: %v", ErrUnknownPeer, c.Peer)
	case c.Op != OpUpdatePeer && !has:
		if v.count >= v.device.limits.Peers {
			return ErrLimit
		}
		v.peers[c.Peer] = true
		v.count++
	}
	if c.Endpoint != nil && *c.Endpoint != (netip.AddrPort{}) && (!c.Endpoint.IsValid() || c.Endpoint.Port() == 0) {
		return invalid("Endpoint", *c.Endpoint)
	}
	for _, prefixes := range [][]netip.Prefix{c.AllowedIPs, c.RemoveAllowedIPs} {
		for _, p := range prefixes {
			if err := routing.Valid(p); err != nil {
				return fmt.Errorf("%w: %w", ErrInvalid, err)
			}
		}
	}
	return nil
}

// apply does one change that was checked. Nothing in it can fail, so a list of changes is applied whole.
func (d *Device) apply(c *Change, out *Batch) {
	p := d.byKey[c.Peer]
	switch c.Op {
	case OpIdentity:
		d.changeIdentity(c.Identity, out)
	case OpMTU:
		d.mtu = c.MTU
	case OpRemovePeers:
		for p := range d.all() {
			d.remove(p, out)
		}
		d.compact()
	case OpRemovePeer:
		if p != nil {
			d.remove(p, out)
			d.compact()
		}
	case OpAddPeer, OpPutPeer, OpUpdatePeer:
		if p == nil && c.Op != OpUpdatePeer {
			d.update(d.add(c.Peer, out), c, out)
		} else if c.Op != OpAddPeer {
			d.update(p, c, out)
		}
	}
}

// add makes a peer, or gives nil for our own key.
func (d *Device) add(k PublicKey, out *Batch) *peer {
	if d.identity != nil && k == d.public {
		return nil
	}
	d.lastID++
	p := &peer{id: d.lastID, public: k}
	d.queue.Add(&p.timers, uint32(p.id))
	if d.up {
		p.timers.Up(d.now)
	}
	d.peers = append(d.peers, peerEntry{p.id, p})
	d.byKey[k] = p
	d.emit(out, Event{Kind: EventPeerAdded, Peer: p.id})
	return p
}

// remove drops a peer and everything that refers to it; jobs that are out find it dead. The caller compacts.
func (d *Device) remove(p *peer, out *Batch) {
	d.wipe(p, out)
	d.queue.Remove(&p.timers)
	d.routes.RemoveAll(p)
	delete(d.byKey, p.public)
	// Jobs that are out hold p: they find it dead when they come back (design §4). Its ID is not used again.
	p.dead, p.psk, p.ss = true, PresharedKey{}, handshake.StaticStatic{}
	i, _ := slices.BinarySearchFunc(d.peers, p.id, byID)
	d.peers[i].peer = nil
	d.holes++
	d.emit(out, Event{Kind: EventPeerRemoved, Peer: p.id})
}

// compact closes the holes that removed peers left, once they are the larger half.
func (d *Device) compact() {
	if 2*d.holes > len(d.peers) {
		d.peers = slices.DeleteFunc(d.peers, func(e peerEntry) bool { return e.peer == nil })
		d.holes = 0
	}
}

// update applies the fields of c to p (nil: our own key, or a peer that is not there). Sessions, counters and
// timestamps stay as they are (LIFE-08); a new preshared key counts from the next handshake on (CRYPTO-16).
func (d *Device) update(p *peer, c *Change, out *Batch) {
	if p == nil {
		return
	}
	if c.PresharedKey != nil {
		// "Changing the psk affects only handshakes started afterwards; existing sessions continue" (CRYPTO-16).
		p.psk = *c.PresharedKey
		if d.bad == "psk-change-drops-session" {
			d.zero(p, out)
		}
	}
	if c.Endpoint != nil {
		first := !p.endpoint.IsValid() && c.Endpoint.IsValid()
		p.endpoint = Endpoint{IfIndex: c.EndpointIfIndex,
			Remote: netip.AddrPortFrom(c.Endpoint.Addr().Unmap().WithZone(""), c.Endpoint.Port())}
		p.forgetSource() // which takes away an interface that is no scope
		if *c.Endpoint == (netip.AddrPort{}) {
			p.endpoint = Endpoint{}
		}
		if first {
			p.timers.KickPersistentKeepalive(d.now) // it was due before, with nowhere to go
		}
	} else if d.bad == "update-forgets-endpoint" {
		p.endpoint = Endpoint{}
	}
	if c.PersistentKeepalive != nil {
		p.timers.SetPersistentKeepalive(d.now, *c.PersistentKeepalive)
	}
	// In this order a prefix can be taken away and given again in one change, and the last word counts. Routing
	// takes effect with the next packet, on running sessions too (ROUTE-08).
	if c.ReplaceAllowedIPs {
		d.routes.RemoveAll(p)
	}
	for _, prefix := range c.RemoveAllowedIPs {
		d.routes.Delete(prefix, p)
	}
	for _, prefix := range c.AllowedIPs {
		d.routes.Insert(prefix, p)
	}
	if p.staged.Len() > 0 {
		d.keepalive(p, CausePacket, out) // what waited may have somewhere to go now (UAPI-34)
	}
	d.traceTimers(p, timers.None, out)
}

// setIdentity also re-keys the check of mac1, so that from here on "messages keyed to the old public key fail"
// (COOKIE-21), and forgets the cookie secret. Without a key nothing passes mac1, but it is not asked (HS-23).
func (d *Device) setIdentity(id Identity) {
	d.identity, d.public = id, PublicKey{}
	if id != nil {
		d.public = id.PublicKey()
		d.checker.SetKey((*[KeySize]byte)(&d.public))
	}
}

// changeIdentity replaces our static key. The same key changes nothing (KEY-15); another ends sending on all
// sessions, lets the next packet start a handshake at once, and gives up those that are under way. Receiving
// on old key pairs goes on until they expire (KEY-16).
func (d *Device) changeIdentity(id Identity, out *Batch) {
	if id != nil && d.identity != nil && id.PublicKey() == d.public {
		d.identity = id
		return
	}
	d.setIdentity(id)
	d.generation++
	if p := d.byKey[d.public]; p != nil && id != nil {
		d.remove(p, out)
		d.compact()
	}
	for p := range d.all() {
		d.dropPending(p)
		p.ss, p.consuming = handshake.StaticStatic{}, 0
		p.timers.KeysExpiredByIdentity(d.now)
		for _, k := range p.keys {
			if k != nil && d.bad != "key-change-keeps-sessions" {
				k.expired = true
			}
		}
		if p.staged.Len() > 0 {
			d.keepalive(p, CausePacket, out) // what waited for a key need not wait for the next packet
		}
		d.traceTimers(p, timers.None, out)
	}
}

// Up starts the device. Peers with a persistent keepalive are due at once (TIMER-22), in portions of
// HandleTimeout.
func (d *Device) Up(now timers.Time, out *Batch) {
	d.tick(now, out)
	if d.up {
		return
	}
	d.up = true
	for p := range d.all() {
		p.timers.Up(d.now)
		d.traceTimers(p, timers.None, out)
	}
}

// Down stops it: handshakes, key pairs, timers and waiting packets go, without a word to anybody (LIFE-04,
// LIFE-10). Counters, endpoints and the greatest timestamps stay (TAI-04, STAT-06).
func (d *Device) Down(now timers.Time, out *Batch) {
	d.tick(now, out)
	if !d.up {
		return
	}
	d.up = false
	d.generation++
	d.waiting = nil
	for p := range d.all() {
		if d.bad == "down-keeps-keys" {
			p.timers.Down()
			continue
		}
		d.wipe(p, out)
	}
}
