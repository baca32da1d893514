package interop_test

import (
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// TestUDPPersistentKeepalive: ours brings up the session without any packet and then sends an empty message per
// interval; theirs does the same to us (TIMER-19, TIMER-22, QUEUE-06, HS-17).
func TestUDPPersistentKeepalive(t *testing.T) {
	seconds := uint16(25)
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		p := newPair(t, setup{keys: newKeys(60), weKnow: true})
		p.us.configure(t, protocol.Change{Op: protocol.OpUpdatePeer, Peer: public(p.keys.their),
			PersistentKeepalive: &seconds})
		eventually(t, "the session", func() bool { return p.them.shaken(t) })
		if n := p.us.initiated(protocol.CausePersistentKeepalive); n != 1 {
			t.Errorf("%d initiations for the keepalive, want 1", n)
		}
		for range 4 {
			before, sent := p.them.number(t, "rx_bytes"), p.us.count(protocol.EventKeepaliveSent)
			p.advance(24 * time.Second)
			if n := p.us.count(protocol.EventKeepaliveSent); n != sent {
				t.Fatalf("%d keepalives before their time", n-sent)
			}
			p.advance(time.Second)
			eventually(t, "the keepalive arrives", func() bool { return p.them.number(t, "rx_bytes") == before+32 })
		}
		p.talk(t, false)
	})
	t.Run("theirs", func(t *testing.T) {
		t.Parallel()
		p := newPair(t, setup{keys: newKeys(61), theyKnow: true})
		p.them.set(t, "public_key="+hexKey(public(p.keys.our))+"\npersistent_keepalive_interval=1\n")
		eventually(t, "their keepalives", func() bool { return p.us.count(protocol.EventKeepaliveReceived) >= 3 })
		p.talk(t, true)
		if n := p.us.count(protocol.EventHandshakeComplete); n != 1 {
			t.Errorf("%d handshakes, want 1", n)
		}
	})
}

// TestUDPPassiveKeepalive: ten seconds after data that we have no answer to we send an empty message, one (TIMER-12,
// TIMER-13). Theirs is in TestBubblePassiveKeepalive.
func TestUDPPassiveKeepalive(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(62), weKnow: true, theyKnow: true})
	p.talk(t, true)
	for range 3 {
		p.rest(t)
		p.theySay(t)
		before, sent := p.them.number(t, "rx_bytes"), p.us.count(protocol.EventKeepaliveSent)
		p.advance(9 * time.Second)
		if n := p.us.count(protocol.EventKeepaliveSent); n != sent {
			t.Fatalf("%d keepalives before their time", n-sent)
		}
		p.advance(time.Second)
		eventually(t, "the keepalive arrives", func() bool { return p.them.number(t, "rx_bytes") == before+32 })
		p.advance(30 * time.Second)
		if n := p.us.count(protocol.EventKeepaliveSent); n != sent+1 {
			t.Fatalf("%d keepalives, want 1", n-sent)
		}
	}
}

// TestUDPOurKeyChange: with another private key we send nothing on the old session, and the next packet starts a
// handshake at once though the last one was just now (KEY-15). wireguard-go has to be told of the new key first.
func TestUDPOurKeyChange(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(70), weKnow: true})
	p.talk(t, true)
	for i := range 3 {
		p.keys.our = protocol.PrivateKey{2: byte(i + 1), 31: 64}
		p.advance(0)
		p.them.set(t, theirPeer(public(p.keys.our), p.theirPSK, p.us.wire.addr()))
		p.us.configure(t, protocol.Change{Op: protocol.OpIdentity, Identity: protocol.NewIdentity(p.keys.our)})
		if p.us.stats(t).Session {
			t.Error("we may still send on the session of the old key")
		}
		p.talk(t, true)
		if n := p.us.initiated(protocol.CausePacket); n != i+2 {
			t.Errorf("%d initiations, want %d", n, i+2)
		}
	}
}

