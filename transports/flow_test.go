package transports_test

import (
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The order of a flow survives any number of workers: what one side puts in comes out in the same order, nothing
// missing, while the other direction runs too (design §6, "Order").
func TestOrderOfAFlow(t *testing.T) {
	const packets = 20000
	for _, workers := range []int{1, 2, 8} {
		w := newWorld(t, setup{workers: workers, mem: mem.Options{Queue: 4096}})
		w.connect()
		var wg sync.WaitGroup
		for _, way := range [][2]*host{{w.a, w.b}, {w.b, w.a}} {
			from, to := way[0], way[1]
			credit := make(chan struct{}, 2048) // fewer than any queue holds: none may be lost
			wg.Go(func() {
				for i := range uint32(packets) {
					credit <- struct{}{}
					from.tunnel.Put(packet(from.inner, to.inner, i+1, 60+int(i%1300)))
				}
			})
			wg.Go(func() {
				var buf []byte
				for i := range uint32(packets) {
					p, _, ok := to.tunnel.Take(buf[:0])
					if !ok || number(p) != i+1 || len(p) != 60+int(i%1300) {
						t.Errorf("%d workers: packet %d of %s came as %d (%d bytes)", workers, i+1, from.name, number(p), len(p))
						to.tunnel.Close()
						from.tunnel.Close()
						return
					}
					buf = p
					<-credit
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		m := w.a.node.Metrics()
		if m.Read.Packets != packets+1 || m.Delivered.Packets != packets+1 || m.Sent.Packets < packets+2 {
			t.Errorf("%d workers: counted %+v", workers, m)
		}
		w.a.stop(t)
		w.b.stop(t)
	}
}

// A slow receiver stops the reading of the network: what comes meanwhile is shed before it costs a cipher.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue, workers, burst = 32, 3, 256
		w := newWorld(t, setup{workers: workers, mem: mem.Options{Queue: queue, Batch: 16}})
		w.connect()
		before := w.b.node.Metrics()
		for i := range uint32(4000) {
			w.a.tunnel.Put(packet(w.a.inner, w.b.inner, i+1, 100))
		}
		synctest.Wait()
		for i := range uint32(burst) { // the workers may have emptied the queue once more after the first burst
			w.a.tunnel.Put(packet(w.a.inner, w.b.inner, 4000+i, 100))
		}
		synctest.Wait()
		// The tunnel's queue is full, each worker has one batch, and the rest waited in the link's queue or was lost there.
		read := w.b.node.Metrics().Received.Packets - before.Received.Packets
		if read > queue+workers*16 {
			t.Errorf("%d datagrams were read though nobody takes what is delivered", read)
		}
		if delivered, waiting, lost := w.b.tunnel.Waiting(), w.b.link.Waiting(), w.b.link.Lost(); delivered != queue ||
			waiting != queue || read+queue+lost != 4000+burst {
			t.Errorf("delivered %d, read %d, waiting %d, lost %d", delivered, read, waiting, lost)
		}
		// The other direction is not held up, though its packets share the lock.
		p := packet(w.b.inner, w.a.inner, 7, 300)
		w.b.tunnel.Put(p)
		w.a.wants(t, "against the stream", p)
		last := uint32(0)
		for w.b.tunnel.Waiting() > 0 {
			p, _, _ := w.b.tunnel.Take(nil)
			if number(p) <= last {
				t.Fatalf("%d after %d", number(p), last)
			}
			last = number(p)
			synctest.Wait()
		}
	})
}

// Shutdown from every state leaves no goroutine and does not hang: in a bubble a goroutine that stays is a failure.
func TestShutdown(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"at once": func(*world) {},
		"never up": func(w *world) {
			must(w.t, w.a.node.Down())
		},
		"connected": func(w *world) { w.connect() },
		"handshake under way": func(w *world) {
			w.network.Filter(func(mem.Message) bool { return false })
			w.a.tunnel.Put(packet(w.a.inner, w.b.inner, 1, 100))
		},
		"blocked by the tunnel": func(w *world) {
			w.connect()
			for i := range uint32(2000) {
				w.a.tunnel.Put(packet(w.a.inner, w.b.inner, i, 500))
			}
			synctest.Wait()
		},
		"in full flow": func(w *world) {
			w.connect()
			for _, h := range []*host{w.a, w.b} {
				go func() {
					for h.tunnel.Put(packet(h.inner, w.a.inner, 1, 500)) {
					}
				}()
				go func() {
					for ok := true; ok; {
						_, _, ok = h.tunnel.Take(nil)
					}
				}()
			}
		},
		"tunnel gone": func(w *world) {
			w.connect()
			must(w.t, w.a.tunnel.Close())
			if err := <-w.a.ran; !errors.Is(err, transports.ErrClosed) {
				w.t.Errorf("Run returned %v, want ErrClosed", err)
			}
			w.a.ran <- nil
		},
		"link gone": func(w *world) {
			must(w.t, w.a.link.Close())
			if err := <-w.a.ran; !errors.Is(err, transports.ErrClosed) {
				w.t.Errorf("Run returned %v, want ErrClosed", err)
			}
			w.a.ran <- nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{workers: 3, mem: mem.Options{Queue: 64}})
				prepare(w)
				w.a.stop(t)
				w.b.stop(t)
				if err := w.a.node.Configure(transports.Settings{}); !errors.Is(err, transports.ErrClosed) {
					t.Errorf("Configure after Close: %v", err)
				}
				if err := w.a.node.Up(); !errors.Is(err, transports.ErrClosed) {
					t.Errorf("Up after Close: %v", err)
				}
				if err := w.a.node.Run(t.Context()); !errors.Is(err, transports.ErrRunning) {
					t.Errorf("a second Run: %v", err)
				}
			})
		})
	}
}

