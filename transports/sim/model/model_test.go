package model

import (
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

func TestShippedCore(t *testing.T) {
	r := check(t, Options{Depth: 9, Pairs: 300})
	if f := r.Failure; f != nil {
		t.Fatalf("%s: %s\n%s", f.Rule, f.What, strings.Join(f.Steps, "\n"))
	}
	for _, l := range r.Levels {
		t.Logf("%+v", l)
	}
	t.Log(r.States, r.Reached, r.Missed, r.Span)
}

func TestDefects(t *testing.T) {
	for _, name := range []string{"crossing-stall", "confirm-early", "drop-previous-key", "nonce-reuse"} {
		t.Run(name, func(t *testing.T) {
			r := check(t, Options{Depth: 14, Prepare: func(_ string, d *protocol.Device) {
				if err := protocoltest.WithDefect(d, name); err != nil {
					t.Error(err)
				}
			}})
			if r.Failure == nil {
				t.Fatalf("not found in %d states", r.States)
			}
			t.Logf("%s: %s\n%s", r.Failure.Rule, r.Failure.What, strings.Join(r.Failure.Steps, "\n"))
		})
	}
}
