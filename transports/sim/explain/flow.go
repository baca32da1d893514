package explain

// windowSize is how far behind the newest a counter may be and still be accepted (REPLAY-03: 8128 for Linux and
// wireguard-go).
const windowSize = 8128

// flow is one direction of a session.
type flow struct {
	count, data, keepalives int
	bytes                   int64
	first, last             *message // first and last in time, copies left out
	low, high               uint64   // counters
	numbers                 map[uint64]*message
	gaps                    []gap
	gapBefore               uint64 // counters below low, if the session's start was seen
	copies                  []*message
	reused                  []*message // same counter, other content: never innocent (MSG-14)
	tooLate                 []*message // behind the replay window at this tap
	reordered               int
	largest                 int
	bad                     []*message // tag does not fit
}

// gap is a jump in the counters: messages that were sent and, where this tap is, never came by.
type gap struct {
	before, after *message
	missing       uint64 // reduced by those that came late
	low, high     uint64 // first and last counter of it
}

// add enters a message and reports whether the other side would have believed it: whether it is newer than all before.
func (f *flow) add(m *message) (newest bool) {
	if m.open == forged {
		f.bad = append(f.bad, m)
		return false
	}
	if f.numbers == nil {
		f.numbers = map[uint64]*message{}
	}
	if before := f.numbers[m.counter]; before != nil {
		if m.copyOf != nil {
			f.copies = append(f.copies, m)
		} else {
			f.reused = append(f.reused, m)
		}
		return false
	}
	f.numbers[m.counter] = m
	f.count++
	f.bytes += int64(m.size)
	if m.keepalive() {
		f.keepalives++
	} else {
		f.data++
	}
	f.largest = max(f.largest, m.size)
	switch {
	case f.count == 1:
		f.low, f.high, f.first, newest = m.counter, m.counter, m, true
	case m.counter > f.high:
		if m.counter > f.high+1 {
			f.gaps = append(f.gaps, gap{f.numbers[f.high], m, m.counter - f.high - 1, f.high + 1, m.counter - 1})
		}
		f.high, newest = m.counter, true
	default:
		f.late(m)
	}
	f.last = m
	return newest
}

// late fills a gap afterwards.
func (f *flow) late(m *message) {
	f.reordered++
	if f.high-m.counter > windowSize {
		f.tooLate = append(f.tooLate, m)
	}
	if m.counter < f.low {
		f.low = m.counter
	}
	for i := range f.gaps {
		if g := &f.gaps[i]; g.low <= m.counter && m.counter <= g.high {
			g.missing--
		}
	}
}

// missing is how many messages were sent but not seen, as far as the counters tell.
func (f *flow) missing() (n uint64) {
	n = f.gapBefore
	for i := range f.gaps {
		n += f.gaps[i].missing
	}
	return n
}
