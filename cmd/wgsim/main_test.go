package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/cmd/internal/shell/shelltest"
	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// TestMain makes two programs for the scripts: wgsim, and wgsim-bad, which is the same with a core that delivers
// copies, so that a checker is broken.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"wgsim": main,
		"wgsim-bad": func() {
			p := program{stdout: os.Stdout, stderr: os.Stderr, newDevice: badCore}
			os.Exit(p.execute(os.Args[1:]))
		},
	})
}

func badCore(c protocol.Config) (*protocol.Device, error) {
	d, err := protocol.New(c)
	if err == nil {
		err = protocoltest.WithDefect(d, "no-replay-window")
	}
	return d, err
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": shelltest.Status,
			"differ": differ,
		},
	})
}

// differ A B fails if the files are the same.
func differ(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: differ file file")
	}
	if ts.ReadFile(args[0]) == ts.ReadFile(args[1]) {
		ts.Fatalf("%s and %s are the same", args[0], args[1])
	}
}

// An interrupted run leaves nothing behind, since half a run is no result.
func TestInterruptRemovesTheFiles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs, newDevice: protocol.New}
	err := p.run(ctx, runFlags{scenario: defaultScenario, seed: 1, seeded: true, duration: time.Hour,
		pcap: filepath.Join(dir, "x.pcapng"), json: filepath.Join(dir, "x.json")})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got error %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// The filters are those of the issue, word for word; package capture has stricter ones.
func TestTsharkReadsTheCapture(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatal("tshark is missing: run .ci/setup, which installs it")
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs, newDevice: protocol.New}
	if code := p.execute([]string{"run", "--seed", "7", "--quiet", "--pcap", file}); code != shell.OK {
		t.Fatalf("exit status %d\n%s%s", code, &out, &errs)
	}
	frames := func(filter string) string {
		t.Helper()
		var errs bytes.Buffer
		cmd := exec.Command(tshark, "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number",
			"-e", "icmp.type", "-e", "frame.comment")
		cmd.Stderr = &errs
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark -Y '%s': %v\n%s", filter, err, &errs)
		}
		return string(b)
	}
	pings := frames("icmp")
	if !strings.Contains(pings, "\t8\t") || !strings.Contains(pings, "\t0\t") {
		t.Error("icmp does not list pings in both directions")
	}
	for _, some := range []string{"wg.type==1 && wg.timestamp.value", "wg.type==2 && wg.handshake_ok==1"} {
		if frames(some) == "" {
			t.Errorf("no frame: %s", some)
		}
	}
	for _, none := range []string{"_ws.malformed", "wg.type==1 && !wg.timestamp.value",
		"wg.type==2 && !(wg.handshake_ok==1)",
		"wg.type==4 && !wg.keepalive && !icmp && !udp.payload && !ip.version"} {
		for line := range strings.Lines(frames(none)) {
			if !strings.Contains(line, "forged: ") && !strings.Contains(line, "damaged ") {
				t.Errorf("%s lists frame %s", none, line)
			}
		}
	}
}
