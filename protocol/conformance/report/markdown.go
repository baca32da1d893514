package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// WriteMarkdown writes the document for a job summary or a results page: the matrix by area, each case that is not a
// plain pass, what was measured, and how to repeat it.
func WriteMarkdown(w io.Writer, d *Document) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# WireGuard conformance\n\n")
	for i := range d.Runs {
		r := &d.Runs[i]
		fmt.Fprintf(b, "- **%s** (`%s`%s): %s in %s\n", mdText(r.Name), mdCode(r.Target), mdVersion(r), r.Headline(),
			short(r.Took))
	}
	if d.Profile != "" {
		fmt.Fprintf(b, "\nProfile `%s`, seed %d, %s, %s, %s/%s, %d CPUs.\n", d.Profile, d.Seed, d.Tool,
			d.Started.UTC().Format("2006-01-02 15:04 UTC"), d.Machine.OS, d.Machine.Arch, d.Machine.CPUs)
	}
	mdAreas(b, d)
	for i := range d.Runs {
		mdFindings(b, d, &d.Runs[i])
	}
	for i := range d.Runs {
		mdTolerances(b, &d.Runs[i])
	}
	if d.Command != "" {
		fmt.Fprintf(b, "\n## Repeat\n\n```sh\n%s\n```\n", cleanLines(d.Command))
	}
	return b.Flush()
}

func mdVersion(r *Run) string {
	if r.Version == "" {
		return ""
	}
	return ", " + mdText(r.Version)
}

// mdAreas is the matrix area × run: passed of judged, then what else there is.
func mdAreas(b *bufio.Writer, d *Document) {
	fmt.Fprintf(b, "\n## By area\n\n| area |")
	for i := range d.Runs {
		fmt.Fprintf(b, " %s |", mdText(d.Runs[i].Name))
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---|", len(d.Runs)))
	for _, area := range d.Areas() {
		fmt.Fprintf(b, "| %s |", mdText(area))
		for i := range d.Runs {
			fmt.Fprintf(b, " %s |", areaCell(d.Runs[i].Area(area)))
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "| **all** |")
	for i := range d.Runs {
		fmt.Fprintf(b, " **%s** |", areaCell(d.Runs[i].Counts))
	}
	fmt.Fprintln(b)
}

// Area counts the run's results in one area.
func (r *Run) Area(area string) Counts {
	var some []conformance.Result
	for i := range r.Results {
		if Area(r.Results[i].Case) == area {
			some = append(some, r.Results[i])
		}
	}
	return Count(some)
}

// areaCell says "12/14, 1 fail, 1 warn, 3 unsupported": passed of judged, then all that is no pass and no failure.
func areaCell(c Counts) string {
	if c.Total() == 0 {
		return "–"
	}
	parts := []string{fmt.Sprintf("%d/%d", c.Pass, c.Pass+c.Fail+c.Warn+c.Flaky)}
	for _, v := range Verdicts() {
		if n := c.Of(v); n > 0 && v != conformance.Pass {
			parts = append(parts, fmt.Sprintf("%d %s", n, verdictWords[v]))
		}
	}
	return strings.Join(parts, ", ")
}

func mdFindings(b *bufio.Writer, d *Document, run *Run) {
	head := false
	for i := range run.Results {
		r := &run.Results[i]
		if !Noteworthy(r.Verdict) {
			continue
		}
		if !head {
			fmt.Fprintf(b, "\n## %s: what did not pass\n", mdText(run.Name))
			head = true
		}
		fmt.Fprintf(b, "\n### %s: `%s`\n\n%s (%s, %s)\n\n", verdictWords[r.Verdict], mdCode(r.Case), mdText(r.Title),
			r.Level, tags(r.Rules))
		mdItem(b, "reason", r.Reason)
		mdItem(b, "expected", r.Expected)
		mdItem(b, "actual", r.Actual)
		if c := d.Case(r.Case); c != nil {
			mdItem(b, "why it matters", c.Why)
			mdItem(b, "a bug like this", c.Bug)
		}
	}
	mdValues(b, run)
	mdUnsupported(b, run)
}

// Case finds what is known of a case, nil if nothing is.
func (d *Document) Case(id string) *CaseInfo {
	for i := range d.Cases {
		if d.Cases[i].ID == id {
			return &d.Cases[i]
		}
	}
	return nil
}

func mdItem(b *bufio.Writer, name, text string) {
	if text != "" {
		fmt.Fprintf(b, "- %s: %s\n", name, mdText(text))
	}
}

func mdValues(b *bufio.Writer, run *Run) {
	head := false
	for i := range run.Results {
		r := &run.Results[i]
		for _, n := range valueNames(r) {
			if !head {
				fmt.Fprintf(b, "\n## %s: measured\n\n| case | what | value |\n|---|---|---|\n", mdText(run.Name))
				head = true
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", mdCode(r.Case), mdText(n), mdText(r.Values[n]))
		}
	}
}

func mdUnsupported(b *bufio.Writer, run *Run) {
	if run.Counts.Unsupported == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s: unsupported\n\n| case | why |\n|---|---|\n", mdText(run.Name))
	for i := range run.Results {
		if r := &run.Results[i]; r.Verdict == conformance.Unsupported {
			fmt.Fprintf(b, "| `%s` | %s |\n", mdCode(r.Case), mdText(message(r)))
		}
	}
}

func mdTolerances(b *bufio.Writer, run *Run) {
	if len(run.Tolerances) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s: tolerances (%s)\n\n| quantity | accepted | why |\n|---|---|---|\n", mdText(run.Name),
		run.Column())
	for _, t := range run.Tolerances {
		fmt.Fprintf(b, "| %s | %s | %s |\n", mdText(t.Quantity), mdText(t.Window), mdText(t.Why))
	}
}

var mdEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "&", "&amp;",
	"[", `\[`, "]", `\]`)

// mdText makes text fit for running text and table cells.
func mdText(s string) string { return mdEscapes.Replace(clean(s)) }

// mdCode makes text fit for a code span in a table.
func mdCode(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(clean(s), "`", "'"), "|", `\|`)
}
