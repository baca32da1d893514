package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/internal/testhost"
)

// patience is for everything that must happen sooner or later on a slow machine. It is more than the 15 s after which
// a peer without news begins anew (LIFE-02).
const patience = 60 * time.Second

// -peers says against whom the tests of tunnels are run; wgnode has one end of each.
var peers = flag.String("peers", "wgnode,wireguard-go,boringtun-cli", "programs at the other end of a tunnel")

// arguments are those without which a program gives up rights that it needs, or cannot roam: a connected socket keeps
// its address.
var arguments = map[string][]string{
	"boringtun-cli": {"--disable-drop-privileges", "--disable-connected-udp"}, "gotatun": {"--disable-drop-privileges"},
}

// against runs a test against each peer.
func against(t *testing.T, f func(t *testing.T, peer string)) {
	for _, peer := range strings.Split(*peers, ",") {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			provide(t, peer)
			f(t, peer)
		})
	}
}

// noted has the result of t written down for docs/INTEROP.md, which .ci/interop makes of it.
func noted(t *testing.T, scenario, peer string) {
	t.Cleanup(func() {
		if !t.Skipped() {
			t.Logf("INTEROP|%s|%s|%s", scenario, peer, map[bool]string{false: "ok", true: "FAILED"}[t.Failed()])
		}
	})
}

// host is a machine of its own: network, mount and process namespaces, with an empty /var/run/wireguard. Whatever
// runs in it ends with the test.
type host struct {
	t    *testing.T
	name string
	pid  int    // of its first process
	dir  string // for files, seen by all hosts
}

// need fails the test, saying what this machine lacks.
func need(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, for it makes network namespaces and TUN devices")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Fatal("this test needs /dev/net/tun")
	}
	for tool, from := range map[string]string{
		"wg": "wireguard-tools", "wg-quick": "wireguard-tools", "ip": "iproute2", "ss": "iproute2",
		"ping": "iputils-ping", "nsenter": "util-linux", "setpriv": "util-linux", "mount": "mount", "perl": "perl-base",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s (Debian package %s)", tool, from)
		}
	}
}

// newHost boots a host.
func newHost(t *testing.T, name string) *host {
	t.Helper()
	need(t)
	return &host{t, name, testhost.Boot(t), t.TempDir()}
}

// command makes a command that runs on the host.
func (h *host) command(args ...string) *exec.Cmd {
	c := testhost.Command(h.pid, args...)
	c.Env = append(os.Environ(), "PATH="+binaries(h.t)+":"+boringtun.dir+":"+os.Getenv("PATH"))
	return c
}

