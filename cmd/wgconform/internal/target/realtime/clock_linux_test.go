package realtime

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// The heart notices that the machine stood still, now and then.
func TestStalled(t *testing.T) {
	h := &Heart{last: boottime(), pauses: []span{{100, 50e6}, {200e6, 300e6}}}
	for _, c := range []struct {
		from, until int64
		want        time.Duration
	}{{0, 50, 0}, {0, 150, 50e6 - 100}, {60e6, 190e6, 0}, {0, 250e6, 100e6}, {299e6, 400e6, 100e6}} {
		if got := h.stalled(c.from, c.until); got != c.want {
			t.Errorf("between %d and %d: %v, want %v", c.from, c.until, got, c.want)
		}
	}
	h.last -= int64(time.Second)
	if got := h.stalled(h.last, boottime()); got < time.Second {
		t.Errorf("a pause that goes on: %v, want 1 s", got)
	}
	live := NewHeart()
	defer live.Close()
	live.mu.Lock()
	from := boottime()
	for boottime() < from+int64(30*time.Millisecond) {
		time.Sleep(time.Millisecond)
	}
	live.mu.Unlock()
	for live.stalled(from, boottime()) < 25*time.Millisecond {
		if boottime() > from+int64(30*time.Second) {
			t.Fatal("a pause of 30 ms was not noticed")
		}
		time.Sleep(time.Millisecond)
	}
}

// A step of the wall clock makes stamps from around it wide, not wrong.
func TestClockStep(t *testing.T) {
	now := sample()
	h := &Heart{seen: []difference{{now.at - 3e9, 10, 20}, {now.at - 2e9, now.low - 5e9, now.high - 5e9}, now}}
	low, high := h.around(now.at - 1e9)
	if low > now.low-5e9 || high < now.high-int64(time.Millisecond) || low < now.low-6e9 {
		t.Errorf("between %d and %d, want from %d to %d", low, high, now.low-5e9, now.high)
	}
	if low, high := h.around(now.at + 1); high-low > int64(time.Second) {
		t.Errorf("after the step the difference is uncertain by %v", time.Duration(high-low))
	}
}

// A tap that lost packets spoils the time since it was last empty.
func TestBlur(t *testing.T) {
	s, err := New(&dummy{network: -1}, startedHeart(t), idleSetup(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	from := s.Now()
	s.blur(int64(from)+s.origin, boottime())
	if got := s.Stalled(from, s.Now()+timers.Time(time.Second)); got < 900*time.Millisecond {
		t.Errorf("a blur counts as %v", got)
	}
}

// Whoever uses the interface besides the suite is named.
func TestListen(t *testing.T) {
	h := startedHeart(t)
	err := Listen(context.Background(), "dummy", func(setup conformance.Setup) (*Subject, error) {
		s, err := New(&dummy{network: -1}, h, setup)
		if err == nil {
			packet := conformance.UDP(netip.MustParseAddrPort("10.77.0.1:1"), netip.MustParseAddrPort("10.77.0.2:2"), nil)
			err = s.inner.send(s.link.Attrs().Index, etherIPv4, append(make([]byte, etherHeader), packet...))
		}
		return s, err
	})
	want := "dummy: not silent when idle: into the interface: UDP from 10.77.0.1:1 to 10.77.0.2:2, 28 bytes"
	if err == nil || err.Error() != want {
		t.Errorf("listening ends with %v, want %s", err, want)
	}
}

func startedHeart(t *testing.T) *Heart {
	t.Helper()
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	h := NewHeart()
	t.Cleanup(h.Close)
	return h
}

func idleSetup(t *testing.T) conformance.Setup {
	t.Helper()
	setup, err := Idle()
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

// dummy is a driver without an implementation: its interface is one that swallows everything.
type dummy struct{ network int }

func (d *dummy) Boot(func()) (network int, err error) {
	d.network, err = NewNamespace()
	return d.network, err
}

func (d *dummy) Start() error {
	return Inside(d.network, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = Interface, 1420
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "nobody"}); err != nil {
			return err
		}
		far, err := netlink.LinkByName("nobody")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(far)
	})
}

func (d *dummy) Stop() error                             { return nil }
func (d *dummy) Set(*conformance.Change) error           { return nil }
func (d *dummy) State() (s conformance.State, err error) { return s, nil }
func (d *dummy) Settle(uint16)                           {}
func (d *dummy) Busy() bool                              { return false }
func (d *dummy) Waited() time.Duration                   { return 0 }
func (d *dummy) Death() string                           { return "" }
func (d *dummy) Close() error                            { return unix.Close(d.network) }
