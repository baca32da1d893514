package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/purewire/purewire/cmd/internal/shell"
)

// fake is a program whose measurements are given, and that notes the plan.
func fake(results []result, err error, uid int) (p *program, got *plan, stdout, stderr *bytes.Buffer) {
	got, stdout, stderr = &plan{}, &bytes.Buffer{}, &bytes.Buffer{}
	return &program{stdout: stdout, stderr: stderr, uid: func() int { return uid },
		measure: func(_ context.Context, p plan, _ io.Writer) ([]result, setup, error) {
			*got = p
			return results, setup{Rounds: p.rounds, Seconds: p.length.Seconds(), MTU: 1420, Load: "0.10 0.20 0.30",
				Offloads: map[string]bool{"gro": false, "tso": true}}, err
		}}, got, stdout, stderr
}

func TestWrongCalls(t *testing.T) {
	cases := []struct {
		line, want string
		uid        int
	}{
		{"tunnel", "no --impl", 0},
		{"tunnel --impl a", "is not NAME=CMD", 0},
		{"tunnel --impl =a", "is not NAME=CMD", 0},
		{"tunnel --impl a-name-of-15-ch=x", "1 to 14 characters", 0},
		{"tunnel --impl a=", "no command", 0},
		{"tunnel --impl a='", "a quote or a backslash has no end", 0},
		{"tunnel --impl a=x --impl a=y", "a is there twice", 0},
		{"tunnel --impl a=x --base b", "--base b is no --impl", 0},
		{"tunnel --impl a=x --only tcp1,tcp2", "--only tcp2: there are tcp1, tcp8, udp", 0},
		{"tunnel --impl a=x --rounds 0", "--rounds must be", 0},
		{"tunnel --impl a=x --seconds 0.1", "--seconds must be", 0},
		{"tunnel --impl a=x --seconds 601", "--seconds must be", 0},
		{"tunnel --impl a=x --frobnicate", "unknown flag: --frobnicate (see wgbench tunnel --help)", 0},
		{"tunnel --impl a=x more", "unknown command", 0},
		{"frobnicate", "unknown command", 0},
		{"tunnel --impl a=x", "run wgbench as root", 1000},
	}
	for _, c := range cases {
		p, got, stdout, stderr := fake(nil, nil, c.uid)
		if status := p.execute(strings.Fields(c.line)); status != shell.Usage {
			t.Errorf("%s: status %d, want %d", c.line, status, shell.Usage)
		}
		if !strings.Contains(stderr.String(), c.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: stderr %q, want one line with %q", c.line, stderr, c.want)
		}
		if got.rounds != 0 || stdout.Len() != 0 {
			t.Errorf("%s: something was measured or printed: %+v %q", c.line, *got, stdout)
		}
	}
}

func TestPlan(t *testing.T) {
	p, got, _, _ := fake([]result{{1, "a", "tcp1.up", 1}}, nil, 0)
	if status := p.execute([]string{"tunnel", "--impl", "a='/x y' -f {if}", "--impl", "b=z", "--rounds", "7", "--only",
		"ping,tcp1,ping", "--seconds", "0.25"}); status != shell.OK {
		t.Fatalf("status %d", status)
	}
	if len(got.implementations) != 2 || !slices.Equal(got.implementations[0].Command, []string{"/x y", "-f", "{if}"}) ||
		got.implementations[1].Name != "b" {
		t.Errorf("implementations: %+v", got.implementations)
	}
	if !slices.Equal(got.groups, []string{"tcp1", "ping"}) || got.rounds != 7 || got.length != 250*time.Millisecond {
		t.Errorf("plan: %+v", *got)
	}
}

