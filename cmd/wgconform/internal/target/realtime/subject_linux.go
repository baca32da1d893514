package realtime

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// arrival is how long Input and Packets wait to see on the tap what they sent. It is there when they return from the
// kernel, unless the machine is very busy or the interface takes nothing.
const arrival = 100 * time.Millisecond

// Subject is a running instance of an implementation. It implements conformance.Subject, RealTimeSubject and
// HostSubject. Its methods but Wake are for one goroutine at a time.
type Subject struct {
	driver Driver
	setup  conformance.Setup
	heart  *Heart
	origin int64 // the subject's time 0 on BOOTTIME

	network int // file descriptor of its network namespace
	cable   *cable
	tap     *tap
	outer   *injector // frames into veth1
	inner   *injector // packets into the interface under test
	bell    int       // eventfd: Advance is to look up
	woken   atomic.Bool
	link    netlink.Link
	config  config
	told    bool // that the implementation is gone
	last    sort // that was done

	drained   int64 // when the tap was last found empty, on BOOTTIME
	out       conformance.Output
	fragments reassembly
	nextTag   tag
	arrived   map[tag]conformance.Stamp // what Input waits for: zero until it is seen
	injected  [][]byte                  // inner packets that the tap has yet to show
	entered   conformance.Stamp         // when those that it has shown were handed over
	waits     []wait                    // in order
	blurs     []span                    // when the tap lost packets, or somebody else used the interface
	strangers []string                  // packets that nobody should have sent into the interface
}

var (
	_ conformance.RealTimeSubject = (*Subject)(nil)
	_ conformance.HostSubject     = (*Subject)(nil)
)

// ErrNotReady says that an implementation runs but has no interface, or does not answer.
var ErrNotReady = errors.New("not ready")

// New makes a driver boot, connects its namespace, and has it start and configure the implementation. The driver is
// the subject's from then on, which closes it also if New fails.
func New(d Driver, h *Heart, setup conformance.Setup) (s *Subject, err error) {
	s = &Subject{driver: d, setup: setup, heart: h, origin: boottime(), bell: -1}
	s.drained = s.origin
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if s.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return s, fmt.Errorf("eventfd: %w", err)
	}
	if s.network, err = d.Boot(s.ring); err != nil {
		return s, err
	}
	if s.cable, err = lay(s.network); err != nil {
		return s, err
	}
	if s.tap, err = openTap(s.network); err != nil {
		return s, err
	}
	if s.outer, err = openInjector(s.cable.tester); err != nil {
		return s, err
	}
	if s.inner, err = openInjector(s.network); err != nil {
		return s, err
	}
	if err = stack(s.network, subjectEnd, setup.Local6.IsValid()); err != nil {
		return s, err
	}
	if err = s.cable.addresses(s.cable.end, []netip.Prefix{setup.Local4, setup.Local6}, true); err != nil {
		return s, err
	}
	if err = s.start(); err != nil {
		return s, err
	}
	return s, s.apply(&setup.Config)
}

// start starts the implementation and waits until it has an interface and answers.
func (s *Subject) start() error {
	if err := s.driver.Start(); err != nil {
		return err
	}
	s.told = false
	var last error
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if why := s.driver.Death(); why != "" {
			return errors.New(why)
		}
		// In this order: one that goes into the background may make its interface twice, but answers at the end.
		if _, last = s.State(); last != nil {
			continue
		}
		if s.link, last = s.cable.subject.LinkByName(Interface); last == nil {
			return stack(s.network, Interface, s.setup.Host)
		}
	}
	return fmt.Errorf("%w within %v: %w", ErrNotReady, Patience, last)
}

// Now implements conformance.Subject.
func (s *Subject) Now() timers.Time { return timers.Time(boottime() - s.origin) }

// wait waits for a time, without looking at what happens.
func (s *Subject) wait(now timers.Time) {
	if d := now - s.Now(); d > 0 {
		time.Sleep(time.Duration(d))
	}
}

// Input implements conformance.Subject.
func (s *Subject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	s.wait(now)
	s.after(arriving(in))
	s.mark()
	s.drain()
	before := s.Now()
	s.arrived = map[tag]conformance.Stamp{}
	for i := range in {
		s.nextTag++
		if i == 0 || i == len(in)-1 { // the first and the last bound the rest
			s.arrived[s.nextTag] = conformance.Stamp{}
		}
		for _, p := range packets(&in[i], s.nextTag) {
			s.frame(p)
		}
	}
	s.look(func() bool {
		for _, at := range s.arrived {
			if at.Latest == 0 {
				return false
			}
		}
		return true
	})
	when := conformance.Stamp{}
	for _, at := range s.arrived {
		when = join(when, at)
	}
	s.arrived = nil
	return s.within(when, before)
}

// join is the span of two stamps, the first of which may be none.
func join(a, b conformance.Stamp) conformance.Stamp {
	if a.Latest == 0 || b.Latest == 0 {
		return b
	}
	return conformance.Stamp{Earliest: min(a.Earliest, b.Earliest), Latest: max(a.Latest, b.Latest)}
}

// within narrows a stamp by what is known anyway: that it lies between before and now.
func (s *Subject) within(when conformance.Stamp, before timers.Time) conformance.Stamp {
	now := s.Now()
	if when.Latest == 0 {
		return conformance.Stamp{Earliest: before, Latest: now}
	}
	return conformance.Stamp{Earliest: max(before, min(when.Earliest, now)), Latest: max(before, min(when.Latest, now))}
}

// look reads the tap until f holds, or for as long as an arrival may take.
func (s *Subject) look(f func() bool) {
	for end := s.Now() + timers.Time(arrival); ; {
		s.drain()
		if f() || s.Now() >= end {
			return
		}
		s.poll(min(end-s.Now(), timers.Time(time.Millisecond)), false)
	}
}

