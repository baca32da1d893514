package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim/model"
)

// checkModelFlags is what the user asked for.
type checkModelFlags struct {
	budget   time.Duration
	sabotage string
	json     string
	o        model.Options
}

func (p *program) checkModelCommand() *cobra.Command {
	var f checkModelFlags
	c := &cobra.Command{
		Use:   "check-model",
		Short: "Check two hosts against every order of events there is, in a small world",
		Long: `Let two hosts with the shipped core, real keys and real bytes do all that they can do within bounds: each
datagram in flight arrives, is lost or is doubled, time passes, a packet is sent, a host restarts, in every order.
In each state what must never be is looked for, and from each state a way back to a tunnel that works is wanted.
See docs/MODEL-CHECK.md for what is and what is not covered.

The same bounds give the same states on every machine, unless the time of --budget is up first. Progress is on
standard error.`,
		Example: `  wgsim check-model --budget 5m
  wgsim check-model --depth 10 --drops 0
  wgsim check-model --sabotage crossing-stall`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return p.checkModel(ctx, c, f)
		},
	}
	flags := c.Flags()
	flags.DurationVar(&f.budget, "budget", 5*time.Minute, "real `time` that the check may take")
	flags.StringVar(&f.sabotage, "sabotage", "", "give both hosts a known-bad core of this `name`, to be found")
	flags.BoolVar(&f.o.Aged, "aged", false, "start from sessions of 120 s, not from hosts that have just come up")
	flags.StringVar(&f.json, "json", "", "write the result as JSON to this `file`, - is standard output")
	for _, b := range f.bounds() {
		flags.IntVar(b.value, b.name, b.standard, b.what)
	}
	return c
}

// bound is a flag of a number.
type bound struct {
	name           string
	value          *int
	standard, most int
	what           string
}

func (f *checkModelFlags) bounds() []bound {
	return []bound{
		{"states", &f.o.States, 100_000_000, 1 << 30, "stop after a depth at which so many `states` are known"},
		{"depth", &f.o.Depth, 14, 1000, "`moves` on a path, from its root"},
		{"double-depth", &f.o.DoubleDepth, 9, 1000, "`moves` on a path with more than one fault"},
		{"packets", &f.o.Packets, 3, 50, "`packets` that are sent on a path"},
		{"faults", &f.o.Faults, 2, 50, "`drops`, duplicates, holds and restarts on a path, together"},
		{"drops", &f.o.Drops, 2, 50, "`drops` on a path"},
		{"duplicates", &f.o.Duplicates, 1, 50, "`duplicates` on a path"},
		{"holds", &f.o.Holds, 1, 50, "`datagrams` on a path that do not arrive before time passes"},
		{"restarts", &f.o.Restarts, 1, 50, "`restarts` on a path"},
		{"pairs", &f.o.Pairs, 10_000, 10_000_000, "merged `pairs` of states to try out"},
		{"workers", &f.o.Workers, 0, 1024, "`goroutines` to use (default one per core)"},
	}
}

// settle makes options of the flags, or says what is wrong with them.
func (f *checkModelFlags) settle(c *cobra.Command) error {
	if f.budget <= 0 {
		return fmt.Errorf("--budget %s: a check takes longer than nothing", f.budget)
	}
	for _, b := range f.bounds() {
		least := 0
		if b.name == "states" || strings.HasSuffix(b.name, "depth") {
			least = 1
		}
		if c.Flags().Changed(b.name) && (*b.value < least || *b.value > b.most) {
			return fmt.Errorf("--%s %d: must be %d to %d", b.name, *b.value, least, b.most)
		}
		if *b.value == 0 && b.name != "workers" {
			*b.value = -1 // a zero field would be the default
		}
	}
	if f.sabotage == "" {
		return nil
	}
	spoil, err := spoiler(f.sabotage)
	if err != nil {
		return err
	}
	f.o.Prepare = func(_ string, d *protocol.Device) { spoil(d) }
	return nil
}

