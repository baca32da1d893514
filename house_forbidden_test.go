package purewire_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// A regime is a set of folders that must be deterministic and what that takes from them.
type regime struct {
	name    string
	folders []string
	// imports that are refused with everything below them, and exceptions.
	imports, except []string
	// not are folders below those that have a regime of their own.
	not []string
	// workers allows goroutines: they search many runs at once, each of which is one thread's.
	workers bool
	// sortedKeys allows slices.Sorted(maps.Keys(m)) and its kin: the order is gone before it is seen.
	sortedKeys bool
}

var core = list("timers", "routing", "protocol", "protocol/wire", "protocol/internal/...")

var searches = list("transports/sim/model")

// regimes: design §2 and §10. hash/maphash is seeded per process, so what it orders differs between runs.
var regimes = []regime{
	{
		name:    "core",
		folders: core,
		imports: list("net", "os", "sync", "crypto/rand", "math/rand", "log", "unsafe", "hash/maphash"),
		except:  list("net/netip"),
	},
	{
		// The simulator may draw from its own seeded math/rand/v2 source, never from the global one.
		name:       "transports/sim",
		folders:    list("transports/sim/..."),
		not:        searches,
		imports:    list("net", "os", "sync", "crypto/rand", "log", "unsafe", "hash/maphash"),
		except:     list("net/netip"),
		sortedKeys: true,
	},
	{
		// The model checker runs devices very often and on all processors. What it finds must not depend on how
		// many those are, for which it has a test.
		name:       "transports/sim searches",
		folders:    searches,
		imports:    list("net", "os", "crypto/rand", "log", "unsafe", "hash/maphash"),
		except:     list("net/netip"),
		workers:    true,
		sortedKeys: true,
	},
	{
		// A log is replayed byte for byte: reading and writing it must not depend on the process either.
		name:       "protocol/eventlog",
		folders:    list("protocol/eventlog"),
		imports:    list("net", "os", "sync", "crypto/rand", "math/rand", "log", "unsafe", "hash/maphash"),
		except:     list("net/netip"),
		sortedKeys: true,
	},
}

// clockWords are the names of package time that read a clock, start a timer or depend on the machine's zone.
var clockWords = list("Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep",
	"Timer", "Ticker", "Local", "LoadLocation", "ParseInLocation")

// A judge walks one folder under one regime.
type judge struct {
	*regime
	fset       *token.FileSet
	info       *types.Info
	pardoned   map[*ast.Ident]bool
	complaints []string
	seen       map[string]bool
}

func (j *judge) say(at token.Pos, format string, args ...any) {
	p := j.fset.Position(at)
	line := fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
	if !j.seen[line] {
		j.seen[line] = true
		j.complaints = append(j.complaints, line)
	}
}

// checkForbidden applies the regimes to the non-test files of the tree. The importer resolves what they import.
func checkForbidden(t *tree, importer types.Importer) (complaints []string) {
	for i := range regimes {
		for _, d := range t.folders {
			if underAny(regimes[i].folders, d.dir) && !underAny(regimes[i].not, d.dir) {
				complaints = append(complaints, judgeFolder(&regimes[i], t.fset, d, importer)...)
			}
		}
	}
	return complaints
}

func judgeFolder(r *regime, fset *token.FileSet, d *folder, importer types.Importer) []string {
	j := &judge{regime: r, fset: fset, pardoned: map[*ast.Ident]bool{}, seen: map[string]bool{}}
	var files []*ast.File
	for _, f := range d.files {
		if f.isTest() {
			continue
		}
		if !f.native {
			j.say(f.ast.Pos(), "built on some platforms only: %s is the same code everywhere", r.name)
			continue
		}
		files = append(files, f.ast)
	}
	if len(files) == 0 {
		return j.complaints
	}
	j.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Uses:  map[*ast.Ident]types.Object{},
		Defs:  map[*ast.Ident]types.Object{},
	}
	conf := types.Config{Importer: importer, Error: func(err error) {
		if e, ok := err.(types.Error); ok {
			j.say(e.Pos, "does not type-check, so it cannot be judged: %s", e.Msg)
		}
	}}
	// Check's own error is the first of those that Error has already reported.
	_, _ = conf.Check(module+"/"+d.dir, fset, files, j.info)
	for _, f := range files {
		j.judgeImports(f)
		ast.Inspect(f, j.visit)
	}
	slices.Sort(j.complaints)
	return j.complaints
}

func (j *judge) judgeImports(f *ast.File) {
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil || slices.Contains(j.except, p) {
			continue
		}
		for _, bad := range j.imports {
			if p == bad || strings.HasPrefix(p, bad+"/") {
				j.say(spec.Pos(), "%s is not for %s", p, j.name)
			}
		}
		if spec.Name != nil && spec.Name.Name == "." {
			j.say(spec.Pos(), "a dot import hides where a name comes from")
		}
	}
}

