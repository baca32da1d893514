package scenario

import (
	"cmp"
	"slices"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// condition is the compiled form of when:, a sim.Trigger. It is an "or" of "and"s of terms.
type condition struct{ any [][]term }

// term is a part of a condition: a counter against a limit, an event that has happened, or a state.
type term struct {
	not     bool
	counter *counted // nil: a state
	cmp     comparison
	limit   uint64
	n       uint64 // how much there is

	state   string // one of states
	host    string
	network string
	loaded  bool // of "overloaded": what the last event said
}

// states that a host may be in.
var states = []string{"asleep", "awake", "down", "running", "overloaded", "in"}

// parseWhen reads a condition:
//
//	condition = term { "and" term } { "or" term { "and" term } }
//	term      = "no" EVENT [scope] | EVENT [scope] | COUNTER comparison NUMBER [scope] | HOST ["not"] STATE
func parseWhen(text string, w words) (*condition, error) {
	w.list = strings.Fields(text)
	c := &condition{any: [][]term{nil}}
	for {
		last := len(c.any) - 1
		c.any[last] = append(c.any[last], w.term())
		if w.take("and") {
			continue
		}
		if !w.take("or") {
			break
		}
		c.any = append(c.any, nil)
	}
	w.end("a condition goes on with and, or")
	return c, w.err
}

func (w *words) term() (t term) {
	first := w.peek()
	isState := func(s string) bool { return slices.Contains(states, s) }
	if len(w.list) > 1 && (w.list[1] == "not" || isState(w.list[1])) {
		return w.state()
	}
	t.not = w.take("no")
	single := t.not || slices.ContainsFunc(counters, func(c counter) bool { return c.one == first })
	c := w.counter(single)
	if c.counter == nil {
		return t
	}
	t.cmp, t.limit = atLeast, 1
	if !single {
		t.cmp, t.limit = w.comparison(), w.number()
	}
	c.scope = w.scope()
	t.counter = &c
	return t
}

func (w *words) state() (t term) {
	t.host = w.next()
	if w.host(t.host); isPattern(t.host) {
		w.fail("%q: a state is that of one host", t.host)
	}
	t.not = w.take("not")
	t.state = w.next()
	if !slices.Contains(states, t.state) {
		w.fail("%s is no state%s", quoted(t.state), DidYouMean(t.state, states))
	}
	if t.state == "in" {
		t.network = w.next()
		if !slices.Contains(w.nets, t.network) {
			w.fail("there is no network %s%s", quoted(t.network), DidYouMean(t.network, w.nets))
		}
	}
	return t
}

// Fresh implements sim.Trigger.
func (c *condition) Fresh() sim.Trigger {
	n := &condition{}
	for _, all := range c.any {
		n.any = append(n.any, slices.Clone(all))
	}
	return n
}

// See implements sim.Trigger. Every term sees every record, since it counts.
func (c *condition) See(v sim.View, r *sim.Record) bool {
	holds := false
	for _, all := range c.any {
		each := true
		for i := range all {
			each = all[i].see(v, r) && each
		}
		holds = holds || each
	}
	return holds
}

func (t *term) see(v sim.View, r *sim.Record) bool {
	if t.counter != nil {
		if t.counter.sees(r) {
			t.n++
		}
		return t.cmp.holds(cmp.Compare(t.n, t.limit)) != t.not
	}
	if r.Kind == sim.KindCore && r.Event.Kind == protocol.EventLoad && r.Host == t.host {
		t.loaded = r.Event.Under
	}
	return t.is(v) != t.not
}

func (t *term) is(v sim.View) bool {
	switch t.state {
	case "asleep":
		return v.Asleep(t.host)
	case "awake":
		return v.Running(t.host) && !v.Asleep(t.host)
	case "down":
		return !v.Up(t.host)
	case "running":
		return v.Running(t.host)
	case "overloaded":
		return v.Running(t.host) && t.loaded
	}
	return v.Network(t.host) == t.network
}
