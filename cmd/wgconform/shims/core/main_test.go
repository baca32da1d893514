package main

import (
	"cmp"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

// isShim makes this test the shim that it tests.
const isShim = "PUREWIRE_TEST_IS_SHIM"

func TestMain(m *testing.M) {
	if os.Getenv(isShim) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every case ends as it does on the core itself, with the same bytes at the same times.
func TestSameVerdicts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := shim.New(t.Context(), "env "+isShim+"=1 "+self, "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := results(t, coretarget.Factory{})
	got := results(t, f)
	if len(got) != len(want) || len(got) < 100 {
		t.Fatalf("%d results, of the core %d", len(got), len(want))
	}
	unsupported := 0
	for i := range got {
		g, w := got[i], want[i]
		if g.Verdict == conformance.Unsupported && w.Verdict == conformance.Unsupported {
			unsupported++
			g.Reason = w.Reason // each says it in its own words
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: %s %s %v, of the core %s %s %v, and %d and %d entries in the traces", g.Case, g.Verdict, g.Reason,
				g.Values, w.Verdict, w.Reason, w.Values, len(g.Trace), len(w.Trace))
		}
	}
	if unsupported > 4 { // three about outer headers, and one about the mode of a socket that is a file
		t.Errorf("%d cases are unsupported", unsupported)
	}
}

// results runs everything and gives what does not depend on the machine.
func results(t *testing.T, f conformance.Factory) (all []conformance.Result) {
	o := conformance.Options{Jobs: 2, Seed: 1, Traces: true}
	if testing.Short() {
		o.Only = []string{"timer/*", "uapi/*", "life/*"}
	}
	for r := range conformance.Run(t.Context(), f, o) {
		r.Start, r.Took = 0, 0
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b conformance.Result) int { return cmp.Compare(a.Case, b.Case) })
	return all
}
