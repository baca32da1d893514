package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// side is one end of a tunnel.
type side struct {
	*host
	program         string // wgnode or a peer
	private, public string
	outer           string // where the other reaches it
	n               int    // 1 or 2: inner addresses are 10.0.0.n and fd00::n
}

func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	out, err := exec.Command("wg", "genkey").Output()
	if err != nil {
		t.Fatalf("wg genkey: %v", err)
	}
	c := exec.Command("wg", "pubkey")
	c.Stdin = strings.NewReader(string(out))
	pub, err := c.Output()
	if err != nil {
		t.Fatalf("wg pubkey: %v", err)
	}
	return strings.TrimSpace(string(out)), strings.TrimSpace(string(pub))
}

// tunnel makes two hosts with a tunnel wg0 between them, all by hand with ip(8) and wg(8). Nothing has gone through it.
// What more there is is for wg set of A's peer.
func tunnel(t *testing.T, programs [2]string, outer [2]string, psk bool, more ...string) (a, b *side) {
	t.Helper()
	var s [2]*side
	for i := range s {
		s[i] = &side{host: newHost(t, string("AB"[i])), program: programs[i], outer: outer[i], n: i + 1}
		s[i].private, s[i].public = keyPair(t)
	}
	connect(s[0].host, s[1].host)
	secret := ""
	if psk {
		secret, _ = keyPair(t)
	}
	for i := range s {
		if i == 1 {
			more = nil
		}
		s[i].up(s[1-i], secret, more...)
	}
	return s[0], s[1]
}

// up starts the daemon and configures it.
func (s *side) up(other *side, psk string, more ...string) {
	s.t.Helper()
	s.run(append(append([]string{s.program}, arguments[s.program]...), "wg0")...)
	set := []string{"wg", "set", "wg0", "listen-port", "5000", "private-key", s.file("private", s.private),
		"peer", other.public, "endpoint", other.outer + ":5000",
		"allowed-ips", fmt.Sprintf("10.0.0.%d/32,fd00::%d/128", other.n, other.n)}
	set = append(set, more...)
	if psk != "" {
		set = append(set, "preshared-key", s.file("psk", psk))
	}
	s.run(set...)
	s.runs(fmt.Sprintf("ip addr add 10.0.0.%d/24 dev wg0", s.n), fmt.Sprintf("ip addr add fd00::%d/64 dev wg0 nodad", s.n),
		"ip link set wg0 up")
}

var (
	outer4 = [2]string{"192.0.2.1", "192.0.2.2"}
	outer6 = [2]string{"[2001:db8::1]", "[2001:db8::2]"}
)

// IPv4 and IPv6 inside and outside, with and without a preshared key, in both roles: the one that pings first is the
// initiator.
func TestTunnelPing(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		for _, c := range []struct {
			name     string
			programs [2]string
			outer    [2]string
			psk      bool
		}{
			{"initiating over IPv4 with psk", [2]string{"wgnode", peer}, outer4, true},
			{"initiating over IPv6", [2]string{"wgnode", peer}, outer6, false},
			{"responding over IPv4", [2]string{peer, "wgnode"}, outer4, false},
			{"responding over IPv6 with psk", [2]string{peer, "wgnode"}, outer6, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				noted(t, "IPv4 and IPv6 inside, "+c.name, peer)
				a, b := tunnel(t, c.programs, c.outer, c.psk)
				a.pings("10.0.0.2")
				b.pings("10.0.0.1")
				a.pings("fd00::2")
				b.pings("fd00::1")
				for _, s := range []*side{a, b} {
					s.eventually(s.program+" tells of a handshake", func() bool { // boringtun not within a second
						out := s.run("wg", "show", "wg0", "latest-handshakes")
						return !strings.HasSuffix(strings.TrimSpace(out), "\t0")
					})
				}
			})
		}
	})
}

var values = regexp.MustCompile(`[0-9A-Za-z+/]{43}=|[0-9.]+ (B|KiB)|\d+ seconds?( ago)?|Now|192\.0\.2\.\d`)

