package cookie

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/timers"
)

func ms(n int64) timers.Time { return timers.Time(n * int64(time.Millisecond)) }

// DOS-01: under load while an eighth of the job slots are taken, and never by fewer.
func TestLoadByJobsInFlight_DOS01(t *testing.T) {
	for _, tc := range []struct{ jobs, busy int }{{4096, 512}, {1024, 128}, {100, 12}, {8, 1}, {7, 1}, {1, 1}, {0, 1}} {
		l := NewLoad(tc.jobs, 1000)
		if l.UnderLoad(0, tc.busy-1) {
			t.Errorf("%d slots: under load with %d in flight", tc.jobs, tc.busy-1)
		}
		if !l.UnderLoad(0, tc.busy) {
			t.Errorf("%d slots: quiet with %d in flight", tc.jobs, tc.busy)
		}
	}
}

// DOS-01: the smallest burst that puts the device under load is one more than the limit.
func TestLoadByRate_DOS01(t *testing.T) {
	for _, limit := range []int{-1, 0, 1, 20, 500} {
		l := NewLoad(4096, limit)
		for i := range max(0, limit) {
			l.Initiation(ms(int64(i) % 800))
			if l.UnderLoad(ms(int64(i)%800), 0) {
				t.Fatalf("limit %d: under load after %d", limit, i+1)
			}
		}
		if l.Initiation(ms(800)); !l.UnderLoad(ms(800), 0) {
			t.Errorf("limit %d: quiet after one more", limit)
		}
	}
}

// DOS-02, B024: either cause holds for one second after it was last true, and not for longer (B022).
func TestLoadIsSticky_DOS02(t *testing.T) {
	l := NewLoad(8, 1000)
	l.UnderLoad(ms(100), 1)
	l.UnderLoad(ms(900), 0) // asking does not prolong it
	for _, tc := range []struct {
		at   int64
		want bool
	}{{901, true}, {1099, true}, {1100, false}, {1101, false}} {
		if got := l.UnderLoad(ms(tc.at), 0); got != tc.want {
			t.Errorf("%d ms, in flight until 100 ms: under load %v", tc.at, got)
		}
	}
	// Buckets start at multiples of 125 ms, before Time 0 as well, and leave the window when the eighth after them
	// starts: 21 initiations at 100 ms count until 1000 ms, and at −100 ms until 875 ms.
	for _, tc := range []struct {
		made, at int64
		want     bool
	}{
		{100, 100, true}, {100, 1000, true}, {100, 1999, true}, {100, 2000, false}, {100, 60_000, false},
		{-100, -100, true}, {-100, 875, true}, {-100, 1874, true}, {-100, 1875, false},
	} {
		l := NewLoad(4096, 20)
		for range 21 {
			l.Initiation(ms(tc.made))
		}
		if got := l.UnderLoad(ms(tc.at), 0); got != tc.want {
			t.Errorf("%d ms, first question after a burst at %d ms: under load %v", tc.at, tc.made, got)
		}
	}
}

// B022: "handshake count never reset: under load for good after N handshakes".
func TestSlowHandshakesAreNoLoad_B022(t *testing.T) {
	l := NewLoad(4096, 20)
	for i := range int64(10_000) {
		now := ms(i * 50) // exactly 20 per second
		l.Initiation(now)
		if l.UnderLoad(now, 1) {
			t.Fatalf("under load after %d initiations at 20 per second", i+1)
		}
	}
}

// B022, B023: quiet again two seconds after a flood, with no call in between that could have counted anything down.
func TestLoadEndsByItself_B023(t *testing.T) {
	l := NewLoad(4096, 20)
	for i := range int64(100_000) {
		now := ms(i / 10)
		if l.Initiation(now); i > 20 && !l.UnderLoad(now, 600) {
			t.Fatalf("quiet at %v in the middle of a flood", time.Duration(now))
		}
	}
	if l.UnderLoad(ms(12_000), 0) {
		t.Error("under load two seconds after the flood")
	}
	if l.Initiation(ms(12_000)); l.UnderLoad(ms(12_000), 1) {
		t.Error("under load by the first initiation after the flood")
	}
}

// loadModel remembers everything and looks at every tick there ever was. Its ticks divide the bucket of 125 ms.
type loadModel struct {
	busy, limit int64
	start       int64
	made        []int64 // ticks at which an initiation made a job
	asked       []int64 // ticks at which a question found enough jobs in flight
}

const loadTick = 25 * time.Millisecond

func (m *loadModel) overAt(tick int64) bool {
	bucket := func(tick int64) int64 { return (tick + 1000) / 5 } // no tick is below -1000
	n := int64(0)
	for _, made := range m.made {
		if made <= tick && bucket(made) > bucket(tick)-8 {
			n++
		}
	}
	return n > m.limit
}

func (m *loadModel) underLoad(tick, inFlight int64) bool {
	if inFlight >= m.busy {
		m.asked = append(m.asked, tick)
	}
	for _, asked := range m.asked {
		if tick < asked+40 || asked == tick {
			return true
		}
	}
	for past := max(m.start, tick-41); past < tick; past++ {
		if m.overAt(past) && tick < past+1+40 { // true until the end of that tick
			return true
		}
	}
	return m.overAt(tick)
}

// DOS-01, DOS-02: Load against the model, at any rhythm of initiations and questions.
func TestLoadModel_DOS01(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs, limit := rapid.IntRange(1, 40).Draw(t, "jobs"), rapid.IntRange(0, 6).Draw(t, "limit")
		now := rapid.Int64Range(-100, 100).Draw(t, "start")
		l := NewLoad(jobs, limit)
		m := loadModel{busy: max(1, int64(jobs)/8), limit: int64(limit), start: now}
		at := func() timers.Time { return timers.Time(now * int64(loadTick)) }
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 60).Draw(t, "ticks") },
			"job": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "jobs") {
					l.Initiation(at())
					m.made = append(m.made, now)
				}
			},
			"ask": func(t *rapid.T) {
				inFlight := rapid.SampledFrom([]int{0, 0, 0, 1, 5}).Draw(t, "in flight")
				got, want := l.UnderLoad(at(), inFlight), m.underLoad(now, int64(inFlight))
				if got != want {
					t.Fatalf("tick %d with %d in flight: under load %v, want %v", now, inFlight, got, want)
				}
			},
		})
	})
}

// SEC-08: the ends of time, a jump across all of it, and a step back.
func TestLoadAtTheEndsOfTime_SEC08(t *testing.T) {
	l := NewLoad(4096, 0)
	for _, now := range []timers.Time{math.MinInt64, math.MinInt64 + 1, -1, 0, math.MaxInt64 - 1, timers.Never} {
		if l.UnderLoad(now, 0) {
			t.Errorf("under load at %d before anything happened", now)
		}
		if l.Initiation(now); !l.UnderLoad(now, 0) {
			t.Errorf("quiet at %d with an initiation too many", now)
		}
		if l = NewLoad(4096, 0); now < 0 {
			l.Initiation(now)
			if l.UnderLoad(math.MaxInt64, 0) {
				t.Errorf("still under load at the end of time, after one initiation at %d", now)
			}
			l = NewLoad(4096, 0)
		}
	}
	l.Initiation(ms(5000))
	l.Initiation(ms(900))
	for _, tc := range []struct {
		at   int64
		want bool
	}{{900, true}, {5100, true}, {8000, false}} {
		if got := l.UnderLoad(ms(tc.at), 0); got != tc.want {
			t.Errorf("%d ms, after a step back in time: under load %v", tc.at, got)
		}
	}
}
