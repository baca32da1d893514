package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

func render(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../../docs/conformance.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestJSONFollowsItsSchema(t *testing.T) {
	s := schema(t)
	for _, runs := range []int{1, 3} {
		d := sample(runs)
		text := render(t, func(w io.Writer) error { return report.WriteJSON(w, d) })
		if err := validate(t, s, text); err != nil {
			t.Errorf("%d runs: %v", runs, err)
		}
		back, err := report.ReadJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(normal(t, d), normal(t, back)) {
			t.Error("a document is another after it was written and read")
		}
	}
	// The schema can say no.
	good := render(t, func(w io.Writer) error { return report.WriteJSON(w, sample(1)) })
	for _, change := range [][2]string{
		{`"verdict": "flaky"`, `"verdict": "maybe"`}, {`"took_ns": `, `"took": `}, {`"TIMER-15"`, `"TIMER-1"`},
		{`"kind": "window"`, `"kind": "door"`}, {report.Format, "wgconform-report/0"}, {`"seed": 7`, `"seed": "7"`},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("the sample has no %s", change[0])
		}
		if validate(t, s, strings.Replace(good, change[0], change[1], 1)) == nil {
			t.Errorf("the schema takes %s", change[1])
		}
	}
}

// normal compares documents without regard to nil and empty lists, which JSON does not tell apart here.
func normal(t *testing.T, d *report.Document) any {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReadJSONRefusesOthers(t *testing.T) {
	for _, c := range [][2]string{{`{"format":"x/1"}`, `format "x/1"`}, {`[]`, "not a report"}, {``, "not a report"},
		{`{"format":"wgconform-report/1","more":1}`, `unknown field "more"`}} {
		if _, err := report.ReadJSON(strings.NewReader(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got error %v, want %s", c[0], err, c[1])
		}
	}
}

// junitRule is what the schema that Jenkins publishes for JUnit files says about an element, as far as we use it.
type junitRule struct{ attributes, optional, children string }

var junitRules = map[string]junitRule{
	"testsuites": {"name tests failures errors time", "", "testsuite*"},
	"testsuite":  {"name tests failures errors skipped time timestamp hostname", "", "properties? testcase*"},
	"properties": {"", "", "property*"},
	"property":   {"name value", "", ""},
	"testcase":   {"classname name time", "", "skipped? error? failure? system-out? system-err?"},
	"skipped":    {"message type", "", ""}, "error": {"message type", "", ""}, "failure": {"message type", "", ""},
	"system-out": {"", "", ""}, "system-err": {"", "", ""},
}

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// checkJUnit walks the file: names, required attributes, order and number of children, and that the sums are right.
func checkJUnit(t *testing.T, e *element) {
	rule, known := junitRules[e.XMLName.Local]
	if !known {
		t.Fatalf("element %s", e.XMLName.Local)
	}
	var got, names []string
	for _, a := range e.Attrs {
		got = append(got, a.Name.Local)
	}
	if strings.Join(got, " ") != rule.attributes {
		t.Errorf("%s has attributes %q, want %q", e.XMLName.Local, got, rule.attributes)
	}
	for i := range e.Children {
		names = append(names, e.Children[i].XMLName.Local+" ")
		checkJUnit(t, &e.Children[i])
	}
	pattern := regexp.MustCompile(`([a-z-]+)([*?]) ?`).ReplaceAllString(rule.children, "($1 )$2")
	if all := strings.Join(names, ""); !regexp.MustCompile("^" + pattern + "$").MatchString(all) {
		t.Errorf("%s has children %q, want %s", e.XMLName.Local, all, rule.children)
	}
	if e.XMLName.Local == "testsuite" {
		count := map[string]int{}
		for _, c := range e.Children {
			count[c.XMLName.Local]++
			for _, k := range c.Children {
				count[k.XMLName.Local]++
			}
		}
		for attr, child := range map[string]string{"tests": "testcase", "failures": "failure", "errors": "error",
			"skipped": "skipped"} {
			if fmt.Sprint(count[child]) != e.attr(attr) {
				t.Errorf("%s: %s is %s, there are %d", e.attr("name"), attr, e.attr(attr), count[child])
			}
		}
	}
}

func junit(t *testing.T, d *report.Document, strict bool) *element {
	t.Helper()
	text := render(t, func(w io.Writer) error { return report.WriteJUnit(w, d, strict) })
	e := new(element)
	if err := xml.Unmarshal([]byte(text), e); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, e)
	return e
}

func TestJUnit(t *testing.T) {
	e := junit(t, sample(1), false)
	if e.attr("tests") != "33" || e.attr("failures") != "2" || e.attr("errors") != "1" { // fail and flaky; error
		t.Errorf("tests %s, failures %s, errors %s", e.attr("tests"), e.attr("failures"), e.attr("errors"))
	}
	if strict := junit(t, sample(1), true); strict.attr("failures") != "3" {
		t.Errorf("strict: %s failures", strict.attr("failures"))
	}
	found := map[string]string{}
	for _, s := range e.Children {
		for _, c := range s.Children {
			if len(c.Children) > 0 {
				found[c.attr("name")] = c.Children[0].XMLName.Local + " " + c.Children[0].attr("message") + c.Children[0].Text
			}
		}
	}
	for name, want := range map[string]string{
		"timer/keepalive/passive": "failure the keepalive came 1.580 s after its window",
		"roam/endpoint/data":      "failure ",
		"cookie/under-load/plain": "error the network namespace vanished",
		"uapi/get/plain":          "skipped unsupported: needs uapi",
		"handshake/retry/jitter":  "skipped inconclusive: ",
		"cookie/secret/life":      "system-out case:",
		"timer/rekey/at-120-s":    "system-out",
	} {
		if !strings.HasPrefix(found[name], want) {
			t.Errorf("%s: got %q, want %q", name, found[name], want)
		}
	}
	junit(t, sample(3), false)
}

// TestTAP reads the stream as a harness does: plan, numbers, directives.
func TestTAP(t *testing.T) {
	text := render(t, func(w io.Writer) error { return report.WriteTAP(w, sample(1), false) })
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "TAP version 14" || lines[1] != "1..33" {
		t.Fatalf("begins with %q", lines[:2])
	}
	point := regexp.MustCompile(`^(not )?ok (\d+) - ((?:[^#\\]|\\.)*?)(?: # (todo|SKIP) (.*))?$`)
	count, in := map[string]int{}, false
	n := 0
	for _, l := range lines[2:] {
		switch {
		case l == "  ---":
			in = true
		case l == "  ...":
			in = false
		case in:
			if !regexp.MustCompile(`^  ("[^"]*"|[a-z]+): "([^"\\]|\\.)*"$`).MatchString(l) {
				t.Errorf("in a diagnosis: %q", l)
			}
		default:
			m := point.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("no test point: %q", l)
			}
			n++
			if m[2] != fmt.Sprint(n) {
				t.Errorf("number %s, want %d", m[2], n)
			}
			count[m[1]+m[4]]++
		}
	}
	want := map[string]int{"": 27, "not ": 3, "not todo": 1, "SKIP": 2}
	if n != 33 || !reflect.DeepEqual(count, want) {
		t.Errorf("%d points, %v, want %v", n, count, want)
	}
	three := render(t, func(w io.Writer) error { return report.WriteTAP(w, sample(3), false) })
	for _, want := range []string{"\n1..3\n", "\n# Subtest: core\n    1..33\n    ok 1 - ", "\nnot ok 1 - wireguard-go\n",
		"\nok 2 - core\n", "\nnot ok 3 - boringtun\n"} {
		if !strings.Contains(three, want) {
			t.Errorf("three runs lack %q", want)
		}
	}
}

