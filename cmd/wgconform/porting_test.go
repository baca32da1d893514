package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/bringup"
)

// blocks gives the outputs in docs/PORTING.md, by the command above them, in order.
func blocks(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/PORTING.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for part := range strings.SplitSeq(string(text), "```text\n$ ") {
		command, rest, _ := strings.Cut(part, "\n")
		output, _, ended := strings.Cut(rest, "```")
		if ended && strings.HasPrefix(command, "wgconform ") {
			all[command] = append(all[command], output)
		}
	}
	return all
}

// example copies the shim in Python, with one line of its WireGuard changed, and gives its target.
func example(t *testing.T, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tinywg.py", "wgshim.py"} {
		b, err := os.ReadFile(filepath.Join("shims/python", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "tinywg.py" && old != "" {
			if bytes.Count(b, []byte(old)) != 1 {
				t.Fatalf("%s has %d times %q", name, bytes.Count(b, []byte(old)), old)
			}
			b = bytes.Replace(b, []byte(old), []byte(new), 1)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "shim:python3 " + filepath.Join(dir, "wgshim.py")
}

func bringUp(t *testing.T, target string) (status int, output string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs, kinds: targetKinds(), cases: conformance.Cases}
	status = p.execute([]string{"bringup", "--target", target})
	if status == 2 {
		t.Fatalf("%s", errs.String())
	}
	return status, out.String()
}

// TestBringupPorting holds docs/PORTING.md to what the program says: the example in Python answers every question, and
// with the mistake of that page it is told what the page shows.
func TestBringupPorting(t *testing.T) {
	shown := blocks(t)
	outputs := shown["wgconform bringup --target 'shim:python3 wgshim.py'"]
	if len(outputs) != 2 || len(shown) != 3 {
		t.Fatalf("%d outputs of bringup and %d commands", len(outputs), len(shown))
	}
	target := example(t, "hmac.new(key, data, hashlib.blake2s).digest()", "hashlib.blake2s(data, key=key).digest()")
	if status, got := bringUp(t, target); status != 1 || !strings.HasPrefix(got, outputs[0]) {
		t.Errorf("exit %d\n%s\nthe page says\n%s", status, got, outputs[0])
	}
	status, got := bringUp(t, example(t, "", ""))
	first, last, cut := strings.Cut(outputs[1], "…\n")
	if status != 0 || !cut || !strings.HasPrefix(got, first) || !strings.Contains(got, last) {
		t.Errorf("exit %d\n%s\nthe page says\n%s", status, got, outputs[1])
	}
}

// TestVectorsPorting: the step of the page is that of the vectors.
func TestVectorsPorting(t *testing.T) {
	v, err := bringup.NewVectors(defaultSeed)
	if err != nil {
		t.Fatal(err)
	}
	step := v.Groups[0].Tests[0].(*bringup.Handshake).Steps[3]
	b, err := json.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	got := blocks(t)["wgconform vectors --json | jq -c '.testGroups[0].tests[0].steps[3]'"]
	if len(got) != 1 || got[0] != string(b)+"\n" {
		t.Errorf("the page says\n%s\nand the program\n%s", got, b)
	}
}
