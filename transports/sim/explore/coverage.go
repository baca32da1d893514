package explore

import (
	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// Coverage counts what the cores did, by the closed lists that they export.
type Coverage struct {
	Drops  [protocol.NumDropReasons]uint64              `json:"drops"`
	Causes [protocol.NumCauses]uint64                   `json:"causes"`
	Timers [timers.NumKinds]uint64                      `json:"timers"`
	Slots  [protocol.NumSlots][protocol.NumSlots]uint64 `json:"slots"` // from, to
}

func (c *Coverage) observe(r *sim.Record) {
	if r.Kind != sim.KindCore {
		return
	}
	switch e := &r.Event; e.Kind {
	case protocol.EventInitiationSent:
		c.Causes[e.Cause]++
	case protocol.EventTimerFired:
		c.Timers[e.Timer]++
	case protocol.EventKeySlot:
		c.Slots[e.From][e.To]++
	}
}

func (c *Coverage) add(o *Coverage) {
	for i, n := range o.Drops {
		c.Drops[i] += n
	}
	for i, n := range o.Causes {
		c.Causes[i] += n
	}
	for i, n := range o.Timers {
		c.Timers[i] += n
	}
	for i := range o.Slots {
		for j, n := range o.Slots[i] {
			c.Slots[i][j] += n
		}
	}
}

// Entry is one line of the coverage table.
type Entry struct {
	List  string // which closed list
	Name  string
	Count uint64
	Why   string // of one that was not covered: why not, if it cannot be
}

// The closed lists.
const (
	ListDrops  = "drop reason"
	ListCauses = "initiation cause"
	ListTimers = "timer"
	ListSlots  = "key slot"
)

// transitions are the moves of a key pair between the slots that the rules know (KEY-05 to KEY-10, KEY-13): the core
// exports the slots, and reports every move.
var transitions = [][2]protocol.Slot{
	{protocol.SlotNone, protocol.SlotCurrent}, {protocol.SlotNone, protocol.SlotNext},
	{protocol.SlotNext, protocol.SlotCurrent}, {protocol.SlotNext, protocol.SlotPrevious},
	{protocol.SlotCurrent, protocol.SlotPrevious}, {protocol.SlotPrevious, protocol.SlotNone},
	{protocol.SlotCurrent, protocol.SlotNone}, {protocol.SlotNext, protocol.SlotNone},
}

// never says why something does not come about in a simulation, by its name.
var never = map[string]string{
	protocol.DropCounterLimit.String():   "nobody lives to see 2^60 messages",
	protocol.CauseRekeyMessages.String(): "nobody lives to see 2^60 messages",
	protocol.DropInnerVersion.String():   "a core sends IP packets only (ROUTE-10)",
	protocol.DropInnerShort.String():     "a core sends IP packets only (ROUTE-10)",
	protocol.DropInnerLength.String():    "applications send whole packets only",
}

// Entries lists all that could be covered, list by list.
func (c *Coverage) Entries() (list []Entry) {
	add := func(kind, name string, n uint64) {
		e := Entry{List: kind, Name: name, Count: n}
		if n == 0 {
			e.Why = never[name]
			if e.Why == "" {
				e.Why = "not met by these seeds"
			}
		}
		list = append(list, e)
	}
	for r := protocol.DropNone + 1; r < protocol.NumDropReasons; r++ {
		add(ListDrops, r.String(), c.Drops[r])
	}
	for k := protocol.CauseNone + 1; k < protocol.NumCauses; k++ {
		add(ListCauses, k.String(), c.Causes[k])
	}
	for _, k := range timers.Kinds() {
		add(ListTimers, k.String(), c.Timers[k])
	}
	for _, t := range transitions {
		add(ListSlots, t[0].String()+" to "+t[1].String(), c.Slots[t[0]][t[1]])
	}
	return list
}

// Covered counts the entries that were met.
func (c *Coverage) Covered() (met, all int) {
	for _, e := range c.Entries() {
		all++
		if e.Count > 0 {
			met++
		}
	}
	return met, all
}
