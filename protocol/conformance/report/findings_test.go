package report_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance/report"
)

const findingsHead = "## a\n\n| severity | sort | what it does | source | rules | cases |\n|---|---|---|---|---|---|\n"

func TestParseFindings(t *testing.T) {
	const other = "\nText.\n\n| version | of |\n|---|---|\n| 1 | b |\n"
	got, err := report.ParseFindings("f.md", findingsHead+
		"| low | choice | Does this \\| that. | `x.c:1`, y.c | R-01, R-02 | `p/q` (warn), `r/*` |\n"+other+
		strings.Replace(findingsHead, "## a", "## b", 1)+"| high | bug | No. | `z` | R-03 | `p/q` |\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Finding{
		{"a", "low", "choice", "Does this | that.", "x.c:1, y.c", []string{"R-01", "R-02"}, []string{"p/q", "r/*"}},
		{"b", "high", "bug", "No.", "z", []string{"R-03"}, []string{"p/q"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if some := report.FindingsOf(got, "a", "r/s/t"); len(some) != 1 || some[0].Severity != "low" {
		t.Errorf("of a glob: %+v", some)
	}
	if some := report.FindingsOf(got, "b", "r/s/t"); len(some) != 0 {
		t.Errorf("of another run: %+v", some)
	}
}

func TestParseFindingsRefuses(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		{"| low | bug | x | y | R-01 |", "f.md:5: 5 columns, a finding has 6"},
		{"| mild | bug | x | y | R-01 | `c/d` |", `f.md:5: severity "mild"`},
		{"| low | feature | x | y | R-01 | `c/d` |", `f.md:5: sort "feature"`},
		{"| low | bug | | y | R-01 | `c/d` |", "f.md:5: what it does is not said"},
		{"| low | bug | x | | R-01 | `c/d` |", "f.md:5: its source is not said"},
		{"| low | bug | x | y | R-01 | c/d |", "f.md:5: no case in backquotes"},
	} {
		if _, err := report.ParseFindings("f.md", findingsHead+c.row); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.row, err, c.want)
		}
	}
	headless := strings.TrimPrefix(findingsHead, "## a\n") + "| low | bug | x | y | R-01 | `c/d` |"
	if _, err := report.ParseFindings("f.md", headless); err == nil {
		t.Error("a finding outside a section is taken")
	}
}
