package protocoltest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
)

// Every decision point of the core has its defect in the list and every defect its decision point; each is told in
// words that a list can print, under a rule that exists.
func TestDefectsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	points := decisionPoints(t)
	names := map[string]bool{}
	for _, d := range Defects() {
		if !points[d.Name] {
			t.Errorf("%s: the core has no such decision point", d.Name)
		}
		if !kebab.MatchString(d.Name) || names[d.Name] {
			t.Errorf("%q is no name, or not a new one", d.Name)
		}
		names[d.Name] = true
		if !regexp.MustCompile(`(?m)^` + d.Rule + `\s`).Match(text) {
			t.Errorf("%s: no rule %q", d.Name, d.Rule)
		}
		if d.What == "" {
			t.Errorf("%s: what is it?", d.Name)
		}
	}
	for name := range points {
		if !names[name] {
			t.Errorf("the core can be %q, which is not in the list", name)
		}
	}
	for _, name := range []string{"no-replay-window", "no-rekey", "keepalive-loop", "roam-on-cookie",
		"keys-live-forever", "crossing-stall", "drop-previous-key", "confirm-early", "wrong-allowed-ip", "nonce-reuse",
		"ignore-timestamp", "forget-timestamp-on-rekey"} {
		if !names[name] {
			t.Errorf("the permanent name %s is gone", name)
		}
	}
}

// decisionPoints reads the names that package protocol compares with.
func decisionPoints(t *testing.T) map[string]bool {
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source of package protocol: ", err)
	}
	points := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b(?:bad [!=]=|case) "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			points[m[1]] = true
		}
	}
	return points
}

// The list belongs to the caller, and an unknown name is answered with those that there are.
func TestWithDefectNames(t *testing.T) {
	Defects()[0].Name = "scribbled"
	if Defects()[0].Name == "scribbled" {
		t.Error("Defects lends its own slice")
	}
	d, err := protocol.New(protocol.Config{Entropy: NewEntropy(1, "defects")})
	if err != nil {
		t.Fatal(err)
	}
	err = WithDefect(d, "no-such-thing")
	if err == nil || !strings.Contains(err.Error(), "no-such-thing") || !strings.Contains(err.Error(), "nonce-reuse") {
		t.Errorf("unknown name: %v", err)
	}
	for _, def := range Defects() {
		if err := WithDefect(d, def.Name); err != nil {
			t.Errorf("%s: %v", def.Name, err)
		}
	}
	if SetSendCounter(d, 1, 5) {
		t.Error("SetSendCounter of a peer that there is not")
	}
}
