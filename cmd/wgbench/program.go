package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
)

// errFailed marks an error after which the figures so far are still worth printing.
var errFailed = errors.New("not everything was measured")

// An implementation is what is measured: a name for the table and the words that start it.
type implementation struct {
	Name    string   `json:"name"`
	Command []string `json:"command"` // {if} stands for the interface
}

// A plan is what the command line asked for.
type plan struct {
	implementations []implementation
	groups          []string
	rounds          int
	length          time.Duration // of each single measurement
}

// program is the command with what it takes from its surroundings.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	uid            func() int
	// measure carries out a plan; it returns what it has even when it fails.
	measure func(context.Context, plan, io.Writer) ([]result, setup, error)
	// agent serves one end of the network until its input ends.
	agent func(io.Reader, io.Writer) error
}

// execute runs the command line and gives the exit status.
func (p *program) execute(args []string) int {
	root := shell.Program{
		Name:  "wgbench",
		Short: "Measure WireGuard implementations against each other",
		Commands: []*cobra.Command{p.tunnelCommand(), {
			Use: agentCommand, Hidden: true, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return p.agent(p.stdin, p.stdout) },
		}},
		Failure: errFailed,
	}
	return root.Execute(args, p.stdout, p.stderr)
}

// agentCommand is how wgbench starts itself for one end of the network.
const agentCommand = "agent"

func (p *program) tunnelCommand() *cobra.Command {
	var specs, only []string
	var rounds int
	var seconds float64
	var file, base string
	c := &cobra.Command{
		Use:   "tunnel --impl NAME=CMD [--impl NAME=CMD …]",
		Short: "Measure tunnels between two network namespaces",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringArrayVar(&specs, "impl", nil, "an implementation, as NAME=CMD; {if} in CMD is the interface")
	f.StringSliceVar(&only, "only", nil, "measure these only: "+strings.Join(groupNames(), ","))
	f.IntVar(&rounds, "rounds", 3, "how often everything is measured")
	f.Float64Var(&seconds, "seconds", 3, "how long each single measurement takes, 0.2 to 600")
	f.StringVar(&file, "json", "", "write all figures to this file, - for standard output instead of the table")
	f.StringVar(&base, "base", "", "the implementation that ratios refer to (default the last one)")
	c.RunE = func(*cobra.Command, []string) error {
		pl := plan{rounds: rounds, length: time.Duration(seconds * float64(time.Second))}
		if err := errors.Join(pl.setImplementations(specs, &base), pl.setGroups(only), pl.check()); err != nil {
			return err
		}
		if p.uid() != 0 {
			return errors.New("network namespaces and interfaces need root: run wgbench as root")
		}
		return p.tunnel(pl, base, file)
	}
	return c
}

func (p *plan) setImplementations(specs []string, base *string) error {
	if len(specs) == 0 {
		return errors.New("no --impl NAME=CMD")
	}
	for _, spec := range specs {
		name, command, ok := strings.Cut(spec, "=")
		if !ok || name == "" || len(name) > nameColumns {
			return fmt.Errorf("--impl %q is not NAME=CMD with a name of 1 to %d characters", spec, nameColumns)
		}
		words, err := splitWords(command)
		if err != nil || len(words) == 0 {
			return fmt.Errorf("--impl %q: %w", spec, cmp(err, errors.New("no command")))
		}
		if slices.ContainsFunc(p.implementations, func(i implementation) bool { return i.Name == name }) {
			return fmt.Errorf("--impl %s is there twice", name)
		}
		p.implementations = append(p.implementations, implementation{name, words})
	}
	if *base == "" {
		*base = p.implementations[len(p.implementations)-1].Name
	}
	if !slices.ContainsFunc(p.implementations, func(i implementation) bool { return i.Name == *base }) {
		return fmt.Errorf("--base %s is no --impl", *base)
	}
	return nil
}

func cmp(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (p *plan) setGroups(only []string) error {
	if len(only) == 0 {
		p.groups = groupNames()
		return nil
	}
	for _, name := range groupNames() { // in our order, once each
		if slices.Contains(only, name) {
			p.groups = append(p.groups, name)
		}
	}
	for _, name := range only {
		if !slices.Contains(p.groups, name) {
			return fmt.Errorf("--only %s: there are %s", name, strings.Join(groupNames(), ", "))
		}
	}
	return nil
}

func (p *plan) check() error {
	if p.rounds < 1 || p.rounds > 1000 {
		return errors.New("--rounds must be 1 to 1000")
	}
	if p.length < 200*time.Millisecond || p.length > 10*time.Minute {
		return errors.New("--seconds must be 0.2 to 600")
	}
	return nil
}

// tunnel measures, and prints what there is even if that is not all.
func (p *program) tunnel(pl plan, base, file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, setup, err := p.measure(ctx, pl, p.stderr)
	if err != nil {
		err = fmt.Errorf("%w: %w", errFailed, err)
	}
	if len(results) == 0 {
		return err
	}
	r := newReport(pl, setup, results, base)
	if file != "-" {
		if werr := writeTable(p.stdout, r); werr != nil {
			return errors.Join(err, fmt.Errorf("%w: %w", errFailed, werr))
		}
	}
	if werr := r.write(file, p.stdout); werr != nil {
		return errors.Join(err, fmt.Errorf("%w: %w", errFailed, werr))
	}
	return err
}
