package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/conformance"
)

// Exit statuses.
const (
	exitHeld   = 0 // no MUST rule was broken
	exitBroken = 1 // one was, or something else that was asked to fail did
	exitError  = 2 // usage, or the surroundings
)

// errBroken says that the target, not the run, failed. Everything about it has been printed.
var errBroken = errors.New("the target failed")

// program is the command with what it takes from its surroundings.
type program struct {
	stdout, stderr io.Writer
	kinds          []targetKind
	cases          func() iter.Seq[conformance.Case]
}

// execute runs the command line and gives the exit status.
func (p *program) execute(args []string) int {
	root := &cobra.Command{
		Use:   "wgconform",
		Short: "Conformance tests for every implementation of WireGuard",
		Long: `wgconform tests any implementation of WireGuard against the rules of the protocol: what it sends, delivers and
reports, and when. Without a target it tests the core of this project.`,
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
	root.AddCommand(p.runCommand(), p.matrixCommand(), p.listCommand(), p.explainCommand(), p.expectCommand(),
		p.shimCheckCommand(), p.versionCommand())
	switch err := root.Execute(); {
	case err == nil:
		return exitHeld
	case errors.Is(err, errBroken):
		return exitBroken
	default:
		fmt.Fprintf(p.stderr, "wgconform: %v\n", err)
		return exitError
	}
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program, the number of its cases and the kinds of targets it knows",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			n := 0
			for range p.cases() {
				n++
			}
			_, err := fmt.Fprintf(p.stdout, "%s, %d cases, targets: %s, %s %s/%s\n", version(), n, p.targetForms(),
				runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version names the program and the module's version or commit, as far as the build knows.
func version() string {
	const name = "wgconform "
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name + "(unknown)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return name + s.Value[:12]
		}
	}
	return name + info.Main.Version
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
