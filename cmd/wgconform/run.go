package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// runFlags is what the user asked for.
type runFlags struct {
	selection
	reportFlags
	target         string
	maxUnsupported int
	quiet          bool
}

func (f *reportFlags) flags(set *pflag.FlagSet) {
	set.StringVar(&f.json, "json", "",
		"write results as JSON to this `file`, - is standard output (docs/conformance.schema.json)")
	set.StringVar(&f.junit, "junit", "", "write results as JUnit XML to this `file`")
	set.StringVar(&f.html, "html", "", "write a page for people to this `file`")
	set.StringVar(&f.markdown, "markdown", "", "write a summary in Markdown to this `file`")
	set.StringVar(&f.tap, "tap", "", "write results in the Test Anything Protocol to this `file`")
	set.StringVar(&f.captures, "captures", "wgconform-captures",
		"write a decryptable pcapng of each failed case to this `folder`; empty: none")
	set.BoolVar(&f.strict, "strict", false, "count broken SHOULD rules as failures")
}

func (f *runFlags) flags(set *pflag.FlagSet) {
	set.StringVar(&f.target, "target", defaultTarget, "`target` to test, see below")
	f.runFlags(set)
	f.reportFlags.flags(set)
	set.StringVar(&f.badge, "badge", "", "write an SVG badge to this `file`")
	set.IntVar(&f.maxUnsupported, "max-unsupported", -1,
		"fail if more than this `number` of cases is unsupported; -1: any")
	set.BoolVar(&f.quiet, "quiet", false, "no progress, and no tables of tolerances and measured values")
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Test an implementation",
		Long: "Test an implementation and print each case that did not pass, what was measured, and the counts by area.\n\n" +
			p.targetHelp(),
		Example: `  wgconform run
  wgconform run --target 'exec:wireguard-go -f {if}' --html report.html
  wgconform run --only 'timer/*' --level must --json - | jq '.runs[].counts'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible(f.timeout)
			defer stop()
			return p.run(ctx, &f)
		},
	}
	c.Flags().SortFlags = false
	f.flags(c.Flags())
	return c
}

// interruptible is a context that a user or a service manager can end, or a time limit if there is one. The first
// signal ends the run in order; the second ends the process, should that hang: nothing of a target outlives it.
func interruptible(limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if limit <= 0 {
		return ctx, stop
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("--timeout %v is over", limit))
}

func (p *program) run(ctx context.Context, f *runFlags) error {
	s, err := p.newSession(f.selection, f.reportFlags, f.quiet)
	if err != nil {
		return err
	}
	s.command = "wgconform run" + targetWords(f.target) + " " + strings.Join(f.words(), " ")
	if err := s.execute(ctx, []namedTarget{{"", f.target}}); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	return s.judge(f.maxUnsupported)
}

func targetWords(target string) string {
	if target == defaultTarget {
		return ""
	}
	return " --target " + quote(target)
}

// judge turns the results into the exit status.
func (s *session) judge(maxUnsupported int) error {
	void, broken := 0, 0
	for i := range s.doc.Runs {
		run := &s.doc.Runs[i]
		void += run.Counts.Error
		for j := range run.Results {
			if report.Failed(&run.Results[j], s.reports.strict) {
				broken++
			}
		}
	}
	if void > 0 {
		return fmt.Errorf("%d cases could not be run: the run is void", void)
	}
	if err := unfinished(s.doc.Runs); err != nil {
		if broken == 0 {
			return err
		}
		s.tell("wgconform: %v\n", err)
	}
	if maxUnsupported >= 0 {
		for i := range s.doc.Runs {
			if run := &s.doc.Runs[i]; run.Counts.Unsupported > maxUnsupported {
				s.tell("wgconform: %d cases are unsupported by %s, at most %d may be:\n", run.Counts.Unsupported, run.Name,
					maxUnsupported)
				s.listUnsupported(run)
				broken++
			}
		}
	}
	if broken > 0 {
		return errBroken
	}
	return nil
}

// unfinished is nil if no run was ended early.
func unfinished(runs []report.Run) error {
	for i := range runs {
		if run := &runs[i]; run.Counts.NotRun > 0 {
			return fmt.Errorf("ended early (%s): %d of %d cases of %s have no verdict", run.Ended, run.Counts.NotRun,
				len(run.Results), run.Name)
		}
	}
	return nil
}

func (s *session) listUnsupported(run *report.Run) {
	for i := range run.Results {
		if r := &run.Results[i]; r.Verdict == conformance.Unsupported {
			s.tell("  %s: %s\n", r.Case, r.Reason)
		}
	}
}
