package explore

import (
	"time"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// ShrinkLimit bounds the work of one [Shrink] in events of the simulator, so that it ends, and with the same file
// everywhere: a limit in seconds would depend on the machine.
const ShrinkLimit = 1_500_000

// Shrunk is what a [Shrink] came to.
type Shrunk struct {
	File    *scenario.File
	Checker string
	At      time.Duration // when the checker is broken
	Tries   int           // scenarios that were run
	Events  uint64
	Done    bool // nothing more can be left out; false: the limit was reached
}

// Shrink makes a scenario that fails by a checker as small as it can: fewer hosts, faults, actions, flows and attacks,
// then a shorter run, then simpler values. Whatever is kept is needed for the same checker to fail. It gives nil if the
// scenario does not fail by this checker.
func Shrink(f *scenario.File, o Options, checker string) *Shrunk {
	s := &shrinker{f: f, o: o, checker: checker}
	at, events, failed := fails(f, o, checker)
	if !failed {
		return nil
	}
	s.at, s.events, s.tries = at, events, 1
	for changed := true; changed && !s.spent(); {
		changed = false
		for _, pass := range []func() bool{s.cut, s.hosts, s.lists, s.tunnels, s.cut, s.unused, s.earlier, s.values} {
			if pass() {
				changed = true
			}
		}
	}
	return &Shrunk{File: s.f, Checker: checker, At: s.at, Tries: s.tries, Events: s.events, Done: !s.spent()}
}

type shrinker struct {
	f       *scenario.File
	o       Options
	checker string
	at      time.Duration
	events  uint64
	tries   int
}

func (s *shrinker) spent() bool { return s.events >= ShrinkLimit }

// try keeps a change if the scenario still fails.
func (s *shrinker) try(change func(f *scenario.File)) bool {
	if s.spent() {
		return false
	}
	c := clone(s.f)
	change(c)
	at, events, failed := fails(c, s.o, s.checker)
	s.events += events + 100 // those that do not compile cost something too
	s.tries++
	if failed {
		s.f, s.at = c, at
	}
	return failed
}

// reduce tries to leave out elements of a list of n: halves, quarters and so on, down to single ones.
func (s *shrinker) reduce(count func() int, without func(f *scenario.File, from, to int)) (changed bool) {
	for size := count(); size > 0; size /= 2 {
		for from := 0; from < count(); {
			to := min(from+size, count())
			if s.try(func(f *scenario.File) { without(f, from, to) }) {
				changed = true
			} else {
				from = to
			}
		}
	}
	return changed
}

// cut ends the run where the checker is broken.
func (s *shrinker) cut() bool {
	end := scenario.Duration(s.at/time.Second+1) * second
	if s.f.Heal == 0 && end >= s.f.Duration {
		return false
	}
	changed := false
	for _, margin := range []scenario.Duration{0, 2 * second, 6 * second} {
		if end+margin < s.f.Duration && s.try(func(f *scenario.File) { f.Duration = end + margin; clip(f) }) {
			changed = true
			break
		}
	}
	if s.f.Heal > 0 && s.try(func(f *scenario.File) { f.Heal = 0 }) {
		changed = true
	}
	return changed
}

// clip takes what lies behind the end away.
func clip(f *scenario.File) {
	if f.Heal >= f.Duration {
		f.Heal = 0
	}
	f.Timeline = keep(f.Timeline, func(a scenario.Action) bool { return a.At < f.Duration })
	f.Faults = keep(f.Faults, func(x scenario.Fault) bool { return x.From < f.Duration })
	f.Attacks = keep(f.Attacks, func(a scenario.Attack) bool { return a.From < f.Duration })
	f.Traffic = keep(f.Traffic, func(w scenario.Flow) bool { return w.Start < f.Duration })
}

// hosts leaves out hosts with all that names them.
func (s *shrinker) hosts() bool {
	return s.reduce(func() int { return len(s.f.Hosts) }, func(f *scenario.File, from, to int) {
		gone := map[string]bool{}
		for _, h := range f.Hosts[from:to] {
			gone[h.Name] = true
		}
		dropHosts(f, gone)
	})
}

func dropHosts(f *scenario.File, gone map[string]bool) {
	f.Hosts = keep(f.Hosts, func(h scenario.Host) bool { return !gone[h.Name] && !gone[h.Steals] })
	left := map[string]bool{}
	for i := range f.Hosts {
		left[f.Hosts[i].Name] = true
	}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		h.Peers = keep(h.Peers, func(p scenario.Peer) bool { return left[p.Host] })
	}
	f.Traffic = keep(f.Traffic, func(w scenario.Flow) bool { return left[w.From] && left[w.To] })
	f.Timeline = keep(f.Timeline, func(a scenario.Action) bool {
		return (a.Host == "" || left[a.Host]) && (a.Peer == "" || left[a.Peer])
	})
	for i := range f.Attacks {
		a := &f.Attacks[i]
		a.Targets = keep(a.Targets, func(t string) bool { return left[t] })
	}
	f.Attacks = keep(f.Attacks, func(a scenario.Attack) bool { return len(a.Targets) > 0 })
}

