package transports_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/mem"
)

// watch notes when a sends what, by message type.
func (w *world) watch(start time.Time) (seen func() []string) {
	var mu sync.Mutex
	var log []string
	w.network.Filter(func(m mem.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		name := []string{1: "initiation", 2: "response", 3: "cookie", 4: "data"}[m.Data[0]]
		if m.Data[0] == 4 && len(m.Data) == 32 {
			name = "keepalive"
		}
		log = append(log, fmt.Sprintf("%v %v %s", time.Since(start), m.From.Addr().As4()[3], name))
		return true
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(log)
	}
}

// Time is virtual here, so a wake-up is at its moment or it is not: persistent keepalives every 25 s (TIMER-20), the
// answer to data after 10 s of silence (TIMER-12), a rekey with the first packet at 120 s (TIMER-07), erasure.
func TestWakeUpsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 2})
		start := time.Now()
		seen := w.watch(start)
		send := func(at time.Duration) {
			time.Sleep(at - time.Since(start))
			w.a.tunnel.Put(packet(w.a.inner, w.b.inner, 1, 100))
			synctest.Wait()
		}
		for _, at := range []time.Duration{0, 30 * time.Second, 119 * time.Second, 120 * time.Second} {
			send(at)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		want := []string{"0s 1 initiation", "0s 2 response", "0s 1 data", "10s 2 keepalive", "30s 1 data", "40s 2 keepalive",
			"1m59s 1 data", "2m0s 1 data", "2m0s 1 initiation", "2m0s 2 response", "2m0s 1 keepalive"}
		// b owes a keepalive only if its response left before the data of the same moment came. What leaves at one moment
		// may do so in any order: different workers send it.
		got := slices.DeleteFunc(seen(), func(s string) bool { return s == "2m10s 2 keepalive" })
		slices.Sort(want[7:])
		slices.Sort(got[min(7, len(got)):])
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A node that is idle but for a persistent keepalive of 25 s wakes for it and for nothing else.
func TestPersistentKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 1, keepalive: 25})
		synctest.Wait()
		start := time.Now()
		seen := w.watch(start)
		before := w.a.node.Metrics().Wakeups
		time.Sleep(100*time.Second + time.Millisecond)
		synctest.Wait()
		want := []string{"25s 1 keepalive", "50s 1 keepalive", "1m15s 1 keepalive", "1m40s 1 keepalive"}
		if got := seen(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if n := w.a.node.Metrics().Wakeups - before; n > 8 {
			t.Errorf("%d wake-ups for 4 keepalives", n)
		}
		// Set to 10 s, the earlier deadline wakes the goroutine that waits for the later one.
		ten := uint16(10)
		must(t, w.a.node.Configure(transports.Settings{Changes: []protocol.Change{{Op: protocol.OpUpdatePeer,
			Peer: w.b.key.PublicKey(), PersistentKeepalive: &ten}}}))
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if got := seen(); len(got) < 5 || got[len(got)-1] != "1m50.001s 1 keepalive" {
			t.Errorf("got %v", got)
		}
	})
}

// A flood of initiations from strangers, each of which costs public-key work, does not hold up data (DOS-01).
func TestFloodDoesNotStallData(t *testing.T) {
	w := newWorld(t, setup{workers: 2, mem: mem.Options{Queue: 4096}})
	w.connect()
	flood := strangers(t, w.b, 3000)
	attacker := w.network.Link(netip.MustParseAddr("192.0.2.66"))
	_, err := attacker.Open(6666)
	must(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	var sent atomic.Int64
	go func() {
		defer close(stopped)
		const burst = 500 // each leaves room for data in the queue, which would be lost on a real network too
		for i := 0; ; i = (i + burst) % len(flood) {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if w.b.link.Waiting() < 2000 {
					must(t, attacker.Send(flood[i:][:burst]))
					sent.Add(burst)
				}
			}
		}
	}()
	for i := uint32(0); i < 1000 || sent.Load() < 10000; i++ {
		p := packet(w.a.inner, w.b.inner, i, 400)
		w.a.tunnel.Put(p)
		w.b.wants(t, fmt.Sprint("packet ", i, " in the flood"), p)
	}
	close(stop)
	<-stopped
	var drops [protocol.NumDropReasons]uint64
	w.b.node.Get(func(s transports.Status) { drops = s.Drops }, nil)
	loaded := drops[protocol.DropNoCookie] + drops[protocol.DropCookieBudget]
	if drops[protocol.DropUnknownPeer] == 0 || loaded == 0 || w.b.link.Lost() > 0 {
		t.Errorf("the flood of %d was none: %d datagrams lost, %v", sent.Load(), w.b.link.Lost(), drops)
	}
	t.Logf("%d sent, %d jobs, %d dropped under load", sent.Load(), w.b.node.Metrics().HandshakeJobs, loaded)
}