// wg(8) shows both implementations in one form: the same lines, but for keys, numbers and addresses.
func TestTunnelShow(t *testing.T) {
	t.Parallel()
	noted(t, "wg show, dump and showconf equal in form", "wireguard-go")
	a, b := tunnel(t, [2]string{"wgnode", "wireguard-go"}, outer4, true)
	a.pings("10.0.0.2")
	for _, s := range []*side{a, b} {
		s.runs("wg set wg0 fwmark 0x10", "wg set wg0 peer "+map[*side]string{a: b.public, b: a.public}[s]+
			" persistent-keepalive 3600")
	}
	for _, args := range []string{"wg show wg0", "wg show wg0 dump", "wg showconf wg0"} {
		form := func(s *side) string {
			text := values.ReplaceAllString(s.run(strings.Fields(args)...), "X")
			text = strings.NewReplacer("10.0.0.1", "I", "10.0.0.2", "I", "fd00::1", "I", "fd00::2", "I").Replace(text)
			if args == "wg show wg0 dump" { // times and counters
				text = regexp.MustCompile(`\t\d+\t\d+\t\d+\t3600`).ReplaceAllString(text, "\tN\tN\tN\t3600")
			}
			return text
		}
		if ours, theirs := form(a), form(b); ours != theirs || !strings.Contains(ours, "X") {
			t.Errorf("%s: wgnode\n%s\nwireguard-go\n%s", args, ours, theirs)
		}
	}
}

// orders are who is A and who is B.
func orders(t *testing.T, peer string, f func(t *testing.T, programs [2]string)) {
	all := [][2]string{{"wgnode", peer}, {peer, "wgnode"}}
	if peer == "wgnode" {
		all = all[:1]
	}
	for _, programs := range all {
		t.Run(programs[0]+" and "+programs[1], func(t *testing.T) { f(t, programs) })
	}
}

// move gives a another address.
func move(a *side) {
	// The deletion of the first address may take the others of its subnet along.
	a.run("sh", "-c", "ip addr add 192.0.2.77/24 dev veth0; ip addr del 192.0.2.1/24 dev veth0; "+
		"ip addr replace 192.0.2.77/24 dev veth0")
}

// A host that gets another address goes on (ROAM): its next packet tells the other where it is.
func TestTunnelRoaming(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		orders(t, peer, func(t *testing.T, programs [2]string) {
			noted(t, "roaming of "+whose(programs), peer)
			a, b := tunnel(t, programs, outer4, false)
			a.pings("10.0.0.2")
			move(a)
			a.pings("10.0.0.2")
			b.eventually("the new endpoint", func() bool {
				return strings.Contains(b.run("wg", "show", "wg0", "endpoints"), "192.0.2.77:5000")
			})
			b.pings("10.0.0.1")
		})
	})
}

// whose says which side A is.
func whose(programs [2]string) string {
	if programs[0] == "wgnode" {
		return "wgnode"
	}
	return "the peer"
}

// A peer that lost all its state is found again by the other's next handshake (LIFE-01, LIFE-02), and nothing of the
// killed process is in the way of the next one.
func TestTunnelKilled(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		orders(t, peer, func(t *testing.T, programs [2]string) {
			t.Parallel() // most of it is waiting
			noted(t, "kill -9 and restart of "+whose(programs), peer)
			killed, other := tunnel(t, programs, outer4, false)
			other.pings("10.0.0.1")
			pids := killed.running(killed.program)
			if len(pids) != 1 {
				t.Fatalf("%s runs %d times: %v", killed.program, len(pids), pids)
			}
			killed.run("kill", "-9", pids[0])
			killed.eventually("the interface is gone", func() bool { return !killed.exists("wg0") })
			killed.up(other, "")
			other.pings("10.0.0.1")
			killed.pings("10.0.0.2")
		})
	})
}

const quickConfig = `[Interface]
PrivateKey = %s
ListenPort = 5000
Address = 10.0.0.1/24, fd00::1/64
MTU = 1390
FwMark = 0x77
%s
[Peer]
PublicKey = %s
AllowedIPs = %s
Endpoint = 192.0.2.2:5000
`

