//go:build linux

package uapi

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/purewire/purewire/protocol"
)

func TestUAPI01(t *testing.T) {
	r := newRig(t)
	r.ok("")
	r.ok("fwmark=7\n")
	if got := r.ask("get=1\n\n"); got != "fwmark=7\nerrno=0\n\n" {
		t.Fatalf("get of a device with a mark: %q", got)
	}
	if got := r.ask("get=1\nfwmark=1\n\n"); got != "errno=22\n\n" {
		t.Fatalf("get with a line: %q", got)
	}
	r.want("fwmark=7")
	r.fails("-71", "fwmark 9\n") // TestUAPI30
}

func TestUAPI02(t *testing.T) {
	r := newRig(t)
	if got := r.ask("get=1\n\n"); got != "errno=0\n\n" {
		t.Fatalf("get of an empty device: %q", got)
	}
	r.broken = errBroken
	if got := r.ask("get=1\n\n"); got != "errno=5\n\n" {
		t.Fatalf("get of a device without a core: %q", got)
	}
}

func TestUAPI03(t *testing.T) {
	r := newRig(t)
	if got := r.ask("set=1\nfwmark=1\n\n"); got != "errno=0\n\n" {
		t.Fatalf("a good set: %q", got)
	}
	if got := r.ask("set=1\nfwmark=x\n\n"); got != "errno=-22\n\n" {
		t.Fatalf("a bad set: %q", got)
	}
}

func TestUAPI04(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + prv(1) + "\n")
	if r.want("private_key=" + prv(1)); r.applied != 1 {
		t.Fatalf("errno 0 for %d applied sets", r.applied)
	}
}

func TestUAPI05(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{protocol.ErrInvalid, 22},
		{fmt.Errorf("change 3: %w", protocol.ErrLimit), 12},
		{protocol.ErrUnknownPeer, 2},
		{protocol.ErrPeerExists, 17},
		{&net.OpError{Op: "listen", Err: syscall.EADDRINUSE}, 98},
		{syscall.EACCES, 13},
		{errBroken, 5},
	} {
		if got := asError(c.err).Errno; got != c.want {
			t.Errorf("errno of %v is %d, want %d", c.err, got, c.want)
		}
	}
	e := &Error{Errno: 22, Line: 3, Reason: "unknown key"}
	if got := e.Error(); got != "uapi: unknown key (errno 22) in line 3" {
		t.Errorf("an error reads %q", got)
	}
	// A client accepts both signs.
	for _, text := range []string{"errno=-98\n\n", "errno=98\n\n"} {
		err := NewClient(pipe{strings.NewReader(text)}).Set(Settings{})
		if e, ok := err.(*Error); !ok || e.Errno != 98 || !e.Is(syscall.EADDRINUSE) || e.Is(syscall.EINVAL) {
			t.Errorf("%q is read as %v", text, err)
		}
	}
}

// pipe answers without listening.
type pipe struct{ io.Reader }

func (pipe) Write(b []byte) (int, error) { return len(b), nil }
func (pipe) Close() error                { return nil }

func TestUAPI06(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.ok(fmt.Sprintf("fwmark=%d\n", i+1))
		r.invalid("nonsense=1\nfwmark=9\n")
		r.want(fmt.Sprintf("fwmark=%d", i+1))
	}
	// Several at once, without waiting for the answers.
	if got := r.ask("get=1\n\nset=1\nfwmark=5\n\nget=1\n\n"); got != "fwmark=3\nerrno=0\n\n" {
		t.Fatalf("first of three: %q", got)
	}
	if got := readAnswer(t, r.in); got != "errno=0\n\n" {
		t.Fatalf("second of three: %q", got)
	}
	if got := readAnswer(t, r.in); got != "fwmark=5\nerrno=0\n\n" {
		t.Fatalf("third of three: %q", got)
	}
}

func TestUAPI07(t *testing.T) {
	for first, want := range map[string]string{
		"hello\n":                   "errno=-71\n\n",
		"\n":                        "errno=-71\n\n",
		"set=2\n":                   "errno=-22\n\n",
		"get=2\n":                   "errno=22\n\n",
		"get=1 \n":                  "errno=22\n\n",
		"GET=1\n":                   "errno=-22\n\n",
		strings.Repeat("x", 1<<17):  "errno=-71\n\n",
		"private_key=00\nset=1\n\n": "errno=-22\n\n",
	} {
		r := newRig(t)
		if got := r.ask(first); got != want {
			t.Errorf("first line %.20q answered %q, want %q", first, got, want)
		}
		if _, err := r.in.ReadByte(); err != io.EOF {
			t.Errorf("first line %.20q: the connection goes on: %v", first, err)
		}
		if r.applied != 0 {
			t.Errorf("first line %.20q changed something", first)
		}
	}
}

