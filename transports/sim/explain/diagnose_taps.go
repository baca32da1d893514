package explain

import (
	"fmt"
	"net/netip"
	"slices"
)

// lossRun is a time in which nothing of one side got from one tap to another.
type lossRun struct {
	side     int
	from, to int64
	lost     []*message
}

// runLength and runTime are what makes a row of lost messages an outage.
const (
	runLength = 3
	runTime   = 5 * second
)

// lostBetween compares what two taps on the way saw: what the nearer one to its sender saw and the other did not is
// lost
// between them.
func (a *analysis) lostBetween(t *tunnel) (runs []lossRun) {
	for first := range a.taps {
		for second := range a.taps {
			if first == second {
				continue
			}
			for side := range 2 {
				if t.ordered(first, second, side) {
					runs = append(runs, a.compareTaps(t, first, second, side)...)
				}
			}
		}
	}
	return runs
}

// ordered reports that messages of a side pass the first tap before the second.
func (t *tunnel) ordered(first, second, side int) bool {
	before, after := 0, 0
	for _, m := range t.messages {
		if m.from != side {
			continue
		}
		i := slices.IndexFunc(m.seen, func(s sighting) bool { return s.tap == first })
		k := slices.IndexFunc(m.seen, func(s sighting) bool { return s.tap == second })
		switch {
		case i < 0 || k < 0:
		case i < k:
			before++
		default:
			after++
		}
	}
	return before > after
}

// compareTaps looks at the time in which both taps were at work.
func (a *analysis) compareTaps(t *tunnel, first, second, side int) (runs []lossRun) {
	begin, end := a.active(t, second)
	var run, scattered []*message
	passed, maxPassed := 0, 0
	close := func() {
		if n := len(run); n >= runLength && run[n-1].at-run[0].at >= runTime {
			runs = append(runs, lossRun{side, run[0].at, run[n-1].at, run})
		} else {
			scattered = append(scattered, run...)
		}
		run = nil
	}
	for _, m := range t.messages {
		if m.from != side || m.at < begin || m.at > end || m.sightingAt(first) == nil || m.copyOf != nil {
			continue
		}
		if m.sightingAt(second) == nil {
			run = append(run, m)
			continue
		}
		passed++
		maxPassed = max(maxPassed, m.size)
		close()
	}
	close()
	if a.blackHole(t, side, maxPassed, runs, scattered) {
		return runs
	}
	for i := range runs {
		a.cutBetween(t, &runs[i], first, second)
	}
	if n := len(scattered); n > 0 && n*50 >= passed {
		f := Finding{Kind: "loss", Certainty: Certain, From: scattered[0].at, To: scattered[n-1].at, weight: 46}
		f.Title = fmt.Sprintf("%d messages of %s were lost between the taps (%s)", n, t.side(side),
			percent(uint64(n), uint64(n+passed)))
		f.Text = fmt.Sprintf("%s saw them, %s did not.", a.tapName(first), a.tapName(second))
		a.find(t, f, scattered...)
	}
	return runs
}

// active is the time between the first and the last message of the tunnel at a tap.
func (a *analysis) active(t *tunnel, tap int) (begin, end int64) {
	for _, m := range t.messages {
		if m.sightingAt(tap) != nil {
			if begin == 0 {
				begin = m.at
			}
			end = m.at
		}
	}
	return begin, end
}

// cutBetween tells a run, and whether the other direction worked meanwhile.
func (a *analysis) cutBetween(t *tunnel, r *lossRun, first, second int) {
	from, to := t.side(r.side), t.side(1-r.side)
	through := 0
	for _, m := range t.messages {
		if m.from != r.side && m.at >= r.from && m.at <= r.to && m.sightingAt(first) != nil && m.sightingAt(second) != nil {
			through++
		}
	}
	f := Finding{Kind: "replies-lost", Certainty: Certain, From: r.from, To: r.to, weight: 95}
	f.Title = fmt.Sprintf("what %s sends never reaches %s for %s: lost between the taps", from, to, seconds(r.to-r.from))
	f.Text = fmt.Sprintf("%d messages of %s in a row passed %s and never came to %s.", len(r.lost), from, a.tapName(first),
		a.tapName(second))
	if through > 0 {
		f.Text += fmt.Sprintf(" In the same time %d messages of %s went through: one direction was broken.", through, to)
	} else {
		f.Kind = "path-cut"
		f.Text += fmt.Sprintf(" Nothing of %s went through either.", to)
	}
	a.find(t, f, r.lost...)
}

