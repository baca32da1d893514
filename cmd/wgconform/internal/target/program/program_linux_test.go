package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

var (
	subject4 = netip.MustParseAddrPort("192.0.2.1:51820")
	subject6 = netip.MustParseAddrPort("[2001:db8::1]:51820")
	tester4  = netip.MustParseAddrPort("192.0.2.200:4321")
	tester6  = netip.MustParseAddrPort("[2001:db8::abcd:1]:4321")
)

// A datagram of any size goes in and comes back as it was, from any address, by both versions of IP. The kernel drops
// wrong checksums and puts our fragments together; it makes fragments itself, which we put together.
func TestDatagrams(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	for _, way := range [][2]netip.AddrPort{{subject4, tester4}, {subject6, tester6}} {
		for i, n := range []int{0, 1, 32, 148, 1451, 1452, 1453, 1471, 1472, 1473, 3000, 8192, 40001, 65000} {
			d := conformance.Datagram{Local: way[0], Bytes: bytes.Repeat([]byte{byte(n), 1, 2}, n)[:n], TOS: 0x2e << 2}
			d.Remote = netip.AddrPortFrom(way[1].Addr(), uint16(1000+i))
			before := s.Now()
			at := s.Input(s.Now(), []conformance.Datagram{d})
			if at.Earliest < before || at.Latest > s.Now() || at.Earliest > at.Latest {
				t.Fatalf("%d bytes: arrived at %v, sent between %v and %v", n, at, before, s.Now())
			}
			o := until(t, s, fmt.Sprintf("an echo of %d bytes to %v", n, d.Remote),
				func(o *conformance.Output) bool { return len(o.Datagrams) > 0 })
			got := o.Datagrams[0]
			if !bytes.Equal(got.Bytes, d.Bytes) || got.Local != d.Local || got.Remote != d.Remote || got.TOS != 0 {
				t.Fatalf("%d bytes: got %d bytes, %v → %v, TOS %#x", n, len(got.Bytes), got.Local, got.Remote, got.TOS)
			}
			if got.At.Earliest < at.Earliest || got.At.Latest > s.Now() {
				t.Errorf("%d bytes: arrived at %v, came back at %v, which is before, or after %v", n, at, got.At, s.Now())
			}
			if n <= 1452 && conformance.Source(got.IP) != d.Local.Addr() {
				t.Errorf("%d bytes: the outer packet is not there: % x", n, got.IP)
			}
		}
	}
}

// Inner packets go in and come out at the interface, exactly.
func TestPackets(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	var in [][]byte
	for i, way := range [][2]netip.AddrPort{{subject4, tester4}, {subject6, tester6}} {
		in = append(in, conformance.UDP(way[1], way[0], []byte(strings.Repeat("inner", 100*i))))
	}
	in = append(in, slices.Clone(in[0])) // twice the same
	before := s.Now()
	at := s.Packets(before, in)
	if at.Earliest < before || at.Latest > s.Now() || at.Latest == 0 || at.Latest-at.Earliest > s.Now()-before {
		t.Errorf("entered at %v, between %v and %v", at, before, s.Now())
	}
	o := until(t, s, "three packets", func(o *conformance.Output) bool { return len(o.Packets) == 3 })
	for i, p := range o.Packets {
		if !bytes.Equal(p.Bytes, in[i]) {
			t.Errorf("packet %d: % x, want % x", i, p.Bytes, in[i])
		}
		if p.At.Earliest < at.Earliest {
			t.Errorf("packet %d came out at %v, before it went in at %v", i, p.At, at)
		}
	}
	if len(o.Others)+len(o.Datagrams) > 0 {
		t.Errorf("the inner packets also caused %d others and %d datagrams", len(o.Others), len(o.Datagrams))
	}
}

// What the subject's host says for itself is told apart, and the mark of its packets is seen.
func TestHostsWords(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "deaf")), nil)
	s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("anybody there?")}})
	o := until(t, s, "an ICMP error", func(o *conformance.Output) bool { return len(o.Others) > 0 })
	got := o.Others[0].Bytes
	if got[9] != 1 || got[20] != 3 || got[21] != 3 || conformance.Source(got) != subject4.Addr() ||
		conformance.Destination(got) != tester4.Addr() {
		t.Errorf("got % x, want ICMP 3/3 from %v to %v", got, subject4, tester4)
	}
	marked := subject(t, factory(t, fakeCommand(t, "marks")), nil)
	marked.Input(marked.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("mark?")}})
	o = until(t, marked, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 })
	if !o.Datagrams[0].Marked || o.Datagrams[0].Mark != 77 {
		t.Errorf("the mark is %d, want 77", o.Datagrams[0].Mark)
	}
}

