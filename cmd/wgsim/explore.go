package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/transports/sim/explore"
)

// exploreFlags is what the user asked for.
type exploreFlags struct {
	seeds    string
	jobs     int
	shard    string
	budget   time.Duration
	json     string
	out      string
	failures int
	sabotage string
	show     uint64
}

func (p *program) exploreCommand() *cobra.Command {
	var f exploreFlags
	c := &cobra.Command{
		Use:   "explore",
		Short: "Run random scenarios, thousands of them, and shrink those that fail",
		Long: `Run a random scenario for each seed: a network, a mix of trouble, traffic and a schedule. First all checkers
watch it; then all trouble ends, and each pair that owes it must recover in time (docs/RECOVERY-BOUND.md). A seed
that fails is shrunk to the smallest scenario that still fails by the same checker, which is printed and written to a
file, with the command that runs it.

The exit status is 1 if a seed fails, or if too little was explored: see the floors that are printed. What is printed
and written as JSON depends on the seeds alone, not on --jobs or the machine, as long as no --budget ends it early.`,
		Example: `  wgsim explore --seeds 1..2000 --jobs 2
  wgsim explore --seeds 1..1000000 --shard 3/100 --budget 10m --json shard-3.json
  wgsim explore --seeds 1..50 --sabotage no-replay-window
  wgsim explore --print 17 | wgsim run --scenario -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("print") {
				return p.printSeed(f.show)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return p.explore(ctx, f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.seeds, "seeds", "1..200", "the first and the last `seed`")
	flags.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "how `many` run at once")
	flags.StringVar(&f.shard, "shard", "", "run only part `I/N` of the seeds, from 1/N to N/N")
	flags.DurationVar(&f.budget, "budget", 0, "begin no more seeds after this `time`, such as 10m")
	flags.StringVar(&f.json, "json", "", "write the summary as JSON to this `file`, for wgsim merge; - is standard output")
	flags.StringVar(&f.out, "out", ".", "write shrunk scenarios to this `directory`")
	flags.IntVar(&f.failures, "failures", 1, "stop after so `many` seeds that fail, 0: never")
	flags.StringVar(&f.sabotage, "sabotage", "", "give hosts a known-bad core of this `name`, for a checker to find")
	flags.Uint64Var(&f.show, "print", 0, "write the scenario of this `seed` to standard output, and run nothing")
	return c
}

func (p *program) printSeed(seed uint64) error {
	text, err := explore.Draw(seed).Marshal()
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

// plan reads the flags.
func (p *program) plan(f *exploreFlags) (plan explore.Plan, err error) {
	plan = explore.Plan{Failures: f.failures, Options: explore.Options{NewDevice: p.newDevice}}
	if plan.From, plan.To, err = numbers(f.seeds, ".."); err != nil {
		return plan, fmt.Errorf("--seeds %q: it is not like 1..2000", f.seeds)
	}
	if f.shard != "" {
		if plan.Shard, plan.Shards, err = numbers(f.shard, "/"); err != nil || plan.Shards == 0 {
			return plan, fmt.Errorf("--shard %q: it is not like 3/10", f.shard)
		}
	}
	if f.jobs < 1 {
		return plan, fmt.Errorf("%d jobs: at least one is needed", f.jobs)
	}
	if f.failures < 0 || f.budget < 0 {
		return plan, errors.New("--failures and --budget cannot be negative")
	}
	if f.sabotage != "" {
		if plan.Options.Spoil, err = spoiler(f.sabotage); err != nil {
			return plan, err
		}
	}
	return plan, plan.Validate()
}

func numbers(text, between string) (a, b uint64, err error) {
	first, second, _ := strings.Cut(text, between)
	if a, err = strconv.ParseUint(first, 10, 64); err != nil {
		return 0, 0, err
	}
	b, err = strconv.ParseUint(second, 10, 64)
	return a, b, err
}

// explore runs the seeds, then shrinks those that failed, then tells.
func (p *program) explore(ctx context.Context, f exploreFlags) error {
	plan, err := p.plan(&f)
	if err != nil {
		return err
	}
	story := p.stdout
	if f.json == "-" {
		story = p.stderr
	}
	limited := ctx
	if f.budget > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, f.budget)
		defer cancel()
	}
	began := time.Now()
	fmt.Fprintf(story, "seeds %d..%d, %d in this shard, %d at once%s\n\n", plan.From, plan.To, len(plan.Seeds()),
		f.jobs, with(f.sabotage))
	show := newSeedProgress(p.stderr, len(plan.Seeds()))
	summary := explore.NewSummary(plan.From, plan.To, f.sabotage)
	var failed []*explore.Outcome
	err = sweep(limited, plan, f.jobs, func(o *explore.Outcome) {
		summary.Add(o)
		if o.Failed() {
			failed = append(failed, &explore.Outcome{File: o.File, Spoiled: o.Spoiled}) // no more is needed
		}
		show.update(len(summary.Runs), len(summary.Failures))
	})
	show.clear()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errors.New("interrupted")
	}
	for i, o := range failed {
		if err := p.shrink(story, &f, plan.Options, o, &summary.Failures[i]); err != nil {
			return err
		}
	}
	if shell.IsTerminal(p.stderr) {
		fmt.Fprintf(p.stderr, "that took %s\n", time.Since(began).Round(time.Millisecond))
	}
	return p.conclude(story, f.json, summary)
}

func with(sabotage string) string {
	if sabotage == "" {
		return ""
	}
	return ", sabotage " + sabotage
}

// conclude prints and writes the summary and turns it into an exit status.
func (p *program) conclude(story io.Writer, path string, s *explore.Summary) error {
	if err := s.WriteText(story); err != nil {
		return err
	}
	if path != "" {
		out, err := create(path, "JSON", p.stdout)
		if err != nil {
			return err
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		if err := out.finish(e.Encode(s)); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(story, s.Line()); err != nil {
		return err
	}
	if !s.OK() {
		return errBroken
	}
	return nil
}

// seedProgress shows on a terminal how far an exploration is.
type seedProgress struct {
	w     io.Writer // nil: nobody looks
	all   int
	last  time.Time
	began time.Time
	shown bool
}

func newSeedProgress(stderr io.Writer, all int) *seedProgress {
	p := &seedProgress{all: all, last: time.Now(), began: time.Now()}
	if shell.IsTerminal(stderr) {
		p.w = stderr
	}
	return p
}

const barWidth = 40

func (p *seedProgress) update(done, failed int) {
	if p.w == nil || time.Since(p.last) < patience/4 {
		return
	}
	p.last, p.shown = time.Now(), true
	full := barWidth * done / p.all
	left := time.Since(p.began) / time.Duration(done) * time.Duration(p.all-done)
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %d of %d seeds, %d failed, %s left", strings.Repeat("#", full),
		strings.Repeat(" ", barWidth-full), done, p.all, failed, left.Round(time.Second))
}

// clear leaves the line as it was found.
func (p *seedProgress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
