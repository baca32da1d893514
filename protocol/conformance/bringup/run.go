package bringup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
)

// Format names the form of a Report's JSON.
const Format = "wgconform-bringup/1"

// A Report is what became of the questions: those up to the first wrong answer.
type Report struct {
	Format  string   `json:"format"`
	Target  string   `json:"target"`
	Version string   `json:"version,omitempty"`
	Total   int      `json:"total"` // questions there are
	Answers []Answer `json:"answers"`
	// Diagnosis is of the last answer, if that is wrong and the bytes were looked at.
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
}

// Answer is what became of one question.
type Answer struct {
	ID       string              `json:"question"`
	Title    string              `json:"title"`
	Rules    []string            `json:"rules"`
	Verdict  conformance.Verdict `json:"verdict"`
	Expected string              `json:"expected,omitempty"`
	Actual   string              `json:"actual,omitempty"`
	Reason   string              `json:"reason,omitempty"` // why it was not asked, or how it failed
	Result   conformance.Result  `json:"-"`                // all of it, with the trace
}

// Failed reports whether the last answer is wrong.
func (r *Report) Failed() bool {
	return len(r.Answers) > 0 && wrong(r.Answers[len(r.Answers)-1].Verdict)
}

func wrong(v conformance.Verdict) bool { return v == conformance.Fail || v == conformance.Warn }

// Options say how to ask.
type Options struct {
	Seed uint64
	Skip []string // globs of questions that are left out
	// Asked, if set, gets each answer as soon as it is there.
	Asked func(Answer)
}

// Run asks the questions in order, each of a subject of its own in virtual time, and stops at the first wrong answer.
// What the target cannot do is left out, with the reason. In real time a question whose answer is wrong is asked once
// more before that counts. An error means that the surroundings failed: nothing is said about the subject then.
func Run(ctx context.Context, f conformance.Factory, o Options) (*Report, error) {
	caps := f.Capabilities()
	report := &Report{Format: Format, Target: caps.Name, Version: caps.Version}
	for range Questions() {
		report.Total++
	}
	for q := range Questions() {
		if slices.ContainsFunc(o.Skip, func(glob string) bool { return conformance.Glob(glob, q.ID) }) {
			continue
		}
		var d *Diagnosis
		c := q.of(&d)
		c.Needs |= caps.Has & conformance.NeedLoad // then a cookie reply is taken for an answer, not for a disturbance
		result, err := ask(ctx, f, c, o.Seed)
		if err != nil {
			return report, fmt.Errorf("%s: %w", q.ID, err)
		}
		a := Answer{ID: q.ID, Title: q.Title, Rules: q.Rules, Verdict: result.Verdict, Expected: result.Expected,
			Actual: result.Actual, Reason: result.Reason, Result: result}
		if a.Verdict == conformance.Flaky { // a wrong answer that was none the second time is no first day's trouble
			a.Verdict, a.Title = conformance.Pass, a.Title+" (the second time)"
		}
		report.Answers = append(report.Answers, a)
		if o.Asked != nil {
			o.Asked(a)
		}
		if wrong(a.Verdict) {
			report.Diagnosis = d
			break
		}
	}
	if !slices.ContainsFunc(report.Answers, func(a Answer) bool { return a.Verdict != conformance.Unsupported }) {
		return report, errors.New("no question could be asked" + reasonOf(report.Answers))
	}
	return report, nil
}

// reasonOf is why the first of some answers is missing.
func reasonOf(answers []Answer) string {
	if len(answers) == 0 {
		return ": all are skipped"
	}
	return ": " + answers[0].Reason
}

// ask runs one question on the target.
func ask(ctx context.Context, f conformance.Factory, c conformance.Case, seed uint64,
) (r conformance.Result, err error) {
	err = errors.New("it could not be asked")
	for r = range conformance.Run(ctx, f, conformance.Options{Cases: []conformance.Case{c}, Seed: seed, Traces: true}) {
		err = nil
	}
	switch {
	case ctx.Err() != nil:
		return r, errors.New("interrupted")
	case err == nil && (r.Verdict == conformance.Broken || r.Verdict == conformance.Inconclusive):
		return r, errors.New(r.Reason)
	}
	return r, err
}
