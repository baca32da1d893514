//go:build linux

package uapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/purewire/purewire/protocol"
)

// wg runs the real wg(8) and gives what it prints, its error and what it complains about.
func wg(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "wg", args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatalf("these tests need wg(8), package wireguard-tools: %v", err)
	}
	return out.String(), complaint.String(), err
}

// mustWg is wg that must work without a complaint.
func mustWg(t testing.TB, args ...string) string {
	t.Helper()
	out, complaint, err := wg(t, args...)
	if err != nil || complaint != "" {
		t.Fatalf("wg %.200s: %v: %s", args, err, complaint)
	}
	return out
}

// onSocket serves a new node where wg(8) finds it.
func onSocket(t testing.TB, name string) *node {
	t.Helper()
	n := newNode(t, 0)
	serveOn(t, &Server{Device: n}, listen(t, name))
	return n
}

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func b64(k [32]byte) string { return base64.StdEncoding.EncodeToString(k[:]) }

func TestWgSetAndShow(t *testing.T) {
	n := onSocket(t, "wgset0")
	mustWg(t, "set", "wgset0", "private-key", file(t, b64(secret(1))), "listen-port", "0", "fwmark", "0x10",
		"peer", b64(public(2)), "preshared-key", file(t, b64(public(9))), "endpoint", "192.0.2.5:500",
		"persistent-keepalive", "25", "allowed-ips", "10.0.0.0/8,2001:db8::/32",
		"peer", b64(public(3)), "endpoint", "[2001:db8::5]:501", "allowed-ips", "192.0.2.0/24")
	want := fmt.Sprintf("%s\t%s\t%d\t0x10\n", b64(secret(1)), b64(public(1)), n.port) +
		fmt.Sprintf("%s\t%s\t192.0.2.5:500\t10.0.0.0/8,2001:db8::/32\t0\t0\t0\t25\n", b64(public(2)), b64(public(9))) +
		fmt.Sprintf("%s\t(none)\t[2001:db8::5]:501\t192.0.2.0/24\t0\t0\t0\toff\n", b64(public(3)))
	if got := mustWg(t, "show", "wgset0", "dump"); got != want {
		t.Fatalf("wg show dump prints\n%swant\n%s", got, want)
	}
	if got := mustWg(t, "show", "interfaces"); !slices.Contains(strings.Fields(got), "wgset0") {
		t.Errorf("wg show interfaces prints %q", got)
	}
	shown := mustWg(t, "show", "wgset0")
	for _, part := range []string{"interface: wgset0\n", "  public key: " + b64(public(1)) + "\n", "  fwmark: 0x10\n",
		fmt.Sprintf("  listening port: %d\n", n.port), "  endpoint: [2001:db8::5]:501\n",
		"  persistent keepalive: every 25 seconds\n", "  allowed ips: 10.0.0.0/8, 2001:db8::/32\n"} {
		if !strings.Contains(shown, part) {
			t.Errorf("wg show has no %q:\n%s", part, shown)
		}
	}

	mustWg(t, "set", "wgset0", "fwmark", "off", "private-key", "/dev/null", "peer", b64(public(2)), "remove",
		"peer", b64(public(3)), "persistent-keepalive", "off", "preshared-key", "/dev/null", "allowed-ips", "")
	want = fmt.Sprintf("(none)\t(none)\t%d\toff\n", n.port) +
		b64(public(3)) + "\t(none)\t[2001:db8::5]:501\t(none)\t0\t0\t0\toff\n"
	if got := mustWg(t, "show", "wgset0", "dump"); got != want {
		t.Fatalf("after removals wg show dump prints\n%swant\n%s", got, want)
	}
}

