package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

type matrixFlags struct {
	selection
	reportFlags
	targets  []string
	added    []string
	findings string
	quiet    bool
}

func (p *program) matrixCommand() *cobra.Command {
	var f matrixFlags
	c := &cobra.Command{
		Use:   "matrix [--target NAME=TARGET ...] [--add [NAME=]FILE ...]",
		Short: "Test several implementations and compare them",
		Long: `Test several implementations, one after the other so that none disturbs another's times, and compare them: by
area on the terminal, by area and by case in the reports. Runs that were made before can be added from their JSON
reports, also without any target: then nothing is tested, and the reports are only written.

` + p.targetHelp(),
		Example: `  wgconform matrix --target core=core --target wireguard-go='exec:wireguard-go -f {if}' \
      --profile quick --html matrix.html
  wgconform matrix --add docs/results/2026-11-21/wgnode-standard.json --html page.html`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible()
			defer stop()
			return p.matrix(ctx, &f)
		},
	}
	set := c.Flags()
	set.SortFlags = false
	set.StringArrayVar(&f.targets, "target", nil, "a target and what to call it, as `NAME=TARGET`; to be repeated")
	set.StringArrayVar(&f.added, "add", nil, "add the run of an earlier JSON report, as `[NAME=]FILE`; to be repeated")
	set.StringVar(&f.findings, "findings", "",
		"explain what did not pass by this `file` in the page; docs/FINDINGS.md is one")
	f.runFlags(set)
	f.reportFlags.flags(set)
	set.BoolVar(&f.quiet, "quiet", false, "no progress, and no tables of tolerances and measured values")
	return c
}

var targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

func (p *program) matrix(ctx context.Context, f *matrixFlags) error {
	if len(f.targets)+len(f.added) == 0 {
		return fmt.Errorf("no --target NAME=TARGET and no --add FILE")
	}
	targets, err := parseTargets(f.targets)
	if err != nil {
		return err
	}
	added, err := parseAdded(f.added)
	if err != nil {
		return err
	}
	s, err := p.newSession(f.selection, f.reportFlags, f.quiet)
	if err != nil {
		return err
	}
	if s.findings, err = readFindings(f.findings); err != nil {
		return err
	}
	s.command = "wgconform matrix"
	for _, t := range targets {
		if _, _, err := p.findTarget(t.target); err != nil {
			return err
		}
		s.command += " --target " + t.name + "=" + quote(t.target)
	}
	for _, a := range f.added {
		s.command += " --add " + quote(a)
	}
	if f.findings != "" {
		s.command += " --findings " + quote(f.findings)
	}
	if len(targets) > 0 {
		s.command += " " + strings.Join(f.words(), " ")
		if err := s.execute(ctx, targets); err != nil {
			return err
		}
	}
	if err := s.add(added); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	if len(targets) == 0 {
		return nil // nothing was tested: what earlier runs found is no failure of this one
	}
	return s.judge(-1)
}

func parseTargets(all []string) (targets []namedTarget, err error) {
	seen := map[string]bool{}
	for _, t := range all {
		name, target, ok := strings.Cut(t, "=")
		switch {
		case !ok || !targetName.MatchString(name):
			return nil, fmt.Errorf("--target %s: want NAME=TARGET, as in go='exec:wireguard-go -f {if}'", t)
		case seen[name]:
			return nil, fmt.Errorf("--target %s: the name %s is there twice", t, name)
		}
		seen[name] = true
		targets = append(targets, namedTarget{name, target})
	}
	return targets, nil
}
