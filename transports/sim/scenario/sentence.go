package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// words reads a sentence word by word: those of expect: and when: are a closed grammar, which docs/SCENARIOS.md
// gives in full.
type words struct {
	list []string
	err  error
	// hosts and flows are the names that there are, for scopes and states.
	hosts, flows, nets []string
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// peek gives the next word, "" at the end.
func (w *words) peek() string {
	if len(w.list) == 0 {
		return ""
	}
	return w.list[0]
}

func (w *words) next() string {
	s := w.peek()
	if s != "" {
		w.list = w.list[1:]
	}
	return s
}

// take eats the words if they come next.
func (w *words) take(phrase string) bool {
	p := strings.Fields(phrase)
	if len(w.list) < len(p) || !slices.Equal(w.list[:len(p)], p) {
		return false
	}
	w.list = w.list[len(p):]
	return true
}

// end complains about words that are left.
func (w *words) end(may string) {
	if len(w.list) > 0 {
		w.fail("%q is not understood; %s", strings.Join(w.list, " "), may)
	}
}

// quoted shows what came instead of something else.
func quoted(s string) string {
	if s == "" {
		return "the end"
	}
	return strconv.Quote(s)
}

func (w *words) duration() time.Duration {
	var d Duration
	word := w.next()
	if err := d.UnmarshalText([]byte(word)); err != nil {
		w.fail("a duration such as 15s is needed, not %s", quoted(word))
	}
	if d < 0 {
		w.fail("%s is less than no time", d)
	}
	return d.time()
}

func (w *words) number() uint64 {
	word := w.next()
	n, err := strconv.ParseUint(word, 10, 63)
	if err != nil {
		w.fail("a whole number is needed, not %s", quoted(word))
	}
	return n
}

// comparison is a relation to a limit.
type comparison int

const (
	atLeast comparison = iota
	atMost
	exactly
	under
	over
	numComparisons
)

var comparisonWords = [numComparisons]string{"at least", "at most", "exactly", "under", "over"}

func (c comparison) String() string { return comparisonWords[c] }

// holds reports whether the comparison holds for an order of a value and its limit as of cmp.Compare.
func (c comparison) holds(order int) bool {
	switch c {
	case atLeast:
		return order >= 0
	case atMost:
		return order <= 0
	case exactly:
		return order == 0
	case under:
		return order < 0
	}
	return order > 0
}

func (w *words) comparison() comparison {
	for c := range numComparisons {
		if w.take(c.String()) {
			return c
		}
	}
	w.fail("%s is needed, not %s", strings.Join(comparisonWords[:], ", "), quoted(w.peek()))
	return atLeast
}

// scope says whom a sentence is about. The zero scope is about all.
type scope struct {
	from, to string // names or patterns of hosts; to is "" if one host is meant
	both     bool
	flow     string
}

// arrows of a scope, the two-way ones first since they contain the others.
var arrowWords = []struct {
	text string
	both bool
}{{"<->", true}, {"↔", true}, {"->", false}, {"→", false}}

// scope reads "on HOST", "on A->B", "on A<->B" or "on flow NAME", if it comes.
func (w *words) scope() (s scope) {
	if !w.take("on") {
		return s
	}
	if w.take("flow") {
		s.flow = w.next()
		if !slices.ContainsFunc(w.flows, func(f string) bool { return f == s.flow || Matches(s.flow, f) }) {
			w.fail("there is no flow %s%s", quoted(s.flow), DidYouMean(s.flow, w.flows))
		}
		return s
	}
	word := w.next()
	s.from = word
	for _, a := range arrowWords {
		if from, to, found := strings.Cut(word, a.text); found {
			s.from, s.to, s.both = from, to, a.both
			w.host(to)
			break
		}
	}
	w.host(s.from)
	return s
}

func (w *words) host(name string) {
	if slices.Contains(w.hosts, name) || isPattern(name) &&
		slices.ContainsFunc(w.hosts, func(h string) bool { return Matches(name, h) }) {
		return
	}
	w.fail("there is no host %s%s", quoted(name), DidYouMean(name, w.hosts))
}

// covers reports whether the scope takes in what goes from one host to another. A scope of one host takes in what is
// that host's own: about is the side whose it is.
func (s *scope) covers(from, to, flow string) bool {
	switch {
	case s.flow != "":
		return s.flow == flow || isPattern(s.flow) && Matches(s.flow, flow)
	case s.from == "":
		return true
	case s.to == "":
		return same(s.from, from)
	}
	return same(s.from, from) && same(s.to, to) || s.both && same(s.from, to) && same(s.to, from)
}

// either is covers for traffic, which concerns a host in both directions.
func (s *scope) either(from, to, flow string) bool {
	return s.covers(from, to, flow) || s.flow == "" && s.to == "" && same(s.from, to)
}

func same(pattern, name string) bool {
	return pattern == name || isPattern(pattern) && Matches(pattern, name)
}

// window is the part of a run that a sentence is about.
type window struct{ from, until time.Duration }

// window reads "between D and D", "after D" or "before D", if one comes; otherwise it is the whole run.
func (w *words) window(whole window) window {
	switch {
	case w.take("between"):
		from := w.duration()
		if !w.take("and") {
			w.fail("between needs two times: between 10s and 20s")
		}
		whole = window{from, w.duration()}
	case w.take("after"):
		whole.from = w.duration()
	case w.take("before"):
		whole = window{0, w.duration()}
	}
	if whole.from >= whole.until {
		w.fail("there is no time between %s and %s", Duration(whole.from), Duration(whole.until))
	}
	return whole
}

func (v window) has(t time.Duration) bool { return v.from <= t && t < v.until }

// overlap is how much of a span lies within the window.
func (v window) overlap(from, until time.Duration) time.Duration {
	return max(0, min(until, v.until)-max(from, v.from))
}

// placeOf is a moment of a run in the form of the story: 02:30.100.
func placeOf(t time.Duration) string {
	t = t.Round(time.Millisecond)
	return fmt.Sprintf("%02d:%02d.%03d", t/time.Minute, t%time.Minute/time.Second, t%time.Second/time.Millisecond)
}

// label names a direction.
func label(from, to string) string {
	if to == "" {
		return from
	}
	return from + "→" + to
}

// atOf is the moment of a record.
func atOf(r *sim.Record) time.Duration { return time.Duration(r.At) }
