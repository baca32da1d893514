package report

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/purewire/purewire/protocol/conformance"
)

// columns is the width that everything for a terminal is made for.
const columns = 100

// tone is how something is meant, and how it is coloured.
type tone int

const (
	plain tone = iota
	faint
	bold
	good
	alarm
	wrong
)

// colours are of the sixteen that every terminal has and lets its user choose.
var colours = [...]string{plain: "", faint: "2", bold: "1", good: "32", alarm: "33", wrong: "1;31"}

func toneOf(v conformance.Verdict) tone {
	switch v {
	case conformance.Fail, conformance.Flaky, conformance.Broken:
		return wrong
	case conformance.Warn, conformance.Inconclusive:
		return alarm
	case conformance.Pass:
		return good
	case conformance.Unsupported, conformance.NotRun:
		return faint
	}
	return plain
}

// printer writes lines and keeps the first error.
type printer struct {
	w     io.Writer
	color bool
	err   error
}

func (p *printer) paint(t tone, s string) string {
	if !p.color || t == plain || s == "" {
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
	p.line(p.paint(bold, s))
}

// hang writes text behind prefix, whose width is indent, and wraps it there. Lines of the text stay lines.
func (p *printer) hang(prefix string, indent int, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		for _, part := range wrap(line, columns-indent) {
			p.line(prefix + part)
			prefix = strings.Repeat(" ", indent)
		}
	}
}

// wrap breaks text at spaces into lines of at most width columns. A longer word stays whole: it is a path, a command
// or a case that somebody wants to copy.
func wrap(text string, width int) (lines []string) {
	line, n := "", 0
	for _, word := range strings.Fields(text) {
		w := utf8.RuneCountInString(word)
		switch {
		case line == "":
			line, n = word, w
		case n+1+w <= width:
			line, n = line+" "+word, n+1+w
		default:
			lines = append(lines, line)
			line, n = word, w
		}
	}
	return append(lines, line)
}

// table writes rows in columns, the last of which is wrapped where the line ends. A column whose heading starts with
// '>' is set flush right.
func (p *printer) table(head []string, rows [][]string) {
	last := len(head) - 1
	widths, right := make([]int, len(head)), make([]bool, len(head))
	for i := range head {
		head[i], right[i] = strings.CutPrefix(head[i], ">")
	}
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range append([][]string{head}, rows...) {
		line, indent := "", 2
		for i, cell := range row[:last] {
			line += "  " + pad(cell, widths[i], right[i])
			indent += 2 + widths[i]
		}
		parts := []string{pad(row[last], widths[last], right[last])}
		if !right[last] {
			parts = wrap(row[last], max(columns-indent, 20))
		}
		for i, part := range parts {
			if i > 0 {
				line = strings.Repeat(" ", indent-2)
			}
			if n == 0 {
				p.line(p.paint(faint, line+"  "+part))
			} else {
				p.line(line + "  " + part)
			}
		}
	}
}

func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if right {
		return space + s
	}
	return s + space
}
