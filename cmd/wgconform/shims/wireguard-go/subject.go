package wireguardgo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"github.com/purewire/purewire/cmd/wgconform/internal/uapitext"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Factory makes subjects.
type Factory struct {
	T   *testing.T // what bubbles belong to
	Log io.Writer  // gets the errors that devices log; nil: nobody
}

// Version is that of the module that the binary was built with, and the binary's checksum. The build information of a
// test binary names no modules, but the path of each source file does.
var Version = sync.OnceValue(func() string {
	const module = "golang.zx2c4.com/wireguard"
	file, _ := runtime.FuncForPC(reflect.ValueOf(device.NewDevice).Pointer()).FileLine(0)
	_, after, _ := strings.Cut(file, module+"@")
	version, _, ok := strings.Cut(after, "/")
	if !ok { // a replace in go.mod, or a workspace
		version = "from " + file
	}
	sum := "unknown"
	if path, err := os.Executable(); err == nil {
		if b, err := os.ReadFile(path); err == nil {
			sum = fmt.Sprintf("%x", sha256.Sum256(b))[:16]
		}
	}
	return module + " " + version + " " + runtime.Version() + " sha256:" + sum
})

// Capabilities implements conformance.Factory.
func (Factory) Capabilities() conformance.Capabilities {
	const lacks = conformance.NeedWall | conformance.NeedTOS | conformance.NeedOuter | conformance.NeedHost
	return conformance.Capabilities{
		Name: "wireguard-go", Version: Version(), Virtual: true, Kind: "exact",
		Has: (conformance.NeedSources<<1 - 1) &^ lacks,
		Lacks: map[conformance.Need]string{
			conformance.NeedWall:  "a bubble of testing/synctest has one clock: the wall clock cannot be set alone",
			conformance.NeedTOS:   "conn.Bind has no TOS byte: the device neither sets nor sees it",
			conformance.NeedOuter: "there are no outer headers: conn.Bind gives UDP payloads",
			conformance.NeedHost:  "there is no host: inner packets are the suite's",
		},
	}
}

// New implements conformance.Factory. What public-key work is to cost is not modelled: a bubble's clock stands still
// while anybody works. A flood fills the device's queue all the same.
func (f Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	s := &subject{t: f.T, log: f.Log, addrs: []netip.Addr{setup.Local4.Addr(), setup.Local6.Addr()}}
	if s.log == nil {
		s.log = io.Discard
	}
	if err := s.boot(setup.Wall); err != nil {
		return nil, err
	}
	if err := s.Configure(0, setup.Config); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// subject is an instance: one device after the other. It implements conformance.Subject, conformance.HostSubject
// and shim.Talker.
type subject struct {
	t    *testing.T
	log  io.Writer
	life *life
	now  timers.Time
	out  conformance.Output

	// What survives a restart: every change that was accepted is told again.
	texts []string
	mtu   *int
	up    *bool
	addrs []netip.Addr

	lines map[int]*ipcConn // open connections to the configuration socket
}

// boot begins a life.
func (s *subject) boot(wall time.Time) error {
	if wall.Before(epoch) || wall.Sub(epoch) > era {
		return fmt.Errorf("a wall clock of %s: %w by a bubble of testing/synctest", wall.UTC().Format(time.DateOnly),
			errors.ErrUnsupported)
	}
	s.lines = map[int]*ipcConn{}
	s.life = begin(s.t, s.now, wall, slices.Clone(s.addrs), s.log)
	return nil
}

// at lets time pass until now and does something then, in the bubble.
func (s *subject) at(now timers.Time, f func(l *life)) conformance.Stamp {
	l := s.life
	l.in(func() {
		l.pass(now, false)
		f(l)
	})
	s.gather(l)
	return conformance.At(s.now)
}

// gather moves what a life put out to the outputs.
func (s *subject) gather(l *life) {
	l.in(func() { s.now = l.now() })
	o := l.take()
	s.out.Datagrams = append(s.out.Datagrams, o.Datagrams...)
	s.out.Packets = append(s.out.Packets, o.Packets...)
}

// Now is virtual time.
func (s *subject) Now() timers.Time { return s.now }

// Input implements conformance.Subject.
func (s *subject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	return s.at(now, func(l *life) { l.input(in) })
}

// Packets implements conformance.Subject.
func (s *subject) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	return s.at(now, func(l *life) { l.packets(in) })
}

