package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// resultName takes NAME-PROFILE.json apart.
var resultName = regexp.MustCompile(`^(.+)-(quick|standard|long)\.json$`)

// TestFindings: docs/FINDINGS.md says something of every case that did not pass in the committed runs, and each capture
// there belongs to one of them.
func TestFindings(t *testing.T) {
	findings, err := readFindings("../../docs/FINDINGS.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../docs/results/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no run in docs/results: %v", err)
	}
	captures := map[string]bool{} // that some run explains
	used := make([]bool, len(findings))
	for _, file := range files {
		name := resultName.FindStringSubmatch(filepath.Base(file))
		if name == nil {
			t.Errorf("%s: want NAME-PROFILE.json", file)
			continue
		}
		doc, err := readReport(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(doc.Runs) != 1 || doc.Runs[0].Name != name[1] || len(doc.Runs[0].Results) == 0 || doc.Profile != name[2] {
			t.Errorf("%s: want one run called %s, with results, of profile %s", file, name[1], name[2])
			continue
		}
		for i := range doc.Runs[0].Results {
			r := &doc.Runs[0].Results[i]
			captures[filepath.Join(filepath.Dir(file), "captures", report.CaptureName(name[1], r.Case))] = true
			if !report.Noteworthy(r.Verdict) {
				continue
			}
			if len(report.FindingsOf(findings, name[1], r.Case)) == 0 {
				t.Errorf("%s: %s ended with %s, and docs/FINDINGS.md does not say why", file, r.Case, r.Verdict)
			}
		}
		for i, f := range findings {
			used[i] = used[i] || f.Run == name[1]
		}
	}
	for i, f := range findings {
		if !used[i] {
			t.Errorf("docs/FINDINGS.md: a finding of %q, which has no run in docs/results", f.Run)
		}
		for _, g := range f.Cases {
			if !slices.ContainsFunc(slices.Collect(conformance.Cases()), func(c conformance.Case) bool {
				return conformance.Glob(g, c.ID)
			}) {
				t.Errorf("docs/FINDINGS.md: %s: there is no case %s", f.Run, g)
			}
		}
	}
	there, err := filepath.Glob("../../docs/results/*/captures/*.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range there {
		if !captures[c] {
			t.Errorf("%s belongs to no committed run", c)
		}
	}
}

// TestResultsPage: docs/results/index.html is what .ci/results page makes of the committed runs and findings.
func TestResultsPage(t *testing.T) {
	const page = "../../docs/results/index.html"
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "wgconform")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	copied := filepath.Join(t.TempDir(), "docs")
	if err := os.CopyFS(copied, os.DirFS("../../docs")); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("bash", filepath.Join(mustAbs(t, "../.."), ".ci/results"), "page")
	c.Env = append(os.Environ(), "WGCONFORM="+bin, "RESULTS_ROOT="+filepath.Dir(copied))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(copied, "results/index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: run .ci/results page (%d bytes, would be %d)", strings.TrimPrefix(page, "../../"),
			len(want), len(got))
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
