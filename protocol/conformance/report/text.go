package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// TextOptions say how the summary is printed.
type TextOptions struct {
	Color bool // with ANSI colours
	// Captures gives the file of a case's capture; nil, or an empty answer: there is none.
	Captures func(run *Run, id string) string
	// Repeat gives the command that runs one case again; nil: it is not said.
	Repeat func(run *Run, id string) string
	// Quiet leaves out the tables of tolerances and measured values.
	Quiet bool
}

// WriteText writes the summary for people at a terminal of 100 columns: each case that is not a plain pass with what
// was expected and found, what was measured, the tolerances, the counts by area, and last how to repeat the run.
func WriteText(w io.Writer, d *Document, o TextOptions) error {
	p := &printer{w: w, color: o.Color}
	for i := range d.Runs {
		run := &d.Runs[i]
		p.findings(run, &o)
		p.unsupported(run)
		if !o.Quiet {
			p.values(run)
			p.tolerances(run)
		}
	}
	if len(d.Runs) > 1 {
		p.matrix(d)
	} else if len(d.Runs) == 1 {
		p.areas(d, &d.Runs[0])
	}
	p.verdicts(d)
	return p.err
}

func (p *printer) findings(run *Run, o *TextOptions) {
	for i := range run.Results {
		if r := &run.Results[i]; Noteworthy(r.Verdict) {
			p.line("")
			p.finding(run, r, o)
		}
	}
}

func (p *printer) finding(run *Run, r *conformance.Result, o *TextOptions) {
	p.line(p.paint(toneOf(r.Verdict), strings.ToUpper(verdictWords[r.Verdict])) + "  " + p.paint(bold, r.Case) + "  " +
		p.paint(faint, string(r.Level)+" "+tags(r.Rules)))
	p.item("", r.Title)
	if reasonAdds(r) {
		p.item("reason", r.Reason)
	}
	p.item("expected", r.Expected)
	p.item("actual", r.Actual)
	if r.Premise {
		p.item("", "The case did not get as far as its own question: something that it builds on failed.")
	}
	for _, n := range r.Notes {
		p.item("note", n)
	}
	for i, a := range r.Earlier {
		p.item(fmt.Sprintf("try %d", i+1), string(a.Verdict)+": "+a.Reason)
	}
	if e := lastLines(r.Stderr, 6); e != "" {
		p.item("stderr", e)
	}
	if o.Captures != nil {
		p.item("capture", o.Captures(run, r.Case))
	}
	if o.Repeat != nil {
		p.item("repeat", o.Repeat(run, r.Case))
	}
}

// item writes "  name      text", wrapped; nothing if there is no text.
func (p *printer) item(name, text string) {
	if clean(text) == "" {
		return
	}
	const indent = 14
	p.hang(p.paint(faint, fmt.Sprintf("  %-*s", indent-2, name)), indent, cleanLines(text))
}

func (p *printer) unsupported(run *Run) {
	if run.Counts.Unsupported == 0 {
		return
	}
	// Cases that lack one thing are listed together: that is how they come.
	var reasons []string
	cases := map[string][]string{}
	for i := range run.Results {
		if r := &run.Results[i]; r.Verdict == conformance.Unsupported {
			m := message(r)
			if cases[m] == nil {
				reasons = append(reasons, m)
			}
			cases[m] = append(cases[m], r.Case)
		}
	}
	p.heading(fmt.Sprintf("Unsupported by %s: %d", clean(run.Name), run.Counts.Unsupported))
	for _, m := range reasons {
		p.hang("  ", 2, m)
		for _, id := range cases[m] {
			p.line(p.paint(faint, "    "+id))
		}
	}
}

func (p *printer) values(run *Run) {
	var rows [][]string
	for i := range run.Results {
		r := &run.Results[i]
		for _, n := range valueNames(r) {
			rows = append(rows, []string{r.Case, n, clean(r.Values[n])})
		}
	}
	if len(rows) > 0 {
		p.heading("Measured on " + clean(run.Name))
		p.table([]string{"case", "what", "value"}, rows)
	}
}

