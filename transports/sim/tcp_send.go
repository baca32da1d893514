package sim

import (
	"math"
	"time"

	"github.com/purewire/purewire/timers"
)

type tcpState uint8

const (
	tcpClosed  tcpState = iota
	tcpOpening          // sender: a SYN is out; receiver: listens
	tcpOpen             // established
	tcpDone             // sender: both directions are closed; receiver: its FIN was acknowledged
	tcpGone             // reset or given up
)

// tcpSender is the end of a connection that sends a stream and then closes it. Places count the bytes of
// the stream; the FIN has the place behind the last byte.
type tcpSender struct {
	out   func(*tcpSegment) // sends it; must not call back
	stats *StreamResult

	state     tcpState
	iss       uint32
	peerNext  uint32 // what it acknowledges
	base      uint64 // place of the first byte
	una, nxt  uint64
	limit     uint64 // place of the FIN, or noLimit
	mss       int64
	window    int64 // of the receiver
	win       window
	rto       rto
	rtoAt     timers.Time
	sent      []tcpSent // not acknowledged, in order of place
	pipe      int64     // bytes of them that are taken to be under way
	lost      int       // of them: lost and not sent again
	dups      int
	recovered uint64 // recovery ends when this is acknowledged
	fast      bool   // in fast recovery
	loss      bool   // in recovery after an expiry
	opened    timers.Time
	finished  timers.Time // when the last byte was acknowledged, or Never
	peerFIN   bool
	repeated  bool // the SYN was
	spoke     bool // something left during this call
	answering bool // an acknowledgement is owed
}

const noLimit = math.MaxUint64

// tcpSent is a segment that was sent.
type tcpSent struct {
	pos          uint64
	size         int64 // a FIN counts as a byte
	at           timers.Time
	fin          bool
	sacked       bool
	lost         bool
	resent       bool // since it was found lost
	retransmited bool // ever: Karn's rule
}

func (g *tcpSent) counted() bool { return !g.sacked && (!g.lost || g.resent) }

// connect sends the SYN. mss is what the sender can receive; its option says so.
func (t *tcpSender) connect(now timers.Time, iss uint32, base, limit uint64, mss int64) {
	t.state, t.iss, t.base, t.una, t.nxt, t.limit, t.mss = tcpOpening, iss, base, base, base, limit, mss
	t.rto.value, t.opened, t.finished = rtoFirst, now, timers.Never
	t.hello()
	t.rtoAt = now.Add(t.rto.value)
}

func (t *tcpSender) hello() {
	t.out(&tcpSegment{seq: t.iss, flags: tcpSYN, mss: int(t.mss), window: tcpBackWindow})
}

// tcpBackWindow is the window for data towards the sender, of which there is none.
const tcpBackWindow = 65535

func (t *tcpSender) seq(pos uint64) uint32 { return t.iss + 1 + uint32(pos-t.base) }

// deadline is when expire wants to be called.
func (t *tcpSender) deadline() timers.Time { return t.rtoAt }

// input takes a segment of the receiver.
func (t *tcpSender) input(now timers.Time, g *tcpSegment) {
	if t.state == tcpClosed || t.state == tcpGone {
		return
	}
	if g.flags&tcpRST != 0 {
		if t.state != tcpDone {
			t.abort()
		}
		return
	}
	t.spoke, t.answering = false, false
	if t.state == tcpOpening {
		if g.flags&(tcpSYN|tcpACK) != tcpSYN|tcpACK || g.ack != t.iss+1 {
			return
		}
		t.establish(now, g)
	} else if g.flags&tcpSYN != 0 {
		t.answering = true // the acknowledgement of its SYN was lost
	}
	if g.flags&tcpACK != 0 {
		t.acknowledged(now, g)
	}
	if g.flags&tcpFIN != 0 {
		t.answering = true
		if g.seq == t.peerNext {
			t.peerFIN = true
			t.peerNext++
		}
	}
	t.transmit(now)
	if t.answering && !t.spoke {
		t.out(&tcpSegment{seq: t.seq(t.nxt), ack: t.peerNext, flags: tcpACK, window: tcpBackWindow})
	}
	if t.peerFIN && t.limit != noLimit && t.una > t.limit && t.state == tcpOpen {
		t.state = tcpDone
		t.stats.Transfers++
	}
}

