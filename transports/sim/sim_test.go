package sim

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// start makes a run or ends the test.
func start(t testing.TB, sc Scenario, o Options) *Sim {
	t.Helper()
	s, err := New(sc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// digest runs a scenario and hashes every field of every record.
func digest(t testing.TB, sc Scenario, o Options) (sum [32]byte, records int) {
	t.Helper()
	h := sha256.New()
	o.Observe = func(r *Record) {
		records++
		rest := *r
		for _, b := range []*[]byte{&rest.KeyLog, &rest.Data, &rest.Intact, &rest.Inner.Data} {
			fmt.Fprintf(h, "%d:", len(*b))
			h.Write(*b)
			*b = nil // written as they are, which takes a tenth of the time
		}
		fmt.Fprintf(h, "%+v\n", rest)
	}
	r := start(t, sc, o).Run()
	r.Events = 0 // a finished run is the same however it was woken
	fmt.Fprintf(h, "%+v\n", r)
	return [32]byte(h.Sum(nil)), records
}

// short is a scenario cut to a length that a test can afford to run many times.
func short(name string, d time.Duration) Scenario {
	sc := stored(name)
	sc.Duration = min(sc.Duration, d)
	return sc
}

func TestSameSeedSameRecords(t *testing.T) {
	for _, sc := range scenarios() {
		sc := short(sc.Name, 130*time.Second) // a rekey is in it
		t.Run(sc.Name, func(t *testing.T) {
			if sc.Name == "cookies" {
				sc.Attacks[0].Interval = 20 * ms
			}
			first, n := digest(t, sc, Options{Seed: 7})
			if second, m := digest(t, sc, Options{Seed: 7}); first != second || n != m {
				t.Errorf("two runs with one seed differ (%d and %d records)", n, m)
			}
			if other, _ := digest(t, sc, Options{Seed: 8}); first == other {
				t.Error("another seed gives the same records")
			}
			if n < 100 {
				t.Errorf("only %d records: the comparison shows nothing", n)
			}
		})
	}
}

func TestProcessorsDoNotMatter(t *testing.T) {
	sc := short("default", 150*time.Second)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, _ := digest(t, sc, Options{Seed: 7})
	runtime.GOMAXPROCS(8)
	if eight, _ := digest(t, sc, Options{Seed: 7}); one != eight {
		t.Error("GOMAXPROCS 1 and 8 give different records")
	}
}

// If anything drew from the process's randomness, two values of it would give two runs.
func TestGlobalRandomnessDoesNotLeakIn(t *testing.T) {
	sc := short("default", 150*time.Second)
	var sums [2][32]byte
	for i := range sums {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, uint64(100+i))
			sums[i], _ = digest(t, sc, Options{Seed: 7})
		})
	}
	if sums[0] != sums[1] {
		t.Error("two global random seeds give different records")
	}
}

// Design §10: exact deadlines against exact deadlines and a needless call every millisecond.
func TestNeedlessCallsChangeNothing(t *testing.T) {
	for _, name := range []string{"default", "sleep", "restart", "cookies"} {
		sc := short(name, 130*time.Second)
		if name == "cookies" {
			sc.Duration, sc.Attacks[0].Interval = 45*time.Second, 4*ms
		}
		exact, n := digest(t, sc, Options{Seed: 3})
		nudged, m := digest(t, sc, Options{Seed: 3, Nudge: ms})
		if exact != nudged {
			t.Errorf("%s: HandleTimeout every millisecond changes the run (%d and %d records)", name, n, m)
		}
	}
}

func TestStepsAndLeapsAreTheSame(t *testing.T) {
	sc := short("roaming", 90*time.Second)
	whole := start(t, sc, Options{Seed: 5}).Run()
	stepped := start(t, sc, Options{Seed: 5})
	for stepped.Step() {
	}
	leaping := start(t, sc, Options{Seed: 5})
	for at := timers.Time(0); at < leaping.End(); at += timers.Time(777 * ms) {
		leaping.RunUntil(at)
		if leaping.Now() != at {
			t.Fatalf("after RunUntil(%d) it is %d", at, leaping.Now())
		}
	}
	want := fmt.Sprintf("%+v", whole)
	if got := fmt.Sprintf("%+v", stepped.Result()); got != want {
		t.Errorf("step by step the result is\n%s\nin one go\n%s", got, want)
	}
	if got := fmt.Sprintf("%+v", leaping.Run()); got != want {
		t.Errorf("in leaps the result is\n%s\nin one go\n%s", got, want)
	}
	if stepped.Step() || stepped.Now() != stepped.End() {
		t.Error("a run that ended goes on")
	}
}

// Each purpose has a stream of its own: two more hosts elsewhere leave the luck of the others as it was.
func TestMoreHostsDisturbNobody(t *testing.T) {
	sc := stored("default")
	sc.NoStranger, sc.Duration = true, 4*time.Minute
	before := start(t, sc, Options{Seed: 7}).Run()
	sc.Networks = append(sc.Networks, open("elsewhere", "192.0.2.128/28", wifi()))
	sc.Hosts = append(sc.Hosts,
		Host{Name: "x", Network: "elsewhere", Inner: addrs("10.9.0.1"), Peers: []Peer{{Host: "y", Endpoint: "y"}}},
		Host{Name: "y", Network: "elsewhere", Inner: addrs("10.9.0.2"), Peers: []Peer{{Host: "x", Endpoint: "x"}}})
	sc.Flows = append(sc.Flows, Flow{Kind: FlowPing, From: "x", To: "y", Interval: 100 * ms})
	after := start(t, sc, Options{Seed: 7}).Run()
	for i, want := range before.Tunnels {
		if got := after.Tunnels[i]; got != want {
			t.Errorf("tunnel %s–%s:\n%+v\nwith more hosts\n%+v", want.A, want.B, want, got)
		}
	}
	if last := after.Tunnels[len(before.Tunnels)]; last.AtoB.Delivered < 100 {
		t.Errorf("the hosts that were added do not talk: %+v", last)
	}
}