// wg-quick(8) with WG_QUICK_USERSPACE_IMPLEMENTATION=wgnode, up and down, leaves nothing behind.
func TestQuick(t *testing.T) {
	t.Parallel()
	noted(t, "wg-quick up and down of a full configuration", "wireguard-go")
	a, b := tunnel(t, [2]string{"wgnode", "wireguard-go"}, outer4, false)
	a.runs("ip link del wg0")
	a.eventually("wgnode has ended", func() bool { return len(a.running("wgnode")) == 0 })
	before := a.traces()
	path := a.file("wgq.conf", fmt.Sprintf(quickConfig, a.private, "PostUp = ip link show %i", b.public,
		"10.0.0.2/32, fd00::2/128, 10.99.0.0/16"))
	for range 2 {
		quickUp(a.host, path)
		a.pings("10.0.0.2")
		b.pings("fd00::1")
		if out := a.run("ip", "route", "show", "dev", "wgq"); !strings.Contains(out, "10.99.0.0/16") {
			t.Errorf("routes: %s", out)
		}
		quickDown(a.host, path, before)
	}
}

// A default route in both families is what wg-quick(8) needs marks, rules and nft(8) for; all of it goes again.
func TestQuickDefaultRoute(t *testing.T) {
	t.Parallel()
	noted(t, "wg-quick up and down with a default route", "wgnode")
	if _, err := exec.LookPath("nft"); err != nil {
		t.Fatal("this test needs nft (Debian package nftables)")
	}
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, false)
	a.runs("ip link del wg0")
	a.eventually("wgnode has ended", func() bool { return len(a.running("wgnode")) == 0 })
	b.runs("ip addr add 198.51.100.1/32 dev lo", "ip addr add 2001:db8:1::1/128 dev lo")
	a.run("sh", "-c", "echo 1 >"+markSetting) // or else wg-quick does, and leaves it so
	before := a.traces()
	path := a.file("wgq.conf", strings.Replace(fmt.Sprintf(quickConfig, a.private, "", b.public, "0.0.0.0/0, ::/0"),
		"FwMark = 0x77\n", "", 1))
	quickUp(a.host, path)
	a.pings("198.51.100.1")
	a.pings("2001:db8:1::1")
	if out := a.run("nft", "list", "ruleset"); !strings.Contains(out, "wg-quick-wgq") {
		t.Errorf("wg-quick made no firewall rules: %s", out)
	}
	if out := a.run("wg", "show", "wgq", "fwmark"); strings.TrimSpace(out) != "0xca6c" {
		t.Errorf("mark: %s", out)
	}
	quickDown(a.host, path, before)
}

// quickUp calls wg-quick up so that it cannot but start wgnode, even where the kernel has a WireGuard of its own.
func quickUp(h *host, path string) {
	h.t.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		h.t.Fatal(err)
	}
	shim := filepath.Join(h.dir, "shim")
	if err := os.MkdirAll(shim, 0o755); err != nil {
		h.t.Fatal(err)
	}
	script := "#!/bin/sh\ncase \"$*\" in 'link add '*' type wireguard') exit 2 ;; esac\nexec " + ip + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(shim, "ip"), []byte(script), 0o755); err != nil {
		h.t.Fatal(err)
	}
	h.run("sh", "-c", "[ ! -e /sys/module/wireguard ] || mount -t tmpfs tmpfs /sys/module")
	up := h.command("env", "PATH="+shim+":"+binaries(h.t)+":"+os.Getenv("PATH"), "wg-quick", "up", path)
	up.Env = append(up.Env, "WG_QUICK_USERSPACE_IMPLEMENTATION=wgnode")
	if out, err := up.CombinedOutput(); err != nil {
		h.t.Fatalf("wg-quick up: %v\n%s", err, out)
	}
	if out := h.run("ip", "-d", "link", "show", "wgq"); !strings.Contains(out, "tun type tun") {
		h.t.Errorf("this is no TUN device, so nothing of ours is tested: %s", out)
	}
	if pids := h.running("wgnode"); len(pids) != 1 {
		h.t.Errorf("wgnode runs %d times", len(pids))
	}
}

// quickDown takes it down, after which the host must be as it was before.
func quickDown(h *host, path, before string) {
	h.t.Helper()
	h.runs("wg-quick down " + path)
	h.eventually("wgnode has ended", func() bool { return len(h.running("wgnode")) == 0 })
	if after := h.traces(); after != before {
		h.t.Fatalf("before\n%s\nafter\n%s", before, after)
	}
}

