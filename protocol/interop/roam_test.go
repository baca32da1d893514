package interop_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/purewire/purewire/protocol"
)

// rebind moves our side to a new port.
func (p *pair) rebind(t *testing.T) (from, to netip.AddrPort) {
	t.Helper()
	w := newUDPWire(t)
	var old wire
	p.us.call(func() { old, p.us.wire = p.us.wire, w })
	old.close()
	return old.addr(), w.addr()
}

// TestUDPRoaming: each side moves to a new port, once and both at once; the first authentic message from there is
// all that the other needs (ROAM-01). No new handshake is needed.
func TestUDPRoaming(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weFirst bool
	}{{"we initiated", true}, {"they initiated", false}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(40), weKnow: true, theyKnow: true})
			p.talk(t, tc.weFirst)
			for range 3 {
				p.weRoam(t)
				p.theyRoam(t)
			}
			if n := p.us.count(protocol.EventHandshakeComplete); n != 1 {
				t.Errorf("%d handshakes, want 1", n)
			}
			p.onlyGoodDrops(t)
		})
	}
}

func (p *pair) weRoam(t *testing.T) {
	t.Helper()
	from, to := p.rebind(t)
	if from == to {
		t.Fatal("the new port is the old one")
	}
	p.weSay(t)
	eventually(t, "wireguard-go follows us", func() bool { return p.them.get(t, "endpoint") == to.String() })
	p.talk(t, false)
}

func (p *pair) theyRoam(t *testing.T) {
	t.Helper()
	old, roamed := p.them.port(t), p.us.count(protocol.EventRoamed)
	p.them.set(t, "listen_port=0\n")
	if p.them.port(t) == old {
		t.Fatal("the new port is the old one")
	}
	p.theySay(t)
	e := p.us.lastEvent(protocol.EventRoamed)
	if n := p.us.count(protocol.EventRoamed); n != roamed+1 || e.Endpoint.Remote.Port() != p.them.port(t) ||
		e.Previous.Remote.Port() != old {
		t.Errorf("%d roams, the last from %v to %v; want %d, to port %d", n, e.Previous.Remote, e.Endpoint.Remote,
			roamed+1, p.them.port(t))
	}
	p.talk(t, true)
}

// TestUDPRoamingNeedsAuthentication: what wireguard-go sent, again or damaged, from another port moves nothing
// (ROAM-02, REPLAY-01, REPLAY-08).
func TestUDPRoamingNeedsAuthentication(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(41), weKnow: true, theyKnow: true})
	var captured [][]byte
	p.us.call(func() {
		p.us.tap = func(out bool, msg []byte) {
			if !out && msg[0] == 4 {
				captured = append(captured, bytes.Clone(msg))
			}
		}
	})
	p.talk(t, true)
	stranger := newUDPWire(t)
	t.Cleanup(stranger.close)
	before := p.us.stats(t)
	var msg []byte
	p.us.call(func() { msg = captured[len(captured)-1] })
	damaged := bytes.Clone(msg)
	damaged[8] += 100 // a counter that was not seen yet, so that the tag has to tell
	for reason, m := range map[protocol.DropReason][]byte{protocol.DropReplayed: msg, protocol.DropTag: damaged} {
		if err := stranger.send(p.us.wire.addr(), m); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the drop", func() bool { return p.us.drops(reason) == 1 })
	}
	if after := p.us.stats(t); after != before {
		t.Errorf("the peer changed\nfrom %+v\nto   %+v", before, after)
	}
	p.us.inner.empty(t, "a replayed or damaged message")
	p.talk(t, true)
}
