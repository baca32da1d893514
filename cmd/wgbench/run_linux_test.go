package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
)

// mark is set in the environment of a run and of all that it starts.
const mark = "WGBENCH_TEST_MARK"

// The test binary is wgbench when a run starts it for an end, or a test for a run of its own.
func TestMain(m *testing.M) {
	if os.Getenv("WGBENCH_TEST_MAIN") != "" || len(os.Args) == 2 && os.Args[1] == agentCommand {
		main()
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root, for namespaces and interfaces")
	}
}

// mustWireguardGo builds wireguard-go from its module and gives its path.
func mustWireguardGo(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wireguard-go")
	if out, err := exec.Command("go", "build", "-o", file, "golang.zx2c4.com/wireguard").CombinedOutput(); err != nil {
		t.Fatalf("building wireguard-go: %v: %s", err, out)
	}
	return file
}

// traces is what a run could leave on the host.
type traces struct{ interfaces, namespaces, sockets []string }

func hostTraces(t *testing.T) (tr traces) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Name == vethName || i.Name == interfaceName {
			tr.interfaces = append(tr.interfaces, i.Name)
		}
	}
	names := func(pattern string) []string {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(found, func(s string) bool { return !strings.Contains(s, interfaceName) })
	}
	tr.namespaces, tr.sockets = names("/run/netns/*"), names(socketFolder+"/*")
	return tr
}

// marked gives the command names of living processes whose environment has the mark.
func marked(t *testing.T, value string) (names []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || !slices.ContainsFunc(bytes.Split(text, []byte{0}),
			func(v []byte) bool { return string(v) == mark+"="+value }) {
			continue
		}
		if name, err := os.ReadFile(filepath.Join(filepath.Dir(f), "comm")); err == nil {
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	return names
}

// awaitNothing waits until no process of the run is left, and looks for the rest.
func awaitNothing(t *testing.T, value string, before traces) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := marked(t, value)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v", left)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if after := hostTraces(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the host has %v, before it had %v", after, before)
	}
}

// start starts a run in a process of its own. Its exit ends the returned command's Wait.
func start(t *testing.T, value, command string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := exec.Command("/proc/self/exe", "tunnel", "--impl", "it="+command, "--only", "tcp1", "--seconds", "30")
	c.Env = append(os.Environ(), "WGBENCH_TEST_MAIN=1", mark+"="+value)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() }) // fails if it has ended, as it should have
	return c, &out
}

