package interop_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// TestBubbleTenHours: ten virtual hours of a packet per second each way, through every rekey, and none is lost, late
// or out of order (TIMER-07, TIMER-10, KEY-05 to KEY-08, rules.md §22). A session lasts 120 s of which every age is
// checked with a packet, so there are as many handshakes as that makes, all started by the side that started the
// first.
func TestBubbleTenHours(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weFirst bool
		delay   time.Duration
	}{
		{"we initiate", true, 20 * time.Millisecond}, {"they initiate", false, 20 * time.Millisecond}, {"no delay", true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			began := time.Now()
			synctest.Test(t, func(t *testing.T) {
				b := newBubblePair(t, setup{keys: newKeys(90), ourPSK: protocol.PresharedKey{5},
					theirPSK: protocol.PresharedKey{5}}, tc.delay)
				tenHours(t, b, tc.weFirst)
			})
			t.Logf("took %v", time.Since(began).Round(time.Millisecond))
		})
	}
}

func tenHours(t *testing.T, b *bubblePair, weFirst bool) {
	const length = 10 * time.Hour
	b.talk(t, weFirst)
	start, packets := time.Now(), 0
	for tick := start; tick.Sub(start) < length; packets++ {
		tick = tick.Add(time.Second)
		time.Sleep(time.Until(tick))
		ours, theirs := b.ourPacket(), b.theirPacket()
		b.us.send(ours)
		b.them.send(t, theirs)
		time.Sleep(500 * time.Millisecond) // more than any way takes: what is not there by now is lost
		what := fmt.Sprint("packet ", packets)
		arrived(t, &b.them.inner, what+" of ours", ours)
		arrived(t, &b.us.inner, what+" of theirs", theirs)
	}
	// A session is replaced by the first packet that is sent at 120 s or later: 120 to 121 s after its start.
	got, least, most := b.handshakes(), int(length/(121*time.Second)), 1+int(length/(120*time.Second))
	t.Logf("%d packets each way in %v, %d handshakes", packets, time.Since(start), got)
	if packets != int(length/time.Second) || got < least || got > most {
		t.Errorf("%d packets and %d handshakes, want %d and %d to %d", packets, got, int(length/time.Second), least, most)
	}
	rekeys := b.us.initiated(protocol.CauseRekeyTime)
	if all := b.us.count(protocol.EventInitiationSent); weFirst && (all != got || rekeys != got-1) ||
		!weFirst && all != 0 {
		t.Errorf("%d of %d initiations were ours, %d of them for the age of a session", all, got, rekeys)
	}
	for r, n := range drops(b.us) {
		if n > 0 {
			t.Errorf("%d drops: %v", n, protocol.DropReason(r))
		}
	}
}

// arrived takes a packet that must be there already.
func arrived(t *testing.T, box *mailbox, what string, p []byte) {
	t.Helper()
	if box.waiting() != 1 {
		t.Fatalf("%s: %d packets arrived in time, want 1", what, box.waiting())
	}
	box.wants(t, what, p)
}

// TestBubbleIdleHours: with a packet a minute or less every session is found too old or dead, by either side; every
// packet arrives all the same, staged behind its handshake (TIMER-11, KEY-10, KEY-13, QUEUE-01).
func TestBubbleIdleHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubblePair(t, setup{keys: newKeys(91)}, 30*time.Millisecond)
		gaps := []time.Duration{time.Second, 50 * time.Second, 119 * time.Second, 121 * time.Second, 164 * time.Second,
			166 * time.Second, 179 * time.Second, 181 * time.Second, 539 * time.Second, 541 * time.Second, time.Hour}
		for i, start := 0, time.Now(); time.Since(start) < 10*time.Hour; i++ {
			weSpeak := i%3 != 0
			if weSpeak {
				b.weSay(t)
			} else {
				b.theySay(t)
			}
			time.Sleep(gaps[i*7%len(gaps)])
		}
		for r, n := range drops(b.us) {
			if n > 0 {
				t.Errorf("%d drops: %v", n, protocol.DropReason(r))
			}
		}
		if n := b.us.count(protocol.EventKeysZeroed); n == 0 {
			t.Error("in ten hours with pauses of an hour keys were never erased")
		}
	})
}

