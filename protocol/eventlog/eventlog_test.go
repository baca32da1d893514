package eventlog_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/eventlog"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// end is one of two devices that talk.
type end struct {
	*eventlog.Recorder
	log    bytes.Buffer
	key    protocol.PrivateKeyHolder
	broken *bool // the identity fails
	at     netip.AddrPort
	inner  netip.Addr
	batch  protocol.Batch
	worker protocol.Worker
	got    int
}

// frail is an identity outside the process, which may fail.
type frail struct {
	protocol.Identity
	broken *bool
}

func (f frail) DH(p [32]byte) ([32]byte, error) {
	if *f.broken {
		return [32]byte{}, errors.New("the agent does not answer")
	}
	return f.Identity.DH(p)
}

// pair is two recorded devices, driven by hand.
type pair struct {
	*testing.T
	now  timers.Time
	a, b *end
	to   map[netip.AddrPort]*end
}

func newPair(t *testing.T) *pair {
	p := &pair{T: t, now: 1e9, to: map[netip.AddrPort]*end{}}
	for i, name := range []string{"a", "b"} {
		e := &end{key: protocoltest.Identity(name, 1), broken: new(bool),
			inner: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
			at:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 51820)}
		var err error
		e.Recorder, err = eventlog.NewRecorder(&e.log, nil, protocol.Config{Identity: frail{e.key, e.broken}, Start: p.now,
			Entropy: protocoltest.NewEntropy(7, name), Wall: protocoltest.WallStart, MTU: 1420, Trace: protocol.TraceAll})
		if err != nil {
			t.Fatal(err)
		}
		p.to[e.at] = e
		p.a, p.b = p.b, e
	}
	for _, e := range []*end{p.a, p.b} {
		other, every, psk := p.other(e), uint16(25), protocol.PresharedKey{1, 2}
		p.do(e, func() {
			err := e.Configure(p.now, []protocol.Change{{Op: protocol.OpMTU, MTU: 1400}, {Op: protocol.OpAddPeer,
				Peer: other.key.PublicKey(), Endpoint: &other.at, PersistentKeepalive: &every, PresharedKey: &psk,
				AllowedIPs: []netip.Prefix{netip.PrefixFrom(other.inner, 32)}}}, &e.batch)
			if err != nil {
				t.Fatal(err)
			}
		})
		p.do(e, func() { e.Up(p.now, &e.batch) })
	}
	return p
}

func (p *pair) other(e *end) *end {
	if e == p.a {
		return p.b
	}
	return p.a
}

// do makes a call, does its work, and lets the other side have what is sent, until nothing more is.
func (p *pair) do(e *end, call func()) {
	e.batch.Reset()
	call()
	e.worker.Open(e.batch.Open)
	e.HandleOpened(p.now, e.batch.Open, &e.batch)
	e.batch.Open = e.batch.Open[:0]
	for i := 0; i < len(e.batch.Handshakes); i++ {
		job := e.batch.Handshakes[i : i+1]
		e.worker.Shake(job)
		e.HandleShaken(p.now, job, &e.batch)
		e.HandleShaken(p.now, job, &e.batch) // a second return is ignored
	}
	e.worker.Seal(e.batch.Seal)
	e.Sealed(e.batch.Seal)
	e.got += len(e.batch.Deliveries)
	var out []protocol.Datagram
	for dg := range e.batch.Outgoing() {
		data := bytes.Clone(dg.Bytes())
		dg.Packet = protocol.Packet{Buf: data, Len: len(data)}
		out = append(out, dg)
	}
	for _, dg := range out {
		to := p.to[dg.Endpoint.Remote]
		dg.Endpoint = protocol.Endpoint{Remote: e.at, Local: to.at.Addr(), IfIndex: 3}
		p.do(to, func() { to.HandleDatagrams(p.now, []protocol.Datagram{dg}, &to.batch) })
	}
}

// send puts an inner packet of n bytes into e.
func (p *pair) send(e *end, n int) {
	buf := make([]byte, protocol.Headroom+n+protocol.Tailroom)
	b := buf[protocol.Headroom:]
	b[0], b[2], b[3] = 0x45, byte(n>>8), byte(n)
	src, dst := e.inner.As4(), p.other(e).inner.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	p.do(e, func() {
		e.HandlePackets(p.now, []protocol.Packet{{Buf: buf, Off: protocol.Headroom, Len: n}}, &e.batch)
	})
}

