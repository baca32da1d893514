package timers

import (
	"math"
	"time"
)

// Time is a moment on a monotonic clock, in nanoseconds since an arbitrary start. The clock should run during
// suspend, so that a session which slept past its life is dead on waking (LIFE-06). Wall time never enters here
// (LIFE-07).
type Time int64

// Never is the deadline of a timer that is not armed. As the greatest Time it compares after every other.
const Never Time = math.MaxInt64

// Add returns t+d, held at the ends of the range instead of wrapping. Never stays Never whatever is added to it.
func (t Time) Add(d time.Duration) Time {
	sum := t + Time(d)
	switch {
	case t == Never || d > 0 && sum < t:
		return Never
	case d < 0 && sum > t:
		return math.MinInt64
	}
	return sum
}

// Sub returns t−u, held at the ends of the range instead of wrapping.
func (t Time) Sub(u Time) time.Duration {
	d := t - u
	switch {
	case t > u && d < 0:
		return math.MaxInt64
	case t < u && d > 0:
		return math.MinInt64
	}
	return time.Duration(d)
}
