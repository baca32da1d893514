package explain

import "slices"

// sameTap is how far apart two sightings of one datagram are at most where a capture sees it twice: a loopback, or a
// bridge and its port. sameWay is how much longer than usual a datagram may be on its way from one tap to the next,
// fewWay
// the same where a few datagrams only are all the evidence.
const (
	sameTap = 3e6
	sameWay = 2 * second
	fewWay  = second / 5
)

// tapPair is two taps, the lesser number first.
type tapPair struct{ a, b int }

// links finds the taps that lie on one way, and the usual difference of their clocks' times for one datagram. Datagrams
// that are seen here and there with ever other differences are none: somebody recorded and repeated them.
func (c *collector) links(raws []*raw) map[tapPair]int64 {
	first := map[fingerprint][]*raw{}
	deltas := map[tapPair][]int64{}
	var order []tapPair
	count := make([]int, len(c.taps))
	for _, r := range raws {
		s := &r.seen[0]
		count[s.tap]++
		known := false
		for _, o := range first[r.print] {
			known = known || o.seen[0].tap == s.tap
		}
		if known {
			continue
		}
		for _, o := range first[r.print] {
			p, d := tapPair{o.seen[0].tap, s.tap}, s.at-o.seen[0].at
			if p.a > p.b {
				p, d = tapPair{p.b, p.a}, -d
			}
			if deltas[p] == nil {
				order = append(order, p)
			}
			deltas[p] = append(deltas[p], d)
		}
		first[r.print] = append(first[r.print], r)
	}
	usual := map[tapPair]int64{}
	for _, p := range order {
		list := deltas[p]
		slices.Sort(list)
		mid, near := list[len(list)/2], 0
		for _, d := range list {
			if abs(d-mid) <= sameWay && (len(list) >= 10 || abs(d-mid) <= fewWay) {
				near++
			}
		}
		// Interfaces of one file have one clock, mostly.
		oneClock := c.taps[p.a].file != c.taps[p.b].file || abs(mid) <= second || near >= 10
		if oneClock && near >= 3 && near*10 >= len(list)*8 && near*10 >= min(count[p.a], count[p.b]) {
			usual[p] = mid
		}
	}
	return usual
}

// unite makes messages of the raws of flows that speak WireGuard: sightings of one datagram at several taps become one.
func (c *collector) unite() (list []*message) {
	var raws []*raw
	for i := range c.raws {
		if r := &c.raws[i]; c.flows[r.flow].wireguard() {
			raws = append(raws, r)
		} else {
			c.other++
		}
	}
	usual := c.links(raws)
	known := map[fingerprint][]*message{}
	for _, r := range raws {
		m := &r.message
		s := m.seen[0]
		if o := twin(known[r.print], &s, usual); o != nil {
			o.seen = append(o.seen, s)
			if len(m.data) > len(o.data) {
				o.data, o.cut = m.data, m.cut
			}
			continue
		}
		if before := known[r.print]; len(before) > 0 && r.kind != malformed {
			m.copyOf = before[0]
		}
		known[r.print] = append(known[r.print], m)
		list = append(list, m)
	}
	return list
}

// twin finds the message that s is another sighting of: one seen at a tap on the same way at the time that fits, or
// one just seen at this tap on its way through the same machine.
func twin(list []*message, s *sighting, usual map[tapPair]int64) *message {
	for _, o := range list {
		if before := o.sightingAt(s.tap); before != nil {
			if delta := s.at - before.at; delta >= 0 && delta < sameTap && before.dir != s.dir {
				return o
			}
			continue
		}
		for i := range o.seen {
			b := &o.seen[i]
			p, d := tapPair{b.tap, s.tap}, s.at-b.at
			if p.a > p.b {
				p, d = tapPair{p.b, p.a}, -d
			}
			if mid, linked := usual[p]; linked && abs(d-mid) <= sameWay {
				return o
			}
		}
	}
	return nil
}