// wgnode --config sets the host up without any other tool, a default route included, and undoes it on SIGTERM.
func TestConfigTunnel(t *testing.T) {
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, false)
	a.runs("ip link del wg0")
	a.eventually("wgnode has ended", func() bool { return len(a.running("wgnode")) == 0 })
	b.runs("ip addr add 198.51.100.1/32 dev lo")
	before := a.traces()
	conf := fmt.Sprintf(quickConfig, a.private, "Table = auto", b.public, "0.0.0.0/0, ::/0")
	path := a.file("wgc.conf", conf)
	for _, detached := range []bool{false, true} {
		var end func()
		if detached {
			a.run("wgnode", "--config", path)
			end = func() { a.run("kill", a.running("wgnode")[0]) }
		} else {
			end = a.foreground("--config", path)
		}
		a.pings("198.51.100.1") // by the default route
		a.pings("fd00::2")
		if out := a.run("ip", "link", "show", "wgc"); !strings.Contains(out, "mtu 1390") {
			t.Errorf("MTU: %s", out)
		}
		if out := a.run("ip", "rule"); !strings.Contains(out, "not from all fwmark 0x77 lookup 119") {
			t.Errorf("rules: %s", out)
		}
		if out := a.run("wg", "show", "wgc", "fwmark"); strings.TrimSpace(out) != "0x77" {
			t.Errorf("mark: %s", out)
		}
		end()
		a.eventually("wgnode has ended", func() bool { return len(a.running("wgnode")) == 0 })
		if after := a.traces(); after != before {
			t.Fatalf("detached %v: before\n%s\nafter\n%s", detached, before, after)
		}
	}
	if err := os.WriteFile(path, []byte(conf+"Nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := a.try("wgnode", "--config", path); err == nil || !strings.Contains(out, "wgc.conf:12: Nonsense: ") {
		t.Errorf("a broken file: %v %s", err, out)
	}
	if after := a.traces(); after != before {
		t.Errorf("a broken file: before\n%s\nafter\n%s", before, after)
	}
}

// What a killed wgnode leaves of its routing rules is taken over by the next one, and undone by it.
func TestConfigKilled(t *testing.T) {
	h := newHost(t, "A")
	private, _ := keyPair(t)
	_, public := keyPair(t)
	path := h.file("wgk.conf", fmt.Sprintf(quickConfig, private, "", public, "0.0.0.0/0, ::/0"))
	before := h.traces()
	h.runs("wgnode --config " + path)
	h.run("kill", "-9", h.running("wgnode")[0])
	h.eventually("the interface is gone", func() bool { return !h.exists("wgk") })
	if h.traces() == before {
		t.Fatal("a killed wgnode leaves nothing, so this test shows nothing")
	}
	h.runs("wgnode --config " + path)
	h.run("kill", h.running("wgnode")[0])
	h.eventually("wgnode has ended", func() bool { return len(h.running("wgnode")) == 0 })
	// src_valid_mark was 1 already when the second one came, and is left so.
	after := strings.Replace(h.traces(), "\n1\n", "\n0\n", 1)
	if after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// A port that is taken is an error of the set-up, and all of that is undone.
func TestConfigPortTaken(t *testing.T) {
	h := newHost(t, "A")
	private, _ := keyPair(t)
	_, public := keyPair(t)
	path := h.file("wgp.conf", fmt.Sprintf(quickConfig, private, "", public, "0.0.0.0/0, ::/0"))
	h.runs("wgnode wg0", "wg set wg0 listen-port 5000", "ip link set wg0 up")
	h.eventually("the port is taken", func() bool {
		out, err := h.try("ss", "-Hlun", "sport", "=", "5000")
		return err == nil && strings.Contains(out, ":5000")
	})
	before := h.traces()
	for _, args := range [][]string{{"--config", path}, {"-f", "--config", path}} {
		out, err := h.try(append([]string{"wgnode"}, args...)...)
		if err == nil || !strings.Contains(out, "5000") || !strings.Contains(out, "address already in use") {
			t.Errorf("%v: %v", args, err)
		}
		h.eventually("the other one alone runs", func() bool { return len(h.running("wgnode")) == 1 })
		if after := h.traces(); after != before {
			t.Errorf("%v: before\n%s\nafter\n%s", args, before, after)
		}
	}
}
