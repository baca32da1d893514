package gallery

import (
	"reflect"
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

// The scenarios of the gallery that package sim has for its own tests are the same there.
func TestSameAsTheEngine(t *testing.T) {
	for _, sc := range sim.Scenarios() {
		f, err := Load(sc.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := f.Compile()
		if err != nil {
			t.Error(err)
			continue
		}
		if !reflect.DeepEqual(c.Scenario, sc) {
			t.Errorf("%s\n%+v\n%+v", sc.Name, c.Scenario, sc)
		}
	}
}

func TestExpect(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			r := run(t, name, 1)
			for _, v := range r.Violations {
				t.Error(v)
			}
			for _, e := range r.Expectations {
				t.Log(e)
				if !e.Met {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
