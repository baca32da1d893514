package scenario

import (
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

func vocabulary() words {
	return words{hosts: []string{"a", "b", "spoke-1"}, nets: []string{"home"}, flows: []string{"calls"}}
}

// Each form of the grammar is taken, and each mistake named.
func TestSentences(t *testing.T) {
	whole := window{0, time.Minute}
	for _, f := range append([]string{"drops old-timestamp at least 3 on b", "initiations exactly 2 on a->b after 5s",
		"no outage over 2s on a↔b", "packets-delivered over 5 on a→b before 30s", "no drop on spoke-* between 1s and 2s",
		"datagrams lost at most 7"}, forms...) {
		f = strings.ReplaceAll(f, "flow f", "flow calls")
		if _, err := parseExpectation(f, vocabulary(), whole); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, c := range [][2]string{
		{"", "an empty sentence"},
		{"recover within soon", "a duration such as 15s is needed"},
		{"recover within", "not the end"},
		{"recover within 5s on c", `there is no host "c"`},
		{"no outage over 2s on a<->bb", `did you mean "b"?`},
		{"no outage over 2s on flow call", `did you mean "calls"?`},
		{"no outage over 2s between 20s and 10s", "no time between 20s and 10s"},
		{"no outage over 2s between 20s", "between needs two times"},
		{"no handshakes on a->b", `did you mean "handshake"?`},
		{"handshake at least 3", "does not begin a sentence"},
		{"handshakes more 3", "at least, at most, exactly, under, over is needed"},
		{"handshakes at least many", "a whole number is needed"},
		{"delay p101 under 2s", "a percentile from p1 to p100"},
		{"loss under 200%", "no share"},
		{"voice over good on flow calls", "a number such as 3.5"},
		{"effects los at least 1", `did you mean "loss"?`},
		{"handshakes at least 3 on a->b please", `"please" is not understood`},
	} {
		if _, err := parseExpectation(c[0], vocabulary(), whole); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %s", c[0], err, c[1])
		}
	}
	for _, c := range [][2]string{
		{"a sleeping", "is no counter"},
		{"a not sleeping", "is no state"},
		{"a in hom", `did you mean "home"?`},
		{"spoke-* asleep", "a state is that of one host"},
		{"handshake on a->b then b down", "a condition goes on with and, or"},
	} {
		if _, err := parseWhen(c[0], vocabulary()); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %s", c[0], err, c[1])
		}
	}
}

// run runs a file with some lines more and gives the result, verdicts included.
func run(t *testing.T, text string, o sim.Options) sim.Result {
	t.Helper()
	f, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	j := NewJudge(c.Expect)
	watch := o.Observe
	o.Observe = func(r *sim.Record) {
		j.Observe(r)
		if watch != nil {
			watch(r)
		}
	}
	s, err := sim.New(c.Scenario, o)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Run()
	r.Expectations = j.Verdicts(&r)
	return r
}

const pair = `version: 1
name: pair
duration: 2m
networks:
  - {name: net, prefix: 192.0.2.0/24, link: fibre}
  - {name: far, prefix: 198.51.100.0/25, link: fibre}
  - {name: other, prefix: 203.0.113.0/24}
hosts:
  - {name: a, network: net, inner: [10.0.0.1], peers: [{host: b, endpoint: b}]}
  - {name: b, network: far, inner: [10.0.0.2], peers: [{host: a, endpoint: a}]}
traffic:
  - {name: pings, kind: ping, from: a, to: b, start: 1s, every: 1s}
`

// Every kind of expectation can come true and can fail, in a run of which both are known.
func TestVerdicts(t *testing.T) {
	trouble := pair + `faults:
  - {name: cut, kind: cut, from: 60s, until: 70s}
expect:
`
	for _, c := range []struct{ yes, no string }{
		{"recover within 10s", "recover within 1ms"},
		{"no outage over 12s on a<->b", "no outage over 8s on a<->b"},
		{"an outage over 8s on a->b", "an outage over 12s on a->b"},
		{"no outage over 2s between 10s and 55s", "no outage over 2s between 50s and 70s"},
		{"no initiation on a->b between 10s and 55s", "no initiation on a->b before 10s"},
		{"handshakes at least 1 on a->b", "handshakes at least 1 on b->a before 20s"},
		{"packets-sent exactly 20 on a->b before 21s", "packets-sent exactly 20 on a->b before 11s"},
		{"delay p99 under 1s on a->b", "delay p50 over 1s on a->b"},
		{"loss over 5% on a->b", "loss under 5% on a->b"},
		{"loss exactly 0% on a->b before 50s", "loss over 0% on a->b before 50s"},
		{"first packet within 1s", "delay p100 under 0s"},
		{"effects partition at least 10", "effects partition at most 9"},
		{"goodput over 100bit/s on flow pings", "goodput over 1Mbit/s on flow pings"},
		{"actions at most 0", "transfers at least 0"}, // of flows that are none
	} {
		r := run(t, trouble+"  - "+c.yes+"\n  - "+c.no+"\n", sim.Options{Seed: 1})
		if e := r.Expectations; len(e) != 2 || !e[0].Met || e[1].Met || e[0].Got == "" || e[1].Text != c.no || r.Met() {
			t.Errorf("%+v", e)
		}
	}
}

