package purewire_test

import (
	"fmt"
	"strings"
	"testing"
)

// A specimen is a small bad module and the complaint it must draw. An empty want is a good one: no complaint at all.
type specimen struct {
	name  string
	files map[string]string
	want  string
}

func one(path, source string) map[string]string { return map[string]string{path: source} }

// prove runs a check over specimens: each bad one must draw its complaint, each good one none.
func prove(t *testing.T, check func(*tree) []string, specimens []specimen) {
	t.Helper()
	for _, s := range specimens {
		t.Run(s.name, func(t *testing.T) {
			got := check(memTree(t, s.files))
			if s.want == "" {
				if len(got) != 0 {
					t.Fatalf("a good source drew complaints: %q", got)
				}
				return
			}
			for _, c := range got {
				if strings.Contains(c, s.want) {
					return
				}
			}
			t.Fatalf("no complaint has %q; got %q", s.want, got)
		})
	}
}

// imports writes a file that imports the given paths of ours or others.
func imports(pkg string, paths ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, p := range paths {
		fmt.Fprintf(&b, "import _ %q\n", strings.ReplaceAll(p, "~", module))
	}
	return b.String()
}

func TestHouseArrowsCanFail(t *testing.T) {
	prove(t, checkArrows, []specimen{
		{"upward", one("timers/a.go", imports("timers", "~/protocol")), "timers imports protocol: not in the table"},
		{"sideways", one("routing/a.go", imports("routing", "~/timers")), "routing imports timers: not in the table"},
		{"wire uses crypto", one("protocol/wire/a.go", imports("wire", "golang.org/x/crypto/blake2s")),
			"protocol/wire imports golang.org/x/crypto/blake2s: not in the table"},
		{"suite uses the core", one("protocol/conformance/a.go", imports("conformance", "~/protocol")),
			"protocol/conformance imports protocol: not in the table"},
		{"suite's test may", one("protocol/conformance/a_test.go", imports("conformance_test", "~/protocol")), ""},
		{"simulator uses the run loop", one("transports/sim/a.go", imports("sim", "~/transports")),
			"transports/sim imports transports: not in the table"},
		{"core uses a real end", one("protocol/a.go", imports("protocol", "~/transports/udp")),
			"protocol imports transports/udp: not in the table"},
		{"defects outside protocoltest", one("protocol/eventlog/a.go",
			imports("eventlog", "~/protocol/internal/defect")), "protocol/eventlog imports protocol/internal/defect"},
		{"defects in protocoltest", one("protocol/protocoltest/a.go",
			imports("protocoltest", "~/protocol/internal/defect")), ""},
		{"fuzz imported", one("cmd/wgsim/main.go", imports("main", "~/fuzz")), "cmd/wgsim imports fuzz: not in"},
		{"fuzz imports cmd", one("fuzz/a_test.go", imports("fuzz_test", "~/cmd/wgsim")), "fuzz imports cmd/wgsim: not"},
		{"oracle in code", one("protocol/internal/handshake/a.go", imports("handshake", "github.com/flynn/noise")),
			"protocol/internal/handshake imports github.com/flynn/noise: not in the table"},
		{"oracle in a test", one("protocol/internal/handshake/a_test.go",
			imports("handshake", "github.com/flynn/noise")), ""},
		{"low test looks up", one("timers/a_test.go", imports("timers_test", "~/protocol")),
			"timers imports protocol: not in the table"},
		{"own external test", one("timers/a_test.go", imports("timers_test", "~/timers")), ""},
		{"unknown dependency", one("routing/a.go", imports("routing", "example.org/trie")),
			"routing imports example.org/trie: not in the table"},
		{"unknown folder", one("util/a.go", "package util\n"), "util: the folder is not in the table"},
		{"internal to internal", one("protocol/internal/session/a.go",
			imports("session", "fmt", "~/protocol/internal/replay", "~/timers", "golang.org/x/crypto/blake2s")), ""},
	})
}

