package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/report"
)

func (p *program) listCommand() *cobra.Command {
	var names bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that wgsim brings along",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !names {
				return report.List(p.stdout, sim.Scenarios(), report.Options{Color: wantsColor(p.stdout)})
			}
			for _, s := range sim.Scenarios() {
				if _, err := fmt.Fprintln(p.stdout, s.Name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&names, "names", false, "print the names alone, one per line")
	return c
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of wgsim",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, "wgsim "+version())
			return err
		},
	}
}

// version is the module's version as the go command recorded it; in a work tree it is the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value
			}
		}
	}
	return v + " " + info.GoVersion
}
