package transports

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// goClock is the clock of package time: portable, and the virtual one in a testing/synctest bubble. Whether it runs
// during suspend is up to the system (it does not on Linux).
type goClock struct{ start time.Time }

// GoClock gives a Clock on package time, whose Now starts at 0. It cannot tell when the wall clock jumps.
func GoClock() Clock { return goClock{time.Now()} }

func (c goClock) Now() timers.Time       { return timers.Time(time.Since(c.start)) }
func (c goClock) Wall() time.Time        { return time.Now().Round(0) }
func (c goClock) Jumps() <-chan struct{} { return nil }

func (c goClock) NewAlarm() Alarm {
	a := &goAlarm{clock: c, c: make(chan struct{}, 1)}
	a.timer = time.AfterFunc(1<<62, a.ring)
	a.timer.Stop()
	return a
}

type goAlarm struct {
	clock goClock
	timer *time.Timer
	c     chan struct{}
}

func (a *goAlarm) ring() {
	select {
	case a.c <- struct{}{}:
	default: // the one before was not taken yet: it serves for both
	}
}

func (a *goAlarm) Set(at timers.Time) {
	if at == timers.Never {
		a.timer.Stop()
		return
	}
	a.timer.Reset(max(0, at.Sub(a.clock.Now())))
}

func (a *goAlarm) C() <-chan struct{} { return a.c }
func (a *goAlarm) Close()             { a.timer.Stop() }
