package capture_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/capture"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

// failing are cases that must fail on a right core: one because something comes, one because nothing does.
var failing = []conformance.Case{
	{ID: "test/silence/broken", Rules: []string{"QUIET-01"}, Level: conformance.Must, Isolation: conformance.Shared,
		Title: "Nothing is sent", Lasts: 5 * time.Second, Run: func(t *conformance.T) {
			p := t.Peer()
			s := p.Handshake()
			s.Deliver(p.Inbound())
			t.Inject(p.Outbound())
			p.Silence(conformance.Transport, time.Second)
		}},
	{ID: "test/silence/kept", Rules: []string{"HS-08"}, Level: conformance.Must, Isolation: conformance.Shared,
		Title: "Something is sent", Lasts: 5 * time.Second, V6: true, Run: func(t *conformance.T) {
			p := t.Peer()
			s := p.Handshake()
			s.Deliver(p.Inbound())
			p.Expect(conformance.Response, t.Soon())
		}},
}

func results(t *testing.T) map[string]*conformance.Result {
	t.Helper()
	all := map[string]*conformance.Result{}
	o := conformance.Options{Seed: 7, Cases: failing}
	for r := range conformance.Run(context.Background(), coretarget.Factory{}, o) {
		if r.Verdict != conformance.Fail {
			t.Fatalf("%s: %s %s", r.Case, r.Verdict, r.Reason)
		}
		all[r.Case] = &r
	}
	return all
}

// shark runs tshark on a capture and gives the lines of its answer.
func shark(t *testing.T, r *conformance.Result, filter string, fields ...string) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatal("tshark is missing: run .ci/setup, which installs it")
	}
	var b bytes.Buffer
	if err := capture.Write(&b, "core", r, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", filter,
		"-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(path, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark -Y '%s': %v\n%s", filter, err, &errs)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func TestTsharkDecryptsAFailedCase(t *testing.T) {
	some := map[string]func(wgType, stamp, ok, protocols, face string) bool{
		"a decrypted initiation": func(wgType, stamp, _, _, _ string) bool { return wgType == "1" && stamp != "" },
		"a decrypted response": func(wgType, _, ok, _, _ string) bool {
			return wgType == "2" && (ok == "1" || ok == "True")
		},
		"a decrypted packet": func(wgType, _, _, protocols, _ string) bool {
			return wgType == "4" && strings.Contains(protocols, "wg:ip")
		},
		"an inner packet": func(_, _, _, _, face string) bool { return face == "inner" },
	}
	none := []string{"_ws.malformed", "wg.type==1 && !wg.timestamp.value", "wg.type==2 && !(wg.handshake_ok==1)",
		`wg.type==4 && !wg.keepalive && !(frame.protocols contains "wg:ip")`,
		`ip.checksum.status == "Bad" || udp.checksum.status == "Bad"`, "!frame.comment"}
	for id, r := range results(t) {
		all := shark(t, r, "frame", "wg.type", "wg.timestamp.value", "wg.handshake_ok", "frame.protocols",
			"frame.interface_name")
		for what, is := range some {
			found := false
			for _, line := range all {
				f := strings.Split(line, "\t")
				found = found || is(f[0], f[1], f[2], f[3], f[4])
			}
			if !found {
				t.Errorf("%s: no %s in %q", id, what, all)
			}
		}
		if got := shark(t, r, "("+strings.Join(none, ") || (")+")", "frame.number", "frame.comment"); len(got) > 0 {
			t.Errorf("%s: one of %q lists %q", id, none, got)
		}
	}
}

// The comment is on the packet that broke the rule, or on the last one if nothing came.
func TestTheBlameIsOnThePacket(t *testing.T) {
	all := results(t)
	got := shark(t, all["test/silence/broken"], `frame.comment contains "this broke the rule"`, "wg.type", "ip.src",
		"frame.comment")
	if len(got) != 1 || !strings.HasPrefix(got[0], "4\t") || !strings.Contains(got[0], "QUIET-01") ||
		!strings.Contains(got[0], "expected no transport message to a for 1.000 s") {
		t.Errorf("blamed: %q", got)
	}
	frames := shark(t, all["test/silence/kept"], "frame", "frame.comment")
	if last := frames[len(frames)-1]; !strings.Contains(last, "FAIL, after this packet (HS-08)") {
		t.Errorf("the last comment is %q", last)
	}
}

func TestCaptureRefusesAddressesThatAreNone(t *testing.T) {
	r := &conformance.Result{Case: "a/b",
		Trace: []conformance.TraceEntry{{Kind: "datagram-in", Local: "x", Remote: "y"}}}
	err := capture.Write(new(bytes.Buffer), "core", r, time.Time{})
	if err == nil || !strings.Contains(err.Error(), "a/b") {
		t.Errorf("got error %v", err)
	}
}
