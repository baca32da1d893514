package conformance

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// pending is a case without a verdict, and what its tries so far showed.
type pending struct {
	c              Case
	earlier        []Attempt
	fails, unclear int
}

// first runs a case for the first time and keeps it for later if that does not decide.
func (r *realRunner) first(c Case, how func(Case) (Result, bool)) {
	if r.ctx.Err() != nil {
		r.out <- notBegun(c)
		return
	}
	p := &pending{c: c}
	res, died := how(c)
	// A shared subject died of it or of one that ran beside it: it is none of its tries.
	blameless := died && c.Isolation == Shared
	if !r.judge(p, res, blameless) {
		return
	}
	if blameless && !r.caps.Single { // now, since these may be many, and long: the plan has room for them
		if !r.judge(p, r.spared(c, 2), false) {
			return
		}
	}
	r.mu.Lock()
	r.again = append(r.again, p)
	r.mu.Unlock()
}

// own is alone for the first try of a case that has an instance of its own anyway.
func (r *realRunner) own(c Case) (Result, bool) { return r.alone(c, 1) }

// judge takes in how a try ended, gives the result if it decides, and reports whether the case is to be run again. A
// failure is repeated once, what cannot be judged twice; a case that failed and then passed is flaky.
func (r *realRunner) judge(p *pending, res Result, blameless bool) (again bool) {
	res = cut(r.ctx, res)
	failed := res.Verdict == Fail || res.Verdict == Warn
	switch {
	case res.Verdict == NotRun:
		r.give(p, res)
		return false
	case blameless:
		res.Reason = cmp.Or(res.Reason, "the subject died while it ran")
	case failed && p.fails == 0:
		p.fails++
	case !failed && !decided(res) && p.unclear < 2:
		p.unclear++
	case res.Verdict == disturbed:
		res.Verdict = Inconclusive
		r.give(p, res)
		return false
	default:
		if p.fails > 0 && (res.Verdict == Pass || res.Verdict == Measured) {
			res.Verdict, res.Reason = Flaky, "failed, then passed alone: "+p.failure().Reason
		}
		r.give(p, res)
		return false
	}
	p.earlier = append(p.earlier,
		Attempt{Verdict: res.Verdict, Reason: res.Reason, Trace: res.Trace, Secrets: res.Secrets})
	r.o.repeats(p.c, len(p.earlier), res)
	return true
}

// failure is the try that failed.
func (p *pending) failure() Attempt {
	for _, a := range slices.Backward(p.earlier) {
		if a.Verdict == Fail || a.Verdict == Warn {
			return a
		}
	}
	return Attempt{}
}

func (r *realRunner) give(p *pending, res Result) {
	res.Earlier = p.earlier
	res.Attempts = len(p.earlier)
	if res.Verdict != NotRun || res.Took > 0 { // it was begun
		res.Attempts++
	}
	r.out <- res
}

// decided is true for what is not repeated.
func decided(r Result) bool {
	switch r.Verdict {
	case Fail, Warn, Inconclusive, disturbed:
		return false
	}
	return true
}

// patient is how long a case lasts of which most is waiting.
const patient = 30 * time.Second

// repeat runs again what has no verdict, each try on an instance of its own.
//
// First side by side. A failure: whether the machine had a part in it is judged by its heartbeat in the deciding
// window, not by how much else runs, and what company could do is to let a case fail once more that would have passed
// alone. That makes of a flaky case a failed one, and both count. What could not be judged too, a few at a time, or all
// at once if they mostly wait. What is left then runs with nothing beside it: what mostly waits, with what does too;
// the rest, and what needs the machine for itself, with nothing at all.
func (r *realRunner) repeat() {
	if !r.caps.Single {
		quiet := func(p *pending) bool { return p.c.Isolation == QuietMachine }
		waiting := r.pick(func(p *pending) bool { return !quiet(p) && (p.failed() || p.c.Lasts >= patient) })
		busy := r.pick(func(p *pending) bool { return !quiet(p) })
		var both sync.WaitGroup
		both.Go(func() { r.retry(waiting, cap(r.spare)) })
		both.Go(func() { r.retry(busy, r.slots()) })
		both.Wait()
	}
	for len(r.again) > 0 {
		r.retry(r.pick(func(p *pending) bool { return p.c.Isolation != QuietMachine && p.c.Lasts >= patient }), cap(r.spare))
		r.retry(r.pick(func(*pending) bool { return true }), 1)
	}
}

// failed is how the latest try ended.
func (p *pending) failed() bool {
	v := p.earlier[len(p.earlier)-1].Verdict
	return v != Inconclusive && v != disturbed
}

// pick takes some of what is to be repeated from the list.
func (r *realRunner) pick(takes func(*pending) bool) (some []*pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again = slices.DeleteFunc(r.again, func(p *pending) bool {
		if takes(p) {
			some = append(some, p)
			return true
		}
		return false
	})
	return some
}

// retry tries each once more, at most n at once, the longest first.
func (r *realRunner) retry(some []*pending, n int) {
	slices.SortStableFunc(some, func(a, b *pending) int { return int((b.c.Lasts - a.c.Lasts) / time.Millisecond) })
	each(some, n, func(p *pending) {
		if r.ctx.Err() != nil {
			r.out <- notRepeated(p.c, p.earlier)
			return
		}
		res, _ := r.alone(p.c, len(p.earlier)+1) // if it dies now it dies of this case
		if r.judge(p, res, false) {
			r.mu.Lock()
			r.again = append(r.again, p)
			r.mu.Unlock()
		}
	})
}
