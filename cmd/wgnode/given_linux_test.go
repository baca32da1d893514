package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/transports/uapi"
)

// give opens interface and socket itself, as other programs do, and starts a wgnode that takes them over.
func give(args []string) error {
	name := args[0]
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return err
	}
	socket, err := uapi.Open(name)
	if err != nil {
		return err
	}
	c := exec.Command("wgnode", name)
	c.ExtraFiles = []*os.File{os.NewFile(uintptr(fd), "tun"), socket}
	c.Env = append(os.Environ(), envTunnel+"=3", envSocket+"=4")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// A TUN device and a socket that somebody else opened are taken over (WG_TUN_FD, WG_UAPI_FD).
func TestGivenDescriptors(t *testing.T) {
	h := newHost(t, "A")
	if out, err := h.helper("give", "given0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.runs("wg set given0 listen-port 4711", "ip link set given0 up")
	if got := strings.TrimSpace(h.run("wg", "show", "given0", "listen-port")); got != "4711" {
		t.Errorf("port %s", got)
	}
	if out := h.run("ip", "link", "show", "given0"); !strings.Contains(out, "mtu 1420") {
		t.Errorf("MTU: %s", out)
	}
	h.runs("kill " + h.running("wgnode")[0])
	h.eventually("interface and socket are gone", func() bool {
		_, err := h.try("ls", "/var/run/wireguard/given0.sock")
		return err != nil && !h.exists("given0")
	})
}

// wg(8) configures 10,000 peers in one set, and sees all of them in one get (UAPI-37); syncconf of the same changes
// nothing.
func TestManyPeers(t *testing.T) {
	noted(t, "10,000 peers by setconf, dump and syncconf", "wg(8)")
	const n = 10_000
	h := newHost(t, "A")
	private, _ := keyPair(t)
	var text strings.Builder
	fmt.Fprintf(&text, "[Interface]\nPrivateKey = %s\nListenPort = 5000\n", private)
	for i := range n {
		var key [32]byte
		if _, err := rand.Read(key[:]); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.%d.0/24, fd00:%x::/32\nEndpoint = 192.0.2.1:%d\n",
			base64.StdEncoding.EncodeToString(key[:]), i>>8, i&255, i, 1+i)
	}
	path := h.file("many.conf", text.String())
	h.runs("wgnode wg0", "ip link set wg0 up")
	took := func(what string, f func()) {
		start := time.Now()
		f()
		t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
	}
	took("setconf", func() { h.run("wg", "setconf", "wg0", path) })
	dump := ""
	took("dump", func() { dump = h.run("wg", "show", "wg0", "dump") })
	if got := strings.Count(dump, "\n"); got != n+1 {
		t.Errorf("%d lines for %d peers", got, n)
	}
	for _, route := range []string{"10.0.0.0/24,fd00::/32", "10.39.15.0/24,fd00:270f::/32"} {
		if !strings.Contains(dump, route) {
			t.Errorf("%s is not shown", route)
		}
	}
	took("syncconf", func() { h.run("wg", "syncconf", "wg0", path) })
	if again := h.run("wg", "show", "wg0", "dump"); again != dump {
		t.Error("syncconf of the same file changed something")
	}
	status := h.run("cat", "/proc/"+h.running("wgnode")[0]+"/status")
	for line := range strings.Lines(status) {
		if strings.HasPrefix(line, "VmRSS") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
