package main

import (
	"errors"
	"strings"
)

// splitWords splits a command line as a POSIX shell does, with its quotes and backslashes and nothing else: no
// variables, no patterns, no substitution.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	var quote rune // the open quote, or 0
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			// Between double quotes a backslash is special before these only.
			if quote == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote or a backslash has no end")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// withInterface puts name in the place of {if}, or behind the words if it is in none of them.
func withInterface(words []string, name string) []string {
	out := make([]string, 0, len(words)+1)
	found := false
	for _, w := range words {
		found = found || strings.Contains(w, "{if}")
		out = append(out, strings.ReplaceAll(w, "{if}", name))
	}
	if !found {
		out = append(out, name)
	}
	return out
}
