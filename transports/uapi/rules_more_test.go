//go:build linux

package uapi

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

func TestUAPI23(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=192.0.2.0/24\npublic_key=" + pub(3) +
		"\nallowed_ip=10.0.0.0/8\nallowed_ip=::/0\n")
	if a, b := r.routes(2), r.routes(3); a != "192.0.2.0/24" || b != "10.0.0.0/8 ::/0" {
		t.Fatalf("the prefix did not move: %q, %q", a, b)
	}
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.1.2.3/8\n") // host bits are cleared, B131
	if a, b := r.routes(2), r.routes(3); a != "10.0.0.0/8 192.0.2.0/24" || b != "::/0" {
		t.Fatalf("the prefix did not move back: %q, %q", a, b)
	}
	r.want("allowed_ip=10.0.0.0/8")
	for _, bad := range []string{"", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "/8",
		"10.0.0.0/08", "fe80::%1/64", "+10.0.0.0/8", "10.0.0.0/8,11.0.0.0/8", "10.0.0.0/8 "} {
		r.invalid("public_key=" + pub(2) + "\nallowed_ip=" + bad + "\n")
	}
}

func TestUAPI24(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=10.0.0.0/16\nallowed_ip=::/0\npublic_key=" +
		pub(3) + "\nallowed_ip=192.0.2.0/24\n")
	r.ok("public_key=" + pub(2) + "\nallowed_ip=-10.0.0.0/8\nallowed_ip=-192.0.2.0/24\nallowed_ip=-1.2.3.4/32\n")
	if a, b := r.routes(2), r.routes(3); a != "10.0.0.0/16 ::/0" || b != "192.0.2.0/24" {
		t.Fatalf("removed too much or too little: %q, %q", a, b)
	}
	for lines, want := range map[string]string{
		"allowed_ip=172.16.0.0/12\nallowed_ip=-172.16.0.0/12\n":                            "",
		"allowed_ip=-172.16.0.0/12\nallowed_ip=172.16.0.0/12\n":                            "172.16.0.0/12",
		"allowed_ip=1.0.0.0/8\nallowed_ip=-1.0.0.0/8\nallowed_ip=1.0.0.0/8\n":              "1.0.0.0/8",
		"allowed_ip=-1.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=2.0.0.0/8\n":          "2.0.0.0/8",
		"allowed_ip=1.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=-1.0.0.0/8\n":          "",
		"allowed_ip=1.0.0.0/8\nallowed_ip=3.0.0.0/8\nallowed_ip=-1.0.0.0/8\n":              "3.0.0.0/8",
		"allowed_ip=1.0.0.0/8\nallowed_ip=-1.0.0.0/8\npersistent_keepalive_interval=77\n":  "",
		"replace_allowed_ips=true\nallowed_ip=1.2.3.4/8\nallowed_ip=-1.0.0.0/8\n":          "",
		"replace_allowed_ips=true\nreplace_allowed_ips=true\nallowed_ip=::1/128\n":         "::1/128",
		"allowed_ip=9.0.0.0/8\nupdate_only=true\nallowed_ip=-9.0.0.0/8\nallowed_ip=::/0\n": "::/0",
	} {
		r.ok("replace_peers=true\npublic_key=" + pub(4) + "\n") // for update_only
		if r.ok("public_key=" + pub(4) + "\n" + lines); r.routes(4) != want {
			t.Errorf("lines\n%sgive %q, want %q", lines, r.routes(4), want)
		}
	}
	for _, bad := range []string{"-", "--10.0.0.0/8", "-10.0.0.0", "- 10.0.0.0/8", "10.0.0.0/8-"} {
		r.invalid("public_key=" + pub(2) + "\nallowed_ip=" + bad + "\n")
	}
}

func TestUAPI25(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nprotocol_version=1\n")
	for _, bad := range []string{"0", "2", "-1", "", "one", "4294967297"} {
		r.invalid("public_key=" + pub(2) + "\nprotocol_version=" + bad + "\n")
	}
	r.invalid("protocol_version=1\n")
}

func TestUAPI26(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\npublic_key=" + pub(3) + "\n")
	n := 0
	for _, line := range r.get() {
		if line == "protocol_version=1" {
			n++
		}
	}
	if n != 2 {
		t.Fatalf("%d of 2 peers report their protocol version", n)
	}
}

