package report

import (
	"strings"
	"unicode"

	"github.com/purewire/purewire/protocol/conformance"
)

// Counts says how many results have which verdict.
type Counts struct {
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Warn         int `json:"warn"`
	Flaky        int `json:"flaky"`
	Unsupported  int `json:"unsupported"`
	Inconclusive int `json:"inconclusive"`
	Measured     int `json:"measured"`
	Error        int `json:"error"`
	NotRun       int `json:"not_run,omitempty"`
}

// Verdicts lists all verdicts, the worst first.
func Verdicts() []conformance.Verdict {
	return []conformance.Verdict{conformance.Broken, conformance.Fail, conformance.Flaky, conformance.Warn,
		conformance.Inconclusive, conformance.NotRun, conformance.Unsupported, conformance.Measured, conformance.Pass}
}

// Count counts verdicts.
func Count(results []conformance.Result) (c Counts) {
	for i := range results {
		if n := c.of(results[i].Verdict); n != nil {
			*n++
		}
	}
	return c
}

// Of is the number of results with the verdict.
func (c Counts) Of(v conformance.Verdict) int {
	if n := c.of(v); n != nil {
		return *n
	}
	return 0
}

func (c *Counts) of(v conformance.Verdict) *int {
	switch v {
	case conformance.Pass:
		return &c.Pass
	case conformance.Fail:
		return &c.Fail
	case conformance.Warn:
		return &c.Warn
	case conformance.Flaky:
		return &c.Flaky
	case conformance.Unsupported:
		return &c.Unsupported
	case conformance.Inconclusive:
		return &c.Inconclusive
	case conformance.Measured:
		return &c.Measured
	case conformance.Broken:
		return &c.Error
	case conformance.NotRun:
		return &c.NotRun
	}
	return nil
}

// Total is the number of results.
func (c Counts) Total() int {
	return c.Pass + c.Fail + c.Warn + c.Flaky + c.Unsupported + c.Inconclusive + c.Measured + c.Error + c.NotRun
}

// Failed reports whether the result says that the subject broke a rule: a MUST rule, or, if strict, a SHOULD rule
// too. A flaky result counts as what its rule is: a failure of a MUST rule that comes and goes is one.
func Failed(r *conformance.Result, strict bool) bool {
	switch r.Verdict {
	case conformance.Fail:
		return true
	case conformance.Warn:
		return strict
	case conformance.Flaky:
		return strict || r.Level == conformance.Must
	}
	return false
}

// Noteworthy reports whether people want to see the result one by one.
func Noteworthy(v conformance.Verdict) bool {
	switch v {
	case conformance.Fail, conformance.Warn, conformance.Flaky, conformance.Inconclusive, conformance.Broken:
		return true
	}
	return false
}

// skipped reports whether a verdict says nothing about the target: readers of other formats are told so.
func skipped(v conformance.Verdict) bool {
	return v == conformance.Unsupported || v == conformance.Inconclusive || v == conformance.NotRun
}

// clean makes text from a subject (its standard error, an address it chose) fit for one line: no control characters,
// which would let a subject write to the terminal and break XML, no line breaks, no spaces at the ends.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s))
}

// cleanLines is clean for text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		indent := len(l) - len(strings.TrimLeft(l, " \t"))
		lines[i] = strings.Repeat(" ", indent) + clean(l)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Add adds n results with the verdict.
func (c *Counts) Add(v conformance.Verdict, n int) {
	if of := c.of(v); of != nil {
		*of += n
	}
}
