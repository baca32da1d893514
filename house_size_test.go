package purewire_test

import (
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"strings"
	"unicode/utf8"
)

// The budgets of design §2. They are ratchets: lower them when there is room, never raise them.
const (
	coreBudget     = 3600 // lines of code of the machine
	maxColumns     = 120  // characters of a line; a tab is one, as in gofmt's own arithmetic of indentation
	maxFileLines   = 500
	maxFuncLines   = 70
	maxTestLines   = 120 // of a function in a test file
	minCommentPart = 30  // lines with comment per hundred lines of code in protocol and timers
)

// budgeted are the folders that count as the machine: what a reader of an afternoon reads.
func budgeted(dir string) bool {
	return underAny(list("timers", "routing", "protocol/..."), dir) &&
		!underAny(list("protocol/conformance/...", "protocol/protocoltest/...", "protocol/eventlog/...",
			"protocol/interop/..."), dir)
}

// generatedNames is true for the String methods a generator wrote: a *_string.go file with the standard marker and
// with nothing in it but those and stringer's blank function that checks the values.
func generatedNames(f *srcFile) bool {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name != "String" && fn.Name.Name != "_" {
			return false
		}
	}
	return strings.HasSuffix(f.path, "_string.go") && ast.IsGenerated(f.ast)
}

// countLines returns the lines that hold code and the lines that hold comment; one that holds both counts as both.
// A blank line inside a raw string is code: it is part of a value.
func countLines(text []byte) (code, comment int) {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	const isCode, isComment = 1, 2
	kind := map[int]int{}
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		mark := isCode
		switch {
		case tok == token.COMMENT:
			mark = isComment
		case tok == token.SEMICOLON && lit == "\n":
			continue // the scanner's own, not in the text
		}
		first := file.Line(pos)
		for l := first; l <= first+strings.Count(lit, "\n"); l++ {
			kind[l] |= mark
		}
	}
	for _, k := range kind {
		if k&isCode != 0 {
			code++
		}
		if k&isComment != 0 {
			comment++
		}
	}
	return code, comment
}

// A measure is what the size checks found besides complaints.
type measure struct {
	dir                    string
	files, code, comment   int
	longestFile, longestFn int
	budgeted               bool
}

// measureTree sums up the non-test files of every folder that has some.
func measureTree(t *tree) (all []measure, coreLines int) {
	for _, d := range t.folders {
		m := measure{dir: d.dir, budgeted: budgeted(d.dir)}
		for _, f := range d.files {
			if f.isTest() || generatedNames(f) {
				continue
			}
			code, comment := countLines(f.text)
			m.files++
			m.code += code
			m.comment += comment
			m.longestFile = max(m.longestFile, lineCount(f.text))
			for _, fn := range functions(t.fset, f.ast) {
				m.longestFn = max(m.longestFn, fn.lines)
			}
		}
		if m.files == 0 {
			continue
		}
		all = append(all, m)
		if m.budgeted {
			coreLines += m.code
		}
	}
	return all, coreLines
}

type function struct {
	name  string
	at    token.Position
	lines int
}

// functions lists every function of a file with its length from "func" to the closing brace, literals included.
func functions(fset *token.FileSet, f *ast.File) (all []function) {
	ast.Inspect(f, func(n ast.Node) bool {
		name := "function literal"
		switch n := n.(type) {
		case *ast.FuncDecl:
			name = n.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		from := fset.Position(n.Pos())
		if d, ok := n.(*ast.FuncDecl); ok {
			from = fset.Position(d.Type.Pos())
		}
		all = append(all, function{name, from, fset.Position(n.End()).Line - from.Line + 1})
		return true
	})
	return all
}

// checkSizes holds every Go file of the module to the limits, and the core to its budget.
func checkSizes(t *tree) (complaints []string) {
	for _, d := range t.folders {
		for _, f := range d.files {
			if !generatedNames(f) {
				complaints = append(complaints, checkFileSize(t.fset, f)...)
			}
		}
	}
	all, coreLines := measureTree(t)
	if coreLines > coreBudget {
		complaints = append(complaints,
			fmt.Sprintf("the core has %d lines of code, its budget is %d (design §2)", coreLines, coreBudget))
	}
	return append(complaints, checkRatio(all)...)
}

func checkFileSize(fset *token.FileSet, f *srcFile) (complaints []string) {
	if n := lineCount(f.text); n > maxFileLines {
		complaints = append(complaints, fmt.Sprintf("%s: %d lines, a file has at most %d", f.path, n, maxFileLines))
	}
	for i, line := range strings.Split(string(f.text), "\n") {
		// A directive cannot be broken into two lines.
		if n := utf8.RuneCountInString(line); n > maxColumns && !strings.HasPrefix(line, "//go:") {
			complaints = append(complaints,
				fmt.Sprintf("%s:%d: %d columns, a line has at most %d", f.path, i+1, n, maxColumns))
		}
	}
	limit := maxFuncLines
	if f.isTest() {
		limit = maxTestLines
	}
	for _, fn := range functions(fset, f.ast) {
		if fn.lines > limit {
			complaints = append(complaints, fmt.Sprintf("%s:%d: %s has %d lines, a function here has at most %d",
				f.path, fn.at.Line, fn.name, fn.lines, limit))
		}
	}
	return complaints
}

// checkRatio asks for comments where the rules of the protocol are: package protocol and package timers. There is
// no upper limit, because a long package manual is a good thing.
func checkRatio(all []measure) (complaints []string) {
	for _, m := range all {
		if m.dir != "protocol" && m.dir != "timers" {
			continue
		}
		if part := m.comment * 100 / max(m.code, 1); part < minCommentPart {
			complaints = append(complaints, fmt.Sprintf("%s: %d comment lines per 100 of code, at least %d",
				m.dir, part, minCommentPart))
		}
	}
	return complaints
}
