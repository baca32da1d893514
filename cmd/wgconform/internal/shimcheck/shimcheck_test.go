package shimcheck_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/cmd/wgconform/internal/shimcheck"
)

const (
	idle     = 500 * time.Millisecond // more than an hour of the core takes on a loaded machine
	patience = 20 * time.Second
)

func check(t *testing.T, b bad, only func(string) bool) (all []shimcheck.Result) {
	t.Helper()
	o := shimcheck.Options{Runner: "a test", Start: b.start, Patience: patience, Idle: idle, Only: only}
	if _, err := shimcheck.Run(t.Context(), o, func(r shimcheck.Result) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGoodShimPasses(t *testing.T) {
	for _, r := range check(t, bad{}, nil) {
		if r.Verdict != shimcheck.Passed {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// Each check fails for a shim that is wrong in what it is about, and few others do.
func TestBadShimsFail(t *testing.T) {
	killed := map[string]bool{}
	for _, b := range slices.Concat(badForms, badTimes, badTraffic, badInstances, badOps) {
		var failed []string
		reason := ""
		only := func(id string) bool { return id == b.kills || !testing.Short() && id != "framing/long-line" }
		for _, r := range check(t, b, only) {
			if r.Verdict != shimcheck.Failed {
				continue
			}
			failed = append(failed, r.ID)
			if r.ID == b.kills {
				reason = r.Reason
			}
		}
		t.Logf("%-25s %s: %s", b.name, strings.Join(failed, " "), reason)
		if !slices.Contains(failed, b.kills) {
			t.Errorf("%s: %s does not fail, but %v", b.name, b.kills, failed)
		}
		if len(failed) > 3 {
			t.Errorf("%s: %d checks fail: %v", b.name, len(failed), failed)
		}
		killed[b.kills] = true
	}
	for _, c := range shimcheck.Checks() {
		if !killed[c.ID] {
			t.Errorf("no bad shim fails %s", c.ID)
		}
	}
}

// A shim that cannot be greeted fails one check; the others cannot see anything.
func TestDumbShim(t *testing.T) {
	dumb := bad{raw: func(_ *running, line string) (string, bool, error) { return "hello yourself", true, nil }}
	for _, r := range check(t, dumb, nil) {
		want := shimcheck.Unseen
		if r.ID == "hello/fields" {
			want = shimcheck.Failed
		}
		if r.Verdict != want {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// docs/SHIM.md lists all checks in order, and all words for capabilities and ops.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/SHIM.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, c := range shimcheck.Checks() {
		fmt.Fprintf(&rows, "| `%s` | %s |\n", c.ID, c.Title)
	}
	if !strings.Contains(string(b), rows.String()) {
		t.Errorf("docs/SHIM.md is to have exactly these rows:\n%s", rows.String())
	}
	words := append(proto.Words(), proto.OpHello, proto.OpOpen, proto.OpDatagrams, proto.OpPackets, proto.OpConfigure,
		proto.OpRestart, proto.OpWall, proto.OpAdvance, proto.OpState, proto.OpClose, proto.OpUAPI, proto.OpAddresses)
	for _, word := range words {
		if !strings.Contains(string(b), "`"+word+"`") {
			t.Errorf("docs/SHIM.md does not tell of `%s`", word)
		}
	}
}
