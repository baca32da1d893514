package purewire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// areaTitles explains the areas of docs/rules.txt in docs/CONFORMANCE.md.
var areaTitles = map[string]string{
	"MSG":    "what is on the wire",
	"CRYPTO": "primitives and constants",
	"HS":     "handshakes",
	"TAI":    "the timestamp in an initiation",
	"COOKIE": "mac1, mac2 and cookie replies",
	"DOS":    "shedding load",
	"KEY":    "indices and key pairs",
	"REPLAY": "the window of counters",
	"TIMER":  "what happens when",
	"QUEUE":  "packets that wait for a session",
	"PAD":    "padding",
	"INNER":  "looking at decrypted packets",
	"ROUTE":  "cryptokey routing",
	"ROAM":   "endpoints",
	"QOS":    "marks on the outer packet",
	"QUIET":  "silence",
	"STAT":   "counters",
	"LIFE":   "up, down, restart and change",
	"SEC":    "duties nobody can see from outside",
	"UAPI":   "the configuration socket",
}

// tableHead ends the part of docs/CONFORMANCE.md that people write; all below it is written by -update.
const tableHead = "<!-- Cells are yours; rows and order come from rules.txt: go test . -run Conformance -update -->"

// renderTable keeps the text above the marker and the filled cells, and writes one row per rule in the order of the
// rules. Rows of rules that do not exist are kept at the end, so that the check names them and nothing is lost.
func renderTable(old string, rules []rule, rows []row) string {
	var b strings.Builder
	intro, _, _ := strings.Cut(old, tableHead)
	b.WriteString(intro + tableHead + "\n")
	kept := map[string]row{}
	for _, r := range rows {
		kept[r.id] = r
	}
	area := ""
	for _, want := range rules {
		if a, _, _ := strings.Cut(want.id, "-"); a != area {
			area = a
			fmt.Fprintf(&b, "\n## %s: %s\n\n| rule | level | functions | tests | note |\n|---|---|---|---|---|\n",
				area, areaTitles[area])
		}
		r := kept[want.id]
		delete(kept, want.id)
		r.id, r.level = want.id, want.level
		b.WriteString(r.String())
	}
	for _, r := range rows {
		if _, left := kept[r.id]; left {
			delete(kept, r.id)
			b.WriteString(r.String())
		}
	}
	return b.String()
}

// String is the row as a line of the table, newline included.
func (r row) String() string {
	quoted := func(names []string) string {
		all := make([]string, len(names))
		for i, n := range names {
			all[i] = "`" + n + "`"
			if bare, ok := strings.CutPrefix(n, "(no backquotes) "); ok {
				all[i] = bare
			}
		}
		return strings.Join(all, ", ")
	}
	cells := list(r.id, r.level, quoted(r.functions), quoted(r.tests), r.note)
	return strings.ReplaceAll("| "+strings.Join(cells, " | ")+" |\n", "|  ", "| ")
}

