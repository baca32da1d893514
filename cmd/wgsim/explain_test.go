package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/purewire/purewire/cmd/internal/shell/shelltest"
)

// The scripts find the capture of two wireguard-go processes that lose one direction for a minute in $ONEWAY.
func TestExplainScripts(t *testing.T) {
	oneway, err := filepath.Abs("../../transports/sim/explain/testdata/oneway")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/explain",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ONEWAY", oneway)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": shelltest.Status},
	})
}
