package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol"
)

// Exit statuses.
const (
	exitHeld   = 0 // all checkers held
	exitBroken = 1 // one did not, or the run was not as expected
	exitError  = 2 // usage, or something outside the simulation
)

// errBroken says that a checker was broken. Everything about it has been printed.
var errBroken = errors.New("a checker was broken")

// program is the command with what it takes from its surroundings.
type program struct {
	stdin          io.Reader // nil: empty
	stdout, stderr io.Writer
	newDevice      func(protocol.Config) (*protocol.Device, error) // the core that the hosts run
}

// commands are the subcommands of wgsim, each in a file of its own.
var commands = []func(*program) *cobra.Command{
	(*program).runCommand,
	(*program).listCommand,
	(*program).importCommand,
	(*program).exploreCommand,
	(*program).mergeCommand,
	(*program).replayCommand,
	(*program).checkModelCommand,
	(*program).explainCommand,
	(*program).versionCommand,
}

// execute runs the command line and gives the exit status.
func (p *program) execute(args []string) int {
	root := &cobra.Command{
		Use:           "wgsim",
		Short:         "Simulated networks of WireGuard hosts",
		Long:          "wgsim runs simulated networks of WireGuard hosts and tells what happened in them.",
		SilenceErrors: true, // printed below, on stderr, in one form
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, c.CommandPath())
	})
	for _, command := range commands {
		root.AddCommand(command(p))
	}
	switch err := root.Execute(); {
	case err == nil:
		return exitHeld
	case errors.Is(err, errBroken):
		return exitBroken
	default:
		fmt.Fprintf(p.stderr, "wgsim: %v\n", err)
		return exitError
	}
}

// isTerminal reports whether a person looks at w: a character device that is not the null device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// wantsColor follows https://no-color.org and leaves dumb terminals alone.
func wantsColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
