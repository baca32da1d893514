package protocoltest

import (
	"math/bits"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/internal/defect"
)

// Every flag of package defect has one entry, in words that a list can print, under a rule that exists.
func TestDefectsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	var all defect.Set
	names := map[string]bool{}
	for _, d := range Defects() {
		if bits.OnesCount64(uint64(d.flag)) != 1 || all.Has(d.flag) {
			t.Errorf("%s: flag %#x is not one new flag", d.Name, d.flag)
		}
		all |= d.flag
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
	if want := defect.NoCounterLimit | (defect.NoCounterLimit - 1); all != want {
		t.Errorf("flags without an entry: %#x", want&^all)
	}
	for _, name := range []string{"no-replay-window", "no-rekey", "keepalive-loop", "roam-on-cookie",
		"keys-live-forever", "crossing-stall", "drop-previous-key", "confirm-early", "wrong-allowed-ip", "nonce-reuse",
		"ignore-timestamp", "forget-timestamp-on-rekey"} {
		if !names[name] {
			t.Errorf("the permanent name %s is gone", name)
		}
	}
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
