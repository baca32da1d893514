package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// namedTarget is a target and what it is called in the reports; an empty name: as the target calls itself.
type namedTarget struct{ name, target string }

// session is one call of the command: some runs, one document, its reports.
type session struct {
	p         *program
	selection selection
	options   conformance.Options
	reports   reportFlags
	quiet     bool
	command   string // that repeats it
	doc       report.Document
	captures  map[string][]byte // by file name
	folders   map[string]string // of the captures of earlier runs, by the name of the run
	findings  []report.Finding  // that explain what did not pass
	text      io.Writer         // where the summary goes
}

// newSession checks everything that can be wrong before the first target is started.
func (p *program) newSession(s selection, r reportFlags, quiet bool) (*session, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	if err := s.check(p); err != nil {
		return nil, err
	}
	o.Cases = slices.Collect(p.cases())
	n := &session{p: p, selection: s, options: o, reports: r, quiet: quiet, text: p.stdout, captures: map[string][]byte{},
		folders: map[string]string{}}
	n.doc.Cases = report.Describe(o.Cases)
	outputs := r.outputs(&n.doc, report.HTMLOptions{})
	if err := checkOutputs(outputs); err != nil {
		return nil, err
	}
	for _, out := range outputs {
		if out.path == "-" {
			n.text = p.stderr // standard output belongs to that report alone
		}
	}
	return n, nil
}

// execute runs the cases on the targets, one after the other. All targets are opened before the first is tested, so
// that one that is missing is known at once.
func (s *session) execute(ctx context.Context, targets []namedTarget) (err error) {
	began := time.Now()
	factories := make([]conformance.Factory, len(targets))
	defer func() {
		for _, f := range factories {
			if f != nil {
				err = errors.Join(err, closeTarget(f))
			}
		}
	}()
	for i, t := range targets {
		o := targetOptions{tolerances: s.selection.tolerances}
		if t.target == defaultTarget && len(targets) > 1 {
			o.tolerances = "" // in a matrix they are for the others
		}
		if factories[i], err = s.p.openTarget(ctx, t.target, o); err != nil {
			return err
		}
		if len(s.options.Selected(factories[i].Capabilities())) == 0 {
			return fmt.Errorf("no case is left for target %q with these flags, see wgconform list", t.target)
		}
	}
	for i, t := range targets {
		if err := s.one(ctx, factories[i], t); err != nil {
			return err
		}
	}
	s.doc.Tool, s.doc.Started, s.doc.Took = version(), began, time.Since(began)
	s.doc.Machine = report.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Kernel: kernelRelease()}
	s.doc.Command, s.doc.Profile, s.doc.Seed = s.command, s.selection.profile, s.selection.seed
	s.doc.Normalize()
	return nil
}

// one makes one run.
func (s *session) one(ctx context.Context, f conformance.Factory, t namedTarget) error {
	caps := f.Capabilities()
	run := report.Run{Name: t.name, Target: t.target, Version: caps.Version, Kind: caps.Kind, HZ: caps.HZ,
		Virtual: caps.Virtual, Started: time.Now(), Tolerances: report.Tolerances(caps), Lacks: report.Lacking(caps)}
	if run.Name == "" {
		run.Name = shortName(caps.Name)
	}
	show := newProgress(s.p.stderr, run.Name, len(s.options.Selected(caps)), s.quiet)
	for r := range conformance.Run(ctx, f, s.options) {
		run.Results = append(run.Results, r)
		show.result(&r)
	}
	show.end()
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted after %d of %d cases of %s: no report is written", len(run.Results), show.total,
			run.Name)
	}
	run.Took = time.Since(run.Started)
	s.doc.Runs = append(s.doc.Runs, run)
	return nil
}

// shortName makes "exec:/tmp/wgnode" into "wgnode".
func shortName(name string) string {
	_, what, colon := strings.Cut(name, ":")
	if !colon {
		return name
	}
	return filepath.Base(what)
}

// finish makes the captures, writes the reports, and prints the summary.
func (s *session) finish() error {
	if err := s.capture(); err != nil {
		return err
	}
	h := report.HTMLOptions{Repeat: s.repeat, Captures: func(run *report.Run, id string) []byte {
		return s.captures[report.CaptureName(run.Name, id)]
	}, CaptureLink: s.linkCapture, Findings: s.findings}
	for _, o := range s.reports.outputs(&s.doc, h) {
		if err := writeOutput(o, s.p.stdout); err != nil {
			return err
		}
	}
	return report.WriteText(s.text, &s.doc, report.TextOptions{
		Color: shell.WantsColor(s.text), Quiet: s.quiet, Repeat: s.repeat,
		Captures: func(run *report.Run, id string) string {
			if name := report.CaptureName(run.Name, id); s.captures[name] != nil {
				return filepath.Join(s.reports.captures, name)
			}
			return ""
		},
	})
}

// repeat is the command that runs one case of a run again.
func (s *session) repeat(run *report.Run, id string) string {
	one := s.selection
	one.only, one.skip, one.level = []string{id}, nil, defaultLevel
	if o := run.Origin; o != nil {
		one.profile, one.seed = o.Profile, o.Seed
	}
	return "wgconform run" + targetWords(run.Target) + " " + strings.Join(one.words(), " ")
}

func (s *session) tell(format string, args ...any) { fmt.Fprintf(s.p.stderr, format, args...) }

// kernelRelease is the release of the running kernel, where it is easy to know.
func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}