func TestUAPI08(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + strings.ToUpper(prv(7)) + "\n") // digits of either case, as wireguard-go
	r.want("private_key=" + prv(7))
	for _, line := range []string{"Private_key=" + prv(2), "PRIVATE_KEY=" + prv(2), " private_key=" + prv(2),
		"private_key=" + prv(2)[1:], "private_key=" + prv(2) + "0", "private_key=" + prv(2) + " ",
		"private_key=" + prv(2)[:62] + "0g", "private_key=", "public_key=" + pub(2)[2:],
		"public_key=" + pub(2) + "\npreshared_key=" + pub(3)[:63] + "z"} {
		r.invalid(line + "\n")
	}
}

func TestUAPI09(t *testing.T) {
	r := newRig(t)
	r.ok("listen_port=0\nfwmark=3\nprivate_key=" + prv(1) + "\npublic_key=" + pub(2) +
		"\nendpoint=192.0.2.1:5\nallowed_ip=10.0.0.0/8\nallowed_ip=::/0\npublic_key=" + pub(3) + "\n")
	var keys []string
	for _, line := range r.get() {
		key, _, _ := strings.Cut(line, "=")
		keys = append(keys, key)
	}
	peer := "public_key preshared_key protocol_version %slast_handshake_time_sec last_handshake_time_nsec tx_bytes " +
		"rx_bytes persistent_keepalive_interval"
	want := "private_key listen_port fwmark " + fmt.Sprintf(peer, "endpoint ") + " allowed_ip allowed_ip " +
		fmt.Sprintf(peer, "")
	if got := strings.Join(keys, " "); got != want {
		t.Fatalf("the order of a get is\n%s\nwant\n%s", got, want)
	}
	// In a set, a device key in a peer section is unknown, and so is a peer key before any.
	for _, line := range []string{"private_key=" + prv(4), "listen_port=0", "fwmark=1", "replace_peers=true"} {
		r.invalid("public_key=" + pub(2) + "\n" + line + "\n")
	}
	for _, line := range []string{"preshared_key=" + pub(1), "endpoint=192.0.2.1:5", "remove=true", "update_only=true",
		"allowed_ip=::/0", "replace_allowed_ips=true", "protocol_version=1", "persistent_keepalive_interval=1"} {
		r.invalid(line + "\npublic_key=" + pub(2) + "\n")
	}
}

func TestUAPI10(t *testing.T) {
	r := newRig(t)
	r.wantNo("private_key")
	r.ok("private_key=" + prv(1) + "\n")
	r.want("private_key=" + prv(1))
	// "the private key is stored clamped and read back clamped" (B152)
	var k protocol.PrivateKey
	for i := range k {
		k[i] = 0xff
	}
	r.ok("private_key=" + hex.EncodeToString(k[:]) + "\n")
	r.want("private_key=f8" + strings.Repeat("ff", 30) + "7f")
	// An identity that keeps its key shows none.
	r.with(func(d *protocol.Device) {
		change := []protocol.Change{{Op: protocol.OpIdentity, Identity: sealed{protocol.NewIdentity(secret(1))}}}
		if err := d.Configure(r.now, change, &protocol.Batch{}); err != nil {
			t.Error(err)
		}
	})
	r.wantNo("private_key")
}

// sealed is an identity that does not give its key.
type sealed struct{ protocol.Identity }

func TestUAPI11(t *testing.T) {
	r := newRig(t)
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\n")
	r.ok("private_key=" + strings.Repeat("0", 64) + "\n")
	r.wantNo("private_key")
	r.want("public_key=" + pub(2))
	r.with(func(d *protocol.Device) {
		if d.Identity() != nil {
			t.Error("the core still has an identity")
		}
	})
}

func TestUAPI12(t *testing.T) {
	r := newRig(t)
	r.wantNo("listen_port")
	r.ok("listen_port=0\n")
	line := r.get()[0]
	n, err := strconv.ParseUint(strings.TrimPrefix(line, "listen_port="), 10, 16)
	if err != nil || n == 0 || uint16(n) != r.port {
		t.Fatalf("after listen_port=0 get says %q, the socket has %d", line, r.port)
	}
	for _, bad := range []string{"65536", "-1", "+1", "0x10", "", " 1", "1 ", "1.0", "99999999999999999999", "1e3"} {
		r.invalid("listen_port=" + bad + "\n")
	}
	// A free port that we know: close it and ask for it.
	other := newNode(t, 0)
	zero := uint16(0)
	if err := other.Configure(nil, &zero, nil); err != nil {
		t.Fatal(err)
	}
	free := other.port
	other.socket.Close()
	r.ok(fmt.Sprintf("listen_port=%d\n", free))
	r.want(fmt.Sprintf("listen_port=%d", free))
}

