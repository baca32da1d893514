package explore

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/scenario"
)

// Options are the parts of a run that are not the scenario's.
type Options struct {
	// NewDevice makes the cores; nil: protocol.New.
	NewDevice func(protocol.Config) (*protocol.Device, error)
	// Prepare, if set, gives for the names of all hosts what is called with each new core: so known-bad ones get in. The
	// checkers learn nothing of it.
	Prepare func(hosts []string) func(host string, d *protocol.Device)
}

// Outcome is what came of one seed.
type Outcome struct {
	Seed       uint64
	File       *scenario.File
	Hosts      int
	Result     sim.Result
	Coverage   Coverage
	Violations []sim.Violation
}

// Failed reports whether a checker was broken.
func (o *Outcome) Failed() bool { return len(o.Violations) > 0 }

// Checker names the checker of the first violation; "" if there is none.
func (o *Outcome) Checker() string {
	if !o.Failed() {
		return ""
	}
	return o.Violations[0].Checker
}

// start compiles a file and begins its run with the seed that it names.
func start(f *scenario.File, o Options, observe func(*sim.Record)) (*sim.Sim, error) {
	c, err := f.Compile()
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", f.Name, err)
	}
	so := sim.Options{Seed: f.Seed, NewDevice: o.NewDevice, Observe: observe}
	if o.Prepare != nil {
		var names []string
		for i := range c.Scenario.Hosts {
			names = append(names, c.Scenario.Hosts[i].Name)
		}
		so.Prepare = o.Prepare(names)
	}
	return sim.New(c.Scenario, so)
}

// Run plays a scenario to its end. The error says that the file makes no scenario.
func Run(f *scenario.File, o Options) (*Outcome, error) {
	out := &Outcome{Seed: f.Seed, File: f}
	s, err := start(f, o, out.Coverage.observe)
	if err != nil {
		return nil, err
	}
	out.Result = s.Run()
	out.Hosts = len(out.Result.Hosts)
	out.Violations = out.Result.Violations
	for _, h := range out.Result.Hosts {
		for i, n := range h.Drops {
			out.Coverage.Drops[i] += n
		}
	}
	return out, nil
}

// fails reports whether a scenario breaks a checker, and when; the run ends there. events counts what was done for it.
func fails(f *scenario.File, o Options, checker string) (at time.Duration, events uint64, failed bool) {
	failed = false
	s, err := start(f, o, func(r *sim.Record) {
		if r.Kind == sim.KindViolation && r.Violation.Checker == checker && !failed {
			failed, at = true, time.Duration(r.At)
		}
	})
	if err != nil {
		return 0, 0, false
	}
	for !failed && s.Step() {
		events++
	}
	return at, events, failed
}
