// Package python_test runs the example of a shim in Python.
package python_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/shimcheck"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/bringup"
)

// example is its command, once it is known that it can run.
func example(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys, cryptography; print(sys.executable)").CombinedOutput()
	if err != nil {
		t.Fatalf("python3 with the package cryptography is missing (.ci/setup installs both): %v\n%s", err, out)
	}
	return []string{strings.TrimSpace(string(out)), "wgshim.py"} // what python3 stands for may be a slow script
}

// What it says that it can do, it does as the protocol wants it.
func TestExampleSpeaksTheProtocol(t *testing.T) {
	words := example(t)
	o := shimcheck.Options{Runner: "a test",
		Start: func(ctx context.Context) (*shim.Process, error) { return shim.Start(ctx, words) }}
	passed := 0
	_, err := shimcheck.Run(t.Context(), o, func(r shimcheck.Result) {
		switch r.Verdict {
		case shimcheck.Failed:
			t.Errorf("%s: %s", r.ID, r.Reason)
		case shimcheck.Passed:
			passed++
		}
	})
	if err != nil || passed < 35 {
		t.Errorf("%d checks passed (%v)", passed, err)
	}
}

// And what it does is WireGuard: no case finds a MUST rule broken.
func TestExampleIsWireGuard(t *testing.T) {
	words := example(t)
	f, err := shim.New(t.Context(), words[0]+" "+words[1], "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := conformance.Options{Jobs: 2, Seed: 1}
	least := 250
	if testing.Short() {
		o.Only, least = []string{"handshake/*", "timer/*"}, 120
	}
	passed := 0
	for r := range conformance.Run(t.Context(), f, o) {
		switch r.Verdict {
		case conformance.Pass:
			passed++
		case conformance.Fail, conformance.Broken, conformance.Flaky, conformance.Inconclusive:
			t.Errorf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
	}
	if passed < least {
		t.Errorf("only %d cases passed", passed)
	}
}

// The session in docs/SHIM.md is what the example says; "…" stands for anything there.
func TestSessionInTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../../../docs/SHIM.md")
	if err != nil {
		t.Fatal(err)
	}
	p, err := shim.Start(t.Context(), example(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answer, turns := "", 0
	for line := range strings.Lines(string(document)) {
		line = strings.TrimSuffix(line, "\n")
		if request, ok := strings.CutPrefix(line, "> {"); ok {
			b, err := p.Exchange("a request of the document", []byte("{"+request+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			answer = strings.TrimSuffix(string(b), "\n")
		}
		if want, ok := strings.CutPrefix(line, "< "); ok {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
			if !regexp.MustCompile("^" + pattern + "$").MatchString(answer) {
				t.Errorf("the document says\n%s\nand the example\n%s", want, answer)
			}
			turns++
		}
	}
	if turns != 8 {
		t.Errorf("the document has %d replies", turns)
	}
}

// It answers every question that a port has to on its first day.
func TestExampleIsBroughtUp(t *testing.T) {
	f, err := shim.New(t.Context(), strings.Join(example(t), " "), "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	report, err := bringup.Run(t.Context(), f, bringup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	questions := 0
	for range bringup.Questions() {
		questions++
	}
	if len(report.Answers) != questions {
		t.Errorf("%d of %d questions were asked", len(report.Answers), questions)
	}
	for _, a := range report.Answers {
		if a.Verdict != conformance.Pass {
			t.Errorf("%s: %s: expected %s, got %s", a.ID, a.Verdict, a.Expected, a.Actual)
		}
	}
}
