package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

// What a subject is told it says again, and after a restart too; it initiates when a packet is injected.
func TestSubject(t *testing.T) {
	if !guest(t) {
		return
	}
	f, err := New(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	c := f.Capabilities()
	if c.HZ != 100 || c.Kind != "kernel" || c.Pace == 0 || !strings.HasPrefix(c.Version, "Linux 6.") {
		t.Errorf("capabilities: %+v", c) // UML's HZ is 100 whatever is asked for, arch/um/Kconfig
	}
	setup, err := realtime.Idle()
	if err != nil {
		t.Fatal(err)
	}
	psk, mark, seconds := conformance.Key{7}, uint32(9), uint16(25)
	endpoint := netip.MustParseAddrPort("[2001:db8::77]:2")
	second := conformance.PeerChange{PublicKey: realtime.PublicKey(conformance.Key{3}), PresharedKey: &psk,
		Endpoint: &endpoint, Keepalive: &seconds, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("fd77::/64")}}
	s, err := f.New(setup)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(s.Now(), conformance.Change{Mark: &mark, Peers: []conformance.PeerChange{second}}); err != nil {
		t.Fatal(err)
	}
	before := stateOf(t, s)
	first := setup.Config.Peers[0]
	want := conformance.State{PublicKey: realtime.PublicKey(*setup.Config.PrivateKey), ListenPort: 51820, Mark: 9,
		Peers: []conformance.PeerState{
			{PublicKey: first.PublicKey, Endpoint: *first.Endpoint, AllowedIPs: first.AllowedIPs},
			{PublicKey: second.PublicKey, PresharedKey: psk, Endpoint: endpoint, Keepalive: 25,
				AllowedIPs: second.AllowedIPs}}}
	before.Peers[1].Sent = 0 // it asks for a handshake at once
	if !reflect.DeepEqual(before, want) {
		t.Errorf("state:\n%+v\nwant\n%+v", before, want)
	}
	if err := s.Restart(s.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if after := stateOf(t, s); after.Mark != 9 || len(after.Peers) != 2 || after.ListenPort != 51820 {
		t.Errorf("after the restart: %+v", after)
	}
	s.Packets(s.Now(), [][]byte{conformance.UDP(netip.MustParseAddrPort("192.0.2.9:1"),
		netip.MustParseAddrPort("10.77.9.9:9"), []byte("go"))})
	initiates(t, s, *first.Endpoint)
	if err := s.SetWall(s.Now(), time.Now()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("wall clock: %v", err)
	}
	if err := errors.Join(s.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

func stateOf(t *testing.T, s conformance.Subject) conformance.State {
	t.Helper()
	state, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(state.Peers, func(a, b conformance.PeerState) int { return int(a.Keepalive) - int(b.Keepalive) })
	return state
}

// initiates waits for an initiation with the mark.
func initiates(t *testing.T, s conformance.Subject, to netip.AddrPort) {
	t.Helper()
	var o conformance.Output
	for end := s.Now().Add(30 * time.Second); s.Now() < end; {
		s.Advance(end)
		s.Take(&o)
		for _, d := range o.Datagrams {
			if d.Remote != to {
				continue
			}
			if len(d.Bytes) != 148 || !d.Marked || d.Mark != 9 {
				t.Errorf("%d bytes with mark %d (seen: %v)", len(d.Bytes), d.Mark, d.Marked)
			}
			return
		}
	}
	t.Error("no initiation within 30 s")
}

// Real cases on the real kernel, by the program itself, as docs/CONFORMANCE-SUITE.md shows it.
func TestCases(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	guestKernel(t)
	box := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", box+"/", "github.com/purewire/purewire/cmd/wgconform")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	said, err := inGuest(t, box, "/run/box/wgconform run --target kernel --quiet --captures '' --json /run/box/out.json "+
		"--only 'handshake/response/*' --only 'key/rotation/*' --only 'inner/route/longest*' --skip '*/several'")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(box, "out.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Runs []struct {
			HZ      int
			Results []struct{ Case, Verdict, Reason string }
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Runs) != 1 || report.Runs[0].HZ != 100 || len(report.Runs[0].Results) < 15 {
		t.Fatalf("the report: %.500s", text)
	}
	passed := 0
	for _, r := range report.Runs[0].Results {
		if r.Verdict == "pass" {
			passed++
		} else { // this machine may have stood still; that none failed is in the exit status
			t.Logf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
	}
	if all := len(report.Runs[0].Results); passed < all*3/4 {
		t.Errorf("%d of %d passed", passed, all)
	}
}

// A kernel without WireGuard is an error that says what can be done. With it, here is one more that can be tested.
func TestMissing(t *testing.T) {
	if err := realtime.Check(); err != nil {
		t.Fatal(err)
	}
	w, err := newWatch()
	if err != nil {
		t.Fatal(err)
	}
	f := &Factory{watch: w}
	err = f.missing()
	if err != nil && (errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), "modprobe wireguard")) {
		t.Errorf("got %v", err)
	}
	t.Logf("this kernel: %v", err)
	if err := w.close(); err != nil {
		t.Error(err)
	}
}

// A kernel that warned or had an oops since the subject was there is told apart from one that had before.
func TestDeath(t *testing.T) {
	w, err := newWatch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(t.TempDir(), "tainted")
	if err := os.WriteFile(path, []byte("4096\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(w.taints); err != nil {
		t.Fatal(err)
	}
	if w.taints, err = open(path); err != nil {
		t.Fatal(err)
	}
	d := &driver{watch: w, before: 4096 | taintWarned}
	for text, want := range map[string]string{"4096\n": "", "4608\n": "", "4736\n": "oops", "129\n": "oops", "x\n": "x"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := d.Death(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
