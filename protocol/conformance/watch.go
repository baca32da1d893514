package conformance

import (
	"context"
	"fmt"
	"time"
)

// Event is something that happens to a case before it has a result: a try of it begins, or has ended without deciding.
type Event struct {
	Case  string
	Try   int           // the how-manyth, from 1
	Lasts time.Duration // of the subject's time, at most
	// Verdict is how the try ended that is to be repeated; empty: a try begins.
	Verdict Verdict
	Reason  string
}

func (o *Options) begins(c Case, try int) {
	if o.Watch != nil {
		o.Watch(Event{Case: c.ID, Try: try, Lasts: c.Lasts})
	}
}

func (o *Options) repeats(c Case, try int, r Result) {
	if o.Watch != nil {
		o.Watch(Event{Case: c.ID, Try: try, Lasts: c.Lasts, Verdict: r.Verdict, Reason: r.Reason})
	}
}

const runEnded = "the run was ended"

// notBegun is the result of a case that an ended run did not get to.
func notBegun(c Case) Result {
	r := unsupported(c, "not begun when "+runEnded)
	r.Verdict = NotRun
	return r
}

// notRepeated is the result of one that was still to be repeated: no verdict, since a failure is one only the second
// time.
func notRepeated(c Case, earlier []Attempt) Result {
	last := earlier[len(earlier)-1]
	r := unsupported(c, fmt.Sprintf("%s, and not repeated when %s: %s", last.Verdict, runEnded, last.Reason))
	r.Verdict, r.Attempts, r.Earlier = NotRun, len(earlier), earlier
	return r
}

// cut turns what came of a case that was still running when the run was ended into no verdict. What it found by then
// stands, unless it blames the subject: that may have been ended with the run.
func cut(ctx context.Context, r Result) Result {
	if ctx.Err() == nil {
		return r
	}
	switch r.Verdict {
	case Pass, Measured, Unsupported, NotRun:
		return r
	}
	why := fmt.Sprintf("running for %v when %s", r.Took.Round(100*time.Millisecond), runEnded)
	if r.Reason != runEnded {
		why += fmt.Sprintf(" (%s: %s)", r.Verdict, r.Reason)
	}
	r.Verdict, r.Reason, r.Expected, r.Actual = NotRun, why, "", ""
	return r
}