// TestBubbleCrossing: both sides initiate at the same moment, which makes each drop its own initiation when it
// answers the other's (HS-12). They come together all the same, however long the way is (HS-13, OPEN-4, OPEN-15), and
// what waited on both sides arrives.
//
// With the larger key our side gives way, so that the session is there when our next initiation is through at the
// latest, even where wireguard-go has stalled. With the smaller key it goes on as wireguard-go does and leaves it to
// jitter, so that there is no bound but only a probability: five virtual minutes are more than chance ever takes.
func TestBubbleCrossing(t *testing.T) {
	for _, delay := range []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond,
		340 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond, 2400 * time.Millisecond} {
		for seed := range byte(6) {
			keys := newKeys(100 + seed)
			// We answered after one way; then there, back, there with our packet, back with theirs. With the larger
			// key we wait longer, and if the other side has stalled (OPEN-4) it is up to us.
			bound := timers.YieldTime + 5*delay
			if larger(keys) {
				bound = timers.LongYieldTime + 5*delay
			}
			t.Run(fmt.Sprintf("%v, key %d, ours is larger: %v", delay, seed, larger(keys)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { cross(t, keys, delay, bound) })
			})
		}
	}
}

func cross(t *testing.T, keys keys, delay, bound time.Duration) {
	b := newBubblePair(t, setup{keys: keys}, delay)
	ours, theirs := b.ourPacket(), b.theirPacket()
	start := time.Now()
	b.us.send(ours)
	b.them.send(t, theirs)
	for b.us.inner.waiting() == 0 || b.them.inner.waiting() == 0 {
		if time.Since(start) > bound+10*time.Millisecond {
			t.Fatalf("no session after %v: their packet arrived: %d, ours: %d", bound, b.us.inner.waiting(),
				b.them.inner.waiting())
		}
		time.Sleep(time.Millisecond)
	}
	b.them.inner.wants(t, "our packet", ours)
	b.us.inner.wants(t, "their packet", theirs)
	if b.us.count(protocol.EventInitiationAccepted) == 0 || b.us.drops(protocol.DropUnknownIndex) == 0 {
		t.Error("nothing crossed: the test does not show what it should")
	}
	t.Logf("both packets after %v", time.Since(start))
}

// TestBubbleSilence: one side starts anew without a word. The other notices the silence 15 s and jitter after its
// next packet and shakes hands again (TIMER-16, TAI-06).
func TestBubbleSilence(t *testing.T) {
	for _, restartUs := range []bool{true, false} {
		t.Run(fmt.Sprint("we restart: ", restartUs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubblePair(t, setup{keys: newKeys(110)}, 10*time.Millisecond)
				for range 5 {
					b.talk(t, restartUs)
					time.Sleep(20 * time.Second) // keepalives are over
					if restartUs {
						b.us.close()
						b.startUs(t, b.us.clock)
					} else {
						b.them.close()
						b.startThem(t)
					}
					start := time.Now()
					if restartUs {
						b.them.send(t, b.theirPacket())
					} else {
						b.us.send(b.ourPacket())
					}
					time.Sleep(15*time.Second - time.Nanosecond)
					if b.restarted(t, restartUs) {
						t.Fatal("a handshake before the silence was long enough")
					}
					eventually(t, "a new handshake", func() bool { return b.restarted(t, restartUs) })
					if took := time.Since(start); took > timers.NewHandshakeTime+timers.MaxJitter+100*time.Millisecond {
						t.Errorf("the new handshake took %v", took)
					}
					b.us.inner.empty(t, "what was sent to a side that forgot its keys")
					b.them.inner.empty(t, "what was sent to a side that forgot its keys")
				}
			})
		})
	}
}

// restarted reports whether the side that started anew has completed a handshake.
func (b *bubblePair) restarted(t *testing.T, us bool) bool {
	if us {
		return b.handshakes() > 0
	}
	return b.them.shaken(t)
}

