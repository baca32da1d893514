package protocoltest

import (
	"fmt"
	"strings"
	"time"

	"github.com/purewire/purewire/timers"
)

// show is a kind of line that a script can hide.
type show uint8

const (
	showAlways show = iota
	showTimers      // timers armed, fired, cancelled
	showWire        // datagrams sent and received
	showInner       // inner packets taken in, delivered, rejected
	showEvents      // everything else that a Device reports
	numShows
)

var showNames = [numShows]string{"always", "timers", "wire", "inner", "events"}

// logger collects lines. Many of one kind in a row are told by the first, a count and the last, so that a burst of
// thousands of packets can be read.
type logger struct {
	env    *Env
	hidden [numShows]bool
	lines  []line
}

type line struct {
	at    timers.Time
	who   *Node
	group string // lines in a row with the same one are alike; empty: like no other
	text  string
}

// alike is how many lines of one group are told in full.
const alike = 5

func (l *logger) add(n *Node, kind show, group, format string, args ...any) {
	if !l.hidden[kind] {
		l.lines = append(l.lines, line{at: l.env.now, who: n, group: group, text: fmt.Sprintf(format, args...)})
	}
}

// note is a line of nobody in particular.
func (l *logger) note(format string, args ...any) { l.add(nil, showAlways, "", format, args...) }

// take gives the log and empties it.
func (l *logger) take() string {
	var out strings.Builder
	for i := 0; i < len(l.lines); {
		run := 1
		for i+run < len(l.lines) && l.lines[i].group != "" && l.same(i, i+run) {
			run++
		}
		if run <= alike {
			for _, s := range l.lines[i : i+run] {
				l.write(&out, s)
			}
		} else {
			l.write(&out, l.lines[i])
			l.write(&out, line{at: l.lines[i].at, who: l.lines[i].who, text: fmt.Sprintf("… %d more like this …", run-2)})
			l.write(&out, l.lines[i+run-1])
		}
		i += run
	}
	l.lines = l.lines[:0]
	return out.String()
}

func (l *logger) same(i, j int) bool {
	a, b := &l.lines[i], &l.lines[j]
	return a.group == b.group && a.who == b.who && a.at == b.at
}

// write puts a line into columns: time, device, text.
func (l *logger) write(out *strings.Builder, s line) {
	width, who := 0, "-"
	for _, n := range l.env.nodes {
		width = max(width, len(n.Name))
	}
	if s.who != nil {
		who = s.who.Name
	}
	fmt.Fprintf(out, "%8s  %-*s  %s\n", seconds(s.at), width, who, s.text)
}

// seconds writes a time with the milliseconds that have passed.
func seconds(t timers.Time) string {
	ms := int64(t) / int64(time.Millisecond)
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}
