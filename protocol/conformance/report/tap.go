package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// WriteTAP writes the document in the Test Anything Protocol, version 14. With several runs each is a subtest.
// Unsupported and inconclusive cases are skipped. A broken SHOULD rule is "not ok" with a todo directive, which a
// harness does not count, or without one if strict.
func WriteTAP(w io.Writer, d *Document, strict bool) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "TAP version 14")
	if len(d.Runs) == 1 {
		tapRun(b, &d.Runs[0], "", strict)
		return b.Flush()
	}
	fmt.Fprintf(b, "1..%d\n", len(d.Runs))
	for i := range d.Runs {
		run := &d.Runs[i]
		fmt.Fprintf(b, "# Subtest: %s\n", tapText(run.Name))
		verdict := "ok"
		if tapRun(b, run, "    ", strict) > 0 {
			verdict = "not ok"
		}
		fmt.Fprintf(b, "%s %d - %s\n", verdict, i+1, tapText(run.Name))
	}
	return b.Flush()
}

// tapRun writes the results of one run and returns how many a harness counts as failed.
func tapRun(b *bufio.Writer, run *Run, indent string, strict bool) (failed int) {
	fmt.Fprintf(b, "%s1..%d\n", indent, len(run.Results))
	for i := range run.Results {
		r := &run.Results[i]
		status, directive := "ok", ""
		switch {
		case Failed(r, strict) || r.Verdict == conformance.Broken:
			status = "not ok"
			failed++
		case r.Verdict == conformance.Warn || r.Verdict == conformance.Flaky:
			status, directive = "not ok", " # todo "+tapText(string(r.Level)+": "+message(r))
		case skipped(r.Verdict):
			directive = " # SKIP " + tapText(string(r.Verdict)+": "+message(r))
		}
		fmt.Fprintf(b, "%s%s %d - %s%s\n", indent, status, i+1, tapText(r.Case), directive)
		if r.Verdict != conformance.Pass && r.Verdict != conformance.Unsupported {
			tapDiagnosis(b, r, indent+"  ")
		}
	}
	return failed
}

// tapDiagnosis writes the YAML block of a test point; every value is a quoted string, so no text can break it.
func tapDiagnosis(b *bufio.Writer, r *conformance.Result, indent string) {
	fmt.Fprintf(b, "%s---\n", indent)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "%s%s: %s\n", indent, name, yamlString(text))
		}
	}
	line("title", r.Title)
	line("verdict", string(r.Verdict))
	line("level", string(r.Level))
	line("rules", tags(r.Rules))
	line("message", r.Reason)
	line("wanted", r.Expected)
	line("found", r.Actual)
	for _, n := range valueNames(r) {
		line(yamlString(n), r.Values[n])
	}
	line("stderr", r.Stderr)
	fmt.Fprintf(b, "%s...\n", indent)
}

var yamlEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// yamlString quotes text for YAML, in double quotes, where only these need an escape once control characters are gone.
func yamlString(s string) string { return `"` + yamlEscapes.Replace(cleanLines(s)) + `"` }

var tapEscapes = strings.NewReplacer(`\`, `\\`, "#", `\#`)

// tapText makes text fit for a description: one line, and no directive in it.
func tapText(s string) string { return tapEscapes.Replace(clean(s)) }
