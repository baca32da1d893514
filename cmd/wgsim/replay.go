package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/eventlog"
)

func (p *program) replayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE",
		Short: "Run what wgnode --record wrote through a new core, and compare every answer",
		Long: "replay gives a new core the calls of a recorded one, in their order and with their times, entropy and " +
			"job results, and compares every answer byte for byte. It stops at the first difference.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.replay(args[0]) },
	}
}

// replay prints what was replayed. A difference is a broken promise of the core, status 1; a file that is no recording
// is an error, status 2. A recording that stops in the middle, with its process, is compared as far as it goes.
func (p *program) replay(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := eventlog.Replay(f)
	var difference *eventlog.Difference
	switch {
	case errors.As(err, &difference):
		fmt.Fprintf(p.stderr, "wgsim: %s: %v\n", path, difference)
		return errBroken
	case err != nil && !errors.Is(err, eventlog.ErrTruncated):
		return fmt.Errorf("%s: %w", path, err)
	}
	end := ""
	if !sum.Complete {
		end = "; the recording ends without having been closed"
	}
	_, err = fmt.Fprintf(p.stdout, "identical: %d calls over %v, %d packets, %d datagrams, %d handshake jobs, "+
		"%d messages sealed%s\n", sum.Calls, sum.Span, sum.Packets, sum.Datagrams, sum.Handshakes, sum.Messages, end)
	return err
}
