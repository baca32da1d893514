package transports_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/eventlog"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/mem"
)

// recording makes the Core of each host a recorder.
type recording struct {
	logs map[string]*bytes.Buffer
	made map[string]*eventlog.Recorder
}

func newRecording() *recording {
	return &recording{map[string]*bytes.Buffer{}, map[string]*eventlog.Recorder{}}
}

func (r *recording) core(h *host, c protocol.Config) (transports.Core, error) {
	r.logs[h.name] = &bytes.Buffer{}
	recorder, err := eventlog.NewRecorder(r.logs[h.name], &sync.Mutex{}, c)
	r.made[h.name] = recorder
	return recorder, err
}

// A recorded run on many workers replays, on one goroutine, byte for byte: every decision and every message, in the
// order in which it was sent (design §10).
func TestParallelRunReplays(t *testing.T) {
	for _, procs := range []int{1, 8} {
		t.Run(fmt.Sprint("GOMAXPROCS=", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			const packets = 3000
			rec := newRecording()
			w := newWorld(t, setup{workers: 4, shakers: 3, core: rec.core, keepalive: 1, mem: mem.Options{Queue: 4096}})
			var wire []string // of both, in the order of sending
			w.network.Filter(func(m mem.Message) bool {
				if m.Data[0] == 4 && m.From == w.a.outer {
					wire = append(wire, string(m.Data))
				}
				return true
			})
			w.connect()
			var wg sync.WaitGroup
			for _, way := range [][2]*host{{w.a, w.b}, {w.b, w.a}} {
				credit := make(chan struct{}, 1024)
				wg.Go(func() {
					for i := range uint32(packets) {
						credit <- struct{}{}
						way[0].tunnel.Put(packet(way[0].inner, way[1].inner, i, 40+int(i%900)))
					}
				})
				wg.Go(func() {
					for range packets {
						way[1].tunnel.Take(nil)
						<-credit
					}
				})
			}
			wg.Go(func() {
				for i := range uint16(50) { // gets and sets meanwhile
					must(t, w.a.node.Configure(transports.Settings{Changes: []protocol.Change{{Op: protocol.OpUpdatePeer,
						Peer: w.b.key.PublicKey(), PersistentKeepalive: &i}}}))
					w.a.node.Get(func(transports.Status) {}, nil)
				}
			})
			wg.Wait()
			for _, h := range []*host{w.a, w.b} {
				h.stop(t)
				must(t, rec.made[h.name].Close())
				sum, err := eventlog.Replay(bytes.NewReader(rec.logs[h.name].Bytes()))
				if err != nil {
					t.Fatalf("%s: %v", h.name, err)
				}
				if !sum.Complete || sum.Packets != packets+1 || sum.Messages < packets+1 || sum.Handshakes == 0 {
					t.Errorf("%s: %+v", h.name, sum)
				}
			}
			if len(wire) < packets || !slices.IsSortedFunc(wire, func(x, y string) int {
				if x[4:8] != y[4:8] {
					return 0 // another session
				}
				return bytes.Compare(reversed(x[8:16]), reversed(y[8:16]))
			}) {
				t.Errorf("%d messages are not in the order of their counters", len(wire))
			}
		})
	}
}

func reversed(s string) []byte {
	b := []byte(s)
	slices.Reverse(b)
	return b
}

// line is a datagram in a transcript.
func line(at time.Duration, from netip.AddrPort, to netip.AddrPort, tos uint8, data []byte) string {
	return fmt.Sprintf("%v %v>%v tos %d %x", at, from, to, tos, data)
}

// With one worker and a network in lock-step the node does what Finish does, byte for byte, over handshakes, data,
// keepalives and rekeys (design §10).
func TestLockStepEqualsFinish(t *testing.T) {
	// In milliseconds, and none at the moment of a deadline, where who comes first is not defined.
	var inputs []time.Duration
	for _, ms := range []int{0, 10_007, 11_013, 60_101, 125_003, 126_211, 290_777, 700_501, 822_007} {
		inputs = append(inputs, time.Duration(ms)*time.Millisecond)
	}
	const end = 20*time.Minute + 17*time.Millisecond
	var live, finished []string
	synctest.Test(t, func(t *testing.T) { live = liveTranscript(t, inputs, end) })
	synctest.Test(t, func(t *testing.T) { finished = finishTranscript(t, inputs, end) })
	if len(finished) < 60 {
		t.Fatalf("only %d datagrams", len(finished))
	}
	for i := range max(len(live), len(finished)) {
		if i >= len(live) || i >= len(finished) || live[i] != finished[i] {
			t.Fatalf("datagram %d of %d and %d differs:\nlive   %.300s\nFinish %.300s", i, len(live), len(finished),
				slices.Concat(live[i:], []string{"none"})[0], slices.Concat(finished[i:], []string{"none"})[0])
		}
	}
}

// inputsAt are the packets that both sides send at the i-th input.
func inputsAt(a, b *host, i int) (fromA, fromB []byte) {
	return packet(a.inner, b.inner, uint32(i), 100+i), packet(b.inner, a.inner, uint32(i), 200+i)
}

