package conformance

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Given describes a target that was configured before the run and stays as it is: a device that only its user can
// configure. Cases marked Device run on it. Their peers are the ones that the device knows already, and of its inner
// side they use an echo: what the device delivered shows by the answer, and it is made to send a packet by a request
// for it.
type Given struct {
	PublicKey Key // the device's
	// Outer is where the device is, at most one address of each family. None: where Setup has the subject.
	Outer []netip.AddrPort
	Peers []PeerOffer
	// EchoUDP are UDP echo services behind the tunnel, EchoPing addresses there that answer pings: one of each family
	// at most. An answer has the payload, the ports and the addresses of the request, the latter two swapped.
	EchoUDP  []netip.AddrPort
	EchoPing []netip.Addr
	// Sends says that Subject.Packets makes the device send something to the destination of each packet, which need
	// not be the packet, and Patience how long after the call that may take.
	Sends    bool
	Patience time.Duration
}

// PeerOffer is a peer that the device knows: the keys of our side. The first addresses of AllowedIPs are its inner
// addresses.
type PeerOffer struct {
	Private      Key
	PresharedKey Key // zero: none
	AllowedIPs   []netip.Prefix
}

// inner gives the peer's inner address of a family; none if it has none.
func (o *PeerOffer) inner(v6 bool) netip.Addr {
	for _, p := range o.AllowedIPs {
		switch {
		case p.Addr().Is6() != v6:
		case p.IsSingleIP():
			return p.Addr()
		default:
			return p.Masked().Addr().Next()
		}
	}
	return netip.Addr{}
}

// echoes reports whether there is something inside that answers.
func (g *Given) echoes() bool { return len(g.EchoUDP)+len(g.EchoPing) > 0 }

// host is the inner address of the device for a family; none if it is not known.
func (g *Given) host(v6 bool) netip.Addr {
	for _, a := range g.EchoUDP {
		if a.Addr().Is6() == v6 {
			return a.Addr()
		}
	}
	for _, a := range g.EchoPing {
		if a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}

// outer is where the device is in a family, or in the other one if it has no address of that; none: where Setup says.
func (g *Given) outer(v6 bool) netip.AddrPort {
	if g == nil || len(g.Outer) == 0 {
		return netip.AddrPort{}
	}
	for _, a := range g.Outer {
		if a.Addr().Is6() == v6 {
			return a
		}
	}
	return g.Outer[0]
}

// service is the UDP echo service at an address; none if there is none.
func (g *Given) service(at netip.Addr) netip.AddrPort {
	for _, a := range g.EchoUDP {
		if a.Addr() == at {
			return a
		}
	}
	return netip.AddrPort{}
}

// lent is a peer of a given target and what has to be remembered of it from case to case.
type lent struct {
	PeerOffer
	stamp  peer.Timestamp // greatest that was sent: the device takes none that is not greater (HS-25)
	ready  time.Time      // when it may be used again
	cookie bool           // it gave the device a cookie
}

// keyPool lends the peers of a given target to cases. A case gets at once what it takes, so that no two cases wait for
// each other's.
type keyPool struct {
	size int

	mu    sync.Mutex
	free  []*lent       // ready first
	freed chan struct{} // closed when free grows
}

// usualPeers is what a case gets before it begins: its own peer and the one with which Silence ends.
const usualPeers = 2

const cookieTime = 125 * time.Second

// newKeyPool is nil for targets that can be configured.
func newKeyPool(g *Given) *keyPool {
	if g == nil {
		return nil
	}
	k := &keyPool{size: len(g.Peers), freed: make(chan struct{})}
	for _, o := range g.Peers {
		k.free = append(k.free, &lent{PeerOffer: o})
	}
	return k
}

// lanes is how many cases may run at once, of which some take a third peer.
func (g *Given) lanes(most int) int {
	if g == nil {
		return most
	}
	return max(1, min(most, len(g.Peers)/(usualPeers+1)))
}

// lease takes the usual number of peers, or all if there are fewer, waiting until there are so many and they may be
// used again. It gives none if ctx ends.
func (k *keyPool) lease(ctx context.Context) (l []*lent) {
	n := min(usualPeers, k.size)
	for {
		k.mu.Lock()
		freed := k.freed
		if len(k.free) >= n {
			l = slices.Clone(k.free[:n])
			k.free = slices.Delete(k.free, 0, n)
			k.mu.Unlock()
			break
		}
		k.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil
		}
	}
	for _, p := range l {
		if !sleep(ctx, time.Until(p.ready)) {
			k.giveBack(l, 0)
			return nil
		}
	}
	return l
}