// Advance implements conformance.Subject.
func (s *subject) Advance(now timers.Time) timers.Time {
	if len(s.out.Datagrams)+len(s.out.Packets) == 0 {
		l := s.life
		l.in(func() { l.pass(now, true) })
		s.gather(l)
	}
	return s.now
}

// Configure implements conformance.Subject. A text of several settings is not all or nothing: what stands before the
// one that wireguard-go refuses was done.
func (s *subject) Configure(now timers.Time, c conformance.Change) (err error) {
	text := ""
	if uapitext.Says(&c) {
		text = uapitext.Set(&c)
	}
	s.at(now, func(l *life) { err = l.configure(c.MTU, c.Up, text) })
	if err != nil {
		return err
	}
	if text != "" {
		s.texts = append(s.texts, text)
	}
	if c.MTU != nil {
		s.mtu = c.MTU
	}
	if c.Up != nil {
		s.up = c.Up
	}
	return nil
}

// Restart implements conformance.Subject.
func (s *subject) Restart(now timers.Time, wall time.Time) (err error) {
	s.at(now, func(l *life) {
		if wall.IsZero() {
			wall = l.wall()
		}
	})
	old := s.life
	if err := s.boot(wall); err != nil {
		return err
	}
	old.end()
	s.at(now, func(l *life) {
		err = l.configure(s.mtu, nil, "")
		for _, text := range s.texts {
			if err == nil {
				_, err = l.ask(text)
			}
		}
		if err == nil {
			err = l.configure(nil, s.up, "")
		}
	})
	return err
}

// SetWall implements conformance.Subject.
func (s *subject) SetWall(timers.Time, time.Time) error {
	return fmt.Errorf("setting the wall clock: %w: a bubble has one clock", errors.ErrUnsupported)
}

// SetAddresses implements conformance.HostSubject. wireguard-go hears of a change by netlink only if it has a socket of
// its own kind, so that nobody is told.
func (s *subject) SetAddresses(now timers.Time, add, remove []netip.Prefix) (err error) {
	addrs := slices.Clone(s.addrs)
	for _, p := range add {
		addrs = append(addrs, p.Addr())
	}
	for _, p := range remove {
		i := slices.Index(addrs, p.Addr())
		if i < 0 {
			return fmt.Errorf("the host has no address %v", p.Addr())
		}
		addrs = slices.Delete(addrs, i, i+1)
	}
	s.addrs = addrs
	s.at(now, func(l *life) {
		l.host.mu.Lock()
		defer l.host.mu.Unlock()
		l.host.addrs = slices.Clone(addrs)
	})
	return nil
}

// State implements conformance.Subject.
func (s *subject) State() (st conformance.State, err error) {
	s.at(s.now, func(l *life) { st, err = l.state() })
	return st, err
}

// Talk implements shim.Talker. What is changed this way is not told again after a restart.
func (s *subject) Talk(connection int, text string, end bool) (answer string, eof bool, err error) {
	l := s.life
	l.in(func() {
		c := s.lines[connection]
		if c == nil {
			c = l.connect()
			s.lines[connection] = c
		}
		answer, eof, err = c.converse(text)
		if end {
			c.hangUp()
			delete(s.lines, connection)
		}
	})
	return answer, eof, err
}

// Take implements conformance.Subject.
func (s *subject) Take(o *conformance.Output) {
	s.gather(s.life)
	*o, s.out = s.out, conformance.Output{}
}

// Close implements conformance.Subject.
func (s *subject) Close() error {
	s.life.end()
	s.life = nil
	return nil
}
