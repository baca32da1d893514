package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// bytes gives the bytes that s has received (column 1) from its only peer, or sent (column 2) to it.
func (s *side) bytes(column int) int {
	s.t.Helper()
	f := strings.Fields(s.run("wg", "show", "wg0", "transfer"))
	if len(f) != 3 {
		s.t.Fatalf("%s shows %q", s.program, f)
	}
	n, err := strconv.Atoi(f[column])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// A persistent keepalive alone opens the session and goes on in it (TIMER-20), and the other side counts it.
func TestTunnelKeepalive(t *testing.T) {
	const keepalive = 32 // bytes
	against(t, func(t *testing.T, peer string) {
		orders(t, peer, func(t *testing.T, programs [2]string) {
			noted(t, "persistent keepalive of "+whose(programs), peer)
			a, b := tunnel(t, programs, outer4, true, "persistent-keepalive", "1")
			counts, column := b, 1
			if b.program == "boringtun-cli" || b.program == "gotatun" { // which count nothing but data when they receive
				counts, column = a, 2
			}
			b.eventually("the session is confirmed", func() bool {
				return !strings.HasSuffix(strings.TrimSpace(b.run("wg", "show", "wg0", "latest-handshakes")), "\t0")
			})
			before := counts.bytes(column)
			b.eventually("three keepalives more", func() bool { return counts.bytes(column) >= before+3*keepalive })
		})
	})
}

// The largest packets of every MTU pass in one piece, both ways and in both families, and TCP finds its size.
func TestTunnelMTU(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		noted(t, "MTU 1280 to 9000", peer)
		a, b := tunnel(t, [2]string{"wgnode", peer}, outer4, false)
		for _, s := range []*side{a, b} {
			s.runs("ip link set veth0 mtu 9100")
		}
		for _, mtu := range []int{1280, 1281, 1420, 1500, 8920, 9000} {
			for _, s := range []*side{a, b} {
				s.runs(fmt.Sprintf("ip link set wg0 mtu %d", mtu))
			}
			for s, to := range map[*side]string{a: "2", b: "1"} {
				for address, head := range map[string]int{"10.0.0." + to: 28, "fd00::" + to: 48} {
					what := fmt.Sprintf("an answer to %d bytes from %s", mtu, address)
					s.eventually(what, func() bool {
						_, err := s.try("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", strconv.Itoa(mtu-head), address)
						return err == nil
					})
				}
			}
		}
		if err := transferBytes(littleBytes, a, b, "10.0.0.2:7000", func() {}); err != nil {
			t.Error(err)
		}
		if err := transferBytes(littleBytes, b, a, "[fd00::1]:7000", func() {}); err != nil {
			t.Error(err)
		}
	})
}

// A tunnel through the tunnel carries TCP.
func TestTunnelNested(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		noted(t, "a tunnel in a tunnel", peer)
		a, b := tunnel(t, [2]string{"wgnode", peer}, outer4, false)
		for s, other := range map[*side]*side{a: b, b: a} {
			s.run(append(append([]string{s.program}, arguments[s.program]...), "wg1")...)
			s.run("wg", "set", "wg1", "listen-port", "5001", "private-key", s.file("private", s.private), "peer", other.public,
				"endpoint", fmt.Sprintf("10.0.0.%d:5001", other.n), "allowed-ips", fmt.Sprintf("10.1.0.%d/32", other.n))
			s.runs(fmt.Sprintf("ip addr add 10.1.0.%d/24 dev wg1", s.n), "ip link set wg1 mtu 1340", "ip link set wg1 up")
		}
		a.pings("10.1.0.2")
		if err := transferBytes(littleBytes, a, b, "10.1.0.2:7000", func() {}); err != nil {
			t.Error(err)
		}
		if err := transferBytes(littleBytes, b, a, "10.1.0.1:7000", func() {}); err != nil {
			t.Error(err)
		}
	})
}

