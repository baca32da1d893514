package model

import (
	"runtime"
	"time"

	"github.com/purewire/purewire/protocol"
)

// Options bound a check. A zero field stands for the default behind it.
type Options struct {
	States int // stop after a level that reaches so many: 100,000,000
	Depth  int // moves on a path: 14
	// DoubleDepth bounds the moves on a path with more than one fault: 9.
	DoubleDepth int
	Flight      int // datagrams in flight at once: 4; a path that would have more ends
	// Faults bounds drops, duplicates, holds and restarts together on a path: 2. Negative is none, as with the following.
	Faults     int
	Drops      int // 2
	Duplicates int // 1
	Holds      int // datagrams that are not delivered or lost before time passes: 1
	Restarts   int // 1
	Packets    int // 3
	Workers    int // goroutines: GOMAXPROCS
	Pairs      int // merged pairs to try out: 10,000
	// Prepare, if set, is called with each new core before it is configured, so that known-bad ones can be made.
	Prepare func(host string, d *protocol.Device)
	// Stop, if set, is asked now and then whether to end at once.
	Stop func() bool
	// Progress, if set, is told now and then about the level that is being made: how far it is, how many states there
	// are in all, and how many of the level before are still to come.
	Progress func(l Level, states, togo int)

	// Aged explores from sessions that are 120 s old, opened by either host, instead of from two hosts that have just
	// come up.
	Aged bool

	forget func([]byte) []byte // see world
}

func (o Options) withDefaults() Options {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
		*v = max(*v, 0)
	}
	set(&o.States, 100_000_000)
	set(&o.Depth, 14)
	set(&o.DoubleDepth, 9)
	o.DoubleDepth = min(o.DoubleDepth, o.Depth)
	set(&o.Flight, 4)
	o.Flight = min(o.Flight, maxFlight)
	set(&o.Faults, 2)
	set(&o.Drops, 2)
	set(&o.Duplicates, 1)
	set(&o.Holds, 1)
	set(&o.Restarts, 1)
	set(&o.Packets, 3)
	set(&o.Workers, runtime.GOMAXPROCS(0))
	set(&o.Pairs, 10_000)
	return o
}

func (o *Options) budget() budget {
	return budget{faults: uint8(o.Faults), drops: uint8(o.Drops), duplicates: uint8(o.Duplicates),
		holds: uint8(o.Holds), restarts: uint8(o.Restarts), packets: uint8(o.Packets)}.trim()
}

// Level is what the states of one depth came to.
type Level struct {
	Depth  int `json:"depth"`
	New    int `json:"new"`    // states first reached with so many moves
	Moves  int `json:"moves"`  // that led to them or to states known before
	Merged int `json:"merged"` // moves that led to a state known before
	Full   int `json:"full"`   // moves not made because too much would have been in flight
	Cut    int `json:"cut"`    // moves not made because of Options.DoubleDepth
}

// Milestone is something worth reaching that was reached.
type Milestone struct {
	What  string `json:"what"`
	Depth int    `json:"depth"` // moves after the root
	Root  string `json:"root"`
}

// Report is what a check found.
type Report struct {
	States         int             `json:"states"`
	Configurations int             `json:"configurations"` // states, but for their budgets
	Depth          int             `json:"depth"`          // of the last level that is complete
	Complete       bool            `json:"complete"`       // there is nothing more within the budgets
	Stopped        bool            `json:"stopped"`        // by Options.Stop, States or Depth
	Levels         []Level         `json:"levels"`
	Roots          []string        `json:"roots"`
	Reached        []Milestone     `json:"reached"`
	Missed         []string        `json:"missed"`
	Pairs          int             `json:"merged_pairs_tried"`
	Different      int             `json:"merged_pairs"` // that differed in time or in the names of indices
	Span           time.Duration   `json:"longest_ns"`   // virtual time of the longest path
	Failure        *CounterExample `json:"failure,omitempty"`
}

// CounterExample is a path to a state that must not be.
type CounterExample struct {
	Rule  string   `json:"rule"` // safety, recovery or merge
	What  string   `json:"what"`
	Steps []string `json:"steps"`
}
