package program

import (
	"net"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	env := func(name string) string { return map[string]string{"WORDS": "a b"}[name] }
	for command, want := range map[string][]string{
		"sh -f {if}":                   {"/sh", "-f", "wgc0"},
		"sh":                           {"/sh", "wgc0"},
		`sh --name={if} 'two words' x`: {"/sh", "--name=wgc0", "two words", "x"},
		`sh "$WORDS" \{if\}`:           {"/sh", "a b", "wgc0"},
	} {
		got, err := split(command, env)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if !strings.HasPrefix(got[0], "/") || !strings.HasSuffix(got[0], want[0]) || !slices.Equal(got[1:], want[1:]) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{"", "  ", "sh 'open", "no-such-program-here", "sh $(id)"} {
		if got, err := split(command, env); err == nil {
			t.Errorf("%q: taken as %q", command, got)
		}
	}
}

// Answers that are none are errors that say why.
func TestConverse(t *testing.T) {
	for answer, want := range map[string]string{
		"errno=-98\n\n": "errno=-98", "errno=x\n\n": `errno is "x"`, "": "without errno", "listen_port=1\n": "without errno",
	} {
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 100))
			_, _ = far.Write([]byte(answer))
			far.Close()
		}()
		if _, err := converse(near, "get=1\n\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", answer, err, want)
		}
	}
}
