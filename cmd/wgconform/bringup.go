package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/conformance/bringup"
)

// bringupFlags is what the user asked for.
type bringupFlags struct {
	target string
	seed   uint64
	skip   []string
	json   bool
}

func (p *program) bringupCommand() *cobra.Command {
	var f bringupFlags
	c := &cobra.Command{
		Use:   "bringup",
		Short: "Bring a new implementation up: small questions in order, and why the first wrong answer is wrong",
		Long: `Ask an implementation small questions, each of which relies on those before it, and stop at the first wrong
answer. Then say from the bytes what the mistake is, with the first intermediate value at which right and wrong part:
the handshake is computed again with every known mistake until the tags agree, and an implementation that does not
answer is sent messages with each of them. The exit status is 1 if an answer is wrong.

` + p.targetHelp(),
		Example: `  wgconform bringup --target 'exec:./mywg -f {if}'
  wgconform bringup --target 'exec:./mywg -f {if}' --json | jq -r .diagnosis.cause`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible()
			defer stop()
			return p.bringup(ctx, &f)
		},
	}
	set := c.Flags()
	set.SortFlags = false
	set.StringVar(&f.target, "target", defaultTarget, "`target` to bring up, see above")
	set.StringArrayVar(&f.skip, "skip", nil,
		"leave out questions whose ID matches this `glob`: what is known to be wrong; may be repeated")
	set.Uint64Var(&f.seed, "seed", defaultSeed, "`number` that decides everything that is left to chance")
	set.BoolVar(&f.json, "json", false, "the answers and the diagnosis as JSON, when all is over")
	return c
}

func (p *program) bringup(ctx context.Context, f *bringupFlags) (err error) {
	factory, err := p.openTarget(ctx, f.target, targetOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget(factory)) }()
	number := 0
	var printing error
	report, err := bringup.Run(ctx, factory, bringup.Options{Seed: f.seed, Skip: f.skip, Asked: func(a bringup.Answer) {
		number++
		if !f.json {
			printing = errors.Join(printing, bringup.WriteAnswer(p.stdout, number, a))
		}
	}})
	if err = errors.Join(err, printing); err != nil {
		return err
	}
	if f.json {
		err = writeJSON(p.stdout, report)
	} else if err = bringup.WriteVerdict(p.stdout, report); err == nil && !report.Failed() {
		_, err = fmt.Fprintf(p.stdout, "Next: wgconform run%s --html report.html\n", targetWords(f.target))
	}
	if err == nil && report.Failed() {
		return errBroken
	}
	return err
}
