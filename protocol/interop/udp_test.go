package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// TestUDPRoles: either side initiates, with and without a psk, and learns the other's address from its first
// message if it was not told (HS-01, HS-03, HS-14, HS-15, HS-18, ROAM-01, CRYPTO-14, QUEUE-01). Both families go
// through the session (PAD-06). The statistics of both sides agree (STAT-01, STAT-02).
func TestUDPRoles(t *testing.T) {
	psk := protocol.PresharedKey{1, 2, 3}
	for i, tc := range []struct {
		name             string
		weFirst          bool
		weKnow, theyKnow bool
		psk              protocol.PresharedKey
	}{
		{"we initiate", true, true, false, protocol.PresharedKey{}},
		{"they initiate", false, false, true, protocol.PresharedKey{}},
		{"we initiate, psk", true, true, true, psk},
		{"they initiate, psk", false, true, true, psk},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(byte(i)), ourPSK: tc.psk, theirPSK: tc.psk, weKnow: tc.weKnow,
				theyKnow: tc.theyKnow})
			if p.them.shaken(t) || p.us.stats(t).Session {
				t.Fatal("a session before anybody spoke")
			}
			p.talk(t, tc.weFirst)
			p.stream(t, 40, 8, true, func(int) {})
			if got := p.us.lastEvent(protocol.EventHandshakeComplete).Initiator; got != tc.weFirst {
				t.Errorf("we are the initiator: %v, want %v", got, tc.weFirst)
			}
			if n := p.us.count(protocol.EventHandshakeComplete); n != 1 {
				t.Errorf("%d handshakes, want 1", n)
			}
			if !p.them.shaken(t) {
				t.Error("wireguard-go knows of no handshake")
			}
			p.sameBytes(t)
			for r, n := range drops(p.us) {
				if n > 0 {
					t.Errorf("%d drops: %v", n, protocol.DropReason(r))
				}
			}
		})
	}
}

func drops(n *node) (d [protocol.NumDropReasons]uint64) {
	n.call(func() { d = n.dev.Drops() })
	return d
}

// sameBytes compares what each side says it sent with what the other says it received.
func (p *pair) sameBytes(t *testing.T) {
	t.Helper()
	eventually(t, "both sides count the same bytes", func() bool {
		s := p.us.stats(t)
		return s.TxBytes == uint64(p.them.number(t, "rx_bytes")) && s.RxBytes == uint64(p.them.number(t, "tx_bytes"))
	})
}

// TestUDPWrongPSK: with different psks no session comes up whoever initiates, nothing is delivered, and retrying
// does not help (CRYPTO-15, HS-10). Once the psk is the same the next handshake is good.
func TestUDPWrongPSK(t *testing.T) {
	psk := protocol.PresharedKey{7}
	wrong := map[string]protocol.PresharedKey{"another psk": {8}, "no psk": {}}
	for name, ours := range wrong {
		t.Run("we initiate, "+name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(10), ourPSK: ours, theirPSK: psk, weKnow: true})
			msg := p.ourPacket()
			p.us.send(msg)
			for n := uint64(1); n <= 3; n++ {
				eventually(t, fmt.Sprint("response ", n, " is refused"), func() bool {
					return p.us.drops(protocol.DropResponseTag) >= n
				})
				p.noSession(t)
				p.advance(6 * time.Second)
			}
			p.us.configure(t, protocol.Change{Op: protocol.OpUpdatePeer, Peer: public(p.keys.their), PresharedKey: &psk})
			p.advance(6 * time.Second)
			p.them.inner.wants(t, "the packet that waited for a good psk", msg)
			p.talk(t, true)
		})
		t.Run("they initiate, "+name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(11), ourPSK: ours, theirPSK: psk, theyKnow: true})
			p.them.send(t, p.theirPacket())
			eventually(t, "wireguard-go refuses our response", func() bool {
				return p.them.log.count("Received invalid response message") > 0
			})
			if n := p.us.count(protocol.EventResponseSent); n != 1 {
				t.Errorf("we sent %d responses, want 1: the responder cannot notice", n)
			}
			p.noSession(t)
			// Our side has the keys of its own response, but must not send on them before they are confirmed (HS-16).
			p.us.send(p.ourPacket())
			p.advance(6 * time.Second)
			eventually(t, "our own initiation fails too", func() bool { return p.us.drops(protocol.DropResponseTag) > 0 })
			p.noSession(t)
		})
	}
}

func (p *pair) noSession(t *testing.T) {
	t.Helper()
	if p.us.stats(t).Session || p.us.count(protocol.EventHandshakeComplete) > 0 || p.them.shaken(t) {
		t.Error("there is a session")
	}
	p.us.inner.empty(t, "with different psks")
	p.them.inner.empty(t, "with different psks")
}

// TestUDPTenThousandPackets: 10,000 packets each way at once, of every length up to the MTU, arrive in order and
// with their contents (MSG-10, MSG-14, MSG-15, CRYPTO-06, CRYPTO-08, PAD-06).
func TestUDPTenThousandPackets(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weFirst bool
		v6      bool
	}{{"IPv4, we initiate", true, false}, {"IPv6, they initiate", false, true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(20), weKnow: true, theyKnow: true})
			p.talk(t, tc.weFirst)
			p.stream(t, 10_000, 48, tc.v6, func(int) {})
			if n := p.us.count(protocol.EventHandshakeComplete); n != 1 {
				t.Errorf("%d handshakes, want 1", n)
			}
			p.sameBytes(t)
		})
	}
}

// TestUDPStaged: packets that wait for the handshake arrive after it, all and in order, whichever side they wait on
// (QUEUE-01, HS-15).
func TestUDPStaged(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(25), weKnow: true, theyKnow: true})
	var ours [][]byte
	for range 100 {
		ours = append(ours, p.ourPacket())
	}
	p.us.send(ours...)
	for i, msg := range ours {
		p.them.inner.wants(t, fmt.Sprint("staged packet ", i), msg)
	}
	if n := p.us.count(protocol.EventKeepaliveSent); n != 0 {
		t.Errorf("%d keepalives beside the packets that waited, want none", n)
	}
	p.theySay(t)
}
