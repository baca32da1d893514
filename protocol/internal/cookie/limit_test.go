package cookie

import (
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/timers"
)

// bucketModel is a token bucket as one explains it: a level in units of 1/interval token that rises by one per
// nanosecond up to the burst, and a token costs an interval. Big integers, nothing clever.
type bucketModel struct {
	interval, level, most *big.Int
	last                  timers.Time
}

func newBucketModel(perSecond, burst int64, now timers.Time) *bucketModel {
	interval := big.NewInt((1e9 + perSecond - 1) / perSecond)
	most := new(big.Int).Mul(interval, big.NewInt(burst))
	return &bucketModel{interval: interval, level: new(big.Int).Set(most), most: most, last: now}
}

func (m *bucketModel) take(now timers.Time) bool {
	passed := new(big.Int).Sub(big.NewInt(int64(now)), big.NewInt(int64(m.last)))
	m.last = now
	if m.level.Add(m.level, passed); m.level.Cmp(m.most) > 0 {
		m.level.Set(m.most)
	}
	if m.level.Cmp(m.interval) < 0 {
		return false
	}
	m.level.Sub(m.level, m.interval)
	return true
}

// DOS-03: a Budget is a token bucket, exactly, for any rate and burst and at any time.
func TestBudgetModel_DOS03(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.OneOf(rapid.IntRange(1, 50), rapid.IntRange(1, 1e9)).Draw(t, "per second")
		burst := rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(1, 1e9)).Draw(t, "burst")
		now := timers.Time(rapid.Int64().Draw(t, "start"))
		b, m := NewBudget(perSecond, burst), newBucketModel(int64(perSecond), int64(burst), now)
		interval := int64(1e9+perSecond-1) / int64(perSecond)
		for range rapid.IntRange(1, 60).Draw(t, "takes") {
			step := rapid.OneOf(rapid.Just[int64](0), rapid.Int64Range(0, 3*interval), rapid.Just(interval),
				rapid.Just(interval-1), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "step")
			if now > timers.Never-timers.Time(step)-2e18 { // where Add saturates: a test of its own
				break
			}
			now += timers.Time(step)
			if got, want := b.Take(now), m.take(now); got != want {
				t.Fatalf("at %d: %v, want %v", now, got, want)
			}
		}
	})
}