// frame writes an outer packet to the tester's end of the cable.
func (s *Subject) frame(ip []byte) {
	ether := uint16(etherIPv4)
	if ip[0]>>4 == 6 {
		ether = etherIPv6
	}
	f := make([]byte, 0, etherHeader+len(ip))
	f = append(f, s.cable.address...)
	f = append(f, 2, 0, 0, 0, 0, 1) // from some address that is nobody's
	f = append(f, byte(ether>>8), byte(ether))
	_ = s.outer.send(s.cable.index, ether, append(f, ip...)) // what is not sent is seen not to arrive
}

// Packets implements conformance.Subject.
func (s *Subject) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	s.wait(now)
	s.after(byPacket)
	s.mark()
	s.drain()
	before := s.Now()
	s.entered = conformance.Stamp{}
	for _, p := range in {
		ether := uint16(etherIPv4)
		if len(p) > 0 && p[0]>>4 == 6 {
			ether = etherIPv6
		}
		s.injected = append(s.injected, bytes.Clone(p))
		if notEntered(s.inner.send(s.link.Attrs().Index, ether, p)) {
			s.injected = s.injected[:len(s.injected)-1]
		}
	}
	s.look(func() bool { return len(s.injected) == 0 })
	s.injected = nil
	return s.within(s.entered, before)
}

// notEntered tells of an error whether the packet came to no interface. Others are the interface's own, as that of a
// kernel that has no peer for the packet.
func notEntered(err error) bool {
	for _, e := range []error{unix.ENETDOWN, unix.ENXIO, unix.ENODEV, unix.EMSGSIZE, unix.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Advance implements conformance.Subject.
func (s *Subject) Advance(now timers.Time) timers.Time {
	for {
		// The time is read first: whatever happened before it is in the tap's socket when that is read.
		reached := s.Now()
		s.drain()
		if reached >= now || s.pending() || s.woken.Swap(false) {
			return s.Now()
		}
		s.poll(now-reached, true)
	}
}

// pending reports whether there is something to take.
func (s *Subject) pending() bool {
	if !s.told && s.driver.Death() != "" {
		return true
	}
	return len(s.out.Datagrams)+len(s.out.Packets)+len(s.out.Others) > 0
}

// poll waits for the tap, or for the bell if it is to listen to it.
func (s *Subject) poll(d timers.Time, listen bool) {
	fds := []unix.PollFd{{Fd: int32(s.tap.fd), Events: unix.POLLIN}, {Fd: int32(s.bell), Events: unix.POLLIN}}
	if !listen {
		fds = fds[:1]
	}
	timeout := unix.NsecToTimespec(int64(max(d, 0)))
	if _, err := unix.Ppoll(fds, &timeout, nil); err == nil && listen && fds[1].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(s.bell, b[:])
	}
}

// Wake implements conformance.RealTimeSubject.
func (s *Subject) Wake() {
	s.woken.Store(true)
	s.ring()
}

// ring makes Advance look up.
func (s *Subject) ring() {
	_, _ = unix.Write(s.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full: it rings already
}

// Stalled implements conformance.RealTimeSubject. A time in which the tap lost packets, or somebody other than the
// suite used the interface, is as useless as one in which the machine stood still, or the implementation
// waited for a core.
func (s *Subject) Stalled(from, until timers.Time) time.Duration {
	longest := s.heart.stalled(int64(from)+s.origin, int64(until)+s.origin)
	for _, b := range s.blurs {
		if b.from < int64(until)+s.origin && b.until > int64(from)+s.origin {
			longest = max(longest, time.Duration(b.until-b.from))
		}
	}
	// Several threads that wait at once make one thing late once.
	end := int64(until) + s.origin
	return max(longest, s.waitedSince(max(int64(from)+s.origin, end-waitedOver))/2)
}

// Take implements conformance.Subject.
func (s *Subject) Take(o *conformance.Output) {
	s.drain()
	*o = s.out
	s.out = conformance.Output{}
	o.Died = s.driver.Death()
	s.told = o.Died != ""
}

// SetWall implements conformance.Subject: the wall clock is the whole machine's.
func (s *Subject) SetWall(timers.Time, time.Time) error {
	return fmt.Errorf("the wall clock is the machine's, which others use: %w", errors.ErrUnsupported)
}

// Restart implements conformance.Subject.
func (s *Subject) Restart(now timers.Time, wall time.Time) error {
	if !wall.IsZero() {
		return s.SetWall(now, wall)
	}
	s.wait(now)
	s.after(byHost)
	s.drain() // what it did before
	if err := s.driver.Stop(); err != nil {
		return err
	}
	for end := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		_, err := s.cable.subject.LinkByName(Interface)
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("interface %s stays after the implementation was ended (%w)", Interface, err)
		}
	}
	if err := s.start(); err != nil {
		return err
	}
	all := s.config.all()
	return s.apply(&all)
}

// State implements conformance.Subject.
func (s *Subject) State() (conformance.State, error) {
	s.after(byAsking)
	return s.driver.State()
}

// Close implements conformance.Subject.
func (s *Subject) Close() error {
	err := s.driver.Close()
	for _, c := range []func() error{
		func() error { return s.cable.close() },
		func() error { return s.tap.close() },
		func() error { return s.outer.close() },
		func() error { return s.inner.close() },
	}[:s.opened()] {
		err = errors.Join(err, c())
	}
	if s.bell >= 0 {
		err = errors.Join(err, unix.Close(s.bell))
	}
	return err
}

// opened is how many of the things that Close closes there are, in the order in which New makes them.
func (s *Subject) opened() int {
	made := []bool{s.cable != nil, s.tap != nil, s.outer != nil, s.inner != nil, false}
	return slices.Index(made, false)
}
