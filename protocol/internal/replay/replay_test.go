package replay

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// paperLimit is Reject-After-Messages of the paper (rules.md §1.1).
const paperLimit = math.MaxUint64 - 1<<13

// model is the rule set said naively: remember everything.
type model struct {
	seen     map[uint64]bool
	greatest uint64
	limit    uint64
}

func (m *model) accept(c uint64) bool {
	some := len(m.seen) > 0
	switch {
	case c >= m.limit: // REPLAY-07
	case some && m.greatest+1 == m.limit: // REPLAY-10
	case m.seen[c]: // REPLAY-01
	case some && c < m.greatest && m.greatest-c > 8128: // REPLAY-04
	default: // REPLAY-03
		if m.seen == nil {
			m.seen = map[uint64]bool{}
		}
		m.seen[c], m.greatest = true, max(m.greatest, c)
		return true
	}
	return false
}

// check gives c to both and compares what can be seen, and that a refusal leaves the window as it was.
func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, w *Window, m *model, c uint64) {
	t.Helper()
	before, want := *w, m.accept(c)
	if got := w.Accept(c, m.limit); got != want {
		t.Fatalf("counter %d with greatest %d and limit %d: accepted %v, want %v", c, m.greatest, m.limit, got, want)
	}
	if !want && *w != before {
		t.Fatalf("counter %d was refused and changed the window", c)
	}
	greatest, ok := w.Greatest()
	if ok != (len(m.seen) > 0) || greatest != m.greatest {
		t.Fatalf("after counter %d: greatest %d, %v, want %d, %v", c, greatest, ok, m.greatest, len(m.seen) > 0)
	}
}

var edges = []uint64{0, 1, 2, 62, 63, 64, 65, 127, 128, 1984, WindowSize - 65, WindowSize - 64, WindowSize - 63,
	WindowSize - 1, WindowSize, WindowSize + 1, 8190, 8191, 8192, 8193, 2 * WindowSize, 1 << 32, 1 << 63}

// TestWindowAgainstModel draws counters where the window has its edges: around the greatest one, one block, one window
// and one ring away in both directions, far ahead, and at the limit.
func TestWindowAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, m := new(Window), &model{}
		m.limit = rapid.SampledFrom([]uint64{math.MaxUint64, paperLimit, 1 << 60, 20000, 8192, 64, 1, 0}).Draw(t, "limit")
		offset := rapid.OneOf(rapid.SampledFrom(edges), rapid.Uint64Range(0, 8300), rapid.Uint64Range(0, 70))
		one := func(c uint64) { check(t, w, m, c) }
		t.Repeat(map[string]func(*rapid.T){
			"ahead":  func(t *rapid.T) { one(m.greatest + offset.Draw(t, "n")) },
			"behind": func(t *rapid.T) { one(m.greatest - offset.Draw(t, "n")) },
			"limit":  func(t *rapid.T) { one(m.limit - offset.Draw(t, "n")) },
			"any":    func(t *rapid.T) { one(rapid.Uint64().Draw(t, "c")) },
			"run": func(t *rapid.T) {
				start := m.greatest + offset.Draw(t, "n")
				for i := range rapid.Uint64Range(1, 300).Draw(t, "length") {
					one(start + i)
				}
			},
		})
	})
}

// TestJumps is REPLAY-06: after each jump every counter of the window is accepted exactly once if it was not before,
// and nothing that was accepted before or is out of the window is.
func TestJumps(t *testing.T) {
	jumps := []uint64{1, 63, 64, 65, WindowSize - 1, WindowSize, WindowSize + 1, 8191, 8192, 8193, 2 * WindowSize, 1 << 32}
	for _, jump := range jumps {
		for _, start := range []uint64{0, 1, 63, 64, 8127, 8128, 8191, 8192, 20000} {
			t.Run(fmt.Sprintf("%d+%d", start, jump), func(t *testing.T) {
				w, m := new(Window), &model{limit: paperLimit}
				for c := start - min(start, 9000); c <= start; c += 1 + c%3 {
					check(t, w, m, c)
				}
				check(t, w, m, start)
				check(t, w, m, start+jump)
				greatest := m.greatest
				for back := range min(greatest, 8400) + 1 {
					check(t, w, m, greatest-back)
				}
				for back := range min(greatest, 8400) + 1 {
					check(t, w, m, greatest-back)
				}
			})
		}
	}
}