func TestBudgetTable_DOS03(t *testing.T) {
	for _, tc := range []struct {
		name             string
		perSecond, burst int
		at               []int64 // milliseconds
		want             string  // y: a token, n: none
	}{
		{"burst of 5, then one per 50 ms", 20, 5, []int64{0, 0, 0, 0, 0, 0, 49, 50, 50, 99, 100, 100}, "yyyyynnynnyn"},
		{"full after 250 ms, no fuller", 20, 5, []int64{0, 0, 0, 0, 0, 250, 250, 250, 250, 250, 250}, "yyyyyyyyyyn"},
		{"a burst below one is one", 10, 0, []int64{0, 0, 99, 100}, "ynny"},
		{"no tokens per second are none", 0, 5, []int64{0, 1, 100_000}, "nnn"},
		{"nor are negative ones", -1, -1, []int64{0, 1, 100_000}, "nnn"},
		{"refusals cost nothing", 1, 1, []int64{0, 500, 999, 999, 1000}, "ynnny"},
		{"a step back gives nothing and breaks nothing", 10, 1, []int64{1000, 0, 500, 1099, 1100}, "ynnny"},
	} {
		b, got := NewBudget(tc.perSecond, tc.burst), ""
		for _, at := range tc.at {
			if b.Take(ms(at)) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// SEC-08: extreme shapes at the extremes of time neither overflow nor open the gate.
func TestBudgetExtremes_SEC08(t *testing.T) {
	for _, now := range []timers.Time{math.MinInt64, math.MinInt64 + 1, 0, math.MaxInt64 - 3e9} {
		b := NewBudget(1, 2)
		for i, want := range []bool{true, true, false, false} {
			if got := b.Take(now); got != want {
				t.Errorf("at %d, take %d: %v", now, i, got)
			}
		}
	}
	for _, perSecond := range []int{1, 1_000_000_000, math.MaxInt} {
		b := NewBudget(perSecond, math.MaxInt)
		for _, now := range []timers.Time{math.MinInt64, 0, 0, math.MaxInt64, math.MaxInt64} {
			if !b.Take(now) {
				t.Errorf("a boundless burst at %d per second ran out at %d", perSecond, now)
			}
		}
	}
}

// manyAddrs returns n different sources, which differ in the part that counts.
func manyAddrs(n int) []netip.Addr {
	addrs := make([]netip.Addr, n)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%2 == 1 {
			addrs[i] = netip.AddrFrom16([16]byte{0: 0x20, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i), 15: 1})
		}
	}
	return addrs
}

// DOS-03: "50 valid messages in 0.1 s, ≤ 6 processed, then 20/s (±10 %)".
func TestSourceRate_DOS03(t *testing.T) {
	h, seed, s := NewHasher(), [32]byte{1}, NewSources(20, 5)
	src, passed := netip.MustParseAddr("192.0.2.7"), 0
	for i := range int64(50) {
		if s.Allow(h, &seed, src, ms(i*2)) {
			passed++
		}
	}
	if passed < 5 || passed > 6 {
		t.Errorf("%d of 50 messages in 0.1 s passed", passed)
	}
	for second := range int64(10) {
		passed := 0
		for i := range int64(500) {
			if s.Allow(h, &seed, src, ms(100+second*1000+i*2)) {
				passed++
			}
		}
		if passed < 18 || passed > 22 {
			t.Errorf("second %d: %d passed", second, passed)
		}
	}
}

// DOS-03: "IPv6 sources share a bucket per /64"; IPv4 ones have their own, mapped or not.
func TestWhoSharesABucket_DOS03(t *testing.T) {
	for _, tc := range []struct {
		a, b   string
		shared bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2", true},
		{"32.1.13.184", "2001:db8::", false}, // the same leading bytes
		{"0.0.0.0", "::", false},
	} {
		h, seed, s := NewHasher(), [32]byte{1}, NewSources(20, 5)
		for range 5 {
			if !s.Allow(h, &seed, netip.MustParseAddr(tc.a), 0) {
				t.Fatalf("%s: refused within its burst", tc.a)
			}
		}
		if got := !s.Allow(h, &seed, netip.MustParseAddr(tc.b), 0); got != tc.shared {
			t.Errorf("%s and %s share a bucket: %v", tc.a, tc.b, got)
		}
	}
}

// DOS-03, DOS-09: Sources against a bucket per prefix that is never forgotten. Eight prefixes overflow no set.
func TestSourcesModel_DOS03(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		seed := draw32(t, "seed")
		addrs := make([]netip.Addr, rapid.IntRange(1, 8).Draw(t, "addresses"))
		for i := range addrs {
			addrs[i] = drawAddr(t, "address")
		}
		perSecond := rapid.IntRange(1, 100).Draw(t, "per second")
		burst := rapid.IntRange(1, perSecond).Draw(t, "burst")
		now := timers.Time(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "start"))
		s, model := NewSources(perSecond, burst), map[netip.Prefix]*bucketModel{}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now += timers.Time(rapid.OneOf(rapid.Int64Range(0, 1e8), rapid.Int64Range(0, 3e9)).Draw(t, "wait"))
			},
			"message": func(t *rapid.T) {
				src := rapid.SampledFrom(addrs).Draw(t, "source")
				bits := 64
				if src.Unmap().Is4() {
					bits = 32
				}
				prefix, _ := src.Unmap().Prefix(bits)
				if model[prefix] == nil {
					model[prefix] = newBucketModel(int64(perSecond), int64(burst), now)
				}
				if got, want := s.Allow(h, &seed, src, now), model[prefix].take(now); got != want {
					t.Fatalf("%v at %d: %v, want %v", src, now, got, want)
				}
			},
			"": func(t *rapid.T) {
				live := 0
				for _, m := range model {
					if new(big.Int).Add(m.level, big.NewInt(int64(now-m.last))).Cmp(m.most) < 0 {
						live++
					}
				}
				if got := s.Len(now); got != live {
					t.Fatalf("at %d: %d entries, want %d", now, got, live)
				}
			},
		})
	})
}

