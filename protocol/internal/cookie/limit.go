package cookie

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// rate is a token bucket's shape. A bucket itself is one instant, the time at which it is full again: taking a token
// moves it interval later, and a token is there while it is no more than slack ahead of now. Integers alone, exact,
// and a bucket that is full is the same as one never used.
type rate struct {
	interval time.Duration // between two tokens; 0: there are never any
	slack    time.Duration // (burst-1) intervals
}

// newRate returns the shape for perSecond tokens a second, at most burst at once. An interval that is no whole number
// of nanoseconds is rounded up. No tokens per second means none at all; a burst below one means one.
func newRate(perSecond, burst int) rate {
	const most = int(time.Second)
	if perSecond <= 0 {
		return rate{}
	}
	perSecond, burst = min(perSecond, most), min(max(burst, 1), most)
	interval := time.Duration((most + perSecond - 1) / perSecond)
	return rate{interval: interval, slack: time.Duration(burst-1) * interval}
}

// take takes a token out of the bucket that is full again at *full, if there is one.
func (r rate) take(full *timers.Time, now timers.Time) bool {
	next := max(*full, now)
	if r.interval == 0 || next.Sub(now) > r.slack {
		return false
	}
	*full = next.Add(r.interval)
	return true
}

// Budget is one token bucket for the whole device: what all cookie replies together may cost.
type Budget struct {
	rate rate
	full timers.Time
}

// NewBudget returns a full bucket of burst tokens that gains perSecond tokens a second.
func NewBudget(perSecond, burst int) Budget {
	return Budget{rate: newRate(perSecond, burst), full: math.MinInt64}
}

// Take takes a token, or reports that there is none.
func (b *Budget) Take(now timers.Time) bool { return b.rate.take(&b.full, now) }

// The table of Sources: 1,024 addresses at once, 16 KiB.
const sourceSets, sourceWays = 128, 8

// Sources limits each source address by its own token bucket (DOS-03). The table has a fixed size and no list of
// anything: an address is found by a MAC under a secret seed, so that an attacker can neither aim at the set of
// somebody else nor guess two addresses that count as one (SEC-07).
//
// An entry is live until its bucket is full, after which it holds no information and its place is free, without any
// collection to run (DOS-09). With a burst of at most one second's tokens, which NewSources sees to, that is within
// one second of the address's last accepted message. When all ways of a set are live a newcomer to it is refused.
type Sources struct {
	rate  rate
	table []source // sourceSets × sourceWays, made by the first Allow and never resized
}

// source is the bucket of one address. An entry never used is one that was full since the beginning of time.
type source struct {
	tag  uint64 // of the address: 64 bits of its MAC other than those that choose the set
	full timers.Time
}

// NewSources returns an empty table whose buckets gain perSecond tokens a second and hold burst, at most perSecond.
func NewSources(perSecond, burst int) Sources {
	return Sources{rate: newRate(perSecond, min(burst, perSecond))}
}

// Clone gives a copy that shares nothing with s.
func (s Sources) Clone() Sources { return Sources{s.rate, slices.Clone(s.table)} }

// Allow takes a token of src, or reports that there is none; the message is then dropped in silence (DOS-04). "IPv6
// sources share a bucket per /64", IPv4 ones have their own (DOS-03). The seed is 32 random bytes, the same in every
// call. The first call of all makes the table, whoever src is; no other allocates.
func (s *Sources) Allow(h *Hasher, seed *[32]byte, src netip.Addr, now timers.Time) bool {
	if s.table == nil {
		s.table = slices.Repeat([]source{{full: math.MinInt64}}, sourceSets*sourceWays)
	}
	set, tag := place(h, seed, src)
	ways := s.table[set*sourceWays : (set+1)*sourceWays]
	entry := -1
	for i := range ways {
		live := ways[i].full > now
		if live && ways[i].tag == tag || !live && entry < 0 { // its own place, or else the first free one
			entry = i
		}
	}
	if entry < 0 {
		return false
	}
	ways[entry].tag = tag
	return s.rate.take(&ways[entry].full, now)
}

// place returns the set and the tag of an address. The two families cannot meet, as their inputs differ in length.
func place(h *Hasher, seed *[32]byte, src netip.Addr) (set int, tag uint64) {
	input := appendAddr(h.source[:0], src)
	var mac [wire.MACSize]byte
	h.MAC(&mac, seed[:], input[:min(len(input), 8)])
	return int(mac[8] % sourceSets), binary.LittleEndian.Uint64(mac[:])
}
