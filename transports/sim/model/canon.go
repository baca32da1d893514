package model

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/purewire/purewire/protocol"
)

// hash names a state.
type hash [16]byte

// canon writes down all that decides what can come: both devices' own states, how their indices and those in flight
// belong together, and the budget. Indices are named by first use, times are relative.
func (s *state) canon(b []byte, withBudget bool) []byte {
	known := map[uint32]int{0: 0}
	name := func(index uint32) int {
		n, ok := known[index]
		if !ok {
			n = len(known)
			known[index] = n
		}
		return n
	}
	for i := range s.side {
		h := &s.side[i]
		from := len(b)
		b = h.device.AppendState(b)
		pending := bytes.Contains(b[from:], []byte(" pending #"))
		b = fmt.Appendf(b, "%s waiting=%t purged=%t", names[i], h.waiting, h.purged)
		if pending || h.waiting {
			b = fmt.Appendf(b, " for=%d", name(h.latest))
		}
		for slot := protocol.SlotPrevious; slot < protocol.NumSlots; slot++ {
			m := &h.model.slot[slot]
			b = fmt.Appendf(b, " %d/%d/%d/%d", name(h.actual[slot]), name(m.local), name(m.remote), m.sent)
		}
		b = append(b, '\n')
	}
	for i := range s.flight {
		b = s.canonMessage(b, i, name)
	}
	if withBudget {
		b = fmt.Appendf(b, "left %+v\n", s.left)
	}
	return b
}

// canonMessage writes down a datagram in flight. Its bytes follow from the handshake or key pair that its indices
// name, but for the moment at which an initiation was made, which its receiver compares with others.
func (s *state) canonMessage(b []byte, i int, name func(uint32) int) []byte {
	m := &s.flight[i]
	first := i
	for k := range i {
		if s.flight[k].id == m.id {
			first = min(first, k)
		}
	}
	b = fmt.Appendf(b, "flight %d type=%d as=%d taken=%t", m.from, m.kind(), first, m.taken)
	switch m.kind() {
	case initiation:
		b = fmt.Appendf(b, " sender=%d made=%v", name(m.field(4)), s.now.Sub(m.made))
	case response:
		b = fmt.Appendf(b, " sender=%d receiver=%d", name(m.field(4)), name(m.field(8)))
	case transport:
		b = fmt.Appendf(b, " receiver=%d counter=%d length=%d", name(m.field(4)), m.counter(), len(m.bytes))
	default:
		b = fmt.Appendf(b, " %x", m.bytes)
	}
	return append(b, '\n')
}

func sum(b []byte) hash {
	s := sha256.Sum256(b)
	return hash(s[:16])
}