// strangers makes initiations with a valid mac1 of peers that to does not know.
func strangers(t *testing.T, to *host, n int) (out []protocol.Datagram) {
	var key [4]byte
	for i := range n / 100 {
		binary.LittleEndian.PutUint32(key[:], uint32(i+1))
		id := protocol.PrivateKey{}
		copy(id[:], key[:])
		d, err := protocol.New(protocol.Config{Identity: protocol.NewIdentity(id), Wall: time.Now(),
			Entropy: protocoltest.NewEntropy(uint64(i), "stranger")})
		must(t, err)
		var b protocol.Batch
		every := uint16(1)
		must(t, d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer, Peer: to.key.PublicKey(), Endpoint: &to.outer,
			PersistentKeepalive: &every}}, &b))
		d.Up(0, &b)
		for at, _, ok := d.Deadline(); ok && len(out) < 100*(i+1); at, _, ok = d.Deadline() {
			b.Reset()
			d.HandleTimeout(at, &b)
			protocol.Finish(at, d, &b, &protocol.Worker{})
			for dg := range b.Outgoing() {
				dg.Packet = protocol.Packet{Buf: bytes.Clone(dg.Bytes()), Len: dg.Len}
				out = append(out, dg)
			}
		}
	}
	return out
}

// A source address that the host has lost is forgotten, and the peer is reached from another (ROAM-09).
func TestLostSourceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 1, core: nil})
		w.connect()
		local := func() (a netip.Addr) {
			synctest.Wait()
			w.b.node.Get(nil, func(s protocol.PeerStats, _ []netip.Prefix) bool { a = s.Endpoint.Local; return true })
			return a
		}
		if local() != w.b.outer.Addr() {
			t.Fatalf("no sticky source: %v", local())
		}
		w.b.link.RemoveAddr(w.b.outer.Addr())
		w.b.tunnel.Put(packet(w.b.inner, w.a.inner, 9, 99))
		if a := local(); a.IsValid() {
			t.Errorf("%v is still the source", a)
		}
		if m := w.b.node.Metrics(); m.Sent.Errors != 1 {
			t.Errorf("%d errors", m.Sent.Errors)
		}
	})
}

// The log shows what the core reports, and never a secret.
func TestEventsAreLogged(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	write := transports.LogEvents(log)
	w := newWorld(t, setup{trace: protocol.TraceAll | protocol.TraceSecrets, onEvents: func(_ string, e []protocol.Event) {
		mu.Lock()
		defer mu.Unlock()
		write(e)
	}})
	w.connect()
	w.a.stop(t)
	w.b.stop(t)
	text := out.String()
	for _, want := range []string{"msg=initiation-sent", "cause=packet", "msg=handshake-complete", "initiator=true",
		"endpoint=192.0.2.2:51820", "msg=timer-armed"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the log", want)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("a secret in the log")
	}
}

// The clocks run forward, ring once when asked, and not when taken back.
func TestClocks(t *testing.T) {
	for name, c := range map[string]transports.Clock{"go": transports.GoClock(), "system": transports.SystemClock()} {
		a := c.NewAlarm()
		before := c.Now()
		a.Set(before.Add(20 * time.Millisecond))
		select {
		case <-a.C():
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: it did not ring", name)
		}
		if took := c.Now().Sub(before); took < 20*time.Millisecond {
			t.Errorf("%s: it rang after %v", name, took)
		}
		a.Set(before) // in the past: at once
		select {
		case <-a.C():
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: it did not ring for the past", name)
		}
		a.Set(c.Now().Add(50 * time.Millisecond))
		a.Set(timers.Never)
		select {
		case <-a.C():
			t.Errorf("%s: it rang though it was set off", name)
		case <-time.After(100 * time.Millisecond):
		}
		if wall := c.Wall(); time.Since(wall).Abs() > time.Minute {
			t.Errorf("%s: the wall clock shows %v", name, wall)
		}
		b := c.NewAlarm()
		a.Close()
		b.Close()
	}
}
