package wireguardgo

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// run runs cases of a test's own on devices in process.
func run(t *testing.T, cases ...conformance.Case) (results []conformance.Result) {
	t.Helper()
	for r := range conformance.Run(context.Background(), Factory{T: t}, conformance.Options{Cases: cases}) {
		if r.Verdict != conformance.Pass {
			t.Errorf("%s: %s: %s", r.Case, r.Verdict, r.Reason)
		}
		results = append(results, r)
	}
	if len(results) != len(cases) {
		t.Fatalf("%d results of %d cases", len(results), len(cases))
	}
	return results
}

func shimCase(id string, lasts time.Duration, f func(*conformance.T)) conformance.Case {
	return conformance.Case{ID: id, Rules: []string{"TIMER-19"}, Level: conformance.Must,
		Isolation: conformance.OwnInstance, Lasts: lasts, Title: id, Run: f}
}

// TestVirtualHour: an hour with a peer that is kept alive every 25 s takes next to no real time, and every keepalive of
// it is there: the clock neither stands still nor jumps.
func TestVirtualHour(t *testing.T) {
	r := run(t, shimCase("hour", time.Hour, func(t *conformance.T) {
		p := t.NewPeer(conformance.PeerOptions{Keepalive: 25})
		p.Connect()
		p.Answer(true)
		t.Wait(time.Hour)
		messages := t.Take(conformance.AnyDatagram.To(p))
		for i := 1; i < len(messages); i++ {
			if gap := messages[i].At.Earliest.Sub(messages[i-1].At.Earliest); gap > 25*time.Second {
				t.FailAt(messages[i], "something every 25 s", gap.String())
			}
		}
		if n := len(messages); n < 3600/25 || n > 2*3600/25 {
			t.Fail("a keepalive every 25 s, and handshakes", "other than that")
		}
	}))[0]
	t.Logf("an hour took %v", r.Took)
	if r.Took > 10*time.Second { // 0.1 s where there is nothing else to do
		t.Errorf("an hour took %v", r.Took)
	}
}

// newSubject starts a device with a key and no peer.
func newSubject(t *testing.T, wall time.Time) *subject {
	t.Helper()
	port, up := uint16(51820), true
	s, err := Factory{T: t}.New(conformance.Setup{Wall: wall, Local4: netip.MustParsePrefix("10.111.0.1/16"),
		Local6: netip.MustParsePrefix("fd11:1111::1/64"),
		Config: conformance.Change{PrivateKey: &conformance.Key{1}, ListenPort: &port, Up: &up}})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*subject)
}

// TestNothingIsLeft: an instance that was closed leaves neither goroutines nor finalizers. The latter would end the
// process when garbage is collected, also of a peer that was made and removed by one request.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		s := newSubject(t, epoch)
		if err := s.Configure(0, conformance.Change{Peers: []conformance.PeerChange{
			{PublicKey: conformance.Key{2}}, {PublicKey: conformance.Key{3}, Remove: true},
			{PublicKey: conformance.Key{4}, UpdateOnly: true}}}); err != nil {
			t.Fatal(err)
		}
		half := "set=1\npublic_key=" + conformance.Hex(conformance.Key{5}) + "\n"
		if answer, eof, err := s.Talk(1, half, false); answer != "" || eof || err != nil {
			t.Errorf("half a request: %q, %v, %v", answer, eof, err)
		}
		if st, err := s.State(); !errors.Is(err, errHalf) {
			t.Errorf("an answer while half a request waits: %v, %v", st, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	collected := make(chan bool)
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { close(collected) })
	for done := false; !done; {
		runtime.GC() // finalizers run one after the other: those of the devices before
		select {
		case <-collected:
			done = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines were left", runtime.NumGoroutine()-before)
		}
	}
}

// TestWall: the wall clock is as it was asked for at the start and after a restart, goes on if nothing was asked, and
// what a bubble cannot have is refused without harm.
func TestWall(t *testing.T) {
	wall := func(s *subject) (w time.Time) {
		s.life.in(func() { w = s.life.wall() })
		return w
	}
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	s := newSubject(t, start)
	defer s.Close()
	s.Advance(90e9)
	if got := wall(s); !got.Equal(start.Add(90 * time.Second)) {
		t.Errorf("after 90 s the wall clock is %v", got)
	}
	if err := s.Restart(100e9, time.Time{}); err != nil || !wall(s).Equal(start.Add(100*time.Second)) || s.Now() != 100e9 {
		t.Errorf("after a restart: %v, wall clock %v, now %v", err, wall(s), s.Now())
	}
	past := start.Add(-20 * 365 * 24 * time.Hour)
	if err := s.Restart(101e9, past); err != nil || !wall(s).Equal(past) || s.Now() != 101e9 {
		t.Errorf("after a restart long ago: %v, wall clock %v, now %v", err, wall(s), s.Now())
	}
	if st, err := s.State(); err != nil || st.ListenPort != 51820 {
		t.Errorf("after restarts: %+v, %v", st, err)
	}
	for _, w := range []time.Time{epoch.Add(-1), epoch.Add(era + 1)} {
		if err := s.Restart(102e9, w); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a wall clock of %v: %v", w, err)
		}
	}
	if err := s.SetWall(103e9, start); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("setting the wall clock: %v", err)
	}
	if s.Advance(110e9) != 110e9 {
		t.Errorf("time stands still at %v", s.Now())
	}
}