// checkModel runs the check and prints what came of it.
func (p *program) checkModel(ctx context.Context, c *cobra.Command, f checkModelFlags) error {
	if err := f.settle(c); err != nil {
		return err
	}
	var to *file
	if f.json != "" {
		var err error
		if to, err = create(f.json, "JSON", p.stdout); err != nil {
			return err
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // memory is there to be used
	begun := time.Now()
	// What is left after the states is for the pairs.
	f.o.Stop = func() bool { return ctx.Err() != nil || time.Since(begun) > f.budget*17/20 }
	f.o.Progress = p.checkProgress(begun)
	r, err := model.Check(f.o)
	if err == nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		if to != nil {
			to.discard()
		}
		return err
	}
	fmt.Fprintf(p.stderr, "%6s  done\n", time.Since(begun).Round(time.Second))
	if f.json != "-" {
		printCheck(p.stdout, r)
	}
	if to != nil {
		e := json.NewEncoder(to)
		e.SetIndent("", "  ")
		if err := to.finish(e.Encode(r)); err != nil {
			return err
		}
	}
	if r.Failure != nil {
		return errBroken
	}
	return nil
}

// checkProgress writes a line for each depth, and one now and then in between.
func (p *program) checkProgress(begun time.Time) func(model.Level, int, int) {
	said := begun
	return func(l model.Level, states, togo int) {
		if togo > 0 && time.Since(said) < 10*time.Second {
			return
		}
		said = time.Now()
		rest := ""
		if togo > 0 {
			rest = fmt.Sprintf(", %d to go", togo)
		}
		fmt.Fprintf(p.stderr, "%6s  depth %2d: %d new states%s; %d in all\n", time.Since(begun).Round(time.Second), l.Depth,
			l.New, rest, states)
	}
}

// printCheck tells people what a check found.
func printCheck(w io.Writer, r *model.Report) {
	if r.Failure != nil {
		printBroken(w, r)
		return
	}
	fmt.Fprintf(w, "explored from: %s\n\n", strings.Join(r.Roots, "\n               "))
	fmt.Fprintf(w, "%5s %12s %12s %12s %12s %12s\n", "depth", "new states", "moves", "merged", "wire full",
		"2 faults")
	for _, l := range r.Levels {
		partial := ""
		if l.Depth > r.Depth {
			partial = "  not finished"
		}
		fmt.Fprintf(w, "%5d %12d %12d %12d %12d %12d%s\n", l.Depth, l.New, l.Moves, l.Merged, l.Full, l.Cut, partial)
	}
	fmt.Fprintf(w, "\nstates   %d distinct, %d but for what a path may still do\n", r.States, r.Configurations)
	end := "more would follow"
	if r.Complete {
		end = "nothing follows: this is all there is within the bounds"
	}
	fmt.Fprintf(w, "depth    %d complete; %s\n", r.Depth, end)
	fmt.Fprintf(w, "time     the longest path takes %s\n", r.Span.Round(time.Millisecond))
	for i, m := range r.Reached {
		head := ""
		if i == 0 {
			head = "reached"
		}
		fmt.Fprintf(w, "%-8s %-24s after %2d moves from %s\n", head, m.What, m.Depth, m.Root)
	}
	if len(r.Missed) > 0 {
		fmt.Fprintf(w, "missed   %s\n", strings.Join(r.Missed, ", "))
	}
	if r.Pairs > 0 {
		fmt.Fprintf(w, "merging  %d of %d merged pairs tried for 6 more moves\n", r.Pairs, r.Different)
	}
	fmt.Fprintln(w, "\nheld     safety in every state, and from every state a way back")
}

// printBroken tells people how to get to a state that must not be.
func printBroken(w io.Writer, r *model.Report) {
	fmt.Fprintf(w, "BROKEN (%s): %s\n\n", r.Failure.Rule, r.Failure.What)
	for _, s := range r.Failure.Steps {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(s, " → ", "\n               → "))
	}
	fmt.Fprintf(w, "\nfound in %d states, of which all that are %d moves away or less were looked at\n", r.States, r.Depth)
}
