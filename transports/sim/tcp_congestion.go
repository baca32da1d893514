package sim

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// window is the congestion window of a sender, in bytes.
type window struct {
	kind           Congestion
	mss            int64
	cwnd, ssthresh int64
	acked          int64 // bytes acknowledged that have not made the window larger yet
	cubic          cubic
}

// firstWindow is IW of RFC 6928 (1).
func firstWindow(mss int64) int64 { return min(10*mss, max(2*mss, 14600)) }

func newWindow(kind Congestion, mss int64) window {
	return window{kind: kind, mss: mss, cwnd: firstWindow(mss), ssthresh: 1 << 40}
}

// grow takes an acknowledgement of new data.
func (w *window) grow(now timers.Time, acked int64, srtt time.Duration) {
	switch {
	case w.cwnd < w.ssthresh:
		w.cwnd += min(acked, 2*w.mss) // RFC 3465 with L = 2, which RFC 5681 §3.1 (2) allows
	case w.kind == CongestionCUBIC:
		w.growCubic(now, acked, srtt)
	default:
		// RFC 5681 (3) in whole bytes: one segment per window acknowledged.
		w.acked += acked
		if w.acked >= w.cwnd {
			w.acked -= w.cwnd
			w.cwnd += w.mss
		}
	}
}

// reduce takes the loss of a segment; flight is what was not acknowledged at that moment.
func (w *window) reduce(flight int64) {
	if w.kind == CongestionCUBIC {
		w.cubic.lose(w)
		w.ssthresh = max(min(flight, w.cwnd)*cubicBeta/10, 2*w.mss)
	} else {
		w.ssthresh = max(flight/2, 2*w.mss) // RFC 5681 (4)
	}
	w.cwnd, w.acked = w.ssthresh, 0
}

// collapse takes an expiry of the timer. Only the first in a row says how much the path can take.
func (w *window) collapse(flight int64, first bool) {
	if first {
		w.reduce(flight)
	}
	w.cwnd, w.acked = w.mss, 0
	w.cubic.started = false
}

// cubic is the state of RFC 9438, with times in milliseconds and the constants C = 0.4 and β = 0.7 as fractions.
type cubic struct {
	started  bool
	epoch    timers.Time
	top      int64 // W_max
	prior    int64 // cwnd_prior
	k        int64 // K
	friendly int64 // W_est, in bytes
	owed     int64 // bytes acknowledged towards the next byte of friendly, times its slope
}

const cubicBeta = 7 // tenths

// lose remembers where the loss was (§4.6), and a lower place if the flow had to give way already (§4.7).
func (c *cubic) lose(w *window) {
	c.prior = w.cwnd
	if w.cwnd < c.top {
		c.top = w.cwnd * (10 + cubicBeta) / 20
	} else {
		c.top = w.cwnd
	}
	c.started = false
}

func (w *window) growCubic(now timers.Time, acked int64, srtt time.Duration) {
	c := &w.cubic
	if !c.started {
		c.started, c.epoch, c.friendly, c.owed = true, now, w.cwnd, 0
		c.top = max(c.top, w.cwnd)
		c.k = cubeRoot((c.top - w.cwnd) * 2_500_000 / w.mss * 1000) // ms³: (W_max−cwnd)/C, §4.2
	}
	// W_est grows by α segments per window (§4.3): α = 3(1−β)/(1+β) = 9/17 until it is where the loss was, then 1.
	c.owed += acked * w.mss
	per := w.cwnd
	if c.friendly < c.prior {
		per = w.cwnd * 17 / 9
	}
	c.friendly += c.owed / per
	c.owed %= per
	target := c.at(now.Sub(c.epoch)+srtt, w.mss)
	if at := c.at(now.Sub(c.epoch), w.mss); at < c.friendly {
		w.cwnd = max(w.cwnd, c.friendly)
		return
	}
	target = min(max(target, w.cwnd), w.cwnd*3/2) // §4.2
	w.acked += acked * (target - w.cwnd)
	w.cwnd, w.acked = w.cwnd+w.acked/w.cwnd, w.acked%w.cwnd
}

// at is W_cubic after a time, in bytes: C·(t−K)³ + W_max (§4.2).
func (c *cubic) at(t time.Duration, mss int64) int64 {
	d := min(max(t.Milliseconds()-c.k, -100_000), 100_000) // so that the cube fits
	return c.top + d*d*d/1_000_000*4*mss/10_000
}

// cubeRoot gives the greatest integer whose cube is not above n.
func cubeRoot(n int64) int64 {
	low, high := int64(0), int64(2_000_000)
	for low < high {
		mid := (low + high + 1) / 2
		if mid*mid*mid <= n {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}
