package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// seconds writes a duration of the subject's clock as people read windows: with as many digits as it has, to the
// microsecond.
func seconds(d time.Duration) string {
	s := fmt.Sprintf("%.6f", float64(d)/1e9)
	whole, part, _ := strings.Cut(s, ".")
	part = strings.TrimRight(part, "0")
	for len(part) < 3 {
		part += "0"
	}
	return whole + "." + part + " s"
}

// instant writes when something happened: a point, or the interval that time stamps leave open.
func instant(e *conformance.TraceEntry) string {
	if e.Kind == "window" && e.Until > e.Earliest {
		return span(e.Earliest, e.Until)
	}
	if e.Latest > e.Earliest {
		return span(e.Earliest, e.Latest)
	}
	return seconds(time.Duration(e.Earliest))
}

// span writes an interval, both ends with as many digits.
func span(from, to timers.Time) string {
	a, b := strings.TrimSuffix(seconds(time.Duration(from)), " s"), strings.TrimSuffix(seconds(time.Duration(to)), " s")
	decimals := func(s string) int { return len(s) - strings.IndexByte(s, '.') - 1 }
	most := max(decimals(a), decimals(b))
	pad := func(s string) string { return s + strings.Repeat("0", most-decimals(s)) }
	return pad(a) + " … " + pad(b) + " s"
}

// short rounds a real duration for people.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// verdictWords are the verdicts as headings and sentences have them.
var verdictWords = map[conformance.Verdict]string{
	conformance.Pass: "pass", conformance.Fail: "fail", conformance.Warn: "warn", conformance.Flaky: "flaky",
	conformance.Unsupported: "unsupported", conformance.Inconclusive: "inconclusive",
	conformance.Measured: "measured", conformance.Broken: "error", conformance.NotRun: "not-run",
}

// Headline says in a few words how a run ended.
func (r *Run) Headline() string {
	c := r.Counts
	parts := []string{fmt.Sprintf("%d passed", c.Pass)}
	for _, v := range Verdicts() {
		if n := c.Of(v); n > 0 && v != conformance.Pass {
			parts = append(parts, fmt.Sprintf("%d %s", n, map[bool]string{true: "failed",
				false: strings.ReplaceAll(verdictWords[v], "-", " ")}[v == conformance.Fail]))
		}
	}
	return strings.Join(parts, ", ")
}

// message is the one line that a verdict other than pass comes with.
func message(r *conformance.Result) string {
	if s := clean(r.Reason); s != "" {
		return s
	}
	if r.Actual != "" {
		return clean(r.Actual)
	}
	return "no reason given"
}

// reasonAdds reports whether the reason says more than what was expected and found.
func reasonAdds(r *conformance.Result) bool {
	return r.Expected == "" || r.Actual == "" || !strings.Contains(r.Reason, r.Expected) ||
		!strings.Contains(r.Reason, r.Actual)
}

// tags is what a rule list looks like in text.
func tags(rules []string) string { return strings.Join(rules, ", ") }

// valueNames lists the names of measured values in order.
func valueNames(r *conformance.Result) (names []string) {
	for n := range r.Values {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// detail is the long form of a result in plain text: what JUnit and TAP readers show when a case is opened.
func detail(r *conformance.Result) string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s%s\n", name+":", cleanLines(text))
		}
	}
	line("case", r.Case+": "+r.Title)
	line("rules", tags(r.Rules)+" ("+string(r.Level)+")")
	line("reason", r.Reason)
	line("expected", r.Expected)
	line("actual", r.Actual)
	for _, n := range valueNames(r) {
		line(n, r.Values[n])
	}
	for _, n := range r.Notes {
		line("note", n)
	}
	for i, a := range r.Earlier {
		line(fmt.Sprintf("try %d", i+1), string(a.Verdict)+": "+a.Reason)
	}
	if len(r.Trace) > 0 {
		b.WriteString("trace:\n")
		for i := range r.Trace {
			e := &r.Trace[i]
			mark := ' '
			if e.Broke {
				mark = '>'
			}
			fmt.Fprintf(&b, "%c %24s  %-12s %s\n", mark, instant(e), e.Kind, clean(e.Text))
			if i == mostTraceLines && len(r.Trace) > i+1 {
				fmt.Fprintf(&b, "  … %d more, see the JSON report\n", len(r.Trace)-i-1)
				break
			}
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// mostTraceLines is how much of a trace is printed where nobody can fold it.
const mostTraceLines = 60

// fmtPercent is n of a whole in per cent, with one decimal.
func fmtPercent(n, of int) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of)) }
