package main

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/capture"
	"github.com/purewire/purewire/transports/sim/report"
)

// outputs are the observers of a run, and where they write to. Each may be missing.
type outputs struct {
	text     *report.Text
	textTo   *bufio.Writer
	json     *report.JSON
	jsonTo   *file
	capture  *capture.Writer
	pcapTo   *file
	events   *report.Events
	eventsTo *file
	page     *report.HTML
	pageTo   *file
	watching []func(*sim.Record)
}

// open makes what the flags ask for. On an error nothing is left behind.
func (p *program) open(f *runFlags, s *sim.Scenario) (o *outputs, err error) {
	o = &outputs{}
	defer func() {
		if err != nil {
			o.discard()
		}
	}()
	if err := f.distinct(); err != nil {
		return o, err
	}
	if f.pcap != "" {
		if o.pcapTo, err = create(f.pcap, "capture", p.stdout); err != nil {
			return o, err
		}
		if o.capture, err = capture.New(o.pcapTo, s, f.seed); err != nil {
			return o, o.pcapTo.failure(err)
		}
		o.watching = append(o.watching, o.capture.Observe)
	}
	if f.json != "" {
		if o.jsonTo, err = create(f.json, "JSON", p.stdout); err != nil {
			return o, err
		}
		o.json = report.NewJSON(o.jsonTo, s, f.seed)
		o.watching = append(o.watching, o.json.Observe)
	}
	if err := o.openReports(p, f, s); err != nil {
		return o, err
	}
	if !f.quiet && !f.toStdout() {
		o.textTo = lineBuffer(p.stdout)
		o.text = report.NewText(o.textTo, s, f.seed, report.Options{Color: shell.WantsColor(p.stdout)})
		o.watching = append(o.watching, o.text.Observe)
	}
	return o, nil
}

// shows reports whether the story scrolls by on a terminal, so that nothing else must write there.
func (o *outputs) shows(stdout io.Writer) bool { return o.text != nil && shell.IsTerminal(stdout) }

// flush gives out the story so far.
func (o *outputs) flush() error {
	if o.textTo == nil {
		return nil
	}
	return o.textTo.Flush()
}

// finish completes everything; what fails is removed, and the first error comes back.
func (o *outputs) finish(r *sim.Result) (first error) {
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if o.capture != nil {
		keep(o.pcapTo.finish(o.capture.Close()))
	}
	if o.json != nil {
		keep(o.jsonTo.finish(o.json.Finish(r)))
	}
	if o.events != nil {
		keep(o.eventsTo.finish(o.events.Finish()))
	}
	if o.page != nil {
		keep(o.pageTo.finish(o.page.Finish(r)))
	}
	if o.text != nil {
		keep(o.text.Finish(r))
		keep(o.textTo.Flush())
	}
	return first
}

// discard removes the files of a run that came to nothing.
func (o *outputs) discard() {
	for _, f := range []*file{o.pcapTo, o.jsonTo, o.eventsTo, o.pageTo} {
		if f != nil {
			f.discard()
		}
	}
}

// progress shows on a terminal how far a long run is.
type progress struct {
	w     io.Writer // nil: nobody looks
	s     *sim.Sim
	last  time.Time
	shown bool
}

// patience is how long nothing is shown, and then the time between two updates.
const patience = time.Second

func newProgress(stderr io.Writer, s *sim.Sim, busy bool) *progress {
	p := &progress{s: s, last: time.Now()}
	if !busy && shell.IsTerminal(stderr) {
		p.w = stderr
	}
	return p
}

func (p *progress) update() {
	if p.w == nil || time.Since(p.last) < patience {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.w, "\r%s of %s ", time.Duration(p.s.Now()), time.Duration(p.s.End()))
}

// clear leaves the line as it was found.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
