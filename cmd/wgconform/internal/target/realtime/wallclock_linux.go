package realtime

import "time"

// Boottime is the present time of the clock that the times of all subjects count on, in nanoseconds.
func Boottime() int64 { return boottime() }

// Stalled is the longest time between two times of Boottime for which the machine did not let the heart beat.
func (h *Heart) Stalled(from, until int64) time.Duration { return h.stalled(from, until) }

// Differences bounds what has to be added to the kernel's time stamps of packets that came after a time of Boottime to
// have times of Boottime.
func (h *Heart) Differences(since int64) (low, high int64) { return h.around(since) }