func (p *printer) tolerances(run *Run) {
	if len(run.Tolerances) == 0 {
		return
	}
	var rows [][]string
	for _, t := range run.Tolerances {
		rows = append(rows, []string{t.Quantity, t.Window, t.Why})
	}
	p.heading(fmt.Sprintf("Tolerances for %s (%s)", clean(run.Name), run.Column()))
	p.table([]string{"quantity", "accepted", "why"}, rows)
}

func (p *printer) areas(d *Document, run *Run) {
	columns := []conformance.Verdict{conformance.Pass, conformance.Fail, conformance.Warn, conformance.Flaky,
		conformance.Measured, conformance.Unsupported, conformance.Inconclusive, conformance.Broken}
	head := []string{"area"}
	var used []conformance.Verdict
	for _, v := range columns {
		if v == conformance.Pass || v == conformance.Fail || run.Counts.Of(v) > 0 {
			used = append(used, v)
			head = append(head, ">"+verdictWords[v])
		}
	}
	var rows [][]string
	row := func(name string, c Counts) {
		cells := []string{name}
		for _, v := range used {
			if n := c.Of(v); n > 0 {
				cells = append(cells, fmt.Sprint(n))
			} else {
				cells = append(cells, "·")
			}
		}
		rows = append(rows, append(cells, fmt.Sprint(c.Total())))
	}
	for _, a := range d.Areas() {
		row(a, run.Area(a))
	}
	row("all", run.Counts)
	p.heading("By area")
	p.table(append(head, ">cases"), rows)
}

// matrix is area × run.
func (p *printer) matrix(d *Document) {
	head, rows := []string{"area"}, [][]string{}
	for i := range d.Runs {
		head = append(head, clean(d.Runs[i].Name))
	}
	cell := func(c Counts) string {
		s := fmt.Sprintf("%d/%d", c.Pass, c.Pass+c.Fail+c.Warn+c.Flaky)
		if c.Total() == 0 {
			return "–"
		}
		if n := c.Inconclusive + c.Error; n > 0 {
			s += fmt.Sprintf(" ?%d", n)
		}
		if c.Unsupported > 0 {
			s += fmt.Sprintf(" -%d", c.Unsupported)
		}
		return s
	}
	for _, a := range d.Areas() {
		row := []string{a}
		for i := range d.Runs {
			row = append(row, cell(d.Runs[i].Area(a)))
		}
		rows = append(rows, row)
	}
	all := []string{"all"}
	for i := range d.Runs {
		all = append(all, cell(d.Runs[i].Counts))
	}
	p.heading("Passed of judged (?n: not to be judged, -n: unsupported)")
	p.table(head, append(rows, all))
}

// verdicts ends the summary: a line per run, the seed and the command.
func (p *printer) verdicts(d *Document) {
	p.line("")
	for i := range d.Runs {
		run := &d.Runs[i]
		t := good
		for _, v := range Verdicts() {
			if run.Counts.Of(v) > 0 {
				t = toneOf(v)
				break
			}
		}
		if t == plain || t == faint {
			t = good
		}
		p.hang(p.paint(t, clean(run.Name))+": ", len([]rune(clean(run.Name)))+2,
			fmt.Sprintf("%s of %d cases in %s", run.Headline(), run.Counts.Total(), short(run.Took)))
	}
	if d.Profile != "" {
		p.line(fmt.Sprintf("seed %d, profile %s", d.Seed, d.Profile))
	}
	if d.Command != "" {
		p.hang(p.paint(faint, "repeat: "), 8, d.Command)
	}
}

// lastLines keeps the end of a text: where a program that died says why.
func lastLines(s string, n int) string {
	lines := strings.Split(cleanLines(s), "\n")
	if len(lines) > n {
		lines = append([]string{"…"}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}

// Item is something with a name, for WriteItems.
type Item struct{ Name, Text string }

// WriteItems writes a heading and named texts under it, wrapped for a terminal. Items without text are left out.
func WriteItems(w io.Writer, heading string, items []Item, color bool) error {
	p := &printer{w: w, color: color}
	p.line(p.paint(bold, clean(heading)))
	for _, i := range items {
		p.item(i.Name, i.Text)
	}
	return p.err
}
