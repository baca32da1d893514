package model

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

func check(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Check(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func broken(r *Report) string {
	return r.Failure.Rule + ": " + r.Failure.What + "\n" + strings.Join(r.Failure.Steps, "\n")
}

func TestShippedCore(t *testing.T) {
	starts := []bool{false, true}
	if testing.Short() {
		starts = starts[:1]
	}
	for _, aged := range starts {
		r := check(t, Options{Aged: aged, Depth: 5, Pairs: 300})
		if r.Failure != nil {
			t.Fatal(broken(r))
		}
		if r.Depth != 5 || !r.Stopped || r.Complete || r.Pairs != 300 || r.Different < r.Pairs {
			t.Errorf("report %+v", r)
		}
		sum := len(r.Roots)
		for _, l := range r.Levels {
			if l.Moves != l.New+l.Merged+l.Full+l.Cut {
				t.Errorf("moves are lost: %+v", l)
			}
			sum += l.New
		}
		if sum != r.States || r.Configurations > r.States || r.States < 4000 {
			t.Errorf("%d states, %d in the levels, %d but for budgets", r.States, sum, r.Configurations)
		}
		var reached []string
		for _, m := range r.Reached {
			reached = append(reached, m.What)
		}
		want := []string{"session", "crossing initiations", "session after a restart", "replay refused"}
		if aged {
			want = []string{"full rekey", "previous key pair used", "keys erased"}
		}
		for _, w := range want {
			if !slices.Contains(reached, w) {
				t.Errorf("aged=%t: not reached: %s; reached %v, missed %v", aged, w, reached, r.Missed)
			}
		}
	}
}

// What a world without faults and with one packet can do ends, and then the report says so.
func TestComplete(t *testing.T) {
	r := check(t, Options{Depth: 200, Faults: -1, Packets: 1, Pairs: -1})
	if r.Failure != nil {
		t.Fatal(broken(r))
	}
	if !r.Complete || r.Stopped || r.Depth == 200 {
		t.Errorf("depth %d, complete=%t, stopped=%t", r.Depth, r.Complete, r.Stopped)
	}
}

// Each defect is found, by the rule that it breaks, with a path that ends in it.
func TestDefects(t *testing.T) {
	for name, want := range map[string]string{
		"crossing-stall":         "recovery: a packet waits for a handshake that does not come",
		"confirm-early":          "HS-16",
		"drop-previous-key":      "KEY-06",
		"nonce-reuse":            "MSG-14",
		"no-replay-window":       "REPLAY-01",
		"ignore-timestamp":       "TAI-02",
		"no-dead-peer-detection": "TIMER-16",
		"keep-own-initiation":    "HS-08",
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, Options{Depth: 12, Pairs: -1, Prepare: func(_ string, d *protocol.Device) {
				if err := protocoltest.WithDefect(d, name); err != nil {
					t.Error(err)
				}
			}})
			if r.Failure == nil {
				t.Fatalf("not found in %d states", r.States)
			}
			if text := broken(r); !strings.Contains(text, want) || !strings.Contains(text, "alice's") {
				t.Errorf("not %q:\n%s", want, text)
			}
		})
	}
}

// The states do not depend on how many goroutines look for them.
func TestWorkers(t *testing.T) {
	depth := 5
	if testing.Short() {
		depth = 4
	}
	var first string
	for _, workers := range []int{1, 2, 5} {
		b, err := json.Marshal(check(t, Options{Depth: depth, Pairs: 100, Workers: workers}))
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(b)
		}
		if string(b) != first {
			t.Errorf("with %d goroutines:\n%s\nwith one:\n%s", workers, b, first)
		}
	}
}

// Whoever leaves out of a state what decides what comes next merges what is not the same, and the pairs show it.
func TestForgetfulCanon(t *testing.T) {
	fields := []string{
		` age=\S+`, ` sent=\S+`, ` (retransmit-handshake|new-handshake|send-keepalive)=\S+`,
		`( window=\{[^}]*\}| taken=\S+)`,
	}
	if testing.Short() {
		fields = fields[:1] // the others differ in what is forgotten only
	}
	for _, field := range fields {
		t.Run(field, func(t *testing.T) {
			r := regexp.MustCompile(field)
			used := false
			o := Options{Depth: 6, DoubleDepth: 3, Pairs: 2000, Workers: 1, forget: func(b []byte) []byte {
				used = used || r.Match(b)
				return r.ReplaceAll(b, nil)
			}}
			if strings.Contains(field, "age") || strings.Contains(field, " sent") {
				o.Aged, o.Depth = true, 5
			}
			rep := check(t, o)
			if !used {
				t.Fatal("there is no such field")
			}
			if rep.Failure == nil {
				t.Fatalf("not found by %d of %d pairs", rep.Pairs, rep.Different)
			}
			if rep.Failure.Rule != "merge" {
				t.Errorf("found by another check: %s", broken(rep))
			}
		})
	}
}

// A host and a message in a world without memory and with other luck are others in bytes and the same in kind.
func TestCanonRenames(t *testing.T) {
	w := newWorld(nil)
	var keys [2]hash
	var exact [2]uint64
	for i, w := range []*world{w, w.afresh(7)} {
		s, err := w.begin()
		if err != nil {
			t.Fatal(err)
		}
		s.left = budget{packets: 2}
		for _, m := range []Move{{Kind: Send}, {Kind: Send, Of: 1}, {Kind: Deliver}} {
			st := w.apply(s, m)
			s = &st.s
			keys[i] = sum(s.canon(nil))
		}
		exact[i] = s.exact()
	}
	if keys[0] != keys[1] {
		t.Error("other indices give another state")
	}
	if exact[0] == exact[1] {
		t.Error("other luck gives the same bytes")
	}
}
