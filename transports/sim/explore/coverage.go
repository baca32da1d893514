package explore

import (
	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// Coverage counts what the cores did, by the closed lists that they export.
type Coverage struct {
	Drops  [protocol.NumDropReasons]uint64
	Causes [protocol.NumCauses]uint64
	Timers [timers.NumKinds]uint64
	Slots  [protocol.NumSlots][protocol.NumSlots]uint64 // from, to
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
