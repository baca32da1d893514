package report

import (
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// HTMLOptions add to a page what the document does not hold.
type HTMLOptions struct {
	// Captures gives the bytes of a case's pcapng file, which the page offers for download; nil or empty: none.
	Captures func(run *Run, id string) []byte
	// CaptureLink gives the way from the page to a case's pcapng file that lies beside it; nil or empty: none.
	CaptureLink func(run *Run, id string) string
	// Findings explain what did not pass.
	Findings []Finding
	// Repeat gives the command that runs one case again; nil: it is not said.
	Repeat func(run *Run, id string) string
}

// mostCapture is how large a capture may be that a page carries.
const mostCapture = 1 << 20

// page is what the template sees.
type page struct {
	*Document
	CSS      template.CSS
	JS       template.JS
	Verdicts []verdictView
	Areas    []areaView
	Single   bool // one run: no matrix of runs, but a column for the time it took
	Many     bool // more runs than there is room for words
}

type verdictView struct {
	Name  string
	Count int
}

type areaView struct {
	Name  string
	Cells []Counts // one per run
	Cases []caseView
}

type caseView struct {
	CaseInfo
	RuleTexts []Rule
	Cells     []cellView // one per run; without result: an empty verdict
	Findings  []findingView
	Open      bool // worth reading
	Worst     string
}

type cellView struct {
	Verdict string
	Reason  string
	Took    string
}

type findingView struct {
	*conformance.Result
	Run         *Run
	Word        string
	Shows       bool   // more than a verdict
	Why         string // the reason, unless it only repeats what was expected and found
	Values      []string
	Whole, Zoom template.HTML
	Steps       []stepView
	Attempts    []attemptView
	Repeat      string
	Explained   []Finding
	Capture     template.URL
	CaptureName string
	StderrTail  string
}

type attemptView struct {
	conformance.Attempt
	Whole template.HTML
	Steps []stepView
}

type stepView struct {
	*conformance.TraceEntry
	When string
	Dump *dump
	Left int // entries that are left out after this one
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"short":   short,
	"lasts":   func(d time.Duration) string { return short(d) },
	"glyph":   func(v string) string { return glyphs[v] },
	"anchor":  func(id string) template.URL { return template.URL("#" + (&url.URL{Path: id}).EscapedPath()) },
	"clean":   clean,
	"lines":   cleanLines,
	"list":    strings.Join,
	"percent": percent,
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"judged":  func(c Counts) int { return c.Pass + c.Fail + c.Warn + c.Flaky },
	"bar":     bar,
	"tail":    func(id string) string { return strings.TrimPrefix(id, Area(id)+"/") },
}).Parse(pageHTML))

// glyphs tell verdicts apart without colour.
var glyphs = map[string]string{"pass": "✓", "fail": "✗", "warn": "!", "flaky": "≈", "unsupported": "–",
	"inconclusive": "?", "measured": "#", "error": "⚠", "not-run": "…", "": "·"}

// WriteHTML writes the document as one page that needs nothing else: no network, no other file.
func WriteHTML(w io.Writer, d *Document, o HTMLOptions) error {
	p := page{Document: d, CSS: template.CSS(pageCSS), JS: template.JS(pageJS), Single: len(d.Runs) == 1,
		Many: len(d.Runs) > 5}
	for _, v := range Verdicts() {
		n := 0
		for i := range d.Runs {
			n += d.Runs[i].Counts.Of(v)
		}
		if n > 0 {
			p.Verdicts = append(p.Verdicts, verdictView{verdictWords[v], n})
		}
	}
	for _, area := range d.Areas() {
		p.Areas = append(p.Areas, newAreaView(d, area, &o))
	}
	return pageTemplate.Execute(w, &p)
}

func newAreaView(d *Document, area string, o *HTMLOptions) areaView {
	a := areaView{Name: area}
	for i := range d.Runs {
		a.Cells = append(a.Cells, d.Runs[i].Area(area))
	}
	for i := range d.Cases {
		if Area(d.Cases[i].ID) == area {
			a.Cases = append(a.Cases, newCaseView(d, &d.Cases[i], o))
		}
	}
	return a
}

