package wireguardgo

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/shimcheck"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
)

// build builds the shim as its documentation says.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "wgshim")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return binary
}

// TestShim asks the shim, through wgconform's client, for every timer case (with -short a few), for others of each sort
// of request, and for three that wireguard-go is known to fail: what it does wrong is to be seen through the shim too.
// Before that it is checked as a shim.
func TestShim(t *testing.T) {
	binary := build(t)
	start := func(ctx context.Context) (*shim.Process, error) { return shim.Start(ctx, []string{binary}) }
	if _, err := shimcheck.Run(t.Context(), shimcheck.Options{Runner: "a test", Start: start}, func(r shimcheck.Result) {
		if r.Verdict == shimcheck.Failed {
			t.Errorf("%s: %s", r.ID, r.Reason)
		}
	}); err != nil {
		t.Fatal(err)
	}
	f, err := shim.New(t.Context(), binary, "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	timer := "timer/*"
	if testing.Short() {
		timer = "timer/give-up/*"
	}
	known := map[string]conformance.Verdict{
		"handshake/refuse/without-own-key": conformance.Fail,
		"inner/drop/ipv6-length-65535":     conformance.Fail,
		"cookie/taken/first-counts":        conformance.Warn,
	}
	only := []string{timer, "cookie/load/*", "life/*", "uapi/refuse/*", "roam/family/*"}
	for id := range known {
		only = append(only, id)
	}
	begin, timers := time.Now(), 0
	for r := range conformance.Run(context.Background(), f, conformance.Options{Only: only, Jobs: 2}) {
		if conformance.Glob("timer/*", r.Case) {
			timers++
		}
		want, fails := known[r.Case]
		delete(known, r.Case)
		switch r.Verdict {
		case conformance.Pass, conformance.Measured, conformance.Unsupported:
			if fails {
				t.Errorf("%s: %s, and wireguard-go was known to break it", r.Case, r.Verdict)
			}
		case want:
		default:
			t.Errorf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(known) > 0 || timers < 3 {
		t.Errorf("%d timer cases ran, and these did not: %v", timers, known)
	}
}
