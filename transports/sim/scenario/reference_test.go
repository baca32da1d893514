package scenario_test

import (
	"os"
	"strings"
	"testing"

	"github.com/purewire/purewire/transports/sim/scenario"
)

const docFile = "../../../docs/SCENARIOS.md"

// The tables of docs/SCENARIOS.md are those of the code, and its example runs.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for _, part := range []struct{ mark, table string }{
		{"<!-- kinds:", scenario.KindsReference()}, {"<!-- fields:", scenario.FieldsReference()},
	} {
		before, rest, found := strings.Cut(want, part.mark)
		head, _, _ := strings.Cut(rest, "\n")
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !found || !closed {
			t.Fatalf("%s is not in %s", part.mark, docFile)
		}
		want = before + part.mark + head + "\n" + part.table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the code says; run go test ./transports/sim/scenario -update", docFile)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	f, err := scenario.Parse("example.yaml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := f.Compile(); err != nil || len(c.Scenario.Hosts) != 4 || len(c.Expect) != 2 {
		t.Errorf("the example: %v", err)
	}
}
