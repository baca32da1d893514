package conformance_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
)

// bugFloor is how many of a hundred known bugs have a case: a ratchet on the way to 100. Raise it with your cases.
const bugFloor = 81

var bugPattern = regexp.MustCompile(`\bB\d{3}\b`)

// TestBugs: every bug of testdata/bugs.txt, all of which shipped in some implementation, has a case that names it.
func TestBugs(t *testing.T) {
	text, err := os.ReadFile("testdata/bugs.txt")
	if err != nil {
		t.Fatal(err)
	}
	caught := map[string][]string{}
	for c := range conformance.Cases() {
		for _, id := range bugPattern.FindAllString(c.Bug, -1) {
			caught[id] = append(caught[id], c.ID)
		}
		if c.Bug != "" && bugPattern.FindString(c.Bug) == "" {
			t.Errorf("%s: its Bug has no number: %q", c.ID, c.Bug)
		}
	}
	total, have := 0, 0
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(strings.TrimSpace(line), "\t")
		if len(parts) != 4 {
			t.Errorf("testdata/bugs.txt: %q has not four columns", line)
			continue
		}
		total++
		known[parts[0]] = true
		if len(caught[parts[0]]) > 0 {
			have++
			continue
		}
		t.Logf("no case for %s (%s): %s", parts[0], parts[1], parts[3])
	}
	for id, cases := range caught {
		if !known[id] {
			t.Errorf("%v name the bug %s, which is not in testdata/bugs.txt", cases, id)
		}
	}
	t.Logf("%d of %d known bugs have a case", have, total)
	if have*100 < bugFloor*total {
		t.Errorf("%d of %d known bugs have a case: under %d %%", have, total, bugFloor)
	}
}