// What nothing can be said about is not met: a scenario must not pass because nothing happened in it.
func TestNothingToJudge(t *testing.T) {
	r := run(t, strings.Replace(pair, "start: 1s", "start: 119s", 1)+`expect:
  - recover within 10s
  - no outage over 2s
  - loss under 1%
  - delay p99 under 1s
  - first packet within 1s
`, sim.Options{Seed: 1})
	for _, e := range r.Expectations {
		if e.Met || !strings.Contains(e.Got, "nothing to judge") {
			t.Errorf("%+v", e)
		}
	}
}

// Conditions start actions at the moment when they come true, once.
func TestWhen(t *testing.T) {
	for _, c := range []struct {
		when string
		want time.Duration // of the first roaming, roughly; 0: never
	}{
		{"handshake on a->b", time.Second},
		{"packets-delivered at least 10 on b->a", 10 * time.Second},
		{"handshake on a->b, at: 15s", 15 * time.Second},
		{"a asleep", 20 * time.Second},
		{"actions sleep at least 1 and a awake", 25 * time.Second},
		{"a down or b in other", 40 * time.Second},
		{"actions sleep at least 1 and no handshake on a->b", 0},
		{"a in net and a not running", 40 * time.Second},
		{"packets-sent at least 5 on a, after: 3s", 8 * time.Second},
		{"b overloaded", 0},
	} {
		var at []time.Duration
		run(t, pair+`timeline:
  - {at: 20s, do: sleep, host: a, for: 5s}
  - {at: 40s, do: restart, host: a, for: 2s}
  - {do: roam, host: b, network: other, when: `+c.when+`}
`, sim.Options{Seed: 1, Observe: func(r *sim.Record) {
			if r.Kind == sim.KindAction && r.Action == sim.ActionRoam && strings.HasPrefix(r.Note, "leaves") {
				at = append(at, time.Duration(r.At))
			}
		}})
		switch {
		case c.want == 0 && at == nil:
		case len(at) != 1 || (at[0]-c.want).Abs() > 1100*time.Millisecond:
			t.Errorf("%s: at %v, want %v", c.when, at, c.want)
		}
	}
}

// A host has the key that its file gives, and a psk in base64 is that key: two hosts that differ in one do not connect.
func TestGivenKeys(t *testing.T) {
	const key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	given := strings.Replace(pair, "{name: a, ", "{name: a, key: "+key+", ", 1)
	f, err := Parse("x.yaml", []byte(given))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if h := c.Scenario.Hosts; err != nil || h[0].Key == nil || h[0].Key[0] != 0xc8 || h[1].Key != nil {
		t.Fatalf("%v, %+v", err, c)
	}
	plain, other := "", ""
	keys := func(all *string) sim.Options {
		return sim.Options{Seed: 1, Observe: func(r *sim.Record) { *all += string(r.KeyLog) }}
	}
	if r := run(t, given, keys(&other)); !r.OK() || r.Tunnels[0].Handshakes == 0 {
		t.Errorf("%+v", r.Violations)
	}
	if run(t, pair, keys(&plain)); plain == other || plain == "" {
		t.Error("the key makes no difference")
	}
	psk := strings.Replace(pair, "endpoint: b", "endpoint: b, psk: "+key, 1)
	if r := run(t, psk, sim.Options{Seed: 1}); r.Tunnels[0].Handshakes != 0 {
		t.Error("a handshake with a preshared key on one side")
	}
	psk = strings.Replace(psk, "endpoint: a", "endpoint: a, psk: "+key, 1)
	if r := run(t, psk, sim.Options{Seed: 1}); r.Tunnels[0].Handshakes == 0 || !r.OK() {
		t.Error("no handshake with a preshared key on both sides")
	}
	bad, err := Parse("x.yaml", []byte(strings.Replace(given, key, "abc", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Compile(); err == nil || !strings.HasPrefix(err.Error(), "x.yaml:9:20: hosts[0].key: it is no key") {
		t.Error(err)
	}
}

// The kinds of a file are those of the engine, by its own names, and all of them.
func TestKindsAreComplete(t *testing.T) {
	if len(flowKinds) != int(sim.NumFlowKinds) || len(actionKinds) != int(sim.NumActionKinds)-1 ||
		len(attackKinds) != int(sim.NumAttackKinds)-1 || len(congestions) != int(sim.NumCongestions) {
		t.Errorf("%d flows, %d actions, %d attacks, %d congestions", len(flowKinds), len(actionKinds), len(attackKinds),
			len(congestions))
	}
	for _, w := range flowKinds {
		if w.name != w.value.String() {
			t.Errorf("%s is %s", w.name, w.value)
		}
	}
	for _, w := range actionKinds {
		if w.name != w.value.String() {
			t.Errorf("%s is %s", w.name, w.value)
		}
	}
	for _, w := range attackKinds {
		if w.name != w.value.String() {
			t.Errorf("%s is %s", w.name, w.value)
		}
	}
}
