package protocol

import (
	"fmt"

	"github.com/purewire/purewire/protocol/internal/handshake"
	"github.com/purewire/purewire/timers"
)

// Invariants says what is wrong with the bookkeeping of d, for tests: an index that nobody uses any more or that stands
// for the wrong thing (KEY-01), job slots that got lost, peers that are known here and not there.
func (d *Device) Invariants() error {
	want := map[uint32]indexEntry{}
	peers := 0
	for p := range d.all() {
		peers++
		if d.byKey[p.public] != p || d.peer(p.id) != p || p.dead {
			return fmt.Errorf("peer %d is not found by its key or ID, or is dead", p.id)
		}
		for s, k := range p.keys {
			if k == nil {
				continue
			}
			if s == int(SlotNone) || k.slot != Slot(s) || k.peer != p {
				return fmt.Errorf("peer %d: a key pair of slot %v lies in slot %v", p.id, k.slot, Slot(s))
			}
			want[k.local] = indexEntry{p, k}
		}
		if p.pending != nil {
			want[p.pending.index] = indexEntry{peer: p}
		}
	}
	if err := d.stuck(); err != nil {
		return err
	}
	if peers != len(d.byKey) {
		return fmt.Errorf("%d peers, %d keys", peers, len(d.byKey))
	}
	if at, why, ok := d.Deadline(); ok && !d.up {
		return fmt.Errorf("down, but %v is due at %v", why, at)
	}
	out := 0
	for i := range d.slots {
		s := &d.slots[i]
		if s.generation == 0 {
			continue
		}
		out++
		if s.kind == jobCreate || s.kind == jobAnswer {
			want[s.drawn.index] = indexEntry{peer: s.peer}
		}
		if s.kind == jobCreate && !d.superseded(s) && s.peer.creating != s.generation {
			return fmt.Errorf("peer %d does not know of its job", s.peer.id)
		}
	}
	if out+len(d.free) != len(d.slots) {
		return fmt.Errorf("%d jobs are out, %d slots are free, of %d", out, len(d.free), len(d.slots))
	}
	for i, e := range want {
		if d.byIdx[i] != e {
			return fmt.Errorf("index %#x stands for %+v, want %+v", i, d.byIdx[i], e)
		}
	}
	for i, e := range d.byIdx {
		if _, used := want[i]; !used {
			return fmt.Errorf("index %#x of peer %d is used by nobody: a leak", i, e.peer.id)
		}
	}
	return nil
}

// stuck finds packets that wait for something that will never happen by itself, and initiations that wait for a slot
// while there is one.
func (d *Device) stuck() error {
	for p := range d.all() {
		_, retries := p.timers.Deadline(timers.RetransmitHandshake)
		busy := retries || p.creating != 0 || p.consuming > 0
		reachable := d.up && d.identity != nil && p.endpoint.IsValid() && p.ss.State != handshake.Never
		if p.staged.Len() > 0 && reachable && !busy {
			return fmt.Errorf("peer %d: %d packets wait, and nothing is under way", p.id, p.staged.Len())
		}
		if p.creating == waitsForSlot && len(d.free) > 0 {
			return fmt.Errorf("peer %d waits for a slot, and %d are free", p.id, len(d.free))
		}
	}
	return nil
}

// Indices are all indices in use, in no order.
func (d *Device) Indices() (all []uint32) {
	for i := range d.byIdx {
		all = append(all, i)
	}
	return all
}
