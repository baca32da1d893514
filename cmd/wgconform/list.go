package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

type listFlags struct {
	selection
	json bool
	plan bool
}

func (p *program) listCommand() *cobra.Command {
	f := listFlags{selection: selection{jobs: 1}}
	c := &cobra.Command{
		Use:   "list",
		Short: "List the cases, or how a run would go",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return p.list(&f, c.Flags().Changed("profile")) },
	}
	set := c.Flags()
	set.SortFlags = false
	f.flags(set)
	set.BoolVar(&f.json, "json", false, "as JSON")
	set.BoolVar(&f.plan, "plan", false, "when which case would run in real time, and when the run would end")
	return c
}

// list prints the cases that the flags choose; the profile counts only if it was asked for.
func (p *program) list(f *listFlags, profile bool) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if err := f.check(p); err != nil {
		return err
	}
	o.Cases = slices.Collect(p.cases())
	everything := conformance.Capabilities{Virtual: !profile && !f.plan, Has: ^conformance.Need(0), Kind: "go"}
	cases := o.Selected(everything)
	if f.plan {
		return p.plan(o, everything, f.json)
	}
	infos := report.Describe(cases)
	if f.json {
		return writeJSON(p.stdout, infos)
	}
	return printList(p.stdout, infos)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printList writes a case per line: level, ID, rules; what it shows is in explain.
func printList(w io.Writer, cases []report.CaseInfo) error {
	area, count := "", map[conformance.Level]int{}
	var b strings.Builder
	for _, c := range cases {
		if a := report.Area(c.ID); a != area {
			if area != "" {
				b.WriteString("\n")
			}
			area = a
		}
		count[c.Level]++
		fmt.Fprintf(&b, "%-6s  %-60s  %s\n", c.Level, c.ID, strings.Join(c.Rules, " "))
	}
	fmt.Fprintf(&b, "\n%d cases: %d MUST, %d SHOULD, %d MAY, %d IMPL\n", len(cases), count[conformance.Must],
		count[conformance.Should], count[conformance.May], count[conformance.Impl])
	_, err := io.WriteString(w, b.String())
	return err
}
