package conformance_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// rule is a line of docs/rules.txt, or of the list of what this suite does not cover.
type rule struct{ id, level, text string }

func readRules(t *testing.T, file string) (rules []rule) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parseRules(t, file, string(text))
}

func allRules(t *testing.T) []rule {
	t.Helper()
	return readRules(t, "../../docs/rules.txt")
}

func parseRules(t *testing.T, file, text string) (rules []rule) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, rest, ok := strings.Cut(line, "\t")
		level, text, ok2 := strings.Cut(rest, "\t")
		if !ok || !ok2 || text == "" {
			t.Fatalf("%s: %q is not ID, tab, level, tab, text", file, line)
		}
		rules = append(rules, rule{id, level, text})
	}
	return rules
}

var idPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*){1,4}$`)

// TestRegistry: every case has all that a reader, the plan and the reports need of it.
func TestRegistry(t *testing.T) {
	levels := map[string]string{}
	for _, r := range allRules(t) {
		levels[r.id] = r.level
	}
	order := []string{"IMPL", "MAY", "SHOULD", "MUST"}
	seen := map[string]bool{}
	titles := map[string]string{}
	for c := range conformance.Cases() {
		complain := func(format string, args ...any) { t.Errorf("%s: %s", c.ID, fmt.Sprintf(format, args...)) }
		if !idPattern.MatchString(c.ID) {
			complain("not words with dashes, in two to five parts with slashes")
		}
		if seen[c.ID] {
			complain("twice")
		}
		seen[c.ID] = true
		if other := titles[c.Title]; other != "" {
			complain("the title of %s", other)
		}
		titles[c.Title] = c.ID
		strictest := ""
		for _, r := range c.Rules {
			l := levels[r]
			if l == "" {
				complain("there is no rule %s", r)
			}
			if slices.Index(order, l) > slices.Index(order, strictest) {
				strictest = l
			}
		}
		if len(c.Rules) == 0 || len(c.Rules) > 3 {
			complain("%d rules", len(c.Rules))
		}
		if strictest != string(c.Level) {
			complain("level %s, but its strictest rule is %s", c.Level, strictest)
		}
		if len(c.Title) < 10 || len(c.Why) < 30 || strings.HasSuffix(c.Title, ".") {
			complain("title and why are for people")
		}
		if c.Run == nil || c.Lasts <= 0 || c.Lasts > 610*time.Second {
			complain("what it runs, and how long: %v", c.Lasts)
		}
		switch c.Isolation {
		case conformance.Shared:
			if c.Setup != nil {
				complain("shared, but with a setup of its own")
			}
		case conformance.OwnInstance, conformance.QuietMachine:
		default:
			complain("isolation %q", c.Isolation)
		}
	}
	t.Logf("%d cases", len(seen))
}

// floor is how many of a hundred rules have a case: a ratchet on the way to 95. Raise it with your cases.
const floor = 95

// TestCoverage: the rules that can be seen from outside have cases. The denominator is the MUST and SHOULD rules but
// for those in testdata/uncovered.txt, each with its reason: what no test from outside can see.
func TestCoverage(t *testing.T) {
	covered := map[string][]string{}
	for c := range conformance.Cases() {
		for _, r := range c.Rules {
			covered[r] = append(covered[r], c.ID)
		}
	}
	rules := allRules(t)
	known := map[string]bool{}
	for _, r := range rules {
		known[r.id] = true
	}
	excluded := map[string]bool{}
	for _, r := range readRules(t, "testdata/uncovered.txt") {
		if !known[r.id] || excluded[r.id] {
			t.Errorf("testdata/uncovered.txt: %s is no rule, or twice there", r.id)
		}
		if len(covered[r.id]) > 0 {
			t.Errorf("testdata/uncovered.txt: %s is covered by %v", r.id, covered[r.id])
		}
		excluded[r.id] = true
		t.Logf("not counted: %s %s: %s", r.id, r.level, r.text)
	}
	total, have := 0, 0
	var missing []string
	for _, r := range rules {
		if r.level != "MUST" && r.level != "SHOULD" || excluded[r.id] {
			continue
		}
		total++
		if len(covered[r.id]) > 0 {
			have++
			continue
		}
		missing = append(missing, r.id)
	}
	t.Logf("coverage: %d of %d rules, %d %%; missing: %s", have, total, have*100/total, strings.Join(missing, " "))
	if have*100 < floor*total {
		t.Errorf("%d of %d rules have a case: under %d %%", have, total, floor)
	}
}

// TestPlan: the profiles end in time, with all that they take, by the plan; and nothing runs where it may not.
func TestPlan(t *testing.T) {
	caps := newClocked(false).Capabilities()
	for profile, limit := range map[conformance.Profile]time.Duration{
		conformance.Quick: time.Minute, conformance.Standard: 4 * time.Minute, conformance.Long: 12 * time.Minute,
	} {
		o := conformance.Options{Profile: profile}
		p := o.Plan(caps)
		if p.End > limit {
			t.Errorf("%s: the plan ends after %v, more than %v", profile, p.End, limit)
		}
		var loud time.Duration // the end of all that is not quiet
		lanes := map[string]time.Duration{}
		for _, s := range p.Steps {
			if s.Start < lanes[s.Lane] {
				t.Errorf("%s: %s begins before lane %s is free", profile, s.Case.ID, s.Lane)
			}
			lanes[s.Lane] = s.End
			if s.Case.Isolation != conformance.QuietMachine {
				loud = max(loud, s.End)
			}
		}
		for _, s := range p.Steps {
			if s.Case.Isolation == conformance.QuietMachine && s.Start < loud {
				t.Errorf("%s: %s begins while others run", profile, s.Case.ID)
			}
		}
		t.Logf("%-8s %3d cases in %2d lanes, predicted end %v", profile, len(p.Steps), len(lanes), p.End)
	}
}

// TestGlob pins what a pattern matches.
func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, id string
		want        bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/*", "a/b/c", true}, {"*", "", true}, {"*c", "a/b/c", true},
		{"a*b*c", "a/x/b/c", true}, {"a*b*c", "a/c", false}, {"a*", "b/a", false}, {"ab*ba", "aba", false},
	} {
		if got := conformance.Glob(c.pattern, c.id); got != c.want {
			t.Errorf("Glob(%q, %q) = %v", c.pattern, c.id, got)
		}
	}
}
