package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Factory makes subjects of the running kernel. It implements conformance.Factory.
type Factory struct {
	heart        *realtime.Heart
	watch        *watch
	capabilities conformance.Capabilities

	mu   sync.Mutex
	calm time.Time // when the kernel is no longer under the load of an earlier subject
}

// New finds out whether the kernel has WireGuard, and listens for 5 s to an interface that has nothing to do. Anything
// but silence is an error that names it. kind picks the tolerances (conformance.Capabilities); empty: "kernel" with
// the HZ that was found. The factory is to be closed.
func New(ctx context.Context, kind string) (*Factory, error) {
	if err := realtime.Check(); err != nil {
		return nil, err
	}
	w, err := newWatch()
	if err != nil {
		return nil, err
	}
	f := &Factory{heart: realtime.NewHeart(), watch: w, capabilities: realtime.Capabilities()}
	c := &f.capabilities
	c.Name, c.Kind = "kernel", "kernel"
	if kind != "" {
		c.Kind = kind
	}
	c.Lacks[conformance.NeedUAPI] = "the kernel is configured by netlink, not by the text protocol"
	c.Has &^= conformance.NeedErrors
	c.Lacks[conformance.NeedErrors] = "the kernel tells who sent a packet by way of its route, and injected ones have none"
	if runtime.NumCPU() == 1 {
		c.Pace = 100 * time.Millisecond
	}
	c.Lacks[conformance.NeedVirtual] = "the kernel's time is the machine's"
	if err = f.missing(); err == nil {
		c.Version = version()
		c.HZ, err = frequency()
	}
	if err == nil {
		err = realtime.Listen(ctx, "kernel", f.start)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Capabilities implements conformance.Factory.
func (f *Factory) Capabilities() conformance.Capabilities { return f.capabilities }

// New implements conformance.Factory. A nil error means that the interface is there and configured.
func (f *Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	f.mu.Lock()
	wait := time.Until(f.calm)
	f.mu.Unlock()
	time.Sleep(wait)
	s, err := f.start(setup)
	if err != nil {
		return nil, err
	}
	return &subject{Subject: s, factory: f}, nil
}

// subject tells the factory when it ends after a flood.
type subject struct {
	*realtime.Subject
	factory *Factory
	flooded bool
}

// A flood is more datagrams at once than any case sends for another reason. The kernel as a whole is under load,
// whichever interface was flooded, until a second after it last was so (receive.c, last_under_load).
const (
	flood = 100
	held  = 1100 * time.Millisecond
)

// Input implements conformance.Subject.
func (s *subject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	s.flooded = s.flooded || len(in) >= flood
	return s.Subject.Input(now, in)
}

// Close implements conformance.Subject.
func (s *subject) Close() error {
	err := s.Subject.Close()
	if s.flooded {
		s.factory.mu.Lock()
		defer s.factory.mu.Unlock()
		s.factory.calm = time.Now().Add(held)
	}
	return err
}

func (f *Factory) start(setup conformance.Setup) (*realtime.Subject, error) {
	return realtime.New(&driver{network: -1, watch: f.watch}, f.heart, setup)
}

// Close ends the factory, not its subjects.
func (f *Factory) Close() error {
	f.heart.Close()
	return f.watch.close()
}

// missing makes an interface of type wireguard and removes it. If the kernel knows no such type, and has no module
// of which it learns it, the error says what can be done.
func (f *Factory) missing() (err error) {
	d := &driver{network: -1, watch: f.watch}
	defer func() { err = errors.Join(err, d.Close()) }()
	if _, err := d.Boot(func() {}); err != nil {
		return err
	}
	err = d.add()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("Linux %s has no WireGuard: load its module (modprobe wireguard), or run wgconform on a kernel "+
			"that has it (CONFIG_WIREGUARD), in a virtual machine for instance", release())
	}
	return err
}

// version names the kernel, its build, and what its WireGuard calls itself.
func version() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // fails for a bad pointer only
	v := fmt.Sprintf("Linux %s %s", release(), unix.ByteSliceToString(u.Version[:]))
	if own, err := os.ReadFile("/sys/module/wireguard/version"); err == nil {
		v += ", wireguard " + string(bytes.TrimSpace(own))
	}
	return v
}

func release() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// frequency is HZ: the resolution of the coarse clocks is one tick. (The one that programs are told, USER_HZ, is
// always 100.)
func frequency() (hz int, err error) {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return 0, fmt.Errorf("asking for the length of a tick: %w", err)
	}
	const second = int64(time.Second)
	if tick.Nano() < second/10000 || tick.Nano() > second/10 {
		return 0, fmt.Errorf("a tick of %v is none that Linux can have", time.Duration(tick.Nano()))
	}
	return int((second + tick.Nano()/2) / tick.Nano()), nil
}
