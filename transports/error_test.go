package transports_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/mem"
)

var errPassing = errors.New("no buffer space available")

// moody is a Link and a Tunnel that fail as long as they are told to.
type moody struct {
	*mem.Link
	failing atomic.Bool
	reads   atomic.Int64
}

func (m *moody) Receive(source int, d *transports.Datagrams) error {
	if m.failing.Load() {
		m.reads.Add(1)
		return errPassing
	}
	return m.Link.Receive(source, d)
}

func (m *moody) Send(d []protocol.Datagram) error {
	if m.failing.Load() {
		return errPassing
	}
	return m.Link.Send(d)
}

type moodyTunnel struct {
	*mem.Tunnel
	m *moody
}

func (t *moodyTunnel) Write(p []protocol.Delivery) error {
	if t.m.failing.Load() {
		return errPassing
	}
	return t.Tunnel.Write(p)
}

// Passing errors of the system end nothing, are counted, and do not take a core while they last.
func TestPassingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 2, idle: true})
		m := &moody{Link: w.network.Link(there4)}
		m.failing.Store(true)
		tunnel := mem.NewTunnel("moody", innerMTU, mem.Options{})
		clock := transports.GoClock()
		core, err := protocol.New(protocol.Config{Identity: w.b.key, Entropy: protocoltest.NewEntropy(3, "moody"),
			Wall: clock.Wall(), MTU: innerMTU})
		must(t, err)
		n, err := transports.New(transports.Options{Core: core, Tunnel: &moodyTunnel{tunnel, m}, Link: m, Clock: clock,
			Workers: 2, Port: w.b.outer.Port()})
		must(t, err)
		moved := &host{name: "moody", node: n, core: core, tunnel: tunnel, link: m.Link, key: w.b.key, outer: w.b.outer,
			inner: w.b.inner, inner6: w.b.inner6, ran: make(chan error, 1)}
		w.introduce(moved, w.a, 0)
		must(t, n.Up())
		must(t, w.a.node.Up())
		moved.run(t)
		tunnel.Put(packet(moved.inner, w.a.inner, 1, 100)) // its initiation cannot be sent
		time.Sleep(10 * time.Second)
		// Pauses of 1 to 64 ms, then of 100 ms: about 107 in 10 s for each of two sources, had they two.
		metrics := n.Metrics()
		if got := m.reads.Load(); got < 90 || got > 120 || metrics.ReadErrors != uint64(got) {
			t.Errorf("%d reads in 10 s, %d counted", got, metrics.ReadErrors)
		}
		if metrics.Sent.Errors == 0 {
			t.Error("the failed send was not counted")
		}
		m.failing.Store(false)
		w.a.wants(t, "once the errors pass", packet(moved.inner, w.a.inner, 1, 100)) // by the retry (TIMER-01)
		p := packet(w.a.inner, moved.inner, 2, 100)
		m.failing.Store(true)
		w.a.tunnel.Put(p)
		time.Sleep(time.Second)
		m.failing.Store(false)
		w.a.tunnel.Put(p)
		moved.wants(t, "after a failed write", p)
	})
}

// The histogram has the batches where they belong.
func TestMetricsSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 1, idle: true})
		for _, n := range []int{1, 2, 3, 4, 127, 128} {
			before := w.a.node.Metrics().Read
			batch := make([][]byte, n)
			for i := range batch {
				batch[i] = packet(w.a.inner, w.b.inner, 1, 100)
			}
			must(t, w.a.put(batch))
			synctest.Wait()
			after := w.a.node.Metrics().Read
			if after.Packets-before.Packets != uint64(n) || after.Bytes-before.Bytes != uint64(100*n) {
				t.Errorf("%d packets: %+v", n, after)
			}
			sum := uint64(0)
			for _, c := range after.Sizes {
				sum += c
			}
			if sum != after.Batches {
				t.Errorf("%d in the histogram, %d batches", sum, after.Batches)
			}
		}
		sizes := w.a.node.Metrics().Read.Sizes
		if sizes[0] == 0 {
			t.Errorf("no batch of one: %v", sizes)
		}
	})
}

func (h *host) put(batch [][]byte) error {
	if !h.tunnel.Put(batch...) {
		return transports.ErrClosed
	}
	return nil
}