func TestAddresses(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	second := netip.MustParsePrefix("203.0.113.5/24")
	if err := s.SetAddresses(s.Now(), []netip.Prefix{second}, nil); err != nil {
		t.Fatal(err)
	}
	in := conformance.Datagram{Local: netip.AddrPortFrom(second.Addr(), 51820),
		Remote: netip.MustParseAddrPort("203.0.113.77:7"), Bytes: []byte("x")}
	s.Input(s.Now(), []conformance.Datagram{in})
	until(t, s, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) == 1 })
	if err := s.SetAddresses(s.Now(), nil, []netip.Prefix{second}); err != nil {
		t.Fatal(err)
	}
	s.Input(s.Now(), []conformance.Datagram{in, {Local: subject4, Remote: tester4, Bytes: []byte("y")}})
	o := until(t, s, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) == 1 })
	if string(o.Datagrams[0].Bytes) != "y" {
		t.Error("the address still answers")
	}
}

// A program that dies is noticed, with how and its last words; Restart brings it back.
func TestDeath(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	for how, want := range map[string]string{
		"die exit": "exit status 3", "die signal": "SIGSEGV", "die panic": "exit status 2",
	} {
		s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte(how)}})
		o := until(t, s, how, func(o *conformance.Output) bool { return o.Died != "" })
		if !strings.Contains(o.Died, want) || !strings.Contains(o.Died, "dying of "+how) {
			t.Errorf("%s: died of %q", how, o.Died)
		}
		now := s.Now()
		if reached := s.Advance(now.Add(50 * time.Millisecond)); reached < now.Add(50*time.Millisecond) {
			t.Errorf("%s: a death that was taken ends waiting at %v", how, reached)
		}
		if err := s.Restart(s.Now(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("again")}})
		until(t, s, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 && o.Died == "" })
	}
}

// A program that runs on but does not answer any more is dead too, and can be restarted.
func TestMute(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "mute")), nil)
	var err error
	for range 3 {
		_, err = s.State()
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("no answer: %v", err)
	}
	o := until(t, s, "its death", func(o *conformance.Output) bool { return o.Died != "" })
	if !strings.Contains(o.Died, "gave no answer") {
		t.Errorf("died of %q", o.Died)
	}
	if err := s.Restart(s.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if s.Take(o); o.Died != "" {
		t.Errorf("after the restart it is dead: %s", o.Died)
	}
}

// A program that goes into the background is followed there.
func TestBackground(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "daemon")), nil)
	for range 2 {
		s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("hello")}})
		until(t, s, "an echo", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 && o.Died == "" })
		if err := s.Restart(s.Now(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	s.Input(s.Now(), []conformance.Datagram{{Local: subject4, Remote: tester4, Bytes: []byte("die exit")}})
	o := until(t, s, "its death", func(o *conformance.Output) bool { return o.Died != "" })
	if !strings.Contains(o.Died, "dying of die exit") {
		t.Errorf("died of %q", o.Died)
	}
}

// What cannot be done is said so that a case can be called unsupported.
func TestUnsupported(t *testing.T) {
	setup, err := realtime.Idle()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := factory(t, fakeCommand(t, "unsupported")).New(setup); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("errno=95: %v", err)
	}
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	if err := s.SetWall(s.Now(), time.Now()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("wall clock: %v", err)
	}
	if err := s.Restart(s.Now(), time.Now()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("restart with another wall clock: %v", err)
	}
}

