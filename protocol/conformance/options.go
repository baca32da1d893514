package conformance

import (
	"iter"
	"strings"
	"time"
)

// Profile is how much time a run in real time may take. In virtual time every profile runs every case.
type Profile string

// The profiles. Each takes the cases of the one before it, too.
const (
	Quick    Profile = "quick"    // cases that end within 16 s, of those that flood within 2 s; 60 s in all
	Standard Profile = "standard" // within 205 s; 4 minutes
	Long     Profile = "long"     // all of them; 12 minutes
)

// limits of a profile: of a case and of a run.
func (p Profile) limits() (longest, whole time.Duration) {
	switch p {
	case Quick:
		return 16 * time.Second, time.Minute
	case Standard:
		return 205 * time.Second, 4 * time.Minute
	}
	return 610 * time.Second, 12 * time.Minute
}

// quickFlood bounds the cases of the quick profile that need the machine for themselves, one after the other.
const quickFlood = 2 * time.Second

// Options say what to run and how. The zero value runs everything once.
type Options struct {
	Profile Profile  // empty: Long
	Only    []string // globs of IDs; empty: all. "*" stands for any text, slashes too
	Skip    []string
	Levels  []Level // empty: all
	Jobs    int     // how many cases of virtual time at once; 0: one
	Seed    uint64  // of everything that is random in a case; 0 is a seed like any other
	Traces  bool    // keep the traces of cases that passed
	// Watch is told, if not nil, what goes on between results. Several goroutines call it.
	Watch func(Event)
	// Cases replaces the suite's own, for tests of the suite.
	Cases []Case
}

// Glob reports whether an ID matches a pattern in which "*" stands for any text.
func Glob(pattern, id string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == id
	}
	if !strings.HasPrefix(id, parts[0]) {
		return false
	}
	id = id[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(id, p)
		if i < 0 {
			return false
		}
		id = id[i+len(p):]
	}
	return strings.HasSuffix(id, last)
}

func anyGlob(patterns []string, id string) bool {
	for _, p := range patterns {
		if Glob(p, id) {
			return true
		}
	}
	return false
}

// Selected are the cases that a run with these options has, unsupported ones included, in the order of the suite.
// What does not fit the profile is left out on targets in real time.
func (o Options) Selected(c Capabilities) (cases []Case) {
	longest, _ := o.Profile.limits()
	for k := range o.all() {
		switch {
		case len(o.Only) > 0 && !anyGlob(o.Only, k.ID), anyGlob(o.Skip, k.ID):
		case len(o.Levels) > 0 && !hasLevel(o.Levels, k.Level):
		case !c.Virtual && k.Lasts > longest,
			!c.Virtual && o.Profile == Quick && k.Isolation == QuietMachine && k.Lasts > quickFlood:
		default:
			cases = append(cases, k)
		}
	}
	return cases
}

func (o Options) all() iter.Seq[Case] {
	if o.Cases == nil {
		return Cases()
	}
	return func(yield func(Case) bool) {
		for _, c := range o.Cases {
			if !yield(c) {
				return
			}
		}
	}
}

func hasLevel(levels []Level, l Level) bool {
	for _, k := range levels {
		if k == l {
			return true
		}
	}
	return false
}