func newCaseView(d *Document, info *CaseInfo, o *HTMLOptions) caseView {
	c := caseView{CaseInfo: *info, Worst: "pass"}
	for _, id := range info.Rules {
		c.RuleTexts = append(c.RuleTexts, RuleOf(id))
	}
	worst := len(Verdicts())
	for i := range d.Runs {
		run := &d.Runs[i]
		r := run.Result(info.ID)
		if r == nil {
			c.Cells = append(c.Cells, cellView{})
			continue
		}
		for n, v := range Verdicts() {
			if v == r.Verdict && n < worst {
				worst, c.Worst = n, verdictWords[v]
			}
		}
		cell := cellView{Verdict: string(r.Verdict), Took: short(r.Took)}
		if r.Verdict != conformance.Pass && r.Verdict != conformance.Measured {
			cell.Reason = message(r)
		}
		c.Cells = append(c.Cells, cell)
		c.Open = c.Open || Noteworthy(r.Verdict)
		c.Findings = append(c.Findings, newFinding(run, r, o))
	}
	return c
}

func newFinding(run *Run, r *conformance.Result, o *HTMLOptions) findingView {
	f := findingView{Result: r, Run: run, Word: verdictWords[r.Verdict], Values: valueNames(r),
		StderrTail: lastLines(r.Stderr, 60)}
	f.Whole, f.Zoom, f.Steps = story(r.Trace)
	for _, a := range r.Earlier {
		whole, _, steps := story(a.Trace)
		f.Attempts = append(f.Attempts, attemptView{a, whole, steps})
	}
	if reasonAdds(r) {
		f.Why = r.Reason
	}
	if o.Repeat != nil {
		f.Repeat = o.Repeat(run, r.Case)
	}
	if o.Captures != nil {
		if b := o.Captures(run, r.Case); len(b) > 0 && len(b) <= mostCapture {
			f.CaptureName = path.Base(CaptureName(run.Name, r.Case))
			const kind = "data:application/octet-stream;base64,"
			f.Capture = template.URL(kind + base64.StdEncoding.EncodeToString(b))
		}
	}
	if o.CaptureLink != nil && f.Capture == "" {
		if link := o.CaptureLink(run, r.Case); link != "" {
			f.CaptureName = path.Base(link)
			f.Capture = template.URL((&url.URL{Path: link}).EscapedPath())
		}
	}
	if Noteworthy(r.Verdict) {
		f.Explained = FindingsOf(o.Findings, run.Name, r.Case)
	}
	f.Shows = r.Verdict != conformance.Pass || len(r.Trace) > 0 || len(r.Values) > 0 || len(r.Earlier) > 0 ||
		len(r.Notes) > 0
	return f
}

// CaptureName is the name of a case's capture file, without folder: the run's and the case's ID, made fit for every
// file system.
func CaptureName(run, id string) string {
	fit := func(r rune) rune {
		switch {
		case r == '/':
			return '.'
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}
	return strings.Map(fit, run) + "--" + strings.Map(fit, id) + ".pcapng"
}

// story draws and lists a trace.
func story(trace []conformance.TraceEntry) (whole, zoom template.HTML, steps []stepView) {
	const mostMarks, mostSteps = 1000, 240
	a, b := timelines(pick(trace, mostMarks, nil))
	left := make([]int, 0, mostSteps+1)
	for i, e := range pick(trace, mostSteps, &left) {
		s := stepView{TraceEntry: &e, When: instant(&e), Left: left[i]}
		if len(e.Bytes) > 0 {
			s.Dump = newDump(&e)
		}
		steps = append(steps, s)
	}
	return template.HTML(a), template.HTML(b), steps
}

// pick shortens a long trace: it keeps its beginning, its end, all windows, and what surrounds that which broke the
// rule. left, if given, gets for each kept entry how many were left out after it.
func pick(trace []conformance.TraceEntry, most int, left *[]int) (kept []conformance.TraceEntry) {
	around := len(trace) / 2
	for i := range trace {
		if trace[i].Broke {
			around = i
		}
	}
	part := most / 3
	for i := range trace {
		near := i >= around-part/2 && i <= around+part/2
		if len(trace) <= most || i < part || i >= len(trace)-part || near || trace[i].Kind == "window" {
			kept = append(kept, trace[i])
			if left != nil {
				*left = append(*left, 0)
			}
		} else if left != nil {
			(*left)[len(*left)-1]++
		}
	}
	return kept
}

// percent is a share as the CSS width of a bar.
func percent(n, of int) template.CSS {
	if of == 0 {
		return "0%"
	}
	return template.CSS(fmtPercent(n, of))
}

type barPart struct {
	Name  string
	Count int
}

// bar lists the parts of a bar from good to bad.
func bar(c Counts) (parts []barPart) {
	all := Verdicts()
	for i := len(all) - 1; i >= 0; i-- {
		if n := c.Of(all[i]); n > 0 {
			parts = append(parts, barPart{verdictWords[all[i]], n})
		}
	}
	return parts
}
