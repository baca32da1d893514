package sim

import (
	"slices"
	"time"

	"github.com/purewire/purewire/timers"
)

// disturbances knows what troubles the run: the actions of the timeline, which it learns of from their records, and the
// faults, whose times the scenario says. What has an end is put into a list when it ends, so that each flow
// needs no more than its place in that list.
type disturbances struct {
	s       *Sim
	open    []opening
	ended   []Disturbance // in order of End
	pending bool          // a record came in since the hosts were last looked at
}

// opening is an action whose consequences go on.
type opening struct {
	Disturbance
	peer string // whose removal it was
}

// see takes a record of an action. An action that sets right what an earlier one of the same host disturbed is part of
// that disturbance.
func (d *disturbances) see(r *Record) {
	d.pending = true
	for i := range d.open {
		if d.open[i].Host == r.Host && d.open[i].Start < time.Duration(d.s.now) && d.open[i].sameAs(r.Action) {
			return
		}
	}
	o := opening{Disturbance: Disturbance{Action: r.Action, Name: r.Note, Host: r.Host, Start: time.Duration(d.s.now)}}
	if r.Action == ActionRemovePeer {
		o.peer = r.Peer
	}
	for i := range d.open {
		// One action may come with two records, as when a host leaves a network and joins another at once.
		if p := &d.open[i]; p.Action == o.Action && p.Host == o.Host && p.Start == o.Start && p.peer == o.peer {
			return
		}
	}
	d.open = append(d.open, o)
}

func (o *opening) sameAs(k ActionKind) bool {
	switch k {
	case ActionWake:
		return o.Action == ActionSleep
	case ActionAddPeer:
		return o.Action == ActionRemovePeer
	case ActionRoam, ActionRestart, ActionInterface:
		return o.Action == k
	}
	return false
}

// look ends the disturbances whose hosts are well again. It is called when all that belongs to an event is done.
func (d *disturbances) look() {
	if !d.pending {
		return
	}
	d.pending = false
	kept := d.open[:0]
	for _, o := range d.open {
		if d.lasts(&o) {
			kept = append(kept, o)
			continue
		}
		d.end(o.Disturbance)
	}
	d.open = kept
}

func (d *disturbances) lasts(o *opening) bool {
	n := d.s.byName[o.Host]
	if n == nil {
		return false
	}
	if o.peer != "" {
		if p := n.end(o.peer); p != nil && !p.present {
			return true
		}
	}
	return !n.awake() || !n.up || n.seg == nil
}

// over ends a fault of the scenario.
func (d *disturbances) over(f *Fault) {
	d.end(Disturbance{Name: f.Name, Start: f.From})
}

func (d *disturbances) end(e Disturbance) {
	if len(d.ended) < MaxDisturbances {
		e.End = time.Duration(d.s.now)
		d.ended = append(d.ended, e)
	}
}

// comeback is how far a flow has come in the list of disturbances.
type comeback struct {
	next    int // the first one that no packet was sent after
	waiting int // the first one after whose end packets were sent, but none of them came back
	first   []timers.Time
	done    []Recovery
	omitted uint64
}

// send notes the first packet after each disturbance.
func (r *comeback) send(now timers.Time, ended []Disturbance) {
	for ; r.next < len(ended); r.next++ {
		r.first = append(r.first, now)
	}
}

// deliver takes a packet that was sent at a moment: all that ended before that is recovered from.
func (r *comeback) deliver(now, born timers.Time, ended []Disturbance) {
	n := 0
	for ; r.waiting < r.next && timers.Time(ended[r.waiting].End) <= born; r.waiting++ {
		r.add(Recovery{r.waiting, time.Duration(r.first[n]), time.Duration(now)})
		n++
	}
	if n > 0 {
		r.first = append(r.first[:0], r.first[n:]...)
	}
}

func (r *comeback) add(v Recovery) {
	if len(r.done) >= MaxRecoveries {
		r.omitted++
		return
	}
	r.done = append(r.done, v)
}

// result lists the recoveries, the ones that never came too.
func (r *comeback) result() ([]Recovery, uint64) {
	c := *r
	c.done = slices.Clone(r.done)
	for i, first := range r.first {
		c.add(Recovery{r.waiting + i, time.Duration(first), NoTime})
	}
	return c.done, c.omitted
}
