//go:build linux

package uapi

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// watched measures how long the core is kept from others.
type watched struct {
	*node
	longest time.Duration
}

func (w *watched) View(f func(Core, uint16, uint32)) error {
	start := time.Now()
	err := w.node.View(f)
	w.longest = max(w.longest, time.Since(start))
	return err
}

// BenchmarkGet reads 10,000 peers with two prefixes each. held-µs is the longest time under the device's lock.
func BenchmarkGet(b *testing.B) {
	w := &watched{node: manyPeers(b, 10000)}
	path := serve(b, &Server{Device: w})
	conn, in := dialRaw(b, path)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := io.WriteString(conn, "get=1\n\n"); err != nil {
			b.Fatal(err)
		}
		for line := []byte(nil); string(line) != "errno=0\n"; {
			var err error
			if line, err = in.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := in.Discard(1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(w.longest.Microseconds()), "held-µs")
}

// BenchmarkSet makes 10,000 peers with two prefixes each over a socket, in place of those that are there.
func BenchmarkSet(b *testing.B) {
	name := "bench0"
	serveOn(b, &Server{Device: newNode(b, 1)}, listen(b, name))
	c, err := Dial(context.Background(), name)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	all := append([]protocol.Change{{Op: protocol.OpRemovePeers}}, manyChanges(10000)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Set(Settings{Changes: all}); err != nil {
			b.Fatal(err)
		}
	}
}
