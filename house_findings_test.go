package purewire_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindings: docs/FINDINGS.md says something of every case that did not pass in the committed runs.
func TestFindings(t *testing.T) {
	text, err := os.ReadFile("docs/FINDINGS.md")
	if err != nil {
		t.Fatal(err)
	}
	runs, err := filepath.Glob("docs/results/*/*.json")
	if err != nil || len(runs) == 0 {
		t.Fatalf("no run in docs/results: %v", err)
	}
	sections := map[string]string{} // by implementation
	for _, s := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[name] = body
	}
	for _, path := range runs {
		for name, cases := range notPassed(t, path) {
			for _, c := range cases {
				if !strings.Contains(sections[name], "`"+c+"`") {
					t.Errorf("%s: %s did not pass %s, and docs/FINDINGS.md does not say why", path, name, c)
				}
			}
		}
	}
}

// notPassed gives the cases of a run that need an explanation, by the name of the implementation in the file's name.
func notPassed(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Runs []struct {
			Results []struct{ Case, Verdict string }
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	name := filepath.Base(path)
	name, shim := strings.CutSuffix(name, "-shim.json") // by a shim there are no profiles
	if shim {
		name += " (shim)"
	} else {
		name = name[:max(strings.LastIndexByte(name, '-'), 0)] // NAME-PROFILE.json
	}
	all := map[string][]string{name: nil}
	results := 0
	for _, run := range report.Runs {
		for _, r := range run.Results {
			results++
			switch r.Verdict {
			case "pass", "measured", "unsupported":
			default:
				all[name] = append(all[name], r.Case)
			}
		}
	}
	if results == 0 {
		t.Errorf("%s: no results", path)
	}
	return all
}
