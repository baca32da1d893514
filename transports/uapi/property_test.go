//go:build linux

package uapi

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/tuntest"
	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol"
)

// drawPrefix has few values, so that prefixes meet, and some with host bits.
func drawPrefix(t *rapid.T) netip.Prefix {
	network, host := byte(rapid.IntRange(0, 2).Draw(t, "net")), byte(rapid.IntRange(0, 1).Draw(t, "host"))
	a := netip.AddrFrom4([4]byte{10, network, 0, host})
	bits := rapid.SampledFrom([]int{0, 8, 16, 32}).Draw(t, "bits")
	if rapid.Bool().Draw(t, "v6") {
		a, bits = netip.AddrFrom16([16]byte{0: 0x20, 2: network, 15: host}), bits*4
	}
	return netip.PrefixFrom(a, bits)
}

func drawPeer(t *rapid.T) protocol.Change {
	c := protocol.Change{Peer: public(byte(rapid.IntRange(1, 4).Draw(t, "peer"))), Op: protocol.OpPutPeer}
	switch rapid.IntRange(0, 4).Draw(t, "op") {
	case 0:
		return protocol.Change{Op: protocol.OpRemovePeer, Lenient: true, Peer: c.Peer}
	case 1:
		c.Op, c.Lenient = protocol.OpUpdatePeer, true
	}
	if rapid.Bool().Draw(t, "with psk") {
		psk := protocol.PresharedKey(public(byte(rapid.IntRange(1, 3).Draw(t, "psk"))))
		c.PresharedKey = &psk
	}
	if rapid.Bool().Draw(t, "with endpoint") {
		a := drawPrefix(t).Addr()
		at := netip.AddrPortFrom(a, uint16(rapid.IntRange(1, 65535).Draw(t, "port")))
		c.Endpoint = &at
	}
	if rapid.Bool().Draw(t, "with keepalive") {
		n := rapid.Uint16().Draw(t, "keepalive")
		c.PersistentKeepalive = &n
	}
	c.ReplaceAllowedIPs = rapid.Bool().Draw(t, "replace")
	for range rapid.IntRange(0, 3).Draw(t, "removals") {
		c.RemoveAllowedIPs = append(c.RemoveAllowedIPs, drawPrefix(t))
	}
	for range rapid.IntRange(0, 3).Draw(t, "additions") {
		c.AllowedIPs = append(c.AllowedIPs, drawPrefix(t))
	}
	return c
}

func drawSettings(t *rapid.T) (s Settings) {
	if rapid.Bool().Draw(t, "with port") {
		n := rapid.Uint16().Draw(t, "listen port")
		s.Port = &n
	}
	if rapid.Bool().Draw(t, "with mark") {
		n := rapid.Uint32().Draw(t, "mark")
		s.Mark = &n
	}
	for range rapid.IntRange(0, 2).Draw(t, "device changes") {
		switch n := byte(rapid.IntRange(0, 4).Draw(t, "identity")); n {
		case 0:
			s.Changes = append(s.Changes, protocol.Change{Op: protocol.OpIdentity})
		case 1:
			s.Changes = append(s.Changes, protocol.Change{Op: protocol.OpRemovePeers})
		default:
			s.Changes = append(s.Changes,
				protocol.Change{Op: protocol.OpIdentity, Identity: protocol.NewIdentity(secret(n))})
		}
	}
	for range rapid.IntRange(0, 6).Draw(t, "peers") {
		s.Changes = append(s.Changes, drawPeer(t))
	}
	return s
}

// parse reads the lines that Append wrote.
func parse(text []byte) (Settings, error) {
	p := newParser()
	for line := range bytes.Lines(text) {
		if err := p.line(line[:len(line)-1]); err != nil {
			return Settings{}, fmt.Errorf("%q: %w", line, err)
		}
	}
	return p.Settings, nil
}

// What is printed is read back as it was.
func TestPrintedIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSettings(t)
		text, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nis read as %+v, %v\nwant %+v", text, got, err, want)
		}
	})
}

// What a set cannot say is refused and not left out.
func TestPrintRefuses(t *testing.T) {
	var none netip.AddrPort
	for what, changes := range map[string][]protocol.Change{
		"an MTU":               {{Op: protocol.OpMTU, MTU: 1}},
		"no operation":         {{}},
		"a sealed identity":    {{Op: protocol.OpIdentity, Identity: sealed{protocol.NewIdentity(secret(1))}}},
		"an endpoint to drop":  {{Op: protocol.OpPutPeer, Endpoint: &none}},
		"add":                  {{Op: protocol.OpAddPeer}},
		"a strict update":      {{Op: protocol.OpUpdatePeer}},
		"a strict removal":     {{Op: protocol.OpRemovePeer}},
		"removal of all, late": {{Op: protocol.OpPutPeer}, {Op: protocol.OpRemovePeers}},
		"identity, late":       {{Op: protocol.OpPutPeer}, {Op: protocol.OpIdentity}},
	} {
		if text, err := (Settings{Changes: changes}).Append(nil); err == nil {
			t.Errorf("%s is printed as %q", what, text)
		}
	}
}

