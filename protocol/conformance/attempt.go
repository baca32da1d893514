package conformance

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/purewire/purewire/timers"
)

// must ends the case if something that it asked of its subject did not work: as unsupported if the target cannot, as
// broken otherwise.
func (t *T) must(what string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, errors.ErrUnsupported):
		t.Unsupported(what + ": " + err.Error())
	default:
		t.told = true
		t.Fail("the subject to "+what, err.Error())
	}
}

// attempt runs a case once in a world and gives its result, without what only the runner knows.
func attempt(t *T, w world) (r Result, died bool) {
	t.world = w
	begin := time.Now()
	start := w.now()
	if !w.alone() && t.Caps.Given == nil {
		t.world.claimInner(t, netip.PrefixFrom(t.Host4, 32))
		t.world.claimInner(t, netip.PrefixFrom(t.Host6, 128))
	}
	t.last = At(start)
	r = Result{Case: t.Case.ID, Rules: t.Case.Rules, Level: t.Case.Level, Title: t.Case.Title}
	if o := t.script(); o != nil {
		r.Verdict, r.Reason, r.Expected, r.Actual = o.verdict, o.reason, o.expected, o.actual
		r.Premise, died = o.premise, o.died
		if o.at != nil && o.at.entry < len(t.trace) {
			t.trace[o.at.entry].Broke = true
		}
	} else {
		r.Verdict = Pass
		if (t.Case.Level == May || t.Case.Level == Impl) && len(t.values) > 0 {
			r.Verdict = Measured
		}
		// In real time a case also waits for its turns and for the machine.
		if over := t.overrun(start); over != "" && t.Caps.Virtual {
			r.Verdict, r.Reason = Broken, over
		}
	}
	text := string(r.Verdict)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	t.record(TraceEntry{Kind: "verdict", Text: text}, At(w.now()))
	r.Trace, r.Secrets, r.Attempts = t.trace, t.keyLog(), 1
	r.Notes = append(t.notes, t.breach...)
	if len(t.values) > 0 {
		r.Values = t.values
	}
	r.Lasted, r.Took = w.now().Sub(start), time.Since(begin)
	return r, died
}

// overrun says that a case takes longer than it says, which would make the plan wrong.
func (t *T) overrun(start timers.Time) string {
	grace := 5*time.Second + t.Case.Lasts/8 + t.provoked
	if took := t.world.now().Sub(start); took > t.Case.Lasts+grace {
		return fmt.Sprintf("the case took %v and says that it lasts %v", took.Round(time.Millisecond), t.Case.Lasts)
	}
	return ""
}

// script runs the case and its cleanups. A panic that is none of ours is an error of the suite.
func (t *T) script() (o *outcome) {
	guard := func(f func()) {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case *outcome:
				if o == nil {
					o = p
				}
			case *TargetError:
				if o == nil {
					o = &outcome{verdict: Broken, reason: "the target: " + p.Error()}
					if errors.Is(p, errors.ErrUnsupported) {
						o.verdict, o.reason = Unsupported, p.Error()
					}
				}
			default:
				o = &outcome{verdict: Broken, reason: fmt.Sprintf("the case panics: %v\n%s", p, debug.Stack())}
			}
		}()
		f()
	}
	guard(func() { t.Case.Run(t) })
	for i := len(t.cleanup) - 1; i >= 0; i-- {
		guard(t.cleanup[i])
	}
	return o
}