// body wraps statements into a function of a file that imports the given packages.
func body(pkg, stmts string, paths ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, p := range paths {
		fmt.Fprintf(&b, "import %q\n", p)
	}
	fmt.Fprintf(&b, "func f() {\n%s\n}\n", stmts)
	return b.String()
}

func TestHouseForbiddenCanFail(t *testing.T) {
	in := func(stmts string, paths ...string) map[string]string {
		return one("protocol/a.go", body("protocol", stmts, paths...))
	}
	sim := func(stmts string, paths ...string) map[string]string {
		return one("transports/sim/a.go", body("sim", stmts, paths...))
	}
	specimens := []specimen{
		{"clock", in("_ = time.Now()", "time"), "protocol/a.go:4: time.Now: core takes the time as an argument"},
		{"clock renamed", one("timers/a.go", "package timers\nimport c \"time\"\nvar now = c.Now\n"), "time.Now"},
		{"since", in("_ = time.Since(time.Time{})", "time"), "time.Since"},
		{"after", in("<-time.After(1)", "time"), "time.After"},
		{"timer", in("_ = time.NewTimer(1)", "time"), "time.NewTimer"},
		{"timer field", in("var s struct{ t *time.Timer }; _ = s", "time"), "time.Timer"},
		{"sleep", in("time.Sleep(1)", "time"), "time.Sleep"},
		{"zone", in("_ = time.Time{}.Local()", "time"), "time.Local"},
		{"durations are fine", in("_ = 5*time.Second; _ = time.Unix(0, 0).UTC()", "time"), ""},
		{"goroutine", in("go f()"), "go statement"},
		{"select", in("select {}"), "select chooses at random"},
		{"channel", in("_ = make(chan int)"), "channel"},
		{"map range", in("for k := range map[int]int{} { _ = k }"), "protocol/a.go:3: range over a map"},
		{"named map range", one("routing/a.go", "package routing\ntype m map[int]int\nfunc f(x m) { for range x {} }\n"),
			"range over a map"},
		{"generic map range", one("protocol/internal/x/a.go",
			"package x\nfunc f[M ~map[int]int](x M) { for range x {} }\n"), "range over a map"},
		{"slice range", in("for range []int{1} { f() }"), ""},
		{"maps.Keys", in("for range maps.Keys(map[int]int{}) { f() }", "maps"), "maps.Keys yields"},
		{"sorted keys in the core", in("_ = slices.Sorted(maps.Keys(map[int]int{}))", "slices", "maps"), "maps.Keys"},
		{"sorted keys in sim", sim("_ = slices.Sorted(maps.Keys(map[int]int{}))", "slices", "maps"), ""},
		{"collected keys in sim", sim("_ = slices.Collect(maps.Keys(map[int]int{}))", "slices", "maps"), "maps.Keys"},
		{"float variable", in("var x float64; _ = x"), "floating point"},
		{"float by inference", in("x := 0.5; _ = x"), "floating point"},
		{"float by call", in("_ = time.Duration(1).Seconds()", "time"), "floating point"},
		{"float typed and whole", in("const life = float64(3); _ = life"), "floating point"},
		{"whole number in exponent form", in("const life = 540e9; var t time.Duration = life; _ = t > life",
			"time"), ""},
		{"half a number", in("const life = 5e-1; _ = int(life * 2)"), "floating point"},
		{"float in sim", sim("const loss = 0.1; _ = loss"), "floating point"},
		{"pointer in output", in("_ = \"%" + "p\""), "a pointer in output"},
		{"key generation", in("_, _ = ecdh.X25519().GenerateKey(nil)", "crypto/ecdh"), "GenerateKey ignores"},
		{"builtin print", in("println(1)"), "println: "},
		{"global rand in sim", sim("_ = rand.IntN(3)", "math/rand/v2"), "rand.IntN draws from the process-wide source"},
		{"seeded rand in sim", sim("_ = rand.New(rand.NewPCG(1, 2)).IntN(3)", "math/rand/v2"), ""},
		{"clock in sim", sim("_ = time.Now()", "time"), "time.Now: transports/sim takes"},
		{"map range in sim", sim("for range map[int]int{} { f() }"), "range over a map"},
		{"dot import", one("protocol/a.go", "package protocol\nimport . \"time\"\nvar x Duration\n"), "dot import"},
		{"broken", in("undefined()"), "does not type-check"},
		{"tests may", one("protocol/a_test.go", body("protocol", "_ = time.Now()", "time")), ""},
		{"others may", one("transports/a.go", body("transports", "_ = time.Now()", "time")), ""},
	}
	for _, p := range list("net", "os", "sync", "sync/atomic", "crypto/rand", "math/rand", "math/rand/v2", "log",
		"log/slog", "unsafe", "hash/maphash") {
		specimens = append(specimens, specimen{"import " + p,
			one("protocol/internal/x/a.go", imports("x", p)), p + " is not for core"})
	}
	specimens = append(specimens, specimen{"import net/netip", one("protocol/a.go", imports("protocol", "net/netip")), ""})
	mod := mustModule(t)
	imp := exports(t, mod.fset, "time", "maps", "slices", "crypto/ecdh", "math/rand/v2", "math/rand", "net", "os", "sync",
		"sync/atomic", "crypto/rand", "log", "log/slog", "hash/maphash", "net/netip")
	prove(t, func(tr *tree) []string { return checkForbidden(tr, imp) }, specimens)

	t.Run("one platform only", func(t *testing.T) {
		tr := newTree()
		if err := tr.add("protocol/a_windows.go", []byte("package protocol\n"), false); err != nil {
			t.Fatal(err)
		}
		if got := checkForbidden(tr, imp); len(got) != 1 || !strings.Contains(got[0], "some platforms only") {
			t.Fatalf("got %q", got)
		}
	})
}

