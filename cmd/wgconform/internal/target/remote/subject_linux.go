package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Subject is the device during an instance's life. It implements conformance.RealTimeSubject and TesterSubject.
type Subject struct {
	f      *Factory
	origin int64 // its time 0 on BOOTTIME
	queue  int   // epoll: sockets with something to read, and the bell
	bell   int   // eventfd: Advance is to look up
	woken  atomic.Bool

	sockets map[netip.AddrPort]*socket
	byFile  map[int32]*socket
	drained int64 // when the sockets were last found empty, on BOOTTIME
	out     conformance.Output
	buffer  []byte
	control []byte
	ready   []unix.EpollEvent

	running  sync.WaitGroup // triggers
	stop     context.CancelFunc
	stopping context.Context
}

var (
	_ conformance.RealTimeSubject = (*Subject)(nil)
	_ conformance.TesterSubject   = (*Subject)(nil)
)

func newSubject(f *Factory) (*Subject, error) {
	s := &Subject{f: f, queue: -1, bell: -1, sockets: map[netip.AddrPort]*socket{}, byFile: map[int32]*socket{},
		buffer: make([]byte, 1<<16), control: make([]byte, 512), ready: make([]unix.EpollEvent, 64)}
	s.stopping, s.stop = context.WithCancel(f.ctx)
	s.origin = now()
	s.drained = s.origin
	var err error
	if s.queue, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		s.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = s.watch(s.bell)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Subject) watch(fd int) error {
	return unix.EpollCtl(s.queue, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// Open implements conformance.TesterSubject.
func (s *Subject) Open(v6 bool) (netip.AddrPort, error) {
	device := s.f.outer(v6)
	k, err := openSocket(s.f.from(device.Addr().Is6()), device)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if err := s.watch(k.fd); err != nil {
		return netip.AddrPort{}, errors.Join(err, k.close())
	}
	s.sockets[k.here], s.byFile[int32(k.fd)] = k, k
	return k.here, nil
}

// Now implements conformance.Subject.
func (s *Subject) Now() timers.Time { return timers.Time(now() - s.origin) }

// Input implements conformance.Subject. The stamp is of this host.
func (s *Subject) Input(at timers.Time, in []conformance.Datagram) conformance.Stamp {
	if d := at - s.Now(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	s.settle(in)
	s.drain(0)
	before := s.Now()
	for i := range in {
		if k := s.sockets[in[i].Remote]; k != nil {
			_ = k.send(in[i].Local, in[i].Bytes, in[i].TOS) // what is not sent is lost, as on any way
		}
	}
	return conformance.Stamp{Earliest: before, Latest: s.Now()}
}

// settle lets the device deal with a response before data follows it: handshakes may have threads of their own there,
// which the data would overtake, but cases mean one thing after the other. What the way and a handshake take is enough.
func (s *Subject) settle(in []conformance.Datagram) {
	const least = 20 * time.Millisecond
	if len(in) != 1 || len(in[0].Bytes) == 0 {
		return
	}
	k := s.sockets[in[0].Remote]
	switch kind := in[0].Bytes[0]; {
	case k == nil:
	case kind == 2:
		k.answered = now()
	case kind == 4:
		if d := max(least, s.f.capabilities.RTT) - time.Duration(now()-k.answered); d > 0 {
			time.Sleep(d)
		}
	}
}

// Packets implements conformance.Subject: for each packet the trigger is to make the device send something to where
// the packet goes.
func (s *Subject) Packets(_ timers.Time, in [][]byte) conformance.Stamp {
	before := s.Now()
	for _, p := range in {
		s.pull(conformance.Destination(p))
	}
	return conformance.Stamp{Earliest: before, Latest: s.Now()}
}

// pull makes the device send to an inner address. It does not wait for it.
func (s *Subject) pull(to netip.Addr) {
	t := &s.f.device.Trigger
	if t.Manual {
		fmt.Fprintf(s.f.notices, "\nMake the device send a packet to %v now (a ping, or a page of http://%v/).\n", to, to)
		return
	}
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.stopping, s.f.device.given.Patience)
		defer cancel()
		if err := shell(ctx, t.Command, "address="+to.String()); err != nil && ctx.Err() == nil {
			fmt.Fprintf(s.f.notices, "trigger: %v\n", err)
		}
	})
}

