// Package boringtun holds the tests of the shim for boringtun, which is a Cargo project.
package boringtun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/shimcheck"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
)

// build makes the program. Without cargo, and only then, the test is skipped, like those of wgnode with boringtun-cli.
func build(t *testing.T) (program string) {
	t.Helper()
	c := exec.Command("../../../../.ci/boringtun-shim")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: there is no cargo\n", t.Name())
		t.Skip("there is no cargo to build the shim for boringtun with")
	}
	if err != nil {
		t.Fatalf(".ci/boringtun-shim: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// run runs every case, or those in known if time is short.
func run(t *testing.T, program string, jobs int) map[string]conformance.Result {
	t.Helper()
	f, err := shim.New(t.Context(), program, "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	o := conformance.Options{Jobs: jobs, Seed: 1, Traces: true}
	if testing.Short() {
		o.Only = slices.Collect(maps.Keys(known))
	}
	all := map[string]conformance.Result{}
	for r := range conformance.Run(t.Context(), f, o) {
		r.Start, r.Took = 0, 0
		all[r.Case] = r
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	return all
}

// Every case gets a verdict, and none blames the suite or the shim.
func TestEveryCase(t *testing.T) {
	all := run(t, build(t), 1)
	want := len(slices.Collect(conformance.Cases()))
	if testing.Short() {
		want = len(known)
	}
	if len(all) != want || want == 0 {
		t.Fatalf("%d results of %d cases", len(all), want)
	}
	counts := map[conformance.Verdict]int{}
	for _, r := range all {
		counts[r.Verdict]++
		switch r.Verdict {
		case conformance.Broken, conformance.Inconclusive, conformance.Flaky:
			t.Errorf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
		if strings.Contains(r.Reason, "died") {
			t.Errorf("%s: %s", r.Case, r.Reason)
		}
	}
	t.Log(counts)
	for id, want := range known {
		r := all[id]
		if r.Verdict != want.verdict || !strings.Contains(cmp.Or(r.Actual, r.Reason), want.says) {
			t.Errorf("%s: %s, %s, %q; want %s with %q", id, r.Verdict, r.Reason, r.Actual, want.verdict, want.says)
		}
	}
}

// known are cases whose end shows that it is boringtun that is tested, and that its surroundings are right.
var known = map[string]struct {
	verdict conformance.Verdict
	says    string
}{
	// Both roles, both families, both directions, several peers, real bytes.
	"handshake/response/families-in-turn": {conformance.Pass, ""},
	"wire/psk/used/responder":             {conformance.Pass, ""},
	"wire/psk/used/initiator":             {conformance.Pass, ""},
	"timer/peers/retransmissions":         {conformance.Pass, ""},
	"cookie/load/ends":                    {conformance.Pass, ""},
	// The clock is ours: ticks of 250 ms, no jitter; so is the wall clock, of which Tunn makes a label of its own.
	"timer/persistent/from-the-start": {conformance.Pass, ""},
	"timer/retransmit/jitter":         {conformance.Warn, "a spread of 0.000 s"},
	"handshake/timestamp/epoch":       {conformance.Warn, "2^62 +37 + Unix time"},
	// What is known of it.
	"wire/crypto/low-order-ephemeral/responder": {conformance.Fail, "response"},
	"inner/drop/ipv4-length-19":                 {conformance.Fail, "19 bytes"},
	"queue/oldest-goes":                         {conformance.Warn, "256 kept"},
	// What it has not is not made up.
	"wire/psk/set-later/responder":          {conformance.Unsupported, "a Tunn is made with its preshared key"},
	"timer/persistent/interval/responder":   {conformance.Unsupported, "cannot be given another"},
	"life/down/wipes-sessions/responder":    {conformance.Unsupported, "the interface is around a library"},
	"key/own-key/same-again":                {conformance.Unsupported, "found out around the library"},
	"roam/learned/replaces-configured":      {conformance.Unsupported, "endpoints are kept around a library"},
	"uapi/get/known-keys":                   {conformance.Unsupported, "configuration socket"},
	"inner/route/longest-prefix-out":        {conformance.Unsupported, "allowed IPs is made around a library"},
	"handshake/crossing/overtaken-response": {conformance.Unsupported, "takes no time"},
}

// The same seed gives the same bytes at the same times, however many instances and processes there are.
func TestDeterminism(t *testing.T) {
	program := build(t)
	one, two := run(t, program, 1), run(t, program, 3)
	sent := 0
	for id, r := range one {
		if !reflect.DeepEqual(r, two[id]) {
			t.Errorf("%s: %s, then %s; %d and %d entries in the traces", id, r.Verdict, two[id].Verdict, len(r.Trace),
				len(two[id].Trace))
		}
		for _, e := range r.Trace {
			sent += len(e.Bytes)
		}
	}
	if len(two) != len(one) || sent < 10_000 {
		t.Errorf("%d and %d cases, %d bytes in the first traces", len(one), len(two), sent)
	}
}

// The shim speaks the protocol. What cannot be seen is what it says that it lacks.
func TestShimCheck(t *testing.T) {
	program := build(t)
	var unseen []string
	passed := 0
	_, err := shimcheck.Run(t.Context(), shimcheck.Options{Runner: "a test",
		Start: func(ctx context.Context) (*shim.Process, error) { return shim.Start(ctx, []string{program}) },
	}, func(r shimcheck.Result) {
		switch r.Verdict {
		case shimcheck.Passed:
			passed++
		case shimcheck.Unseen:
			unseen = append(unseen, r.ID)
		default:
			t.Errorf("%s: %s", r.ID, r.Reason)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tos/shown", "uapi/talks"}; !slices.Equal(unseen, want) || passed < 30 {
		t.Errorf("%d passed; could not be seen: %v, want %v", passed, unseen, want)
	}
}
