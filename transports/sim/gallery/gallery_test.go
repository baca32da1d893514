package gallery

import (
	"testing"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/scenario"
)

func run(t *testing.T, name string, seed uint64) sim.Result {
	t.Helper()
	f, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	j := scenario.NewJudge(c.Expect)
	s, err := sim.New(c.Scenario, sim.Options{Seed: seed, Observe: j.Observe})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Run()
	r.Expectations = j.Verdicts(&r)
	return r
}

// Every scenario has a question, an answer and expectations, and the expectations come true, on other seeds too: an
// answer that depends on luck is none.
func TestGalleryIsAsExpected(t *testing.T) {
	if n := Names(); len(n) < 16 || n[0] != Default {
		t.Errorf("%d scenarios, the first is %s", len(n), n[0])
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			f, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if f.Name != name || f.Question == "" || f.Answer == "" || f.About == "" || len(f.Expect) < 3 {
				t.Errorf("name %s, question %q, answer %q, about %q, %d expectations", f.Name, f.Question, f.Answer, f.About,
					len(f.Expect))
			}
			seeds := []uint64{1, 7}
			if len(f.Hosts) == 1 || name == "hub" { // the big ones take seconds
				seeds = seeds[:1]
			}
			for _, seed := range seeds {
				r := run(t, name, seed)
				for _, v := range r.Violations {
					t.Errorf("seed %d: %+v", seed, v)
				}
				for _, e := range r.Expectations {
					if !e.Met {
						t.Errorf("seed %d: %s: %s", seed, e.Text, e.Got)
					}
				}
			}
		})
	}
}
