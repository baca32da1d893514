package scenario

import (
	"cmp"
	"fmt"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// recovered judges the recoveries of all flows in the scope. One that a further disturbance cut short is not judged,
// since it did not have its full time; that disturbance has a recovery of its own.
func (e *judged) recovered(r *sim.Result) (bool, string) {
	judged, cut := 0, 0
	var worst time.Duration
	after := ""
	for i := range r.Flows {
		f := &r.Flows[i]
		if !e.scope.either(f.From, f.To, f.Name) && !(e.scope.both && e.scope.either(f.To, f.From, f.Name)) {
			continue
		}
		for k := range f.Recoveries {
			rec := &f.Recoveries[k]
			took := rec.Back - rec.First
			if rec.Back == sim.NoTime {
				took = r.Virtual - rec.First
			}
			if took > e.bound() && e.disturbed(r, rec) {
				cut++
				continue
			}
			if rec.Back == sim.NoTime && took <= e.bound() {
				cut++ // the run ended before the time was up
				continue
			}
			if judged++; took > worst {
				worst, after = took, fmt.Sprintf(", %s after %s", f.Name, describe(&r.Disturbances[rec.Disturbance]))
			}
		}
	}
	if judged == 0 {
		return false, "no traffic met a disturbance, so there is nothing to judge"
	}
	got := fmt.Sprintf("the longest of %d: %s%s", judged, Duration(worst.Round(time.Millisecond)), after)
	if cut > 0 {
		got += fmt.Sprintf("; %d cut short", cut)
	}
	return worst <= e.bound(), got
}

// disturbed reports whether another disturbance fell into the time that a recovery had.
func (e *judged) disturbed(r *sim.Result, rec *sim.Recovery) bool {
	for i := range r.Disturbances {
		d := &r.Disturbances[i]
		if i != rec.Disturbance && d.Start < rec.First+e.bound() && d.End > rec.First {
			return true
		}
	}
	return false
}

func describe(d *sim.Disturbance) string {
	if d.Action == sim.ActionNone {
		return fmt.Sprintf("the fault %s ended at %s", d.Name, placeOf(d.End))
	}
	return fmt.Sprintf("%s %s at %s", d.Host, d.Action, placeOf(d.Start))
}

// flows judges what the engine measures of whole flows: the worst of those in the scope decides.
func (e *judged) flows(r *sim.Result) (bool, string) {
	n, ok, got := 0, true, ""
	for i := range r.Flows {
		f := &r.Flows[i]
		value, text, has := e.measure(f)
		if !has || !e.scope.either(f.From, f.To, f.Name) {
			continue
		}
		held := e.cmp.holds(cmp.Compare(value, e.limit))
		if n++; n == 1 || ok && !held {
			got = fmt.Sprintf("%s: %s", f.Name, text)
		}
		ok = ok && held
	}
	if n == 0 {
		return false, "no such flow, so there is nothing to judge"
	}
	return ok, got
}

func (e *judged) measure(f *sim.FlowResult) (value uint64, text string, has bool) {
	switch e.kind {
	case expectGoodput:
		value = f.Forth.Goodput * 8
		return value, fmt.Sprintf("%d kbit/s", value/1000), true
	case expectVoice:
		value = uint64(max(0, f.Voice.MOS))
		return value, point(fmt.Sprint(value), 2), f.Kind == sim.FlowVoice
	case expectTransfers:
		return f.Stream.Transfers, fmt.Sprintf("%d", f.Stream.Transfers), f.Kind == sim.FlowBulk
	}
	return 0, "", false
}