func TestHouseSizesCanFail(t *testing.T) {
	long := func(n int) string { return "func f() {\n" + strings.Repeat("\tf()\n", n-2) + "}\n" }
	vars := func(n int) string { return "package timers\n" + strings.Repeat("var _ = 1 // why\n// more\n", n-1) }
	marker := "// Code generated by \"stringer\"; DO NOT EDIT.\n\n"
	prove(t, checkSizes, []specimen{
		{"function at the limit", one("cmd/a/a.go", "package a\n"+long(maxFuncLines)), ""},
		{"function over it", one("cmd/a/a.go", "package a\n"+long(maxFuncLines+1)), "a.go:2: f has 71 lines"},
		{"literal over it", one("cmd/a/a.go", "package a\nvar f func() = "+long(maxFuncLines + 1)[0:4]+
			long(maxFuncLines + 1)[6:]), "function literal has 71 lines"},
		{"test function at the limit", one("fuzz/a_test.go", "package a\n"+long(maxTestLines)), ""},
		{"test function over it", one("fuzz/a_test.go", "package a\n"+long(maxTestLines+1)), "f has 121 lines"},
		{"file at the limit", one("fuzz/a.go", "package a\n"+strings.Repeat("\n", maxFileLines-1)), ""},
		{"file over it", one("fuzz/a.go", "package a\n"+strings.Repeat("\n", maxFileLines)), "501 lines, a file has"},
		{"line at the limit", one("fuzz/a.go", "package a\n//"+strings.Repeat("é", maxColumns-2)+"\n"), ""},
		{"line over it", one("fuzz/a.go", "package a\n//"+strings.Repeat("é", maxColumns-1)+"\n"), "a.go:2: 121 columns"},
		{"directive", one("fuzz/a.go", "package a\n//go:generate "+strings.Repeat("x", maxColumns)+"\n"), ""},
		{"few comments", one("timers/a.go", "package timers\n"+strings.Repeat("var _ = 1\n", 99)), "0 comment lines per"},
		{"budget kept", budgetTree("timers/a%02d.go", coreBudget, vars), ""},
		{"budget overrun", budgetTree("timers/a%02d.go", coreBudget+1, vars), "3601 lines of code, its budget is 3600"},
		{"not in the budget", budgetTree("protocol/eventlog/a%02d.go", coreBudget+1, vars), ""},
		{"generated names", budgetTree("routing/a%02d_string.go", coreBudget+1,
			func(n int) string { return marker + vars(n) }), ""},
		{"code under the marker", budgetTree("routing/a%02d_string.go", coreBudget+2, func(n int) string {
			return marker + strings.Replace(vars(n), "var _ = 1", "func Work() {}", 1)
		}), "3602 lines of code"},
		{"marker missing", budgetTree("routing/a%02d_string.go", coreBudget+1, vars), "3601 lines of code"},
	})
}

