package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/transports/sim/explore"
)

func (p *program) mergeCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "merge FILE.json...",
		Short: "Add up the summaries of the shards of an exploration",
		Long: `Add up what wgsim explore --shard --json wrote, print it as wgsim explore does, and hold it to the same floors.
Merging all shards gives what one exploration of all the seeds gives. The exit status is 1 if a seed failed, if too
little was explored, or if seeds are missing.`,
		Example: `  wgsim merge shard-*.json
  wgsim merge --json all.json shard-*.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.merge(args, to) },
	}
	c.Flags().StringVar(&to, "json", "", "write the sum as JSON to this `file`, - is standard output")
	return c
}

func (p *program) merge(paths []string, to string) error {
	var list []*explore.Summary
	for _, path := range paths {
		s, err := readSummary(path)
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	sum, err := explore.Merge(list)
	if err != nil {
		return err
	}
	story := p.stdout
	if to == "-" {
		story = p.stderr
	}
	if err := p.conclude(story, to, sum); err != nil {
		return err
	}
	if n := sum.Missing(); n > 0 {
		fmt.Fprintf(story, "%d seeds are missing: shards that were not given, or that did not finish\n", n)
		return errBroken
	}
	return nil
}

func readSummary(path string) (*explore.Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a summary: %w", err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	var s explore.Summary
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%s is no summary of wgsim explore --json: %w", path, err)
	}
	return &s, nil
}
