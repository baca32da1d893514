package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/purewire/purewire/protocol/conformance/report"
)

// addedRun is a run that was made earlier: a JSON report, what to call its run, and the folder of its captures.
type addedRun struct{ name, file string }

// parseAdded reads NAME=FILE, or FILE alone for a run that keeps its name.
func parseAdded(all []string) (added []addedRun, err error) {
	for _, a := range all {
		name, file, ok := strings.Cut(a, "=")
		if !ok {
			name, file = "", a
		}
		if ok && !targetName.MatchString(name) || file == "" {
			return nil, fmt.Errorf("--add %s: want FILE or NAME=FILE, as in go=results/wireguard-go.json", a)
		}
		added = append(added, addedRun{name, file})
	}
	return added, nil
}

// add takes earlier runs into the document and notes where their captures lie.
func (s *session) add(added []addedRun) error {
	seen := map[string]bool{}
	for i := range s.doc.Runs {
		seen[s.doc.Runs[i].Name] = true
	}
	for _, a := range added {
		doc, err := readReport(a.file)
		if err != nil {
			return err
		}
		if a.name != "" {
			if len(doc.Runs) != 1 {
				return fmt.Errorf("--add %s=%s: it has %d runs, a name is for one", a.name, a.file, len(doc.Runs))
			}
			doc.Runs[0].Name = a.name
		}
		for i := range doc.Runs {
			name := doc.Runs[i].Name
			if seen[name] {
				return fmt.Errorf("--add %s: a run is called %s already; --add NAME=FILE gives it another name", a.file, name)
			}
			seen[name] = true
			s.folders[name] = filepath.Join(filepath.Dir(a.file), "captures")
		}
		s.doc.Add(doc)
	}
	if s.doc.Profile == "" && len(s.doc.Runs) > 0 { // nothing was tested now: the document speaks of earlier days only
		first := s.doc.Runs[0].Origin
		s.doc.Tool, s.doc.Machine, s.doc.Command = first.Tool, first.Machine, s.command
		for i := range s.doc.Runs {
			if at := s.doc.Runs[i].Started; at.After(s.doc.Started) {
				s.doc.Started = at
			}
		}
	}
	s.doc.Normalize()
	return nil
}

func readReport(file string) (*report.Document, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := report.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return doc, nil
}

// linkCapture gives the way from the page to the capture of a case of an earlier run, if there is one.
func (s *session) linkCapture(run *report.Run, id string) string {
	folder, ok := s.folders[run.Name]
	if !ok || s.reports.html == "-" {
		return ""
	}
	file := filepath.Join(folder, report.CaptureName(run.Name, id))
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	link, err := filepath.Rel(filepath.Dir(s.reports.html), file)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(link)
}

// readFindings reads the file that explains what did not pass; an empty name: there is none.
func readFindings(file string) ([]report.Finding, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--findings: %w", err)
	}
	return report.ParseFindings(file, string(text))
}
