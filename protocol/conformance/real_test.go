package conformance_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// clocked is our core in real time: the stand-in for a program, for tests of the runner.
type clocked struct {
	conformance.Subject
	begin  time.Time
	wake   chan struct{}
	out    conformance.Output
	deadly bool
	open   *atomic.Int32
}

type clockedFactory struct {
	single bool
	deadly bool          // a datagram of one byte 0xee kills it
	open   *atomic.Int32 // instances that are not closed
	most   *atomic.Int32 // at once
}

func newClocked(deadly bool) clockedFactory {
	return clockedFactory{deadly: deadly, open: new(atomic.Int32), most: new(atomic.Int32)}
}

func (f clockedFactory) Capabilities() conformance.Capabilities {
	c := coretarget.Factory{}.Capabilities()
	c.Virtual, c.Kind, c.Single = false, "go", f.single
	c.Has &^= conformance.NeedVirtual
	return c
}

func (f clockedFactory) New(s conformance.Setup) (conformance.Subject, error) {
	inner, err := coretarget.Factory{}.New(s)
	if n := f.open.Add(1); n > f.most.Load() {
		f.most.Store(n)
	}
	return &clocked{Subject: inner, begin: time.Now(), wake: make(chan struct{}, 1), deadly: f.deadly, open: f.open}, err
}

func (c *clocked) Now() timers.Time { return timers.Time(time.Since(c.begin)) }

func (c *clocked) Input(_ timers.Time, in []conformance.Datagram) conformance.Stamp {
	for _, d := range in {
		if c.deadly && len(d.Bytes) == 1 && d.Bytes[0] == 0xee {
			c.out.Died = "exit status 3: out of cheese"
		}
	}
	if len(in) == 1 && len(in[0].Bytes) == 1 && in[0].Bytes[0] == 0xdd {
		time.Sleep(800 * time.Millisecond)
	}
	return c.Subject.Input(c.Now(), in)
}

func (c *clocked) Packets(_ timers.Time, in [][]byte) conformance.Stamp {
	return c.Subject.Packets(c.Now(), in)
}

func (c *clocked) Configure(_ timers.Time, ch conformance.Change) error {
	return c.Subject.Configure(c.Now(), ch)
}

