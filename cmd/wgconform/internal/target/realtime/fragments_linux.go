package realtime

import (
	"cmp"
	"net/netip"
	"slices"
)

// reassembly puts the fragments together that a host made of its datagrams.
type reassembly struct {
	waiting map[reassemblyKey]*pieces
	order   []reassemblyKey // of waiting, oldest first
}

// reassemblyLimit bounds the packets that wait for a fragment. The cable loses none.
const reassemblyLimit = 64

type reassemblyKey struct {
	from, to netip.Addr
	proto    uint8
	id       uint32
}

type pieces struct {
	head  []byte // of the first fragment
	parts []piece
	total int // length of the payload; -1: the last fragment is missing
}

type piece struct {
	offset int
	bytes  []byte
}

// add takes a fragment. When it was the last one that was missing it gives the packet: the headers of the first
// fragment as they were, so that one can see that it was one, and the payload of all.
func (r *reassembly) add(o *outer) (whole outer, ok bool) {
	k := reassemblyKey{o.from, o.to, o.proto, o.id}
	p := r.waiting[k]
	if p == nil {
		if r.waiting == nil {
			r.waiting = map[reassemblyKey]*pieces{}
		}
		if len(r.order) == reassemblyLimit {
			delete(r.waiting, r.order[0])
			r.order = r.order[1:]
		}
		p = &pieces{total: -1}
		r.waiting[k] = p
		r.order = append(r.order, k)
	}
	p.parts = append(p.parts, piece{o.offset, slices.Clone(o.payload)})
	if o.offset == 0 {
		p.head = slices.Clone(o.head)
	}
	if !o.more {
		p.total = o.offset + len(o.payload)
	}
	payload, ok := p.join()
	if !ok {
		return whole, false
	}
	delete(r.waiting, k)
	r.order = slices.DeleteFunc(r.order, func(other reassemblyKey) bool { return other == k })
	whole = *o
	whole.head, whole.payload, whole.fragment = p.head, payload, false
	return whole, true
}

// join gives the payload if no piece is missing.
func (p *pieces) join() (payload []byte, ok bool) {
	if p.total < 0 || p.head == nil {
		return nil, false
	}
	slices.SortStableFunc(p.parts, func(a, b piece) int { return cmp.Compare(a.offset, b.offset) })
	for _, part := range p.parts {
		if part.offset > len(payload) {
			return nil, false
		}
		payload = append(payload[:part.offset], part.bytes...)
	}
	return payload, len(payload) == p.total
}
