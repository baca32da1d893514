// Package shell is how the programs with subcommands meet the shell: one form of errors, one meaning of exit statuses,
// colours only for people. wgnode, which has no subcommands and its own statuses, does without.
package shell

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	OK     = 0
	Failed = 1 // what was looked at failed
	Usage  = 2 // the command line, or the surroundings: there was nothing to look at
)

// A Program is a command line that consists of subcommands.
type Program struct {
	Name, Short, Long string
	Commands          []*cobra.Command
	// Failure is what a command returns for the status Failed when it has told all about it; an error that wraps it
	// is told here. Any other error is a matter of Usage.
	Failure error
}

// Execute runs the command with these arguments, the program's name not among them, and returns the exit status.
// An error goes to stderr, as one line.
func (p *Program) Execute(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           p.Name,
		Short:         p.Short,
		Long:          p.Long,
		SilenceErrors: true, // printed below, on stderr, in one form
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, c.CommandPath())
	})
	root.AddCommand(p.Commands...)
	err := root.Execute()
	if err == nil {
		return OK
	}
	if err != p.Failure {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	}
	if errors.Is(err, p.Failure) {
		return Failed
	}
	return Usage
}

// IsTerminal reports whether a person looks at w: a character device that is not the null device.
func IsTerminal(w io.Writer) bool {
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

// WantsColor follows https://no-color.org and leaves dumb terminals alone.
func WantsColor(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
