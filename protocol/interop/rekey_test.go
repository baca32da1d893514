package interop_test

import (
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// TestUDPRekeyOnSend: at 120 s we keep sending on the old session, start a handshake, and change over without loss
// (TIMER-07, TIMER-27, KEY-05, KEY-06, KEY-07, rules.md §22).
func TestUDPRekeyOnSend(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(30), weKnow: true, theyKnow: true})
	p.talk(t, true)
	for round := 1; round <= 4; round++ {
		p.rest(t)
		p.advance(119 * time.Second)
		p.weSay(t)
		if n := p.us.initiated(protocol.CauseRekeyTime); n != round-1 {
			t.Fatalf("round %d: %d rekeys at 119 s, want %d", round, n, round-1)
		}
		p.rest(t)
		p.advance(2 * time.Second)
		var ours [][]byte
		for range 30 {
			ours = append(ours, p.ourPacket())
		}
		p.us.send(ours...) // the first of these causes the rekey; the others cannot wait for it
		theirs := p.theirPacket()
		p.them.send(t, theirs)
		for _, msg := range ours {
			p.them.inner.wants(t, "sent during the rekey", msg)
		}
		p.us.inner.wants(t, "sent by them during the rekey", theirs)
		eventually(t, "the new session", func() bool { return p.us.count(protocol.EventHandshakeComplete) == round+1 })
		if n := p.us.initiated(protocol.CauseRekeyTime); n != round {
			t.Fatalf("round %d: %d rekeys at 121 s, want %d", round, n, round)
		}
		p.talk(t, round%2 == 0)
	}
	p.onlyGoodDrops(t)
}

// TestUDPRekeyOnReceive: at 165 s receiving starts a handshake, once, and nothing is lost (TIMER-08, KEY-06).
func TestUDPRekeyOnReceive(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(31), weKnow: true, theyKnow: true})
	p.talk(t, true)
	for round := 1; round <= 3; round++ {
		p.rest(t)
		p.advance(164 * time.Second)
		p.theySay(t)
		if n := p.us.count(protocol.EventInitiationSent); n != round {
			t.Fatalf("round %d: %d initiations at 164 s, want %d", round, n, round)
		}
		p.advance(2 * time.Second)
		var theirs [][]byte
		for range 30 {
			theirs = append(theirs, p.theirPacket())
		}
		p.them.send(t, theirs...)
		for _, msg := range theirs {
			p.us.inner.wants(t, "sent by them during the rekey", msg)
		}
		eventually(t, "the new session", func() bool { return p.us.count(protocol.EventHandshakeComplete) == round+1 })
		if n, all := p.us.initiated(protocol.CauseRekeyReceive), p.us.count(protocol.EventInitiationSent); n != round ||
			all != round+1 {
			t.Fatalf("round %d: %d rekeys of %d initiations, want %d of %d", round, n, all, round, round+1)
		}
		p.talk(t, round%2 == 0)
	}
	p.onlyGoodDrops(t)
}

// TestUDPRekeyUnderTraffic: streams both ways go on through twelve rekeys, and no packet is lost (KEY-08, MSG-14).
func TestUDPRekeyUnderTraffic(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(32), weKnow: true, theyKnow: true})
	p.talk(t, true)
	const every, rekeys = 250, 12
	want := 0
	p.stream(t, every*(rekeys+1), 32, false, func(done int) {
		if want < rekeys && done >= every*(want+1) && p.us.count(protocol.EventHandshakeComplete) == want+1 {
			want++
			p.advance(121 * time.Second)
		}
	})
	eventually(t, "the last rekey", func() bool { return p.us.count(protocol.EventHandshakeComplete) == want+1 })
	if want < rekeys-1 {
		t.Errorf("only %d rekeys happened during the stream, want %d", want, rekeys)
	}
	p.onlyGoodDrops(t)
}

// onlyGoodDrops fails if our side dropped anything.
func (p *pair) onlyGoodDrops(t *testing.T) {
	t.Helper()
	for r, n := range drops(p.us) {
		if n > 0 {
			t.Errorf("%d drops: %v", n, protocol.DropReason(r))
		}
	}
}

// TestUDPResponderDoesNotRekey: a session of theirs at the age of 170 s makes us initiate nothing; at 180 s it is
// dead and the next packet starts a handshake of ours (TIMER-10, TIMER-11, KEY-10).
func TestUDPResponderDoesNotRekey(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(33), weKnow: true, theyKnow: true})
	p.talk(t, false)
	p.rest(t)
	p.advance(170 * time.Second)
	p.talk(t, true)
	if n := p.us.count(protocol.EventInitiationSent); n != 0 {
		t.Fatalf("%d initiations of the responder at 170 s", n)
	}
	p.rest(t)
	p.advance(11 * time.Second)
	p.talk(t, true)
	if n := p.us.initiated(protocol.CausePacket); n != 1 {
		t.Errorf("%d initiations at 181 s, want 1", n)
	}
	p.onlyGoodDrops(t)
}

// TestUDPPSKChange: another psk leaves the running session alone and counts from the next handshake on: while only
// one side has it no rekey succeeds, and with both it does (CRYPTO-16, CRYPTO-15).
func TestUDPPSKChange(t *testing.T) {
	t.Parallel()
	p := newPair(t, setup{keys: newKeys(34), weKnow: true, theyKnow: true})
	p.talk(t, true)
	p.theirPSK = protocol.PresharedKey{9}
	p.them.set(t, theirPeer(public(p.keys.our), p.theirPSK, p.us.wire.addr()))
	p.rest(t)
	p.advance(121 * time.Second)
	p.talk(t, true)
	eventually(t, "the rekey fails", func() bool { return p.us.drops(protocol.DropResponseTag) == 1 })
	p.talk(t, false)
	p.us.configure(t, protocol.Change{Op: protocol.OpUpdatePeer, Peer: public(p.keys.their), PresharedKey: &p.theirPSK})
	p.talk(t, true)
	if n := p.us.count(protocol.EventHandshakeComplete); n != 1 {
		t.Fatalf("%d handshakes so far, want 1: the first session goes on", n)
	}
	p.advance(6 * time.Second)
	eventually(t, "the rekey with the new psk", func() bool { return p.us.count(protocol.EventHandshakeComplete) == 2 })
	p.talk(t, false)
}
