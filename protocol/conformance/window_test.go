package conformance

import (
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
)

// TestBounds: a bound is broken only if all that is known of both moments says so.
func TestBounds(t *testing.T) {
	at := func(a, b time.Duration) Stamp { return Stamp{timers.Time(a), timers.Time(b)} }
	const s = time.Second
	for _, c := range []struct {
		name      string
		from, got Stamp
		min, max  time.Duration
		place     int
		blurred   bool
	}{
		{"exact, at the lower bound", at(0, 0), at(5*s, 5*s), 5 * s, 6 * s, 0, false},
		{"exact, just before it", at(0, 0), at(5*s-1, 5*s-1), 5 * s, 6 * s, -1, false},
		{"exact, at the upper bound", at(s, s), at(7*s, 7*s), 5 * s, 6 * s, 0, false},
		{"exact, just after it", at(s, s), at(7*s+1, 7*s+1), 5 * s, 6 * s, 1, false},
		{"may be early", at(0, 10), at(5*s, 5*s+10), 5 * s, 6 * s, 0, false},
		{"must be early", at(0, 10), at(5*s-20, 5*s-1), 5 * s, 6 * s, -1, false},
		{"may be late", at(0, 10), at(6*s, 6*s+20), 5 * s, 6 * s, 0, false},
		{"must be late", at(0, 10), at(6*s+11, 6*s+20), 5 * s, 6 * s, 1, false},
		{"as wide as the window", at(0, s/2), at(5*s, 5*s+s/2), 5 * s, 6 * s, 0, false},
		{"wider than the window", at(0, s/2), at(5*s, 5*s+s/2+1), 5 * s, 6 * s, 0, true},
		{"wider than no window, within the network's", at(0, 0), at(5*s, 5*s+network), 5 * s, 5 * s, 0, false},
	} {
		w := Window{From: c.from, Min: c.min, Max: c.max}
		if got := w.place(c.got); got != c.place {
			t.Errorf("%s: place %d, want %d", c.name, got, c.place)
		}
		if got := w.blurred(c.got); got != c.blurred {
			t.Errorf("%s: blurred %v, want %v", c.name, got, c.blurred)
		}
	}
}

// TestTolerances: no kind is granted less than another that is more exact, the lower bounds are the protocol's, and
// virtual time is exact.
func TestTolerances(t *testing.T) {
	nominal := map[Quantity]time.Duration{Retransmit: 5e9, Passive: 10e9, DeadPeer: 15e9, Erasure: 540e9}
	for kind := range late {
		for _, virtual := range []bool{true, false} {
			for _, q := range (Capabilities{Kind: kind, Virtual: virtual, RTT: time.Millisecond}).Tolerances() {
				if q.Nominal != nominal[q.Quantity] && q.Quantity != Prompt {
					t.Errorf("%s: %s is nominally %v", kind, q.Quantity, q.Nominal)
				}
				if !virtual && q.Late < network+time.Millisecond {
					t.Errorf("%s: %s has no time for the way: %v", kind, q.Quantity, q.Late)
				}
				if virtual && kind == "exact" && (q.Late != 0 || q.Eighth) {
					t.Errorf("%s in virtual time may be late by %v", q.Quantity, q.Late)
				}
			}
		}
	}
	// The accepted ends of rules.md §0.4 for the kernel, without the network.
	k := Capabilities{Kind: "kernel", Virtual: true}
	for q, end := range map[Quantity]time.Duration{Retransmit: 5900e6, Passive: 10700e6, DeadPeer: 16e9} {
		tol := k.tolerance(q)
		if got := (tol.Nominal + tol.Jitter + tol.Late).Round(10 * time.Millisecond); got != end {
			t.Errorf("kernel: %s ends at %v, want %v", q, got, end)
		}
	}
	if got := (&T{Caps: k}).Due(Erasure, At(0)).Max; got != 607500*time.Millisecond {
		t.Errorf("kernel: key erasure ends at %v", got)
	}
}
