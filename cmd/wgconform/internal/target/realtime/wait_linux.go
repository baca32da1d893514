package realtime

import "time"

// The heart of the suite gets a core soon, because it needs so little of it. An implementation that does curves may
// wait for one while the heart beats: so its driver is asked how long its threads waited.

const (
	keptWaits  = 4096
	waitedOver = int64(2 * time.Second) // before the end of a time: what was waited earlier made nothing late
)

// wait is how long the implementation's threads had waited for a core, all together, at a time on BOOTTIME.
type wait struct {
	at  int64
	sum time.Duration
}

// mark remembers how long the implementation has waited so far.
func (s *Subject) mark() {
	s.waits = latest(append(s.waits, wait{boottime(), s.driver.Waited()}), keptWaits)
}

// waitedSince is how long the implementation waited for a core from a time, or somewhat before it, until now.
func (s *Subject) waitedSince(from int64) time.Duration {
	for i := len(s.waits) - 1; i >= 0; i-- {
		if s.waits[i].at <= from || i == 0 {
			return max(s.driver.Waited()-s.waits[i].sum, 0) // a thread that ended takes its share with it
		}
	}
	return 0
}
