package explain

import (
	"net/netip"
	"slices"
)

// place says at which end of a tunnel a tap is.
type place uint8

const (
	placeUnknown place = iota
	placeSide0         // nothing lies between the tap and side 0
	placeSide1
	placeBoth // no router lies between the ends, or the tap tells nothing
)

// ttls are what operating systems start with; the hop count of a packet that has one of them is still zero.
func freshTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// placeOf looks at the direction that a cooked capture notes, and else at the hop counts.
func (t *tunnel) placeOf(tap int) place {
	var heading [2][3]int
	var fresh, seen [2]int
	for _, m := range t.messages {
		if s := m.sightingAt(tap); s != nil {
			heading[m.from][s.dir]++
			seen[m.from]++
			if freshTTL(s.ttl) {
				fresh[m.from]++
			}
		}
	}
	out := [2]bool{heading[0][headingOut] > heading[0][headingIn], heading[1][headingOut] > heading[1][headingIn]}
	if out[0] == out[1] {
		for i := range out {
			out[i] = seen[i] > 0 && fresh[i] == seen[i]
		}
		if seen[0] == 0 || seen[1] == 0 {
			return placeUnknown // one hop count alone could be a coincidence of a distant sender
		}
	}
	switch {
	case out[0] && out[1]:
		return placeBoth
	case out[0]:
		return placeSide0
	case out[1]:
		return placeSide1
	}
	return placeUnknown
}

// near reports that one tap at least is at this side and none at the other, which is when "here" means that side.
func (t *tunnel) near(places []place, side int) bool {
	here, there := false, false
	for _, p := range places {
		here = here || p == placeSide0+place(side)
		there = there || p == placeSide0+place(1-side)
	}
	return here && !there
}

// adopt takes the tunnels of one client together that are several only because its address changed between two
// handshakes, when no index tells that it is the same: same server, same client address with another port, and
// the one begins after the other was last heard. Two clients behind one NAT can look like that, so it is marked.
func (k *tracker) adopt() {
	var kept []*tunnel
	for _, t := range k.tunnels {
		if old := predecessor(kept, t); old != nil {
			old.take(t)
			continue
		}
		kept = append(kept, t)
	}
	k.tunnels = kept
	for i, t := range kept {
		t.id = i + 1
	}
}

func predecessor(list []*tunnel, t *tunnel) *tunnel {
	if len(t.messages) == 0 || t.messages[0].kind != initiation || t.ends[t.messages[0].from].known {
		return nil
	}
	m := t.messages[0]
	s := &m.seen[0]
	var found *tunnel
	for _, o := range list {
		for side := range 2 {
			client, server := o.ends[side].at[s.tap], o.ends[1-side].at[s.tap]
			if server != s.dst || client.Addr() != s.src.Addr() || client.Port() == s.src.Port() ||
				o.ends[side].known || o.lastFrom(side, 1<<62) > m.at {
				continue
			}
			if found != nil {
				return nil // two candidates are none
			}
			found = o
		}
	}
	return found
}

// lastFrom is when a side was last heard before a time.
func (t *tunnel) lastFrom(side int, before int64) (at int64) {
	for _, m := range t.messages {
		if m.from == side && m.at < before {
			at = m.at
		}
	}
	return at
}

// take makes the messages and exchanges of o those of t.
func (t *tunnel) take(o *tunnel) {
	m := o.messages[0]
	s := &m.seen[0]
	flip := t.ends[m.from].at[s.tap].Addr() != s.src.Addr() || t.ends[1-m.from].at[s.tap] != s.dst
	side := m.from
	if flip {
		side = 1 - side
	}
	t.moves = append(t.moves, move{at: m.at, side: side, from: t.ends[side].at[s.tap], to: s.src, message: m,
		guessed: true})
	for _, e := range o.messages {
		e.tunnel = t
		if flip {
			e.from = 1 - e.from
		}
	}
	for _, x := range o.exchanges {
		x.tunnel = t
		if flip {
			x.from = 1 - x.from
			x.index[0], x.index[1] = x.index[1], x.index[0]
			x.indexed[0], x.indexed[1] = x.indexed[1], x.indexed[0]
			x.flow[0], x.flow[1] = x.flow[1], x.flow[0]
			x.sent[0], x.sent[1] = x.sent[1], x.sent[0]
		}
	}
	for i := range t.ends {
		from := i
		if flip {
			from = 1 - i
		}
		for tap, at := range o.ends[from].at {
			if at != (netip.AddrPort{}) {
				t.ends[i].at[tap] = at
			}
		}
	}
	for _, v := range o.moves {
		if flip {
			v.side = 1 - v.side
		}
		t.moves = append(t.moves, v)
	}
	t.messages, t.exchanges = append(t.messages, o.messages...), append(t.exchanges, o.exchanges...)
	slices.SortStableFunc(t.messages, func(x, y *message) int { return compareInt(x.at, y.at) })
	slices.SortStableFunc(t.exchanges, func(x, y *exchange) int { return compareInt(x.start(), y.start()) })
}
