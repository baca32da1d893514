package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Options say how to print.
type Options struct {
	Width int  // columns; zero: 100; the tables need 96
	Color bool // with ANSI colours
}

const (
	defaultWidth = 100
	leastWidth   = 96
)

// tone is how something is meant, and how it is coloured.
type tone int

const (
	plain tone = iota
	faint      // beside the point
	title
	good  // a session came to be
	move  // somebody went somewhere, slept, woke
	alarm // traffic suffers
	wrong // a rule of safety was broken
)

// colours are the sixteen that every terminal has and lets its user choose.
var colours = [...]string{plain: "", faint: "2", title: "1", good: "32", move: "36", alarm: "33", wrong: "1;31"}

// printer writes lines and keeps the first error.
type printer struct {
	w io.Writer
	Options
	err error
}

func newPrinter(w io.Writer, o Options) *printer {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, leastWidth)
	return &printer{w: w, Options: o}
}

func (p *printer) paint(t tone, s string) string {
	if !p.Color || t == plain || s == "" {
		return s
	}
	return "\x1b[" + colours[t] + "m" + s + "\x1b[0m"
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, strings.TrimRight(s, " ")+"\n")
	}
}

func (p *printer) heading(s string) {
	p.line("")
	p.line(p.paint(title, s))
}

// hang writes text behind prefix, whose width is indent, and wraps it there.
func (p *printer) hang(prefix string, indent int, t tone, text string) {
	for i, part := range wrap(text, p.Width-indent) {
		if i > 0 {
			prefix = strings.Repeat(" ", indent)
		}
		p.line(prefix + p.paint(t, strings.ReplaceAll(part, "\u00a0", " ")))
	}
}

// wrap breaks text at spaces into lines of at most width columns; a word that is longer is cut.
func wrap(text string, width int) (lines []string) {
	width = max(width, 10)
	line := ""
	for _, word := range strings.FieldsFunc(text, isBreak) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			r := []rune(word)
			lines, word = append(lines, string(r[:width])), string(r[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// isBreak is true for the spaces at which a line may end: a no-break space is none.
func isBreak(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }

func left(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// table writes rows in columns, the last of which is wrapped where the line ends; if even that is not enough the
// first is cut. A column whose heading starts with '>' is set flush right.
func (p *printer) table(headings []string, rows [][]string) {
	last := len(headings) - 1
	widths := make([]int, len(headings))
	flush := make([]bool, len(headings))
	for i, h := range headings {
		headings[i], flush[i] = strings.CutPrefix(h, ">")
	}
	rows = append([][]string{headings}, rows...)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	indent := 2 * len(headings)
	for _, w := range widths[:last] {
		indent += w
	}
	const least = 14 // of a column that is wrapped or cut
	need := widths[last]
	if !flush[last] {
		need = min(need, least)
	}
	cut := min(max(0, indent+need-p.Width), max(0, widths[0]-least))
	widths[0], indent = widths[0]-cut, indent-cut
	for n, row := range rows {
		line := ""
		for i, cell := range row[:last] {
			line += "  " + place(cell, widths[i], flush[i])
		}
		t := plain
		if n == 0 {
			t = faint
		}
		p.row(line+"  ", indent, t, place(row[last], widths[last], flush[last]))
	}
}

// row writes a line of a table: its end is wrapped only if it does not fit, which keeps its spaces.
func (p *printer) row(line string, indent int, t tone, end string) {
	if utf8.RuneCountInString(end) > p.Width-indent {
		p.hang(p.paint(t, line), indent, t, end)
		return
	}
	p.line(p.paint(t, strings.TrimRight(line+strings.ReplaceAll(end, "\u00a0", " "), " ")))
}

// place puts a cell into its column.
func place(cell string, width int, flush bool) string {
	if r := []rune(cell); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	if flush {
		return strings.Repeat(" ", width-utf8.RuneCountInString(cell)) + cell
	}
	return left(cell, width)
}

// clock gives a moment of the run as minutes, seconds and milliseconds.
func clock(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d.%03d", ms/60_000, ms/1000%60, ms%1000)
}

// span gives a length of time with about three digits.
func span(d time.Duration) string {
	switch ms := d.Milliseconds(); {
	case d < time.Millisecond:
		return "under 1 ms"
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 100_000:
		return fmt.Sprintf("%d.%d s", ms/1000, ms/100%10)
	default:
		return fmt.Sprintf("%d min %02d s", ms/60_000, ms/1000%60)
	}
}

// exactly gives a length of time that somebody chose.
func exactly(d time.Duration) string {
	switch {
	case d%time.Millisecond == 0 && d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d%time.Second != 0:
		return d.String()
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", d/time.Second)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

// count gives a number with a comma at every third digit.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size gives a number of bytes with one decimal.
func size(n uint64) string {
	for i, unit := range []string{"B", "kB", "MB", "GB"} {
		scale := uint64(1)
		for range i {
			scale *= 1000
		}
		switch {
		case i == 0 && n < 1000:
			return fmt.Sprintf("%d B", n)
		case i > 0 && (n < 1000*scale || unit == "GB"):
			return fmt.Sprintf("%s.%d %s", count(n/scale), n*10/scale%10, unit)
		}
	}
	return ""
}

// plural gives "1 thing" or "2 things".
func plural(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// share gives n of all in tenths of a percent, or nothing if n is 0.
func share(n, all uint64) string {
	switch {
	case n == 0 || all == 0:
		return ""
	case n*1000/all == 0:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%d.%d %%", n*100/all, n*1000/all%10)
}
