package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/transports/sim/gallery"
	"github.com/purewire/purewire/transports/sim/scenario"
)

// load finds a scenario: one of the gallery by its name, standard input for "-", and otherwise a file. A file in the
// current folder that is named like one of the gallery is ./NAME.
func (p *program) load(name string) (*scenario.File, error) {
	if _, ok := gallery.Text(name); ok {
		return gallery.Load(name)
	}
	if name == "-" {
		in := p.stdin
		if in == nil {
			in = strings.NewReader("")
		}
		text, err := io.ReadAll(io.LimitReader(in, mostScenario))
		if err != nil {
			return nil, fmt.Errorf("cannot read the scenario: %w", err)
		}
		return scenario.Parse("stdin", text)
	}
	text, err := readScenario(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./\\"):
		return nil, fmt.Errorf("there is no scenario %q and no file of that name%s; see wgsim list", name,
			scenario.DidYouMean(name, gallery.Names()))
	case err != nil:
		return nil, fmt.Errorf("cannot read the scenario: %w", err)
	}
	return scenario.Parse(name, text)
}

// mostScenario is more than the parser takes, so that it is the one to refuse.
const mostScenario = 5 << 20

func readScenario(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mostScenario))
}

// spoiler gives what makes a core a known-bad one.
func spoiler(name string) (func(*protocol.Device), error) {
	var known []string
	for _, d := range protocoltest.Defects() {
		if d.Name == name {
			return func(dev *protocol.Device) {
				if err := protocoltest.WithDefect(dev, name); err != nil {
					panic("wgsim: " + err.Error()) // the name was looked up
				}
			}, nil
		}
		known = append(known, d.Name)
	}
	return nil, fmt.Errorf("--sabotage: there is no known-bad core %q%s", name, scenario.DidYouMean(name, known))
}

// sabotage gives what breaks the cores of some hosts, nil for none. hosts is a list of names and patterns; all if it is
// empty.
func sabotage(name string, hosts []string, c *scenario.Compiled) (func(string, *protocol.Device), error) {
	if name == "" {
		if len(hosts) > 0 {
			return nil, errors.New("--sabotage-hosts goes with --sabotage")
		}
		return nil, nil
	}
	spoil, err := spoiler(name)
	if err != nil {
		return nil, err
	}
	bad := map[string]bool{}
	for i := range c.Scenario.Hosts {
		host := c.Scenario.Hosts[i].Name
		bad[host] = len(hosts) == 0
		for _, pattern := range hosts {
			bad[host] = bad[host] || scenario.Matches(pattern, host)
		}
	}
	for _, pattern := range hosts {
		if !matchesAny(pattern, c) {
			return nil, fmt.Errorf("--sabotage-hosts: no host matches %q", pattern)
		}
	}
	return func(host string, d *protocol.Device) {
		if bad[host] {
			spoil(d)
		}
	}, nil
}

func matchesAny(pattern string, c *scenario.Compiled) bool {
	for i := range c.Scenario.Hosts {
		if scenario.Matches(pattern, c.Scenario.Hosts[i].Name) {
			return true
		}
	}
	return false
}
