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
	if t == Never {
		return Never
	}
	return Time(saturate(int64(t), int64(d), int64(t)+int64(d)))
}

// Sub returns t−u, held at the ends of the range instead of wrapping.
func (t Time) Sub(u Time) time.Duration {
	if u == math.MinInt64 { // its negation does not exist; one step less far back does not matter here
		u++
	}
	return time.Duration(saturate(int64(t), -int64(u), int64(t)-int64(u)))
}

// saturate returns sum, the wrapped value of a+b, unless it overflowed: then the end of the range it left at. Only
// two terms of one sign can overflow, and then the sum has the other sign.
func saturate(a, b, sum int64) int64 {
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}
