package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
)

func TestEnvironment(t *testing.T) {
	type vars map[string]string
	for _, c := range []struct {
		name string
		vars vars
		want func(environment) bool
	}{
		{"nothing", vars{}, func(e environment) bool {
			return e.level == slog.LevelError && !e.silent && !e.chosen && !e.foreground && e.tunnel == -1 &&
				e.socket == -1 && e.handover == nil
		}},
		{"verbose", vars{envLogLevel: "verbose"}, func(e environment) bool {
			return e.level == slog.LevelDebug && e.chosen
		}},
		{"debug", vars{envLogLevel: "debug"}, func(e environment) bool { return e.level == slog.LevelDebug }},
		{"silent", vars{envLogLevel: "silent"}, func(e environment) bool { return e.silent }},
		{"any other", vars{envLogLevel: "x"}, func(e environment) bool { return e.level == slog.LevelError && !e.silent }},
		{"descriptors", vars{envTunnel: "3", envSocket: "0"}, func(e environment) bool {
			return e.tunnel == 3 && e.socket == 0
		}},
		{"foreground", vars{envForeground: "1"}, func(e environment) bool { return e.foreground }},
		{"not foreground", vars{envForeground: "yes"}, func(e environment) bool { return !e.foreground }},
		{"handover", vars{envHandover: "config=5,ready=6"}, func(e environment) bool {
			return len(e.handover) == 2 && e.handover[handConfig] == 5 && e.handover[handReady] == 6
		}},
		{"empty handover", vars{envHandover: handNone}, func(e environment) bool { return e.handover != nil }},
	} {
		e, err := readEnvironment(func(name string) string { return c.vars[name] })
		if err != nil || !c.want(e) {
			t.Errorf("%s: %+v, %v", c.name, e, err)
		}
	}
	for _, bad := range []vars{
		{envTunnel: "-1"}, {envTunnel: "x"}, {envSocket: "4294967296"}, {envHandover: "config"}, {envHandover: "=3"},
	} {
		if e, err := readEnvironment(func(name string) string { return bad[name] }); err == nil {
			t.Errorf("%v is taken: %+v", bad, e)
		}
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := newNotifier(path)
	for _, c := range []struct {
		send func() error
		want string
	}{
		{
			func() error { return n.ready("serving wg0") },
			"READY=1\nMAINPID=" + strconv.Itoa(os.Getpid()) + "\nSTATUS=serving wg0\n",
		},
		{n.stopping, "STOPPING=1\n"},
	} {
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		var b [256]byte
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Read(b[:]); err != nil || string(b[:got]) != c.want {
			t.Errorf("received %q, %v; want %q", b[:got], err, c.want)
		}
	}
	if err := newNotifier("").ready("x"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
	if err := newNotifier(path + "-gone").stopping(); err == nil {
		t.Error("nobody listens, and that is no error")
	}
}

// still is a node whose numbers stand still.
type still struct {
	status  transports.Status
	peers   []protocol.PeerStats
	metrics transports.Metrics
}

func (s *still) Get(head func(transports.Status), peer func(protocol.PeerStats, []netip.Prefix) bool) {
	head(s.status)
	for _, p := range s.peers {
		peer(p, nil)
	}
}

func (s *still) Metrics() transports.Metrics { return s.metrics }

func TestMetrics(t *testing.T) {
	key := keyText(2)
	node := &still{
		status: transports.Status{Up: true, Port: 51820, MTU: 1420},
		peers: []protocol.PeerStats{{
			ID: 1, PublicKey: keyOf(2), PresharedKey: keyOf(7), RxBytes: 11, TxBytes: 22, Staged: 3,
			LastHandshake: time.UnixMilli(1500),
		}},
		metrics: transports.Metrics{
			Sent: transports.Flow{
				Batches: 4, Packets: 133, Bytes: 9000, Sizes: [transports.SizeBuckets]uint64{2, 1, 0, 0, 0, 0, 0, 1},
			},
			Received: transports.Flow{Errors: 5}, HandshakeJobs: 6, Unreachables: 7, UnreachablesLimited: 8,
			Wakeups: 9, ReadErrors: 10,
		},
	}
	node.status.Drops[protocol.DropMAC1] = 12
	var hands handshakes
	done := protocol.Event{Kind: protocol.EventHandshakeComplete, Peer: 1, Initiator: true}
	hands.count([]protocol.Event{done, done})
	hands.count([]protocol.Event{{Kind: protocol.EventHandshakeComplete, Peer: 9}, {Kind: protocol.EventLoad, Peer: 1}})
	s, err := serveMetrics("127.0.0.1:0", newCollector("wg0", node, &hands), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	text := scrape(t, s.listener.Addr().String())
	for _, line := range []string{
		`wgnode_peer_receive_bytes_total{interface="wg0",public_key="` + key + `"} 11`,
		`wgnode_peer_transmit_bytes_total{interface="wg0",public_key="` + key + `"} 22`,
		`wgnode_peer_staged_packets{interface="wg0",public_key="` + key + `"} 3`,
		`wgnode_peer_last_handshake_seconds{interface="wg0",public_key="` + key + `"} 1.5`,
		`wgnode_peer_handshakes_total{interface="wg0",public_key="` + key + `",role="initiator"} 2`,
		`wgnode_peer_handshakes_total{interface="wg0",public_key="` + key + `",role="responder"} 0`,
		`wgnode_drops_total{interface="wg0",reason="mac1"} 12`,
		`wgnode_batch_packets_bucket{at="network_send",interface="wg0",le="1"} 2`,
		`wgnode_batch_packets_bucket{at="network_send",interface="wg0",le="3"} 3`,
		`wgnode_batch_packets_bucket{at="network_send",interface="wg0",le="127"} 3`,
		`wgnode_batch_packets_bucket{at="network_send",interface="wg0",le="+Inf"} 4`,
		`wgnode_batch_packets_sum{at="network_send",interface="wg0"} 133`,
		`wgnode_bytes_total{at="network_send",interface="wg0"} 9000`,
		`wgnode_errors_total{at="network_receive",interface="wg0"} 5`,
		`wgnode_handshake_jobs_total{interface="wg0"} 6`,
		`wgnode_unreachables_total{interface="wg0",outcome="sent"} 7`,
		`wgnode_unreachables_total{interface="wg0",outcome="limited"} 8`,
		`wgnode_deadline_wakeups_total{interface="wg0"} 9`,
		`wgnode_read_errors_total{interface="wg0"} 10`,
		`wgnode_up{interface="wg0"} 1`, `wgnode_under_load{interface="wg0"} 0`,
		`wgnode_mtu_bytes{interface="wg0"} 1420`, `wgnode_listen_port{interface="wg0"} 51820`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(text, keyText(7)) {
		t.Error("the preshared key is in the metrics")
	}
	if _, initiator := hands.of(1); initiator != 2 || len(hands.peers) != 1 {
		t.Errorf("a peer that is gone is still counted: %v", hands.peers)
	}
}

func scrape(t *testing.T, addr string) string {
	t.Helper()
	r, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", r.Status, err, b)
	}
	return string(b)
}

func TestAwait(t *testing.T) {
	for said, want := range map[string]string{
		readyLine + "\n": "", "": "the daemon ended before it was ready", "no such thing\n": "no such thing",
	} {
		err := await(strings.NewReader(said))
		if got := ""; err != nil && err.Error() != want || err == nil && want != got {
			t.Errorf("the daemon says %q: %v, want %q", said, err, want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		code int
		want string
	}{
		{nil, nil, exitUsage, "which interface?"},
		{[]string{"a", "b"}, nil, exitUsage, "one interface, not 2"},
		{[]string{"--nonsense"}, nil, exitUsage, "unknown flag"},
		{[]string{"--config", "wg 0.conf"}, nil, exitUsage, "named after its interface"},
		{[]string{"--log-format", "xml", "wg0"}, nil, exitUsage, "text or json"},
		{[]string{"wg0"}, map[string]string{envTunnel: "x"}, exitUsage, envTunnel},
		{[]string{"--config", "/nonexistent/wg0.conf"}, nil, exitFailed, "no such file"},
	} {
		var stderr strings.Builder
		p := program{stdout: io.Discard, stderr: &stderr, getenv: func(name string) string { return c.env[name] }}
		if code := p.execute(c.args); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit status %d, %s; want %d and %q", c.args, code, stderr.String(), c.code, c.want)
		}
	}
}
