package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// caught says which known-bad core which checker catches in which scenario, and a part of what it says about it. Every
// checker but the simulator's own complaint is in the list: so each is seen to fail. TestEveryScenarioHolds shows the
// same scenarios on the good core.
var caught = []struct{ defect, scenario, checker, says string }{
	{"no-replay-window", "lossy", "once", "2 times"},
	{"wrong-allowed-ip", "liar", "origin", "does not own that address"},
	{"no-trim", "liar", "origin", "never put in|came out changed"},
	{"nonce-reuse", "crossing", "counter", "again"},
	{"keys-live-forever", "sleep", "key-life", "old"},
	{"down-keeps-keys", "restart", "key-life", "from before it was down"},
	{"confirm-early", "default", "confirmation", "has not used yet"},
	{"roam-on-replay", "crossing", "silence", "answers a stranger"},
	{"roam-before-auth", "default", "silence", "answers a stranger"},
	{"answer-bad-mac1", "default", "silence", "cannot be under load"},
	{"ignore-timestamp", "nat-timeout", "silence", "takes a datagram from stranger (replay)"},
	{"forget-timestamp-on-rekey", "nat-timeout", "silence", "takes a datagram from stranger (replay)"},
	{"no-initiation-limit", "crossing", "pace", "another initiation after"},
	{"cookie-retries-at-once", "cookies", "pace", "another initiation after"},
	{"precise-timestamp", "default", "timestamp", " ns"},
	{"timestamp-offset", "crossing", "timestamp", "off its clock"},
	{"reuse-ephemeral", "crossing", "fresh", "ephemeral key again"},
	{"no-rekey", "crossing", "rekey", "without starting a new one"},
	{"keepalive-loop", "nat-timeout", "keepalive", "nothing called for"},
	{"extra-keepalive", "liar", "keepalive", "nothing called for"},
	{"ignore-psk", "reconfigure", "secrecy", "does not"},
	{"predictable-index", "default", "secrecy", "nobody agreed on|does not decrypt|never shown"},
	{"no-padding", "crossing", "shape", "pads"},
	{"pad-beyond-mtu", "default", "shape", "pads 1420 bytes to"},
	{"leak-dscp", "default", "shape", "TOS 0xba"},
	{"accept-reserved", "lossy", "damage", "damaged on its way"},
	{"drop-previous-key", "default", "previous-key", "does not know a key any more"},
	{"roam-on-cookie", "forged-cookies", "silence", "answers a stranger"},
	{"crossing-stall", "crossing-after", "recovery", "has not got one message through|wait for longer"},
}

// forTests are scenarios that show one defect; the good core must hold in them too, see TestScenariosForTestsHold.
func forTests() []Scenario {
	forged := stored("crossing")
	forged.Name = "forged-cookies"
	forged.Faults = []Fault{{Name: "deaf", Network: "west", Down: true, Until: 20 * time.Second, Rule: Cut{}}}
	forged.Flows = forged.Flows[:1]
	forged.Attacks = []Attack{{Name: "eve", Targets: []string{"east", "west"}, Kinds: []AttackKind{AttackForgedCookie},
		Interval: ms}}
	after := lonely()
	after.Name, after.Duration, after.Heal = "crossing-after", 5*time.Minute, 30*time.Second
	for i := range after.Flows {
		after.Flows[i].Start, after.Flows[i].Stop = time.Minute, time.Minute+ms
	}
	return []Scenario{forged, after}
}

func TestScenariosForTestsHold(t *testing.T) {
	for _, sc := range forTests() {
		for seed := range uint64(12) {
			if r := start(t, sc, Options{Seed: seed}).Run(); !r.OK() {
				t.Errorf("%s, seed %d: %+v", sc.Name, seed, r.Violations)
			}
		}
	}
}

func TestDefectsAreCaught(t *testing.T) {
	seen := map[string]bool{checkerModel: true}
	for _, c := range caught {
		seen[c.checker] = true
		t.Run(c.defect, func(t *testing.T) {
			prepare := func(_ string, d *protocol.Device) {
				if err := protocoltest.WithDefect(d, c.defect); err != nil {
					t.Fatal(err)
				}
			}
			for seed := range uint64(12) {
				s := start(t, known(c.scenario), Options{Seed: seed, Prepare: prepare})
				for s.Step() && !found(s, c.checker, c.says) {
				}
				if found(s, c.checker, c.says) {
					t.Logf("%s → %s, seed %d at %s: %s", c.defect, c.checker, seed, time.Duration(s.Now()), s.last(c.checker))
					return
				}
			}
			t.Errorf("%s is not caught by %s in %s", c.defect, c.checker, c.scenario)
		})
	}
	for _, c := range Checkers() {
		if !seen[c.Name] {
			t.Errorf("no known-bad core is caught by %s", c.Name)
		}
	}
}

// known gives a scenario of the gallery or of forTests.
func known(name string) Scenario {
	for _, own := range forTests() {
		if own.Name == name {
			return own
		}
	}
	return stored(name)
}

// found looks for a violation of a checker whose text has one of the parts that "says" lists.
func found(s *Sim, checker, says string) bool {
	for _, v := range s.shown {
		for _, part := range strings.Split(says, "|") {
			if v.Checker == checker && strings.Contains(v.Text, part) {
				return true
			}
		}
	}
	return false
}

func (s *Sim) last(checker string) (text string) {
	for _, v := range s.shown {
		if v.Checker == checker {
			text = v.Host + " " + v.Text
		}
	}
	return text
}

// A violation is a record, a line of the result and a verdict; the list is bounded and the count is not.
func TestViolationsAreReported(t *testing.T) {
	var records []Violation
	s := start(t, known("crossing"), Options{Seed: 1,
		Prepare: func(_ string, d *protocol.Device) {
			if err := protocoltest.WithDefect(d, "nonce-reuse"); err != nil {
				t.Fatal(err)
			}
		},
		Observe: func(r *Record) {
			if r.Kind == KindViolation {
				if r.Host != r.Violation.Host || r.At != r.Violation.At {
					t.Errorf("%+v", r)
				}
				records = append(records, r.Violation)
			}
		}})
	r := s.Run()
	if r.OK() {
		t.Error("the result is OK")
	}
	total := uint64(0)
	for _, c := range r.Checkers {
		total += c.Violations
	}
	if total != uint64(len(records)) || len(records) <= MaxViolations || len(r.Violations) != MaxViolations {
		t.Errorf("%d violations counted, %d recorded, %d listed", total, len(records), len(r.Violations))
	}
	if len(records) > 0 && r.Violations[0] != records[0] {
		t.Error("the first violation in the list is another one than in the records")
	}
}

// The simulator's own complaint: a core that does not come up again.
func TestCoreThatDoesNotRestart(t *testing.T) {
	made := 0
	s := start(t, known("restart"), Options{Seed: 1, NewDevice: func(c protocol.Config) (*protocol.Device, error) {
		if made++; made == 3 {
			return nil, protocol.ErrNoEntropy
		}
		return protocol.New(c)
	}})
	r := s.Run()
	if r.Checkers[0].Name != checkerModel || r.Checkers[0].Violations != 1 {
		t.Errorf("%+v", r.Violations)
	}
	if len(r.Violations) != 1 || !strings.Contains(r.Violations[0].Text, "does not start again") {
		t.Errorf("%+v", r.Violations)
	}
	if r.Hosts[0].Name != "server" || r.Fates[FateDown] < 100 {
		t.Errorf("the server was to stay down: %v", r.Fates)
	}
}