func TestHouseConformanceCanFail(t *testing.T) {
	rules, err := parseRules("# why\nKEY-01\tMUST\tone\nKEY-02\tSHOULD\ttwo\n")
	if err != nil {
		t.Fatal(err)
	}
	s := indexSymbols(memTree(t, map[string]string{
		"timers/a.go": "package timers\ntype Peer struct{}\nfunc (p *Peer) Sent() {}\nfunc arm() {}\nconst Max = 1\n",
		"timers/a_test.go": "package timers_test\nfunc TestSent(t *T) { t.Run(\"two words\", nil) }\nfunc helper() {}\n" +
			"func TestFlat() { f(\"one\") }\nvar table = list(\"from a table\")\n",
		"cmd/wg/main.go": "package main\nfunc run() {}\n",
	}))
	s.script = func(name string) bool { return name == "psk.txt" }
	const two = "| KEY-02 | SHOULD | | | not ours |\n"
	for _, c := range []struct{ name, table, want string }{
		{"good", "| KEY-01 | MUST | `timers.Peer.Sent`, `timers.arm` | `timers.TestSent` | |\n" + two, ""},
		{"good subtest and script", "| KEY-01 | MUST | `timers.Max`, `wg.run` | `timers.TestSent/two_words`, " +
			"`protocoltest/script/psk.txt`, `timers.TestSent/from_a_table` | |\n" + two, ""},
		{"no function", "| KEY-01 | MUST | `timers.Peer.Gone` | `timers.TestSent` | |\n" + two,
			"KEY-01: there is no function timers.Peer.Gone"},
		{"test as function", "| KEY-01 | MUST | `timers.TestSent` | `timers.TestSent` | |\n" + two, "there is no function"},
		{"no test", "| KEY-01 | MUST | `timers.arm` | `timers.TestGone` | |\n" + two, "there is no test timers.TestGone"},
		{"helper as test", "| KEY-01 | MUST | `timers.arm` | `timers.helper` | |\n" + two, "there is no test"},
		{"no subtest", "| KEY-01 | MUST | `timers.arm` | `timers.TestSent/three` | |\n" + two, "there is no test"},
		{"no Run", "| KEY-01 | MUST | `timers.arm` | `timers.TestFlat/one` | |\n" + two, "there is no test"},
		{"another's subtest", "| KEY-01 | MUST | `timers.arm` | `timers.TestSent/one` | |\n" + two, "there is no test"},
		{"no script", "| KEY-01 | MUST | `timers.arm` | `protocoltest/script/x.txt` | |\n" + two, "there is no test"},
		{"no backquotes", "| KEY-01 | MUST | timers.arm | `timers.TestSent` | |\n" + two, "there is no function (no back"},
		{"function only", "| KEY-01 | MUST | `timers.arm` | | |\n" + two, "neither a function with a test nor a reason"},
		{"test only", "| KEY-01 | MUST | | `timers.TestSent` | |\n" + two, "neither a function with a test"},
		{"wrong level", "| KEY-01 | MAY | | | not ours |\n" + two, "level MAY, docs/rules.txt says MUST"},
		{"twice", two + "| KEY-01 | MUST | | | why |\n" + two, "CONFORMANCE.md:3: KEY-02: listed before, in line 1"},
		{"unknown", "| KEY-01 | MUST | | | why |\n" + two + "| KEY-03 | MUST | | | why |\n", "KEY-03: no such rule"},
		{"missing", two, "missing KEY-01"},
		{"empty", two + "| KEY-01 | MUST | | | |\n", "missing KEY-01"},
		{"cells", two + "| KEY-01 | MUST | why |\n", "CONFORMANCE.md:2: 3 cells, want 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, complaints := parseTable(c.table)
			n, more := checkTable(rules, rows, s)
			complaints = append(complaints, more...)
			for _, m := range n.missing {
				complaints = append(complaints, "missing "+m.id)
			}
			hit := slices.ContainsFunc(complaints, func(s string) bool { return strings.Contains(s, c.want) })
			if c.want == "" && len(complaints) > 0 || c.want != "" && !hit {
				t.Fatalf("want %q, got %q", c.want, complaints)
			}
		})
	}
	for _, bad := range list("KEY-01 MUST one", "KEY-1\tMUST\tone", "KEY-01\tHAVE\tone", "KEY-01\tMUST\t",
		"KEY-01\tMUST\tone\nKEY-01\tMUST\tone") {
		if _, err := parseRules(bad); err == nil {
			t.Errorf("parseRules took %q", bad)
		}
	}
}

// TestHouseTableRoundTrip shows that -update loses no cell, sorts, and is stable.
func TestHouseTableRoundTrip(t *testing.T) {
	rules := []rule{{"KEY-01", "MUST", "one"}, {"KEY-02", "MAY", "two"}, {"TAI-01", "MUST", "three"}}
	old := "# Title\n\n" + tableHead + "\n" +
		"| TAI-01 | MUST | `a.B`, `a.C.d` | `a.TestB` | why |\n| OLD-01 | MAY | | | gone |\n"
	rows, complaints := parseTable(old)
	if len(complaints) > 0 {
		t.Fatal(complaints)
	}
	want := "# Title\n\n" + tableHead + "\n" +
		"\n## KEY: indices and key pairs\n\n| rule | level | functions | tests | note |\n|---|---|---|---|---|\n" +
		"| KEY-01 | MUST | | | |\n| KEY-02 | MAY | | | |\n" +
		"\n## TAI: the timestamp in an initiation\n\n| rule | level | functions | tests | note |\n|---|---|---|---|---|\n" +
		"| TAI-01 | MUST | `a.B`, `a.C.d` | `a.TestB` | why |\n| OLD-01 | MAY | | | gone |\n"
	got := renderTable(old, rules, rows)
	if got != want {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
	rows, _ = parseTable(got)
	if again := renderTable(got, rules, rows); again != want {
		t.Fatalf("a second -update changed it:\n%s", again)
	}
}