func TestFailureKeepsFigures(t *testing.T) {
	p, _, stdout, stderr := fake([]result{{1, "a", "tcp1.up", 123}}, errors.New("daemon gone"), 0)
	if status := p.execute([]string{"tunnel", "--impl", "a=x"}); status != shell.Failed {
		t.Errorf("status %d, want %d", status, shell.Failed)
	}
	if !strings.Contains(stdout.String(), "123") || !strings.Contains(stderr.String(), "daemon gone") {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	p, _, stdout, _ = fake(nil, errors.New("no namespace"), 0)
	if status := p.execute([]string{"tunnel", "--impl", "a=x"}); status != shell.Failed || stdout.Len() != 0 {
		t.Errorf("without figures: status %d, stdout %q", status, stdout)
	}
	p, _, _, stderr = fake([]result{{1, "a", "tcp1.up", 123}}, nil, 0)
	status := p.execute([]string{"tunnel", "--impl", "a=x", "--json", t.TempDir() + "/no/such/folder"})
	if status != shell.Failed || !strings.Contains(stderr.String(), "no such file") {
		t.Errorf("an unwritable file: status %d, stderr %q", status, stderr)
	}
}

func TestJSONOnStandardOutput(t *testing.T) {
	results := []result{{1, "a", "tcp1.up", 100}, {1, "b", "tcp1.up", 50}}
	p, _, stdout, _ := fake(results, nil, 0)
	if status := p.execute(strings.Fields("tunnel --impl a=x --impl b=y --base b --json -")); status != shell.OK {
		t.Fatalf("status %d", status)
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if !slices.Equal(r.Results, results) || r.Base != "b" || len(r.Summary) != 2 || r.Summary[0].Ratio != 2 {
		t.Errorf("report: %+v", r)
	}
	if r.Machine.Cores < 1 || r.Machine.Go == "" || r.Machine.Kernel == "" || r.Machine.CPU == "" {
		t.Errorf("machine: %+v", r.Machine)
	}
}

func TestWords(t *testing.T) {
	cases := []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  \t\n", nil},
		{"a b  c", []string{"a", "b", "c"}},
		{`'a b' "c d"e`, []string{"a b", "c de"}},
		{`'' ""`, []string{"", ""}},
		{`a\ b \\ \'`, []string{"a b", `\`, "'"}},
		{`'a\b' "a\b" "a\"\$\\b"`, []string{`a\b`, `a\b`, `a"$\b`}},
		{`sh -c 'x -f {if} & wait $!'`, []string{"sh", "-c", "x -f {if} & wait $!"}},
	}
	for _, c := range cases {
		if got, err := splitWords(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v, want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{"'a", `"a`, `a\`, `"a\"`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%q: %q, want an error", line, got)
		}
	}
	words := []string{"x", "-f", "{if}", "--log={if}.log"}
	if got := withInterface(words, "w0"); !slices.Equal(got, []string{"x", "-f", "w0", "--log=w0.log"}) {
		t.Errorf("placed: %q", got)
	}
	if words[2] != "{if}" {
		t.Error("the words of the plan were changed")
	}
	if got := withInterface([]string{"x", "-f"}, "w0"); !slices.Equal(got, []string{"x", "-f", "w0"}) {
		t.Errorf("appended: %q", got)
	}
}

func TestStatistics(t *testing.T) {
	if m := median([]float64{5, 1, 3}); m != 3 {
		t.Errorf("median of three: %g", m)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median of four: %g", m)
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(percentile(nil, 0.5)) {
		t.Error("of nothing there is a median or a percentile")
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	for p, want := range map[float64]float64{0: 1, 0.005: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("percentile %g: %g, want %g", p, got, want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the caller's values were sorted")
	}
}

func TestSummary(t *testing.T) {
	impls := []implementation{{Name: "b"}, {Name: "a"}}
	got := summarize(impls, []result{
		{1, "a", "udp.cpu", 3}, {1, "b", "udp.cpu", 0}, {1, "a", "tcp1.up", 10}, {1, "b", "tcp1.up", 40},
		{2, "a", "tcp1.up", 30}, {2, "b", "tcp1.up", 60}, {1, "a", "flood.kept", 7},
	}, "b")
	want := []summary{ // metrics in the order of the table, implementations in that of the command line
		{"tcp1.up", "b", 2, 50, 40, 60, 1},
		{"tcp1.up", "a", 2, 20, 10, 30, 0.4},
		{"udp.cpu", "b", 1, 0, 0, 0, 0}, // nothing can be a multiple of 0
		{"udp.cpu", "a", 1, 3, 3, 3, 0},
		{"flood.kept", "a", 1, 7, 7, 7, 0}, // the base has none
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTable(t *testing.T) {
	p := plan{implementations: []implementation{{Name: "purewire"}, {Name: "wireguard-go"}}}
	s := setup{Rounds: 2, Seconds: 1.5, MTU: 1420, Load: "0.10 0.20 0.30",
		Offloads: map[string]bool{"gro": false, "tso": true}}
	r := newReport(p, s, []result{
		{1, "purewire", "tcp1.up", 400}, {1, "wireguard-go", "tcp1.up", 200}, {2, "purewire", "tcp1.up", 500},
		{2, "wireguard-go", "tcp1.up", 250}, {1, "wireguard-go", "udp.cpu", 4.125},
	}, "purewire")
	r.Machine = machine{CPU: "A Fine CPU", Cores: 2, Kernel: "6.1", Go: "go1.26"}
	var b strings.Builder
	if err := writeTable(&b, r); err != nil {
		t.Fatal(err)
	}
	want := `A Fine CPU, 2 cores
Linux 6.1, go1.26, load average before: 0.10 0.20 0.30
2 round(s) of 1.5 s, MTU 1420, veth: tso on, gro off

                                                           median            min to max       ratio
TCP 1 stream, A to B           MB/s      purewire             450            400 to 500        1.00
                                         wireguard-go         225            200 to 250        0.50
CPU per packet at 20,000/s     µs        wireguard-go        4.12          4.12 to 4.12           -

Ratios are medians divided by those of purewire. Lower is better for times, CPU and memory.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Every line of the table fits on 100 columns, whatever is measured and however it is called.
func TestTableWidth(t *testing.T) {
	name := strings.Repeat("n", nameColumns)
	var results []result
	for _, m := range metrics {
		results = append(results, result{1, name, m.Name, 1234567}, result{2, name, m.Name, 0.00123})
	}
	r := newReport(plan{implementations: []implementation{{Name: name}}}, setup{}, results, name)
	r.Machine = machine{}
	var b strings.Builder
	if err := writeTable(&b, r); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), name+" "); n != len(metrics) {
		t.Errorf("%d lines for %d metrics", n, len(metrics))
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
