package explore

import (
	"testing"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// The known-bad cores that exploration must find within fifty seeds.
var found = []string{"no-replay-window", "no-rekey", "keepalive-loop", "roam-on-cookie", "keys-live-forever",
	"crossing-stall", "drop-previous-key", "confirm-early", "wrong-allowed-ip", "nonce-reuse", "ignore-timestamp",
	"forget-timestamp-on-rekey"}

// Each known-bad core fails within fifty seeds, and what is left of the scenario fails by the same checker, holds on
// the good core, and is small.
func TestKnownBadCoresAreFoundAndShrunk(t *testing.T) {
	small := 0
	for _, name := range found {
		o := spoiled(t, name)
		var failed *Outcome
		err := Sweep(Plan{From: 1, To: 50, Failures: 1, Options: o}, func(out *Outcome) {
			if out.Failed() {
				failed = out
			}
		})
		if err != nil || failed == nil {
			t.Errorf("%s: not found in fifty seeds: %v", name, err)
			continue
		}
		s := Shrink(failed.File, o, failed.Checker())
		if s == nil {
			o.Spoiled = failed.Spoiled
			s = Shrink(failed.File, o, failed.Checker())
		}
		if s == nil {
			t.Errorf("%s: seed %d cannot be shrunk", name, failed.Seed)
			continue
		}
		text, err := s.File.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		read, err := scenario.Parse("shrunk", text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if bad, err := Run(read, o); err != nil || bad.Checker() == "" || !breaks(bad, s.Checker) {
			t.Errorf("%s: what was shrunk does not break %s: %v", name, s.Checker, err)
		}
		if good, err := Run(read, Options{}); err != nil || good.Failed() {
			t.Errorf("%s: what was shrunk breaks the good core: %v", name, err)
		}
		f := s.File
		t.Logf("%s: seed %d, %s, %d tries: %d hosts, %d faults, %d actions, %s", name, failed.Seed, s.Checker, s.Tries,
			len(f.Hosts), len(f.Faults), len(f.Timeline), f.Duration)
		if len(f.Hosts) <= 3 && len(f.Faults) <= 3 && f.Duration <= 300*second {
			small++
		}
	}
	if small < 10 {
		t.Errorf("only %d of %d scenarios are small", small, len(found))
	}
}

func breaks(o *Outcome, checker string) bool {
	for _, v := range o.Violations {
		if v.Checker == checker {
			return true
		}
	}
	return false
}

// Shrinking is deterministic and gives nothing where nothing fails.
func TestShrinkIsDeterministic(t *testing.T) {
	o := spoiled(t, "nonce-reuse")
	out, err := Run(Draw(2), o)
	if err != nil || !out.Failed() {
		t.Fatal("it does not fail", err)
	}
	a, b := Shrink(out.File, o, out.Checker()), Shrink(out.File, o, out.Checker())
	x, err := a.File.Marshal()
	y, err2 := b.File.Marshal()
	if err != nil || err2 != nil || string(x) != string(y) || a.Tries != b.Tries {
		t.Errorf("two ways to shrink:\n%s\n%s", x, y)
	}
	if Shrink(out.File, o, "recovery") != nil || Shrink(out.File, Options{}, out.Checker()) != nil {
		t.Error("it shrinks what does not fail")
	}
}