// shell runs a command of the target file.
func shell(ctx context.Context, command string, env ...string) error {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	c.Env = append(os.Environ(), env...)
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%s: %w: %s", strconv.Quote(command), err, line)
	}
	return nil
}

// Advance implements conformance.Subject.
func (s *Subject) Advance(until timers.Time) timers.Time {
	for {
		// The time is read first: whatever came before it is in the sockets when they are read.
		reached := s.Now()
		s.drain(0)
		if reached >= until || len(s.out.Datagrams) > 0 || s.woken.Swap(false) {
			return s.Now()
		}
		s.drain(time.Duration(until - reached))
	}
}

// drain reads the sockets until they are empty. If nothing is there it waits at most for d, rounded up to
// milliseconds, or for the bell.
func (s *Subject) drain(d time.Duration) {
	begun := now()
	low, high, known := int64(0), int64(0), false
	for wait := int((d + time.Millisecond - 1) / time.Millisecond); ; wait = 0 {
		n, err := unix.EpollWait(s.queue, s.ready, wait)
		if err != nil || n == 0 {
			break
		}
		rung := false
		for _, e := range s.ready[:n] {
			k := s.byFile[e.Fd]
			if k == nil {
				var b [8]byte
				_, _ = unix.Read(s.bell, b[:])
				rung = true
				continue
			}
			if !known {
				low, high = s.f.heart.Differences(s.drained)
				known = true
			}
			for r, ok := k.receive(s.buffer, s.control); ok; r, ok = k.receive(s.buffer, s.control) {
				s.take(k, &r, low, high)
			}
		}
		if rung && n == 1 {
			break
		}
	}
	s.drained = begun
}

// take keeps a datagram of the device.
func (s *Subject) take(k *socket, r *received, low, high int64) {
	if !s.f.isDevice(r.from.Addr()) {
		return
	}
	at := conformance.Stamp{Earliest: timers.Time(r.wall + low - s.origin), Latest: timers.Time(r.wall + high - s.origin)}
	if r.wall == 0 {
		at = conformance.Stamp{Earliest: timers.Time(s.drained - s.origin), Latest: s.Now()}
	}
	// It may have been faster or slower on its way than others.
	at.Earliest = max(0, at.Earliest.Add(-s.f.jitter))
	s.out.Datagrams = append(s.out.Datagrams, conformance.SentDatagram{At: at, Datagram: conformance.Datagram{
		Local: r.from, Remote: k.here, TOS: r.tos, Bytes: bytes.Clone(r.bytes)}})
}

// Take implements conformance.Subject.
func (s *Subject) Take(o *conformance.Output) {
	s.drain(0)
	*o, s.out = s.out, conformance.Output{}
}

// Wake implements conformance.RealTimeSubject.
func (s *Subject) Wake() {
	s.woken.Store(true)
	_, _ = unix.Write(s.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full: it rings already
}

// Stalled implements conformance.RealTimeSubject.
func (s *Subject) Stalled(from, until timers.Time) time.Duration {
	return s.f.heart.Stalled(int64(from)+s.origin, int64(until)+s.origin)
}

// Configure implements conformance.Subject: the device is configured by hand.
func (s *Subject) Configure(timers.Time, conformance.Change) error { return errors.ErrUnsupported }

// SetWall implements conformance.Subject: the clock is the device's own.
func (s *Subject) SetWall(timers.Time, time.Time) error { return errors.ErrUnsupported }

// State implements conformance.Subject: the device says nothing of itself.
func (s *Subject) State() (conformance.State, error) {
	return conformance.State{}, errors.ErrUnsupported
}

// Restart implements conformance.Subject.
func (s *Subject) Restart(_ timers.Time, wall time.Time) error {
	if !wall.IsZero() {
		return errors.ErrUnsupported
	}
	return s.f.reset()
}

// Close implements conformance.Subject. It leaves the device alone.
func (s *Subject) Close() (err error) {
	s.stop()
	s.running.Wait()
	for _, k := range s.sockets {
		err = errors.Join(err, k.close())
	}
	for _, fd := range []int{s.queue, s.bell} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}
