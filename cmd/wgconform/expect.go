package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

type expectFlags struct {
	runFlags
	results string
	update  bool
	reason  string
}

func (p *program) expectCommand() *cobra.Command {
	var f expectFlags
	c := &cobra.Command{
		Use:   "expect FILE",
		Short: "Test an implementation and compare the results with its known failures",
		Long: `Test an implementation and compare the results with those that a file says are known, each with its reason. Any
change is a failure: a case that is not in the file and does not pass, and a case that is in the file and now does.

A file has a line "CASE VERDICT REASON" for each known result, or, if its name ends in .yaml:

  known:
    - case: timer/keepalive/passive
      verdict: fail            # or warn, flaky, unsupported
      reason: timers are polled every 250 ms, issue 123

Cases that the file does not name may be unsupported or measured. What could not be judged this time is named, and is
no change.

` + p.targetHelp(),
		Example: `  wgconform expect known.txt --target 'exec:boringtun-cli -f {if}' --junit report.xml
  wgconform expect known.txt --results report.json
  wgconform expect known.txt --results report.json --update --reason 'seen on 2026-11-21, not looked at yet'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(f.timeout)
			defer stop()
			return p.expect(ctx, args[0], &f, c.Flags().Changed("target"))
		},
	}
	set := c.Flags()
	set.SortFlags = false
	f.flags(set)
	set.StringVar(&f.results, "results", "", "compare the results in this JSON report (`file`) and run nothing")
	set.BoolVar(&f.update, "update", false, "write the results into FILE; reasons that are there stay")
	set.StringVar(&f.reason, "reason", "", "the reason for new entries of --update, as `text`")
	return c
}

func (p *program) expect(ctx context.Context, path string, f *expectFlags, targetGiven bool) error {
	if f.update && strings.TrimSpace(f.reason) == "" {
		return errors.New("--update needs --reason: every known failure has one")
	}
	if f.results != "" && targetGiven {
		return errors.New("--results and --target exclude each other")
	}
	cases := report.Describe(slices.Collect(p.cases()))
	expected, err := readExpectations(path, cases)
	if err != nil && !(f.update && errors.Is(err, os.ErrNotExist)) {
		return err
	}
	run, err := p.expectRun(ctx, f)
	if err != nil {
		return err
	}
	if run.Counts.Error > 0 {
		return fmt.Errorf("%d cases could not be run: the run is void", run.Counts.Error)
	}
	if f.update {
		err = p.updateExpectations(path, expected, run, f.reason)
	} else {
		err = p.compare(path, expected, run)
	}
	if err == nil {
		err = unfinished([]report.Run{*run})
	}
	return err
}

// expectRun makes the run, or reads it.
func (p *program) expectRun(ctx context.Context, f *expectFlags) (*report.Run, error) {
	if f.results == "" {
		s, err := p.newSession(f.selection, f.reportFlags, f.quiet)
		if err != nil {
			return nil, err
		}
		s.command = "wgconform run" + targetWords(f.target) + " " + strings.Join(f.words(), " ")
		if err := s.execute(ctx, []namedTarget{{"", f.target}}); err != nil {
			return nil, err
		}
		if err := s.finish(); err != nil {
			return nil, err
		}
		return &s.doc.Runs[0], nil
	}
	file, err := os.Open(f.results)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d, err := report.ReadJSON(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.results, err)
	}
	if len(d.Runs) != 1 {
		return nil, fmt.Errorf("%s: holds %d runs, want one", f.results, len(d.Runs))
	}
	return &d.Runs[0], nil
}

// notable are the verdicts of cases that a file has to name.
func notable(v conformance.Verdict) bool {
	return v == conformance.Fail || v == conformance.Warn || v == conformance.Flaky
}

// compare prints what changed.
func (p *program) compare(path string, expected []known, run *report.Run) error {
	changes, unjudged, asKnown := 0, 0, 0
	change := func(format string, args ...any) {
		changes++
		fmt.Fprintf(p.stderr, format, args...)
	}
	listed := map[string]bool{}
	for _, k := range expected {
		listed[k.Case] = true
		r := run.Result(k.Case)
		switch {
		case r == nil || r.Verdict == conformance.NotRun:
			unjudged++
			fmt.Fprintf(p.stderr, "not run: %s (%s:%d)\n", k.Case, path, k.line)
		case r.Verdict == k.Verdict:
			asKnown++
		case r.Verdict == conformance.Inconclusive:
			unjudged++
			fmt.Fprintf(p.stderr, "not judged: %s: %s (%s:%d)\n", k.Case, firstLine(r.Reason), path, k.line)
		default:
			change("changed: %s was known to %s, now it is %s: correct %s:%d\n", k.Case, k.Verdict, r.Verdict, path, k.line)
		}
	}
	for i := range run.Results {
		r := &run.Results[i]
		if !listed[r.Case] && notable(r.Verdict) {
			change("new: %s is %s: %s\n", r.Case, r.Verdict, firstLine(r.Reason))
		}
	}
	fmt.Fprintf(p.stderr, "%s: %d as known, %d changed, %d not judged, of %d results\n", path, asKnown, changes, unjudged,
		len(run.Results))
	if changes > 0 {
		return errBroken
	}
	return nil
}

// updateExpectations writes the results into the file. Entries of cases that did not run or could not be judged stay.
func (p *program) updateExpectations(path string, old []known, run *report.Run, reason string) error {
	var all []known
	have := map[string]bool{}
	for _, k := range old {
		r := run.Result(k.Case)
		switch {
		case r == nil || r.Verdict == conformance.Inconclusive || r.Verdict == conformance.NotRun:
		case r.Verdict == k.Verdict:
		case notable(r.Verdict) || r.Verdict == conformance.Unsupported:
			k.Verdict = r.Verdict
		default:
			continue // it passes
		}
		have[k.Case] = true
		all = append(all, k)
	}
	added := 0
	for i := range run.Results {
		if r := &run.Results[i]; notable(r.Verdict) && !have[r.Case] {
			added++
			all = append(all, known{Case: r.Case, Verdict: r.Verdict, Reason: reason})
		}
	}
	b, err := formatExpectations(path, all)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s: %d known results, %d of them new\n", path, len(all), added)
	return nil
}