// TestLimit is REPLAY-07 and REPLAY-10, with the three counters that REPLAY-07 names.
func TestLimit(t *testing.T) {
	var w Window
	for _, c := range []uint64{math.MaxUint64, math.MaxUint64 - 1, math.MaxUint64 - 8192, paperLimit} {
		if w.Accept(c, paperLimit) || w != (Window{}) {
			t.Fatalf("counter %d at or over the limit was accepted or left a trace", c)
		}
	}
	for _, c := range []uint64{paperLimit - 3, paperLimit - 1} {
		if !w.Accept(c, paperLimit) {
			t.Fatalf("counter %d under the limit was refused", c)
		}
	}
	for _, c := range []uint64{paperLimit - 2, 0, paperLimit} {
		if w.Accept(c, paperLimit) {
			t.Fatalf("counter %d was accepted under a key that is used up", c)
		}
	}
}

// TestKnownBugs replays what shipped elsewhere (known-bugs.md).
func TestKnownBugs(t *testing.T) {
	accept := func(t *testing.T, w *Window, c uint64, want bool) {
		t.Helper()
		if got := w.Accept(c, paperLimit); got != want {
			t.Fatalf("counter %d: accepted %v, want %v", c, got, want)
		}
	}
	behind1500 := func(t *testing.T) {
		w := new(Window)
		accept(t, w, 20000, true)
		accept(t, w, 20000-1500, true)
		accept(t, w, 20000-1500, false)
		accept(t, w, 20000-5, true)
	}
	t.Run("B051 window of 1024", behind1500)
	t.Run("B052 window of 4", behind1500)
	t.Run("B053 counter 0 refused", func(t *testing.T) {
		w := new(Window)
		accept(t, w, 0, true)
		accept(t, w, 0, false)
	})
	t.Run("B054 ring without a spare block", func(t *testing.T) {
		w := new(Window)
		for c := range uint64(8255) {
			accept(t, w, c, true)
		}
		accept(t, w, 63, false)
		accept(t, w, 8255, true)
	})
	t.Run("B055 blocks not cleared", func(t *testing.T) {
		w := new(Window)
		for c := range uint64(5 * 8192) {
			accept(t, w, c, true)
		}
	})
}

func TestAcceptDoesNotAllocate(t *testing.T) {
	var w Window
	var c uint64
	if n := testing.AllocsPerRun(1000, func() { c += 3; w.Accept(c, paperLimit) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzWindow reads 3 bytes per counter: a scale and a signed distance from the greatest counter so far. It is here and
// not in the module's fuzz folder because Go lets only the protocol tree import this package.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 1, 0}, false)
	f.Add([]byte{3, 1, 0, 0, 0x40, 0xe0, 3, 0xff, 0xff}, true)
	f.Fuzz(func(t *testing.T, moves []byte, short bool) {
		w, m := new(Window), &model{limit: paperLimit}
		if short {
			m.limit = 30000
		}
		for ; len(moves) >= 3; moves = moves[3:] {
			scale := [...]uint64{1, 64, WindowSize, 1 << 32}[moves[0]%4]
			check(t, w, m, m.greatest+uint64(int64(int16(uint16(moves[1])|uint16(moves[2])<<8)))*scale)
		}
	})
}

func BenchmarkAccept(b *testing.B) {
	bench := func(name string, counter func(i uint64) uint64) {
		b.Run(name, func(b *testing.B) {
			var w Window
			for i := uint64(0); b.Loop(); i++ {
				w.Accept(counter(i), paperLimit)
			}
		})
	}
	bench("InOrder", func(i uint64) uint64 { return i })
	bench("Swapped", func(i uint64) uint64 { return i ^ 1 })
	bench("Jump2^20", func(i uint64) uint64 { return i << 20 })
}
