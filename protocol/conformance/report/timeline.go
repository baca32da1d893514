package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Measures of a timeline, in SVG units.
const (
	chartWidth  = 1000
	chartLeft   = 118 // for the names of the lanes
	chartRight  = 16
	laneHeight  = 26
	bandHeight  = 18 // per line of band labels
	axisHeight  = 26
	leastMark   = 3.0 // of a mark, so that it can be seen
	letterWidth = 6.2 // of a label, estimated
)

// lanes are the rows of a timeline.
var lanes = []struct{ name, kinds string }{
	{"→ subject", "datagram-in"},
	{"subject →", "datagram-out"},
	{"inner → subject", "packet-in"},
	{"subject → inner", "packet-out"},
	{"subject → other", "outer-out"},
	{"control", "configure restart note"},
}

// chart draws a part of a trace against time.
type chart struct {
	from, to timers.Time
	close    bool  // enlarged: labels say times
	lanes    []int // of lanes, those that are used
	top      float64
	b        strings.Builder
}

// timelines draws the whole trace and, where the band that decided is too narrow in it, that part enlarged. Both are
// SVG elements that take their colours from the page.
func timelines(trace []conformance.TraceEntry) (whole, enlarged string) {
	if len(trace) == 0 {
		return "", ""
	}
	from, to := extent(trace)
	whole = draw(trace, &chart{from: from, to: to}, "Timeline of the whole case")
	w := decidingWindow(trace)
	if w == nil {
		return whole, ""
	}
	lo, hi := w.Earliest, w.Until
	for i := range trace {
		// What broke the rule is drawn too if that leaves the band readable.
		if e := &trace[i]; e.Broke && e.Kind != "window" && e.Latest-w.Earliest < 6*(w.Until-w.Earliest) &&
			w.Until-e.Earliest < 6*(w.Until-w.Earliest) {
			lo, hi = min(lo, e.Earliest), max(hi, e.Latest)
		}
	}
	margin := max((hi-lo)*2/5, timers.Time(5*time.Millisecond))
	lo, hi = max(lo-margin, from), min(hi+margin, to)
	if (hi-lo)*2 > to-from {
		return whole, ""
	}
	return whole, draw(trace, &chart{from: lo, to: hi, close: true}, "The deciding window, enlarged")
}

func extent(trace []conformance.TraceEntry) (from, to timers.Time) {
	from, to = trace[0].Earliest, trace[0].Latest
	for i := range trace {
		from = min(from, trace[i].Earliest)
		to = max(to, trace[i].Latest, trace[i].Until, trace[i].Earliest)
	}
	room := max((to-from)/40, timers.Time(time.Millisecond))
	return from - room, to + room
}

// decidingWindow is the window of the entry that broke the rule: the last that began before it, else the last of all.
func decidingWindow(trace []conformance.TraceEntry) (w *conformance.TraceEntry) {
	broke := timers.Time(math.MaxInt64)
	for i := range trace {
		if trace[i].Broke && trace[i].Kind != "window" {
			broke = trace[i].Latest
		}
	}
	for i := range trace {
		if e := &trace[i]; e.Kind == "window" && e.Until > e.Earliest {
			if e.Broke {
				return e
			}
			if w == nil || e.Earliest <= broke {
				w = e
			}
		}
	}
	return w
}

