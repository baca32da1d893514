package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/scenario"
)

// Options are the parts of a run that are not the scenario's.
type Options struct {
	// NewDevice makes the cores; nil: protocol.New.
	NewDevice func(protocol.Config) (*protocol.Device, error)
	// Spoil, if set, is called with each new core of some hosts: so known-bad ones get in. The checkers learn nothing of
	// it.
	Spoil func(*protocol.Device)
	// Spoiled names the hosts that it is called for; nil: all.
	Spoiled []string
}

// crash is what a run is broken by that ends in a panic. It stands beside the names of the checkers.
const crash = "crash"

// Outcome is what came of one seed.
type Outcome struct {
	Seed       uint64
	File       *scenario.File
	Result     sim.Result
	Coverage   Coverage
	Violations []sim.Violation
	Spoiled    []string // the hosts with a spoiled core, if there are any; nil: all
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
	if o.Spoil != nil {
		so.Prepare = func(host string, d *protocol.Device) {
			if o.Spoiled == nil || slices.Contains(o.Spoiled, host) {
				o.Spoil(d)
			}
		}
	}
	return sim.New(c.Scenario, so)
}

// Run plays a scenario to its end. The error says that the file makes no scenario. A panic is an outcome like another.
func Run(f *scenario.File, o Options) (out *Outcome, err error) {
	out = &Outcome{Seed: f.Seed, File: f, Spoiled: o.Spoiled}
	var last sim.Record
	defer func() {
		if p := recover(); p != nil {
			out.Result.Scenario, out.Result.Seed = f.Name, f.Seed
			out.Violations = append(out.Violations, sim.Violation{At: last.At, Host: last.Host, Checker: crash,
				Text: fmt.Sprintf("the run ends in a panic: %v", p)})
		}
	}()
	s, err := start(f, o, func(r *sim.Record) {
		last.At, last.Host = r.At, r.Host
		out.Coverage.observe(r)
	})
	if err != nil {
		return nil, err
	}
	out.Result = s.Run()
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
	defer func() {
		if recover() != nil {
			failed = checker == crash
		}
	}()
	s, err := start(f, o, func(r *sim.Record) {
		if checker == crash {
			at = time.Duration(r.At)
		}
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