// A short run of wireguard-go against itself, all through the command line.
func TestTunnel(t *testing.T) {
	needRoot(t)
	command := mustWireguardGo(t) + " -f {if}"
	value := t.Name() + fmt.Sprint(os.Getpid())
	before := hostTraces(t)
	file := filepath.Join(t.TempDir(), "b.json")
	c := exec.Command("/proc/self/exe", "tunnel", "--impl", "one="+command, "--impl", "two="+command, "--rounds", "2",
		"--only", "tcp1,ping", "--seconds", "0.5", "--json", file)
	c.Env = append(os.Environ(), "WGBENCH_TEST_MAIN=1", mark+"="+value)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	awaitNothing(t, value, before)
	if n := strings.Count(stderr.String(), "round "); n != 2*2*2 {
		t.Errorf("%d progress lines, want one per round, group and implementation:\n%s", n, stderr.String())
	}
	if !strings.Contains(stdout.String(), "ping under TCP load, p99") {
		t.Errorf("no table:\n%s", stdout.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	checkReport(t, &r)
}

// checkReport wants each figure of tcp1 and ping for both implementations in both rounds, taking turns.
func checkReport(t *testing.T, r *report) {
	t.Helper()
	var want []string
	for round := 1; round <= 2; round++ {
		for _, group := range []string{"tcp1", "ping"} {
			for _, name := range []string{"one", "two"} {
				for _, m := range metrics {
					if m.Group == group {
						want = append(want, fmt.Sprint(round, name, m.Name))
					}
				}
			}
		}
	}
	var got []string
	for _, v := range r.Results {
		got = append(got, fmt.Sprint(v.Round, v.Implementation, v.Metric))
		if v.Value <= 0 {
			t.Errorf("%+v: nothing was measured", v)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("results\n%v\nwant\n%v", got, want)
	}
	if len(r.Summary) != 14 || r.Summary[1].Ratio != 1 || r.Summary[0].Rounds != 2 || r.Base != "two" {
		t.Errorf("summary: %+v, base %s", r.Summary, r.Base)
	}
	if r.Setup.Rounds != 2 || r.Setup.Seconds != 0.5 || len(r.Setup.Offloads) != len(offloadNames) ||
		r.Setup.Started.IsZero() {
		t.Errorf("setup: %+v", r.Setup)
	}
	value := func(name string) float64 {
		i := slices.IndexFunc(r.Results, func(v result) bool { return v.Metric == name })
		return r.Results[i].Value
	}
	if value("ping.idle.p50") > value("ping.idle.p99") || value("ping.load.p50") > value("ping.load.p99") {
		t.Errorf("p50 above p99: %+v", r.Results)
	}
}

// However a run ends, nothing of it is left: its ends are the first processes of their process namespaces.
func TestNothingIsLeft(t *testing.T) {
	needRoot(t)
	daemon := mustWireguardGo(t)
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		status int // -1: killed
	}{
		{"SIGKILL", syscall.SIGKILL, -1},
		{"SIGTERM", syscall.SIGTERM, shell.Failed},
		{"SIGINT", syscall.SIGINT, shell.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := t.Name() + fmt.Sprint(os.Getpid())
			before := hostTraces(t)
			run, out := start(t, value, daemon+" -f")
			deadline := time.Now().Add(30 * time.Second)
			for n := 0; n < 2; { // the daemons of both ends
				if time.Now().After(deadline) {
					t.Fatal("no daemons were started")
				}
				time.Sleep(20 * time.Millisecond)
				n = 0
				for _, name := range marked(t, value) {
					if name == "wireguard-go" {
						n++
					}
				}
			}
			if err := run.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			_ = run.Wait() // its status is what is looked at
			if got := run.ProcessState.ExitCode(); got != c.status {
				t.Errorf("status %d, want %d: %s", got, c.status, out)
			}
			awaitNothing(t, value, before)
		})
	}
}

// afterTenMegabytes is shell that waits until the interface has received so much.
const afterTenMegabytes = `until grep -q '` + interfaceName + `: *[0-9]\{8\}' /proc/net/dev; do sleep 0.05; done`

func TestDaemonTrouble(t *testing.T) {
	needRoot(t)
	daemon := mustWireguardGo(t)
	for _, c := range []struct{ name, command, want string }{
		{"cannot be started", "/no/such/file", "no such file"},
		{"ends at once", `sh -c "echo out of luck; exit 3"`, "exit status 3: out of luck"},
		{"dies in a measurement", `sh -c "` + daemon + ` -f {if} & ` + afterTenMegabytes + `; kill -9 $!; wait"`,
			"the daemon has died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := t.Name() + fmt.Sprint(os.Getpid())
			before := hostTraces(t)
			c2 := exec.Command("/proc/self/exe", "tunnel", "--impl", "it="+c.command, "--only", "tcp1", "--seconds", "6")
			c2.Env = append(os.Environ(), "WGBENCH_TEST_MAIN=1", mark+"="+value)
			out, _ := c2.CombinedOutput() // its status is what is looked at
			if got := c2.ProcessState.ExitCode(); got != shell.Failed || !strings.Contains(string(out), c.want) {
				t.Errorf("status %d, want %d with %q: %s", got, shell.Failed, c.want, out)
			}
			awaitNothing(t, value, before)
		})
	}
}

// The agent is no command for people.
func TestAgentByHand(t *testing.T) {
	if err := agent(strings.NewReader(""), nil); err == nil || !strings.Contains(err.Error(), "first process") {
		t.Errorf("error %v", err)
	}
}
