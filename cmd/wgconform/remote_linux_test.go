package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/cmd/internal/testhost"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// patience bounds everything that happens sooner or later, however loaded this computer is.
const patience = 60 * time.Second

// namespace is a network and mount namespace of its own, with its first process.
type namespace struct {
	t   *testing.T
	pid int
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root, for it makes network namespaces and a TUN device")
	}
	for _, tool := range []string{"ip", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s (Debian packages iproute2, util-linux, mount)", tool)
		}
	}
	return &namespace{t, testhost.Boot(t)}
}

func (n *namespace) command(args ...string) *exec.Cmd {
	return testhost.Command(n.pid, args...)
}

func (n *namespace) run(args ...string) {
	n.t.Helper()
	if out, err := n.command(args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// start starts something that runs until the namespace ends.
func (n *namespace) start(args ...string) {
	n.t.Helper()
	c := n.command(args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = time.Second // nsenter has a child, which ends with the namespace
	if err := c.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Wait()
	}()
	n.t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
		if n.t.Failed() {
			n.t.Logf("%s said: %s", args[0], said.String())
		}
	})
}

// lab is a wgnode with a UDP echo behind its tunnel, and a tester who reaches no more than its UDP port.
type lab struct {
	device, tester *namespace
	dir, target    string
}

func newLab(t *testing.T, peers int) *lab {
	t.Helper()
	l := &lab{newNamespace(t), newNamespace(t), t.TempDir(), ""}
	l.target = filepath.Join(l.dir, "dev.yaml")
	node, config := filepath.Join(l.dir, "wgnode"), filepath.Join(l.dir, "wgdev.conf")
	if out, err := exec.Command("go", "build", "-o", node, "../wgnode").CombinedOutput(); err != nil {
		t.Fatalf("building wgnode: %v: %s", err, out)
	}
	// In the device's network only, for elsewhere the tester's process has another number.
	link := exec.Command("nsenter", "-t", strconv.Itoa(l.device.pid), "-n", "--", "ip", "link", "add", "veth0", "type",
		"veth", "peer", "name", "veth1", "netns", strconv.Itoa(l.tester.pid))
	if out, err := link.CombinedOutput(); err != nil {
		t.Fatalf("ip link: %v: %s", err, out)
	}
	for i, n := range []*namespace{l.device, l.tester} {
		veth := fmt.Sprintf("veth%d", i)
		n.run("ip", "address", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", veth)
		n.run("ip", "-6", "address", "add", fmt.Sprintf("2001:db8::%d/64", i+1), "dev", veth, "nodad")
		n.run("ip", "link", "set", veth, "up")
	}
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs, kinds: targetKinds(), cases: conformance.Cases}
	if status := p.execute([]string{"init-remote", "--address", "192.0.2.1:51820", "--address", "[2001:db8::1]:51820",
		"--peers", strconv.Itoa(peers), "--trigger", "echo-udp:7", "--observe", "tos", "--out", l.target}); status != 0 {
		t.Fatal(errs.String())
	}
	if err := os.WriteFile(config, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l.device.start(node, "-f", "--config", config)
	l.device.start("udpecho", "10.99.0.1:7", "[fd99:77::1]:7")
	return l
}

// test runs wgconform in the tester's namespace until the device is ready, and gives its document.
func (l *lab) test(t *testing.T, args ...string) *report.Document {
	t.Helper()
	results := filepath.Join(l.dir, "r.json")
	args = append([]string{"wgconform", "run", "--target", "remote:" + l.target, "--quiet", "--captures", "",
		"--json", results}, args...)
	var out []byte
	var err error
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		if out, err = l.tester.command(args...).CombinedOutput(); !notReady(out) || time.Now().After(end) {
			break
		}
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != shell.Failed) {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var doc report.Document
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

// notReady reports whether the device was not up yet: those are errors that a person has to see as well.
func notReady(out []byte) bool {
	return bytes.Contains(out, []byte("does not answer"))
}

// A wgnode in another namespace, reached only over UDP and with an echo behind its tunnel, is tested as a device: some
// cases of every sort that an echo is enough for. All of them are a command in docs/REMOTE.md.
func TestRemote(t *testing.T) {
	t.Parallel()
	l := newLab(t, 24)
	globs := []string{"wire/crypto/*", "wire/length/*", "handshake/respon*", "key/replay/*", "roam/data/*",
		"quiet/data/bad-tag", "qos/*"}
	if !testing.Short() {
		globs = append(globs, "handshake/initiate/at-once/ipv6") // 15 s until the device begins by itself
	}
	args := []string{"--profile", "quick", "--skip", "*/initiator", "--skip", "*cookie*"}
	for _, g := range globs {
		args = append(args, "--only", g)
	}
	passed, need := 0, 25
	for _, r := range l.test(t, args...).Runs[0].Results {
		switch r.Verdict {
		case conformance.Pass, conformance.Measured:
			passed++
		case conformance.Unsupported, conformance.Inconclusive:
		default:
			t.Errorf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
	}
	if passed < need {
		t.Errorf("%d cases passed, %d should", passed, need)
	}
	t.Logf("%d cases passed", passed)
}

// What is wrong with a device is said at once and by one line, not by hundreds of broken rules.
func TestRemoteThatIsNone(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	l.test(t, "--only", "handshake/session/carries-data/responder")
	text, err := os.ReadFile(l.target)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(l.dir, "other.yaml")
	psk := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for _, c := range []struct{ old, replacement, want string }{
		{"192.0.2.1:51820", "192.0.2.1:51821", "the device does not answer handshakes at 192.0.2.1:51821"},
		{"  allowed-ips: [10.99.0.2", "  preshared-key: " + psk + "\n  allowed-ips: [10.99.0.2", "none of peers[0]: "},
		{"10.99.0.1:7", "10.99.0.1:8", "trigger.echo-udp: 10.99.0.1:8 does not answer 10.99.0.2 through the tunnel"},
	} {
		broken := strings.Replace(string(text), c.old, c.replacement, 1)
		if err := os.WriteFile(other, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := l.tester.command("wgconform", "run", "--target", "remote:"+other, "--quiet").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != shell.Usage || !strings.Contains(string(out), c.want) ||
			strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v: %s", c.replacement, err, out)
		}
	}
}