// connection is a client that has said all it will say.
type connection struct {
	in  bytes.Reader
	out bytes.Buffer
}

func (c *connection) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *connection) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *connection) Close() error                     { return nil }
func (c *connection) LocalAddr() net.Addr              { return nil }
func (c *connection) RemoteAddr() net.Addr             { return nil }
func (c *connection) SetDeadline(time.Time) error      { return nil }
func (c *connection) SetReadDeadline(time.Time) error  { return nil }
func (c *connection) SetWriteDeadline(time.Time) error { return nil }

// talk gives s the input as one connection and returns all that it answers.
func talk(s *Server, input string) string {
	c := &connection{}
	c.in.Reset([]byte(input))
	s.handle(&client{Conn: c, server: s})
	return c.out.String()
}

// An answer of which a piece was lost gets no good end, or any at all.
func TestLostPieceHasNoEnd(t *testing.T) {
	n := manyPeers(t, 1000)
	for nth := 1; nth <= 3; nth++ {
		c := &losing{nth: nth}
		c.in.Reset([]byte("get=1\n\nget=1\n\n"))
		s := &Server{Device: n}
		s.handle(&client{Conn: c, server: s})
		if got := c.out.String(); c.nth > 0 || strings.Contains(got, "errno") {
			t.Errorf("piece %d lost: %d bytes are written, errno among them", nth, len(got))
		}
	}
}

// losing fails its nth Write and no other.
type losing struct {
	connection
	nth int
}

func (l *losing) Write(p []byte) (int, error) {
	if l.nth--; l.nth == 0 {
		return 0, errBroken
	}
	return l.connection.Write(p)
}

// A get, read by our client and set on another device, makes that say the same.
func TestGetCanBeSet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second := newNode(t, 0), newNode(t, 0)
		for range rapid.IntRange(1, 3).Draw(rt, "sets") {
			s := drawSettings(rt)
			if err := first.Configure(s.Changes, nil, s.Mark); err != nil {
				rt.Fatal(err)
			}
		}
		text := talk(&Server{Device: first}, "get=1\n\n")
		state, err := NewClient(pipe{strings.NewReader(text)}).Get()
		if err != nil {
			rt.Fatalf("%v: %s", err, text)
		}
		again := Settings{Mark: &state.Mark}
		if state.PrivateKey != nil {
			id := protocol.NewIdentity(*state.PrivateKey)
			again.Changes = append(again.Changes, protocol.Change{Op: protocol.OpIdentity, Identity: id})
		}
		for i := range state.Peers {
			p := &state.Peers[i]
			c := protocol.Change{Op: protocol.OpPutPeer, Peer: p.PublicKey, PresharedKey: &p.PresharedKey,
				PersistentKeepalive: &p.PersistentKeepalive, AllowedIPs: p.AllowedIPs}
			if p.Endpoint.IsValid() {
				c.Endpoint = &p.Endpoint
			}
			again.Changes = append(again.Changes, c)
		}
		lines, err := again.Append([]byte("set=1\n"))
		if err != nil {
			rt.Fatal(err)
		}
		if got := talk(&Server{Device: second}, string(lines)+"\nget=1\n\n"); got != "errno=0\n\n"+text {
			rt.Fatalf("%s\nset elsewhere gives\n%s", text, got)
		}
	})
}

// FuzzSet gives a server anything at all. It never panics, every answer is well-formed, and only a set that is
// answered with 0 changes the device.
func FuzzSet(f *testing.F) {
	f.Add("fwmark=1\nreplace_peers=true\npublic_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n\n")
	f.Add("public_key=" + pub(3) + "\nupdate_only=true\nallowed_ip=-10.0.0.0/8\nallowed_ip=::/0\nallowed_ip=-::/0\n\n")
	f.Add("private_key=" + prv(2) + "\npublic_key=" + pub(2) + "\nremove=true\nendpoint=[::1]:5\n\nget=1\n\nset=1\nx\n\n")
	f.Add("public_key=" + pub(2) + "\npreshared_key=" + pub(4) + "\nprotocol_version=2\n\nset=1\nfwmark=3\n\n")
	f.Add("listen_port=65536\n\nset=1\n\nset=1\npersistent_keepalive_interval=5\n\nget=1\nget=1\n\n")
	f.Add("public_key=" + pub(2) + "\nreplace_allowed_ips=true\npersistent_keepalive_interval=65535\n")
	f.Fuzz(func(t *testing.T, lines string) {
		n := newNode(t, 1)
		portless := &noPorts{node: n}
		s := &Server{Device: portless, MaxRequest: 1 << 16}
		base := "set=1\nfwmark=5\npublic_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\npreshared_key=" + pub(9) + "\n\n"
		if got := talk(s, base); got != "errno=0\n\n" {
			t.Fatalf("the base: %q", got)
		}
		before, mark := n.state(), n.mark
		answer := talk(s, "set=1\n"+lines)
		accepted := 0
		for rest := answer; rest != ""; {
			one, more, ok := strings.Cut(rest, "\n\n")
			if !ok || strings.Count("\n"+one, "\nerrno=") != 1 {
				t.Fatalf("answer %q", answer)
			}
			if one == "errno=0" || strings.HasSuffix(one, "\nerrno=0") {
				accepted++
			}
			rest = more
		}
		if n.applied-1 > accepted {
			t.Fatalf("%d sets were applied, the answer is %q", n.applied-1, answer)
		}
		if after := n.state(); n.applied == 1 && (after != before || n.mark != mark || portless.asked) {
			t.Fatalf("answer %q, but the device changed from\n%s\nto\n%s", answer, before, after)
		}
		text := talk(s, "get=1\n\n")
		if _, err := NewClient(pipe{strings.NewReader(text)}).Get(); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
	})
}

