package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// progress shows how far a run is and what still runs: on a terminal in one line that is written over, elsewhere a
// line for each case that did not pass or is to be repeated, and some once in a while, so that a log shows life.
type progress struct {
	w        io.Writer // nil: nobody wants to know
	name     string
	total    int
	terminal bool
	began    time.Time
	stop     chan struct{} // closed: the run is over
	stopped  chan struct{}

	mu      sync.Mutex
	done    int
	counts  report.Counts
	running map[string]running
	waiting map[string]bool // to be repeated
	last    time.Time
}

// running is a case that runs.
type running struct {
	since time.Time
	event conformance.Event
}

const (
	redraw   = 100 * time.Millisecond // at most so often on a terminal
	alive    = 30 * time.Second       // elsewhere
	lineRoom = 99                     // columns, so that the line does not wrap
	named    = 4                      // cases that run, by name
)

func newProgress(stderr io.Writer, name string, total int, quiet bool) *progress {
	p := &progress{name: name, total: total, terminal: shell.IsTerminal(stderr), began: time.Now(), last: time.Now(),
		stop: make(chan struct{}), stopped: make(chan struct{}), running: map[string]running{},
		waiting: map[string]bool{}}
	if !quiet {
		p.w = stderr
	}
	return p
}

// live shows the state now and then, also if nothing happens for minutes, until end.
func (p *progress) live() {
	defer close(p.stopped)
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.mu.Lock()
			p.show(now)
			p.mu.Unlock()
		}
	}
}

// show prints the state if it is time to.
func (p *progress) show(now time.Time) {
	switch {
	case p.w == nil:
	case p.terminal && now.Sub(p.last) >= redraw:
		fmt.Fprint(p.w, "\r\x1b[K"+p.line(now, 1))
		p.last = now
	case !p.terminal && now.Sub(p.last) >= alive:
		fmt.Fprintln(p.w, p.line(now, 0))
		if s := p.still(now, named); s != "" {
			fmt.Fprintln(p.w, "  "+s)
		}
		p.last = now
	}
}

// watch takes note of what goes on between results.
func (p *progress) watch(e conformance.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Verdict == "" {
		p.running[e.Case] = running{time.Now(), e}
		delete(p.waiting, e.Case)
		return
	}
	delete(p.running, e.Case)
	p.waiting[e.Case] = true
	if p.w != nil && !p.terminal {
		fmt.Fprintf(p.w, "%s: %s %s, is repeated: %s\n", p.name, e.Verdict, e.Case, firstLine(e.Reason))
	}
}

// result takes note of a result.
func (p *progress) result(r *conformance.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.counts.Add(r.Verdict, 1)
	delete(p.running, r.Case)
	delete(p.waiting, r.Case)
	if p.w != nil && !p.terminal && report.Noteworthy(r.Verdict) {
		fmt.Fprintf(p.w, "%s: %s %s: %s\n", p.name, r.Verdict, r.Case, firstLine(r.Reason))
	}
	p.show(time.Now())
}

// line is the state in one line of a terminal, with the names of some cases that run.
func (p *progress) line(now time.Time, names int) string {
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
	s += fmt.Sprintf("  %s", now.Sub(p.began).Round(time.Second))
	if names > 0 {
		if still := p.still(now, names); still != "" {
			s += "  " + still
		}
	}
	if r := []rune(s); len(r) > lineRoom {
		s = string(r[:lineRoom-1]) + "…"
	}
	return s
}

// still names what runs, what lasts longest first, and counts what waits to be repeated.
func (p *progress) still(now time.Time, names int) string {
	left := func(r running) time.Duration { return r.event.Lasts - now.Sub(r.since) }
	all := make([]running, 0, len(p.running))
	for _, r := range p.running {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b running) int {
		return cmp.Or(cmp.Compare(left(b), left(a)), strings.Compare(a.event.Case, b.event.Case))
	})
	s := ""
	for i, r := range all {
		if i == names {
			s += fmt.Sprintf(", %d more", len(all)-i)
			break
		}
		if i > 0 {
			s += ", "
		}
		s += r.event.Case
		if r.event.Try > 1 {
			s += fmt.Sprintf(" (try %d)", r.event.Try)
		}
		s += fmt.Sprintf(" %s of %s", now.Sub(r.since).Round(time.Second), r.event.Lasts.Round(time.Second))
	}
	if s != "" {
		s = fmt.Sprintf("%d run: %s", len(all), s)
	}
	if n := len(p.waiting); n > 0 {
		if s != "" {
			s += "; "
		}
		s += fmt.Sprintf("%d to be repeated", n)
	}
	return s
}

// end leaves the line as it was found.
func (p *progress) end() {
	close(p.stop)
	<-p.stopped
	if p.w != nil && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