// budgetTree spreads n lines of code over files that are each within the limit.
func budgetTree(pattern string, n int, source func(lines int) string) map[string]string {
	files := map[string]string{}
	for i := 0; n > 0; i++ {
		part := min(n, 200)
		files[fmt.Sprintf(pattern, i)] = source(part)
		n -= part
	}
	return files
}

func TestHouseCountLines(t *testing.T) {
	for _, c := range []struct {
		source        string
		code, comment int
	}{
		{"package a\n", 1, 0},
		{"// A.\n\n/* B\n\nC */\npackage a // D\n", 1, 5},
		{"package a\n\nvar s = `x\n\ny`\n", 4, 0},
		{"package a\nfunc f() {\n\tf()\n\n\t// why\n\tf() /* both */\n}\n", 5, 2},
		{"package a\nvar s = \"// no comment\"\n", 2, 0},
	} {
		if code, comment := countLines([]byte(c.source)); code != c.code || comment != c.comment {
			t.Errorf("%q: %d code and %d comment lines, want %d and %d", c.source, code, comment, c.code, c.comment)
		}
	}
}

func TestHouseDocsCanFail(t *testing.T) {
	const head = "// Package p is documented.\npackage p\n"
	prove(t, checkDocs, []specimen{
		{"function", one("timers/a.go", head+"func F() {}\n"), "timers/a.go:3: F is exported but has no comment"},
		{"method", one("timers/a.go", head+"// T is.\ntype T int\nfunc (*T) M() {}\n"), "M is exported"},
		{"method of a hidden type", one("timers/a.go", head+"type t int\nfunc (t) M() {}\n"), ""},
		{"generic method", one("timers/a.go", head+"// T is.\ntype T[K any] struct{}\nfunc (T[K]) M() {}\n"), "M is"},
		{"type", one("transports/sim/a.go", head+"type T int\n"), "T is exported"},
		{"types in a group", one("routing/a.go", head+"// Some.\ntype (\n\tT int\n\t// U is.\n\tU int\n)\n"),
			"T is exported"},
		{"constant", one("protocol/wire/a.go", head+"const C = 1\n"), "C is exported"},
		{"constants of a group", one("protocol/wire/a.go", head+"// Sizes.\nconst (\n\tC = 1\n\tD = 2\n)\n"), ""},
		{"comment behind", one("protocol/wire/a.go", head+"const (\n\tC = 1 // bytes\n)\n"), ""},
		{"directive only", one("timers/a.go", head+"//go:noinline\nfunc F() {}\n"), "F is exported"},
		{"package", one("timers/a.go", "package timers\n"), "timers: the package has no comment"},
		{"commands", one("cmd/x/a.go", "package main\nfunc F() {}\n"), ""},
	})
}

func TestHouseLeftoversCanFail(t *testing.T) {
	later := "TO" + "DO"
	prove(t, checkLeftovers, []specimen{
		{"comment", one("cmd/a.go", "package a\n// "+later+": rest\n"), "cmd/a.go:2: \"" + later},
		{"string", one("cmd/a.go", "package a\nvar s = \"Not imple"+"mented\"\n"), "finish it"},
		{"test file", one("cmd/a_test.go", "package a\n/* FIX"+"ME */\n"), "finish it"},
		{"script", one(".ci/run", "# "+later+"\n"), ".ci/run: "},
		{"inside a word", one("cmd/a.go", "package a\n// mas"+later+"n, and what it implements\n"), ""},
	})
}