// lists leaves out attacks, faults, actions and flows.
func (s *shrinker) lists() bool {
	changed := s.reduce(func() int { return len(s.f.Attacks) }, func(f *scenario.File, from, to int) {
		f.Attacks = append(f.Attacks[:from], f.Attacks[to:]...)
	})
	changed = s.reduce(func() int { return len(s.f.Faults) }, func(f *scenario.File, from, to int) {
		f.Faults = append(f.Faults[:from], f.Faults[to:]...)
	}) || changed
	changed = s.reduce(func() int { return len(s.f.Timeline) }, func(f *scenario.File, from, to int) {
		f.Timeline = append(f.Timeline[:from], f.Timeline[to:]...)
	}) || changed
	return s.reduce(func() int { return len(s.f.Traffic) }, func(f *scenario.File, from, to int) {
		f.Traffic = append(f.Traffic[:from], f.Traffic[to:]...)
	}) || changed
}

// tunnels leaves out tunnels between hosts that are both needed.
func (s *shrinker) tunnels() (changed bool) {
	for i := 0; i < len(s.f.Hosts); i++ {
		for j := 0; j < len(s.f.Hosts[i].Peers); j++ {
			a, b := s.f.Hosts[i].Name, s.f.Hosts[i].Peers[j].Host
			if s.try(func(f *scenario.File) { part(f, a, b) }) {
				changed = true
				j--
			}
		}
	}
	return changed
}

// part makes two hosts no peers of each other.
func part(f *scenario.File, a, b string) {
	for i := range f.Hosts {
		h := &f.Hosts[i]
		h.Peers = keep(h.Peers, func(p scenario.Peer) bool {
			return !(h.Name == a && p.Host == b || h.Name == b && p.Host == a)
		})
	}
	f.Timeline = keep(f.Timeline, func(x scenario.Action) bool {
		return !(x.Host == a && x.Peer == b || x.Host == b && x.Peer == a)
	})
}

// unused leaves out networks, NATs and links that nothing names any more, and NATs that do not matter.
func (s *shrinker) unused() bool {
	changed := s.reduce(func() int { return len(s.f.Networks) }, func(f *scenario.File, from, to int) {
		f.Networks = append(f.Networks[:from], f.Networks[to:]...)
	})
	for i := range s.f.Networks {
		if s.f.Networks[i].NAT != "" && s.try(func(f *scenario.File) {
			f.Networks[i].NAT, f.Networks[i].Public, f.Networks[i].Behind = "", "", ""
		}) {
			changed = true
		}
	}
	changed = s.reduce(func() int { return len(s.f.NATs) }, func(f *scenario.File, from, to int) {
		f.NATs = append(f.NATs[:from], f.NATs[to:]...)
	}) || changed
	return s.reduce(func() int { return len(s.f.Links) }, func(f *scenario.File, from, to int) {
		f.Links = append(f.Links[:from], f.Links[to:]...)
	}) || changed
}

// earlier moves all that happens towards the start.
func (s *shrinker) earlier() (changed bool) {
	for by := s.f.Duration / 2 / second * second; by >= second && !s.spent(); by = by / 2 / second * second {
		for s.f.Duration > by && s.try(func(f *scenario.File) { shift(f, by) }) {
			changed = true
		}
	}
	return changed
}

func shift(f *scenario.File, by scenario.Duration) {
	sooner := func(list ...*scenario.Duration) {
		for _, t := range list {
			if *t > 0 {
				*t = max(*t-by, 0)
			}
		}
	}
	f.Duration -= by
	sooner(&f.Heal)
	for i := range f.Traffic {
		sooner(&f.Traffic[i].Start, &f.Traffic[i].Stop)
	}
	for i := range f.Timeline {
		sooner(&f.Timeline[i].At, &f.Timeline[i].Until)
	}
	for i := range f.Faults {
		sooner(&f.Faults[i].From, &f.Faults[i].Until)
	}
	for i := range f.Attacks {
		sooner(&f.Attacks[i].From, &f.Attacks[i].Until)
	}
}

// keep gives the elements that are wanted.
func keep[T any](list []T, wanted func(T) bool) (kept []T) {
	for _, e := range list {
		if wanted(e) {
			kept = append(kept, e)
		}
	}
	return kept
}
