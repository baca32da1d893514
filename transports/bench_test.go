package transports_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/mem"
)

// stream moves n packets of size bytes from a to b without losing one, and returns when the last has arrived.
func (w *world) stream(n, size int) {
	p := packet(w.a.inner, w.b.inner, 1, size)
	credit := make(chan struct{}, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 0, 2048)
		for range n {
			w.b.tunnel.Take(buf)
			<-credit
		}
	})
	for range n {
		credit <- struct{}{}
		w.a.tunnel.Put(p)
	}
	wg.Wait()
}

// In steady state a packet costs no allocation anywhere between one tunnel and the other, in either direction.
func TestNoAllocationPerPacket(t *testing.T) {
	for _, workers := range []int{1, 2} {
		w := newWorld(t, setup{workers: workers, mem: mem.Options{Queue: 2048}})
		w.connect()
		w.stream(8000, 1400) // all buffers get their size
		const packets = 20000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.stream(packets, 1400)
		runtime.ReadMemStats(&after)
		// The stream itself makes a handful of objects, the runtime now and then one of its own (timers, sudogs).
		if n := after.Mallocs - before.Mallocs; n > packets/100 {
			t.Errorf("%d workers: %d allocations for %d packets", workers, n, packets)
		}
		w.a.stop(t)
		w.b.stop(t)
	}
}

// BenchmarkStream is one flow through two nodes in one process: sealed, carried, opened, delivered.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{64, 1400} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("size=%d/workers=%d", size, workers), func(b *testing.B) {
				w := newWorld(b, setup{workers: workers, mem: mem.Options{Queue: 2048}})
				w.connect()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				w.stream(b.N, size)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
			})
		}
	}
}

// BenchmarkJunk is what a datagram of no meaning costs sender and node together, losses by full queues included.
func BenchmarkJunk(b *testing.B) {
	w := newWorld(b, setup{workers: 1, mem: mem.Options{Queue: 2048}})
	junk := protocol.Datagram{Packet: protocol.Packet{Buf: make([]byte, 64), Len: 64}}
	junk.Endpoint.Remote = w.b.outer
	attacker := w.network.Link(there4)
	if _, err := attacker.Open(1); err != nil {
		b.Fatal(err)
	}
	one := []protocol.Datagram{junk}
	b.ReportAllocs()
	for b.Loop() {
		if err := attacker.Send(one); err != nil {
			b.Fatal(err)
		}
	}
}