// try runs a command on the host.
func (h *host) try(args ...string) (string, error) {
	out, err := h.command(args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("on %s: %s: %w: %s", h.name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// run runs a command that must succeed.
func (h *host) run(args ...string) string {
	h.t.Helper()
	out, err := h.try(args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// runs runs commands that are written with spaces.
func (h *host) runs(lines ...string) {
	h.t.Helper()
	for _, l := range lines {
		h.run(strings.Fields(l)...)
	}
}

// file writes a file that only root can read, and gives its path.
func (h *host) file(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// eventually waits until f holds.
func (h *host) eventually(what string, f func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("on %s: not within %v: %s", h.name, patience, what)
		}
	}
}

// pings asks for an answer from address, again and again.
func (h *host) pings(address string) {
	h.t.Helper()
	h.eventually("an answer from "+address, func() bool {
		_, err := h.try("ping", "-n", "-c", "1", "-W", "2", address)
		return err == nil
	})
}

// exists reports whether there is an interface of that name.
func (h *host) exists(name string) bool {
	_, err := h.try("ip", "link", "show", "dev", name)
	return err == nil
}

// running lists the processes of the host by their command lines, without our own commands.
func (h *host) running(program string) (pids []string) {
	out := h.run("sh", "-c", `for d in /proc/[0-9]*; do echo "${d#/proc/} $(tr '\0' ' ' <$d/cmdline 2>/dev/null)"; done`)
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) > 1 && filepath.Base(f[1]) == program {
			pids = append(pids, f[0])
		}
	}
	return pids
}

// traces is all that a tunnel may leave behind on a host.
func (h *host) traces() string {
	h.t.Helper()
	return h.run("sh", "-c", "ip -br link | cut -d' ' -f1; ip -br addr; ip -4 rule; ip -6 rule; "+
		"ip -4 route show table all; ip -6 route show table all | grep -v fe80; ls -A /var/run/wireguard; "+
		"cat /proc/sys/net/ipv4/conf/all/src_valid_mark; "+
		"for d in /proc/[0-9]*; do tr '\\0' ' ' <$d/cmdline 2>/dev/null; echo; done | "+
		"grep -E '^[^ ]*(wgnode|wireguard-go) ' || true; command -v nft >/dev/null && nft list ruleset")
}

// connect puts a cable between two hosts: veth0 on both, with 192.0.2.N/24 and 2001:db8::N/64.
func connect(a, b *host) {
	a.t.Helper()
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(a.pid), "-n", "--", "ip", "link", "add", "veth0",
		"type", "veth", "peer", "name", "veth0", "netns", strconv.Itoa(b.pid)).CombinedOutput()
	if err != nil {
		a.t.Fatalf("cannot make a veth pair: %v %s", err, out)
	}
	for i, h := range []*host{a, b} {
		h.runs(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev veth0", i+1),
			fmt.Sprintf("ip addr add 2001:db8::%d/64 dev veth0 nodad", i+1), "ip link set veth0 up")
	}
	for _, to := range []string{"192.0.2.2", "2001:db8::2"} {
		a.pings(to)
	}
}

var build struct {
	once sync.Once
	dir  string
	err  error
}

// binaries builds wgnode and wireguard-go, once, and gives their folder.
func binaries(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "wgnode-test-"); build.err != nil {
			return
		}
		if build.err = os.Chmod(build.dir, 0o755); build.err != nil { // a test runs it as somebody else
			return
		}
		for name, from := range map[string]string{"wgnode": ".", "wireguard-go": "golang.zx2c4.com/wireguard"} {
			out, err := exec.Command("go", "build", "-o", filepath.Join(build.dir, name), from).CombinedOutput()
			if err != nil {
				build.err = fmt.Errorf("go build %s: %w: %s", from, err, out)
				return
			}
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.dir
}

var boringtun struct {
	once   sync.Once
	dir    string
	status error
}

// provide sees to it that a program can be run. What is not built here must be installed, but that boringtun-cli is
// built if there is cargo: without it, and only then, the test is skipped.
func provide(t *testing.T, program string) {
	t.Helper()
	binaries(t)
	if program != "boringtun-cli" {
		find := exec.Command("sh", "-c", "PATH="+binaries(t)+":$PATH; command -v "+program)
		if err := find.Run(); err != nil {
			t.Fatalf("this test needs %s in PATH: %v", program, err)
		}
		return
	}
	boringtun.once.Do(func() {
		c := exec.Command("../../.ci/boringtun")
		c.Stderr = os.Stderr
		out, err := c.Output()
		boringtun.dir, boringtun.status = strings.TrimSpace(string(out)), err
	})
	if exit, ok := errors.AsType[*exec.ExitError](boringtun.status); ok && exit.ExitCode() == 3 {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: there is no cargo\n", t.Name())
		t.Skip("there is no cargo to build boringtun-cli with")
	}
	if boringtun.status != nil {
		t.Fatalf(".ci/boringtun: %v", boringtun.status)
	}
}

// envHelper makes the test binary one of the helpers, which run on a host.
const envHelper = "WGNODE_TEST_HELPER"

var helpers = map[string]func(args []string) error{
	"give": give, "take": take, "send": send, "echo": echo, "ask": ask, "attack": attack,
}

// helper makes a command that runs a helper on the host.
func (h *host) helper(name string, args ...string) *exec.Cmd {
	c := h.command(append([]string{os.Args[0]}, args...)...)
	c.Env = append(c.Env, envHelper+"="+name)
	return c
}

func TestMain(m *testing.M) {
	if name := os.Getenv(envHelper); name != "" {
		if err := helpers[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// These tests wait more than they compute. The command line has the last word: it is read by Run.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
	os.Exit(code)
}
