package main

import (
	"encoding/xml"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// step is what is used here of a step of an action or of a job.
type step struct {
	ID   string            `yaml:"id"`
	Name string            `yaml:"name"`
	Run  string            `yaml:"run"`
	Uses string            `yaml:"uses"`
	With map[string]string `yaml:"with"`
	Env  map[string]string `yaml:"env"`
}

// action is docs/ci/action.yml.
type action struct {
	Inputs map[string]struct {
		Default string `yaml:"default"`
	} `yaml:"inputs"`
	Outputs map[string]struct {
		Value string `yaml:"value"`
	} `yaml:"outputs"`
	Runs struct {
		Using string `yaml:"using"`
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
}

func readYAML(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// runner is a machine that runs steps as GitHub's does.
type runner struct {
	t      *testing.T
	folder string // the work tree of the project that uses the action
	env    []string
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	r := &runner{t: t, folder: t.TempDir()}
	files := t.TempDir()
	r.env = append(os.Environ(), "RUNNER_TEMP="+files, "GITHUB_OUTPUT="+filepath.Join(files, "output"),
		"GITHUB_STEP_SUMMARY="+filepath.Join(files, "summary"))
	return r
}

// bash runs the text of a step and gives its exit status and what it printed.
func (r *runner) bash(text string, env map[string]string) (status int, out string) {
	r.t.Helper()
	script := filepath.Join(r.t.TempDir(), "step.sh")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	c := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
	c.Dir, c.Env = r.folder, slices.Clone(r.env)
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	b, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(b)
}

// file gives the text of one of the files that steps write for GitHub.
func (r *runner) file(name string) string {
	r.t.Helper()
	for _, e := range slices.Backward(r.env) {
		if path, ok := strings.CutPrefix(e, name+"="); ok {
			b, err := os.ReadFile(path)
			if err != nil {
				r.t.Fatal(err)
			}
			return string(b)
		}
	}
	r.t.Fatalf("no %s", name)
	return ""
}

// act runs the steps of the action that are shell, and gives the status of the last one.
func (r *runner) act(a *action, inputs map[string]string) (status int, out string) {
	r.t.Helper()
	here, err := filepath.Abs("../../docs/ci")
	if err != nil {
		r.t.Fatal(err)
	}
	values := map[string]string{"${{ github.action_path }}": here}
	for name, in := range a.Inputs {
		values["${{ inputs."+name+" }}"] = in.Default
		if v, ok := inputs[name]; ok {
			values["${{ inputs."+name+" }}"] = v
		}
	}
	for _, s := range a.Runs.Steps {
		if s.Run == "" {
			continue
		}
		env := map[string]string{}
		for name, text := range s.Env {
			value, known := values[text]
			if !known {
				r.t.Fatalf("%s: %s is %s, which this test does not know", s.Name, name, text)
			}
			env[name] = value
		}
		if strings.Contains(s.Run, "${{") {
			r.t.Errorf("%s: an expression inside the script, where its value would be code", s.Name)
		}
		if status, out = r.bash(s.Run, env); status != 0 {
			break
		}
	}
	return status, out
}

// TestAction runs the steps of docs/ci/action.yml as they stand there, on our own core: what it keeps, and that its
// status is that of wgconform whether the target holds, fails, or cannot be tested.
func TestAction(t *testing.T) {
	var a action
	readYAML(t, "../../docs/ci/action.yml", &a)
	if a.Runs.Using != "composite" || a.Outputs["status"].Value != "${{ steps.test.outputs.status }}" {
		t.Errorf("runs %q, status %q", a.Runs.Using, a.Outputs["status"].Value)
	}
	known, err := filepath.Abs("../../docs/ci/known.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t)
	const some = "--only\nwire/outer/*\n--quiet\n"
	status, out := r.act(&a, map[string]string{"target": "core", "known": known, "args": some})
	if status != 0 || !strings.Contains(out, "3 as known, 0 changed") {
		t.Fatalf("the core, as known: status %d\n%s", status, out)
	}
	for _, ext := range []string{"xml", "json", "html", "md", "svg"} {
		name := filepath.Join(r.folder, "wgconform-reports", "conformance."+ext)
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
		if ext == "xml" || ext == "svg" {
			if err := xml.Unmarshal(b, new(struct{ XMLName xml.Name })); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if ext == "md" && r.file("GITHUB_STEP_SUMMARY") != string(b) {
			t.Error("the summary is not the Markdown report")
		}
	}
	// A failure that is known and does not come is a change.
	wrong := filepath.Join(t.TempDir(), "wrong.txt")
	if err := os.WriteFile(wrong, []byte("wire/outer/one-port fail it is not so\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out = r.act(&a, map[string]string{"target": "core", "known": wrong, "args": some, "reports": "second"})
	if status != 1 || !strings.Contains(out, "changed: wire/outer/one-port") {
		t.Errorf("a change: status %d\n%s", status, out)
	}
	if _, err := os.Stat(filepath.Join(r.folder, "second", "conformance.xml")); err != nil {
		t.Errorf("no report of a failed run: %v", err)
	}
	if status, out = r.act(&a, map[string]string{"target": "nothing"}); status != 2 {
		t.Errorf("an unknown target: status %d\n%s", status, out)
	}
	if got := r.file("GITHUB_OUTPUT"); got != "status=0\nstatus=1\nstatus=2\n" {
		t.Errorf("outputs %q", got)
	}
}

// TestWorkflow: the example uses the action with inputs that it has, and its step for the badge puts the file, and
// nothing else, on a branch of its own.
func TestWorkflow(t *testing.T) {
	var a action
	readYAML(t, "../../docs/ci/action.yml", &a)
	var w struct {
		Jobs map[string]struct {
			Steps []step `yaml:"steps"`
		} `yaml:"jobs"`
	}
	readYAML(t, "../../docs/ci/workflow.yml", &w)
	used, publish := false, ""
	for _, s := range w.Jobs["conformance"].Steps {
		if strings.HasPrefix(s.Uses, "purewire/purewire/docs/ci@") {
			used = s.With["target"] != ""
			for name := range s.With {
				if _, ok := a.Inputs[name]; !ok {
					t.Errorf("the action has no input %s, only %v", name, slices.Sorted(maps.Keys(a.Inputs)))
				}
			}
		}
		if strings.Contains(s.Run, "refs/heads/badges") {
			publish = s.Run
		}
	}
	if !used || publish == "" {
		t.Fatalf("the action is used with a target: %v; the step for the badge: %q", used, publish)
	}
	r := newRunner(t)
	git := func(line string) string {
		t.Helper()
		status, out := r.bash("git "+line, nil)
		if status != 0 {
			t.Fatalf("git %s: %s", line, out)
		}
		return out
	}
	git("init -q --bare origin.git")
	git("init -q .")
	git("remote add origin ./origin.git")
	if status, out := r.bash(publish, nil); status != 0 {
		t.Fatalf("without a badge: status %d\n%s", status, out)
	}
	reports := filepath.Join(r.folder, "wgconform-reports")
	for _, text := range []string{"<svg>1</svg>", "<svg>2</svg>"} {
		err := errors.Join(os.MkdirAll(reports, 0o755),
			os.WriteFile(filepath.Join(reports, "conformance.svg"), []byte(text), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		if status, out := r.bash(publish, nil); status != 0 {
			t.Fatalf("status %d\n%s", status, out)
		}
		if got := git("--git-dir origin.git show badges:conformance.svg"); got != text {
			t.Errorf("published %q, want %q", got, text)
		}
	}
	got := strings.Fields(git("--git-dir origin.git log --format=%s --name-only badges"))
	if !slices.Equal(got, []string{"Badge", "conformance.svg"}) {
		t.Errorf("the branch has %q", got)
	}
}
