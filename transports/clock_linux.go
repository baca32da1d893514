package transports

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/purewire/purewire/timers"
)

// What <linux/time.h> and <sys/timerfd.h> call them.
const (
	clockRealtime = 0
	clockBoottime = 7
	timerAbstime  = 1
	cancelOnSet   = 2
	timerFlags    = syscall.O_NONBLOCK | syscall.O_CLOEXEC
)

// bootClock counts the time since boot, suspend included, so that a session that slept past its life is dead on
// waking (LIFE-06). Its Now is the same for all processes.
type bootClock struct {
	jumps chan struct{}

	mu     sync.Mutex
	alarms int
	wall   *os.File      // watched as long as there are alarms
	done   chan struct{} // the watcher ended
}

// SystemClock gives the best clock of the system: on Linux CLOCK_BOOTTIME, which runs during suspend, with alarms
// that do too, and, as long as it has an alarm, word of every setting of the wall clock.
func SystemClock() Clock { return &bootClock{jumps: make(chan struct{}, 1)} }

// watch waits on a timer that never rings: its read fails with ECANCELED when somebody sets the clock.
func (c *bootClock) watch(f *os.File, done chan<- struct{}) {
	defer close(done)
	var expirations [8]byte
	for {
		if err := setTimerfd(f, farAway, cancelOnSet); err != nil {
			return
		}
		if _, err := f.Read(expirations[:]); errors.Is(err, os.ErrClosed) {
			return
		}
		select {
		case c.jumps <- struct{}{}:
		default:
		}
	}
}

// farAway is as late as every platform's timespec can say.
const farAway = math.MaxInt32 * int64(time.Second)

// hold watches the wall clock from the first alarm on.
func (c *bootClock) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarms++; c.alarms > 1 {
		return
	}
	f, err := newTimerfd(clockRealtime)
	if err != nil {
		return // jumps go unnoticed, which costs a wrong time of day in messages until the next Up
	}
	c.wall, c.done = f, make(chan struct{})
	go c.watch(f, c.done)
}

// letGo ends that with the last alarm.
func (c *bootClock) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarms--; c.alarms > 0 || c.wall == nil {
		return
	}
	_ = c.wall.Close()
	<-c.done
	c.wall = nil
}

func (c *bootClock) Now() timers.Time {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime,
		uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic("purewire: clock_gettime(CLOCK_BOOTTIME): " + errno.Error())
	}
	return timers.Time(ts.Nano())
}

func (c *bootClock) Wall() time.Time        { return time.Now().Round(0) }
func (c *bootClock) Jumps() <-chan struct{} { return c.jumps }

func (c *bootClock) NewAlarm() Alarm {
	c.hold()
	f, err := newTimerfd(clockBoottime)
	if err != nil {
		return newPollAlarm(c)
	}
	a := &bootAlarm{clock: c, file: f, c: make(chan struct{}, 1), done: make(chan struct{})}
	go a.watch()
	return a
}

// bootAlarm is a timerfd. Its reader parks in the runtime's poller, not in a thread.
type bootAlarm struct {
	clock *bootClock
	file  *os.File
	c     chan struct{}
	done  chan struct{}
}

func (a *bootAlarm) watch() {
	defer close(a.done)
	var expirations [8]byte
	for {
		if _, err := a.file.Read(expirations[:]); err != nil {
			return // closed
		}
		if binary.NativeEndian.Uint64(expirations[:]) > 0 {
			select {
			case a.c <- struct{}{}:
			default:
			}
		}
	}
}

// Set asks for 1 ns at least: zero would set the timer off.
func (a *bootAlarm) Set(at timers.Time) {
	when := max(1, int64(at))
	if at == timers.Never {
		when = 0
	}
	if err := setTimerfd(a.file, when, 0); err != nil {
		select { // better too early than never: the Node looks at the clock itself
		case a.c <- struct{}{}:
		default:
		}
	}
}

func (a *bootAlarm) C() <-chan struct{} { return a.c }

func (a *bootAlarm) Close() {
	_ = a.file.Close()
	<-a.done
	a.clock.letGo()
}

func newTimerfd(clock uintptr) (*os.File, error) {
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clock, timerFlags, 0)
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(fd, "timerfd"), nil
}

// setTimerfd makes the timer ring once at when, in nanoseconds of its clock; 0 sets it off.
func setTimerfd(f *os.File, when int64, flags uintptr) (err error) {
	spec := struct{ interval, value syscall.Timespec }{value: syscall.NsecToTimespec(when)}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	controlled := raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, fd, timerAbstime|flags,
			uintptr(unsafe.Pointer(&spec)), 0, 0, 0); errno != 0 {
			err = errno
		}
	})
	if controlled != nil {
		return controlled
	}
	return err
}

// pollAlarm serves where there are no more descriptors: package time's timers stand still during suspend, so it also
// rings every few seconds for the Node to look at the clock.
type pollAlarm struct {
	clock *bootClock
	inner goAlarm
}

const pollEvery = 5 * time.Second

func newPollAlarm(c *bootClock) Alarm {
	a := &pollAlarm{clock: c}
	a.inner.c = make(chan struct{}, 1)
	a.inner.timer = time.AfterFunc(pollEvery, a.inner.ring)
	return a
}

func (a *pollAlarm) Set(at timers.Time) {
	a.inner.timer.Reset(min(pollEvery, max(0, at.Sub(a.clock.Now()))))
}

func (a *pollAlarm) C() <-chan struct{} { return a.inner.c }

func (a *pollAlarm) Close() {
	a.inner.timer.Stop()
	a.clock.letGo()
}
