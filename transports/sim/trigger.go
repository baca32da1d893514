package sim

import "github.com/purewire/purewire/timers"

// Trigger is the condition of an [Action] that waits for something to happen instead of a time. It is shown every
// record of the run, in order. A trigger that keeps state makes it in Fresh.
type Trigger interface {
	// See takes a record and reports whether the condition holds now. It is asked until the action has happened. It must
	// not keep the record.
	See(v View, r *Record) bool
	// Fresh returns the trigger as it is at the start of a run: itself if it keeps no state.
	Fresh() Trigger
}

// View is what a [Trigger] may look at besides the records: how the hosts are at that moment.
type View struct{ s *Sim }

// Now is the moment of the record.
func (v View) Now() timers.Time { return v.s.now }

// Running reports whether a host is neither down nor starting again. It is false for a name that no host has.
func (v View) Running(host string) bool {
	n := v.s.byName[host]
	return n != nil && n.running
}

// Asleep reports whether a host sleeps.
func (v View) Asleep(host string) bool {
	n := v.s.byName[host]
	return n != nil && n.running && n.asleep
}

// Up reports whether a host runs and its interface is up.
func (v View) Up(host string) bool {
	n := v.s.byName[host]
	return n != nil && n.running && n.up
}

// Network names the network in which a host is, "" between two.
func (v View) Network(host string) string {
	n := v.s.byName[host]
	if n == nil || n.seg == nil {
		return ""
	}
	return n.seg.cfg.Name
}

// waiting is an action with a trigger that has not come true.
type waiting struct {
	trigger Trigger
	action  int32
}

// await puts an action aside until its trigger comes true.
func (s *Sim) await(i int) {
	s.waiting = append(s.waiting, waiting{s.sc.Timeline[i].When.Fresh(), int32(i)})
}

// look shows a record to the triggers. What comes true happens at the same moment, after what is happening now; an
// action whose After is not zero happens that much later.
func (s *Sim) look(r *Record) {
	if len(s.waiting) == 0 {
		return
	}
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		a := &s.sc.Timeline[w.action]
		if w.trigger.See(View{s}, r) && s.now >= timers.Time(a.At) {
			if s.sc.Heal == 0 || s.now.Add(a.After) <= timers.Time(s.sc.Heal) { // no trouble behind it
				s.later(a.After, event{kind: evAction, who: w.action})
			}
			continue
		}
		kept = append(kept, w)
	}
	s.waiting = kept
}
