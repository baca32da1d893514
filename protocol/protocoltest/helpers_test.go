package protocoltest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	xblake2s "golang.org/x/crypto/blake2s"

	"github.com/purewire/purewire/protocol"
)

// Whoever has the same seed and label has the same bytes, whatever sizes they are read in; whoever has not, has not.
func TestEntropy(t *testing.T) {
	whole := make([]byte, 1000)
	if _, err := io.ReadFull(NewEntropy(1, "a"), whole); err != nil {
		t.Fatal(err)
	}
	parts, e := make([]byte, 1000), NewEntropy(1, "a")
	for at, size := 0, 1; at < len(parts); at, size = at+size, size+1 {
		if _, err := io.ReadFull(e, parts[at:min(at+size, len(parts))]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(whole, parts) || e.Drawn() != 1000 {
		t.Errorf("read in parts the stream is another, or %d bytes were drawn", e.Drawn())
	}
	for _, other := range []*Entropy{NewEntropy(2, "a"), NewEntropy(1, "b")} {
		b := make([]byte, 1000)
		_, _ = other.Read(b)
		if bytes.Equal(b[:8], whole[:8]) {
			t.Error("another seed or label gives the same bytes")
		}
	}
	e.Failing = true
	if n, err := e.Read(parts); n != 0 || !errors.Is(err, ErrEntropy) || e.Drawn() != 1000 {
		t.Errorf("a failing source gave %d bytes and %v", n, err)
	}
}

// The checksums are right by the receiver's rule: the sum over everything, checksum included, is all ones (RFC 1071).
func TestInnerPackets(t *testing.T) {
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	port := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 53) }
	for n := range 70 {
		payload := bytes.Repeat([]byte{0xa5}, n)
		for name, p := range map[string][]byte{
			"udp4": UDP(port(a4), port(b4), payload), "udp6": UDP(port(a6), port(b6), payload),
			"echo4": Echo(a4, b4, 1, 2, false, payload), "echo6": Echo(a6, b6, 1, 2, true, payload),
		} {
			setSerial(p, n+1)
			SetTOS(p, 0xb9)
			if serial(p) != n+1 {
				t.Errorf("%s: number %d was read as %d", name, n+1, serial(p))
			}
			checkPacket(t, name, p, n)
		}
	}
}

func checkPacket(t *testing.T, name string, p []byte, payload int) {
	t.Helper()
	header, length, tos := ipv4Header, int(binary.BigEndian.Uint16(p[2:])), p[1]
	proto, src, dst := p[9], p[12:16], p[16:20]
	if p[0]>>4 == 6 {
		header, length, tos = ipv6Header, int(binary.BigEndian.Uint16(p[4:]))+ipv6Header, p[0]<<4|p[1]>>4
		proto, src, dst = p[6], p[8:24], p[24:40]
	} else if checksum(0, p[:header]) != 0xffff {
		t.Errorf("%s of %d bytes: wrong header checksum", name, len(p))
	}
	if length != len(p) || len(p) != header+l4Header+payload || tos != 0xb9 {
		t.Errorf("%s: %d bytes say they are %d, TOS %#x", name, len(p), length, tos)
	}
	s, _ := netip.AddrFromSlice(src)
	d, _ := netip.AddrFromSlice(dst)
	var pseudo uint32
	if proto != protoICMP {
		pseudo = pseudoHeader(s, d, proto, len(p)-header)
	}
	if checksum(pseudo, p[header:]) != 0xffff {
		t.Errorf("%s of %d bytes: wrong checksum", name, len(p))
	}
	w := Window(p)
	if !bytes.Equal(w.Bytes(), p) || w.Off < protocol.Headroom || len(w.Buf)-w.Off-w.Len < protocol.Tailroom {
		t.Errorf("%s: a window without room", name)
	}
}

func TestBLAKE2s(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		data, key := make([]byte, n), make([]byte, r.IntN(33))
		for _, b := range [][]byte{data, key} {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		whole, err := xblake2s.New256(key)
		if err != nil {
			t.Fatal(err)
		}
		whole.Write(data)
		if got := blake2s(32, key, data); !bytes.Equal(got, whole.Sum(nil)) {
			t.Fatalf("%d bytes, key of %d: %x", n, len(key), got)
		}
		if len(key) == 0 {
			continue
		}
		short, err := xblake2s.New128(key)
		if err != nil {
			t.Fatal(err)
		}
		short.Write(data)
		if got := blake2s(16, key, data); !bytes.Equal(got, short.Sum(nil)) {
			t.Fatalf("16 bytes of %d, key of %d: %x", n, len(key), got)
		}
	}
}

