package model

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// The lives of a key pair, as the paper has them (§6.1, §6.3), written down a second time on purpose.
const (
	rejectAfter = 180 * time.Second
	eraseAfter  = 540 * time.Second
)

// ages are those at which a use of a session does something else than before: TIMER-07, TIMER-08, KEY-10.
var ages = [...]time.Duration{120 * time.Second, 165 * time.Second, rejectAfter}

// session is what the model knows of a key pair. The zero session is none.
type session struct {
	local, remote uint32
	born          timers.Time
	initiator     bool
	sent          uint64 // messages sent under it
	taken         uint64 // a bit for each counter of a message accepted under it
}

func (s *session) exists() bool { return s.local|s.remote != 0 }

// ring is the three key pairs of a peer. It is moved by what was accepted, and says what must be in which slot.
type ring struct {
	slot  [protocol.NumSlots]session // SlotNone is not used
	erase timers.Time                // when all must be gone (KEY-13)
}

// answered is a response sent: "previous dropped, current unchanged, next the new pair" (rules.md §1.4).
func (r *ring) answered(s session) {
	r.slot[protocol.SlotPrevious] = session{}
	r.slot[protocol.SlotNext] = s
	r.erase = s.born.Add(eraseAfter)
}

// completed is a response accepted: a next that nobody confirmed is newer than current and becomes previous.
func (r *ring) completed(s session) {
	older := r.slot[protocol.SlotCurrent]
	if next := r.slot[protocol.SlotNext]; next.exists() {
		older = next
	}
	r.slot = [protocol.NumSlots]session{protocol.SlotPrevious: older, protocol.SlotCurrent: s}
	r.erase = s.born.Add(eraseAfter)
}

// used is an authentic message under a key pair: if that was next, it is confirmed (HS-17).
func (r *ring) used(local uint32, counter uint64) (promoted bool) {
	if s := r.find(local); s != nil {
		s.taken |= 1 << counter
	}
	next := r.slot[protocol.SlotNext]
	if !next.exists() || next.local != local {
		return false
	}
	r.slot = [protocol.NumSlots]session{protocol.SlotPrevious: r.slot[protocol.SlotCurrent], protocol.SlotCurrent: next}
	return true
}

// passed lets time pass, and says whether keys were wiped.
func (r *ring) passed(now timers.Time) (wiped bool) {
	if now >= r.erase {
		*r = ring{erase: timers.Never}
		return true
	}
	return false
}

// find gives the key pair of a local index, or nil.
func (r *ring) find(local uint32) *session {
	for i := range r.slot {
		if s := &r.slot[i]; s.exists() && s.local == local {
			return s
		}
	}
	return nil
}

// takes says whether messages to index may be accepted: "any of the three whose index matches and whose age is under
// 180 s". If not, they never will be: ages only grow, and an index that is gone is not drawn again.
func (r *ring) takes(index uint32, now timers.Time) bool {
	s := r.find(index)
	return s != nil && now.Sub(s.born) < rejectAfter
}

// fresh says whether no message with that counter was accepted under index yet.
func (r *ring) fresh(index uint32, counter uint64) bool {
	s := r.find(index)
	return s == nil || s.taken>>counter&1 == 0
}

// compare holds the slots of a device, as its events told them, against the model's.
func (r *ring) compare(actual *[protocol.NumSlots]uint32) error {
	for i := protocol.SlotPrevious; i < protocol.NumSlots; i++ {
		want := r.slot[i]
		switch {
		case actual[i] == want.local:
		case want.exists() && actual[i] == 0:
			return fmt.Errorf("its %v key pair must be that of index %08x and is gone (KEY-05, KEY-06)", i, want.local)
		case i == protocol.SlotCurrent && actual[i] == r.slot[protocol.SlotNext].local:
			return fmt.Errorf("index %08x is its current key pair before the initiator has used it (HS-16)", actual[i])
		default:
			return fmt.Errorf("its %v key pair is that of index %08x, and must be %08x (KEY-05)", i, actual[i], want.local)
		}
	}
	return nil
}

// soon is the next moment at which a session gets one of the ages.
func (r *ring) soon(now timers.Time) timers.Time {
	next := timers.Never
	for i := range r.slot {
		if !r.slot[i].exists() {
			continue
		}
		for _, age := range ages {
			if at := r.slot[i].born.Add(age); at > now {
				next = min(next, at)
			}
		}
	}
	return next
}