// shaken is a rig that a peer has shaken hands with, and what that peer had received and sent by then.
func shaken(t *testing.T) (r *rig, wall time.Time) {
	r = newRig(t)
	wall = time.Now()
	r.core.SetWallClock(r.now, wall)
	r.core.Up(r.now, &protocol.Batch{})
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n")
	peer, initiation := outsider(t, 2, 1, 0)
	response := r.receive(initiation)
	if len(initiation) != 148 || len(response) != 92 {
		t.Fatalf("handshake of %d and %d bytes", len(initiation), len(response))
	}
	r.want("last_handshake_time_sec=0") // it is not complete before its confirmation (STAT-07)
	r.want("last_handshake_time_nsec=0")
	r.receive(peer.receive(response))
	return r, wall
}

func TestUAPI27(t *testing.T) {
	r, wall := shaken(t)
	r.want(fmt.Sprintf("last_handshake_time_sec=%d", wall.Unix()))
	r.want(fmt.Sprintf("last_handshake_time_nsec=%d", wall.Nanosecond()))
	s, err := NewClient(r.conn).Get()
	if err != nil || len(s.Peers) != 1 || !s.Peers[0].LastHandshake.Equal(wall) {
		t.Fatalf("our client reads %+v, %v", s, err)
	}
}

func TestUAPI28(t *testing.T) {
	r, _ := shaken(t)
	r.want("rx_bytes=180") // initiation and keepalive
	r.want("tx_bytes=92")
}

func TestUAPI29(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"errno", "last_handshake_time_sec", "rx_bytes", "mtu", "", "listen_port ", "fwmark\x00",
		"private_key\r"} {
		r.invalid(key + "=1\n")
		r.invalid("public_key=" + pub(2) + "\n" + key + "=1\n")
	}
}

func TestUAPI30(t *testing.T) {
	r := newRig(t)
	for _, line := range []string{"fwmark", "x", " ", "\r", "\x00", "private_key:" + prv(1)} {
		r.fails("-71", line+"\n")
		r.fails("-71", "public_key="+pub(2)+"\n"+line+"\n")
	}
}

func TestUAPI31(t *testing.T) {
	r := newRig(t)
	for _, line := range []string{"fwmark=1\r", "fwmark=1=1", "listen_port=\x00", "replace_peers=",
		"public_key=" + strings.Repeat("a", 1<<20), "private_key==" + prv(1)} {
		r.invalid("fwmark=7\n" + line + "\nfwmark=8\n")
	}
	// It is the first mistake that counts.
	r.fails("-71", "x\nfwmark=y\n")
	r.fails("-71", "x\n"+strings.Repeat("y", 2*maxLine)+"\n")
	r.fails("-22", "fwmark=y\nx\n")
	// A log says what and where, and never the value.
	var log bytes.Buffer
	path := serve(t, &Server{Device: r.node,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	conn, in := dialRaw(t, path)
	if _, err := io.WriteString(conn, "set=1\nfwmark=7\nprivate_key="+prv(1)+"x\n\n"); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, in)
	s := log.String()
	if !strings.Contains(s, "line=3") || !strings.Contains(s, "private_key") || strings.Contains(s, prv(1)) {
		t.Fatalf("the log says %q", s)
	}
}

func TestUAPI32(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n")
	for _, bad := range []string{"false", "1", "True", "TRUE", "", "true ", "yes"} {
		r.invalid("replace_peers=" + bad + "\n")
		for _, key := range []string{"remove", "update_only", "replace_allowed_ips"} {
			r.invalid("public_key=" + pub(2) + "\n" + key + "=" + bad + "\n")
		}
	}
}

func TestUAPI33(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(1) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\n" +
		"persistent_keepalive_interval=2\n")
	r.wantNo("public_key")
	r.ok("public_key=" + pub(1) + "\nremove=true\n") // B157
	r.ok("public_key=" + pub(2) + "\npublic_key=" + pub(3) + "\n")
	r.ok("private_key=" + prv(2) + "\n")
	r.wantNo("public_key=" + pub(2))
	r.want("public_key=" + pub(3))
}

