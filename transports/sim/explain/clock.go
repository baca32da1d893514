package explain

import (
	"fmt"
	"slices"
)

// Clock is what is known of one tap's clock against the first tap's.
type Clock struct {
	Tap       string `json:"tap"`
	Offset    int64  `json:"offset_ns"`      // of its clock: positive is fast
	Within    int64  `json:"uncertainty_ns"` // either way
	Messages  int    `json:"messages"`       // seen at both
	Corrected bool   `json:"corrected"`      // times of this tap were moved by the offset
	Text      string `json:"text"`
}

// compareClocks estimates the clock of every tap from the messages that it shares with the first, or with one that was
// compared before, and corrects the times. A datagram seen at both took some time from one to the other: in one
// direction
// that time adds to the offset, in the other it takes away from it, and halfway between the quickest of each is the
// offset, if the quickest take equally long. It cannot be off by more than half the round trip in any case.
func (c *collector) compareClocks(list []*message) (clocks []Clock) {
	done := []int{0}
	for len(done) < len(c.taps) {
		progress := false
		for tap := range c.taps {
			if slices.Contains(done, tap) {
				continue
			}
			for _, base := range done {
				if clock, ok := c.compare(list, base, tap); ok {
					clocks = append(clocks, clock)
					done, progress = append(done, tap), true
					break
				}
			}
		}
		if !progress {
			break
		}
	}
	for tap := range c.taps {
		// Interfaces of one file are of one machine, mostly: nothing to say.
		if !slices.Contains(done, tap) && c.taps[tap].file != c.taps[0].file {
			clocks = append(clocks, Clock{Tap: c.tapName(tap),
				Text: "shares no message with the others: its clock cannot be compared and is taken as right"})
		}
	}
	return clocks
}

// compare takes the differences apart by direction. ends orders them, so that all of one flow's go one way.
func (c *collector) compare(list []*message, base, tap int) (clock Clock, ok bool) {
	var delta [2][]int64
	for _, m := range list {
		a, b := m.sightingAt(base), m.sightingAt(tap)
		if a == nil || b == nil {
			continue
		}
		dir := 0
		if b.dst.Compare(b.src) < 0 {
			dir = 1
		}
		delta[dir] = append(delta[dir], b.at-(a.at+c.taps[base].offset))
	}
	if len(delta[0])+len(delta[1]) == 0 {
		return clock, false
	}
	clock = Clock{Tap: c.tapName(tap), Messages: len(delta[0]) + len(delta[1])}
	for i := range delta {
		slices.Sort(delta[i])
	}
	if len(delta[0]) == 0 || len(delta[1]) == 0 {
		all := append(delta[0], delta[1]...)
		clock.Offset = all[0]
		clock.Text = fmt.Sprintf("%d messages of one direction only were seen at both: %s fast, of which an unknown part "+
			"is the way between; not corrected", clock.Messages, seconds(clock.Offset))
		return clock, true
	}
	slow, fast := delta[0], delta[1] // base to tap: the time on the way adds; tap to base
	if slow[len(slow)/2] < fast[len(fast)/2] {
		slow, fast = fast, slow
	}
	out, back := slow[0], fast[len(fast)-1]
	clock.Offset, clock.Within = (out+back)/2, max(out-back, back-out)/2
	if abs(clock.Offset) <= clock.Within {
		clock.Text = fmt.Sprintf("agrees with the first within %s (%d messages seen at both)", seconds(clock.Within),
			clock.Messages)
		return clock, true
	}
	clock.Corrected = true
	c.taps[tap].offset = -clock.Offset
	clock.Text = fmt.Sprintf("%s against the first, give or take %s (%d messages seen at both); corrected",
		signed(clock.Offset), seconds(clock.Within), clock.Messages)
	return clock, true
}

// order applies the corrections and sorts messages, and the sightings of each, by time.
func (c *collector) order(list []*message) {
	for _, m := range list {
		slices.SortStableFunc(m.seen, func(a, b sighting) int {
			return compareInt(a.at+c.taps[a.tap].offset, b.at+c.taps[b.tap].offset)
		})
		m.at = m.seen[0].at + c.taps[m.seen[0].tap].offset
	}
	slices.SortStableFunc(list, func(a, b *message) int { return compareInt(a.at, b.at) })
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func abs(n int64) int64 { return max(n, -n) }

// seconds prints a time span with a precision that suits it.
func seconds(ns int64) string {
	switch a := abs(ns); {
	case a < 1e6:
		return fmt.Sprintf("%d µs", ns/1e3)
	case a < 1e9:
		return fmt.Sprintf("%d.%d ms", ns/1e6, abs(ns)/1e5%10)
	default:
		sign := ""
		if ns < 0 {
			sign = "-"
		}
		return fmt.Sprintf("%s%d.%d s", sign, abs(ns)/1e9, abs(ns)/1e8%10)
	}
}

func signed(ns int64) string {
	if ns >= 0 {
		return "fast by " + seconds(ns)
	}
	return "slow by " + seconds(-ns)
}

func (c *captures) tapName(i int) string {
	t := &c.taps[i]
	s := fmt.Sprintf("tap %d (file %d", i+1, t.file)
	if t.name != "" {
		s += ", " + t.name
	} else {
		s += fmt.Sprintf(", interface %d", t.iface)
	}
	if t.below != 0 {
		s += fmt.Sprintf(", link %d", t.below)
	}
	return s + ")"
}