func TestWgConfigurationFiles(t *testing.T) {
	n := onSocket(t, "wgconf0")
	conf := "[Interface]\nPrivateKey = " + b64(secret(1)) + "\nFwMark = 0x7\n"
	peer := func(i byte, more string) string {
		return fmt.Sprintf("\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.0.0/16\n", b64(public(i)), i) + more
	}
	mustWg(t, "setconf", "wgconf0", file(t, conf+peer(2, "")+peer(3, "Endpoint = 192.0.2.1:5\n")))
	ids := func() (s string) {
		n.with(func(d *protocol.Device) {
			for i := byte(2); i < 6; i++ {
				id, _ := d.Peer(public(i))
				s += fmt.Sprint(id, " ")
			}
		})
		return s
	}
	if got := ids(); got != "1 2 0 0 " {
		t.Fatalf("after setconf the peers are %s", got)
	}
	// A peer is not made anew by syncconf and addconf; setconf is what begins from nothing.
	mustWg(t, "syncconf", "wgconf0", file(t, conf+peer(3, "PersistentKeepalive = 9\n")+peer(4, "")))
	if got := ids(); got != "0 2 3 0 " {
		t.Fatalf("after syncconf the peers are %s", got)
	}
	mustWg(t, "addconf", "wgconf0", file(t, peer(5, "")+peer(3, "AllowedIPs = ::/0\n")))
	if got := ids(); got != "0 2 3 4 " {
		t.Fatalf("after addconf the peers are %s", got)
	}
	shown := mustWg(t, "showconf", "wgconf0")
	mustWg(t, "setconf", "wgconf0", file(t, shown))
	if got := ids(); got != "0 5 6 7 " {
		t.Fatalf("after setconf of what showconf printed the peers are %s", got)
	}
	again := mustWg(t, "showconf", "wgconf0")
	if again != shown || !strings.Contains(shown, "AllowedIPs = 10.3.0.0/16, ::/0\n") {
		t.Fatalf("showconf prints\n%s\nand after setconf of that\n%s", shown, again)
	}
}

// UAPI-24 as wg(8) since 1.0.20250521 asks for it. An older one refuses the sign before it speaks to anybody.
func TestWgRemovesAllowedIP(t *testing.T) {
	n := onSocket(t, "wgminus0")
	mustWg(t, "set", "wgminus0", "peer", b64(public(2)), "allowed-ips", "1.2.3.4/32,10.0.0.0/8")
	_, complaint, err := wg(t, "set", "wgminus0", "peer", b64(public(2)), "allowed-ips", "-1.2.3.4/32")
	if err != nil {
		if !strings.Contains(complaint, "Unable to parse IP address") {
			t.Fatalf("wg set allowed-ips -1.2.3.4/32: %v: %s", err, complaint)
		}
		t.Logf("%s knows no removal of an allowed IP; its line is sent without it", mustWg(t, "--version"))
		c, err := Dial(t.Context(), "wgminus0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Set(Settings{Changes: []protocol.Change{{Op: protocol.OpPutPeer, Peer: public(2),
			RemoveAllowedIPs: []netip.Prefix{netip.MustParsePrefix("1.2.3.4/32")}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := mustWg(t, "show", "wgminus0", "allowed-ips"); got != b64(public(2))+"\t10.0.0.0/8\n" {
		t.Fatalf("allowed IPs of peer %v are %q", n.peers(), got)
	}
}

// OPEN-6: what wg(8) makes of either sign. This is why docs/decisions/0006 chose as it did.
func TestWgAndTheSignOfErrno(t *testing.T) {
	answers := func(name, answer string) {
		l := listen(t, name)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := conn.Read(make([]byte, 4096)); err == nil {
					fmt.Fprint(conn, answer)
				}
				conn.Close()
			}
		}()
	}
	answers("negative0", "errno=-98\n\n")
	answers("positive0", "errno=98\n\n")
	for _, c := range []struct{ args, want string }{
		{"set negative0 fwmark 1", "Address already in use"},
		{"set positive0 fwmark 1", "Unknown error -98"},
		{"show positive0", "Address already in use"},
		{"show negative0", "Protocol error"},
	} {
		if _, complaint, err := wg(t, strings.Fields(c.args)...); err == nil || !strings.Contains(complaint, c.want) {
			t.Errorf("wg %s: %v: %q, want %q", c.args, err, complaint, c.want)
		}
	}

	// And of ours.
	n := onSocket(t, "sign0")
	taken, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := fmt.Sprint(taken.LocalAddr().(*net.UDPAddr).Port)
	_, complaint, err := wg(t, "set", "sign0", "fwmark", "5", "listen-port", port, "peer", b64(public(2)))
	if err == nil || !strings.Contains(complaint, "Address already in use") || n.mark != 0 || n.peers() != 0 {
		t.Errorf("wg set of a port that is taken: %v: %q; mark %d, %d peers", err, complaint, n.mark, n.peers())
	}
	n.mu.Lock()
	n.broken = errBroken
	n.mu.Unlock()
	if _, complaint, err := wg(t, "show", "sign0"); err == nil || !strings.Contains(complaint, "Input/output error") {
		t.Errorf("wg show of a broken device: %v: %q", err, complaint)
	}
}

