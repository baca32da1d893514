package protocoltest

import (
	"fmt"
	"strings"
)

// separator stands between the commands of a block and what they gave.
const separator = "----"

// A block is a group of commands and its log.
type block struct {
	line  int      // of the first line of input, counted from 1
	lead  []string // empty lines and comments before the block, kept as they are
	input []string // command lines, comments between them included
}

// A script is a parsed file.
type script struct {
	name   string
	blocks []block
	tail   []string // what follows the last block
}

// parseScript reads a script. The logs are not kept: they are compared as part of the whole text.
func parseScript(name, text string) (*script, error) {
	s := &script{name: name}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !strings.HasPrefix(lines[0], "# ") {
		return nil, fmt.Errorf("%s:1: a script begins with a comment that is its title", name)
	}
	var lead []string
	for i := 0; i < len(lines); {
		if blank(lines[i]) {
			lead = append(lead, lines[i])
			i++
			continue
		}
		b := block{line: i + 1, lead: lead}
		lead = nil
		for ; i < len(lines) && lines[i] != separator; i++ {
			if strings.TrimSpace(lines[i]) == "" {
				return nil, fmt.Errorf("%s:%d: an empty line among commands: %q is missing", name, i+1, separator)
			}
			b.input = append(b.input, lines[i])
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s:%d: these commands have no %q behind them", name, b.line, separator)
		}
		for i++; i < len(lines) && lines[i] != ""; i++ { // the log of an earlier run
			continue
		}
		s.blocks = append(s.blocks, b)
	}
	s.tail = lead
	return s, nil
}

func blank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}

// Run runs the script text in a world of its own and returns the same script with the logs of this run: it is equal
// to text if and only if everything happened as before. An error means that the script is wrong (its place is named)
// or that something happened which must never happen; what ran so far is returned with it.
func Run(name, text string, o Options) (string, error) {
	s, err := parseScript(name, text)
	if err != nil {
		return "", err
	}
	env := New(o)
	var out strings.Builder
	for _, b := range s.blocks {
		writeLines(&out, b.lead)
		writeLines(&out, b.input)
		out.WriteString(separator + "\n")
		for i, input := range b.input {
			if blank(input) {
				continue
			}
			err = env.run(fmt.Sprintf("%s:%d", name, b.line+i), input)
			if err != nil {
				break
			}
		}
		out.WriteString(env.takeLog())
		if err != nil {
			return out.String(), err
		}
	}
	writeLines(&out, s.tail)
	return out.String(), nil
}

func writeLines(out *strings.Builder, lines []string) {
	for _, l := range lines {
		out.WriteString(l + "\n")
	}
}
