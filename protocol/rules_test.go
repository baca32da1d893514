package protocol_test

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// ruleCases are all scripts, by area of the rules.
var ruleCases = slices.Concat(msgCases, cryptoCases, hsCases, hsMoreCases, taiCases, cookieCases, dosCases, keyCases,
	replayCases, timerCases, timerMoreCases, queueCases, padCases, innerCases, routeCases, roamCases, qosCases, quietCases,
	statCases, lifeCases, jobCases)

// TestRules checks the device rule by rule against an outsider that shares no code with it.
func TestRules(t *testing.T) {
	id := regexp.MustCompile(`^([A-Z]+-[0-9]+)( [A-Z]+-[0-9]+)*$`)
	seen := map[string]bool{}
	for _, c := range ruleCases {
		if seen[c.name] || !id.MatchString(c.rules) {
			t.Errorf("case %q, rules %q: not a new name, or no rules", c.name, c.rules)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, good(t))
			r.strict = true
			c.run(r)
		})
	}
}

// good makes right devices.
func good(t checkT) func(protocol.Config) *protocol.Device {
	return func(c protocol.Config) *protocol.Device {
		d, err := protocol.New(c)
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		return d
	}
}

// recorder is a checkT that remembers the first failure and ends the goroutine at a fatal one.
type recorder struct{ first string }

func (*recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	if r.first == "" {
		r.first = fmt.Sprintf(format, args...)
	}
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// judge runs a case on a core with the defect and gives its first complaint, empty if it found nothing. A panic and a
// hang count as found, since both would fail the case.
func judge(c ruleCase, name string) string {
	r, done := &recorder{}, make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		c.run(newRig(r, func(cfg protocol.Config) *protocol.Device {
			d := good(r)(cfg)
			if err := protocoltest.WithDefect(d, name); err != nil {
				r.Fatalf("%v", err)
			}
			return d
		}))
	}()
	select {
	case <-done:
		return r.first
	case <-time.After(time.Minute):
		return "hangs"
	}
}

// TestDefectsAreCaught runs, on each known-bad core, the cases that name its rule, which TestRules has seen to pass on
// the good one. It prints defect → cases that caught it; a defect that none of them catches is a hole in the tests.
func TestDefectsAreCaught(t *testing.T) {
	for _, d := range protocoltest.Defects() {
		t.Run(d.Name, func(t *testing.T) {
			var caught []string
			for _, c := range ruleCases {
				if !slices.Contains(strings.Fields(c.rules), d.Rule) {
					continue
				}
				if found := judge(c, d.Name); found != "" {
					caught = append(caught, c.name)
					t.Logf("%s: %s", c.name, firstLine(found))
				}
			}
			if len(caught) == 0 {
				t.Fatalf("%s (%s, a core that %s) is caught by no case about that rule", d.Name, d.Rule, d.What)
			}
			t.Logf("defect %s (%s) → %s", d.Name, d.Rule, strings.Join(caught, ", "))
		})
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// The judge itself must tell failures, panics and successes apart.
func TestDefectJudge(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		run        func(*rig)
	}{
		{"passes", "", func(*rig) {}},
		{"fails", "told 1", func(r *rig) { r.Errorf("told %d", 1); r.Fatalf("later") }},
		{"panics", "panic: ouch", func(*rig) { panic("ouch") }},
	} {
		if got := firstLine(judge(ruleCase{run: tt.run}, "nonce-reuse")); got != tt.want {
			t.Errorf("a case that %s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := judge(ruleCase{run: func(*rig) {}}, "no such defect"); got == "" {
		t.Error("an unknown defect is no failure")
	}
}
