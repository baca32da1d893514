package sim

import (
	"math/bits"
	"slices"
	"time"

	"github.com/purewire/purewire/timers"
)

// way measures one direction of a flow, or its round trips, with little memory: what is in WayResult, and counts of
// delays. It sees the sending and the delivery of each packet.
type way struct {
	sent, delivered     uint64
	sentBytes, gotBytes uint64
	payload             uint64
	firstSent, firstGot timers.Time
	lastSent, lastGot   timers.Time
	delays              spread
	jitter              time.Duration // times 16, as RFC 3550 A.8 keeps it
	transit             time.Duration // of the packet before
	waiting             bool
	since               timers.Time
	floor               time.Duration
	outages             []Outage
	outageCount         uint64
	outageTotal         time.Duration
}

func newWay(floor time.Duration) *way {
	return &way{firstSent: timers.Never, firstGot: timers.Never, lastSent: timers.Never, lastGot: timers.Never,
		floor: floor}
}

func (w *way) send(now timers.Time, size int) {
	if w.sent == 0 {
		w.firstSent = now
	}
	w.sent++
	w.sentBytes += uint64(size)
	w.lastSent = now
	if !w.waiting {
		w.waiting, w.since = true, now
	}
}

// deliver takes a packet that arrived. payload is what it brought to the application.
func (w *way) deliver(now timers.Time, delay time.Duration, size, payload int) {
	if w.delivered == 0 {
		w.firstGot = now
	} else {
		d := delay - w.transit
		w.jitter += max(d, -d) - (w.jitter+8)/16
	}
	w.transit = delay
	w.delivered++
	w.gotBytes += uint64(size)
	w.payload += uint64(payload)
	w.lastGot = now
	w.delays.add(delay)
	if w.waiting {
		w.over(now, false)
	}
	w.waiting = false
}

// over ends a wait, which was an outage if it was long.
func (w *way) over(now timers.Time, open bool) {
	length := now.Sub(w.since)
	if length < w.floor {
		return
	}
	w.outageCount++
	w.outageTotal += length
	w.outages = append(w.outages, Outage{time.Duration(w.since), time.Duration(now), open})
	if len(w.outages) > MaxOutages {
		shortest := 0
		for i, o := range w.outages {
			if s := w.outages[shortest]; o.End-o.Start < s.End-s.Start {
				shortest = i
			}
		}
		w.outages = slices.Delete(w.outages, shortest, shortest+1)
	}
}

func (w *way) result(now timers.Time) WayResult {
	if w == nil {
		return WayResult{FirstSent: NoTime, FirstAfter: NoTime}
	}
	c := *w
	c.outages = slices.Clone(w.outages)
	if c.waiting {
		c.over(now, true)
	}
	r := WayResult{Sent: c.sent, Delivered: c.delivered, SentBytes: c.sentBytes, DeliveredBytes: c.gotBytes,
		PayloadBytes: c.payload, FirstSent: NoTime, FirstAfter: NoTime, Delay: c.delays.percentiles(),
		Jitter: c.jitter / 16, Outages: c.outages, OutageCount: c.outageCount, OutageTotal: c.outageTotal}
	if c.sent > 0 {
		r.FirstSent = time.Duration(c.firstSent)
		end := c.lastSent
		if c.delivered > 0 {
			end = max(end, c.lastGot)
		}
		r.Goodput = perSecond(c.payload, end.Sub(c.firstSent))
	}
	if c.delivered > 0 {
		r.FirstAfter = c.firstGot.Sub(c.firstSent)
	}
	return r
}

// perSecond divides an amount by a time, and is zero if there is no time.
func perSecond(n uint64, d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	high, low := bits.Mul64(n, uint64(time.Second))
	if high >= uint64(d) {
		return 0 // it would not fit: more than 2^64 per second
	}
	q, _ := bits.Div64(high, low, uint64(d))
	return q
}

// spread counts durations in the classes of histogram, but keeps only those between the smallest and the greatest that
// came up, with small counts: a flow needs some tens of them.
type spread struct {
	first int32 // class of count[0]
	count []uint32
	n     uint64
	max   time.Duration
}

func (h *spread) add(d time.Duration) {
	c := int32(classOf(d))
	switch {
	case h.n == 0:
		h.first = c
		h.count = append(h.count, 0)
	case c < h.first:
		h.count = slices.Insert(h.count, 0, make([]uint32, h.first-c)...)
		h.first = c
	}
	for int(c-h.first) >= len(h.count) {
		h.count = append(h.count, 0)
	}
	h.count[c-h.first]++
	h.n++
	h.max = max(h.max, d)
}

// percentile is as that of histogram.
func (h *spread) percentile(p uint64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank, seen := (h.n*p+99)/100, uint64(0)
	for i, n := range h.count {
		if seen += uint64(n); seen >= rank {
			return min(topOf(int(h.first)+i), h.max)
		}
	}
	return h.max
}

func (h *spread) percentiles() Delays {
	return Delays{h.percentile(50), h.percentile(90), h.percentile(99), h.max}
}
