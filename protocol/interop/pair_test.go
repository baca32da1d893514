package interop_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// setup says how the two ends are configured.
type setup struct {
	keys             keys
	ourPSK, theirPSK protocol.PresharedKey
	limits           protocol.Limits
	// Whether a side is told the other's address. If not it learns it from the other's first message.
	weKnow, theyKnow bool
}

// pair is the two ends.
type pair struct {
	*setup
	us     *node
	them   *theirs
	number uint32 // of the last packet made
}

// newPair connects the ends over UDP.
func newPair(t testing.TB, s setup) *pair {
	t.Helper()
	p := &pair{setup: &s}
	p.us = newNode(t, &clock{start: time.Now()}, newUDPWire(t), s.keys.our, s.limits)
	t.Cleanup(func() { p.us.close() })
	p.them = newTheirs(t, conn.NewDefaultBind(), p.theirConfig(0))
	p.us.configure(t, ourPeer(public(s.keys.their), s.ourPSK, p.toThem(t)))
	return p
}

// theirConfig is their whole configuration.
func (p *pair) theirConfig(port uint16) string {
	var to netip.AddrPort
	if p.theyKnow {
		to = p.us.wire.addr()
	}
	return fmt.Sprintf("private_key=%x\nlisten_port=%d\n%s", p.keys.their, port,
		theirPeer(public(p.keys.our), p.theirPSK, to))
}

// toThem is where we send to, or nothing if we are not to know.
func (p *pair) toThem(t testing.TB) (to netip.AddrPort) {
	t.Helper()
	if p.weKnow {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.them.port(t))
	}
	return to
}

// ourPacket makes a packet from us to them, theirPacket one from them to us. No two are equal.
func (p *pair) ourPacket() []byte {
	p.number++
	return inner(ours4, theirs4, size(int(p.number)), p.number)
}

func (p *pair) theirPacket() []byte {
	p.number++
	return inner(theirs4, ours4, size(int(p.number)), p.number)
}

func (p *pair) weSay(t testing.TB) {
	t.Helper()
	msg := p.ourPacket()
	p.us.send(msg)
	p.them.inner.wants(t, "our packet on their side", msg)
}

func (p *pair) theySay(t testing.TB) {
	t.Helper()
	msg := p.theirPacket()
	p.them.send(t, msg)
	p.us.inner.wants(t, "their packet on our side", msg)
}

// talk exchanges one packet each way; who speaks first initiates if there is no session.
func (p *pair) talk(t testing.TB, weFirst bool) {
	t.Helper()
	if weFirst {
		p.weSay(t)
		p.theySay(t)
	} else {
		p.theySay(t)
		p.weSay(t)
	}
}

// rest brings our side to where only the erasure of keys is due: we spoke last, and they let us know that they
// heard. What happens after an advance of the clock is then the consequence of what the test does.
func (p *pair) rest(t testing.TB) {
	t.Helper()
	p.weSay(t)
	heard := p.us.count(protocol.EventKeepaliveReceived)
	p.them.dev.SendKeepalivesToPeersWithCurrentKeypair()
	eventually(t, "their keepalive arrives", func() bool { return p.us.count(protocol.EventKeepaliveReceived) > heard })
	p.us.call(func() {
		if _, why, ok := p.us.dev.Deadline(); !ok || why != timers.ZeroKeyMaterial {
			t.Errorf("at rest %v is due", why)
		}
	})
}

// advance moves our clock, by nothing if need be, and lets what is due then happen. wireguard-go takes no two
// initiations within 20 ms of real time (HS-28), and their timestamps differ only every 17 ms of ours (TAI-07): so
// no step takes less.
func (p *pair) advance(d time.Duration) {
	time.Sleep(30 * time.Millisecond)
	p.us.clock.advance(d)
	p.us.call(func() {}) // what is due is done behind each call
	p.us.call(func() {})
}

// stream sends count packets each way at once, no more than window of them on the way, and checks that each
// arrives, in order. each is called after every round.
func (p *pair) stream(t testing.TB, count, window int, v6 bool, each func(done int)) {
	t.Helper()
	us, them := [2]netip.Addr{ours4, theirs4}, [2]netip.Addr{theirs4, ours4}
	if v6 {
		us, them = [2]netip.Addr{ours6, theirs6}, [2]netip.Addr{theirs6, ours6}
	}
	var sent, got [2]int
	moved := time.Now()
	for got[0] < count || got[1] < count {
		var ours [][]byte
		for ; sent[0] < count && sent[0]-got[0] < window; sent[0]++ {
			ours = append(ours, inner(us[0], us[1], size(sent[0]), uint32(sent[0])))
		}
		if len(ours) > 0 {
			p.us.send(ours...)
		}
		for ; sent[1] < count && sent[1]-got[1] < window; sent[1]++ {
			p.them.send(t, inner(them[0], them[1], size(sent[1]), uint32(sent[1])))
		}
		before := got
		for ; p.them.inner.waiting() > 0; got[0]++ {
			p.them.inner.wants(t, fmt.Sprint("our packet ", got[0]), inner(us[0], us[1], size(got[0]), uint32(got[0])))
		}
		for ; p.us.inner.waiting() > 0; got[1]++ {
			p.us.inner.wants(t, fmt.Sprint("their packet ", got[1]), inner(them[0], them[1], size(got[1]), uint32(got[1])))
		}
		switch {
		case before != got:
			moved = time.Now()
		case time.Since(moved) > patience:
			t.Fatalf("nothing for %v: %d of our %d and %d of their %d packets arrived", patience, got[0], sent[0], got[1],
				sent[1])
		default:
			time.Sleep(200 * time.Microsecond)
		}
		each(min(got[0], got[1]))
	}
	p.us.inner.empty(t, "after the stream")
	p.them.inner.empty(t, "after the stream")
}