// What does not start, or is not silent, says why.
func TestRefused(t *testing.T) {
	need(t)
	for command, want := range map[string]string{
		"":                                "empty",
		"/no/such/program {if}":           "no such file",
		"sh -c 'echo sorry; exit 7' {if}": "exit status 7; its last words:\nsorry",
		fakeCommand(t, "chatty"):          "not silent when idle: it sent UDP from 192.0.2.1:51820 to 192.0.2.200:4321",
	} {
		f, err := New(background, command, "")
		if err == nil {
			t.Errorf("%s: it is taken", command)
			_ = f.Close()
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := New(ctx, fakeCommand(t, "echo"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Advance ends at the time, or when it is woken.
func TestAdvance(t *testing.T) {
	s := subject(t, factory(t, fakeCommand(t, "echo")), nil)
	to := s.Now().Add(20 * time.Millisecond)
	if reached := s.Advance(to); reached < to || reached > s.Now() {
		t.Errorf("reached %v at %v, want %v", reached, s.Now(), to)
	}
	time.AfterFunc(10*time.Millisecond, s.Wake)
	if to := s.Now().Add(time.Hour); s.Advance(to) >= to {
		t.Error("an hour has passed")
	}
	if at := s.Now(); s.Advance(at-1) < at-1 {
		t.Error("time went back")
	}
}

var programsOnce = sync.OnceValues(func() (map[string]string, error) {
	// Programs are built where the tests' own binary is: go test removes that folder.
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(self)
	built := map[string]string{}
	for name, from := range map[string]string{
		"wgnode": "github.com/purewire/purewire/cmd/wgnode", "wireguard-go": "golang.zx2c4.com/wireguard",
	} {
		path := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", path, from).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build %s: %w: %s", from, err, out)
		}
		built[name] = path + " -f {if}"
	}
	return built, nil
})

// realPrograms are the implementations that every machine has, or can build.
func realPrograms(t testing.TB) map[string]string {
	t.Helper()
	built, err := programsOnce()
	if err != nil {
		t.Fatal(err)
	}
	need(t, "boringtun-cli")
	return map[string]string{"wgnode": built["wgnode"], "wireguard-go": built["wireguard-go"],
		"boringtun": "boringtun-cli -f --disable-drop-privileges {if}"}
}

// Real implementations: several instances at once start, keep their configuration over a restart, and initiate when
// a packet is injected; on a host with addresses, when its stack sends one.
func TestRealPrograms(t *testing.T) {
	for name, command := range realPrograms(t) {
		t.Run(name, func(t *testing.T) {
			f := factory(t, command)
			is, err := identify(background, f.words[0])
			if err != nil {
				t.Fatal(err)
			}
			t.Log(is.version, is.kind)
			all, configs := make([]*Subject, 5), make([]conformance.Change, 5)
			for i := range all {
				all[i] = subject(t, f, func(s *conformance.Setup) {
					s.Host, s.Inner = i == 4, []netip.Prefix{netip.MustParsePrefix("10.77.0.1/16"),
						netip.MustParsePrefix("fd77::1/64")}
					configs[i] = s.Config
				})
			}
			for i, s := range all {
				testReal(t, s, &configs[i])
			}
		})
	}
}

func testReal(t *testing.T, s *Subject, config *conformance.Change) {
	t.Helper()
	before, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(s.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	after, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	peer := config.Peers[0]
	if after.ListenPort != 51820 || len(after.Peers) != 1 || after.Peers[0].PublicKey != peer.PublicKey ||
		after.Peers[0].Endpoint != *peer.Endpoint || !slices.Equal(after.Peers[0].AllowedIPs, peer.AllowedIPs) ||
		after.PublicKey != realtime.PublicKey(*config.PrivateKey) || before.PublicKey != after.PublicKey {
		t.Errorf("after the restart: %+v", after)
	}
	if heard := s.Unexpected(); len(heard) > 0 {
		t.Errorf("not silent: %v", heard)
	}
	at := s.Packets(s.Now(), [][]byte{conformance.UDP(tester4, netip.MustParseAddrPort("10.77.9.9:9"), []byte("go"))})
	o := *until(t, s, "an initiation", func(o *conformance.Output) bool { return len(o.Datagrams) > 0 })
	d := o.Datagrams[0]
	if len(d.Bytes) != 148 || d.Remote != *peer.Endpoint || d.Local != subject4 || d.At.Earliest < at.Earliest {
		t.Errorf("at %v, after the packet at %v: %d bytes from %v to %v", d.At, at, len(d.Bytes), d.Local, d.Remote)
	}
}
