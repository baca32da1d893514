package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// Expectation is what a file expects of a run.
type Expectation struct {
	// Text is the sentence as written.
	Text string

	kind    expectKind
	scope   scope
	window  window
	counted counted
	cmp     comparison
	// limit is what is compared with: nanoseconds, bits per second, hundredths of a MOS or a count, as kind says.
	limit   uint64
	ratio   sim.Ratio
	percent uint64
	effect  sim.FaultKind
}

// expectKind is what a sentence is about.
type expectKind int

const (
	expectRecover expectKind = iota
	expectNoOutage
	expectOutage
	expectCount
	expectDelay
	expectLoss
	expectGoodput
	expectFirst
	expectVoice
	expectTransfers
	expectEffects
)

// forms is the grammar in examples, for those whose sentence is not understood.
var forms = []string{"recover within 15s", "no outage over 2s on a<->b", "an outage over 2s on a->b",
	"no initiation on a->b between 10s and 20s", "handshakes at least 3 on a<->b", "delay p99 under 200ms on a->b",
	"loss under 2% on a->b", "goodput over 1Mbit/s on flow f", "first packet within 2s on a->b",
	"voice over 3.5 on flow f", "transfers at least 1 on flow f", "effects loss at least 1"}

// example gives the form that begins with a word.
func example(word string) string {
	for _, f := range forms {
		if first, _, _ := strings.Cut(f, " "); first == word {
			return fmt.Sprintf("; write it as %q", f)
		}
	}
	return DidYouMean(word, append(names(sentences), counterNames()...))
}

// sentences are the first words of those that do not count.
var sentences = []word[struct{}]{{name: "recover"}, {name: "no"}, {name: "an"}, {name: "first"}, {name: "delay"},
	{name: "loss"}, {name: "goodput"}, {name: "voice"}, {name: "transfers"}, {name: "effects"}}

// parseExpectation reads a sentence:
//
//	"recover within" TIME [scope]
//	("no outage over" | "an outage over") TIME [scope] [window]
//	"no" EVENT [scope] [window] | COUNTER comparison NUMBER [scope] [window]
//	"delay" pNN comparison TIME [scope] [window] | "loss" comparison RATIO [scope] [window]
//	"goodput" comparison RATE [scope] | "first packet within" TIME [scope]
//	"voice" comparison MOS [scope] | "transfers" comparison NUMBER [scope] | "effects" KIND comparison NUMBER
func parseExpectation(text string, w words, whole window) (Expectation, error) {
	e := Expectation{Text: text, window: whole}
	w.list = strings.Fields(text)
	if w.peek() == "" {
		return e, fmt.Errorf("an empty sentence; write for example %q", forms[0])
	}
	e.subject(&w)
	if e.kind != expectEffects {
		e.scope = w.scope()
		e.counted.scope = e.scope
	}
	switch e.kind {
	case expectNoOutage, expectOutage, expectCount, expectDelay, expectLoss:
		e.window = w.window(whole)
	}
	w.end("the sentence was complete")
	return e, w.err
}

// subject reads a sentence up to its scope.
func (e *Expectation) subject(w *words) {
	switch {
	case w.take("recover within"):
		e.kind, e.limit = expectRecover, uint64(w.duration())
	case w.take("no outage over"):
		e.kind, e.limit = expectNoOutage, uint64(w.duration())
	case w.take("an outage over"):
		e.kind, e.limit = expectOutage, uint64(w.duration())
	case w.take("first packet within"):
		e.kind, e.limit = expectFirst, uint64(w.duration())
	case w.take("delay"):
		e.kind, e.percent = expectDelay, w.percentile()
		e.cmp, e.limit = w.comparison(), uint64(w.duration())
	case w.take("loss"):
		e.kind, e.cmp = expectLoss, w.comparison()
		e.ratio = w.ratio()
	case w.take("goodput"):
		e.kind, e.cmp, e.limit = expectGoodput, w.comparison(), w.rate()
	case w.take("voice"):
		e.kind, e.cmp, e.limit = expectVoice, w.comparison(), w.hundredths()
	case w.take("transfers"):
		e.kind, e.cmp, e.limit = expectTransfers, w.comparison(), w.number()
	case w.take("effects"):
		e.kind, e.effect = expectEffects, w.effect()
		e.cmp, e.limit = w.comparison(), w.number()
	default:
		e.count(w)
	}
}

func (e *Expectation) count(w *words) {
	e.kind = expectCount
	if w.take("no") {
		e.counted, e.cmp = w.counter(true), exactly
		return
	}
	before := w.peek()
	e.counted = w.counter(false)
	if e.counted.counter == nil {
		w.err = fmt.Errorf("%s does not begin a sentence like this%s", quoted(before), example(before))
		return
	}
	e.cmp, e.limit = w.comparison(), w.number()
}

func (w *words) percentile() uint64 {
	word := w.next()
	digits, p := strings.CutPrefix(word, "p")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !p || err != nil || n < 1 || n > 100 {
		w.fail("a percentile from p1 to p100 is needed, not %s", quoted(word))
	}
	return n
}

func (w *words) ratio() sim.Ratio {
	r, err := sim.ParseRatio(w.next())
	if err != nil {
		w.fail("%s", err)
	}
	return r
}

func (w *words) rate() uint64 {
	var r Rate
	if err := r.UnmarshalText([]byte(w.next())); err != nil {
		w.fail("%s", err)
	}
	return uint64(r)
}

// hundredths reads a number with up to two places.
func (w *words) hundredths() uint64 {
	word := w.next()
	whole, part, _ := strings.Cut(word, ".")
	n, err := strconv.ParseUint(whole+(part + "00")[:max(2, len(part))], 10, 16)
	if err != nil || len(part) > 2 {
		w.fail("a number such as 3.5 is needed, not %s", quoted(word))
	}
	return n
}

func (w *words) effect() sim.FaultKind {
	word := w.next()
	var known []string
	for _, k := range sim.FaultKinds() {
		if k.String() == word {
			return k
		}
		known = append(known, k.String())
	}
	w.fail("%s is no kind of trouble%s", quoted(word), DidYouMean(word, known))
	return sim.FaultNone
}

// vocabulary is what sentences may name.
func (c *compiler) vocabulary() words {
	w := words{hosts: c.names, nets: c.nets}
	for i := range c.out.Scenario.Flows {
		if name := c.out.Scenario.Flows[i].Name; name != "" {
			w.flows = append(w.flows, name)
		}
	}
	return w
}

func (c *compiler) expect() {
	if c.err != nil {
		return
	}
	whole := window{c.f.WarmUp.time(), c.f.Duration.time()}
	for i, text := range c.f.Expect {
		e, err := parseExpectation(text, c.vocabulary(), whole)
		if err != nil {
			c.fail(fmt.Sprintf("expect[%d]", i), "%s", err)
			return
		}
		c.out.Expect = append(c.out.Expect, e)
	}
}

// bound is the limit as a time.
func (e *Expectation) bound() time.Duration { return time.Duration(e.limit) }
