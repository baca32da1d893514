package purewire_test

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/purewire/purewire"

// A srcFile is one Go file: its path from the module root with forward slashes, its bytes and its syntax.
type srcFile struct {
	path string
	text []byte
	ast  *ast.File
	// native says that the file belongs to the build for the platform this test runs on.
	native bool
}

func (f *srcFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// A folder is every Go file of one folder, whatever package clause it has; dir "." is the module root.
type folder struct {
	dir   string
	files []*srcFile
}

// name is the name of the package as others write it; a folder of tests only takes it from those.
func (d *folder) name() string {
	for _, f := range d.files {
		if !f.isTest() {
			return f.ast.Name.Name
		}
	}
	return strings.TrimSuffix(d.files[0].ast.Name.Name, "_test")
}

// A tree is the parsed module.
type tree struct {
	fset    *token.FileSet
	folders []*folder
	// others holds the files that are not Go but are ours to keep tidy: path to text.
	others map[string]string
}

func newTree() *tree { return &tree{fset: token.NewFileSet(), others: map[string]string{}} }

// add parses one file into the tree.
func (t *tree) add(file string, text []byte, native bool) error {
	syntax, err := parser.ParseFile(t.fset, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := &srcFile{path: file, text: text, ast: syntax, native: native}
	dir := path.Dir(file)
	i := sort.Search(len(t.folders), func(i int) bool { return t.folders[i].dir >= dir })
	if i == len(t.folders) || t.folders[i].dir != dir {
		t.folders = append(t.folders, nil)
		copy(t.folders[i+1:], t.folders[i:])
		t.folders[i] = &folder{dir: dir}
	}
	t.folders[i].files = append(t.folders[i].files, f)
	return nil
}

// loadModule is shared by all house tests: the tree does not change while they run.
var loadModule = sync.OnceValues(func() (*tree, error) {
	t := newTree()
	err := filepath.WalkDir(".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		base := path.Base(p)
		if e.IsDir() {
			// The go command does not look into these either; .ci is ours and has no Go files.
			if base == "testdata" || strings.HasPrefix(base, "_") ||
				strings.HasPrefix(base, ".") && base != "." && base != ".ci" {
				return fs.SkipDir
			}
			return nil
		}
		return t.load(p)
	})
	return t, err
})

func (t *tree) load(p string) error {
	isGo := strings.HasSuffix(p, ".go")
	if !isGo && !strings.HasPrefix(p, ".ci/") {
		return nil
	}
	text, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	if !isGo {
		t.others[p] = string(text)
		return nil
	}
	native, err := build.Default.MatchFile(path.Dir(p), path.Base(p))
	if err != nil {
		return err
	}
	return t.add(p, text, native)
}

func mustModule(t *testing.T) *tree {
	t.Helper()
	tr, err := loadModule()
	if err != nil {
		t.Fatalf("cannot read the module: %v", err)
	}
	return tr
}

// memTree builds a tree from sources in memory, so that every check can be shown to fail.
func memTree(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	tr := newTree()
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".go") {
			tr.others[name] = sources[name]
			continue
		}
		if err := tr.add(name, []byte(sources[name]), true); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// under says whether a folder is matched by a pattern of the tables: "a/b" is that folder,
// "a/b/..." is it and everything below, "..." is everything.
func under(pattern, dir string) bool {
	root, deep := strings.CutSuffix(pattern, "/...")
	switch {
	case pattern == "...", root == dir:
		return true
	default:
		return deep && strings.HasPrefix(dir, root+"/")
	}
}

func underAny(patterns []string, dir string) bool {
	for _, p := range patterns {
		if under(p, dir) {
			return true
		}
	}
	return false
}

func lineCount(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}
