package purewire_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// conformanceComplete says that docs/CONFORMANCE.md claims to have a filled row for every rule. While it is false,
// empty rows are listed in the log and forgiven; everything that is written down is checked all the same.
const conformanceComplete = true

const (
	rulesFile       = "docs/rules.txt"
	conformanceFile = "docs/CONFORMANCE.md"
	scriptFolder    = "protocol/protocoltest/testdata/script"
)

var updateTable = flag.Bool("update", false, "rewrite docs/CONFORMANCE.md: one row per rule, in order, cells kept")

// A rule is a line of docs/rules.txt.
type rule struct{ id, level, gist string }

// A row is a line of a table of docs/CONFORMANCE.md.
type row struct {
	line             int
	id, level        string
	functions, tests []string
	note             string
}

func (r *row) empty() bool { return len(r.functions) == 0 && len(r.tests) == 0 && r.note == "" }

var ruleID = regexp.MustCompile(`^[A-Z]+-[0-9]{2}$`)

func parseRules(text string) (rules []rule, err error) {
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 || !ruleID.MatchString(f[0]) || seen[f[0]] || f[2] == "" {
			return nil, fmt.Errorf("%s:%d: want a new ID, a level and a few words with tabs between", rulesFile, i+1)
		}
		switch f[1] {
		case "MUST", "SHOULD", "MAY", "IMPL":
		default:
			return nil, fmt.Errorf("%s:%d: no such level: %s", rulesFile, i+1, f[1])
		}
		seen[f[0]] = true
		rules = append(rules, rule{f[0], f[1], f[2]})
	}
	return rules, nil
}

// parseTable reads every table line whose first cell looks like a rule ID.
func parseTable(text string) (rows []row, complaints []string) {
	for i, line := range strings.Split(text, "\n") {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 || cells[0] != "" || !ruleID.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		if len(cells) != 7 || cells[6] != "" {
			complaints = append(complaints, fmt.Sprintf("%s:%d: %d cells, want 5", conformanceFile, i+1, len(cells)-2))
			continue
		}
		for k := range cells {
			cells[k] = strings.TrimSpace(cells[k])
		}
		rows = append(rows, row{
			line: i + 1, id: cells[1], level: cells[2],
			functions: names(cells[3]), tests: names(cells[4]), note: cells[5],
		})
	}
	return rows, complaints
}

// names splits a cell of comma-separated names in backquotes. What is not in backquotes is kept as it
// is, quotes missing and all, and so names nothing.
func names(cell string) (all []string) {
	for s := range strings.SplitSeq(cell, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if len(s) > 2 && s[0] == '`' && s[len(s)-1] == '`' {
			s = s[1 : len(s)-1]
		} else {
			s = "(no backquotes) " + s
		}
		all = append(all, s)
	}
	return all
}

// symbols is what rows may name: "pkg.Func", "pkg.Type.Method", "pkg.Const" in code and "pkg.TestName" in tests. For
// subtests it has the string literals of each test that calls Run, under the test's name, and those of the
// rest of each package's test files, where tables may stand, under the package's.
type symbols struct {
	code, tests map[string]bool
	subtests    map[string]map[string]bool
	script      func(name string) bool
}

func indexSymbols(t *tree) *symbols {
	s := &symbols{code: map[string]bool{}, tests: map[string]bool{}, subtests: map[string]map[string]bool{}}
	for _, d := range t.folders {
		pkg := d.name()
		if pkg == "main" {
			pkg = path.Base(d.dir)
		}
		for _, f := range d.files {
			for _, decl := range f.ast.Decls {
				if f.isTest() {
					s.addTest(pkg, decl)
				} else {
					s.addCode(pkg, decl)
				}
			}
		}
	}
	return s
}