// blackHole tells of a way on which everything over some size is lost, and nothing below it in between.
func (a *analysis) blackHole(t *tunnel, side, maxPassed int, runs []lossRun, scattered []*message) bool {
	all := slices.Clone(scattered)
	for _, r := range runs {
		all = append(all, r.lost...)
	}
	if len(all) < 3 || maxPassed == 0 {
		return false
	}
	least := all[0].size
	for _, m := range all {
		least = min(least, m.size)
	}
	if least <= maxPassed {
		return false
	}
	slices.SortStableFunc(all, func(x, y *message) int { return compareInt(x.at, y.at) })
	f := Finding{Kind: "mtu-black-hole", Certainty: Certain, From: all[0].at, To: all[len(all)-1].at, weight: 96}
	f.Title = fmt.Sprintf("MTU black hole: no large message of %s gets through", t.side(side))
	f.Text = fmt.Sprintf("All %d that were lost between the taps had %d bytes or more; none of up to %d bytes was lost.",
		len(all), least, maxPassed)
	f.Advice = fmt.Sprintf("Set MTU on both sides to %d or less, or find what drops large packets or ICMP on the way.",
		(maxPassed-minTransport)/16*16)
	a.find(t, f, all...)
	return true
}

// sizes tells of errors about packets that are too big, and of fragments that stay alone.
func (a *analysis) sizes(t *tunnel) {
	for side := range 2 {
		var refs []Ref
		var mtu, from, to int64
		for i := range a.icmp {
			u := &a.icmp[i]
			if !u.tooBig || !slices.Contains(t.ends[side].at, u.dst) {
				continue
			}
			if len(refs) == 0 {
				from = u.at
			}
			refs, mtu, to = append(refs, u.Ref), int64(u.mtu), u.at
		}
		if len(refs) > 0 {
			f := Finding{Kind: "mtu-black-hole", Certainty: Likely, From: from, To: to, weight: 77, Packets: refs}
			f.Title = fmt.Sprintf("packets to %s are too big for the way", t.side(side))
			f.Text = fmt.Sprintf("%d ICMP errors say so, the last with an MTU of %d. A WireGuard that does not act on them "+
				"goes on "+
				"sending what cannot arrive.", len(refs), mtu)
			f.Or = []string{"the sender splits them from then on (MSG-17)"}
			f.Advice = fmt.Sprintf("Set MTU to %d or less on both sides.", (mtu-80)/16*16)
			a.find(t, f)
		}
		a.halfFragments(t, side)
	}
}

// halfFragments finds packets of a side of which fragments are missing.
func (a *analysis) halfFragments(t *tunnel, side int) {
	var refs []Ref
	var from, to int64
	for _, s := range a.frags.order {
		if s.whole || a.end-s.at < second {
			continue
		}
		src, dst := s.first.src, s.first.dst
		match := slices.ContainsFunc(t.ends[side].at, func(e netip.AddrPort) bool { return s.hasTop && e.Addr() == src }) &&
			slices.ContainsFunc(t.ends[1-side].at, func(e netip.AddrPort) bool { return e.Addr() == dst })
		if !match {
			continue
		}
		if len(refs) == 0 {
			from = s.at
		}
		refs, to = append(refs, s.refs...), s.at
	}
	if len(refs) < 2 {
		return
	}
	f := Finding{Kind: "mtu-black-hole", Certainty: Likely, From: from, To: to, weight: 77, Packets: refs}
	f.Title = fmt.Sprintf("fragments of %s are lost: its large messages do not arrive", t.side(side))
	f.Text = fmt.Sprintf("%d fragments came whose other parts never did.", len(refs))
	f.Or = []string{"a firewall on the way drops fragments", "ordinary loss"}
	f.Advice = "A smaller MTU on the tunnel avoids fragments."
	a.find(t, f)
}
