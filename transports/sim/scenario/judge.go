package scenario

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// Judge watches a run for the expectations about it. Give Observe all its records and Verdicts its result.
type Judge struct {
	list []*judged
}

// judged is an expectation and what was seen for it.
type judged struct {
	*Expectation
	n         uint64        // counted
	first     time.Duration // the first that was counted
	who       string
	ways      []*way
	byEnds    map[ends]*way // looked up only
	delays    []time.Duration
	delivered uint64
	sent      uint64
}

type ends struct{ from, to string }

// way is one direction of traffic, from end to end.
type way struct {
	ends
	waiting         bool
	since, lastSent time.Duration
	firstSent       time.Duration
	firstBack       time.Duration // sim.NoTime: nothing has come
	longest         time.Duration
	longestAt       time.Duration
}

// NewJudge makes a judge for one run.
func NewJudge(list []Expectation) *Judge {
	j := &Judge{}
	for i := range list {
		j.list = append(j.list, &judged{Expectation: &list[i], byEnds: map[ends]*way{}})
	}
	return j
}

// Observe takes the next record.
func (j *Judge) Observe(r *sim.Record) {
	for _, e := range j.list {
		switch e.kind {
		case expectCount:
			e.count(r)
		case expectNoOutage, expectOutage, expectDelay, expectLoss, expectFirst:
			e.traffic(r)
		}
	}
}

func (e *judged) count(r *sim.Record) {
	if !e.window.has(atOf(r)) || !e.counted.sees(r) {
		return
	}
	if e.n++; e.n == 1 {
		e.first, e.who = atOf(r), r.Host
	}
}

// traffic takes what goes in at one end and comes out at the other; what happens at hosts between is not looked at.
func (e *judged) traffic(r *sim.Record) {
	in := &r.Inner
	sent := r.Kind == sim.KindInnerSent && r.Host == in.From || r.Kind == sim.KindInnerRefused && r.Host == in.From
	delivered := r.Kind == sim.KindInnerDelivered && r.Host == in.To
	if !sent && !delivered || in.From == "" || !e.scope.either(in.From, in.To, in.Flow) {
		return
	}
	born, now := time.Duration(in.Born), atOf(r)
	if e.window.has(born) {
		e.packet(sent, in)
	}
	k := ends{in.From, in.To}
	w := e.byEnds[k]
	if w == nil {
		w = &way{ends: k, firstSent: now, firstBack: sim.NoTime}
		e.byEnds[k] = w
		e.ways = append(e.ways, w)
	}
	switch {
	case sent:
		w.lastSent = now
		if !w.waiting {
			w.waiting, w.since = true, now
		}
	default:
		if w.firstBack == sim.NoTime {
			w.firstBack = now
		}
		w.over(e.window, now)
	}
}

func (e *judged) packet(sent bool, in *sim.Inner) {
	switch {
	case sent:
		e.sent++
	default:
		e.delivered++
		if e.kind == expectDelay && in.Kind != sim.InnerPong { // a pong carries the time of its ping
			e.delays = append(e.delays, in.Delay)
		}
	}
}

// over ends a wait: what of it lies in the window may be the longest outage.
func (w *way) over(v window, now time.Duration) {
	if lasted := v.overlap(w.since, now); w.waiting && lasted > w.longest {
		w.longest, w.longestAt = lasted, max(w.since, v.from)
	}
	w.waiting = false
}

// Verdicts judges, in the order of the expectations. A wait that no delivery ended lasts until the last packet was
// sent: afterwards nobody tried.
func (j *Judge) Verdicts(r *sim.Result) (list []sim.ExpectationResult) {
	for _, e := range j.list {
		ok, got := e.verdict(r)
		list = append(list, sim.ExpectationResult{Text: e.Text, Met: ok, Got: got})
	}
	return list
}

func (e *judged) verdict(r *sim.Result) (ok bool, got string) {
	switch e.kind {
	case expectCount:
		return e.counts()
	case expectNoOutage, expectOutage:
		return e.outage()
	case expectDelay:
		return e.delay()
	case expectLoss:
		return e.loss()
	case expectFirst:
		return e.firstPacket()
	case expectRecover:
		return e.recovered(r)
	case expectEffects:
		n := r.Effects[e.effect]
		return e.cmp.holds(cmp.Compare(n, e.limit)), fmt.Sprintf("%d", n)
	}
	return e.flows(r)
}

func (e *judged) counts() (bool, string) {
	got := fmt.Sprintf("%d", e.n)
	if e.n > 0 {
		got += fmt.Sprintf(", the first by %s at %s", e.who, placeOf(e.first))
	}
	return e.cmp.holds(cmp.Compare(e.n, e.limit)), got
}

const nothing = "nothing was sent, so there is nothing to judge"

func (e *judged) outage() (bool, string) {
	if e.sent == 0 {
		return false, nothing
	}
	var worst *way
	for _, w := range e.ways {
		if w.waiting {
			w.over(e.window, w.lastSent)
		}
		if worst == nil || w.longest > worst.longest {
			worst = w
		}
	}
	got := fmt.Sprintf("the longest: %s, %s from %s", Duration(worst.longest.Round(time.Millisecond)),
		label(worst.from, worst.to), placeOf(worst.longestAt))
	return (worst.longest > e.bound()) == (e.kind == expectOutage), got
}

func (e *judged) delay() (bool, string) {
	if len(e.delays) == 0 {
		return false, "nothing was delivered, so there is nothing to judge"
	}
	slices.Sort(e.delays)
	rank := (uint64(len(e.delays))*e.percent + 99) / 100
	d := e.delays[rank-1]
	return e.cmp.holds(cmp.Compare(d, e.bound())), Duration(d.Round(10 * time.Microsecond)).String()
}

func (e *judged) loss() (bool, string) {
	if e.sent == 0 {
		return false, nothing
	}
	lost := e.sent - min(e.sent, e.delivered)
	// lost/sent against num/den, without rounding
	hi, lo := bits.Mul64(lost, uint64(e.ratio.Den))
	hi2, lo2 := bits.Mul64(e.sent, uint64(e.ratio.Num))
	order := cmp.Or(cmp.Compare(hi, hi2), cmp.Compare(lo, lo2))
	return e.cmp.holds(order), fmt.Sprintf("%d of %d lost", lost, e.sent)
}

func (e *judged) firstPacket() (bool, string) {
	var worst time.Duration
	var at *way
	for _, w := range e.ways {
		took := sim.NoTime
		if w.firstBack != sim.NoTime {
			took = w.firstBack - w.firstSent
		}
		if took == sim.NoTime {
			return false, label(w.from, w.to) + ": nothing came"
		}
		if at == nil || took > worst {
			worst, at = took, w
		}
	}
	if at == nil {
		return false, nothing
	}
	return worst <= e.bound(), fmt.Sprintf("the longest: %s, %s", Duration(worst.Round(time.Millisecond)),
		label(at.from, at.to))
}
