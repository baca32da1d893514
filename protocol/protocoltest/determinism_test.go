package protocoltest_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/purewire/purewire/protocol/protocoltest"
)

// The determinism gate (design §10), script by script: whatever is changed around a run, its log stays the same to the
// byte. The logs are compared with each other and not with the files, so that these tests say one thing only.

// runAll gives the log of every script.
func runAll(t *testing.T, o protocoltest.Options) []string {
	t.Helper()
	names, texts := scripts(t)
	for i, name := range names {
		got, err := protocoltest.Run(name, texts[i], o)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = got
	}
	return texts
}

func same(t *testing.T, a, b []string, what string) {
	t.Helper()
	names, _ := scripts(t)
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%s: %s gives another log:\n%s", filepath.Base(names[i]), what, diff(a[i], b[i]))
		}
	}
}

func TestDeterminismTwice(t *testing.T) {
	same(t, runAll(t, protocoltest.Options{}), runAll(t, protocoltest.Options{}), "the second run")
}

func TestDeterminismProcs(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	one := runAll(t, protocoltest.Options{})
	runtime.GOMAXPROCS(8)
	same(t, one, runAll(t, protocoltest.Options{}), "GOMAXPROCS=8")
}

// Whatever drew from the global random source of package crypto would differ here.
func TestDeterminismGlobalRandom(t *testing.T) {
	var logs [2][]string
	for seed := range logs {
		t.Run("", func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, uint64(seed))
			logs[seed] = runAll(t, protocoltest.Options{})
		})
	}
	same(t, logs[0], logs[1], "another global seed")
}

// Deadlines are complete: somebody who wakes a Device at its deadlines only misses nothing, and somebody who wakes it
// every millisecond as well causes nothing.
func TestDeterminismDeadlines(t *testing.T) {
	if testing.Short() {
		t.Skip("millions of wake-ups")
	}
	same(t, runAll(t, protocoltest.Options{}), runAll(t, protocoltest.Options{Spurious: time.Millisecond}),
		"waking every millisecond")
}

// Finish does what a caller does who takes the jobs out of the batch and does them elsewhere.
func TestDeterminismByHand(t *testing.T) {
	same(t, runAll(t, protocoltest.Options{}), runAll(t, protocoltest.Options{ByHand: true}), "work done step by step")
}

// What is traced changes nothing of what happens. The scripts are run with every event reported and with none, and with
// what the log has from events hidden.
func TestDeterminismTrace(t *testing.T) {
	names, texts := scripts(t)
	for i, name := range names {
		var logs [2]string
		for j, trace := range []string{"all", "none"} {
			got, err := protocoltest.Run(name, untold(texts[i], trace), protocoltest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			logs[j] = strings.ReplaceAll(got, " trace="+trace, "")
		}
		if logs[0] != logs[1] {
			t.Errorf("%s: tracing gives another log:\n%s", filepath.Base(name), diff(logs[0], logs[1]))
		}
	}
}

// untold takes out of a script's commands all that depends on events.
func untold(text, trace string) string {
	lines := strings.Split(text, "\n")
	kept := []string{lines[0], "", "hide timers events", "----", ""}
	for _, l := range lines[1:] {
		word, _, _ := strings.Cut(l, " ")
		switch word {
		case "device":
			l += " trace=" + trace
		case "hide", "show", "slots", "counter":
			l = "# " + l
		}
		kept = append(kept, l)
	}
	return strings.Join(kept, "\n")
}
