package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/eventlog"
)

// foreground starts wgnode -f with these arguments. The function that it gives ends wgnode with SIGTERM and fails the
// test unless the exit status is 0.
func (h *host) foreground(args ...string) (end func()) {
	h.t.Helper()
	c := h.command(append([]string{"wgnode", "-f"}, args...)...)
	return h.start(c, len(h.running("wgnode")))
}

// start waits until one wgnode more runs.
func (h *host) start(c *exec.Cmd, before int) (end func()) {
	h.t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	var pid string
	h.eventually("wgnode runs", func() bool {
		select {
		case err := <-done:
			h.t.Fatalf("%v: %v %s", c.Args, err, out.String())
		default:
		}
		pids := h.running("wgnode")
		if len(pids) > before {
			pid = pids[len(pids)-1]
		}
		return pid != ""
	})
	return func() {
		h.t.Helper()
		_, _ = h.try("kill", "-TERM", pid) // it may have ended
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("%v: %v %s", c.Args, err, out.String())
			}
		case <-time.After(patience):
			h.t.Errorf("%v does not end", c.Args)
			_ = c.Process.Kill()
		}
	}
}

// The ways in which wgnode ends by itself (LIFE-11), each of which leaves nothing behind.
func TestEnds(t *testing.T) {
	h := newHost(t, "A")
	before := h.traces()
	for _, c := range []struct{ name, command string }{
		{"the interface is deleted", "ip link del wg0"},
		{"the socket is removed", "rm /var/run/wireguard/wg0.sock"},
		{"SIGTERM comes", "kill -TERM PID"},
		{"SIGINT comes", "kill -INT PID"},
	} {
		h.runs("wgnode wg0", "ip link set wg0 up")
		h.runs(strings.ReplaceAll(c.command, "PID", strings.Join(h.running("wgnode"), " ")))
		h.eventually("it ends when "+c.name, func() bool { return len(h.running("wgnode")) == 0 })
		if after := h.traces(); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", c.name, before, after)
		}
	}
}

// In the foreground the exit status tells that this is no failure.
func TestEndsInForeground(t *testing.T) {
	h := newHost(t, "A")
	before := h.traces()
	for _, command := range []string{"ip link del wg0", "rm /var/run/wireguard/wg0.sock", "true"} {
		end := h.foreground("wg0")
		h.eventually("it answers", func() bool {
			_, err := h.try("wg", "show", "wg0")
			return err == nil
		})
		h.runs(command)
		if command != "true" { // nobody needs to tell it to end
			h.eventually("it ends after "+command, func() bool { return len(h.running("wgnode")) == 0 })
		}
		end()
		if after := h.traces(); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", command, before, after)
		}
	}
}

// The same name in another network namespace that shares /var/run/wireguard, and a user without rights: each is told
// what is wrong, and nothing is left behind.
func TestRefusals(t *testing.T) {
	h := newHost(t, "A")
	h.runs("mkdir -p /run/netns", "ip netns add other", "wgnode wg0")
	for _, c := range []struct{ args, want string }{
		{"ip netns exec other wgnode wg0", "wg0 is served by another process already"},
		{"ip netns exec other wgnode -f wg0", "wg0 is served by another process already"},
		{"setpriv --reuid=65534 --regid=65534 --clear-groups " + binaries(t) + "/wgnode -f wg1", "root or CAP_NET_ADMIN"},
		{"wgnode sixteen-letters1", "cannot make the interface sixteen-letters1"},
		{"wgnode a/b", "cannot make the interface a/b"},
	} {
		out, err := h.try(strings.Fields(c.args)...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v; want %q", c.args, err, c.want)
		}
	}
	h.runs("wg show wg0") // it is still there
	if got := h.running("wgnode"); len(got) != 1 {
		t.Errorf("%d processes", len(got))
	}
	if out := h.run("ip", "netns", "exec", "other", "ip", "-br", "link"); strings.Contains(out, "wg0") {
		t.Errorf("an interface that nobody serves: %s", out)
	}
}