// TestUDPTheirKeyChange: wireguard-go gets another private key. For us that is another peer, which takes over the
// prefixes of the old one (ROUTE-04) and initiates (HS-05 before it is configured).
func TestUDPTheirKeyChange(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(71), weKnow: true, theyKnow: true})
	p.talk(t, true)
	for i := range 3 {
		old := public(p.keys.their)
		p.keys.their = protocol.PrivateKey{3: byte(i + 1), 31: 64}
		p.them.set(t, "private_key="+hexKey(p.keys.their)+"\n")
		msg := p.theirPacket()
		p.them.send(t, msg)
		unknown := uint64(i + 1)
		eventually(t, "an initiation of nobody we know", func() bool {
			return p.us.drops(protocol.DropUnknownPeer) >= unknown
		})
		p.us.inner.empty(t, "from an unknown key")
		p.us.configure(t, ourPeer(public(p.keys.their), p.ourPSK, p.toThem(t)),
			protocol.Change{Op: protocol.OpRemovePeer, Peer: old})
		p.advance(0) // their greatest timestamp is of us, whichever key they have (TAI-07)
		p.weSay(t)   // they wait for 5 s; we need not
		p.us.inner.wants(t, "the packet that waited on their side", msg)
		p.talk(t, false)
	}
}

// TestUDPTheirRestart: wireguard-go is closed and another one with its key and port takes its place, knowing nothing.
// If it speaks first its newer timestamp is all it needs. If we do, our packets go nowhere until we notice the
// silence (TIMER-16).
func TestUDPTheirRestart(t *testing.T) {
	t.Run("they speak first", func(t *testing.T) {
		p := newPair(t, setup{keys: newKeys(80), weKnow: true, theyKnow: true})
		p.talk(t, false)
		for range 2 {
			p.restartThem(t)
			p.talk(t, false)
		}
	})
	t.Run("we speak first", func(t *testing.T) {
		p := newPair(t, setup{keys: newKeys(81), weKnow: true, theyKnow: false})
		p.talk(t, true)
		for round := range 2 {
			p.rest(t)
			p.restartThem(t)
			p.us.send(p.ourPacket())
			p.advance(14900 * time.Millisecond)
			if n := p.us.initiated(protocol.CauseSilence); n != round {
				t.Fatalf("%d initiations for silence before 15 s, want %d", n, round)
			}
			p.advance(100*time.Millisecond + timers.MaxJitter)
			eventually(t, "a new session", func() bool {
				return p.us.count(protocol.EventHandshakeComplete) == round+2 && p.them.shaken(t)
			})
			p.them.inner.empty(t, "what the old session carried cannot be read")
			p.talk(t, true)
		}
	})
}

func (p *pair) restartThem(t *testing.T) {
	t.Helper()
	p.advance(0)
	port := p.them.port(t)
	p.them.close()
	p.them = newTheirs(t, conn.NewDefaultBind(), p.theirConfig(port))
}

// TestUDPOurRestart: our Device goes without a word and another one with its key takes its place, on another port.
// If we speak first our newer timestamp is all that wireguard-go needs; if it does it has to learn the port, so it
// waits for our packet (TAI-06). That it notices our silence is in TestBubbleSilence.
func TestUDPOurRestart(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weFirst bool
	}{{"we initiated", true}, {"they initiated", false}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, setup{keys: newKeys(82), weKnow: true, theyKnow: true})
			p.talk(t, tc.weFirst)
			for range 3 {
				p.advance(30 * time.Second) // a clock that had run ahead must not be set back by the restart
				p.advance(0)                // what that caused is a granule of the timestamp ago (TAI-07)
				p.us.close()
				p.us = newNode(t, p.us.clock, newUDPWire(t), p.keys.our, p.limits)
				t.Cleanup(p.us.close)
				p.us.configure(t, ourPeer(public(p.keys.their), p.ourPSK, p.toThem(t)))
				p.talk(t, true)
			}
		})
	}
}

// TestUDPDownUp: our side goes down and comes up again; sessions are gone, counters and endpoint are not, and the
// next packet starts a handshake without delay (LIFE-04, STAT-06).
func TestUDPDownUp(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(83), weKnow: true})
	p.talk(t, true)
	for range 3 {
		p.advance(0)
		before := p.us.stats(t)
		p.us.call(func() { p.us.dev.Down(p.us.at, &p.us.batch) })
		p.us.call(func() { p.us.dev.Up(p.us.at, &p.us.batch) })
		if s := p.us.stats(t); s.Session || s.RxBytes != before.RxBytes || s.Endpoint != before.Endpoint {
			t.Errorf("after down and up: %+v, before: %+v", s, before)
		}
		p.talk(t, true)
	}
}
