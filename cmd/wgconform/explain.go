package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

func (p *program) explainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain CASE...",
		Short: "Say what a case tests, which rules it is about, and why it matters",
		Long: `Say what a case tests, which rules it is about, why it matters, which real bug it would have caught, what it
needs and how to run it alone. CASE may have * in it.`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for k := range p.cases() {
				if strings.HasPrefix(k.ID, start) {
					ids = append(ids, k.ID)
				}
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.explain(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, rules included")
	return c
}

// explained is a case with the texts of its rules.
type explained struct {
	report.CaseInfo
	RuleTexts []report.Rule `json:"rule_texts"`
	Run       string        `json:"run"`
}

func (p *program) explain(patterns []string, asJSON bool) error {
	var all []explained
	infos := report.Describe(slices.Collect(p.cases()))
	for _, pattern := range patterns {
		found := false
		for _, c := range infos {
			if !conformance.Glob(pattern, c.ID) {
				continue
			}
			found = true
			e := explained{CaseInfo: c, Run: "wgconform run --only " + quote(c.ID)}
			for _, id := range c.Rules {
				e.RuleTexts = append(e.RuleTexts, report.RuleOf(id))
			}
			all = append(all, e)
		}
		if !found {
			return fmt.Errorf("there is no case %q%s", pattern, similar(pattern, infos))
		}
	}
	if asJSON {
		return writeJSON(p.stdout, all)
	}
	for i := range all {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if err := all[i].print(p.stdout, shell.WantsColor(p.stdout)); err != nil {
			return err
		}
	}
	return nil
}

func (e *explained) print(w io.Writer, color bool) error {
	lasts := "no time worth speaking of"
	if e.Lasts > 0 {
		lasts = "up to " + e.Lasts.String() + " of the target's time"
	}
	items := []report.Item{{Text: e.Title}}
	for _, r := range e.RuleTexts {
		items = append(items, report.Item{Name: r.ID, Text: fmt.Sprintf("%s (%s)", r.Text, r.Level)})
	}
	items = append(items, report.Item{Name: "why", Text: e.Why}, report.Item{Name: "seen in", Text: e.Bug},
		report.Item{Name: "needs", Text: strings.Join(e.Needs, ", ")}, report.Item{Name: "runs", Text: string(e.Isolation)},
		report.Item{Name: "takes", Text: lasts}, report.Item{Name: "run it", Text: e.Run})
	return report.WriteItems(w, e.ID+"  "+string(e.Level), items, color)
}

// similar names cases that may have been meant: those that share the most words with what was typed.
func similar(typed string, cases []report.CaseInfo) string {
	split := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune("/-* ", r) })
	}
	words, best := split(typed), 0
	var names []string
	for _, c := range cases {
		n := 0
		for _, w := range split(c.ID) {
			if slices.Contains(words, w) {
				n++
			}
		}
		if n > best {
			best, names = n, nil
		}
		if n == best && n > 0 && len(names) < 5 {
			names = append(names, c.ID)
		}
	}
	if len(names) == 0 {
		return ", see wgconform list"
	}
	return ", but " + strings.Join(names, ", ")
}
