package conformance

import (
	"strings"
	"testing"
)

// Test runs the whole suite on a target as subtests of t, named by the IDs of the cases: for go test in other
// projects. What breaks a MUST rule fails; what breaks a SHOULD rule is logged; what the target cannot do is skipped
// with the reason. Real time takes up to 12 minutes: give go test a -timeout.
func Test(t *testing.T, f Factory) { TestWith(t, f, Options{}) }

// TestWith is Test with options.
func TestWith(t *testing.T, f Factory, o Options) {
	t.Helper()
	for r := range Run(t.Context(), f, o) {
		t.Run(r.Case, func(t *testing.T) {
			switch r.Verdict {
			case Fail, Flaky, Broken, Inconclusive, NotRun:
				t.Errorf("%s: %s\nrules: %s\n%s", r.Verdict, r.Reason, strings.Join(r.Rules, ", "), timeline(r.Trace))
			case Warn:
				t.Logf("%s: %s", r.Verdict, r.Reason)
			case Unsupported:
				t.Skip(r.Reason)
			}
			for name, value := range r.Values {
				t.Logf("%s: %s", name, value)
			}
		})
	}
}

// timeline writes a trace for people, one line for each entry; the one that broke the rule is marked.
func timeline(trace []TraceEntry) string {
	var s strings.Builder
	for _, e := range trace {
		mark := "  "
		if e.Broke {
			mark = "> "
		}
		s.WriteString(mark + Stamp{e.Earliest, e.Latest}.String() + "  " + e.Kind + "  " + e.Text + "\n")
	}
	return s.String()
}
