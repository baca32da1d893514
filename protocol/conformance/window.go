package conformance

import (
	"fmt"
	"time"
)

// Quantity is something whose time is bound by the protocol (rules.md §0.4).
type Quantity string

// The quantities.
const (
	Prompt        Quantity = "answer"               // what is due at once: within 0.3 s
	Retransmit    Quantity = "retransmission"       // 5 s + jitter after an unanswered initiation (TIMER-01)
	Passive       Quantity = "passive keepalive"    // 10 s after unanswered data received (TIMER-12)
	DeadPeer      Quantity = "new handshake"        // 15 s + jitter after unanswered data sent (TIMER-16)
	Persistent    Quantity = "persistent keepalive" // n seconds (TIMER-19); its nominal value is the case's
	Erasure       Quantity = "key erasure"          // 540 s (KEY-13)
	AgeCheck      Quantity = "age check"            // of 120, 165 and 180 s, 5 s and 20 ms: compared on use
	jitterMaximum          = 333333333 * time.Nanosecond
)

// Tolerance is what one kind of target is granted for a quantity. The lower bound is always strict.
type Tolerance struct {
	Quantity Quantity      `json:"quantity"`
	Nominal  time.Duration `json:"nominal_ns"` // 0: the case's own
	Jitter   time.Duration `json:"jitter_ns"`  // that the protocol adds
	Late     time.Duration `json:"late_ns"`    // that the target may add
	// Eighth adds an eighth of the nominal value: the kernel's timer wheel.
	Eighth bool `json:"eighth,omitempty"`
}

// network is added to every upper bound in real time: what a loopback and the scheduler take.
const network = 50 * time.Millisecond

// late is the table: by kind, what a target may add to retransmission, passive keepalive, new handshake, persistent
// keepalive, erasure and age check. "exact" targets live in virtual time. The kernel's timer wheel is late by up to
// 1/8; 250 ms is the polling of boringtun and its forks.
var late = map[string][6]time.Duration{
	"exact":   {},
	"go":      {100e6, 100e6, 100e6, 100e6, 1e9, 20e6},
	"kernel":  {567e6, 700e6, 667e6, 300e6, 0, 10e6},
	"poll250": {270e6, 300e6, 270e6, 300e6, 1e9, 250e6},
	"remote":  {567e6, 700e6, 667e6, 300e6, 1e9, 250e6},
}

// Tolerances is the table for a target, with what the way to it takes included in Late.
func (c Capabilities) Tolerances() []Tolerance {
	row, known := late[c.Kind]
	if !known {
		row = late["remote"]
	}
	if c.Kind == "kernel" && c.HZ > 0 {
		row = wheelLate(c.HZ)
	}
	wheel := c.Kind == "kernel" || c.Kind == "remote" || !known
	t := []Tolerance{
		{Prompt, 300e6, 0, 0, false},
		{Retransmit, 5e9, jitterMaximum, row[0], false},
		{Passive, 10e9, 0, row[1], false},
		{DeadPeer, 15e9, jitterMaximum, row[2], false},
		{Persistent, 0, 0, row[3], wheel},
		{Erasure, 540e9, 0, row[4], wheel && row[4] == 0},
		{AgeCheck, 0, 0, row[5], false},
	}
	if !c.Virtual {
		for i := range t {
			t[i].Late += network + c.RTT
		}
	}
	return t
}

// wheelLate is the column of a kernel that looks at its timers hz times a second. Its wheel has levels of 64 places,
// each 8 times as coarse as the one below: what is not due within 63 places of a level belongs to the next one, and is
// rounded up there, to the next place (kernel/time/timer.c). Persistent keepalives have no one time: theirs is the
// table's.
func wheelLate(hz int) [6]time.Duration {
	tick := time.Second / time.Duration(hz)
	late := func(d time.Duration) time.Duration {
		place := tick
		for d >= 63*place {
			place *= 8
		}
		return place + tick // and one in which it was set
	}
	return [6]time.Duration{late(5*time.Second + jitterMaximum), late(10 * time.Second),
		late(15*time.Second + jitterMaximum), 300 * time.Millisecond, late(540 * time.Second), tick}
}

func (c Capabilities) tolerance(q Quantity) Tolerance {
	for _, t := range c.Tolerances() {
		if t.Quantity == q {
			return t
		}
	}
	panic(fmt.Sprintf("conformance: no tolerance for %q", q))
}

// ahead is how much too early something may seem that is counted from what the target itself sent: it takes the time
// first, and the datagram leaves after that, at once or when it gets a core again.
func (c Capabilities) ahead() time.Duration {
	if c.Virtual {
		return 0
	}
	return 10 * time.Millisecond
}

// Window is a span of time in which something is due, counted from a Stamp. Cases get one from T.
type Window struct {
	From     Stamp
	Min, Max time.Duration // Max includes the tolerance
	What     Quantity
}

// Sub is t − u as an interval: what lies between two things is at least least and at most most.
func (s Stamp) Sub(u Stamp) (least, most time.Duration) {
	return s.Earliest.Sub(u.Latest), s.Latest.Sub(u.Earliest)
}

// String gives the time in seconds, and how uncertain it is.
func (s Stamp) String() string {
	if s.Earliest == s.Latest {
		return seconds(time.Duration(s.Earliest))
	}
	return seconds(time.Duration(s.Earliest)) + "…" + seconds(time.Duration(s.Latest))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

func span(least, most time.Duration) string {
	if least == most {
		return seconds(least)
	}
	return fmt.Sprintf("%.3f…%s", least.Seconds(), seconds(most))
}

// place tells where a stamp lies: before the window as a whole (−1), after it as a whole (1), or possibly in it (0).
func (w Window) place(s Stamp) int {
	least, most := s.Sub(w.From)
	switch {
	case most < w.Min:
		return -1
	case least > w.Max:
		return 1
	}
	return 0
}

// blurred reports whether the stamps are too uncertain for a verdict on the window.
func (w Window) blurred(s Stamp) bool {
	least, most := s.Sub(w.From)
	return most-least > max(w.Max-w.Min, network)
}

// String tells the bounds.
func (w Window) String() string {
	if w.Min == 0 {
		return "within " + seconds(w.Max)
	}
	return "after " + span(w.Min, w.Max)
}
