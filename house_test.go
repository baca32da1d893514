// Package purewire_test holds the house rules of the module (CONTRIBUTING.md) as tests: which package may import
// which, what the core must not touch, how long things may get, and that docs/CONFORMANCE.md tells the truth.
//
// The checks work on any tree that can be parsed. A folder that does not exist yet is named in the log and becomes
// subject to its rules the moment its first file arrives. house_self_test.go shows each check failing.
package purewire_test

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

// TestHouseArrows holds the import graph to design §2.
func TestHouseArrows(t *testing.T) {
	tr := mustModule(t)
	report(t, checkArrows(tr))
	for _, a := range arrows {
		found := false
		for _, d := range tr.folders {
			found = found || under(a.from, d.dir)
		}
		if !found {
			t.Logf("%s: no such folder yet, its arrows are not tested", a.from)
		}
	}
}

// TestHouseForbidden keeps clocks, randomness, goroutines, map order and floats out of what must be deterministic.
func TestHouseForbidden(t *testing.T) {
	tr := mustModule(t)
	report(t, checkForbidden(tr, exports(t, tr.fset)))
	for i := range regimes {
		n := 0
		for _, d := range tr.folders {
			if underAny(regimes[i].folders, d.dir) && !underAny(regimes[i].not, d.dir) {
				n++
			}
		}
		t.Logf("%s: %d folders judged", regimes[i].name, n)
	}
}

// TestHouseSizes keeps the machine readable in an afternoon.
func TestHouseSizes(t *testing.T) {
	tr := mustModule(t)
	report(t, checkSizes(tr))
	all, coreLines := measureTree(tr)
	t.Logf("%-32s %5s %6s %8s %6s %13s %13s",
		"folder", "files", "code", "comment", "ratio", "longest file", "longest func")
	for _, m := range all {
		mark := ""
		if m.budgeted {
			mark = " *"
		}
		t.Logf("%-32s %5d %6d %8d %6.2f %13d %13d%s", m.dir, m.files, m.code, m.comment,
			float64(m.comment)/float64(max(m.code, 1)), m.longestFile, m.longestFn, mark)
	}
	t.Logf("core (*): %d of %d lines of code", coreLines, coreBudget)
}

// TestHouseDocs asks for a comment on every exported name.
func TestHouseDocs(t *testing.T) { report(t, checkDocs(mustModule(t))) }

// TestHouseLeftovers refuses notes about work put off.
func TestHouseLeftovers(t *testing.T) { report(t, checkLeftovers(mustModule(t))) }

// exports returns an importer that reads the compiler's export data, which the go command has in its build cache
// after a build. It needs no network and no package beyond the standard library.
func exports(t *testing.T, fset *token.FileSet, also ...string) types.Importer {
	t.Helper()
	args := append([]string{"list", "-e", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "./..."}, also...)
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if p, file, ok := strings.Cut(strings.TrimSpace(line), "="); ok && file != "" {
			files[p] = file
		}
	}
	return importer.ForCompiler(fset, "gc", func(p string) (io.ReadCloser, error) {
		file, ok := files[p]
		if !ok {
			return nil, fmt.Errorf("package %s did not compile (go list -export)", p)
		}
		return os.Open(file)
	})
}
