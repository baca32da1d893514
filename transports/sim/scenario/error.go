package scenario

import (
	"fmt"
	"strings"
)

// Error is a mistake in a scenario file. It is one line.
type Error struct {
	File      string // "" if the scenario was made by a program
	Line, Col int    // from 1; 0 if unknown
	Field     string // such as hosts[2].peers[0].endpoint; "" of the file as a whole
	Text      string
}

// Error implements error: FILE:LINE:COL: field: what is wrong.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
		}
		b.WriteString(": ")
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	return b.String() + strings.ReplaceAll(e.Text, "\n", " ")
}

// position is a place in a file.
type position struct{ line, col int }

// source is where the fields of a parsed file stand.
type source struct {
	file string
	at   map[string]position // by path; looked up only
}

// errorAt makes an error about a field, at its place or at that of the nearest field around it.
func (s *source) errorAt(path, format string, args ...any) *Error {
	e := &Error{Field: path, Text: fmt.Sprintf(format, args...)}
	if s == nil {
		return e
	}
	e.File = s.file
	for p := path; ; p = parent(p) {
		if at, ok := s.at[p]; ok {
			e.Line, e.Col = at.line, at.col
			return e
		}
		if p == "" {
			return e
		}
	}
}

// parent is the path of what a field or element is in.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// DidYouMean is the end of a sentence about a word that is not in a list: the nearest one, or all of a short list.
func DidYouMean(word string, list []string) string {
	best, least := "", len(word)/3+2
	for _, l := range list {
		if d := distance(strings.ToLower(word), strings.ToLower(l)); d < least {
			best, least = l, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(list) == 0:
		return ""
	}
	return "; there are " + strings.Join(list[:min(len(list), mostNamed)], ", ") + more(len(list)-mostNamed)
}

// mostNamed keeps an error one readable line.
const mostNamed = 30

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to get from a to b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					rows[i][j] = min(rows[i][j], 1+rows[i-2][j-2])
				}
			}
		}
	}
	return rows[len(a)][len(b)]
}
