package explain

import (
	"net/netip"
	"slices"
)

// fragmentKey is what the fragments of one packet share, at one tap.
type fragmentKey struct {
	tap      int
	src, dst netip.Addr
	proto    uint8
	id       uint32
}

// pieces are the fragments of a packet seen so far.
type pieces struct {
	first  packet // of the fragment at offset 0; its payload is not kept
	refs   []Ref
	at     int64
	parts  []piece
	end    int // length of the whole, 0 while the last fragment is missing
	whole  bool
	hasTop bool
}

type piece struct {
	offset, full int
	data         []byte
}

// assembler puts fragments together, separately at each tap. Those that stay incomplete are kept: they tell of loss.
type assembler struct {
	open  map[fragmentKey]*pieces
	order []*pieces // in order of their first fragment
}

// fragmentLife is how long the receiver of fragments waits for the rest (Linux: 30 s); an ID may be used anew then.
const fragmentLife = 30e9

// add takes a fragment and gives the whole packet once it is complete.
func (a *assembler) add(f *frame, p *packet) (whole packet, ok bool) {
	if a.open == nil {
		a.open = map[fragmentKey]*pieces{}
	}
	key := fragmentKey{f.tap, p.src, p.dst, p.proto, p.id}
	s := a.open[key]
	if s == nil || f.at-s.at > fragmentLife {
		s = &pieces{at: f.at}
		a.open[key], a.order = s, append(a.order, s)
	}
	s.refs = append(s.refs, f.ref)
	if p.offset == 0 {
		s.first, s.hasTop = *p, true
		s.first.payload = slices.Clone(p.payload[:min(len(p.payload), 24)])
	}
	if !p.more {
		s.end = p.offset + p.full
	}
	s.parts = append(s.parts, piece{p.offset, p.full, slices.Clone(p.payload)})
	whole, ok = s.join()
	if ok {
		delete(a.open, key)
	}
	return whole, ok
}

// join gives the packet if no byte of it is missing. What was cut by the capture ends what is known of the payload.
func (s *pieces) join() (whole packet, ok bool) {
	if s.end == 0 || !s.hasTop {
		return whole, false
	}
	slices.SortStableFunc(s.parts, func(x, y piece) int { return x.offset - y.offset })
	var data []byte
	next, known := 0, true
	for _, part := range s.parts {
		if part.offset > next {
			return whole, false
		}
		if known && part.offset <= len(data) {
			data = append(data[:part.offset], part.data...)
			known = len(part.data) == part.full
		}
		next = max(next, part.offset+part.full)
	}
	if next < s.end {
		return whole, false
	}
	s.whole = true
	whole = s.first
	whole.payload, whole.full, whole.fragment = data, s.end, false
	return whole, true
}
