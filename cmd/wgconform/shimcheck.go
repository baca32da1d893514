package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/cmd/wgconform/internal/shimcheck"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
)

type shimCheckFlags struct {
	json     bool
	only     []string
	patience time.Duration
}

func (p *program) shimCheckCommand() *cobra.Command {
	var f shimCheckFlags
	c := &cobra.Command{
		Use:   "shim-check CMD",
		Short: "Test a shim: whether a program speaks the protocol of docs/SHIM.md",
		Long: `Test how a program speaks the shim protocol (docs/SHIM.md), so that verdicts that are found through it can be
believed. It says nothing about the implementation behind the shim: that is for wgconform run --target shim:CMD.
CMD is split like a shell does.`,
		Example: `  wgconform shim-check 'python3 cmd/wgconform/shims/python/wgshim.py'
  wgconform shim-check ./myshim --only 'time/*' --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return p.shimCheck(ctx, args[0], &f)
		},
	}
	set := c.Flags()
	set.SortFlags = false
	set.BoolVar(&f.json, "json", false, "as JSON")
	set.StringArrayVar(&f.only, "only", nil, "only checks whose ID matches this `glob`; may be repeated")
	set.DurationVar(&f.patience, "patience", 30*time.Second, "how long an answer may take, in real `time`")
	return c
}

// shimCheckReport is the form of --json.
type shimCheckReport struct {
	Format  string             `json:"format"`
	Tool    string             `json:"tool"`
	Command string             `json:"command"`
	Shim    *proto.Greeting    `json:"shim,omitempty"`
	Counts  map[string]int     `json:"counts"`
	Checks  []shimcheck.Result `json:"checks"`
}

func (p *program) shimCheck(ctx context.Context, command string, f *shimCheckFlags) error {
	words, err := shim.Split(command)
	if err != nil {
		return err
	}
	if err := knownChecks(f.only); err != nil {
		return err
	}
	if f.patience <= 0 {
		return fmt.Errorf("--patience %v: an answer takes time", f.patience)
	}
	doc := shimCheckReport{Format: "wgconform-shim-check/1", Tool: version(), Command: command, Counts: map[string]int{}}
	o := shimcheck.Options{Runner: version(), Patience: f.patience,
		Start: func(ctx context.Context) (*shim.Process, error) { return shim.Start(ctx, words) }}
	if len(f.only) > 0 {
		o.Only = func(id string) bool { return matches(f.only, id) }
	}
	doc.Shim, err = shimcheck.Run(ctx, o, func(r shimcheck.Result) {
		doc.Checks = append(doc.Checks, r)
		doc.Counts[string(r.Verdict)]++
		if !f.json {
			p.printCheck(&r)
		}
	})
	if err != nil {
		return err
	}
	if f.json {
		err = writeJSON(p.stdout, doc)
	} else {
		err = p.printShim(&doc)
	}
	if err == nil && doc.Counts[string(shimcheck.Failed)] > 0 {
		err = errBroken
	}
	return err
}

func matches(globs []string, id string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return conformance.Glob(g, id) })
}

// knownChecks complains about a glob that no check matches.
func knownChecks(globs []string) error {
	for _, g := range globs {
		if !slices.ContainsFunc(shimcheck.Checks(), func(c shimcheck.Info) bool { return conformance.Glob(g, c.ID) }) {
			return fmt.Errorf("--only %s: no check is called so, they are in docs/SHIM.md", g)
		}
	}
	return nil
}

// printCheck writes a check in lines of at most 100 columns.
func (p *program) printCheck(r *shimcheck.Result) {
	fmt.Fprintf(p.stdout, "%-7s%s\n", r.Verdict, r.ID)
	if r.Verdict != shimcheck.Passed {
		for _, line := range fold(r.Title+": "+r.Reason, 90) {
			fmt.Fprintf(p.stdout, "         %s\n", line)
		}
	}
	for _, n := range r.Notes {
		for _, line := range fold(n, 90) {
			fmt.Fprintf(p.stdout, "         %s\n", line)
		}
	}
}

func (p *program) printShim(doc *shimCheckReport) error {
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(p.stdout, format, args...)
		errs = append(errs, err)
	}
	if g := doc.Shim; g != nil {
		text := fmt.Sprintf("%s %s, layer %s, kind %s, can %s", g.Name, g.Version, g.Layer, g.Kind,
			strings.Join(g.Capabilities, " "))
		say("\n%s\n", strings.Join(fold(text, 100), "\n"))
	}
	say("%d passed, %d failed, %d unseen\n", doc.Counts["pass"], doc.Counts["fail"], doc.Counts["unseen"])
	return errors.Join(errs...)
}

// fold breaks text into lines, at spaces where there are some.
func fold(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		for len(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