func (j *judge) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		if !j.workers {
			j.say(n.Pos(), "go statement: %s has one goroutine, its caller's", j.name)
		}
	case *ast.SelectStmt:
		j.say(n.Pos(), "select chooses at random among ready cases")
	case *ast.ChanType:
		if !j.workers {
			j.say(n.Pos(), "channel: %s waits for nobody", j.name)
		}
	case *ast.RangeStmt:
		if isMap(j.info.TypeOf(n.X)) {
			j.say(n.Pos(), "range over a map: the order differs between runs")
		}
	case *ast.BasicLit:
		if n.Kind == token.STRING && strings.Contains(n.Value, "%"+"p") {
			j.say(n.Pos(), "a pointer in output differs between runs")
		}
	case *ast.CallExpr:
		j.pardonSorted(n)
	case *ast.Ident:
		j.judgeName(n)
	}
	if e, ok := n.(ast.Expr); ok && j.isFloat(e) {
		j.say(n.Pos(), "floating point: rounding may differ between platforms, use integers")
	}
	return true
}

// pardonSorted lets slices.Sorted(maps.Keys(m)) pass where the regime allows it. It sees the outer call first.
func (j *judge) pardonSorted(call *ast.CallExpr) {
	if !j.sortedKeys || len(call.Args) == 0 {
		return
	}
	outer := calleeName(call)
	inner, ok := call.Args[0].(*ast.CallExpr)
	if outer == nil || !ok || calleeName(inner) == nil {
		return
	}
	if o := j.info.Uses[outer]; o != nil && o.Pkg() != nil && o.Pkg().Path() == "slices" &&
		strings.HasPrefix(o.Name(), "Sorted") {
		j.pardoned[calleeName(inner)] = true
	}
}

func calleeName(call *ast.CallExpr) *ast.Ident {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel
	case *ast.Ident:
		return f
	}
	return nil
}

func (j *judge) judgeName(id *ast.Ident) {
	o := j.info.Uses[id]
	if b, ok := o.(*types.Builtin); ok && (b.Name() == "print" || b.Name() == "println") {
		j.say(id.Pos(), "%s: %s writes nothing anywhere (QUIET-08)", b.Name(), j.name)
	}
	if o == nil || o.Pkg() == nil {
		return
	}
	_, isFunc := o.(*types.Func)
	switch p, name := o.Pkg().Path(), o.Name(); {
	case p == "time" && slices.Contains(clockWords, name):
		j.say(id.Pos(), "time.%s: %s takes the time as an argument", name, j.name)
	case p == "maps" && slices.Contains(list("Keys", "Values", "All"), name) && !j.pardoned[id]:
		j.say(id.Pos(), "maps.%s yields in an order that differs between runs", name)
	case strings.HasPrefix(p, "crypto/") && name == "GenerateKey":
		j.say(id.Pos(), "GenerateKey ignores the reader it is given (design §11.1)")
	case (p == "math/rand" || p == "math/rand/v2") && isFunc && !strings.HasPrefix(name, "New") &&
		o.Type().(*types.Signature).Recv() == nil:
		j.say(id.Pos(), "rand.%s draws from the process-wide source", name)
	}
}

// isMap looks through named types, and through type parameters, where one map in the set is enough.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	if p, ok := t.(*types.TypeParam); ok {
		c, ok := p.Constraint().Underlying().(*types.Interface)
		if !ok {
			return false
		}
		for i := range c.NumEmbeddeds() {
			e := c.EmbeddedType(i)
			if isMap(e) {
				return true
			}
			if u, ok := e.(*types.Union); ok {
				for k := range u.Len() {
					if isMap(u.Term(k).Type()) {
						return true
					}
				}
			}
		}
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// isFloat lets untyped constants pass that are whole numbers, as in 540e9: they are exact and become integers.
func (j *judge) isFloat(e ast.Expr) bool {
	tv := j.info.Types[e]
	if id, ok := e.(*ast.Ident); ok && tv.Type == nil {
		if o := j.info.ObjectOf(id); o != nil {
			tv.Type = o.Type()
			if c, ok := o.(*types.Const); ok {
				tv.Value = c.Val()
			}
		}
	}
	if tv.Type == nil {
		return false
	}
	b, ok := tv.Type.Underlying().(*types.Basic)
	if !ok || b.Info()&(types.IsFloat|types.IsComplex) == 0 {
		return false
	}
	whole := tv.Value != nil && constant.ToInt(tv.Value).Kind() == constant.Int
	return !whole || b.Info()&types.IsUntyped == 0
}
