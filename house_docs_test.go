package purewire_test

import (
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"regexp"
	"sort"
	"strings"
)

// documented are the folders whose exported names must all be explained.
var documented = list("timers", "routing", "protocol/...", "transports/...")

// checkDocs asks for a comment on every exported name and for one package comment per package.
func checkDocs(t *tree) (complaints []string) {
	for _, d := range t.folders {
		if !underAny(documented, d.dir) {
			continue
		}
		var source, manual bool
		for _, f := range d.files {
			if f.isTest() || ast.IsGenerated(f.ast) {
				continue
			}
			source = true
			manual = manual || said(f.ast.Doc)
			for _, name := range undocumented(f.ast) {
				p := t.fset.Position(name.Pos())
				complaints = append(complaints,
					fmt.Sprintf("%s:%d: %s is exported but has no comment", f.path, p.Line, name.Name))
			}
		}
		if source && !manual {
			complaints = append(complaints, fmt.Sprintf("%s: the package has no comment", d.dir))
		}
	}
	return complaints
}

func said(c *ast.CommentGroup) bool { return c != nil && strings.TrimSpace(c.Text()) != "" }

func undocumented(f *ast.File) (bare []*ast.Ident) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && receiverExported(d) && !said(d.Doc) {
				bare = append(bare, d.Name)
			}
		case *ast.GenDecl:
			bare = append(bare, undocumentedSpecs(d)...)
		}
	}
	return bare
}

// receiverExported is false for methods that nobody outside can name.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// undocumentedSpecs: a type needs its own comment unless it stands alone under the declaration's; values may also
// share the comment of their group or carry one at the end of the line.
func undocumentedSpecs(d *ast.GenDecl) (bare []*ast.Ident) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && !said(s.Doc) && !said(s.Comment) && (!said(d.Doc) || len(d.Specs) > 1) {
				bare = append(bare, s.Name)
			}
		case *ast.ValueSpec:
			if said(s.Doc) || said(s.Comment) || said(d.Doc) {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					bare = append(bare, name)
				}
			}
		}
	}
	return bare
}

// leftovers are the words for work that was put off. They are spelt in halves so that this file passes itself.
var leftovers = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX|HA` + `CK)\b|` +
	`(?i:\b(not (yet )?|un)imple` + `mented\b)`)

// checkLeftovers looks through comments and strings of Go files and through the scripts under .ci.
func checkLeftovers(t *tree) (complaints []string) {
	for _, d := range t.folders {
		for _, f := range d.files {
			fset := token.NewFileSet()
			file := fset.AddFile(f.path, fset.Base(), len(f.text))
			var s scanner.Scanner
			s.Init(file, f.text, nil, scanner.ScanComments)
			for pos, tok, lit := s.Scan(); tok != token.EOF; pos, tok, lit = s.Scan() {
				if tok != token.COMMENT && tok != token.STRING {
					continue
				}
				if m := leftovers.FindString(lit); m != "" {
					complaints = append(complaints, fmt.Sprintf("%s:%d: %q: finish it", f.path, file.Line(pos), m))
				}
			}
		}
	}
	for name, text := range t.others {
		if m := leftovers.FindString(text); m != "" {
			complaints = append(complaints, fmt.Sprintf("%s: %q: finish it", name, m))
		}
	}
	sort.Strings(complaints)
	return complaints
}
