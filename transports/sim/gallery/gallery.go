// Package gallery holds the scenarios that come with wgsim: each is a file in YAML that asks a question which people
// who run WireGuard ask, answers it, and expects of its run what the answer says.
package gallery

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/scenario"
)

//go:embed *.yaml
var files embed.FS

// Default is the name of the scenario that `wgsim run` runs.
const Default = "default"

// Names lists the scenarios, Default first and the others by name.
func Names() []string {
	list, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic("gallery: " + err.Error()) // only of a bad pattern
	}
	for i, n := range list {
		list[i] = strings.TrimSuffix(n, ".yaml")
	}
	slices.SortFunc(list, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == Default:
			return -1
		case b == Default:
			return 1
		}
		return strings.Compare(a, b)
	})
	return list
}

// Text gives the file of a scenario; ok is false if there is none of that name.
func Text(name string) (text []byte, ok bool) {
	text, err := files.ReadFile(name + ".yaml")
	return text, err == nil
}

// Load reads a scenario.
func Load(name string) (*scenario.File, error) {
	text, ok := Text(name)
	if !ok {
		return nil, fmt.Errorf("gallery: there is no scenario %q", name)
	}
	return scenario.Parse(name+".yaml", text)
}

// Scenario is a new value of a scenario, without its expectations.
func Scenario(name string) (sc sim.Scenario, err error) {
	f, err := Load(name)
	if err != nil {
		return sc, err
	}
	c, err := f.Compile()
	if err != nil {
		return sc, err
	}
	return c.Scenario, nil
}