// TestBubblePassiveKeepalive: ten seconds after our data theirs arrives, ours to the nanosecond after theirs, and
// then both are quiet (TIMER-12, TIMER-13, TIMER-14).
func TestBubblePassiveKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubblePair(t, setup{keys: newKeys(120)}, 0)
		b.talk(t, true)
		time.Sleep(20 * time.Second)
		for range 3 { // before the session is 120 s old
			received, sent := b.us.count(protocol.EventKeepaliveReceived), b.us.count(protocol.EventKeepaliveSent)
			b.us.send(b.ourPacket())
			time.Sleep(10*time.Second - 1)
			if n := b.us.count(protocol.EventKeepaliveReceived) - received; n != 0 {
				t.Errorf("%d keepalives of theirs before 10 s", n)
			}
			time.Sleep(time.Millisecond)
			if n := b.us.count(protocol.EventKeepaliveReceived) - received; n != 1 {
				t.Errorf("%d keepalives of theirs at 10 s, want 1", n)
			}
			b.them.send(t, b.theirPacket())
			time.Sleep(10*time.Second - 1)
			if n := b.us.count(protocol.EventKeepaliveSent) - sent; n != 0 {
				t.Errorf("%d keepalives of ours before 10 s", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := b.us.count(protocol.EventKeepaliveSent) - sent; n != 1 {
				t.Errorf("%d keepalives of ours at 10 s, want 1", n)
			}
			time.Sleep(8 * time.Second)
			if in, out := b.us.count(protocol.EventKeepaliveReceived)-received,
				b.us.count(protocol.EventKeepaliveSent)-sent; in != 1 || out != 1 {
				t.Errorf("%d and %d keepalives, want 1 each: they answer each other", in, out)
			}
		}
	})
}

// TestBubbleLoss: one datagram in ten is lost, handshake messages too. Neither direction stays broken for longer than
// the retransmissions take, nothing arrives twice or out of order, and what arrives is what was sent (TIMER-01, HS-20).
func TestBubbleLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubblePair(t, setup{keys: newKeys(121)}, 15*time.Millisecond)
		for i, pipe := range []*pipe{b.toUs, b.toThem} {
			random := rand.New(rand.NewPCG(uint64(i), 1)) // of the pipe's own: no order of goroutines matters
			pipe.lose = func([]byte) bool { return random.IntN(10) == 0 }
		}
		const seconds = 3 * 3600
		ways := [2]way{{box: &b.them.inner, src: ours4, dst: theirs4}, {box: &b.us.inner, src: theirs4, dst: ours4}}
		for range seconds {
			b.us.send(b.ourPacket())
			b.them.send(t, b.theirPacket())
			time.Sleep(time.Second)
			ways[0].look(t, b.number-1)
			ways[1].look(t, b.number)
		}
		for i, w := range ways {
			t.Logf("way %d: %d of %d packets late or lost, at most %d in a row", i, w.missing, seconds, w.longest)
			if w.missing < seconds/20 || w.missing > seconds/5 || w.longest > 40 {
				t.Error("that is more than a tenth and retransmissions explain, or nothing was lost")
			}
		}
		if n := b.handshakes(); n < seconds/125 {
			t.Errorf("%d handshakes in %v", n, seconds*time.Second)
		}
	})
}

// way is one direction of a lossy stream.
type way struct {
	box                      *mailbox
	src, dst                 netip.Addr
	newest                   uint32
	missing, outage, longest int
}

// look takes what arrived, among it, if not lost or waiting, packet number.
func (w *way) look(t *testing.T, number uint32) {
	t.Helper()
	for {
		p, ok := w.box.next()
		if !ok {
			break
		}
		n := binary.BigEndian.Uint32(p[20:])
		if n <= w.newest || n > number || !bytes.Equal(p, inner(w.src, w.dst, size(int(n)), n)) {
			t.Fatalf("after packet %d, and with %d sent, this arrived: %x", w.newest, number, p)
		}
		w.newest = n
	}
	if w.newest == number {
		w.outage = 0
		return
	}
	w.missing++
	w.outage++
	w.longest = max(w.longest, w.outage)
}

// larger reports whether our public key is the larger one: then it is we who give way (OPEN-15).
func larger(k keys) bool {
	our, their := public(k.our), public(k.their)
	return bytes.Compare(our[:], their[:]) > 0
}
