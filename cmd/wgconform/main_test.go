package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/purewire/purewire/cmd/internal/shell/shelltest"
	"github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// TestMain makes programs for the scripts: coreshim, a shim of the core; wgconform, with one more kind of target,
// bad:DEFECT, a core that is broken on purpose; and demo, the same with a suite of a few cases that end in every way
// there is.
func TestMain(m *testing.M) {
	run := func(cases func() iter.Seq[conformance.Case]) func() {
		return func() {
			p := program{stdout: os.Stdout, stderr: os.Stderr, cases: cases,
				kinds: append(targetKinds(), targetKind{"bad", "DEFECT", "a broken core", openBad})}
			os.Exit(p.execute(os.Args[1:]))
		}
	}
	testscript.Main(m, map[string]func(){
		"udpecho":   udpEcho,
		"wgconform": run(conformance.Cases),
		"coreshim":  coreShim,
		"demo":      run(func() iter.Seq[conformance.Case] { return slices.Values(demoCases()) }),
	})
}

func coreShim() {
	o := shim.Options{Has: []string{shim.Addresses, shim.Repeats, shim.Work}}
	if err := shim.Serve(context.Background(), os.Stdin, os.Stdout, coretarget.Factory{}, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func openBad(_ context.Context, defect string, _ targetOptions) (conformance.Factory, error) {
	if !slices.ContainsFunc(protocoltest.Defects(), func(d protocoltest.Defect) bool { return d.Name == defect }) {
		return nil, fmt.Errorf("there is no defect %q", defect)
	}
	return coretarget.Factory{Prepare: func(d *protocol.Device) {
		if err := protocoltest.WithDefect(d, defect); err != nil {
			panic(err)
		}
	}}, nil
}

func demoCases() []conformance.Case {
	c := func(id string, level conformance.Level, run func(*conformance.T)) conformance.Case {
		return conformance.Case{ID: id, Rules: []string{"HS-03"}, Level: level, Isolation: conformance.Shared,
			Title: "A demonstration", Why: "To show what happens.", Lasts: 20 * time.Second, Run: run}
	}
	silence := func(t *conformance.T) { // broken by every right implementation: the packet is sent
		p := t.Peer()
		s := p.Handshake()
		s.Deliver(p.Inbound())
		t.Inject(p.Outbound())
		p.Silence(conformance.Transport, time.Second)
	}
	host := c("other/host/missing", conformance.Must, silence)
	host.Needs = conformance.NeedHost
	return []conformance.Case{
		c("demo/pass/handshake", conformance.Must, func(t *conformance.T) { t.Peer().Handshake() }),
		c("demo/must/broken", conformance.Must, silence),
		c("demo/should/broken", conformance.Should, silence),
		c("other/impl/measured", conformance.Impl, func(t *conformance.T) { t.Measure("answer", "42") }),
		c("other/keepalive/due", conformance.Must, func(t *conformance.T) {
			p := t.Peer()
			s := p.Handshake()
			s.Deliver(p.Inbound())
			p.Expect(conformance.Transport, t.Due(conformance.Passive, t.Last()))
		}),
		host,
		c("suite/error/always", conformance.Must, func(t *conformance.T) { t.Broken("the suite is at fault") }),
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": shelltest.Status, "narrow": narrow, "schema": checkSchema,
		},
	})
}

// narrow FILE fails if a line is wider than a terminal of 100 columns or has colours in it. Commands to be copied may
// be wider.
func narrow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: narrow file")
	}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 || strings.Contains(line, "\x1b") {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}

// checkSchema FILE holds a JSON report to its schema.
func checkSchema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: schema file")
	}
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	ts.Check(err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(s.Validate(v))
}

// schemaFile is absolute, since scripts run elsewhere.
var schemaFile = func() string {
	path, err := filepath.Abs("../../docs/conformance.schema.json")
	if err != nil {
		panic(err)
	}
	return path
}()

// An interrupted run leaves nothing behind, since half a run is no result.
func TestInterruptLeavesNoReport(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs, kinds: targetKinds(), cases: conformance.Cases}
	f := runFlags{target: defaultTarget, maxUnsupported: -1}
	f.profile, f.level, f.jobs, f.seed = defaultProfile, defaultLevel, 1, 1
	f.json, f.html, f.captures = filepath.Join(dir, "x.json"), filepath.Join(dir, "x.html"), filepath.Join(dir, "c")
	if err := p.run(ctx, &f); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got error %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// The line of progress fits a terminal whatever the case is called.
func TestProgressFits(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, "boringtun", 200, false)
	p.terminal, p.last = true, time.Now().Add(-time.Hour)
	p.result(&conformance.Result{Case: "area/" + strings.Repeat("long-", 40), Verdict: conformance.Fail})
	p.end()
	line := strings.TrimPrefix(strings.TrimSuffix(b.String(), "\r\x1b[K"), "\r\x1b[K")
	if n := len([]rune(line)); n > 100 || !strings.Contains(line, "boringtun  1/200") ||
		!strings.Contains(line, "1 failed") {
		t.Errorf("%d columns: %q", n, line)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a/b-c": "a/b-c", "timer/*": "'timer/*'", "it's": `'it'\''s'`,
		"exec:wg -f {if}": "'exec:wg -f {if}'"} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
