package conformance_test

import (
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// killers say by which bad subjects a case is seen to fail, with its own message. The key is the ID of a case, or a
// glob for the variants of one (".../*"): then each variant must fail.
type killers map[string][]bad

// allKills collects the areas' lists. A case writer has one of them.
func allKills() []killers {
	return []killers{wireKills, handshakeKills, cookieKills, keyKills, timerKills, queueKills, innerKills, roamKills,
		quietKills, lifeKills, uapiKills, secKills}
}

// wide are bad subjects that fail more than ten cases besides those that name them, or the plain handshake, and why
// that cannot be otherwise.
var wide = map[string]string{
	"delivers-nothing":         "every probe needs a delivery",
	"answers-nobody":           "no handshake that the suite begins completes",
	"steps-back":               "no repeated initiation can be answered",
	"repeats-itself":           "no repeated initiation can be answered",
	"takes-any-response":       "every case about a response that is to be refused sends one",
	"gives-up-after-40-errors": "every flood is of errors",
	"marks-keepalives":         "no keepalive can be read",
	"begins-at-counter-1":      "no session can be confirmed by a keepalive of the subject",
	"keepalives-have-a-type":   "no keepalive of the subject authenticates",
	"keepalive-once":           "every case with a persistent keepalive begins with the handshake that it starts",
	"nanoseconds-overflow":     "no later initiation of the subject can be answered",
	"never-under-load":         "no case about load gets a cookie",
	"no-initiation-limit":      "every wait for an initiation meets one too early",
	"one-index-per-peer":       "a second session of a peer cannot be told from its first",
	"silent-when-configured":   "every case with a persistent keepalive begins with the handshake that it starts",
	"talks-after-confirmation": "silence is what cases about keepalives want",
	"answers-twice":            "a second response counts wherever nothing more is to come",
	"garbles-initiations":      "no handshake that the subject begins completes",
	"update-makes-peers-anew":  "a new peer has no session, and cases about persistent keepalives set them on one",
	"keepalive-no-confirm":     "the suite's peers confirm their sessions with keepalives",
	"keepalive-by-default":     "it sends what nobody asked for, to every peer",
	"answers-initiations":      "it has an answer more for every handshake, and for those that want none",
	"resets":                   "it answers what it drops, and silence is what every case about a drop wants",
}

const (
	control   = "good-with-outer-headers"
	maxOthers = 10
	plain     = "handshake/session/carries-data/*"
	// maxOrphans is how many cases may be without a killer, and maxUncaught how many defects of the core without a
	// case: of no-counter-limit and update-forgets-endpoint the suite has not found anything to see from outside.
	maxOrphans  = 0
	maxUncaught = 2
)

// sample is how many of the cases that do not name it a wrapper meets unless -matrix is given: one of so many. All of
// them take a quarter of an hour. The known-bad cores meet every case each time.
const sample = 16

var (
	whole    = flag.Bool("matrix", false, "every bad subject meets every case; takes a quarter of an hour")
	onlyBad  = flag.String("bad", "", "run the kill matrix for these bad subjects alone (a glob)")
	onlyCase = flag.String("only", "*", "run these cases alone (a glob of IDs)")
)

// subjects gives every bad subject once, by name, with the cases that name it.
func subjects(t *testing.T) (bads map[string]bad, named map[string]map[string]bool) {
	bads, named = map[string]bad{}, map[string]map[string]bool{}
	for _, d := range protocoltest.Defects() {
		bads[d.Name] = core(d.Name)
	}
	// A good core with outer headers: what fails on it is wrong itself.
	bads[control] = wrap(control, withOuter(mangle{}))
	for _, ks := range allKills() {
		for pattern, list := range ks {
			found := false
			for c := range conformance.Cases() {
				if !conformance.Glob(pattern, c.ID) {
					continue
				}
				found = true
				for _, b := range list {
					if b.defect != "" && bads[b.defect].defect == "" {
						t.Errorf("%s: there is no known-bad core %s", c.ID, b.defect)
						continue
					}
					if old, ok := bads[b.name]; ok && (old.defect != b.defect || old.mark != b.mark) {
						t.Errorf("%s: there is another bad subject %s", c.ID, b.name)
					}
					if _, ok := bads[b.name]; !ok {
						bads[b.name] = b
					}
					if named[c.ID] == nil {
						named[c.ID] = map[string]bool{}
					}
					named[c.ID][b.name] = true
				}
			}
			if !found {
				t.Errorf("killers for %s, which is no case", pattern)
			}
		}
	}
	return bads, named
}

// TestKills: every case is seen to fail on a subject that breaks its rule, with its own message; and no bad subject
// fails much more than its rule. It prints the matrix: per bad subject the cases that fail, with * those that name it.
func TestKills(t *testing.T) {
	bads, named := subjects(t)
	matrix := map[string]map[string]conformance.Result{} // bad, case
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for name, b := range bads {
		if *onlyBad != "" && !conformance.Glob(*onlyBad, name) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			row := map[string]conformance.Result{}
			o := conformance.Options{Only: []string{*onlyCase}}
			switch {
			case testing.Short():
				o.Cases = shortRow(name, named, 0)
			case !*whole && b.defect == "" && name != control:
				o.Cases = shortRow(name, named, sample)
			}
			for r := range conformance.Run(t.Context(), badFactory{b}, o) {
				if r.Verdict != conformance.Unsupported {
					row[r.Case] = r
				}
			}
			mu.Lock()
			matrix[name] = row
			mu.Unlock()
		})
	}
	wg.Wait()
	caught := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(matrix)) {
		judgeRow(t, name, matrix[name], named, caught)
	}
	var orphans []string
	for c := range conformance.Cases() {
		if !conformance.Glob(*onlyCase, c.ID) {
			continue
		}
		if len(named[c.ID]) == 0 {
			orphans = append(orphans, c.ID)
		}
		for b := range named[c.ID] {
			r, ran := matrix[b][c.ID]
			if matrix[b] != nil && (!ran || !failing(r) || r.Premise || r.Reason == "") {
				t.Errorf("%s: not seen to fail on %s with its own message: %s %s", c.ID, b, r.Verdict, r.Reason)
			}
		}
	}
	if *onlyBad != "" || *onlyCase != "*" {
		return
	}
	if len(orphans) > maxOrphans {
		t.Errorf("%d cases have no killer:\n\t%s", len(orphans), strings.Join(orphans, "\n\t"))
	}
	var uncaught []string
	for _, d := range protocoltest.Defects() {
		if !caught[d.Name] {
			uncaught = append(uncaught, d.Name)
		}
	}
	t.Logf("%d bad subjects; %d defects of the core that no case names: %s", len(bads), len(uncaught),
		strings.Join(uncaught, ", "))
	if len(uncaught) > maxUncaught {
		t.Errorf("%d defects of the core are caught by no case, at most %d may be", len(uncaught), maxUncaught)
	}
}