func liveTranscript(t *testing.T, inputs []time.Duration, end time.Duration) (log []string) {
	start := time.Now()
	w := newWorld(t, setup{workers: 1, shakers: 1, keepalive: 25, mem: mem.Options{LockStep: true, Batch: 1}})
	// settle hands over, one at a time, what is held: what one input caused, in the order of Batch.Outgoing.
	settle := func() {
		var held []mem.Message
		for {
			synctest.Wait()
			held = append(held, byFinish(w.network.Held())...)
			if len(held) == 0 {
				return
			}
			m := held[0]
			held = held[1:]
			log = append(log, line(time.Since(start), m.From, m.To, m.TOS, m.Data))
			w.network.Deliver(m)
		}
	}
	until := func(at time.Duration) {
		for time.Since(start) < at {
			select {
			case <-w.network.Sent():
				settle()
			case <-time.After(at - time.Since(start)):
			}
		}
	}
	settle()
	for i, at := range inputs {
		until(at)
		fromA, fromB := inputsAt(w.a, w.b, i)
		w.a.tunnel.Put(fromA)
		settle()
		w.b.tunnel.Put(fromB)
		settle()
	}
	until(end)
	return log
}

// byFinish puts the datagrams that were sent finished before those that were sealed.
func byFinish(held []mem.Message) []mem.Message {
	slices.SortStableFunc(held, func(x, y mem.Message) int { return sealedLast(x.Data) - sealedLast(y.Data) })
	return held
}

func sealedLast(data []byte) int { return int(data[0]) / 4 }

// simple is a device that is driven the short way.
type simple struct {
	*host
	device *protocol.Device
	batch  protocol.Batch
	worker protocol.Worker
}

func finishTranscript(t *testing.T, inputs []time.Duration, end time.Duration) (log []string) {
	// The world is made for its configuration only: its nodes do not run.
	w := newWorld(t, setup{workers: 1, shakers: 1, keepalive: 25, idle: true})
	w.a.stop(t)
	w.b.stop(t)
	now := timers.Time(0)
	sides := map[netip.AddrPort]*simple{}
	var ordered []*simple
	type message struct {
		from *simple
		dg   protocol.Datagram
	}
	var held []message
	do := func(s *simple, f func()) {
		s.batch.Reset()
		f()
		protocol.Finish(now, s.device, &s.batch, &s.worker)
		for dg := range s.batch.Outgoing() {
			data := bytes.Clone(dg.Bytes())
			dg.Packet = protocol.Packet{Buf: data, Len: len(data)}
			held = append(held, message{s, dg})
		}
	}
	settle := func() {
		for len(held) > 0 {
			m := held[0]
			held = held[1:]
			log = append(log, line(time.Duration(now), m.from.outer, m.dg.Endpoint.Remote, m.dg.TOS, m.dg.Bytes()))
			to := sides[m.dg.Endpoint.Remote]
			m.dg.Endpoint = protocol.Endpoint{Remote: m.from.outer, Local: to.outer.Addr(), IfIndex: 1}
			do(to, func() { to.device.HandleDatagrams(now, []protocol.Datagram{m.dg}, &to.batch) })
		}
	}
	for i, h := range []*host{w.a, w.b} {
		other := []*host{w.b, w.a}[i]
		keepalive := []uint16{25, 0}[i]
		device, err := protocol.New(protocol.Config{Identity: h.key, Entropy: protocoltest.NewEntropy(1, h.name),
			Wall: time.Now(), MTU: innerMTU})
		must(t, err)
		s := &simple{host: h, device: device}
		sides[h.outer], ordered = s, append(ordered, s)
		must(t, device.Configure(now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: other.key.PublicKey(),
			Endpoint: &other.outer, PersistentKeepalive: &keepalive, AllowedIPs: []netip.Prefix{
				netip.PrefixFrom(other.inner, 32), netip.PrefixFrom(other.inner6, 128)}}}, &s.batch))
		do(s, func() { device.Up(now, &s.batch) })
	}
	// until does what is due up to and at the moment.
	until := func(at timers.Time) {
		for {
			var first *simple
			next := at
			for _, s := range ordered {
				if due, _, ok := s.device.Deadline(); ok && due <= next && (first == nil || due < next) {
					first, next = s, due
				}
			}
			now = max(now, next)
			if first == nil {
				return
			}
			do(first, func() { first.device.HandleTimeout(now, &first.batch) })
			settle()
		}
	}
	for i, at := range inputs {
		until(timers.Time(at))
		fromA, fromB := inputsAt(w.a, w.b, i)
		for j, p := range [][]byte{fromA, fromB} {
			s := ordered[j]
			buf := append(make([]byte, protocol.Headroom), p...)
			buf = append(buf, make([]byte, protocol.Tailroom)...)
			do(s, func() {
				s.device.HandlePackets(now, []protocol.Packet{{Buf: buf, Off: protocol.Headroom, Len: len(p)}}, &s.batch)
			})
			settle()
		}
	}
	until(timers.Time(end))
	return log
}
