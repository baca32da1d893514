package conformance_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

// TestCore: every case passes on our core, but for those that docs/CONFORMANCE.md says it cannot show.
func TestCore(t *testing.T) {
	listed, err := os.ReadFile("../../docs/CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	o := conformance.Options{Jobs: runtime.GOMAXPROCS(0), Only: []string{*onlyCase}}
	for r := range conformance.Run(t.Context(), coretarget.Factory{}, o) {
		switch r.Verdict {
		case conformance.Pass, conformance.Measured:
		case conformance.Unsupported:
			if !strings.Contains(string(listed), "`"+r.Case+"`") {
				t.Errorf("%s: unsupported, and docs/CONFORMANCE.md does not say so: %s", r.Case, r.Reason)
			}
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

// TestSeeds: every case passes with a hundred seeds (with -short, five): no verdict hangs on a random number.
func TestSeeds(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		o := conformance.Options{Jobs: runtime.GOMAXPROCS(0), Only: []string{*onlyCase}, Seed: seed + 1}
		for r := range conformance.Run(t.Context(), coretarget.Factory{}, o) {
			switch r.Verdict {
			case conformance.Pass, conformance.Measured, conformance.Unsupported:
			default:
				t.Errorf("%s, seed %d: %s: %s", r.Case, r.Seed, r.Verdict, r.Reason)
			}
		}
	}
}

// TestDeterminism: a case in virtual time does the same twice, to the byte.
func TestDeterminism(t *testing.T) {
	run := func() map[string]string {
		all := map[string]string{}
		o := conformance.Options{Jobs: runtime.GOMAXPROCS(0), Traces: true, Seed: 7}
		for r := range conformance.Run(t.Context(), coretarget.Factory{}, o) {
			s := ""
			for _, e := range r.Trace {
				s += fmt.Sprintf("%d %d %s %s %x\n", e.Earliest, e.Latest, e.Kind, e.Text, e.Bytes)
			}
			all[r.Case] = s
		}
		return all
	}
	first := run()
	for id, s := range run() {
		if first[id] != s {
			t.Errorf("%s: two runs differ", id)
		}
	}
}

// TestAsSubtests: what other projects call in their go test.
func TestAsSubtests(t *testing.T) {
	conformance.TestWith(t, coretarget.Factory{}, conformance.Options{Only: []string{"handshake/session/*"}})
}
