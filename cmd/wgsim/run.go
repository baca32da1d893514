package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/gallery"
	"github.com/purewire/purewire/transports/sim/report"
	"github.com/purewire/purewire/transports/sim/scenario"
)

// Defaults of the flags, which the repeat command leaves out.
const (
	defaultScenario = gallery.Default
	defaultSeed     = 1
)

// runFlags is what the user asked for.
type runFlags struct {
	scenario string
	seed     uint64
	seeded   bool // --seed was given, so that the scenario's own does not count
	duration time.Duration
	pcap     string
	json     string
	events   string
	report   string
	diff     string // a run to compare the report with
	quiet    bool
	sabotage string   // name of a known-bad core
	bad      []string // hosts that get it; nil: all
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a scenario",
		Long: `Run a scenario and print what happened: a timeline, a table of the tunnels, the verdicts of the checkers that
watch each run, and those about what the scenario expects. The same scenario, seed and duration give the same run.

The scenario is one of wgsim list or a file, see docs/SCENARIOS.md; - is standard input. With another --duration,
what a scenario expects is not judged, since it is about the whole run.

With --json - standard output holds the JSON alone. The capture of --pcap is decrypted by Wireshark and tshark as
it is; it holds the keys of the simulated hosts. The page of --report loads nothing from anywhere;
docs/SIMULATOR-JSON.md tells of it, of --json and of --events.`,
		Example: `  wgsim run
  wgsim run --seed 7 --pcap x.pcapng
  wgsim run --scenario office.yaml --quiet
  wgsim run --scenario roaming --report r.html
  wgsim run --scenario roaming --seed 2 --report r.html --diff seed1.json
  wgsim run --scenario lossy --sabotage no-replay-window
  wgsim run --json - | jq '.events[] | select(.kind == "drop")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("duration") && f.duration <= 0 {
				return fmt.Errorf("--duration %s: a run lasts longer than nothing", f.duration)
			}
			f.seeded = c.Flags().Changed("seed")
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return p.run(ctx, f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.scenario, "scenario", defaultScenario, "`name` of a scenario, see wgsim list, or file")
	flags.Uint64Var(&f.seed, "seed", 0, "`number` that decides what is left to chance (default the scenario's, or 1)")
	flags.DurationVar(&f.duration, "duration", 0, "virtual `time` to run for, such as 90s (default the scenario's)")
	flags.StringVar(&f.pcap, "pcap", "", "write a capture with its keys to this pcapng `file`")
	flags.StringVar(&f.json, "json", "", "write events and results as JSON to this `file`, - is standard output")
	flags.StringVar(&f.events, "events", "", "write every record as a line of JSON to this `file`, - is standard output")
	flags.StringVar(&f.report, "report", "", "write a page that shows the run to this HTML `file`")
	flags.StringVar(&f.diff, "diff", "", "compare the run with that in this `file` of --json, in the report")
	flags.BoolVar(&f.quiet, "quiet", false, "print the verdict alone, in one line")
	flags.StringVar(&f.sabotage, "sabotage", "", "give hosts a known-bad core of this `name`, for a checker to find")
	flags.StringSliceVar(&f.bad, "sabotage-hosts", nil, "the `hosts` that get it, names or patterns (default all)")
	return c
}

// run makes the run, from the flags to the verdict.
func (p *program) run(ctx context.Context, f runFlags) error {
	file, err := p.load(f.scenario)
	if err != nil {
		return err
	}
	c, err := file.Compile()
	if err != nil {
		return err
	}
	if !f.seeded {
		f.seed = max(file.Seed, defaultSeed)
	}
	if f.duration > 0 && f.duration != c.Scenario.Duration {
		c.Scenario.Duration, c.Expect = f.duration, nil
	}
	prepare, err := sabotage(f.sabotage, f.bad, c)
	if err != nil {
		return err
	}
	began := time.Now()
	out, err := p.open(&f, &c.Scenario)
	if err != nil {
		return err
	}
	judge := scenario.NewJudge(c.Expect)
	out.watching = append(out.watching, judge.Observe)
	s, err := sim.New(c.Scenario, sim.Options{Seed: f.seed, NewDevice: p.newDevice, Observe: out.observer(),
		Prepare: prepare, Trace: out.trace()})
	if err != nil {
		out.discard()
		return err
	}
	if err := p.drive(ctx, s, out); err != nil {
		out.discard()
		return err
	}
	result := s.Result()
	result.Expectations = judge.Verdicts(&result)
	if err := out.finish(&result); err != nil {
		return err
	}
	if out.shows(p.stdout) { // nowhere else: the time a run takes differs, its output must not
		fmt.Fprintf(p.stdout, "%s of virtual time took %s\n", result.Virtual, time.Since(began).Round(time.Millisecond))
	}
	return p.judge(&f, &result)
}

// stride is how much virtual time passes between two looks at the world outside.
const stride = time.Second

// drive runs to the end. An interrupt ends the run, whose files are then removed: half a run is no result.
func (p *program) drive(ctx context.Context, s *sim.Sim, out *outputs) error {
	show := newProgress(p.stderr, s, out.shows(p.stdout))
	defer show.clear()
	for s.Now() < s.End() {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		s.RunUntil(min(s.Now().Add(stride), s.End()))
		if err := out.flush(); err != nil {
			return err
		}
		show.update()
	}
	return nil
}

// judge prints the last line and turns the verdict into an exit status.
func (p *program) judge(f *runFlags, r *sim.Result) error {
	w := p.stdout
	if f.toStdout() {
		w = p.stderr
	}
	if f.quiet && !f.toStdout() {
		if _, err := fmt.Fprintln(w, report.Line(r)); err != nil {
			return err
		}
	}
	if r.OK() && r.Met() {
		return nil
	}
	if f.toStdout() {
		fmt.Fprintln(w, report.Verdict(r))
	}
	fmt.Fprintf(w, "repeat: %s\n", repeat(f))
	return errBroken
}

// repeat is the command that makes the same run again.
func repeat(f *runFlags) string {
	c := fmt.Sprintf("wgsim run --scenario %s --seed %d", f.scenario, f.seed)
	if f.duration > 0 {
		c += " --duration " + f.duration.String()
	}
	if f.sabotage != "" {
		c += " --sabotage " + f.sabotage
	}
	if len(f.bad) > 0 {
		c += " --sabotage-hosts " + strings.Join(f.bad, ",")
	}
	return c
}

// lineBuffer keeps the story in few writes and gives it out at each stride.
func lineBuffer(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 1<<16) }
