package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A broken scenario file is one line on stderr with the place, and exit status 2.
func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken files, %v", len(files), err)
	}
	place := regexp.MustCompile(`^wgsim: [^ :]+\.yaml:[1-9]\d*:[1-9]\d*: `)
	var all strings.Builder
	for _, f := range files {
		var stdout, stderr bytes.Buffer
		p := program{stdout: &stdout, stderr: &stderr, newDevice: protocol.New}
		if code := p.execute([]string{"run", "--scenario", f}); code != shell.Usage {
			t.Errorf("%s: exit status %d", f, code)
		}
		said := strings.ReplaceAll(stderr.String(), "testdata/broken/", "")
		if stdout.Len() > 0 || strings.Count(said, "\n") != 1 || strings.Contains(said, "goroutine") {
			t.Errorf("%s: it takes one line on stderr and none on stdout: %q, %q", f, said, stdout.String())
		}
		if !place.MatchString(said) {
			t.Errorf("%s: no line and column: %s", f, said)
		}
		all.WriteString(said)
	}
	const golden = "testdata/broken/golden.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", all.String(), want)
	}
}
