package sim

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// tcpReceiver is the end of a connection that takes a stream and closes when the stream ends.
type tcpReceiver struct {
	out     func(*tcpSegment)          // sends it; must not call back
	deliver func(pos uint64, b []byte) // takes what is next in the stream; b is good until it returns
	mss     int                        // that it can receive
	window  int                        // that it has room for

	state    tcpState
	iss, irs uint32
	base     uint64
	next     uint64 // place of the first byte that it does not have; behind the FIN once that came
	pieces   []tcpPiece
	recent   uint64 // place of the piece that came last
	fin      uint64 // its place, or noLimit
	closing  bool   // its own FIN is out
	unacked  int    // segments
	ackAt    timers.Time
	finAt    timers.Time
	finWait  time.Duration
	finTries int
}

// tcpPiece is data behind a gap.
type tcpPiece struct {
	pos  uint64
	data []byte
}

func (p *tcpPiece) end() uint64 { return p.pos + uint64(len(p.data)) }

// listen makes the receiver ready for a connection whose first byte has the place base.
func (t *tcpReceiver) listen(iss uint32, base uint64) {
	*t = tcpReceiver{out: t.out, deliver: t.deliver, mss: t.mss, window: t.window, state: tcpOpening, iss: iss, base: base,
		next: base, fin: noLimit, ackAt: timers.Never, finAt: timers.Never}
}

func (t *tcpReceiver) seq(pos uint64) uint32 { return t.irs + 1 + uint32(pos-t.base) }

func (t *tcpReceiver) deadline() timers.Time { return earliest(t.ackAt, t.finAt) }

// input takes a segment of the sender.
func (t *tcpReceiver) input(now timers.Time, g *tcpSegment) {
	switch {
	case t.state == tcpClosed || t.state == tcpGone:
		return
	case g.flags&tcpRST != 0:
		t.state, t.ackAt, t.finAt = tcpGone, timers.Never, timers.Never
		return
	case g.flags&tcpSYN != 0:
		if t.state == tcpOpening {
			t.irs, t.state = g.seq, tcpOpen
		}
		if t.state == tcpOpen && g.seq == t.irs && t.next == t.base {
			t.out(&tcpSegment{seq: t.iss, ack: t.irs + 1, flags: tcpSYN | tcpACK, mss: t.mss, window: t.window})
		}
		return
	case t.state == tcpOpening:
		return
	}
	if t.closing && g.flags&tcpACK != 0 && g.ack == t.iss+2 {
		t.state, t.finAt = tcpDone, timers.Never
		return
	}
	if len(g.data) > 0 || g.flags&tcpFIN != 0 {
		t.take(now, g)
	}
}

// take takes data and the FIN, and decides when to acknowledge: at once if anything is out of order (RFC 5681 §3.2),
// else every second segment or after a while (RFC 1122 §4.2.3.2).
func (t *tcpReceiver) take(now timers.Time, g *tcpSegment) {
	pos, ok := place64(t.next, t.seq(t.next), g.seq)
	if !ok || pos > t.next+uint64(t.window) {
		t.acknowledge()
		return
	}
	end := pos + uint64(len(g.data))
	if g.flags&tcpFIN != 0 {
		t.fin = end
	}
	urgent := pos != t.next || len(t.pieces) > 0
	switch {
	case pos > t.next:
		if len(g.data) > 0 {
			t.keep(pos, g.data)
		}
	case end > t.next:
		t.hand(pos, g.data)
		t.drain()
	}
	if t.next == t.fin && !t.closing {
		t.next++
		t.closing, t.finWait = true, rtoFirst
		t.sayFIN(now)
		return
	}
	if t.unacked++; urgent || t.unacked >= 2 || g.flags&tcpFIN != 0 {
		t.acknowledge()
	} else if t.ackAt == timers.Never {
		t.ackAt = now.Add(ackDelay)
	}
}

func (t *tcpReceiver) hand(pos uint64, b []byte) {
	b = b[t.next-pos:]
	t.deliver(t.next, b)
	t.next += uint64(len(b))
}

// drain hands on what was behind a gap that is closed now.
func (t *tcpReceiver) drain() {
	n := 0
	for ; n < len(t.pieces) && t.pieces[n].pos <= t.next; n++ {
		if p := &t.pieces[n]; p.end() > t.next {
			t.hand(p.pos, p.data)
		}
		t.pieces[n].data = nil
	}
	t.pieces = append(t.pieces[:0], t.pieces[n:]...)
}

// keep puts data behind a gap into the list, which is in order of place.
func (t *tcpReceiver) keep(pos uint64, b []byte) {
	t.recent = pos
	i := len(t.pieces)
	for ; i > 0 && t.pieces[i-1].pos >= pos; i-- {
		if p := &t.pieces[i-1]; p.pos == pos && len(p.data) >= len(b) {
			return
		}
	}
	t.pieces = append(t.pieces, tcpPiece{})
	copy(t.pieces[i+1:], t.pieces[i:])
	t.pieces[i] = tcpPiece{pos, append([]byte(nil), b...)}
}

// acknowledge sends an acknowledgement, with the blocks behind gaps: the one with the latest piece first (RFC 2018 §4).
func (t *tcpReceiver) acknowledge() {
	t.unacked, t.ackAt = 0, timers.Never
	g := tcpSegment{seq: t.iss + 1, ack: t.seq(t.next), flags: tcpACK, window: t.window}
	if t.closing {
		g.seq++
	}
	var first, other tcpBlock
	for i := 0; i < len(t.pieces); {
		from, to := t.pieces[i].pos, t.pieces[i].end()
		for i++; i < len(t.pieces) && t.pieces[i].pos <= to; i++ {
			to = max(to, t.pieces[i].end())
		}
		b := tcpBlock{t.seq(from), t.seq(to)}
		if from <= t.recent && t.recent < to {
			first = b
		} else {
			other = b
		}
	}
	for _, b := range [...]tcpBlock{first, other} {
		if b != (tcpBlock{}) {
			g.blocks[g.sacks] = b
			g.sacks++
		}
	}
	t.out(&g)
}

func (t *tcpReceiver) sayFIN(now timers.Time) {
	t.unacked, t.ackAt = 0, timers.Never
	t.out(&tcpSegment{seq: t.iss + 1, ack: t.seq(t.next), flags: tcpFIN | tcpACK, window: t.window})
	t.finAt = now.Add(t.finWait)
}

// expire is called at the deadline or later.
func (t *tcpReceiver) expire(now timers.Time) {
	if now >= t.ackAt {
		t.acknowledge()
	}
	if now >= t.finAt {
		if t.finTries++; t.finTries > triesOfData {
			t.state, t.finAt = tcpGone, timers.Never
			return
		}
		t.finWait = min(2*t.finWait, rtoMost)
		t.sayFIN(now)
	}
}