func TestUAPI13(t *testing.T) {
	r, other := newRig(t), newNode(t, 0)
	zero := uint16(0)
	if err := other.Configure(nil, &zero, nil); err != nil {
		t.Fatal(err)
	}
	r.ok("listen_port=0\n")
	r.fails("-98", fmt.Sprintf("private_key=%s\nlisten_port=%d\nfwmark=4\npublic_key=%s\n", prv(1), other.port, pub(2)))
}

func TestUAPI14(t *testing.T) {
	r := newRig(t)
	r.ok("fwmark=4294967295\n")
	r.want("fwmark=4294967295")
	for _, bad := range []string{"4294967296", "-1", "0x1", "off", ""} {
		r.invalid("fwmark=" + bad + "\n")
	}
	r.ok("fwmark=0\n")
	if r.wantNo("fwmark"); r.mark != 0 {
		t.Fatalf("the mark is %d", r.mark)
	}
}

func TestUAPI15(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\npublic_key=" + pub(3) + "\n")
	r.ok("replace_peers=true\npublic_key=" + pub(3) + "\npublic_key=" + pub(4) + "\n")
	r.wantNo("public_key=" + pub(2))
	r.want("public_key=" + pub(3))
	r.want("public_key=" + pub(4))
	r.wantNo("allowed_ip")
	r.ok("replace_peers=true\n")
	r.wantNo("public_key")
}

func TestUAPI16(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\npersistent_keepalive_interval=5\n")
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\npublic_key=" + pub(3) + "\n")
	r.want("persistent_keepalive_interval=5") // it was not made anew
	var ids []protocol.PeerID
	r.with(func(d *protocol.Device) {
		for s := range d.Peers() {
			ids = append(ids, s.ID)
		}
	})
	if !slices.Equal(ids, []protocol.PeerID{1, 2}) {
		t.Fatalf("peers %v, want 1 and 2", ids)
	}
}

func TestUAPI17(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\npublic_key=" + pub(3) + "\nallowed_ip=10.0.0.0/8\n")
	r.ok("public_key=" + pub(9) + "\nremove=true\n")
	r.ok("public_key=" + pub(2) + "\nremove=true\n")
	r.wantNo("public_key=" + pub(2))
	// The rest of the section is moot, before and behind, but must be well-formed.
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\nremove=true\n" +
		"update_only=true\nallowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\n")
	if got := r.routes(3); got != "10.0.0.0/8" {
		t.Fatalf("a section that removes its peer took a prefix away: %q is left", got)
	}
	r.ok("public_key=" + pub(2) + "\nallowed_ip=::/0\n")
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\nremove=true\nupdate_only=true\n" +
		"allowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n")
	if r.wantNo("public_key=" + pub(2)); r.routes(3) != "10.0.0.0/8" {
		t.Fatalf("a peer that was there took a prefix along: %q is left", r.routes(3))
	}
	r.invalid("public_key=" + pub(3) + "\nremove=true\nallowed_ip=x\n")
	r.ok("public_key=" + pub(3) + "\nremove=true\npublic_key=" + pub(3) + "\npersistent_keepalive_interval=9\n")
	r.want("persistent_keepalive_interval=9")
}

func TestUAPI18(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n")
	for _, section := range []string{
		"update_only=true\nallowed_ip=10.0.0.0/8\n", "allowed_ip=10.0.0.0/8\nupdate_only=true\n",
		"update_only=true\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\nallowed_ip=10.0.0.0/8\n",
	} {
		r.ok("public_key=" + pub(3) + "\n" + section)
		if r.wantNo("public_key=" + pub(3)); r.routes(2) != "10.0.0.0/8" {
			t.Fatalf("a section that was to be skipped took a prefix away: %q", section)
		}
	}
	r.ok("public_key=" + pub(2) + "\nupdate_only=true\npersistent_keepalive_interval=3\n")
	r.want("persistent_keepalive_interval=3")
	r.invalid("public_key=" + pub(3) + "\nupdate_only=true\nallowed_ip=x\n")
}

func TestUAPI19(t *testing.T) {
	r := newRig(t)
	zeros := strings.Repeat("0", 64)
	r.ok("public_key=" + pub(2) + "\n")
	r.want("preshared_key=" + zeros)
	r.ok("public_key=" + pub(2) + "\npreshared_key=" + pub(9) + "\n")
	r.want("preshared_key=" + pub(9)) // B007: what get reports is what the core uses
	r.with(func(d *protocol.Device) {
		if s, _ := d.Stats(1); s.PresharedKey != protocol.PresharedKey(public(9)) {
			t.Errorf("the core uses %x", s.PresharedKey)
		}
	})
	r.ok("public_key=" + pub(2) + "\npersistent_keepalive_interval=3\n")
	r.want("preshared_key=" + pub(9))
	r.ok("public_key=" + pub(2) + "\npreshared_key=" + zeros + "\n")
	r.want("preshared_key=" + zeros)
}

