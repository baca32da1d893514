package explore

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/report"
	"github.com/purewire/purewire/transports/sim/scenario"
)

func spoiled(t *testing.T, name string) Options {
	return Options{Spoil: func(d *protocol.Device) {
		if err := protocoltest.WithDefect(d, name); err != nil {
			t.Error(err)
		}
	}}
}

// sweep runs a plan and sums it up.
func sweep(t *testing.T, p Plan) *Summary {
	t.Helper()
	s := NewSummary(p.From, p.To, "")
	if err := Sweep(p, s.Add); err != nil {
		t.Fatal(err)
	}
	return s
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every seed makes a scenario that compiles and can be written and read without a change; the seed alone decides.
func TestEverySeedIsAFile(t *testing.T) {
	for seed := range uint64(400) {
		f := Draw(seed)
		if _, err := f.Compile(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		text, err := f.Marshal()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again, err := Draw(seed).Marshal()
		if err != nil || !bytes.Equal(text, again) {
			t.Fatalf("seed %d: drawn twice, it is not the same: %v", seed, err)
		}
		parsed, err := scenario.Parse("drawn", text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		back, err := parsed.Marshal()
		if err != nil || !bytes.Equal(text, back) {
			t.Fatalf("seed %d: read and written, it is not the same: %v", seed, err)
		}
	}
}

// A file that explore --print wrote gives the very events of the exploration: all records, with every byte.
func TestPrintedFileGivesTheSameEvents(t *testing.T) {
	for _, seed := range []uint64{1, 2, 5, 24} {
		drawn := Draw(seed)
		text, err := drawn.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := scenario.Parse("printed", text)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := events(t, drawn), events(t, parsed); a != b || len(a) < 10_000 {
			t.Errorf("seed %d: the events differ: %d and %d bytes", seed, len(a), len(b))
		}
	}
}

// events gives the JSON that wgsim run writes.
func events(t *testing.T, f *scenario.File) string {
	t.Helper()
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	j := report.NewJSON(&b, &c.Scenario, f.Seed)
	s, err := start(f, Options{}, j.Observe)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Run()
	if err := j.Finish(&r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The good core holds in every seed, and outcomes that come in another order make the same summary.
func TestGoodCoreHolds(t *testing.T) {
	p := Plan{From: 1, To: 16}
	one, mixed := sweep(t, p), NewSummary(1, 16, "")
	c, seeds := NewCollector(&p, mixed.Add), p.Seeds()
	for i := range seeds {
		c.Put(len(seeds)-1-i, seeds[len(seeds)-1-i], p.Options)()
	}
	if asJSON(t, one) != asJSON(t, mixed) {
		t.Error("from the last to the first it comes to something else")
	}
	for _, f := range one.Failures {
		t.Errorf("seed %d: %s: %s %s", f.Seed, f.Checker, f.Host, f.Text)
	}
	if len(one.Runs) != 16 || one.Owed < 50 || one.Bounds.Closest <= 0 {
		t.Errorf("%d runs, %d directions owed recovery, %+v", len(one.Runs), one.Owed, one.Bounds)
	}
}

// The shards of a range, merged in any order, are the whole; what does not belong together is refused.
func TestShardsMergeToTheWhole(t *testing.T) {
	whole := sweep(t, Plan{From: 3, To: 16})
	var list []*Summary
	for shard := uint64(3); shard > 0; shard-- {
		part := sweep(t, Plan{From: 3, To: 16, Shard: shard, Shards: 3})
		var read Summary
		if err := json.Unmarshal([]byte(asJSON(t, part)), &read); err != nil {
			t.Fatal(err)
		}
		list = append(list, &read)
	}
	merged, err := Merge(list)
	if err != nil || asJSON(t, merged) != asJSON(t, whole) {
		t.Errorf("merged it is not the whole: %v", err)
	}
	if part, err := Merge(list[:2]); err != nil || part.Missing() == 0 {
		t.Errorf("a shard is missing and nobody says so: %v", err)
	}
	other := NewSummary(1, 2, "")
	for name, bad := range map[string][]*Summary{"nothing": nil, "twice": {list[0], list[0]}, "ranges": {list[0], other},
		"sabotage": {list[0], NewSummary(3, 16, "no-rekey")}, "version": {{From: 3, To: 16}}} {
		if _, err := Merge(bad); err == nil {
			t.Errorf("%s: it is merged", name)
		}
	}
}

// A sweep ends with the first seeds that fail, and refuses plans that make no sense.
func TestSweepEndsAtFailures(t *testing.T) {
	s := sweep(t, Plan{From: 1, To: 40, Failures: 2, Options: spoiled(t, "roam-on-replay")})
	if len(s.Failures) != 2 || s.Failures[1].Seed != s.Runs[len(s.Runs)-1].Seed {
		t.Fatalf("%+v of %d runs", s.Failures, len(s.Runs))
	}
	for _, p := range []Plan{{From: 2, To: 1}, {From: 1, To: 2, Shard: 3, Shards: 2},
		{To: 1 << 40}} {
		if err := Sweep(p, func(*Outcome) {}); err == nil {
			t.Errorf("%+v is run", p)
		}
	}
}

// A panic of a core is the failure of a seed, and can be shrunk like one.
func TestPanicIsAFailure(t *testing.T) {
	o := Options{Spoil: func(*protocol.Device) { panic("broken") }}
	out, err := Run(Draw(2), o)
	if err != nil || out.Checker() != crash || !strings.Contains(out.Violations[0].Text, "broken") {
		t.Fatalf("%v, %+v", err, out)
	}
	small := Shrink(out.File, o, crash)
	if small == nil || len(small.File.Hosts) != 1 || len(small.File.Traffic) != 0 {
		t.Errorf("%+v", small)
	}
}

// A copy shares no memory, whatever the fields are.
func TestClone(t *testing.T) {
	for seed := range uint64(60) {
		f := Draw(seed)
		c := clone(f)
		if !reflect.DeepEqual(f, c) {
			t.Fatalf("seed %d: the copy differs", seed)
		}
		before, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range places(c) {
			if v, ok := p.at(c); ok {
				v.SetZero()
			}
		}
		if after, err := f.Marshal(); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("seed %d: a change of the copy shows in the original", seed)
		}
	}
}

// The floors tell enough from too little, and count only where there are seeds enough.
func TestFloors(t *testing.T) {
	s := NewSummary(1, FloorSeeds, "")
	for i := range uint64(FloorSeeds) {
		r := SeedRun{Seed: i + 1, Hosts: 12, Virtual: leastPerSeed}
		for _, k := range sim.FaultKinds() {
			r.Kinds = append(r.Kinds, k.String())
		}
		s.Runs = append(s.Runs, r)
	}
	s.Owed = 80
	for i := range s.Covered.Drops {
		s.Covered.Drops[i] = 1
	}
	for i := range s.Covered.Causes {
		s.Covered.Causes[i] = 1
	}
	for i := range s.Covered.Timers {
		s.Covered.Timers[i] = 1
	}
	for _, m := range transitions {
		s.Covered.Slots[m[0]][m[1]] = 1
	}
	if !s.OK() {
		t.Fatalf("%+v", s.Floors())
	}
	for name, spoil := range map[string]func(*SeedRun){
		"median of the virtual time":            func(r *SeedRun) { r.Virtual = leastMedian - 1 },
		"virtual time in all":                   func(r *SeedRun) { r.Virtual = leastPerSeed - 1 },
		"median of the hosts":                   func(r *SeedRun) { r.Hosts = 3 },
		"seeds with 10 hosts or more":           func(r *SeedRun) { r.Hosts = 9 },
		"seeds with the rarest kind of trouble": func(r *SeedRun) { r.Kinds = r.Kinds[1:] },
		"kinds of trouble per seed":             func(r *SeedRun) { r.Kinds = r.Kinds[:3] },
		"covered of the closed lists":           nil,
		"directions that owe no recovery":       nil,
	} {
		bad := *s
		bad.Runs, bad.Exempt = append([]SeedRun(nil), s.Runs...), map[string]uint64{}
		switch {
		case spoil != nil:
			for i := range bad.Runs {
				spoil(&bad.Runs[i])
			}
		case strings.HasPrefix(name, "covered"):
			bad.Covered = Coverage{}
		default:
			bad.Exempt["no-way"] = 21
		}
		if bad.OK() || !unmet(&bad, name) || !strings.Contains(bad.Line(), name) {
			t.Errorf("%s: not noticed: %s", name, bad.Line())
		}
		if bad.Sabotage = "no-rekey"; !bad.OK() {
			t.Errorf("%s: asserted for a known-bad core", name)
		}
		bad.Sabotage, bad.Runs = "", bad.Runs[:ExemptSeeds-1]
		if !bad.OK() {
			t.Errorf("%s: asserted with %d seeds", name, len(bad.Runs))
		}
	}
}

func unmet(s *Summary, name string) bool {
	for _, f := range s.Floors() {
		if f.Name == name {
			return f.Asserted && !f.Met
		}
	}
	return false
}

// What is told has every kind of trouble, every uncovered entry with a reason, every floor and every failure.
func TestTextIsComplete(t *testing.T) {
	s := sweep(t, Plan{From: 1, To: 3})
	s.Failures = []Failure{{Seed: 2, Checker: "once", Host: "h0", Text: "does it twice", Repeat: "wgsim run --scenario x"}}
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := []string{"does it twice", "wgsim run --scenario x", "rekey-messages: nobody lives"}
	for _, k := range sim.FaultKinds() {
		want = append(want, k.String())
	}
	for _, f := range s.Floors() {
		want = append(want, f.Name)
	}
	for _, why := range sim.Exemptions() {
		want = append(want, "exempt: "+why)
	}
	for _, w := range want {
		if !strings.Contains(b.String(), w) {
			t.Errorf("nothing is said of %q", w)
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("a line of %d columns: %s", len([]rune(line)), line)
		}
	}
}

// Seeds that failed once though no core was wrong: a NAT that forgot between two packets (810, 1377), packets that
// waited for fourteen minutes (1278), a keepalive that another one always put off (1946), and a copy of a response at
// which a slow host was still at work (1732).
func TestFalseAlarms(t *testing.T) {
	for _, seed := range []uint64{810, 1278, 1377, 1732, 1946} {
		out, err := Seed(seed, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if out.Failed() {
			t.Errorf("seed %d: %+v", seed, out.Violations[0])
		}
	}
}
