package explain

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// explainReal explains captures in a folder, made by testdata/lab.sh. names are the sides whose captures to read.
func explainReal(t *testing.T, dir string, withConfigs bool, names ...string) *Report {
	t.Helper()
	var sources []Source
	var o Options
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, n := range names {
		sources = append(sources, Source{n + ".pcapng", bytes.NewReader(read(n + ".pcapng"))})
	}
	if withConfigs {
		for _, n := range []string{"a", "b"} {
			o.Configs = append(o.Configs, Config{n + ".conf", string(read(n + ".conf"))})
		}
	}
	r, err := Explain(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Two wireguard-go processes rekey at 120 s and lose the direction from b to a from 140 s to 200 s; see
// testdata/lab.sh.
// One tap at a, one at b, and both together say just that, each with its own evidence.
func TestRekeyAndOneDirectionLostForAMinute(t *testing.T) {
	const dir = "testdata/oneway"
	for _, c := range []struct {
		name      string
		taps      []string
		configs   bool
		depth     Depth
		certainty Certainty
		want      []string
	}{
		{"at a", []string{"a"}, false, DepthNoKeys, Certain, []string{"Replies never reach this side: for 60.4 s nothing " +
			"of " +
			"192.0.3.2:51820 came to 192.0.2.2:51820", "its counters jump by 60", "One direction was broken"}},
		{"at b", []string{"b"}, false, DepthNoKeys, Likely, []string{"Replies never reach 192.0.2.2:51820 for 41.1 s",
			"sent 9 initiations, 9 of them were answered", "does not hear it"}},
		{"at both", []string{"a", "b"}, true, DepthConfig, Certain, []string{"What b sends never reaches a for 59.3 s",
			"68 messages of b in a row", "67 messages of a went through: one direction was broken"}},
		{"at a, with keys", []string{"a"}, true, DepthConfig, Certain, []string{"for 60.4 s nothing of b came to a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := explainReal(t, dir, c.configs, c.taps...)
			text := show(r)
			flat := strings.Join(strings.Fields(text), " ")
			if len(r.Findings) != 1 || r.Findings[0].Kind != "replies-lost" || r.Findings[0].Certainty != c.certainty {
				t.Errorf("want one finding, replies-lost, %s:\n%s", c.certainty, text)
			}
			for _, want := range append(c.want, "120.79") {
				if !strings.Contains(flat, want) {
					t.Errorf("%q is not said:\n%s", want, text)
				}
			}
			if r.Depth != c.depth || len(r.Deviations) > 0 || r.Tunnels[0].State != "working at the end" {
				t.Errorf("depth %s, state %s, deviations %v", r.Depth, r.Tunnels[0].State, r.Deviations)
			}
			rekeys := 0
			for _, s := range r.Tunnels[0].Sessions {
				if s.CauseRule == "TIMER-07" && s.Confirmed {
					rekeys++
				}
			}
			if rekeys != 1 {
				t.Errorf("want one rekey for age, got %d:\n%s", rekeys, text)
			}
		})
	}
}

// lab makes captures of two wireguard-go processes right now.
func lab(t *testing.T, args ...string) (dir string) {
	t.Helper()
	for _, program := range []string{"wireguard-go", "wg", "ip", "dumpcap", "ping", "unshare", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing: .ci/setup installs what the tests need", program)
		}
	}
	if os.Getuid() != 0 {
		t.Fatal("root is needed to make network namespaces")
	}
	dir = t.TempDir()
	out, err := exec.Command("bash", append([]string{"testdata/lab.sh", dir}, args...)...).CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		t.Fatalf("lab.sh (%v): %v\n%s", errors.As(err, &exit), err, out)
	}
	return dir
}

func TestWireguardGoThatWorks(t *testing.T) {
	t.Parallel()
	dir := lab(t, "6")
	for _, taps := range [][]string{{"a"}, {"b"}, {"a", "b"}} {
		for _, configs := range []bool{false, true} {
			r := explainReal(t, dir, configs, taps...)
			want := DepthNoKeys
			if configs {
				want = DepthConfig
			}
			if r.Depth != want || len(r.Findings)+len(r.Deviations) > 0 || len(r.Tunnels) != 1 {
				t.Errorf("taps %v: want nothing at depth %s:\n%s", taps, want, show(r))
			}
			if e := r.Tunnels[0].Ends; configs && (e[0].Name != "a" || e[1].Name != "b") {
				t.Errorf("the configurations did not tell who is who:\n%s", show(r))
			}
		}
	}
}

func TestWireguardGoThatEnds(t *testing.T) {
	t.Parallel()
	dir := lab(t, "22", "4:stop-b")
	for _, tap := range []string{"a", "b"} {
		r := explainReal(t, dir, false, tap)
		if f := r.kind("peer-gone"); f == nil || f.Certainty != Certain || !strings.Contains(f.Text, "nothing listens "+
			"there") {
			t.Errorf("tap %s: want peer-gone because of the ICMP error:\n%s", tap, show(r))
		}
	}
}

func TestWireguardGoWithAnotherPSK(t *testing.T) {
	t.Parallel()
	dir := lab(t, "36", "3:psk-b")
	if f := explainReal(t, dir, true, "b").kind("wrong-psk"); f == nil || f.Tunnel != 1 {
		t.Errorf("with both files, want wrong-psk:\n%s", show(explainReal(t, dir, true, "b")))
	}
	r := explainReal(t, dir, false, "a")
	if f := r.kind("replies-refused"); f == nil || f.Certainty != Possible ||
		!strings.Contains(strings.Join(f.Or, " "), "preshared key") {
		t.Errorf("without keys, want that it is possible:\n%s", show(r))
	}
}