func TestUAPI20(t *testing.T) {
	r := newRig(t)
	for set, get := range map[string]string{
		"192.0.2.1:51820":            "192.0.2.1:51820",
		"[2001:db8::1]:1":            "[2001:db8::1]:1",
		"[2001:0DB8:0::1]:65535":     "[2001:db8::1]:65535",
		"[::ffff:192.0.2.7]:5":       "192.0.2.7:5",
		"[fe80::1]:5":                "[fe80::1]:5",
		"[64:ff9b::192.0.2.33]:4000": "[64:ff9b::c000:221]:4000",
	} {
		r.ok("public_key=" + pub(2) + "\nendpoint=" + set + "\n")
		r.want("endpoint=" + get)
	}
	for _, bad := range []string{"", "192.0.2.1", "192.0.2.1:", ":5", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:-1",
		"2001:db8::1:5", "[2001:db8::1]", "[192.0.2.1]:5", "example.org:5", "192.0.2.1:http", "192.0.2:5", "192.0.2.1:5 "} {
		r.invalid("public_key=" + pub(2) + "\nendpoint=" + bad + "\n")
	}
}

// A link-local endpoint has a scope (ROAM-11): taken as a number or as a name, kept in the core, shown as a number, and
// a client of ours writes what a server of ours takes.
func TestUAPI20Scope(t *testing.T) {
	r := newRig(t)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for zone, want := range map[string]uint32{"lo": uint32(lo.Index), "7": 7, "4294967295": 4294967295} {
		r.ok("public_key=" + pub(2) + "\nendpoint=[fe80::1%" + zone + "]:5\n")
		r.want(fmt.Sprintf("endpoint=[fe80::1%%%d]:5", want))
		r.with(func(d *protocol.Device) {
			if s, _ := d.Stats(1); s.Endpoint.IfIndex != want || s.Endpoint.Remote.String() != "[fe80::1]:5" {
				t.Errorf("zone %s: the core has %v", zone, s.Endpoint)
			}
		})
	}
	at := netip.MustParseAddrPort("[fe80::9]:8")
	scoped := protocol.Change{Op: protocol.OpPutPeer, Peer: public(2), Endpoint: &at, EndpointIfIndex: 3}
	if err = NewClient(r.conn).Set(Settings{Changes: []protocol.Change{scoped}}); err != nil {
		t.Fatal(err)
	}
	r.want("endpoint=[fe80::9%3]:8")
	r.ok("public_key=" + pub(2) + "\nendpoint=[fe80::1]:5\n")
	r.want("endpoint=[fe80::1]:5") // another endpoint, without the scope of the one before
	for _, bad := range []string{"[fe80::1%nosuch0]:5", "[fe80::1%4294967296]:5", "[fe80::1%]:5", "[2001:db8::1%3]:5",
		"[::ffff:192.0.2.1%3]:5"} {
		r.invalid("public_key=" + pub(2) + "\nendpoint=" + bad + "\n")
	}
}

func TestUAPI21(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"1", "25", "65535", "0"} {
		r.ok("public_key=" + pub(2) + "\npersistent_keepalive_interval=" + n + "\n")
		r.want("persistent_keepalive_interval=" + n)
	}
	for _, bad := range []string{"65536", "-1", "off", "", "25s", "1.5"} {
		r.invalid("public_key=" + pub(2) + "\npersistent_keepalive_interval=" + bad + "\n")
	}
}

func TestUAPI22(t *testing.T) {
	r := newRig(t)
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nallowed_ip=2001:db8::/32\n")
	r.ok("public_key=" + pub(2) + "\nreplace_allowed_ips=true\nallowed_ip=192.0.2.0/24\n")
	if got := r.routes(2); got != "192.0.2.0/24" {
		t.Fatalf("replaced by %q", got)
	}
	// Lines count one after another: what stands before is replaced, too.
	r.ok("public_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=172.16.0.0/12\n")
	if got := r.routes(2); got != "172.16.0.0/12" {
		t.Fatalf("added, replaced, added: %q", got)
	}
	r.ok("public_key=" + pub(2) + "\nreplace_allowed_ips=true\n")
	if got := r.routes(2); got != "" {
		t.Fatalf("replaced by nothing: %q", got)
	}
}
