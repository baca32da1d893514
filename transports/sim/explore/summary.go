package explore

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// SummaryVersion is the number of the form of a [Summary] in JSON.
const SummaryVersion = 1

// Summary adds up what came of many seeds. It depends on nothing but them: not on how long they took, how many ran at
// once, or how they were spread over machines.
type Summary struct {
	Version int `json:"version"`
	// From and To are the seeds that were asked for, in all shards together; Sabotage is the name of the known-bad core.
	From     uint64 `json:"from"`
	To       uint64 `json:"to"`
	Sabotage string `json:"sabotage,omitempty"`
	// Runs has a line for each seed that ran, in order.
	Runs []SeedRun `json:"runs"`
	// Took counts by kind of trouble how often it took effect.
	Took     map[string]uint64 `json:"took"`
	Covered  Coverage          `json:"covered"`
	Owed     uint64            `json:"owed"`   // directions that owed recovery
	Exempt   map[string]uint64 `json:"exempt"` // others, by reason
	Bounds   Bounds            `json:"bounds"`
	Failures []Failure         `json:"failures"`
}

// Bounds says how the directions that owed recovery kept within their bounds, those that did.
type Bounds struct {
	Longest time.Duration `json:"longest_ns"` // bound
	Slowest time.Duration `json:"slowest_ns"` // recovery
	Closest time.Duration `json:"closest_ns"` // the least time that was left until the bound
}

func (b *Bounds) add(o Bounds) {
	if b.Longest == 0 {
		b.Closest = o.Closest
	}
	if o.Longest > 0 {
		b.Longest, b.Slowest, b.Closest = max(b.Longest, o.Longest), max(b.Slowest, o.Slowest), min(b.Closest, o.Closest)
	}
}

// SeedRun is what is kept of one seed.
type SeedRun struct {
	Seed      uint64        `json:"seed"`
	Hosts     int           `json:"hosts"`
	Virtual   time.Duration `json:"virtual_ns"`
	Datagrams uint64        `json:"datagrams"`
	Kinds     []string      `json:"kinds"` // of trouble that took effect
}

// Failure is a seed that broke a checker.
type Failure struct {
	Seed    uint64        `json:"seed"`
	Checker string        `json:"checker"` // of the first violation
	Host    string        `json:"host"`
	At      time.Duration `json:"at_ns"`
	Text    string        `json:"text"`
	Spoiled []string      `json:"spoiled,omitempty"` // the hosts with the known-bad core; none listed: all
	// File is where the shrunk scenario is, Repeat the command that runs it. Both are empty if it was not shrunk.
	File   string `json:"file,omitempty"`
	Repeat string `json:"repeat,omitempty"`
}

// NewSummary makes an empty one.
func NewSummary(from, to uint64, sabotage string) *Summary {
	return &Summary{Version: SummaryVersion, From: from, To: to, Sabotage: sabotage, Took: map[string]uint64{},
		Exempt: map[string]uint64{}, Runs: []SeedRun{}, Failures: []Failure{}}
}

// Add takes the next outcome.
func (s *Summary) Add(o *Outcome) {
	run := SeedRun{Seed: o.Seed, Hosts: len(o.Result.Hosts), Virtual: o.Result.Virtual, Datagrams: o.Result.Datagrams,
		Kinds: []string{}}
	for _, k := range sim.FaultKinds() {
		if n := o.Result.Effects[k]; n > 0 {
			run.Kinds = append(run.Kinds, k.String())
			s.Took[k.String()] += n
		}
	}
	s.Runs = append(s.Runs, run)
	s.Covered.add(&o.Coverage)
	for _, l := range o.Result.Liveness {
		if l.Exempt == "" {
			s.Owed++
			if l.Took >= 0 {
				s.Bounds.add(Bounds{l.Bound, l.Took, l.Bound - l.Took})
			}
		} else {
			s.Exempt[l.Exempt]++
		}
	}
	if o.Failed() {
		v := o.Violations[0]
		s.Failures = append(s.Failures, Failure{Seed: o.Seed, Checker: v.Checker, Host: v.Host, At: time.Duration(v.At),
			Text: v.Text, Spoiled: o.Spoiled})
	}
}

// Merge adds up the summaries of shards. They must be of the same seeds and the same cores, and no seed may be in two.
func Merge(list []*Summary) (*Summary, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("there is nothing to merge")
	}
	m := NewSummary(list[0].From, list[0].To, list[0].Sabotage)
	for _, s := range list {
		switch {
		case s.Version != SummaryVersion:
			return nil, fmt.Errorf("version %d is not known; this is version %d", s.Version, SummaryVersion)
		case s.From != m.From || s.To != m.To:
			return nil, fmt.Errorf("seeds %d..%d and %d..%d are not shards of one range", m.From, m.To, s.From, s.To)
		case s.Sabotage != m.Sabotage:
			return nil, fmt.Errorf("sabotage %q and %q are not of one exploration", m.Sabotage, s.Sabotage)
		}
		m.Runs = append(m.Runs, s.Runs...)
		m.Failures = append(m.Failures, s.Failures...)
		m.Covered.add(&s.Covered)
		m.Owed += s.Owed
		m.Bounds.add(s.Bounds)
		for _, k := range sim.FaultKinds() {
			if n := s.Took[k.String()]; n > 0 {
				m.Took[k.String()] += n
			}
		}
		for _, why := range sim.Exemptions() {
			if n := s.Exempt[why]; n > 0 {
				m.Exempt[why] += n
			}
		}
	}
	slices.SortFunc(m.Runs, func(a, b SeedRun) int { return cmp.Compare(a.Seed, b.Seed) })
	slices.SortFunc(m.Failures, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	for i := 1; i < len(m.Runs); i++ {
		if m.Runs[i].Seed == m.Runs[i-1].Seed {
			return nil, fmt.Errorf("seed %d is in two of them", m.Runs[i].Seed)
		}
	}
	return m, nil
}

// Missing is how many seeds of the range have not run.
func (s *Summary) Missing() uint64 { return s.To - s.From + 1 - uint64(len(s.Runs)) }

// Exempted is how many directions owed no recovery, for whatever reason.
func (s *Summary) Exempted() (n uint64) {
	for _, why := range sim.Exemptions() {
		n += s.Exempt[why]
	}
	return n
}

// SeedsWith counts the seeds in which a kind of trouble took effect.
func (s *Summary) SeedsWith(kind string) (n int) {
	for i := range s.Runs {
		if slices.Contains(s.Runs[i].Kinds, kind) {
			n++
		}
	}
	return n
}
