package conformance

import (
	"slices"
	"time"
)

// How cases share a machine in real time.
const (
	sharedSlots = 48 // cases at once on the shared instance
	ownSlots    = 4  // instances at once of cases that have one to themselves
	spareSlots  = 40 // and of those that share one but cannot, and of repetitions: most of them wait for a timer
	// startTime is what the start of an instance is reckoned with, and listenTime what the first one listens besides.
	startTime  = 300 * time.Millisecond
	listenTime = 5 * time.Second
	// paceTime is between two initiations on a shared instance: 40 a second, below what any implementation takes for a
	// flood.
	paceTime = 25 * time.Millisecond
)

// Step is one case in a plan.
type Step struct {
	Case       Case
	Lane       string // "shared 7", "own 2", "quiet"
	Start, End time.Duration
}

// Plan is how a run in real time is laid out, if nothing has to be repeated.
type Plan struct {
	Steps []Step // by Start
	End   time.Duration
}

// Plan lays out a run: long cases first, those that share an instance side by side, those with one of their own four
// at a time beside them, and when all windows are closed the ones that need the machine for themselves. In virtual
// time there is nothing to lay out and the plan is empty.
func (o Options) Plan(c Capabilities) (p Plan) {
	if c.Virtual {
		return p
	}
	shared, own, quiet := split(supported(o.Selected(c), c))
	p.lanes("shared ", shared, c.Given.lanes(sharedSlots), listenTime+startTime, 0)
	if c.Single {
		p.lanes("own ", own, 1, max(p.End, listenTime), startTime)
	} else {
		p.lanes("own ", own, ownSlots, listenTime, startTime)
	}
	at := max(p.End, listenTime)
	for _, k := range quiet {
		p.add(Step{k, "quiet", at, at + startTime + k.Lasts})
		at = p.End
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(a.Start - b.Start) })
	return p
}

func (p *Plan) add(s Step) {
	p.Steps = append(p.Steps, s)
	p.End = max(p.End, s.End)
}

// lanes gives each case, in order, to the lane that is free first.
func (p *Plan) lanes(name string, cases []Case, n int, from, each time.Duration) {
	free := make([]time.Duration, n)
	for i := range free {
		free[i] = from
	}
	for _, k := range cases {
		first := 0
		for i, f := range free {
			if f < free[first] {
				first = i
			}
		}
		end := free[first] + each + k.Lasts
		p.add(Step{k, name + string(rune('0'+(first+1)/10)) + string(rune('0'+(first+1)%10)), free[first], end})
		free[first] = end
	}
}

// split sorts cases by what they need of a machine, the longest first.
func split(cases []Case) (shared, own, quiet []Case) {
	for _, c := range cases {
		switch c.Isolation {
		case Shared:
			shared = append(shared, c)
		case OwnInstance:
			own = append(own, c)
		default:
			quiet = append(quiet, c)
		}
	}
	for _, l := range [][]Case{shared, own, quiet} {
		slices.SortStableFunc(l, func(a, b Case) int { return int((b.Lasts - a.Lasts) / time.Millisecond) })
	}
	return shared, own, quiet
}

func supported(cases []Case, c Capabilities) (can []Case) {
	for _, k := range cases {
		if lacking(k, c) == "" {
			can = append(can, k)
		}
	}
	return can
}