// UAPI37, and what issue 3 asks of 10,000 peers, with times for the record.
func TestUAPI37(t *testing.T) {
	for _, size := range []struct{ peers, prefixes int }{{1000, 100}, {10000, 2}} {
		name := fmt.Sprintf("many%d", size.peers)
		n := onSocket(t, name)
		conf := strings.Builder{}
		conf.WriteString("[Interface]\nPrivateKey = " + b64(secret(1)) + "\n")
		for i := range size.peers {
			fmt.Fprintf(&conf, "[Peer]\nPublicKey = %s\nAllowedIPs = ", b64([32]byte{byte(i), byte(i >> 8), 1}))
			for j := range size.prefixes {
				fmt.Fprintf(&conf, "%s10.%d.%d.%d/32", strings.Repeat(",", min(j, 1)), i>>8, i&255, j)
			}
			conf.WriteString("\n")
		}
		path := file(t, conf.String())
		start := time.Now()
		mustWg(t, "setconf", name, path)
		set := time.Since(start)
		start = time.Now()
		dump := mustWg(t, "show", name, "dump")
		show := time.Since(start)
		if got := strings.Count(dump, "\n") - 1; got != size.peers || n.peers() != size.peers {
			t.Errorf("wg show lists %d of %d peers; the core has %d", got, size.peers, n.peers())
		}
		if got := strings.Count(dump, "/32"); got != size.peers*size.prefixes {
			t.Errorf("wg show lists %d of %d allowed IPs", got, size.peers*size.prefixes)
		}
		c, err := Dial(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start = time.Now()
		state, err := c.Get()
		if err != nil || len(state.Peers) != size.peers {
			t.Fatalf("our client sees %v, %v", state, err)
		}
		get, again := time.Since(start), Settings{Changes: []protocol.Change{{Op: protocol.OpRemovePeers}}}
		for _, p := range state.Peers {
			again.Changes = append(again.Changes,
				protocol.Change{Op: protocol.OpPutPeer, Peer: p.PublicKey, AllowedIPs: p.AllowedIPs})
		}
		start = time.Now()
		if err := c.Set(again); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d peers × %d prefixes: wg setconf %v, wg show %v; our client: get %v, set %v", size.peers, size.prefixes,
			set.Round(time.Millisecond), show.Round(time.Millisecond), get.Round(time.Millisecond),
			time.Since(start).Round(time.Millisecond))
	}
}

// wgctrl is how programs in Go drive an interface.
func TestWgctrl(t *testing.T) {
	n := onSocket(t, "wgctrl0")
	c, err := wgctrl.New()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, network, _ := net.ParseCIDR("10.0.0.0/8")
	private, mark, seconds := wgtypes.Key(secret(1)), 9, 25*time.Second
	err = c.ConfigureDevice("wgctrl0", wgtypes.Config{PrivateKey: &private, FirewallMark: &mark, ReplacePeers: true,
		Peers: []wgtypes.PeerConfig{
			{PublicKey: wgtypes.Key(public(2)), PersistentKeepaliveInterval: &seconds, ReplaceAllowedIPs: true,
				Endpoint: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, AllowedIPs: []net.IPNet{*network}},
			{PublicKey: wgtypes.Key(public(3)), UpdateOnly: true},
			{PublicKey: wgtypes.Key(public(4)), Remove: true},
		}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Device("wgctrl0")
	if err != nil || len(d.Peers) != 1 || n.peers() != 1 {
		t.Fatalf("wgctrl sees %+v, %v", d, err)
	}
	p := d.Peers[0]
	if d.PrivateKey != private || d.FirewallMark != 9 || p.PublicKey != wgtypes.Key(public(2)) ||
		p.PersistentKeepaliveInterval != seconds || p.Endpoint.String() != "192.0.2.1:5" || len(p.AllowedIPs) != 1 ||
		p.AllowedIPs[0].String() != "10.0.0.0/8" || p.ProtocolVersion != 1 || !p.LastHandshakeTime.IsZero() {
		t.Fatalf("wgctrl sees %+v", d)
	}
	bad := 99999
	if err := c.ConfigureDevice("wgctrl0", wgtypes.Config{ListenPort: &bad}); err == nil {
		t.Error("wgctrl learns nothing of a refusal")
	}
}
