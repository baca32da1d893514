package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// progress shows how far a run is: on a terminal in one line that is written over, elsewhere a line for each case that
// did not pass and one in a while, so that a log shows life.
type progress struct {
	w           io.Writer // nil: nobody wants to know
	name        string
	total, done int
	counts      report.Counts
	terminal    bool
	began, last time.Time
	latest      string
}

const (
	redraw   = 100 * time.Millisecond // at most so often on a terminal
	alive    = 30 * time.Second       // elsewhere
	lineRoom = 99                     // columns, so that the line does not wrap
)

func newProgress(stderr io.Writer, name string, total int, quiet bool) *progress {
	p := &progress{name: name, total: total, terminal: shell.IsTerminal(stderr), began: time.Now(), last: time.Now()}
	if !quiet {
		p.w = stderr
	}
	return p
}

// result takes note of a result.
func (p *progress) result(r *conformance.Result) {
	p.done++
	p.counts.Add(r.Verdict, 1)
	p.latest = r.Case
	if p.w == nil {
		return
	}
	now := time.Now()
	switch {
	case p.terminal && now.Sub(p.last) >= redraw:
		p.last = now
		fmt.Fprint(p.w, "\r\x1b[K"+p.line())
	case !p.terminal && report.Noteworthy(r.Verdict):
		p.last = now
		fmt.Fprintf(p.w, "%s: %s %s: %s\n", p.name, r.Verdict, r.Case, firstLine(r.Reason))
	case !p.terminal && now.Sub(p.last) >= alive:
		p.last = now
		fmt.Fprintln(p.w, p.line())
	}
}

// line is the state in one line of a terminal.
func (p *progress) line() string {
	c := p.counts
	s := fmt.Sprintf("%s  %d/%d  ", p.name, p.done, p.total)
	const cells = 20
	full := cells * p.done / max(p.total, 1)
	s += strings.Repeat("█", full) + strings.Repeat("░", cells-full)
	if bad := c.Fail + c.Flaky + c.Error; bad > 0 {
		s += fmt.Sprintf("  %d failed", bad)
	}
	if c.Warn > 0 {
		s += fmt.Sprintf("  %d warned", c.Warn)
	}
	s += fmt.Sprintf("  %s  %s", time.Since(p.began).Round(time.Second), p.latest)
	if r := []rune(s); len(r) > lineRoom {
		s = string(r[:lineRoom-1]) + "…"
	}
	return s
}

// end leaves the line as it was found.
func (p *progress) end() {
	if p.w != nil && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