func draw(trace []conformance.TraceEntry, c *chart, title string) string {
	for i, l := range lanes {
		if slices.ContainsFunc(trace, func(e conformance.TraceEntry) bool {
			return slices.Contains(strings.Fields(l.kinds), e.Kind)
		}) {
			c.lanes = append(c.lanes, i)
		}
	}
	rows := c.bandRows(trace)
	c.top = float64(bandHeight*rows + 6)
	bottom := c.top + float64(len(c.lanes)*laneHeight)
	height := bottom + axisHeight
	fmt.Fprintf(&c.b, `<svg class="timeline" viewBox="0 0 %d %.0f" role="img" aria-label="%s"><title>%s</title>`,
		chartWidth, height, html.EscapeString(title), html.EscapeString(title))
	c.bands(trace, bottom)
	for i, l := range c.lanes {
		y := c.top + float64(i*laneHeight)
		fmt.Fprintf(&c.b, `<text class="lane" x="%d" y="%.1f" text-anchor="end">%s</text>`, chartLeft-10,
			y+laneHeight/2+4, html.EscapeString(lanes[l].name))
		fmt.Fprintf(&c.b, `<line class="rail" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, chartLeft,
			chartWidth-chartRight, y+laneHeight/2, y+laneHeight/2)
	}
	c.axis(bottom)
	for i := range trace {
		c.mark(&trace[i], bottom)
	}
	c.b.WriteString("</svg>")
	return c.b.String()
}

// x is where a time is drawn; times outside are outside.
func (c *chart) x(t timers.Time) float64 {
	return chartLeft + float64(t-c.from)/float64(max(c.to-c.from, 1))*(chartWidth-chartLeft-chartRight)
}

// shows reports whether any of the span is within the chart.
func (c *chart) shows(from, to timers.Time) bool { return to >= c.from && from <= c.to }

// bandRows gives how many rows the labels of the bands take: those that would touch stand below each other, three
// rows at most.
func (c *chart) bandRows(trace []conformance.TraceEntry) int {
	rows := 0
	c.eachBand(trace, func(_ *conformance.TraceEntry, _, _ float64, row int) { rows = max(rows, row+1) })
	return rows
}

func (c *chart) eachBand(trace []conformance.TraceEntry, do func(e *conformance.TraceEntry, x1, x2 float64, row int)) {
	ends := [3]float64{}
	for i := range trace {
		e := &trace[i]
		if e.Kind != "window" || !c.shows(e.Earliest, e.Until) {
			continue
		}
		x1 := min(max(c.x(e.Earliest), chartLeft), chartWidth-chartRight)
		x2 := max(min(c.x(e.Until), chartWidth-chartRight), x1+1)
		row := 0
		for row < len(ends)-1 && ends[row] > x1-6 {
			row++
		}
		ends[row] = max(x2, x1+letterWidth*float64(len([]rune(c.bandLabel(e)))))
		do(e, x1, x2, row)
	}
}

func (c *chart) bandLabel(e *conformance.TraceEntry) string {
	s := clean(e.Text)
	if c.close {
		return s + ", " + instant(e)
	}
	if r := []rune(s); len(r) > 48 {
		s = string(r[:47]) + "…"
	}
	return s
}

func (c *chart) bands(trace []conformance.TraceEntry, bottom float64) {
	deciding := decidingWindow(trace)
	c.eachBand(trace, func(e *conformance.TraceEntry, x1, x2 float64, row int) {
		class := "band"
		if strings.HasPrefix(e.Text, "no ") { // a window of silence: in it nothing may come
			class += " silence"
		}
		if e == deciding {
			class += " deciding"
		}
		y := float64(row * bandHeight)
		fmt.Fprintf(&c.b, `<g class="%s"><title>%s: %s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
			class, html.EscapeString(instant(e)), html.EscapeString(clean(e.Text)), x1, y, x2-x1, bottom-y)
		anchor, at := "start", x1+3
		if x1+letterWidth*float64(len([]rune(c.bandLabel(e)))) > chartWidth-chartRight {
			anchor, at = "end", x2-3
		}
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text></g>`, at, y+13, anchor,
			html.EscapeString(c.bandLabel(e)))
	})
}

// axis draws ticks at round times.
func (c *chart) axis(bottom float64) {
	step := roundStep(time.Duration(c.to-c.from) / 8)
	first := (int64(c.from)/int64(step) + 1) * int64(step)
	if c.from < 0 {
		first = 0
	}
	for t := first; t <= int64(c.to); t += int64(step) {
		x := c.x(timers.Time(t))
		fmt.Fprintf(&c.b, `<line class="tick" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, c.top, bottom+5)
		fmt.Fprintf(&c.b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x, bottom+18,
			tick(time.Duration(t), step))
	}
}

// roundStep is the next of 1, 2, 5 times a power of ten, of seconds.
func roundStep(d time.Duration) time.Duration {
	step := time.Nanosecond
	for {
		for _, k := range []time.Duration{1, 2, 5} {
			if step*k >= d {
				return step * k
			}
		}
		step *= 10
	}
}

func tick(t, step time.Duration) string {
	digits := 0
	for s := step; s < time.Second && digits < 9; s *= 10 {
		digits++
	}
	return fmt.Sprintf("%.*f s", digits, t.Seconds())
}

// mark draws one thing that happened: as wide as its time stamps leave open.
func (c *chart) mark(e *conformance.TraceEntry, bottom float64) {
	if !c.shows(e.Earliest, e.Latest) {
		return
	}
	x1, x2 := c.x(e.Earliest), c.x(e.Latest)
	if x2-x1 < leastMark {
		middle := (x1 + x2) / 2
		x1, x2 = middle-leastMark/2, middle+leastMark/2
	}
	text := html.EscapeString(instant(e) + "  " + e.Kind + ": " + clean(e.Text))
	if e.Kind == "verdict" {
		fmt.Fprintf(&c.b, `<g class="verdictline"><title>%s</title><line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/></g>`,
			text, x1, x1, c.top-4, bottom)
		return
	}
	for i, l := range c.lanes {
		if !slices.Contains(strings.Fields(lanes[l].kinds), e.Kind) {
			continue
		}
		class, inset := "mark "+e.Kind, 6.0
		y := c.top + float64(i*laneHeight)
		if e.Broke {
			class, inset = class+" broke", 2
			fmt.Fprintf(&c.b, `<line class="brokeline" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, (x1+x2)/2, (x1+x2)/2,
				c.top-4, bottom)
			if c.close {
				fmt.Fprintf(&c.b, `<text class="broke" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, x1-5,
					y+laneHeight/2-3, html.EscapeString(instant(e)))
			}
		}
		fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5"><title>%s</title></rect>`,
			class, x1, y+inset, x2-x1, laneHeight-2*inset, text)
	}
}