func (t *tcpSender) establish(now timers.Time, g *tcpSegment) {
	t.state, t.peerNext = tcpOpen, g.seq+1
	t.mss = min(t.mss, int64(g.mss)) - tcpOverhead
	kind := t.win.kind
	t.win = newWindow(kind, t.mss)
	t.stats.Connections++
	if t.repeated {
		t.rto = rto{value: rtoAfterSYN}
		t.win.cwnd = t.mss // RFC 5681 §3.1, last paragraph but two
	} else {
		t.rto = rto{}
		t.rto.sample(now.Sub(t.opened))
	}
	t.rtoAt = timers.Never
	t.answering = true
}

// acknowledged takes what a segment says about the stream.
func (t *tcpSender) acknowledged(now timers.Time, g *tcpSegment) {
	ack, ok := place64(t.una, t.seq(t.una), g.ack)
	if !ok || ack < t.una || ack > t.nxt {
		return
	}
	t.window = int64(g.window)
	flight := int64(t.nxt - t.una)
	t.mark(g)
	if ack > t.una {
		t.advance(now, ack, flight)
	} else if len(t.sent) > 0 && len(g.data) == 0 && g.flags&(tcpSYN|tcpFIN) == 0 {
		t.dups++
	}
	t.findLost()
	if (t.lost > 0 || t.dups >= tcpDuplicates) && !t.fast && !t.loss && len(t.sent) > 0 {
		t.lose(&t.sent[0])
		t.fast, t.recovered = true, t.nxt
		t.win.reduce(flight)
		t.stats.Recoveries++
	}
}

// mark notes what the receiver has beyond a gap.
func (t *tcpSender) mark(g *tcpSegment) {
	for _, b := range g.blocks[:g.sacks] {
		from, ok1 := place64(t.una, t.seq(t.una), b.from)
		to, ok2 := place64(t.una, t.seq(t.una), b.to)
		if !ok1 || !ok2 {
			continue
		}
		for i := range t.sent {
			s := &t.sent[i]
			if s.pos >= from && s.pos+uint64(s.size) <= to && !s.sacked {
				t.uncount(s)
				s.sacked = true
			}
		}
	}
}

// uncount takes a segment out of what is under way and what is lost.
func (t *tcpSender) uncount(s *tcpSent) {
	if s.counted() {
		t.pipe -= s.size
	} else if s.lost && !s.resent && !s.sacked {
		t.lost--
	}
}

func (t *tcpSender) lose(s *tcpSent) {
	if s.sacked || s.lost {
		return
	}
	t.pipe -= s.size
	s.lost, s.resent = true, false
	t.lost++
}

// advance takes an acknowledgement of new data.
func (t *tcpSender) advance(now timers.Time, ack uint64, flight int64) {
	n, rtt := 0, time.Duration(-1)
	for ; n < len(t.sent) && t.sent[n].pos+uint64(t.sent[n].size) <= ack; n++ {
		s := &t.sent[n]
		t.uncount(s)
		if !s.retransmited && !s.sacked {
			rtt = now.Sub(s.at)
		}
	}
	t.sent = append(t.sent[:0], t.sent[n:]...)
	acked := int64(ack - t.una)
	t.una, t.dups = ack, 0
	if rtt >= 0 {
		t.rto.sample(rtt)
		t.stats.SRTT = t.rto.srtt
	}
	t.rto.expired = 0
	switch {
	case t.fast && ack >= t.recovered:
		t.fast = false
	case t.fast:
		if len(t.sent) > 0 {
			t.lose(&t.sent[0]) // a partial acknowledgement: the next gap is a loss too (RFC 6582 §3.2 step 3)
		}
	case flight+t.mss > t.win.cwnd: // a sender that its window does not hold back learns nothing about the path
		t.win.grow(now, acked, t.rto.srtt)
	}
	if t.loss && ack >= t.recovered {
		t.loss = false
	}
	t.rtoAt = timers.Never
	if len(t.sent) > 0 {
		t.rtoAt = now.Add(t.rto.value) // RFC 6298 (5.3)
	}
	if t.limit != noLimit && t.una >= t.limit && t.finished == timers.Never {
		t.finished = now
	}
}