// A daemon is in a session of its own, has the two capabilities that it needs in all its threads, and refuses company.
func TestDaemon(t *testing.T) {
	h := newHost(t, "A")
	h.runs("wgnode wg0")
	pid := h.running("wgnode")[0]
	caps := h.run("sh", "-c", "cat /proc/"+pid+"/task/*/status")
	for line := range strings.Lines(caps) {
		f := strings.Fields(line)
		switch f[0] {
		case "CapEff:", "CapPrm:", "CapBnd:":
			if f[1] != "0000000000001400" {
				t.Errorf("a thread has more than CAP_NET_ADMIN and CAP_NET_BIND_SERVICE: %s", line)
			}
		}
	}
	if got := strings.Count(caps, "CapEff:"); got < 2 {
		t.Errorf("%d threads were looked at", got)
	}
	stat := strings.Fields(h.run("cat", "/proc/"+pid+"/stat"))
	if stat[5] != pid {
		t.Errorf("its session is %s, it is %s", stat[5], pid)
	}
	for _, args := range [][]string{{"wgnode", "wg0"}, {"wgnode", "-f", "wg0"}} {
		if out, err := h.try(args...); err == nil || !strings.Contains(out, "another process serves it") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	h.runs("ip link set wg0 up", "wg set wg0 listen-port 443") // low, without all of root's power
	if got := strings.TrimSpace(h.run("wg", "show", "wg0", "listen-port")); got != "443" {
		t.Errorf("it listens on %s", got)
	}
	if out := h.run("stat", "-c", "%a %F", "/var/run/wireguard/wg0.sock"); strings.TrimSpace(out) != "700 socket" {
		t.Errorf("the socket: %s", out)
	}
}

// wgnode moves with its interface into another network namespace: the socket, and the UDP port, stay.
func TestMovedInterface(t *testing.T) {
	t.Parallel()
	noted(t, "interface moved to another network namespace", "wgnode")
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, false)
	a.pings("10.0.0.2")
	a.runs("mkdir -p /run/netns", "ip netns add inner", "ip link set wg0 netns inner")
	in := func(line string) []string {
		return append([]string{"ip", "netns", "exec", "inner"}, strings.Fields(line)...)
	}
	a.run(in("ip addr add 10.0.0.1/24 dev wg0")...)
	a.run(in("ip link set wg0 up")...)
	a.eventually("an answer through the moved interface", func() bool {
		_, err := a.try(in("ping -n -c 1 -W 2 10.0.0.2")...)
		return err == nil
	})
	if out := a.run("wg", "show", "wg0", "peers"); strings.TrimSpace(out) != b.public {
		t.Errorf("peers over the socket that stayed: %s", out)
	}
}

// A recording of a live tunnel replays to its end without a difference, metrics count, and a service manager is told.
func TestRecordMetricsNotify(t *testing.T) {
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, false)
	a.runs("ip link del wg0")
	a.eventually("wgnode has ended", func() bool { return len(a.running("wgnode")) == 0 })
	notify := filepath.Join(a.dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := a.file("wgr.conf", "[Interface]\nPrivateKey="+a.private+"\nListenPort=5000\nAddress=10.0.0.1/24\n"+
		"[Peer]\nPublicKey="+b.public+"\nAllowedIPs=10.0.0.2\nEndpoint=192.0.2.2:5000\n")
	record := filepath.Join(a.dir, "log")
	c := a.command("wgnode", "-f", "--config", path, "--record", record, "--metrics", "127.0.0.1:9586",
		"--log-format", "json")
	c.Env = append(c.Env, "NOTIFY_SOCKET="+notify, "LOG_LEVEL=debug")
	end := a.start(c, 0)
	receive(t, l, "READY=1\nMAINPID=")
	a.pings("10.0.0.2")
	if err := transfer(&side{host: a.host}, b, "10.0.0.2:7000", func() {}); err != nil {
		t.Fatal(err)
	}
	text := a.run("sh", "-c", fetchMetrics)
	for _, want := range []string{
		`wgnode_peer_handshakes_total{interface="wgr",public_key="` + b.public + `",role="initiator"} 1`,
		`wgnode_up{interface="wgr"} 1`, `wgnode_batch_packets_count{at="tunnel_read",interface="wgr"} `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
	end()
	receive(t, l, "STOPPING=1\n")
	info, err := os.Stat(record)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the recording: %v, %v", info, err)
	}
	log, err := os.Open(record)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	result, err := eventlog.Replay(log)
	if err != nil || !result.Complete || result.Packets < streamBytes/1500 {
		t.Errorf("replay: %v", err)
	}
	t.Logf("replayed: %+v", result)
	first, _, _ := strings.Cut(c.Stderr.(*bytes.Buffer).String(), "\n")
	if !strings.Contains(first, "will hold keys") {
		t.Errorf("it does not say that the recording is secret, but %s", first)
	}
}

// fetchMetrics uses what every Debian has; the metrics are on the host's own loopback.
const fetchMetrics = `perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new("127.0.0.1:9586") or die $!;` +
	`print $s "GET /metrics HTTP/1.0\r\n\r\n"; print while <$s>'`

func receive(t *testing.T, l *net.UnixConn, want string) {
	t.Helper()
	var b [512]byte
	if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Read(b[:]); err != nil || !strings.HasPrefix(string(b[:n]), want) {
		t.Errorf("the service manager was told %q, %v; want %q", b[:n], err, want)
	}
}
