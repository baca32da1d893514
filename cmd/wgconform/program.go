package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol/conformance"
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
	root := shell.Program{
		Name:  "wgconform",
		Short: "Conformance tests for every implementation of WireGuard",
		Long: `wgconform tests any implementation of WireGuard against the rules of the protocol: what it sends, delivers and
reports, and when. Without a target it tests the core of this project.`,
		Commands: []*cobra.Command{
			p.runCommand(), p.matrixCommand(), p.listCommand(), p.explainCommand(), p.expectCommand(),
			p.bringupCommand(), p.vectorsCommand(),
			p.shimCheckCommand(),
			p.initRemoteCommand(),
			p.versionCommand(),
		},
		Failure: errBroken,
	}
	return root.Execute(args, p.stdout, p.stderr)
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
