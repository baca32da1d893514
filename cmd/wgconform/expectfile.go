package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

// known is a result that is expected although it is no pass, and why.
type known struct {
	Case    string              `yaml:"case"`
	Verdict conformance.Verdict `yaml:"verdict,omitempty"` // empty in a file: fail
	Reason  string              `yaml:"reason"`
	line    int
}

// expectFile is the YAML form.
type expectFile struct {
	Known []known `yaml:"known"`
}

func isYAML(path string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(path)))
}

// readExpectations reads a file of known results: YAML if its name says so, else a line for each.
func readExpectations(path string, cases []report.CaseInfo) (all []known, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if isYAML(path) {
		all, err = parseYAML(text)
	} else {
		all, err = parseLines(string(text))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]int{}
	for i := range all {
		k := &all[i]
		if err := k.check(cases, seen); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, k.line, err)
		}
		seen[k.Case] = k.line
	}
	return all, nil
}

// check completes an entry and refuses what could not mean anything.
func (k *known) check(cases []report.CaseInfo, seen map[string]int) error {
	if k.Verdict == "" {
		k.Verdict = conformance.Fail
	}
	allowed := []conformance.Verdict{conformance.Fail, conformance.Warn, conformance.Flaky, conformance.Unsupported}
	switch {
	case k.Case == "":
		return errors.New("case is missing")
	case !slices.ContainsFunc(cases, func(c report.CaseInfo) bool { return c.ID == k.Case }):
		return fmt.Errorf("there is no case %q%s", k.Case, similar(k.Case, cases))
	case seen[k.Case] > 0:
		return fmt.Errorf("%s is there already, in line %d", k.Case, seen[k.Case])
	case !slices.Contains(allowed, k.Verdict):
		return fmt.Errorf("verdict %q: want fail, warn, flaky or unsupported", k.Verdict)
	case strings.TrimSpace(k.Reason) == "":
		return fmt.Errorf("%s has no reason: say why it is known to %s", k.Case, k.Verdict)
	}
	return nil
}

// parseLines reads "CASE VERDICT REASON..." lines; # begins a comment line.
func parseLines(text string) (all []known, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 3 {
			return nil, fmt.Errorf("line %d: want CASE VERDICT REASON, as in: timer/x fail the timer is polled", n)
		}
		all = append(all, known{words[0], conformance.Verdict(words[1]), strings.Join(words[2:], " "), n})
	}
	return all, nil
}

// parseYAML reads the YAML form, with the line of each entry for messages.
func parseYAML(text []byte) ([]known, error) {
	var f expectFile
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.ReplaceAll(yaml.FormatError(err, false, false), "\n", " "))
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err
	}
	path, err := yaml.PathString("$.known")
	if err != nil {
		return nil, err
	}
	node, err := path.FilterFile(tree)
	if err != nil {
		return f.Known, nil //nolint:nilerr // no such node: the file is empty
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		for i, v := range list.Values {
			if i < len(f.Known) {
				f.Known[i].line = v.GetToken().Position.Line
			}
		}
	}
	return f.Known, nil
}

// formatExpectations is the inverse of readExpectations.
func formatExpectations(path string, all []known) ([]byte, error) {
	if isYAML(path) {
		b, err := yaml.Marshal(expectFile{all})
		return append([]byte("# Known results that are no pass: wgconform expect compares a run with them.\n"), b...), err
	}
	var b bytes.Buffer
	b.WriteString("# Known results that are no pass: CASE VERDICT REASON. wgconform expect compares a run with them.\n")
	for _, k := range all {
		fmt.Fprintf(&b, "%s %s %s\n", k.Case, k.Verdict, k.Reason)
	}
	return b.Bytes(), nil
}