func (c *clocked) Advance(until timers.Time) timers.Time {
	for {
		c.Subject.Advance(c.Now())
		c.gather()
		if len(c.out.Datagrams)+len(c.out.Packets) > 0 || c.out.Died != "" || c.Now() >= until {
			return c.Now()
		}
		select {
		case <-c.wake:
			return c.Now()
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *clocked) gather() {
	var o conformance.Output
	c.Subject.Take(&o)
	c.out.Datagrams = append(c.out.Datagrams, o.Datagrams...)
	c.out.Packets = append(c.out.Packets, o.Packets...)
}

func (c *clocked) Take(o *conformance.Output) {
	c.gather()
	*o, c.out = c.out, conformance.Output{Died: c.out.Died}
}

func (c *clocked) Stalled(_, _ timers.Time) time.Duration { return 0 }

func (c *clocked) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clocked) Close() error {
	c.open.Add(-1)
	return c.Subject.Close()
}

// small is a case for tests of the runner.
func small(id string, run func(*conformance.T)) conformance.Case {
	return conformance.Case{ID: id, Level: conformance.Must, Isolation: conformance.Shared, Lasts: time.Second, Run: run}
}

func collect(t *testing.T, f conformance.Factory, cases ...conformance.Case) map[string]conformance.Result {
	t.Helper()
	all := map[string]conformance.Result{}
	for r := range conformance.Run(t.Context(), f, conformance.Options{Cases: cases}) {
		if _, twice := all[r.Case]; twice {
			t.Errorf("%s has two results", r.Case)
		}
		all[r.Case] = r
	}
	if len(all) != len(cases) {
		t.Errorf("%d results of %d cases", len(all), len(cases))
	}
	return all
}

// TestRealTime: the suite's own quick cases pass in real time, side by side.
func TestRealTime(t *testing.T) {
	f := newClocked(false)
	o := conformance.Options{Profile: conformance.Quick, Only: []string{"handshake/response/answers/*",
		"handshake/session/carries-data/*", "roam/data/moves-endpoint", "qos/*", "life/restart/*"}}
	n := 0
	for r := range conformance.Run(t.Context(), f, o) {
		n++
		if r.Verdict != conformance.Pass {
			t.Errorf("%s: %s: %s%s", r.Case, r.Verdict, r.Reason, tail(r))
		}
	}
	if n < 7 || f.open.Load() != 0 {
		t.Errorf("%d results, %d instances left", n, f.open.Load())
	}
}

// TestRepetition: what fails once and then passes is flaky; what cannot be judged is tried three times in all.
func TestRepetition(t *testing.T) {
	var flaky, slow, hopeless, wrong int
	f := newClocked(false)
	all := collect(t, f,
		small("t/flaky", func(t *conformance.T) {
			if flaky++; flaky == 1 {
				t.Fail("a pass", "a failure")
			}
		}),
		small("t/slow", func(t *conformance.T) {
			if slow++; slow < 3 {
				t.Inconclusive("too slow")
			}
		}),
		small("t/hopeless", func(t *conformance.T) {
			hopeless++
			t.Inconclusive("much too slow")
		}),
		small("t/wrong", func(t *conformance.T) {
			wrong++
			t.Fail("right", "wrong")
		}),
		small("t/panics", func(*conformance.T) { panic(errors.New("oops")) }))
	for id, want := range map[string]struct {
		v        conformance.Verdict
		attempts int
	}{
		"t/flaky": {conformance.Flaky, 2}, "t/slow": {conformance.Pass, 3},
		"t/hopeless": {conformance.Inconclusive, 3}, "t/wrong": {conformance.Fail, 2},
		"t/panics": {conformance.Broken, 1},
	} {
		if r := all[id]; r.Verdict != want.v || r.Attempts != want.attempts || len(r.Earlier) != want.attempts-1 {
			t.Errorf("%s: %s after %d attempts: %s; want %s after %d", id, r.Verdict, r.Attempts, r.Reason, want.v,
				want.attempts)
		}
	}
	if f.open.Load() != 0 || f.most.Load() > 4 {
		t.Errorf("%d instances left, %d at once", f.open.Load(), f.most.Load())
	}
}

// TestLate: what fails while the suite itself is late is repeated, and is not flaky.
func TestLate(t *testing.T) {
	f := newClocked(false)
	begun := make(chan struct{})
	tries := 0
	all := collect(t, f,
		small("t/blocks", func(t *conformance.T) {
			t.TryConfigure(conformance.Change{}) // the instance is there
			close(begun)
			t.Peer().Send([]byte{0xdd})
		}),
		small("t/late", func(t *conformance.T) {
			if tries++; tries > 1 {
				return
			}
			<-begun
			time.Sleep(100 * time.Millisecond)
			t.State()
			t.Fail("an answer in time", "none")
		}))
	r := all["t/late"]
	if r.Verdict != conformance.Pass || r.Attempts != 2 || !strings.Contains(r.Earlier[0].Reason, "late with something") {
		t.Errorf("%s after %d attempts: %+v", r.Verdict, r.Attempts, r.Earlier)
	}
}

// TestDeath: a subject that dies is started anew; of the cases that ran on it only the one of which it dies fails.
func TestDeath(t *testing.T) {
	f := newClocked(true)
	harmless := func(t *conformance.T) {
		p := t.Peer()
		p.Connect()
		t.Wait(300 * time.Millisecond)
		p.Session().Deliver(p.Inbound())
	}
	all := collect(t, f, small("t/a", harmless), small("t/b", harmless),
		small("t/killer", func(t *conformance.T) {
			p := t.Peer()
			t.Wait(100 * time.Millisecond)
			p.Send([]byte{0xee})
			t.Wait(200 * time.Millisecond)
		}))
	for _, id := range []string{"t/a", "t/b"} {
		if r := all[id]; r.Verdict != conformance.Pass || r.Attempts != 2 {
			t.Errorf("%s: %s after %d attempts: %s", id, r.Verdict, r.Attempts, r.Reason)
		}
	}
	k := all["t/killer"]
	if k.Verdict != conformance.Fail || !strings.Contains(k.Reason, "exit status 3") ||
		!strings.Contains(k.Stderr, "out of cheese") {
		t.Errorf("killer: %s: %s, stderr %q", k.Verdict, k.Reason, k.Stderr)
	}
	if f.open.Load() != 0 {
		t.Errorf("%d instances left", f.open.Load())
	}
}

// TestSingle: of a device that there is once no two instances are asked for at a time, whatever happens.
func TestSingle(t *testing.T) {
	f := newClocked(true)
	f.single = true
	var cases []conformance.Case
	for i, id := range []string{"t/a", "t/b", "t/c", "t/d"} {
		c := small(id, func(t *conformance.T) {
			t.Wait(50 * time.Millisecond)
			if i == 1 {
				t.Peer().Send([]byte{0xee})
				t.Wait(time.Second)
			}
		})
		c.V6 = i == 0
		if i > 1 {
			c.Isolation = conformance.OwnInstance
		}
		cases = append(cases, c)
	}
	all := collect(t, f, cases...)
	if f.most.Load() != 1 || f.open.Load() != 0 {
		t.Errorf("%d instances at once, %d left", f.most.Load(), f.open.Load())
	}
	if v := all["t/b"].Verdict; v != conformance.Fail {
		t.Errorf("the case of which it dies: %s", v)
	}
}

// TestDisturbed: a cookie reply to a right initiation says that others have the subject under load; the case is
// repeated and nobody is blamed.
func TestDisturbed(t *testing.T) {
	tries := 0
	c := small("t/disturbed", func(t *conformance.T) {
		p := t.Peer()
		if tries++; tries == 1 {
			t.Flood(2500)
		}
		i := p.Initiate(peer.Spec{})
		p.Send(i.Bytes)
		t.Wait(50 * time.Millisecond)
	})
	c.Isolation, c.Setup = conformance.OwnInstance, conformance.SlowHandshakes
	f := newClocked(false)
	r := collect(t, f, c)["t/disturbed"]
	if r.Verdict != conformance.Pass || len(r.Earlier) != 1 || r.Earlier[0].Verdict != "disturbed" {
		t.Errorf("%s: %s, earlier %+v", r.Verdict, r.Reason, r.Earlier)
	}
}

// TestEnd: a run that its reader leaves, or whose context ends, leaves nothing behind.
func TestEnd(t *testing.T) {
	f := newClocked(false)
	wait := func(t *conformance.T) { t.Wait(time.Minute) }
	cases := []conformance.Case{small("t/now", func(*conformance.T) {}), small("t/long", wait)}
	cases[0].Isolation = conformance.OwnInstance
	for range conformance.Run(t.Context(), f, conformance.Options{Cases: cases}) {
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for r := range conformance.Run(ctx, f, conformance.Options{Cases: cases[1:]}) {
		t.Errorf("a result of a run that was ended: %+v", r)
	}
	if f.open.Load() != 0 {
		t.Errorf("%d instances left", f.open.Load())
	}
}
