package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/capture"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// virtualOrigin is the time of day of captures from virtual time, so that they are the same in every run.
var virtualOrigin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// capture makes the captures of what failed, in memory for the page and as files in the folder that was asked for,
// which is made only if there is something to put into it.
func (s *session) capture() error {
	if s.reports.captures == "" {
		return nil
	}
	for i := range s.doc.Runs {
		run := &s.doc.Runs[i]
		origin := run.Started
		if run.Virtual {
			origin = virtualOrigin
		}
		for j := range run.Results {
			r := capturable(&run.Results[j])
			if r == nil {
				continue
			}
			var b bytes.Buffer
			if err := capture.Write(&b, run.Target, r, origin); err != nil {
				return fmt.Errorf("cannot write the capture: %w", err)
			}
			s.captures[report.CaptureName(run.Name, r.Case)] = b.Bytes()
		}
	}
	if len(s.captures) == 0 {
		return nil
	}
	return s.saveCaptures()
}

// capturable is the failure that a result tells of: itself, or of a flaky one the try that failed.
func capturable(r *conformance.Result) *conformance.Result {
	switch r.Verdict {
	case conformance.Fail, conformance.Warn:
	case conformance.Flaky:
		for _, a := range r.Earlier {
			if a.Verdict == conformance.Fail || a.Verdict == conformance.Warn {
				failed := *r
				failed.Verdict, failed.Reason, failed.Trace = a.Verdict, a.Reason, a.Trace
				if len(a.Secrets) > 0 {
					failed.Secrets = a.Secrets
				}
				r = &failed
			}
		}
	default:
		return nil
	}
	if len(r.Trace) == 0 {
		return nil
	}
	return r
}

func (s *session) saveCaptures() error {
	if err := os.MkdirAll(s.reports.captures, 0o755); err != nil {
		return fmt.Errorf("--captures: %w", err)
	}
	var all error
	for name, b := range s.captures {
		all = errors.Join(all, os.WriteFile(filepath.Join(s.reports.captures, name), b, 0o644))
	}
	return all
}
