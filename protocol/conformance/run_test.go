package conformance_test

import (
	"runtime"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

// TestCore: every case passes on our core.
func TestCore(t *testing.T) {
	o := conformance.Options{Jobs: runtime.GOMAXPROCS(0), Only: []string{*onlyCase}}
	for r := range conformance.Run(t.Context(), coretarget.Factory{}, o) {
		switch r.Verdict {
		case conformance.Pass, conformance.Measured:
		case conformance.Unsupported:
			t.Logf("%s: unsupported: %s", r.Case, r.Reason)
		default:
			t.Errorf("%s: %s: %s%s", r.Case, r.Verdict, r.Reason, tail(r))
		}
	}
}

// tail is the end of a trace, for the message of a test.
func tail(r conformance.Result) string {
	s := ""
	for _, e := range r.Trace[max(0, len(r.Trace)-12):] {
		mark := "\n\t  "
		if e.Broke {
			mark = "\n\t* "
		}
		s += mark + conformance.At(e.Earliest).String() + " " + e.Kind + " " + e.Text
	}
	return s
}