// A node that was never run closes its ends all the same.
func TestCloseWithoutRun(t *testing.T) {
	network := mem.NewNetwork(mem.Options{})
	tunnel, link := mem.NewTunnel("x", 1400, mem.Options{}), network.Link(netip.MustParseAddr("192.0.2.1"))
	core, err := protocol.New(protocol.Config{Entropy: zeros{}})
	must(t, err)
	n, err := transports.New(transports.Options{Core: core, Tunnel: tunnel, Link: link})
	must(t, err)
	must(t, n.Close())
	must(t, n.Close())
	if tunnel.Put([]byte{1}) {
		t.Error("the tunnel is open")
	}
	if _, err := link.Open(1); !errors.Is(err, transports.ErrClosed) {
		t.Errorf("the link is open: %v", err)
	}
	if _, err := transports.New(transports.Options{Core: core, Tunnel: tunnel}); !errors.Is(err, transports.ErrOptions) {
		t.Errorf("without a link: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A set that fails changes nothing: not the port, not the mark, not the core.
func TestConfigureAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		port, mark, free := w.b.outer.Port(), uint32(7), uint16(40000)
		other := w.network.Link(w.a.outer.Addr())
		if _, err := other.Open(port); !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("the port of a is free: %v", err)
		}
		_, err := other.Open(40001)
		must(t, err)
		taken := uint16(40001)
		bad := []protocol.Change{{Op: protocol.OpUpdatePeer, Peer: protocol.PublicKey{9}}}
		for _, s := range []transports.Settings{{Port: &taken, Mark: &mark}, {Port: &free, Mark: &mark, Changes: bad},
			{Changes: append([]protocol.Change{{Op: protocol.OpRemovePeers}}, bad...)}} {
			if err := w.a.node.Configure(s); err == nil {
				t.Fatalf("%+v was accepted", s)
			}
			peers := 0
			w.a.node.Get(func(s transports.Status) {
				if s.Port != port || s.Mark != 0 || !s.Up || s.MTU != innerMTU {
					t.Errorf("after a refusal: %+v", s)
				}
			}, func(protocol.PeerStats, []netip.Prefix) bool { peers++; return true })
			if peers != 1 {
				t.Errorf("%d peers", peers)
			}
			w.connect()
		}
		must(t, w.a.node.Configure(transports.Settings{Port: &free, Mark: &mark}))
		seen := false
		w.network.Filter(func(m mem.Message) bool {
			seen = seen || m.From.Port() == free && m.Mark == mark
			return true
		})
		w.connect()
		w.connect() // b follows: ROAM-01, LIFE-09
		if !seen {
			t.Error("nothing came from the new port with the mark")
		}
	})
}

// Get sees every peer with its prefixes, in order, across pages and gaps.
func TestGetPages(t *testing.T) {
	w := newWorld(t, setup{idle: true})
	const many = 1000
	var add, remove []protocol.Change
	for i := range uint16(many) {
		key := protocol.PublicKey{1, byte(i), byte(i >> 8)}
		add = append(add, protocol.Change{Op: protocol.OpPutPeer, Peer: key,
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)}})
		if i%3 == 0 || i < 300 {
			remove = append(remove, protocol.Change{Op: protocol.OpRemovePeer, Peer: key})
		}
	}
	must(t, w.a.node.Configure(transports.Settings{Changes: add}))
	must(t, w.a.node.Configure(transports.Settings{Changes: remove}))
	must(t, w.a.node.Configure(transports.Settings{Changes: add[:5]}))
	want := 1 + many - len(remove) + 5
	for range 2 {
		last, n := protocol.PeerID(0), 0
		w.a.node.Get(nil, func(s protocol.PeerStats, prefixes []netip.Prefix) bool {
			i := uint16(s.PublicKey[1]) | uint16(s.PublicKey[2])<<8
			if n > 0 && (len(prefixes) != 1 || prefixes[0].Addr() != netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})) {
				t.Fatalf("peer %d has %v", s.ID, prefixes)
			}
			if s.ID <= last {
				t.Fatalf("peer %d after %d", s.ID, last)
			}
			last = s.ID
			n++
			return true
		})
		if n != want {
			t.Errorf("%d peers, want %d", n, want)
		}
	}
}

// The tunnel's events bring the core up and down and tell its MTU; down, the port is free.
func TestTunnelEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{idle: true})
		status := func() (s transports.Status) {
			synctest.Wait()
			w.a.node.Get(func(now transports.Status) { s = now }, nil)
			return s
		}
		other := w.network.Link(w.a.outer.Addr())
		for range 2 {
			w.a.tunnel.Signal(transports.TunnelUp)
			w.b.tunnel.Signal(transports.TunnelUp)
			if s := status(); !s.Up || s.Port != w.a.outer.Port() {
				t.Fatalf("up: %+v", s)
			}
			w.connect()
			if _, err := other.Open(w.a.outer.Port()); !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("up, and the port is free: %v", err)
			}
			w.a.tunnel.Signal(transports.TunnelDown)
			w.b.tunnel.Signal(transports.TunnelDown)
			if s := status(); s.Up {
				t.Fatalf("down: %+v", s)
			}
			if _, err := other.Open(w.a.outer.Port()); err != nil {
				t.Fatalf("down, and the port is taken: %v", err)
			}
			must(t, other.Shut())
			time.Sleep(time.Second) // the next timestamp must be greater
		}
		w.a.tunnel.SetMTU(1300)
		if s := status(); s.MTU != 1300 {
			t.Errorf("MTU %d", s.MTU)
		}
	})
}