func TestTextFitsTheTerminal(t *testing.T) {
	options := report.TextOptions{
		Captures: func(run *report.Run, id string) string { return "captures/" + report.CaptureName(run.Name, id) },
		Repeat:   func(_ *report.Run, id string) string { return "wgconform run --seed 7 --only " + id },
	}
	for _, runs := range []int{1, 3} {
		text := render(t, func(w io.Writer) error { return report.WriteText(w, sample(runs), options) })
		for l := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > 100 {
				t.Errorf("%d columns: %s", n, l)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Error("an escape sequence, of a subject or of ours")
		}
		for _, want := range []string{
			"FAIL  timer/keepalive/passive  MUST TIMER-15", "a keepalive between 10.020 and 10.720 s",
			"captures/wireguard-go--timer.keepalive.passive.pcapng", "--only timer/keepalive/passive", "cookie life",
			"5.000 … 5.600 s", "Unsupported by wireguard-go: 1", "26 passed, 1 error, 1 failed, 1 flaky, 1 warn",
			"repeat: ", "seed 7",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%d runs lack %q:\n%s", runs, want, text)
			}
		}
	}
	options.Color = true
	text := render(t, func(w io.Writer) error { return report.WriteText(w, sample(1), options) })
	if !strings.Contains(text, "\x1b[1;31mFAIL\x1b[0m") {
		t.Error("no colour although asked for")
	}
}