// DOS-06, DOS-09, B033: a flood from many sources fills a table that never grows, those inside keep their rate, and
// after a second of quiet nothing is left of it, without a call that would collect anything.
func TestSourcesAreBounded_DOS09(t *testing.T) {
	h, seed, s := NewHasher(), [32]byte{1}, NewSources(20, 20)
	capacity, addrs := sourceSets*sourceWays, manyAddrs(100_000)
	inside := map[int]bool{}
	for i, src := range addrs {
		for range 20 {
			if s.Allow(h, &seed, src, 0) {
				inside[i] = true
			}
		}
	}
	if len(inside) != capacity || s.Len(0) != capacity || len(s.table) != capacity {
		t.Fatalf("%d let in, %d live, room for %d", len(inside), s.Len(0), capacity)
	}
	for i, src := range addrs {
		if got := s.Allow(h, &seed, src, ms(50)); got != inside[i] {
			t.Fatalf("source %d, inside %v: allowed %v", i, inside[i], got)
		}
	}
	if n := s.Len(ms(1050) - 1); n != capacity {
		t.Errorf("%d live just before their buckets are full", n)
	}
	if n := s.Len(ms(1050)); n != 0 {
		t.Errorf("%d live after a second of quiet", n)
	}
	for i, src := range addrs[len(addrs)-100:] {
		if !s.Allow(h, &seed, src, ms(1050)) {
			t.Errorf("newcomer %d refused by an empty table", i)
		}
	}
}

// DOS-09: an entry lasts no longer than a second after its last accepted message, whatever the burst asked for.
func TestBurstIsAtMostASecond_DOS09(t *testing.T) {
	for _, tc := range []struct{ perSecond, burst, want int }{
		{20, 5, 5}, {5, 5, 5}, {5, 100, 5}, {1, 9, 1}, {0, 9, 0},
	} {
		h, seed, s := NewHasher(), [32]byte{1}, NewSources(tc.perSecond, tc.burst)
		passed := 0
		for range 200 {
			if s.Allow(h, &seed, portA.Addr(), 0) {
				passed++
			}
		}
		if passed != tc.want || s.Len(timers.Time(time.Second)) != 0 {
			t.Errorf("%d/s burst %d: %d at once, %d live after a second",
				tc.perSecond, tc.burst, passed, s.Len(timers.Time(time.Second)))
		}
	}
}

// SEC-07: sources that fill one set under one seed are spread under another, so nobody can choose them beforehand.
func TestSeedHidesThePlaces_SEC07(t *testing.T) {
	h, seedA, seedB := NewHasher(), [32]byte{1}, [32]byte{2}
	var crowd []netip.Addr
	for _, src := range manyAddrs(20_000) {
		if set, _ := place(h, &seedA, src); set == 3 && len(crowd) < 3*sourceWays {
			crowd = append(crowd, src)
		}
	}
	for _, tc := range []struct {
		seed  [32]byte
		least int
		most  int
	}{{seedA, sourceWays, sourceWays}, {seedB, 3 * sourceWays, 3 * sourceWays}} {
		s, passed := NewSources(20, 5), 0
		for _, src := range crowd {
			if s.Allow(h, &tc.seed, src, 0) {
				passed++
			}
		}
		if passed < tc.least || passed > tc.most {
			t.Errorf("seed %d: %d of %d newcomers let in", tc.seed[0], passed, len(crowd))
		}
	}
	used := map[int]int{}
	for _, src := range manyAddrs(sourceSets * 100) {
		set, _ := place(h, &seedA, src)
		used[set]++
	}
	for set := range sourceSets {
		if n := used[set]; n < 50 || n > 150 { // mean 100, standard deviation 10
			t.Errorf("set %d holds %d of %d sources", set, n, sourceSets*100)
		}
	}
}