// A mistake in a script is told with its place, and nothing is done of a line that has one.
func TestScriptMistakes(t *testing.T) {
	const start = "# title\n\ndevice alice\ndevice bob\npeer alice bob\nup\n"
	for _, c := range []struct{ text, want string }{
		{"device alice\n----\n", "f:1: a script begins with a comment"},
		{"# title\ndevice alice\n", `f:2: these commands have no "----"`},
		{"# title\ndevice alice\n\n----\n", "f:3: an empty line among commands"},
		{start + "fly alice\n----\n", `f:7: unknown command "fly"`},
		{start + "tun alice bob colour=red\n----\n", `f:7: tun: unknown argument "colour"`},
		{start + "# why\ntun alice carol\n----\n", `f:8: tun: there is no device "carol"`},
		{start + "tun alice bob text=\"open\n----\n", "f:7: a quote is not closed"},
		{start + "tun alice bob size=big\n----\n", "f:7: tun: size=big is no number"},
		{start + "tun alice dst=fd00::1\n----\n", "f:7: tun: no destination, or one of another family"},
		{start + "settle now\n----\n", `f:7: settle: what is "now"?`},
		{start + "deliver 9\n----\n", "f:7: deliver: #9 is not on the wire"},
		{start + "replay 1\n----\n", "f:7: replay: there never was a #1"},
		{start + "advance -1s\n----\n", "time does not run backwards"},
		{start + "advance soon\n----\n", `"soon" is no duration`},
		{start + "peer alice bob allowed=10.0.0.0/8\n----\n", "f:7: peer: allowed, key and an address"},
		{start + "device alice\n----\n", `f:7: device: there is a device "alice" already`},
		{start + "forge bob initiation as=mallory\n----\n", `f:7: forge: there is no device "mallory"`},
		{start + "jobs alice release 1\n----\n", "f:7: jobs: no job 1 waits"},
		{start + "counter alice->bob rekey\n----\n", "f:7: counter: alice has no session with bob"},
		{start + "hide everything\n----\n", `f:7: hide: "everything": timers, wire, inner or events`},
		{start + "update alice->bob endpoint=here\n----\n", "f:7: update: endpoint=here is no address with port"},
	} {
		_, err := Run("f", c.text, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	env := New(Options{})
	if _, err := env.Do("device alice", "device bob unknown=1"); err == nil || env.Node("bob") != nil {
		t.Errorf("a line with a mistake had an effect: %v", err)
	}
}

// What must never happen is found when it does.
func TestViolations(t *testing.T) {
	for _, c := range []struct{ defect, want string }{
		{"no-replay-window", "delivered packet 1 2 times"},
		{"nonce-reuse", "sent counter 0 for bob.1 after 0"},
		{"no-trim", "delivered packet 1 as"},
		{"wrong-allowed-ip", "delivered packet 2 as one of alice, it was sent by carol"},
	} {
		env := New(Options{OnDevice: func(_ string, d *protocol.Device) {
			if err := WithDefect(d, c.defect); err != nil {
				t.Fatal(err)
			}
		}})
		_, err := env.Do("device alice", "device bob", "peer alice bob", "up", `tun alice bob text="one"`, "settle",
			"replay 3", `tun alice bob text="two"`, "settle")
		if c.defect == "wrong-allowed-ip" && err == nil {
			// Nothing in the world can make alice send carol's packet, so here the packet is said to be carol's.
			env.inner[1].from = &Node{Name: "carol"}
			env.inner[1].count = 0
			a := env.Node("alice")
			a.Send(env.inner[1].bytes)
			_, err = env.Do("settle")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.defect, err, c.want)
		}
	}
}

// Options.Spurious does what it says, or the test of deadlines would prove nothing.
func TestSpuriousWakeUps(t *testing.T) {
	env := New(Options{Spurious: time.Millisecond})
	if _, err := env.Do("device alice", "device bob", "advance 1s"); err != nil {
		t.Fatal(err)
	}
	if env.wakes != 2*999 || env.Now() != 1e9 {
		t.Errorf("%d wake-ups of two devices in a second, time %d", env.wakes, env.Now())
	}
}

// Many lines that are alike are told by the first, a count and the last.
func TestLogIsShort(t *testing.T) {
	env := New(Options{})
	log, err := env.Do("device alice", "device bob", "peer alice bob", "up", "tun alice bob", "settle",
		"hide events timers inner", "tun alice bob count=1000")
	if err != nil || strings.Count(log, "data for bob.1") > 3 || !strings.Contains(log, "… 998 more like this …") {
		t.Errorf("%v\n%s", err, log)
	}
}

// A pair is a working tunnel through rekeys, and says so when it is not.
func TestPair(t *testing.T) {
	p, err := NewPair(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := p.Exchange(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.Advance(29*time.Second), p.Settle()); err != nil {
			t.Fatal(err)
		}
	}
	if s := stat(p.A); s.LastHandshake.Sub(WallStart) < 500*time.Second {
		t.Errorf("no rekey in %v", s.LastHandshake.Sub(WallStart))
	}
	if _, err := p.Do("cut alice->bob"); err != nil {
		t.Fatal(err)
	}
	if err := p.Exchange(); err == nil {
		t.Error("an exchange over a cut line went well")
	}
}

func stat(n *Node) (s protocol.PeerStats) {
	for s = range n.Device.Peers() {
		break
	}
	return s
}
