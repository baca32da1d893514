package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol"
)

// errBroken says that a checker was broken, or that the run was not as expected. Everything about it has been printed.
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
	root := shell.Program{
		Name:    "wgsim",
		Short:   "Simulated networks of WireGuard hosts",
		Long:    "wgsim runs simulated networks of WireGuard hosts and tells what happened in them.",
		Failure: errBroken,
	}
	for _, command := range commands {
		root.Commands = append(root.Commands, command(p))
	}
	return root.Execute(args, p.stdout, p.stderr)
}