// wg syncconf changes what differs and nothing else: the session of a peer that stays is the same (LIFE-08).
func TestTunnelSyncconf(t *testing.T) {
	t.Parallel()
	noted(t, "wg syncconf on a live tunnel", "wgnode")
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, true)
	a.pings("10.0.0.2")
	sessions := func() string { return a.run("wg", "show", "wg0", "latest-handshakes") }
	before, shown := sessions(), a.run("wg", "showconf", "wg0")
	_, other := keyPair(t)
	more := strings.Replace(shown, "AllowedIPs", "PersistentKeepalive = 25\nAllowedIPs", 1) +
		"\n[Peer]\nPublicKey = " + other + "\nAllowedIPs = 10.77.0.0/16\n"
	a.run("wg", "syncconf", "wg0", a.file("more.conf", more))
	if out := a.run("wg", "show", "wg0", "allowed-ips"); !strings.Contains(out, other+"\t10.77.0.0/16") {
		t.Errorf("the new peer is not there: %s", out)
	}
	if out := a.run("wg", "show", "wg0", "persistent-keepalive"); !strings.Contains(out, b.public+"\t25") {
		t.Errorf("the keepalive is not there: %s", out)
	}
	if now := sessions(); !strings.Contains(now, strings.TrimSpace(before)) {
		t.Errorf("before %q, after %q", before, now)
	}
	a.run("wg", "syncconf", "wg0", a.file("less.conf", shown))
	if out := a.run("wg", "showconf", "wg0"); out != shown && strings.Contains(out, other) {
		t.Errorf("the peer that is not in the file is still there: %s", out)
	}
	count := a.bytes(1)
	a.pings("10.0.0.2")
	if now := sessions(); now != before || a.bytes(1) <= count {
		t.Errorf("the session is another one: before %q, after %q", before, now)
	}
}

// The mark decides the way of what wgnode sends: without it the peer is out of reach here.
func TestTunnelMark(t *testing.T) {
	t.Parallel()
	noted(t, "fwmark", "wireguard-go")
	a, b := tunnel(t, [2]string{"wgnode", "wireguard-go"}, outer4, false)
	a.runs("ip route add blackhole 192.0.2.2/32", "ip route add 192.0.2.2/32 dev veth0 table 100",
		"ip rule add fwmark 0x77 lookup 100")
	if out, err := a.try("ping", "-n", "-c", "2", "-W", "1", "10.0.0.2"); err == nil {
		t.Fatalf("without the mark there is an answer, so this test shows nothing: %s", out)
	}
	a.runs("wg set wg0 fwmark 0x77")
	a.pings("10.0.0.2")
	b.pings("10.0.0.1")
	a.runs("wg set wg0 fwmark off")
	if out, err := a.try("ping", "-n", "-c", "2", "-W", "1", "10.0.0.2"); err == nil {
		t.Errorf("the mark is still in use: %s", out)
	}
}

// An endpoint with a link-local address is reached on the interface that its scope names, and shown with it (ROAM-11).
func TestTunnelLinkLocal(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		noted(t, "link-local endpoint of wgnode", peer)
		a, b := tunnel(t, [2]string{"wgnode", peer}, outer6, false)
		var at string
		b.eventually("a link-local address", func() bool {
			f := strings.Fields(b.run("ip", "-6", "-br", "addr", "show", "dev", "veth0", "scope", "link", "-tentative"))
			if len(f) < 3 {
				return false
			}
			at, _, _ = strings.Cut(f[2], "/")
			return true
		})
		a.run("wg", "set", "wg0", "peer", b.public, "endpoint", "["+at+"%veth0]:5000")
		if out := a.run("wg", "show", "wg0", "endpoints"); !strings.Contains(out, "["+at+"%") {
			t.Errorf("the scope is not shown: %s", out)
		}
		a.pings("10.0.0.2")
		b.pings("10.0.0.1")
	})
}
