package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/purewire/purewire/protocol/conformance"
)

// Defaults of the flags, which repeat commands leave out.
const (
	defaultTarget  = "core"
	defaultProfile = string(conformance.Standard)
	defaultLevel   = "all"
	defaultSeed    = 1
)

// selection says which cases are meant, and how they run.
type selection struct {
	profile    string
	only, skip []string
	level      string
	jobs       int
	seed       uint64
	tolerances string
	timeout    time.Duration
}

// flags adds the flags that choose cases.
func (s *selection) flags(f *pflag.FlagSet) {
	f.StringVar(&s.profile, "profile", defaultProfile,
		"`name` of how long to test in real time: quick (1 minute), standard (4) or long (12)")
	f.StringArrayVar(&s.only, "only", nil,
		"take only cases whose ID matches this `glob`; * stands for any text; may be repeated")
	f.StringArrayVar(&s.skip, "skip", nil, "leave out cases whose ID matches this `glob`; may be repeated")
	f.StringVar(&s.level, "level", defaultLevel, "`level` of the rules: must, should (and must) or all")
}

// runFlags adds the flags that say how they run.
func (s *selection) runFlags(f *pflag.FlagSet) {
	s.flags(f)
	f.IntVar(&s.jobs, "jobs", runtime.GOMAXPROCS(0), "`number` of cases that run at once in virtual time")
	f.Uint64Var(&s.seed, "seed", defaultSeed, "`number` that decides everything that is left to chance")
	f.StringVar(&s.tolerances, "tolerances", "",
		"`kind` of target whose tolerances apply: go, kernel, poll250 or remote (default by the program)")
	f.DurationVar(&s.timeout, "timeout", 0,
		"end the run after this `time`, as an interrupt does: cases without a verdict are not-run; 0: never")
}

// options turns the flags into what the suite understands.
func (s *selection) options() (o conformance.Options, err error) {
	o = conformance.Options{Profile: conformance.Profile(s.profile), Only: s.only, Skip: s.skip, Jobs: s.jobs,
		Seed: s.seed}
	profiles := []conformance.Profile{conformance.Quick, conformance.Standard, conformance.Long}
	if !slices.Contains(profiles, o.Profile) {
		return o, fmt.Errorf("--profile %s: there are quick, standard and long", s.profile)
	}
	switch s.level {
	case "must":
		o.Levels = []conformance.Level{conformance.Must}
	case "should":
		o.Levels = []conformance.Level{conformance.Must, conformance.Should}
	case defaultLevel:
	default:
		return o, fmt.Errorf("--level %s: there are must, should and all", s.level)
	}
	if s.jobs < 1 {
		return o, fmt.Errorf("--jobs %d: at least one case runs at a time", s.jobs)
	}
	kinds := []string{"", "go", "kernel", "poll250", "remote"}
	if !slices.Contains(kinds, s.tolerances) {
		return o, fmt.Errorf("--tolerances %s: there are%s", s.tolerances, strings.Join(kinds, " "))
	}
	return o, nil
}

// check refuses a pattern that matches no case at all: a typing error, which would look like success.
func (s *selection) check(p *program) error {
	for flag, globs := range map[string][]string{"only": s.only, "skip": s.skip} {
		for _, g := range globs {
			found := false
			for c := range p.cases() {
				found = found || conformance.Glob(g, c.ID)
			}
			if !found {
				return fmt.Errorf("--%s %s: no case is called so, see wgconform list", flag, g)
			}
		}
	}
	return nil
}

// words are the flags again, as they would be typed, without those that are at their defaults.
func (s *selection) words() (w []string) {
	if s.profile != defaultProfile {
		w = append(w, "--profile", s.profile)
	}
	for _, g := range s.only {
		w = append(w, "--only", quote(g))
	}
	for _, g := range s.skip {
		w = append(w, "--skip", quote(g))
	}
	if s.level != defaultLevel {
		w = append(w, "--level", s.level)
	}
	if s.tolerances != "" {
		w = append(w, "--tolerances", s.tolerances)
	}
	return append(w, "--seed", fmt.Sprint(s.seed))
}

// quote writes a word for a POSIX shell.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