// wait lets time pass, deadline by deadline.
func (p *pair) wait(d time.Duration) {
	for until := p.now.Add(d); ; {
		next, who := until, (*end)(nil)
		for _, e := range []*end{p.a, p.b} {
			if at, _, ok := e.Deadline(); ok && at < next {
				next, who = at, e
			}
		}
		p.now = max(p.now, next)
		if who == nil {
			return
		}
		p.do(who, func() { who.HandleTimeout(p.now, &who.batch) })
	}
}

// live goes through everything that a log can hold.
func (p *pair) live() {
	for range 3 {
		p.send(p.a, 100)
		p.send(p.b, 1300)
		p.wait(70 * time.Second)
	}
	p.a.SetWallClock(p.now, protocoltest.WallStart.Add(time.Hour))
	p.a.ForgetSources(p.now, netip.Addr{})
	p.b.ForgetSources(p.now, p.b.at.Addr())
	*p.b.broken = true
	p.do(p.a, func() { p.a.Down(p.now, &p.a.batch) })
	p.do(p.a, func() { p.a.Up(p.now, &p.a.batch) })
	p.send(p.a, 200)
	p.wait(3 * time.Second)
	*p.b.broken = false
	p.wait(30 * time.Second)
	p.send(p.a, 300)
	bad := []protocol.Change{{Op: protocol.OpRemovePeer, Peer: protocol.PublicKey{3}}}
	p.do(p.a, func() {
		if err := p.a.Configure(p.now, bad, &p.a.batch); err == nil {
			p.Error("accepted")
		}
	})
	key := protocoltest.Identity("a", 2)
	p.do(p.b, func() {
		if err := p.b.Configure(p.now, []protocol.Change{{Op: protocol.OpIdentity, Identity: key}}, &p.b.batch); err != nil {
			p.Error(err)
		}
	})
	if p.b.Identity() != protocol.Identity(key) {
		p.Error("the recorder hides the identity that was configured")
	}
	p.send(p.a, 40)
	p.wait(200 * time.Second)
	if p.a.got < 3 || p.b.got < 5 || p.b.Drops()[protocol.DropIdentityFailed] == 0 {
		p.Errorf("a got %d, b %d packets, %v drops", p.a.got, p.b.got, p.b.Drops())
	}
	for _, e := range []*end{p.a, p.b} {
		if err := e.Close(); err != nil {
			p.Error(err)
		}
	}
}

