package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// The elements of the JUnit dialect that Jenkins, GitLab and GitHub's readers share, in the order they want.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string    `xml:"classname,attr"`
		Name    string    `xml:"name,attr"`
		Time    string    `xml:"time,attr"`
		Skipped *junitWhy `xml:"skipped"`
		Error   *junitWhy `xml:"error"`
		Failure *junitWhy `xml:"failure"`
		Out     string    `xml:"system-out,omitempty"`
		Err     string    `xml:"system-err,omitempty"`
	}
	junitWhy struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the document as JUnit XML: a suite per run and area, a test per case. A broken SHOULD rule is a
// failure if strict; otherwise the test passes and its output says so. What could not be judged is skipped.
func WriteJUnit(w io.Writer, d *Document, strict bool) error {
	all := junitSuites{Name: "wgconform", Time: junitTime(d.Took)}
	for i := range d.Runs {
		run := &d.Runs[i]
		for _, area := range d.Areas() {
			if s := junitArea(d, run, area, strict); s.Tests > 0 {
				all.Tests += s.Tests
				all.Failures += s.Failures
				all.Errors += s.Errors
				all.Suites = append(all.Suites, s)
			}
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitArea(d *Document, run *Run, area string, strict bool) junitSuite {
	s := junitSuite{
		Name:      clean(run.Name) + "." + area,
		Timestamp: run.Started.UTC().Format("2006-01-02T15:04:05"),
		Hostname:  "localhost", // readers want one; that of the machine is nobody's business
		Properties: []junitProperty{
			{"target", clean(run.Target)}, {"version", clean(run.Version)}, {"tolerances", run.Column()},
			{"profile", d.Profile}, {"seed", strconv.FormatUint(d.Seed, 10)}, {"tool", d.Tool},
		},
	}
	var took time.Duration
	for i := range run.Results {
		r := &run.Results[i]
		if Area(r.Case) != area {
			continue
		}
		c := junitResult(r, strict)
		c.Class = s.Name
		took += r.Took
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	s.Time = junitTime(took)
	return s
}

func junitResult(r *conformance.Result, strict bool) junitCase {
	c := junitCase{Name: r.Case, Time: junitTime(r.Took), Err: cleanLines(r.Stderr)}
	why := &junitWhy{message(r), string(r.Verdict), detail(r)}
	switch {
	case Failed(r, strict):
		why.Type = fmt.Sprintf("%s %s", r.Level, r.Verdict)
		c.Failure = why
	case r.Verdict == conformance.Broken:
		c.Error = why
	case r.Verdict == conformance.Unsupported || r.Verdict == conformance.Inconclusive:
		why.Message, why.Text = string(r.Verdict)+": "+why.Message, ""
		c.Skipped = why
	case r.Verdict != conformance.Pass:
		c.Out = detail(r)
	}
	return c
}

func junitTime(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