// noPorts opens no sockets, for a fuzzer would use them up.
type noPorts struct {
	*node
	asked bool
}

func (n *noPorts) Configure(changes []protocol.Change, port *uint16, mark *uint32) error {
	err := n.node.Configure(changes, nil, mark)
	n.asked = n.asked || port != nil && err == nil
	return err
}

// likeSets are compared with wireguard-go, one after another on the same device.
var likeSets = []string{
	"private_key=" + prv(1) + "\nfwmark=3\n",
	"public_key=" + pub(2) + "\nendpoint=192.0.2.1:5\nallowed_ip=10.1.0.0/8\nallowed_ip=10.0.0.0/16\n",
	"public_key=" + pub(2) + "\nallowed_ip=-10.0.0.0/16\nprotocol_version=1\npersistent_keepalive_interval=7\n",
	"public_key=" + pub(1) + "\nallowed_ip=10.0.0.0/8\n",
	"public_key=" + pub(3) + "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n",
	"public_key=" + pub(3) + "\nremove=true\n",
	"public_key=" + pub(2) + "\npreshared_key=" + pub(9) + "\nendpoint=[2001:db8::1]:9\n",
	"x=1\n", "x\n", "fwmark=y\n", "replace_peers=false\n", "private_key=00\n", "listen_port=70000\n",
	"public_key=" + pub(2) + "\nx=1\n", "public_key=" + pub(2) + "\nx\n",
	"public_key=" + pub(2) + "\nremove=no\n", "public_key=" + pub(2) + "\nprotocol_version=2\n",
	"public_key=" + pub(2) + "\nallowed_ip=10.0.0.0\n", "public_key=" + pub(2) + "\nendpoint=x\n",
	"public_key=" + pub(2) + "\npersistent_keepalive_interval=65536\n", "public_key=" + pub(2)[1:] + "\n",
	"public_key=" + pub(2) + "\nreplace_allowed_ips=true\nallowed_ip=192.0.2.0/24\nallowed_ip=::/0\n",
	"private_key=" + prv(2) + "\n",
	"replace_peers=true\npublic_key=" + pub(4) + "\n",
	"private_key=" + strings.Repeat("0", 64) + "\nfwmark=0\n",
}

// quiet is a TUN device that never comes up, so that wireguard-go opens no port and sends nothing.
type quiet struct {
	tun.Device
	events chan tun.Event
}

func (q *quiet) Events() <-chan tun.Event { return q.events }
func (q *quiet) Close() error             { close(q.events); return q.Device.Close() }

// A program that was written for wireguard-go sees the same answers, errno and its sign included.
func TestLikeWireguardGo(t *testing.T) {
	down := &quiet{tuntest.NewChannelTUN().TUN(), make(chan tun.Event)}
	theirs := device.NewDevice(down, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	defer theirs.Close()
	ours := &Server{Device: newNode(t, 0)}
	for _, lines := range likeSets {
		request := "set=1\n" + lines + "\n"
		near, far := net.Pipe()
		go theirs.IpcHandle(far)
		go fmt.Fprint(near, request)
		reply := make([]byte, 100)
		size, err := near.Read(reply)
		if err != nil {
			t.Fatal(err)
		}
		near.Close()
		if got := talk(ours, request); got != string(reply[:size]) {
			t.Errorf("%s: we answer %q, wireguard-go %q", lines, got, reply[:size])
		}
		want, err := theirs.IpcGet()
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(ours, "get=1\n\n"); got != want+"errno=0\n\n" {
			t.Errorf("after\n%swe say\n%s\nwireguard-go says\n%s", lines, got, want)
		}
	}
}
