package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/report"
)

// distinct refuses flags that would write two outputs into one.
func (f *runFlags) distinct() error {
	if f.pcap == "-" {
		return errors.New("--pcap -: a capture needs a file")
	}
	if f.report == "-" {
		return errors.New("--report -: a page needs a file")
	}
	if f.diff != "" && f.report == "" {
		return errors.New("--diff goes with --report")
	}
	outs := []struct{ flag, file string }{{"--pcap", f.pcap}, {"--json", f.json}, {"--events", f.events},
		{"--report", f.report}}
	for i, a := range outs {
		for _, b := range outs[i+1:] {
			if a.file != "" && a.file == b.file {
				return fmt.Errorf("%s and %s both name %s", a.flag, b.flag, a.file)
			}
		}
		if a.file != "" && a.file == f.diff {
			return fmt.Errorf("%s and --diff both name %s", a.flag, a.file)
		}
	}
	return nil
}

// toStdout reports whether standard output is for programs, so that nothing else may be said there.
func (f *runFlags) toStdout() bool { return f.json == "-" || f.events == "-" }

// openReports makes the list of events and the page, if they are asked for.
func (o *outputs) openReports(p *program, f *runFlags, s *sim.Scenario) (err error) {
	if f.events != "" {
		if o.eventsTo, err = create(f.events, "events", p.stdout); err != nil {
			return err
		}
		o.events = report.NewEvents(o.eventsTo)
		o.watching = append(o.watching, o.events.Observe)
	}
	if f.report == "" {
		return nil
	}
	options := report.HTMLOptions{Seed: f.seed, Command: repeat(f)}
	if f.diff != "" {
		if options.Against, err = readRun(f.diff); err != nil {
			return err
		}
	}
	if o.pageTo, err = create(f.report, "report", p.stdout); err != nil {
		return err
	}
	o.page = report.NewHTML(o.pageTo, s, options)
	return nil
}

func readRun(path string) (*report.Run, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the run to compare with: %w", err)
	}
	defer in.Close()
	run, err := report.ReadRun(in)
	if err != nil {
		return nil, fmt.Errorf("cannot compare with %s: %w", path, err)
	}
	return run, nil
}

// trace is what the run must report for the outputs, besides the usual.
func (o *outputs) trace() protocol.EventMask {
	if o.page == nil {
		return 0
	}
	return report.HTMLTrace
}

// observer shows records to all that watch. Only the page sees what only the page asked for, so that the others write
// the same with it and without.
func (o *outputs) observer() func(*sim.Record) {
	usual := func(r *sim.Record) {
		for _, w := range o.watching {
			w(r)
		}
	}
	if o.page == nil {
		return usual
	}
	usual = report.WithoutTimers(usual)
	return func(r *sim.Record) {
		o.page.Observe(r)
		usual(r)
	}
}
