package protocoltest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

var update = flag.Bool("update", false, "write the logs in testdata/script anew")

// scripts gives the golden scripts by name.
func scripts(t *testing.T) (names, texts []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d scripts found, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		names, texts = append(names, f), append(texts, string(text))
	}
	return names, texts
}

// TestScripts runs every script and compares its log with the one in the file. With -update the file is written
// instead, unless the script is wrong or something happened that must never happen.
func TestScripts(t *testing.T) {
	names, texts := scripts(t)
	for i, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			got, err := protocoltest.Run(name, texts[i], protocoltest.Options{})
			if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
			if got == texts[i] {
				return
			}
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the log has changed (- file, + now):\n%s", diff(texts[i], got))
		})
	}
}

// diff gives the lines that differ between two texts, with two lines around each change: the longest common
// subsequence, by the plain quadratic method.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var lines []string
	var changed []bool
	note := func(mark, line string) {
		lines, changed = append(lines, mark+line), append(changed, mark != "  ")
	}
	for i, j := 0, 0; i < len(x) || j < len(y); {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			note("  ", x[i])
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			note("- ", x[i])
			i++
		default:
			note("+ ", y[j])
			j++
		}
	}
	return excerpt(lines, changed)
}

func excerpt(lines []string, changed []bool) string {
	const around = 2
	var out strings.Builder
	skipped := false
	for i := range lines {
		near := false
		for j := max(0, i-around); j <= min(len(lines)-1, i+around); j++ {
			near = near || changed[j]
		}
		if !near {
			skipped = true
			continue
		}
		if skipped {
			out.WriteString("  …\n")
			skipped = false
		}
		out.WriteString(lines[i] + "\n")
	}
	return out.String()
}

// TestDefectScripts runs the scripts on every known-bad core, those that cite its rule first, and prints which one
// notices, by another log or by something that must never happen.
func TestDefectScripts(t *testing.T) {
	names, texts := scripts(t)
	good := make([]string, len(texts))
	for i, name := range names {
		var err error
		if good[i], err = protocoltest.Run(name, texts[i], protocoltest.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range protocoltest.Defects() {
		t.Run(d.Name, func(t *testing.T) {
			for _, i := range citingFirst(texts, d.Rule) {
				got, err := protocoltest.Run(names[i], texts[i], protocoltest.Options{OnDevice: broken(t, d.Name)})
				if err != nil || got != good[i] {
					t.Logf("%s (%s, a core that %s) is noticed by %s", d.Name, d.Rule, d.What, filepath.Base(names[i]))
					if why := unseen[d.Name]; why != "" {
						t.Errorf("it is on the list of those that cannot be seen, because %s", why)
					}
					return
				}
			}
			if why := unseen[d.Name]; why != "" {
				t.Skipf("%s (%s, a core that %s) is noticed by no script: %s", d.Name, d.Rule, d.What, why)
			}
			t.Errorf("%s (%s, a core that %s) is noticed by no script", d.Name, d.Rule, d.What)
		})
	}
}

// unseen are the defects that are for other tests, because no script can show them.
var unseen = map[string]string{
	"precise-timestamp":   "timestamps are encrypted, and a responder only compares them",
	"timestamp-offset":    "timestamps are encrypted, and a responder only compares them",
	"deliver-any-version": "a Device sends no packet that is not IP, so it takes another sender to show it",
}

// citingFirst gives the numbers of the scripts in the order in which they are likely to notice a broken rule.
func citingFirst(texts []string, rule string) (order []int) {
	for _, citing := range []bool{true, false} {
		for i, text := range texts {
			if strings.Contains(text, rule) == citing {
				order = append(order, i)
			}
		}
	}
	return order
}

func broken(t *testing.T, name string) func(string, *protocol.Device) {
	return func(_ string, d *protocol.Device) {
		if err := protocoltest.WithDefect(d, name); err != nil {
			t.Fatal(err)
		}
	}
}