// After a set the device asks to be woken at once, and then greets the peer (B155).
func TestUAPI34(t *testing.T) {
	r := newRig(t)
	r.core.Up(r.now, &protocol.Batch{})
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\nendpoint=192.0.2.1:5\n")
	if got := r.timeout(t); got != nil {
		t.Fatalf("without a keepalive interval %d bytes leave", len(got))
	}
	r.ok("public_key=" + pub(2) + "\npersistent_keepalive_interval=25\n")
	if at, _, ok := r.core.Deadline(); !ok || at > r.now {
		t.Fatalf("after the set the deadline is %v, %t; now is %v", at, ok, r.now)
	}
	if got := r.timeout(t); len(got) != 148 || got[0] != 1 {
		t.Fatalf("%d bytes leave, want an initiation", len(got))
	}
}

// A packet waits for a private key, without which nothing can leave. The set that gives one sends an initiation by
// itself, without another packet and without a timer, and the packet follows.
func TestUAPI34Staged(t *testing.T) {
	r := newRig(t)
	r.core.Up(r.now, &protocol.Batch{})
	peer := newNode(t, 2)
	peer.core.Up(peer.now, &protocol.Batch{})
	peer.configure(t, protocol.Change{Op: protocol.OpPutPeer, Peer: public(1),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}})
	r.ok("public_key=" + pub(2) + "\nendpoint=192.0.2.1:5\nallowed_ip=10.0.0.2/32\n")
	if got := r.send([]byte{0x45, 3: 20, 12: 10, 15: 1, 16: 10, 19: 2}); got != nil || r.staged() != 1 {
		t.Fatalf("%d bytes leave, %d packets wait", len(got), r.staged())
	}
	if r.ok("public_key=" + pub(2) + "\nendpoint=192.0.2.1:6\n"); r.first != nil {
		t.Fatalf("%d bytes leave without a key", len(r.first))
	}
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\nendpoint=192.0.2.1:7\n")
	if len(r.first) != 148 || r.first[0] != 1 {
		t.Fatalf("%d bytes leave after the set, want an initiation", len(r.first))
	}
	data := r.receive(peer.receive(r.first))
	if len(data) != 64 || r.staged() != 0 {
		t.Fatalf("%d bytes leave for the response, want the packet; %d wait", len(data), r.staged())
	}
	if peer.receive(data); peer.delivered != 1 {
		t.Fatalf("the peer delivers %d packets", peer.delivered)
	}
}

// While an attempt runs a set does not start another: the packet goes where the set said with the next one.
func TestUAPI34StagedElsewhere(t *testing.T) {
	r := newRig(t)
	r.core.Up(r.now, &protocol.Batch{})
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\nendpoint=192.0.2.1:5\nallowed_ip=10.0.0.2/32\n")
	if got := r.send([]byte{0x45, 3: 20, 12: 10, 15: 1, 16: 10, 19: 2}); len(got) != 148 || r.staged() != 1 {
		t.Fatalf("%d bytes leave, %d packets wait", len(got), r.staged())
	}
	r.now = r.now.Add(time.Second)
	if r.ok("public_key=" + pub(2) + "\nendpoint=192.0.2.1:6\n"); r.first != nil {
		t.Fatalf("%d bytes leave one second after the last initiation (TIMER-01)", len(r.first))
	}
	r.now = r.now.Add(timers.RekeyTimeout)
	if got := r.timeout(t); len(got) != 148 || r.sentTo.Port() != 6 || r.staged() != 1 {
		t.Fatalf("%d bytes leave for %v, %d packets wait", len(got), r.sentTo, r.staged())
	}
}