func (s *symbols) addCode(pkg string, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiverName(d.Recv.List[0].Type) + "." + name
		}
		s.code[pkg+"."+name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch v := spec.(type) {
			case *ast.TypeSpec:
				s.code[pkg+"."+v.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range v.Names {
					s.code[pkg+"."+name.Name] = true
				}
			}
		}
	}
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)([A-Z_0-9].*)?$`)

func (s *symbols) addTest(pkg string, decl ast.Decl) {
	name := pkg
	if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && testName.MatchString(d.Name.Name) {
		name = pkg + "." + d.Name.Name
		s.tests[name] = true
	}
	literals, runs := map[string]bool{}, false
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if v, err := strconv.Unquote(n.Value); err == nil {
				literals[strings.ReplaceAll(v, " ", "_")] = true
			}
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.SelectorExpr)
			runs = runs || ok && f.Sel.Name == "Run"
		}
		return true
	})
	if name != pkg && !runs {
		return
	}
	if s.subtests[name] == nil {
		s.subtests[name] = map[string]bool{}
	}
	maps.Copy(s.subtests[name], literals)
}

func receiverName(t ast.Expr) string {
	switch x := t.(type) {
	case *ast.StarExpr:
		return receiverName(x.X)
	case *ast.IndexExpr:
		return receiverName(x.X)
	case *ast.IndexListExpr:
		return receiverName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return "?"
}

// hasTest finds "pkg.TestName", "pkg.TestName/subtest" and "protocoltest/script/name.txt".
func (s *symbols) hasTest(name string) bool {
	if script, ok := strings.CutPrefix(name, "protocoltest/script/"); ok {
		return strings.HasSuffix(script, ".txt") && s.script(script)
	}
	top, sub, nested := strings.Cut(name, "/")
	if !nested || !s.tests[top] {
		return s.tests[top]
	}
	pkg, _, _ := strings.Cut(top, ".")
	own, runs := s.subtests[top]
	return runs && (own[sub] || s.subtests[pkg][sub])
}

// A tally is what checkTable counted.
type tally struct {
	tested, reasoned int
	missing          []rule
}

// checkTable compares the table with the rules and the names with the source.
func checkTable(rules []rule, rows []row, s *symbols) (n tally, complaints []string) {
	say := func(r *row, format string, args ...any) {
		complaints = append(complaints,
			fmt.Sprintf("%s:%d: %s: %s", conformanceFile, r.line, r.id, fmt.Sprintf(format, args...)))
	}
	found := map[string]*row{}
	for i := range rows {
		r := &rows[i]
		if first := found[r.id]; first != nil {
			say(r, "listed before, in line %d", first.line)
			continue
		}
		found[r.id] = r
		for _, f := range r.functions {
			if !s.code[f] {
				say(r, "there is no function %s", f)
			}
		}
		for _, t := range r.tests {
			if !s.hasTest(t) {
				say(r, "there is no test %s", t)
			}
		}
	}
	for _, want := range rules {
		r := found[want.id]
		delete(found, want.id)
		switch {
		case r == nil || r.empty():
			n.missing = append(n.missing, want)
			continue
		case r.level != want.level:
			say(r, "level %s, %s says %s", r.level, rulesFile, want.level)
		}
		switch {
		case len(r.functions) > 0 && len(r.tests) > 0:
			n.tested++
		case r.note != "":
			n.reasoned++
		default:
			say(r, "neither a function with a test nor a reason")
		}
	}
	for i := range rows {
		if found[rows[i].id] == &rows[i] {
			say(&rows[i], "no such rule in %s", rulesFile)
		}
	}
	return n, complaints
}

// TestHouseConformance holds docs/CONFORMANCE.md to docs/rules.txt and to the source.
func TestHouseConformance(t *testing.T) {
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(string(text))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(conformanceFile)
	if err != nil && !(*updateTable && errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	rows, complaints := parseTable(string(table))
	report(t, complaints)
	if *updateTable && !t.Failed() {
		table = []byte(renderTable(string(table), rules, rows))
		if err := os.WriteFile(conformanceFile, table, 0o644); err != nil {
			t.Fatal(err)
		}
		rows, _ = parseTable(string(table))
	}
	s := indexSymbols(mustModule(t))
	s.script = func(name string) bool {
		_, err := os.Stat(path.Join(scriptFolder, name))
		return err == nil
	}
	n, complaints := checkTable(rules, rows, s)
	report(t, complaints)
	t.Logf("%d rules: %d with function and test, %d with a reason, %d missing",
		len(rules), n.tested, n.reasoned, len(n.missing))
	for _, m := range n.missing {
		if conformanceComplete {
			t.Errorf("missing: %s %s %s", m.id, m.level, m.gist)
		} else {
			t.Logf("missing: %s %s %s", m.id, m.level, m.gist)
		}
	}
}
