package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/purewire/purewire/transports/sim/explore"
)

// shrink makes the scenario of a seed that failed small, prints it and writes it to a file.
func (p *program) shrink(story io.Writer, f *exploreFlags, o explore.Options, out *explore.Outcome,
	failure *explore.Failure) error {
	fmt.Fprintf(story, "seed %d breaks %s at %s: %s %s\n", failure.Seed, failure.Checker, failure.At, failure.Host,
		failure.Text)
	// Where it fails with a known-bad core in all hosts too, nobody has to name those that have it.
	small := explore.Shrink(out.File, o, failure.Checker)
	hosts := ""
	if small == nil {
		o.Spoiled = out.Spoiled
		if small = explore.Shrink(out.File, o, failure.Checker); small == nil {
			return fmt.Errorf("seed %d fails once and not again: the simulator is not deterministic", failure.Seed)
		}
		hosts = left(small, out.Spoiled)
	}
	text, err := small.File.Marshal()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("explore-%d.yaml", failure.Seed)
	if f.sabotage != "" {
		name = fmt.Sprintf("explore-%d-%s.yaml", failure.Seed, f.sabotage)
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return fmt.Errorf("cannot write the scenario: %w", err)
	}
	path := filepath.Join(f.out, name)
	to, err := create(path, "scenario", p.stdout)
	if err != nil {
		return err
	}
	_, err = to.Write(text)
	if err := to.finish(err); err != nil {
		return err
	}
	failure.File, failure.Repeat = path, "wgsim run --scenario "+path
	if f.sabotage != "" {
		failure.Repeat += " --sabotage " + f.sabotage
	}
	if hosts != "" {
		failure.Repeat += " --sabotage-hosts " + hosts
	}
	state := "nothing more can be left out"
	if !small.Done {
		state = "the limit of work was reached"
	}
	_, err = fmt.Fprintf(story, "shrunk in %d tries, %s; %s is broken at %s:\n\n%s\nrepeat: %s\nas drawn: %s\n\n",
		small.Tries, state, small.Checker, small.At, indent(string(text)), failure.Repeat,
		fmt.Sprintf("wgsim explore --print %d", failure.Seed))
	return err
}

// left lists the hosts with a known-bad core that are still there.
func left(s *explore.Shrunk, spoiled []string) string {
	var list []string
	for _, name := range spoiled {
		for i := range s.File.Hosts {
			if s.File.Hosts[i].Name == name {
				list = append(list, name)
			}
		}
	}
	return strings.Join(list, ",")
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}
