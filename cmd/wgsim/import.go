package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// importFlags is what the user said about the network around the configurations.
type importFlags struct {
	name, nat, link, loss, output string
	duration                      time.Duration
}

func (p *program) importCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import FILE.conf...",
		Short: "Make a scenario file from configurations of wg-quick",
		Long: `Make a scenario file from configurations of wg-quick and print it. Each file is a host, named after it; peers
without a file are created. A host to which no endpoint leads is behind a NAT. What is ignored (PostUp, DNS, Table, ...)
and what is made up is said on standard error. No key gets into the scenario.`,
		Example: `  wgsim import laptop.conf --nat carrier --loss 2% | wgsim run --scenario -
  wgsim import hub.conf laptop.conf --output vpn.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.importFiles(args, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.name, "name", "imported", "`name` of the scenario")
	flags.StringVar(&f.nat, "nat", "home", "`kind` of NAT before hosts that no endpoint leads to: home, guest, carrier, "+
		"full-cone, none")
	flags.StringVar(&f.link, "link", "cable", "`kind` of line: fibre, cable, wifi, cell, satellite, perfect")
	flags.StringVar(&f.loss, "loss", "", "`share` of the datagrams that gets lost besides, such as 2%")
	flags.DurationVar(&f.duration, "duration", 5*time.Minute, "how long the scenario lasts, in virtual `time`")
	flags.StringVarP(&f.output, "output", "o", "-", "`file` to write the scenario to, - is standard output")
	return c
}

func (p *program) importFiles(paths []string, f importFlags) error {
	o := scenario.ImportOptions{Name: f.name, NAT: f.nat, Link: f.link, Duration: scenario.Duration(f.duration)}
	if f.loss != "" {
		if err := o.Loss.UnmarshalText([]byte(f.loss)); err != nil {
			return fmt.Errorf("--loss: %w", err)
		}
	}
	if f.duration <= 0 {
		return fmt.Errorf("--duration %s: a run lasts longer than nothing", f.duration)
	}
	var list []scenario.Config
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read the configuration: %w", err)
		}
		list = append(list, scenario.Config{Name: path, Text: string(text)})
	}
	made, notes, err := scenario.Import(list, o)
	if err != nil {
		return err
	}
	if _, err := made.Compile(); err != nil {
		return fmt.Errorf("the scenario that these configurations make cannot be run: %w", err)
	}
	text, err := made.Marshal()
	if err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(p.stderr, n)
	}
	out, err := create(f.output, "scenario", p.stdout)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return out.finish(err)
}
