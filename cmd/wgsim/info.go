package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/transports/sim/gallery"
	"github.com/purewire/purewire/transports/sim/report"
	"github.com/purewire/purewire/transports/sim/scenario"
)

func (p *program) listCommand() *cobra.Command {
	var names, asJSON bool
	var show string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that wgsim brings along",
		Long: `List the scenarios that wgsim brings along, each with the question that it asks and its answer. --print NAME
writes one as a file, to be changed and run with wgsim run --scenario FILE.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case show != "":
				return p.printScenario(show)
			case names:
				_, err := fmt.Fprintln(p.stdout, strings.Join(gallery.Names(), "\n"))
				return err
			}
			return p.list(asJSON)
		},
	}
	c.Flags().BoolVar(&names, "names", false, "print the names alone, one per line")
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	c.Flags().StringVar(&show, "print", "", "print the file of the scenario of this `name`")
	c.MarkFlagsMutuallyExclusive("names", "json", "print")
	return c
}

func (p *program) printScenario(name string) error {
	text, ok := gallery.Text(name)
	if !ok {
		return fmt.Errorf("there is no scenario %q%s", name, scenario.DidYouMean(name, gallery.Names()))
	}
	_, err := p.stdout.Write(text)
	return err
}

// listed is a scenario in the list as JSON.
type listed struct {
	Name     string `json:"name"`
	About    string `json:"about"`
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Duration int64  `json:"duration_ns"`
}

func (p *program) list(asJSON bool) error {
	var list []listed
	var shown []report.Entry
	for _, name := range gallery.Names() {
		f, err := gallery.Load(name)
		if err != nil {
			return err
		}
		list = append(list, listed{f.Name, f.About, f.Question, f.Answer, int64(f.Duration)})
		shown = append(shown, report.Entry{Name: f.Name, Duration: time.Duration(f.Duration), Question: f.Question,
			Answer: f.Answer})
	}
	if !asJSON {
		return report.List(p.stdout, shown, report.Options{Color: shell.WantsColor(p.stdout)})
	}
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Version   int      `json:"version"`
		Scenarios []listed `json:"scenarios"`
	}{1, list})
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of wgsim",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, "wgsim "+version())
			return err
		},
	}
}

// version is the module's version as the go command recorded it; in a work tree it is the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value
			}
		}
	}
	return v + " " + info.GoVersion
}