// more takes one more peer, if one that suits is free.
func (k *keyPool) more(suits func(*lent) bool) *lent {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, p := range k.free {
		if suits(p) && time.Until(p.ready) <= 0 {
			k.free = slices.Delete(k.free, i, i+1)
			return p
		}
	}
	return nil
}

// giveBack returns peers, which may be used again after a rest.
func (k *keyPool) giveBack(l []*lent, rest time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range l {
		p.ready = time.Now().Add(rest)
		if p.cookie { // the device has a cookie of it, and keeps it for 120 s (COOKIE-10)
			p.ready, p.cookie = p.ready.Add(cookieTime), false
		}
	}
	k.free = append(k.free, l...)
	slices.SortStableFunc(k.free, func(a, b *lent) int { return a.ready.Compare(b.ready) })
	close(k.freed)
	k.freed = make(chan struct{})
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// borrow gives the case a peer that the device knows, with a preshared key or if possible without. If others have
// them all the case is run again, alone; if it is alone there are too few.
func (t *T) borrow(psk bool) *lent {
	exactly := func(l *lent) bool { return (l.PresharedKey != Key{}) == psk }
	for _, suits := range []func(*lent) bool{exactly, func(*lent) bool { return !psk }} {
		if i := slices.IndexFunc(t.leased, suits); i >= 0 {
			l := t.leased[i]
			t.leased = slices.Delete(t.leased, i, i+1)
			t.borrowed = append(t.borrowed, l)
			return l
		}
		if l := t.keys.more(suits); l != nil {
			t.borrowed = append(t.borrowed, l)
			return l
		}
	}
	if !t.world.alone() {
		panic(&outcome{verdict: disturbed, reason: "other cases have the peers that it takes"})
	}
	with := ""
	if psk {
		with = " with a preshared key"
	}
	t.Unsupported(fmt.Sprintf("the device knows %d peers; the case takes one more%s", t.keys.size, with))
	return nil
}

// given makes a peer of one that the device knows, or ends the case if that cannot be what it asks for.
func (t *T) given(p *Peer, o PeerOptions) {
	switch {
	case o.Static != nil:
		t.Unsupported("a peer with a key that the case chooses; the device is configured already")
	case o.Keepalive != 0:
		t.Unsupported("a peer with a persistent keepalive; the device is configured already")
	case o.NoEndpoint:
		t.Unsupported("a peer of which the device was never told where it is")
	case o.NoAllowed, len(o.AllowedIPs) > 0:
		t.Unsupported("a peer with allowed IPs that the case chooses; the device is configured already")
	}
	l := t.borrow(o.PSK != Key{})
	p.lent, p.stamp = l, l.stamp
	p.Party.Static, p.Party.PSK = peer.PairOf(l.Private), l.PresharedKey
	p.Inner4, p.Inner6 = l.inner(false), l.inner(true)
	p.Allowed = slices.Clone(l.AllowedIPs)
}

// spoils is asked before a peer sends a timestamp of its own: one of the future would make the device deaf to all that
// come after it, in later cases and runs too, until it is reset.
func (p *Peer) spoils(s peer.Timestamp) {
	t := p.t
	if p.lent == nil || t.Caps.Virtual {
		return
	}
	limit := peer.TAI64N(t.Setup.Wall.Add(time.Duration(t.Now()) + time.Second))
	switch {
	case string(s[:]) <= string(limit[:]):
	case t.Caps.Has&NeedRestart == 0:
		t.Unsupported("a timestamp of the future would spoil the peer for good: the device cannot be reset")
	case !t.world.alone():
		panic(&outcome{verdict: disturbed, reason: "a timestamp of the future: the device is to be reset afterwards"})
	}
}

// returnPeers gives the borrowed peers back. A handshake with each leaves the device without anything to do for it:
// no retransmission, no keepalive that is due, no data without an answer (TIMER-03, TIMER-12, TIMER-16), and with the
// right address.
func (t *T) returnPeers() {
	for _, p := range t.peers {
		if p.lent == nil {
			continue
		}
		func() {
			defer func() { _ = recover() }() // a verdict, or the end of the subject: no matter any more
			p.answers = false
			p.Party = peer.Party{Static: peer.PairOf(p.lent.Private), Remote: t.Key, PSK: p.lent.PresharedKey,
				Random: t.Random}
			p.Connect()
		}()
		p.lent.stamp = p.stamp
		p.lent.cookie = p.lent.cookie || p.cookie
	}
	t.keys.giveBack(t.borrowed, 20*time.Millisecond+t.Slack())
	t.keys.giveBack(t.leased, 0)
	t.borrowed, t.leased = nil, nil
}