func TestMarkdown(t *testing.T) {
	text := render(t, func(w io.Writer) error { return report.WriteMarkdown(w, sample(3)) })
	cells := 0
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "|") {
			cells = 0
			continue
		}
		n := len(regexp.MustCompile(`[^\\]\|`).FindAllString(l, -1))
		if cells != 0 && n != cells {
			t.Errorf("%d cells in a table of %d: %s", n, cells, l)
		}
		cells = n
	}
	for _, want := range []string{
		"| area | wireguard-go | core | boringtun |", "| timer | 0/2, 1 fail, 1 warn | 2/2 | 1/2, 1 fail |",
		"### fail: `timer/keepalive/passive`", "- expected: a keepalive between 10.020",
		"| `cookie/secret/life` | cookies per second | &lt;20> |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
}

func TestBadge(t *testing.T) {
	for _, c := range []struct {
		verdicts map[string]conformance.Verdict
		want     string
	}{
		{nil, "33 of 33"},
		{map[string]conformance.Verdict{"timer/rekey/at-120-s": conformance.Warn}, "32 of 33, 1 warned"},
		{map[string]conformance.Verdict{"timer/keepalive/passive": conformance.Flaky}, "32 of 33, 1 failed"},
		{map[string]conformance.Verdict{"uapi/get/plain": conformance.Unsupported}, "32 of 32"},
		{map[string]conformance.Verdict{"uapi/get/plain": conformance.Broken}, "run void"},
	} {
		d := &report.Document{Runs: []report.Run{sampleRun("x", "x", c.verdicts)}}
		d.Normalize()
		text := render(t, func(w io.Writer) error { return report.WriteBadge(w, &d.Runs[0]) })
		err := xml.Unmarshal([]byte(text), new(element))
		if err != nil || !strings.Contains(text, "conformance: "+c.want+"\"") {
			t.Errorf("want %q (%v):\n%s", c.want, err, text)
		}
	}
}

func TestRulesAreTheProjects(t *testing.T) {
	want, err := os.ReadFile("../../../docs/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("rules.txt differs from docs/rules.txt: cp docs/rules.txt protocol/conformance/report/")
	}
	if n := strings.Count("\n"+string(want), "\nTIMER-"); n == 0 || len(report.Rules()) < 200 {
		t.Errorf("%d rules are read", len(report.Rules()))
	}
	for c := range conformance.Cases() {
		for _, id := range c.Rules {
			if report.RuleOf(id).Text == "" {
				t.Errorf("%s is about %s, which has no text", c.ID, id)
			}
		}
	}
	if r := report.RuleOf("HS-03"); r.Level != conformance.Must || r.Text == "" {
		t.Errorf("HS-03 is %+v", r)
	}
}

func TestNormalizeSortsAndKeepsEverything(t *testing.T) {
	d := sample(1)
	r := d.Runs[0].Results
	slices.Reverse(r)
	r = append(r, conformance.Result{Case: "timer/new", Level: conformance.Must, Verdict: conformance.Pass})
	d.Runs[0].Results = r
	d.Cases = report.Describe(sampleCases()[:2])
	d.Normalize()
	if len(d.Cases) != 34 || len(d.Runs[0].Results) != 34 || d.Runs[0].Counts.Total() != 34 {
		t.Fatalf("%d cases, %d results", len(d.Cases), len(d.Runs[0].Results))
	}
	for i, c := range d.Cases {
		if d.Runs[0].Results[i].Case != c.ID {
			t.Errorf("result %d is of %s, the case is %s", i, d.Runs[0].Results[i].Case, c.ID)
		}
	}
	if areas := d.Areas(); len(areas) != 6 {
		t.Errorf("areas %v", areas)
	}
}