func TestUAPI35(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + prv(1) + "\nlisten_port=0\nfwmark=5\npublic_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n" +
		"preshared_key=" + pub(8) + "\npersistent_keepalive_interval=9\nendpoint=192.0.2.1:5\n")
	all := "private_key=" + prv(3) + "\nlisten_port=0\nfwmark=6\nreplace_peers=true\npublic_key=" + pub(4) +
		"\nallowed_ip=10.0.0.0/8\npublic_key=" + pub(2) + "\nremove=true\n"
	r.invalid(all + "x=1\n")
	r.fails("-71", all+"x\n")
	r.invalid("x=1\n" + all)
	// Refused by the core, behind the parser: one peer more than it takes.
	r.core.Up(r.now, &protocol.Batch{})
	small, err := protocol.New(protocol.Config{Entropy: zeros{}, Limits: protocol.Limits{Peers: 2, Jobs: 1}})
	if err != nil {
		t.Fatal(err)
	}
	r.with(func(*protocol.Device) { r.core = small })
	r.ok("public_key=" + pub(2) + "\n")
	r.fails("-12", "fwmark=9\nlisten_port=0\npublic_key="+pub(3)+"\npublic_key="+pub(4)+"\n")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUAPI36(t *testing.T) {
	r := newRig(t)
	const peers = 3*pagePeers - 1
	request := func(seconds int) string {
		var b strings.Builder
		for i := range peers {
			fmt.Fprintf(&b, "public_key=%064x\npersistent_keepalive_interval=%d\n", i+1, seconds)
		}
		return b.String()
	}
	r.ok(request(1))
	var sets sync.WaitGroup
	stop := make(chan struct{})
	sets.Go(func() {
		conn, in := r.dial()
		for i := 2; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(conn, "set=1\n"+request(i%1000)+"\n"); err != nil {
				t.Error(err)
				return
			}
			readAnswer(t, in)
		}
	})
	values := map[string]bool{}
	for range 20 {
		var seen []string
		for _, line := range r.get() {
			if strings.HasPrefix(line, "persistent") {
				seen = append(seen, line)
			}
		}
		if len(seen) != peers {
			t.Errorf("a get shows %d of %d peers", len(seen), peers)
		}
		values[seen[0]] = true
		if one := slices.Compact(seen); len(one) != 1 {
			t.Errorf("one get shows %q", one)
		}
	}
	close(stop)
	sets.Wait()
	if r.viewed < 20*4 || r.most != pagePeers {
		t.Errorf("%d looks at the core for 20 gets, up to %d peers in one: not read in pages", r.viewed, r.most)
	}
	if len(values) < 2 {
		t.Error("no set came between the gets: nothing was tested")
	}
}

func TestUAPI38(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\npreshared_key=" + pub(7) + "\npublic_key=" + pub(3) + "\n")
	r.want("preshared_key=" + pub(7))
	r.want("preshared_key=" + strings.Repeat("0", 64))
}

func TestUAPI39(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\n")
	for _, request := range []string{"get=1\n\n", "get=1\nx=1\n\n", "set=1\n\n", "set=1\nx=1\ny\n\n"} {
		got := r.ask(request)
		lines := strings.Split(got, "\n")
		if strings.Count(got, "errno=") != 1 || !strings.HasPrefix(lines[len(lines)-3], "errno=") ||
			!strings.HasSuffix(got, "\n\n") || strings.Count(got, "\n\n") != 1 {
			t.Errorf("%q is answered %q", request, got)
		}
	}
	for _, bad := range []string{"\n", "errno=0\nerrno=0\n\n", "errno=0\nfwmark=1\n\n", "errno=0\n", "fwmark=1\n\n",
		"errno=\n\n", "errno\n\n", "errno=x\n\n", "errno=0\n\n"[:8]} {
		if s, err := NewClient(pipe{strings.NewReader(bad)}).Get(); err == nil {
			t.Errorf("a client takes %q for the state %v", bad, s)
		}
	}
}

// known are the keys that wg(8) knows in an answer. There are no extensions of ours among them.
func TestUAPI40(t *testing.T) {
	known := strings.Fields("private_key listen_port fwmark public_key preshared_key protocol_version endpoint " +
		"persistent_keepalive_interval allowed_ip last_handshake_time_sec last_handshake_time_nsec rx_bytes tx_bytes")
	r, _ := shaken(t)
	r.ok("listen_port=0\nfwmark=1\n")
	for _, line := range r.get() {
		if key, _, _ := strings.Cut(line, "="); !slices.Contains(known, key) {
			t.Errorf("get has %q", line)
		}
	}
	// A client of ours ignores those of others.
	s, err := NewClient(pipe{strings.NewReader("public_key=" + pub(2) + "\nnew_key=5\nrx_bytes=4\nerrno=0\n\n")}).Get()
	if err != nil || len(s.Peers) != 1 || s.Peers[0].RxBytes != 4 {
		t.Errorf("an answer with an extension is read as %v, %v", s, err)
	}
}