func TestReplayAgrees(t *testing.T) {
	p := newPair(t)
	p.live()
	for _, e := range []*end{p.a, p.b} {
		sum, err := eventlog.Replay(bytes.NewReader(e.log.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if !sum.Complete || sum.Calls < 40 || sum.Messages < 4 || sum.Handshakes < 3 || sum.Datagrams < 10 ||
			sum.Packets < 3 || sum.Span < 400*time.Second {
			t.Errorf("%+v", sum)
		}
	}
}

// A core that behaves otherwise is found, with the call and what it did instead.
func TestReplayFindsADefect(t *testing.T) {
	p := newPair(t)
	p.live()
	for _, defect := range []string{"no-padding", "nonce-reuse", "no-jitter", "no-passive-keepalive"} {
		_, err := eventlog.ReplayWith(bytes.NewReader(p.a.log.Bytes()), func(d *protocol.Device) {
			if err := protocoltest.WithDefect(d, defect); err != nil {
				t.Fatal(err)
			}
		})
		var diff *eventlog.Difference
		if !errors.As(err, &diff) || diff.Call == 0 || diff.Want == diff.Got || diff.What == "" {
			t.Errorf("%s: %v", defect, err)
			continue
		}
		if s := err.Error(); !strings.Contains(s, "recorded: "+diff.Want) || !strings.Contains(s, "replayed: "+diff.Got) {
			t.Errorf("unreadable: %s", s)
		}
	}
}

// Wherever a log is cut the replay says so, or that it ended without a close; wherever a byte is changed, the replay
// fails, or the change is one that decides nothing.
func TestReplayOfDamage(t *testing.T) {
	p := newPair(t)
	p.send(p.a, 100)
	p.send(p.b, 300)
	if err := errors.Join(p.a.Close(), p.b.Close()); err != nil {
		t.Fatal(err)
	}
	log := p.a.log.Bytes()
	for cut := 0; cut < len(log); cut += 1 + cut/500 {
		sum, err := eventlog.Replay(bytes.NewReader(log[:cut]))
		if sum.Complete || err != nil && !errors.Is(err, eventlog.ErrFormat) && !errors.Is(err, eventlog.ErrTruncated) {
			t.Fatalf("cut at %d: %+v, %v", cut, sum, err)
		}
	}
	survived, tried := 0, 0
	for i := 0; i < len(log); i += 3 {
		tried++
		bad := bytes.Clone(log)
		bad[i] ^= 0x11
		if sum, err := eventlog.Replay(bytes.NewReader(bad)); err == nil && sum.Complete {
			survived++
		}
	}
	// What the device does not look at: unused limits, high bits of unused jitter, an unused wall clock.
	if survived > tried/20 {
		t.Errorf("%d of %d damaged logs were replayed without complaint", survived, tried)
	}
	t.Logf("%d of %d single-byte changes go unnoticed", survived, tried)
	if _, err := eventlog.Replay(strings.NewReader("PWEL\x02rest")); !errors.Is(err, eventlog.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	if _, err := eventlog.Replay(bytes.NewReader(append(bytes.Clone(log), log[5:]...))); err == nil {
		t.Error("more after the end was accepted")
	}
}

// A recorder whose caller or writer does not keep to the rules says so, and the device goes on.
func TestRecorderErrors(t *testing.T) {
	p := newPair(t)
	p.send(p.a, 100)
	p.a.HandleOpened(p.now, make([]protocol.OpenJob, 0), &p.a.batch)
	if err := p.a.Err(); err != nil {
		t.Errorf("nothing was wrong: %v", err)
	}
	p.send(p.b, 100)
	var held protocol.Batch
	p.do(p.b, func() {
		buf := make([]byte, 200)
		buf[protocol.Headroom] = 0x45
		in := buf[protocol.Headroom:]
		in[3] = 60
		dst := p.a.inner.As4()
		copy(in[16:], dst[:])
		src := p.b.inner.As4()
		copy(in[12:], src[:])
		p.b.HandlePackets(p.now, []protocol.Packet{{Buf: buf, Off: protocol.Headroom, Len: 60}}, &p.b.batch)
		job := p.b.batch.Seal[0:1]
		p.b.worker.Seal(job)
		dg := job[0].Datagram
		dg.Endpoint = protocol.Endpoint{Remote: p.b.at}
		p.b.batch.Seal = p.b.batch.Seal[:0]
		p.a.HandleDatagrams(p.now, []protocol.Datagram{dg}, &held)
	})
	if len(held.Open) != 1 {
		t.Fatalf("%d open jobs", len(held.Open))
	}
	var other protocol.Batch
	p.a.HandleOpened(p.now, held.Open, &other)
	if err := p.a.Err(); !errors.Is(err, eventlog.ErrMisuse) {
		t.Errorf("a batch came back with the wrong jobs: %v", err)
	}
	full := errors.New("disk full")
	_, err := eventlog.NewRecorder(failing{full}, nil, protocol.Config{Entropy: protocoltest.NewEntropy(1, "x")})
	if !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	if _, err := eventlog.NewRecorder(&bytes.Buffer{}, nil, protocol.Config{}); !errors.Is(err, protocol.ErrNoEntropy) {
		t.Errorf("no entropy: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzReplay(f *testing.F) {
	f.Add([]byte("PWEL\x01\x01\x00"))
	var log bytes.Buffer
	r, err := eventlog.NewRecorder(&log, nil, protocol.Config{Entropy: protocoltest.NewEntropy(7, "fuzz"),
		Identity: protocoltest.Identity("a", 1), Limits: protocol.Limits{Jobs: 8}})
	if err != nil {
		f.Fatal(err)
	}
	var b protocol.Batch
	at := netip.MustParseAddrPort("192.0.2.1:1")
	if err := r.Configure(1, []protocol.Change{{Op: protocol.OpAddPeer, Peer: protocoltest.Identity("b", 1).PublicKey(),
		Endpoint: &at, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}, &b); err != nil {
		f.Fatal(err)
	}
	r.Up(2, &b)
	r.HandlePackets(3, []protocol.Packet{{Buf: append([]byte{0x45}, make([]byte, 19)...), Len: 20}}, &b)
	r.HandleShaken(4, b.Handshakes, &b)
	r.HandleDatagrams(5, []protocol.Datagram{{Packet: protocol.Packet{Buf: make([]byte, 92), Len: 92}}}, &b)
	r.HandleTimeout(1<<40, &b)
	if err := r.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(log.Bytes())
	f.Fuzz(func(_ *testing.T, log []byte) { _, _ = eventlog.Replay(bytes.NewReader(log)) })
}
