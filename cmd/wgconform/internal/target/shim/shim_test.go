package shim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/timers"
)

// badly makes this test a shim of the core, in which replies that match one expression get another text.
const badly = "PUREWIRE_TEST_SHIM"

func TestMain(m *testing.M) {
	mode := os.Getenv(badly)
	if mode == "" {
		os.Exit(m.Run())
	}
	out := &mangler{out: os.Stdout, mode: mode}
	o := proto.Options{Has: []string{proto.Addresses, proto.Repeats, proto.Work}}
	if err := proto.Serve(context.Background(), os.Stdin, out, coretarget.Factory{}, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// mangler is given one reply at a time.
type mangler struct {
	out     io.Writer
	mode    string
	replies int
}

// mangles are what modes do to a reply: an expression, and what replaces it.
var mangles = map[string][2]string{
	"id":        {`"id":([0-9]+),"now":([1-9])`, `"id":7$1,"now":$2`},
	"no-now":    {`"now":[1-9][0-9]*,?`, ``},
	"now-back":  {`"now":[1-9][0-9]*`, `"now":-1`},
	"hex":       {`"bytes":"02`, `"bytes":"0g`},
	"type":      {`"at":([0-9]+)`, `"at":"$1"`},
	"kind":      {`"datagram":\{`, `"dategram":{`},
	"at":        {`"at":([0-9]+)`, `"at":9$1`},
	"endpoint":  {`"endpoint":"10`, `"endpoint":"nowhere`},
	"no-state":  {`"state":`, `"estate":`},
	"no-text":   {`"text":`, `"test":`},
	"late":      {`"deadline":[1-9][0-9]*`, `"deadline":null`},
	"past":      {`"deadline":[0-9]+`, `"deadline":-5`},
	"no-inputs": {`^\{"id":[0-9]+,"now":[1-9].*`, `{"id":ID,"unsupported":"it is deaf"}`},
	"refuse":    {`^\{"id":[0-9]+,"now":[1-9].*`, `{"id":ID,"error":"it will not"}`},
	"no-open":   {`^\{"id":[0-9]+,"now":0\b.*`, `{"id":ID,"unsupported":"not today"}`},
	"bad-open":  {`^\{"id":[0-9]+,"now":0\b.*`, `{"id":ID,"error":"no memory"}`},
	"text":      {`^\{"id":[0-9]+,"now":[1-9].*`, `listening on port 51820`},
	"layer":     {`"layer":"device"`, `"layer":"cake"`},
	"version":   {`"protocol":1`, `"protocol":2`},
	"ability":   {`"capabilities":\[`, `"capabilities":["flight",`},
	"both":      {`"lacks":\{`, `"lacks":{"uapi":"none"`},
	"no-hello":  {`"protocol":1,.*`, `"error":"busy"}`},
	"no-name":   {`"name":"core"`, `"name":""`},
}

var ids = regexp.MustCompile(`"id":[0-9]+`)

func (m *mangler) Write(reply []byte) (int, error) {
	n := len(reply)
	switch m.mode {
	case "good":
	case "silent":
		if m.replies > 2 {
			return n, nil
		}
	case "dies":
		if m.replies > 2 {
			fmt.Fprintln(os.Stderr, "thread 'main' panicked at 'oh'")
			os.Exit(101)
		}
	case "died":
		reply = bytes.Replace(reply, []byte(`"outputs":[`), []byte(`"outputs":[{"at":0,"died":"its only peer left"},`), 1)
	case "half":
		if m.replies > 2 {
			os.Stdout.Write(reply[:n/2])
			os.Exit(0)
		}
	default:
		r, ok := mangles[m.mode]
		if !ok {
			panic("no mode " + m.mode)
		}
		id := strings.TrimPrefix(ids.FindString(string(reply)), `"id":`)
		reply = regexp.MustCompile(r[0]).ReplaceAll(reply, []byte(strings.Replace(r[1], "ID", id, 1)))
		reply = append(bytes.TrimSpace(reply), '\n')
	}
	m.replies++
	_, err := m.out.Write(reply)
	return n, err
}

func open(t *testing.T, mode string) (*Factory, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(t.Context(), "env "+badly+"="+mode+" "+self, "a test", "")
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

// What a shim does wrong voids the case and names op and field; that it is gone is the subject's death.
func TestBadReplies(t *testing.T) {
	const (
		fail   = conformance.Fail
		broken = conformance.Broken
	)
	for _, c := range []struct {
		mode, only string
		verdict    conformance.Verdict
		reason     string
	}{
		{"good", "*", conformance.Pass, ""},
		{"id", "timer/*", broken, `the reply to ".*": id: is `},
		{"no-now", "timer/*", broken, `the reply to ".*": now: is missing`},
		{"now-back", "timer/*", broken, `now: goes back from \d+ to -1`},
		{"hex", "handshake/*", broken, `the reply to "datagrams": outputs.0.datagram.bytes: .*invalid byte`},
		{"type", "handshake/*", broken, `outputs.0.at: cannot be`},
		{"kind", "handshake/*", broken, `outputs.0: is to have one of datagram, packet and died`},
		{"at", "timer/*", broken, `outputs.0.at: is 9\d*, not between`},
		{"endpoint", "stat/*", broken, `the reply to "state": state.peers.endpoint: `},
		{"no-state", "stat/*", broken, `the reply to "state": state: is missing`},
		{"no-text", "uapi/get/*", broken, `the reply to "uapi": text: is missing`},
		{"past", "timer/*", broken, `deadline: is -5, before now`},
		{"no-inputs", "timer/*", conformance.Unsupported, `it is deaf`},
		{"refuse", "timer/*", broken, `it will not`},
		{"no-open", "timer/*", conformance.Unsupported, `not today`},
		{"bad-open", "timer/*", broken, `the target does not start: no memory`},
		{"text", "timer/*", broken, `the reply to ".*": no JSON .*, in listening on port 51820`},
		{"half", "timer/*", broken, `has no newline at its end`},
		{"dies", "timer/*", fail, `it ended, exit status 101; its last words:\nthread 'main' panicked at 'oh'`},
		{"died", "handshake/*", fail, `the subject died: its only peer left`},
		{"silent", "timer/passive-keepalive/due", fail, `no answer to ".*": none within 200ms, so it was ended`},
	} {
		f, err := open(t, c.mode)
		if err != nil {
			t.Errorf("%s: %v", c.mode, err)
			continue
		}
		if c.mode == "silent" {
			f.patience = 200 * time.Millisecond
			f.idle[0].Patience = f.patience
		}
		seen := 0
		for r := range conformance.Run(t.Context(), f, conformance.Options{Only: []string{c.only}, Seed: 1}) {
			is := r.Verdict == c.verdict && regexp.MustCompile(c.reason).MatchString(r.Reason)
			if is {
				seen++
			}
			// A field may be missed by cases that never get such a reply, but then nothing is wrong with them.
			if !is && r.Verdict != conformance.Pass && r.Verdict != conformance.Measured &&
				r.Verdict != conformance.Unsupported {
				t.Errorf("%s: %s: %s: %s", c.mode, r.Case, r.Verdict, r.Reason)
			}
			if c.mode != "good" && seen == 3 {
				break
			}
		}
		if seen == 0 {
			t.Errorf("%s: no case is %s with %s", c.mode, c.verdict, c.reason)
		}
	}
}

// A deadline that is too late is a promise that is broken as soon as something comes.
func TestBrokenPromise(t *testing.T) {
	f, err := open(t, "late")
	if err != nil {
		t.Fatal(err)
	}
	for r := range conformance.Run(t.Context(), f, conformance.Options{Only: []string{"timer/passive-keepalive/due"}}) {
		// Nothing is asked before null, so that the keepalive is missed.
		if r.Verdict != conformance.Fail || !strings.Contains(r.Reason, "got none") {
			t.Errorf("%s: %s", r.Verdict, r.Reason)
		}
	}
}

func TestBadGreetings(t *testing.T) {
	for mode, want := range map[string]string{
		"layer":    `the reply to "hello": layer: is "cake", there are device, library`,
		"version":  `the reply to "hello": protocol: is 2, and this runner speaks 1`,
		"ability":  `the reply to "hello": capabilities.0: is "flight", there are inner, `,
		"both":     `the reply to "hello": lacks.uapi: is among the capabilities too`,
		"no-hello": `the reply to "hello": busy`,
		"no-name":  `the reply to "hello": name: is missing`,
	} {
		if _, err := open(t, mode); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// Idle time costs nothing, since the shim says until when there is none.
func TestDeadlinesSaveRequests(t *testing.T) {
	f, err := open(t, "good")
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.New(conformance.Setup{Name: "idle"})
	if err != nil {
		t.Fatal(err)
	}
	process := s.(*subject).p
	before := process.last
	for k := range 1000 {
		s.Advance(timers.Time(k) * timers.Time(time.Second))
	}
	if asked := process.last - before; asked != 0 {
		t.Errorf("%d requests for time in which nothing happens", asked)
	}
	if _, err := s.State(); err != nil || process.last != before+2 { // the time, then the state
		t.Errorf("%d requests for the state (%v)", process.last-before, err)
	}
	if err := s.Close(); err != nil || len(f.idle) != 1 {
		t.Errorf("after Close %d processes are idle (%v)", len(f.idle), err)
	}
}

// The end of a run ends the program, and what it started.
func TestEndWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, []string{"sh", "-c", "sleep 600 & echo $!; wait"})
	if err != nil {
		t.Fatal(err)
	}
	line, err := p.Exchange("start", []byte("x\n"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.Exchange("end", []byte("x\n")); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("%v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("%v", err)
	}
	gone := func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", strings.TrimSpace(string(line))).Output()
		return err != nil || strings.HasPrefix(string(state), "Z")
	}
	for until := time.Now().Add(20 * time.Second); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("its child lives on")
		}
	}
}