// shortRow is the cases that name a bad subject, the plain handshake, and one of every so many others (0: none),
// different ones for each.
func shortRow(bad string, named map[string]map[string]bool, every uint32) []conformance.Case {
	cases := []conformance.Case{}
	at := crc32.ChecksumIEEE([]byte(bad))
	for c := range conformance.Cases() {
		at++
		if named[c.ID][bad] || conformance.Glob(plain, c.ID) || every > 0 && at%every == 0 {
			cases = append(cases, c)
		}
	}
	return cases
}

// judgeRow prints what one bad subject fails and complains if it is too much.
func judgeRow(t *testing.T, name string, row map[string]conformance.Result, named map[string]map[string]bool,
	caught map[string]bool) {
	var line []string
	others := 0
	for _, id := range slices.Sorted(maps.Keys(row)) {
		r := row[id]
		switch {
		case r.Verdict == conformance.Broken && !named[id][name]:
			t.Errorf("%s on %s: error: %s", id, name, r.Reason)
		case !failing(r):
		case named[id][name]:
			caught[name] = true
			line = append(line, id+"*")
		default:
			if name == control {
				t.Errorf("%s fails on a good subject: %s", id, r.Reason)
			}
			others++
			line = append(line, id)
			if conformance.Glob(plain, id) && wide[name] == "" {
				t.Errorf("%s fails the plain handshake: %s: %s", name, id, r.Reason)
			}
		}
	}
	t.Logf("%-28s %s", name, strings.Join(line, " "))
	if others > maxOthers && wide[name] == "" { // with a sample a subject must be bad indeed to get here
		t.Errorf("%s fails %d cases that do not name it; list a reason in wide or make it do less", name, others)
	}
	if wide[name] != "" {
		t.Logf("%-28s wide: %s", name, wide[name])
	}
}

func failing(r conformance.Result) bool {
	return r.Verdict == conformance.Fail || r.Verdict == conformance.Warn
}

// TestKillerMessages prints what each killer makes its case say: the reader judges whether it is its own. That there is
// a message TestKills sees, so that without -v this would only repeat it.
func TestKillerMessages(t *testing.T) {
	if !testing.Verbose() {
		t.Log("run with -v to see the messages")
		return
	}
	bads, named := subjects(t)
	for c := range conformance.Cases() {
		if !conformance.Glob(*onlyCase, c.ID) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(named[c.ID])) {
			for r := range conformance.Run(t.Context(), badFactory{bads[name]}, conformance.Options{Only: []string{c.ID}}) {
				t.Logf("%s on %s: %s", c.ID, name, fmt.Sprintf("%s: %s", r.Verdict, r.Reason))
				if r.Reason == "" {
					t.Errorf("%s on %s says nothing", c.ID, name)
				}
			}
		}
	}
}
