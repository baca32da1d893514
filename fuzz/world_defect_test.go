package fuzz

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// complaint is a tester whose failure is a value.
type complaint struct{ text string }

func (*complaint) Helper() {}

func (c *complaint) Fatalf(format string, args ...any) {
	c.text = fmt.Sprintf(format, args...)
	panic(c)
}

// complains gives the failure of f, if it fails.
func complains(f func(tester)) (text string) {
	c := &complaint{}
	defer func() {
		if p := recover(); p == any(c) {
			text = c.text
		} else if p != nil {
			panic(p)
		}
	}()
	f(c)
	return ""
}

// judge runs worlds of devices with a defect until one complains: a peaceful one, then random ones.
func judge(bad string, tries int) (text string) {
	if text = complains(func(c tester) { peace(c, bad) }); text != "" {
		return text
	}
	worlds := rapid.Custom(func(t *rapid.T) string { return complains(func(c tester) { scenario(t, c, bad) }) })
	for seed := range tries {
		if text = worlds.Example(seed); text != "" {
			return text
		}
	}
	return ""
}

// TestDefectsAreCaughtInTheWorld shows that the checks of the world and its bound on recovery can fail: on each of
// these known-bad cores they do. It prints defect → complaint. The others break rules that the world does not check.
func TestDefectsAreCaughtInTheWorld(t *testing.T) {
	for _, bad := range []string{"accept-reserved", "nonce-reuse", "keep-own-initiation",
		"confirm-early", "crossing-stall", "no-initiation-limit", "ignore-timestamp", "forget-timestamp-on-rekey",
		"skip-mac1", "answer-bad-mac1", "drop-previous-key", "keys-live-forever", "no-replay-window",
		"no-dead-peer-detection", "wrong-allowed-ip", "update-forgets-endpoint", "down-keeps-keys"} {
		t.Run(bad, func(t *testing.T) {
			text := judge(bad, 300)
			if text == "" {
				t.Fatalf("%s does as it likes and nothing complains", bad)
			}
			t.Logf("defect %s → %s", bad, text)
		})
	}
}
