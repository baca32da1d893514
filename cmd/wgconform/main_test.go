package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
// bad:DEFECT, a core that is broken on purpose; demo, the same with a suite of a few cases that end in every way there
// is; and slow, with cases of which one takes so long that the run can be ended before.
func TestMain(m *testing.M) {
	run := func(cases func() iter.Seq[conformance.Case]) func() {
		return func() {
			p := program{stdout: os.Stdout, stderr: os.Stderr, cases: cases,
				kinds: append(targetKinds(), targetKind{"bad", "DEFECT", "a broken core", openBad})}
			os.Exit(p.execute(os.Args[1:]))
		}
	}
	testscript.Main(m, map[string]func(){
		"slow":      run(func() iter.Seq[conformance.Case] { return slices.Values(slowCases()) }),
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

// slowCases run one after the other in this order, since the longer ones are begun first. slow/three/waits says that
// it runs by a file, and does until that is gone.
func slowCases() []conformance.Case {
	c := func(id string, lasts time.Duration, run func(*conformance.T)) conformance.Case {
		return conformance.Case{ID: id, Rules: []string{"HS-03"}, Level: conformance.Must, Isolation: conformance.Shared,
			Title: "A demonstration", Why: "To show what happens.", Lasts: lasts, Run: run}
	}
	return []conformance.Case{
		c("slow/one/passes", 30*time.Second, func(*conformance.T) {}),
		c("slow/two/fails", 20*time.Second, func(t *conformance.T) { t.Fail("a pass", "a failure") }),
		c("slow/three/waits", 10*time.Second, func(t *conformance.T) {
			const sign = "begun"
			if err := os.WriteFile(sign, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
				t.Broken("%v", err)
			}
			for n, err := 0, error(nil); err == nil && n < 3000; n++ {
				time.Sleep(10 * time.Millisecond)
				_, err = os.Stat(sign)
			}
			time.Sleep(300 * time.Millisecond) // the signal that was sent before is on its way
			t.Fail("a pass", "a failure of one that was ended")
		}),
		c("slow/four/waits", time.Second, func(*conformance.T) {}),
		c("slow/five/sleeps", time.Millisecond, func(t *conformance.T) {
			time.Sleep(1500 * time.Millisecond)
			t.Fail("a pass", "a failure of one that was ended")
		}),
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": shelltest.Status, "narrow": narrow, "schema": checkSchema, "await": await,
			"terminate": terminate,
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

// await FILE waits until there is a file.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await file")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s: not there after a minute", args[0])
		}
	}
}

// terminate FILE sends SIGTERM to the process whose number is in a file.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate file")
	}
	pid, err := strconv.Atoi(ts.ReadFile(args[0]))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Signal(syscall.SIGTERM))
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

// The line of progress fits a terminal whatever the case is called.
func TestProgressFits(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, "boringtun", 200, false)
	p.terminal, p.last = true, time.Now().Add(-time.Hour)
	p.watch(conformance.Event{Case: "area/" + strings.Repeat("long-", 40), Try: 1, Lasts: time.Minute})
	p.result(&conformance.Result{Case: "area/" + strings.Repeat("long-", 39), Verdict: conformance.Fail})
	go p.live()
	p.end()
	line := strings.TrimPrefix(strings.TrimSuffix(b.String(), "\r\x1b[K"), "\r\x1b[K")
	if n := len([]rune(line)); n > 100 || !strings.Contains(line, "boringtun  1/200") ||
		!strings.Contains(line, "1 failed") {
		t.Errorf("%d columns: %q", n, line)
	}
}

// In a log the state comes with what still runs, what lasts longest first, and what is to be repeated.
func TestProgressNames(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, "wgnode", 9, false)
	begin := func(id string, try int, lasts time.Duration) {
		p.watch(conformance.Event{Case: id, Try: try, Lasts: lasts})
	}
	begin("a/short", 1, time.Second)
	begin("a/long", 2, 10*time.Minute)
	begin("a/done", 1, time.Minute)
	begin("a/failed", 1, time.Minute)
	p.result(&conformance.Result{Case: "a/done", Verdict: conformance.Pass})
	p.watch(conformance.Event{Case: "a/failed", Try: 1, Verdict: conformance.Fail, Reason: "too late"})
	p.show(time.Now().Add(time.Minute))
	want := "wgnode: fail a/failed, is repeated: too late\n" +
		"wgnode  1/9  ██░░░░░░░░░░░░░░░░░░  1m0s\n" +
		"  2 run: a/long (try 2) 1m0s of 10m0s, a/short 1m0s of 1s; 1 to be repeated\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	begin("a/failed", 2, time.Minute)
	begin("a/x", 1, time.Minute)
	begin("a/y", 1, time.Minute)
	if s := p.still(time.Now(), 2); !strings.HasPrefix(s, "5 run: a/long (try 2) 0s of 10m0s, a/") ||
		!strings.HasSuffix(s, " of 1m0s, 3 more") {
		t.Errorf("got %q", s)
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