// findLost is IsLost of RFC 6675: three segments beyond a gap have arrived.
func (t *tcpSender) findLost() {
	above := 0
	for i := len(t.sent) - 1; i >= 0; i-- {
		if t.sent[i].sacked {
			above++
		} else if above >= tcpDuplicates {
			t.lose(&t.sent[i])
		}
	}
}

// transmit sends what the windows allow: what was lost first.
func (t *tcpSender) transmit(now timers.Time) {
	if t.state != tcpOpen {
		return
	}
	for t.lost > 0 && (t.pipe+t.mss <= t.win.cwnd || t.pipe == 0) {
		for i := range t.sent {
			if s := &t.sent[i]; s.lost && !s.resent && !s.sacked {
				s.resent, s.retransmited = true, true
				t.lost--
				t.stats.Repeated++
				t.put(now, s)
				break
			}
		}
	}
	for t.lost == 0 {
		s := tcpSent{pos: t.nxt}
		switch {
		case t.nxt < t.limit:
			room := int64(t.una) + t.window - int64(t.nxt)
			s.size = min(t.mss, int64(min(t.limit-t.nxt, math.MaxInt32)))
			if s.size > room || t.pipe+s.size > t.win.cwnd && t.pipe > 0 {
				return
			}
		case t.nxt == t.limit:
			s.size, s.fin = 1, true
		default:
			return
		}
		t.nxt += uint64(s.size)
		t.sent = append(t.sent, s)
		t.put(now, &t.sent[len(t.sent)-1])
	}
}

// put sends a segment that is in the list.
func (t *tcpSender) put(now timers.Time, s *tcpSent) {
	s.at = now
	t.pipe += s.size
	g := tcpSegment{seq: t.seq(s.pos), ack: t.peerNext, flags: tcpACK, window: tcpBackWindow, pos: s.pos}
	if s.fin {
		g.flags |= tcpFIN
	} else {
		g.size = int(s.size)
		t.stats.Segments++
		if s.pos+uint64(s.size) == t.limit {
			g.flags |= tcpPSH
		}
	}
	if t.rtoAt == timers.Never {
		t.rtoAt = now.Add(t.rto.value) // RFC 6298 (5.1)
	}
	t.spoke = true
	t.out(&g)
}

// expire is called at the deadline or later.
func (t *tcpSender) expire(now timers.Time) {
	if now < t.rtoAt {
		return
	}
	t.rtoAt = timers.Never
	switch {
	case t.state == tcpOpening && t.rto.expired >= triesOfSYN, t.state == tcpOpen && t.rto.expired >= triesOfData:
		t.abort()
	case t.state == tcpOpening:
		t.repeated = true
		t.rto.backOff()
		t.hello()
		t.rtoAt = now.Add(t.rto.value)
	case t.state == tcpOpen && len(t.sent) > 0:
		t.stats.Timeouts++
		t.win.collapse(int64(t.nxt-t.una), t.rto.expired == 0)
		t.rto.backOff()
		for i := range t.sent {
			s := &t.sent[i]
			if s.resent && !s.sacked {
				s.lost, s.resent = false, false // what was sent again is lost again
			}
			t.lose(s)
		}
		t.fast, t.loss, t.recovered, t.dups = false, true, t.nxt, 0
		t.transmit(now)
	}
}

// stop ends the stream behind what was sent already.
func (t *tcpSender) stop(now timers.Time) {
	if t.limit != noLimit || t.state == tcpClosed || t.state == tcpGone {
		return
	}
	t.limit = t.nxt
	if t.una == t.limit {
		t.finished = now
	}
	t.transmit(now)
}

func (t *tcpSender) abort() {
	t.state, t.rtoAt = tcpGone, timers.Never
	t.stats.Aborted++
}
