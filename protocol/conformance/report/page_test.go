package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance/report"
)

func page(t *testing.T, d *report.Document) string {
	t.Helper()
	var b bytes.Buffer
	err := report.WriteHTML(&b, d, report.HTMLOptions{
		Captures: func(_ *report.Run, id string) []byte {
			if id == "timer/keepalive/passive" {
				return []byte{0x0a, 0x0d, 0x0d, 0x0a}
			}
			return nil
		},
		Repeat: func(run *report.Run, id string) string {
			return "wgconform run --target '" + run.Target + "' --only " + id
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// WGCONFORM_PAGES keeps the pages for whoever wants to look at them.
	if dir := os.Getenv("WGCONFORM_PAGES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, t.Name()+".html"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestPageOfOneRun(t *testing.T)    { checkPage(t, sample(1)) }
func TestPageOfThreeRuns(t *testing.T) { checkPage(t, sample(3)) }

// checkPage: the page needs nothing from anywhere, every case has its place, every link in it leads somewhere, and
// nothing that a subject said became markup.
func checkPage(t *testing.T, d *report.Document) {
	html := page(t, d)
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if ids[m[1]] {
			t.Errorf("the id %q is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, c := range d.Cases {
		if !ids[c.ID] {
			t.Errorf("%s has no place on the page", c.ID)
		}
		if !strings.Contains(html, `href="#`+c.ID+`"`) {
			t.Errorf("nothing links to %s", c.ID)
		}
	}
	for _, m := range regexp.MustCompile(` (?:href|src)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		target, local := strings.CutPrefix(m[1], "#")
		if local && !ids[target] {
			t.Errorf("a link leads to %q, which is not there", m[1])
		}
		if !local && !strings.HasPrefix(m[1], "data:") {
			t.Errorf("the page refers to %q", m[1])
		}
	}
	for _, bad := range []string{"<script>alert", "\x1b", "ZgotmplZ", "@import", "url("} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, want := range []string{
		`<rect class="mark datagram-out broke"`, `class="band deciding"`, `title="encrypted timestamp"`,
		"passive keepalive due",
		"a keepalive between 10.020 and 10.720 s", "data:application/octet-stream;base64,Cg0NCg==",
		"Data that nothing answers is answered by a keepalive after 10 s", "The other side takes silence for a dead peer",
		"--only timer/keepalive/passive",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
