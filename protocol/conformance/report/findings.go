package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// Finding explains why cases did not pass on an implementation.
type Finding struct {
	Run      string   // the name of the run, as a section of the file has it
	Severity string   // "high", "medium", "low"
	Sort     string   // "bug", "choice", or "machine" for what was not the implementation's fault
	What     string   // what the implementation does
	Source   string   // the lines that do it
	Rules    []string // broken
	Cases    []string // globs of IDs
}

// findingColumns is the head of each table of findings.
var findingColumns = []string{"severity", "sort", "what it does", "source", "rules", "cases"}

// ParseFindings reads a file of findings in Markdown: a section "## NAME" for each run, in it tables with the columns
// severity, sort, what it does, source, rules, cases. Cases stand in backquotes, anything else in that column is for
// people. The error names file, line and column of what is wrong.
func ParseFindings(file, text string) (all []Finding, err error) {
	run, table := "", false
	for i, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			run, table = strings.TrimSpace(name), false
			continue
		}
		if !strings.HasPrefix(line, "|") {
			table = false
			continue
		}
		cells := rowCells(line)
		switch {
		case slices.Equal(cells, findingColumns):
			table = true
		case !table, strings.Trim(strings.Join(cells, ""), "-: ") == "":
		case len(cells) != len(findingColumns):
			return nil, fmt.Errorf("%s:%d: %d columns, a finding has %d", file, i+1, len(cells), len(findingColumns))
		default:
			f, err := newRow(run, cells)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// rowCells takes a line of a table apart. A backslash before a bar makes it part of the text.
func rowCells(line string) (cells []string) {
	const bar = "\x00"
	line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, bar)
	for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(strings.ReplaceAll(c, bar, "|")))
	}
	return cells
}

func newRow(run string, cells []string) (f Finding, err error) {
	f = Finding{Run: run, Severity: cells[0], Sort: cells[1], What: unquoted(cells[2]),
		Source: unquoted(cells[3]), Cases: quoted(cells[5])}
	for _, r := range strings.Split(cells[4], ",") {
		f.Rules = append(f.Rules, strings.TrimSpace(r))
	}
	switch {
	case run == "":
		return f, fmt.Errorf("a finding outside a section")
	case !slices.Contains([]string{"high", "medium", "low"}, f.Severity):
		return f, fmt.Errorf("severity %q, there are high, medium and low", f.Severity)
	case !slices.Contains([]string{"bug", "choice", "machine"}, f.Sort):
		return f, fmt.Errorf("sort %q, there are bug, choice and machine", f.Sort)
	case f.What == "":
		return f, fmt.Errorf("what it does is not said")
	case f.Source == "":
		return f, fmt.Errorf("its source is not said")
	case len(f.Cases) == 0:
		return f, fmt.Errorf("no case in backquotes")
	}
	return f, nil
}

// FindingsOf lists those that explain a case of a run.
func FindingsOf(all []Finding, run, id string) (some []Finding) {
	for _, f := range all {
		if f.Run == run && slices.ContainsFunc(f.Cases, func(g string) bool { return conformance.Glob(g, id) }) {
			some = append(some, f)
		}
	}
	return some
}

// unquoted is text without the marks of code.
func unquoted(s string) string { return strings.ReplaceAll(s, "`", "") }

// quoted lists what stands in backquotes.
func quoted(s string) (all []string) {
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}