func TestEveryScenarioHolds(t *testing.T) {
	seeds := uint64(5)
	if testing.Short() {
		seeds = 2
	}
	for _, sc := range scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			if sc.About == "" {
				t.Error("it does not say what it is about")
			}
			for seed := range seeds {
				r := start(t, sc, Options{Seed: seed}).Run()
				for _, v := range r.Violations {
					t.Errorf("seed %d: %s %s: %s: %s", seed, time.Duration(v.At), v.Host, v.Checker, v.Text)
				}
				if !r.OK() {
					t.Errorf("seed %d: not OK", seed)
				}
				for _, tun := range r.Tunnels {
					if tun.Handshakes == 0 {
						t.Errorf("seed %d: %s and %s never met", seed, tun.A, tun.B)
					}
				}
			}
		})
	}
}

// Every checker finds something to look at in the default scenario: else its silence would mean nothing.
func TestCheckersLook(t *testing.T) {
	r := start(t, stored("default"), Options{Seed: 1}).Run()
	if len(r.Checkers) != len(Checkers()) {
		t.Fatalf("%d checkers in the result, %d in the list", len(r.Checkers), len(Checkers()))
	}
	for i, c := range r.Checkers {
		if c.Checked == 0 && c.Name != "recovery" { // which needs a Heal
			t.Errorf("checker %s looked at nothing", c.Name)
		}
		if c.Name != Checkers()[i].Name || c.Rule == "" {
			t.Errorf("checker %d: %+v", i, c)
		}
	}
}

func TestRecordsAreInOrder(t *testing.T) {
	var seq uint64
	var at timers.Time
	kinds := map[Kind]int{}
	start(t, stored("default"), Options{Seed: 1, Observe: func(r *Record) {
		if r.Seq != seq+1 || r.At < at {
			t.Fatalf("record %d at %d follows %d at %d", r.Seq, r.At, seq, at)
		}
		seq, at = r.Seq, r.At
		kinds[r.Kind]++
	}}).Run()
	if kinds[KindStart] != 1 || kinds[KindEnd] != 1 {
		t.Errorf("%d start and %d end records", kinds[KindStart], kinds[KindEnd])
	}
	for _, k := range []Kind{KindAction, KindCore, KindKeyLog, KindInnerSent, KindInnerForwarded, KindInnerDelivered} {
		if kinds[k] == 0 {
			t.Errorf("no record of kind %s", k)
		}
	}
	if kinds[KindFate] == 0 || kinds[KindFate] > kinds[KindDatagram] || kinds[KindFate] < kinds[KindDatagram]-10 {
		t.Errorf("%d datagrams, %d fates", kinds[KindDatagram], kinds[KindFate])
	}
}

// The core's clock runs on while a host sleeps and its wall clock is the run's.
func TestClocks(t *testing.T) {
	sc := stored("default")
	sc.Wall = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	s := start(t, sc, Options{Seed: 1, Duration: 2 * time.Minute})
	s.Run()
	office := s.node("office")
	id, ok := office.dev.Peer(s.node("laptop").public)
	if !ok {
		t.Fatal("the office does not know the laptop")
	}
	st, _ := office.dev.Stats(id)
	if d := st.LastHandshake.Sub(sc.Wall); d < 0 || d > 5*time.Second {
		t.Errorf("the first handshake was at %s, %s after the start", st.LastHandshake, d)
	}
}

func TestNamesAreWords(t *testing.T) {
	seen := map[string]bool{}
	check := func(group string, n int, name func(int) string) {
		for i := range n {
			key := group + name(i)
			if name(i) == "" || name(i) == "invalid" || seen[key] {
				t.Errorf("%s %d is called %q", group, i, name(i))
			}
			seen[key] = true
		}
		if name(n) != "invalid" {
			t.Errorf("%s %d is called %q", group, n, name(n))
		}
	}
	check("kind ", int(NumKinds), func(i int) string { return Kind(i).String() })
	check("fate ", int(NumFates), func(i int) string { return Fate(i).String() })
	check("inner ", int(NumInnerKinds), func(i int) string { return InnerKind(i).String() })
	check("action ", int(NumActionKinds), func(i int) string { return ActionKind(i).String() })
	check("attack ", int(NumAttackKinds), func(i int) string { return AttackKind(i).String() })
}

// pairOf is two hosts with public addresses and a line between them that is under test.
func pairOf(l Line) Scenario {
	return Scenario{Name: "pair", Duration: 40 * time.Second, NoStranger: true,
		Networks: []Network{open("a-line", "192.0.2.0/28", Line{}), {Name: "b-line",
			Prefix: netip.MustParsePrefix("203.0.113.0/28"), Down: l}},
		Hosts: []Host{
			{Name: "a", Network: "a-line", Inner: addrs("10.77.0.1", "fd77::1"), Peers: []Peer{{Host: "b", Endpoint: "b"}}},
			{Name: "b", Network: "b-line", Inner: addrs("10.77.0.2", "fd77::2"), Peers: []Peer{{Host: "a"}}},
		},
		Flows: []Flow{{Kind: FlowUDP, From: "a", To: "b", Interval: 2 * ms, Size: 100}}}
}

// drops adds up what all hosts dropped for one reason.
func drops(r Result, reason protocol.DropReason) (n uint64) {
	for _, h := range r.Hosts {
		n += h.Drops[reason]
	}
	return n
}
