package realtime

import (
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Three clocks meet here, all in nanoseconds. The kernel stamps packets with CLOCK_REALTIME, which can be stepped and
// slewed. The subject's time is CLOCK_BOOTTIME, as LIFE-06 wants ages to count suspension. So the difference of the
// two is sampled all the time, and a stamp is converted with every difference seen around it: an adjustment makes the
// interval wider instead of wrong.

const (
	beat       = time.Millisecond      // of the heart
	stall      = 10 * time.Millisecond // a pause that is kept
	sampled    = 20                    // beats from one sample of the difference to the next
	keptStalls = 4096
	keptSample = 4096 // 80 s
)

// nanos reads a clock. It cannot fail for the clocks of this package.
func nanos(clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		panic("clock_gettime: " + err.Error())
	}
	return ts.Nano()
}

func boottime() int64 { return nanos(unix.CLOCK_BOOTTIME) }

// A difference is between what BOOTTIME minus REALTIME lay at a time.
type difference struct{ at, low, high int64 }

// sample reads the difference. A reading that was interrupted between the clocks is wide, so the best of a few counts.
func sample() difference {
	best := difference{high: math.MaxInt64}
	for range 5 {
		before := boottime()
		wall := nanos(unix.CLOCK_REALTIME)
		after := boottime()
		if after-before < best.high-best.low || best.at == 0 {
			best = difference{after, before - wall, after - wall}
		}
		if after-before < 2000 {
			break
		}
	}
	return best
}

// A span of time.
type span struct{ from, until int64 }

// A Heart beats every millisecond: when it did not, the machine was too busy to be trusted with a measurement. It
// also samples the clocks. All its methods may be called from any goroutine. One is enough for all subjects.
type Heart struct {
	stop, stopped chan struct{}

	mu     sync.Mutex
	last   int64  // beat
	pauses []span // the latest, in order
	seen   []difference
}

// NewHeart makes a heart that beats until Close.
func NewHeart() *Heart {
	h := &Heart{stop: make(chan struct{}), stopped: make(chan struct{}), last: boottime(), seen: []difference{sample()}}
	go h.run()
	return h
}

func (h *Heart) run() {
	defer close(h.stopped)
	// A thread of its own: a goroutine that waits for a free one would measure the Go scheduler only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := unix.NsecToTimespec(beat.Nanoseconds())
	for n := 0; ; n++ {
		select {
		case <-h.stop:
			return
		default:
		}
		_ = unix.Nanosleep(&pause, nil) // one that is cut short by a signal is a beat too
		now := boottime()
		var d difference
		if n%sampled == 0 {
			d = sample()
		}
		h.mu.Lock()
		if now-h.last > int64(stall) {
			h.pauses = latest(append(h.pauses, span{h.last, now}), keptStalls)
		}
		h.last = now
		if d.at != 0 {
			h.seen = latest(append(h.seen, d), keptSample)
		}
		h.mu.Unlock()
	}
}

// latest drops the older half of what is longer than the limit allows.
func latest[T any](s []T, limit int) []T {
	if len(s) > limit {
		s = s[:copy(s, s[len(s)-limit/2:])]
	}
	return s
}

// Close stops it.
func (h *Heart) Close() {
	close(h.stop)
	<-h.stopped
}

// stalled is the longest pause that overlaps the time from from until until.
func (h *Heart) stalled(from, until int64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var longest int64
	consider := func(p span) {
		if p.from < until && p.until > from {
			longest = max(longest, p.until-p.from)
		}
	}
	if now := boottime(); now-h.last > int64(stall) { // it stands still just now
		consider(span{h.last, now})
	}
	for _, p := range h.pauses {
		consider(p)
	}
	return time.Duration(longest)
}

// around gives the bounds of all differences seen from the last sample before a time until now.
func (h *Heart) around(since int64) (low, high int64) {
	d := sample()
	low, high = d.low, d.high
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.seen) - 1; i >= 0; i-- {
		low, high = min(low, h.seen[i].low), max(high, h.seen[i].high)
		if h.seen[i].at < since {
			break
		}
	}
	return low, high
}
