package cookie

import (
	"math"
	"time"

	"github.com/purewire/purewire/timers"
)

// The last second is counted in eight buckets of 125 ms, the current one included: what is called "the last second"
// is between 875 ms and 1 s long, and memory does not depend on the rate.
const loadBuckets, loadBucket, loadHold = 8, int64(time.Second) / 8, time.Second

// Load decides whether a device is under load (DOS-01, which the paper leaves open): while at least an eighth of the
// handshake job slots are taken, or while more initiations with a valid mac1 came in the last second than a limit,
// and for one second after either was last true (DOS-02). Everything follows from the times given to it; nobody has
// to call it for the state to end.
type Load struct {
	busy      int    // jobs in flight from which on the device is under load
	perSecond uint64 // initiations in the last second that are still quiet
	counts    [loadBuckets]uint64
	total     uint64      // sum of counts
	slot      int64       // the current bucket; the one that starts at Time 0 is 0
	until     timers.Time // the hold after the condition was last seen true
}

// NewLoad returns a quiet Load for a pool of jobs handshake jobs and a limit of initiations per second. Fewer than
// eight jobs count as eight, since an eighth of a slot cannot be taken; a negative limit counts as none allowed.
func NewLoad(jobs, perSecond int) Load {
	return Load{busy: max(1, jobs/8), perSecond: uint64(max(0, perSecond)), slot: math.MinInt64, until: math.MinInt64}
}

// Initiation counts an initiation whose mac1 is valid, processed or not: load lasts as long as the demand.
func (l *Load) Initiation(now timers.Time) {
	l.advance(now)
	l.counts[l.slot&(loadBuckets-1)]++
	l.total++
}

// UnderLoad reports the load state at now, with inFlight handshake jobs not yet given back. Asking more often
// changes no answer that the initiations decide; a high inFlight is known only to those who ask during it.
func (l *Load) UnderLoad(now timers.Time, inFlight int) bool {
	l.advance(now)
	if inFlight >= l.busy || l.total > l.perSecond {
		l.until = now.Add(loadHold)
		return true
	}
	return now < l.until
}

// advance moves the window to now, bucket by bucket, so that the hold starts at the edge where the count fell to the
// limit and not at the time of the call that found out. No more than eight buckets can hold anything.
func (l *Load) advance(now timers.Time) {
	slot := int64(now) / loadBucket
	if int64(now)%loadBucket < 0 {
		slot-- // round down before zero as well, or two buckets would be one
	}
	for l.total > 0 && l.slot < slot {
		l.slot++
		if l.total > l.perSecond {
			l.until = max(l.until, timers.Time(l.slot*loadBucket).Add(loadHold))
		}
		oldest := &l.counts[l.slot&(loadBuckets-1)]
		l.total -= *oldest
		*oldest = 0
	}
	l.slot = max(l.slot, slot)
}
