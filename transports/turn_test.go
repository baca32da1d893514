package transports

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/purewire/purewire/protocol"
)

// Turns come in the order in which they were drawn, also when somebody draws twice in a row while another waits.
func TestTurnsComeInOrder(t *testing.T) {
	const goroutines, draws = 5, 20000
	var mu sync.Mutex
	var wg sync.WaitGroup
	stile, next, served := newTurnstile(), 0, 0
	for g := range goroutines {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			p := newPlace()
			for range draws {
				mu.Lock()
				before, mine := stile.draw(&p), next
				next++
				mu.Unlock()
				for range random.IntN(200) { // some are slower
				}
				<-before
				if served != mine { // not atomic: the race detector sees whether two have the turn
					t.Errorf("turn %d came when it was %d's", mine, served)
				}
				served++
				p.done()
			}
		})
	}
	wg.Wait()
	if served != goroutines*draws {
		t.Errorf("%d turns, want %d", served, goroutines*draws)
	}
}

// jobs makes n jobs that differ.
func jobs(t *testing.T, n int) []protocol.HandshakeJob {
	device, err := protocol.New(protocol.Config{Entropy: rand.NewChaCha8([32]byte{1}), Limits: protocol.Limits{Jobs: n},
		Identity: protocol.NewIdentity(protocol.PrivateKey{1})})
	if err != nil {
		t.Fatal(err)
	}
	var batch protocol.Batch
	device.Up(0, &batch)
	at := netip.MustParseAddrPort("192.0.2.1:1")
	for i := range n {
		to := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		change := protocol.Change{Op: protocol.OpAddPeer, Peer: protocol.PublicKey{2, byte(i), byte(i >> 8)}, Endpoint: &at,
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(to, 32)}}
		if err := device.Configure(0, []protocol.Change{change}, &batch); err != nil {
			t.Fatal(err)
		}
		packet := append([]byte{0x45, 0, 0, 20}, make([]byte, 16)...)
		dst := to.As4()
		copy(packet[16:], dst[:])
		device.HandlePackets(0, []protocol.Packet{{Buf: packet, Len: len(packet)}}, &batch)
	}
	if len(batch.Handshakes) != n {
		t.Fatalf("%d jobs, want %d", len(batch.Handshakes), n)
	}
	return batch.Handshakes
}

// The queue of jobs is first in, first out, however it grows and wraps.
func TestJobQueue(t *testing.T) {
	const different = 200
	all := jobs(t, different)
	random := rand.New(rand.NewPCG(3, 4))
	var q jobQueue
	pushed, popped := 0, 0
	for range 20000 {
		if grow := pushed-popped < different && random.IntN(9) < 5; grow || pushed == popped {
			q.push(all[pushed%different])
			pushed++
		} else {
			if q.pop() != all[popped%different] {
				t.Fatalf("job %d is out of order", popped)
			}
			popped++
		}
		if q.len() != pushed-popped {
			t.Fatalf("%d jobs, want %d", q.len(), pushed-popped)
		}
	}
	if len(q.ring) > 2*different {
		t.Errorf("the ring grew to %d for %d jobs", len(q.ring), different)
	}
}
