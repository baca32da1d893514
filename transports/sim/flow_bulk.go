package sim

import (
	"hash/crc32"
	"time"

	"github.com/purewire/purewire/timers"
)

// bulk is a [FlowBulk]: the programs at both ends, their TCP connection, and what ties it to the run. The stream is one
// from the beginning of the run to its end: a transfer is a stretch of it, and after a connection broke the
// next one goes on with the first byte that the sender knows no acknowledgement of.
type bulk struct {
	s     *Sim
	f     *flow
	key   uint64 // of the stream's bytes
	tx    tcpSender
	rx    tcpReceiver
	conns uint32
	port  [2]uint16 // of the connection that tx and rx have
	life  [2]int    // of the host at which tx and rx are
	timer [2]bulkTimer
	turn  uint32 // numbers the ticks that are still wanted
	due   bool   // one came up while the host slept

	begun, limit uint64      // the transfer under way
	beganAt      timers.Time // Never: there is none
	got          uint64      // bytes that the receiving program has
	gotSum       uint32
	acked        uint64 // bytes that the sending program is rid of
	ackedSum     uint32
	stats        StreamResult
	transfers    spread
	scratch      []byte
}

// The sides of a connection.
const (
	sideFrom = iota
	sideTo
)

// bulkTimer is the event that was made for the deadline of one side. It may come up too early, and is looked at again.
type bulkTimer struct {
	at     timers.Time
	gen    uint32
	missed bool // it came up while its host slept
}

const (
	defaultWindow = 131_072
	// reconnectAfter is how long a program waits after its connection broke.
	reconnectAfter = time.Second
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newBulk(s *Sim, f *flow) *bulk {
	b := &bulk{s: s, f: f, key: mix64(s.o.Seed) ^ mix64(uint64(f.index)), beganAt: timers.Never}
	b.timer[0].at, b.timer[1].at = timers.Never, timers.Never
	b.rx.out, b.rx.deliver = b.sendBack, b.take
	b.rx.window = f.cfg.Window
	if b.rx.window == 0 {
		b.rx.window = defaultWindow
	}
	return b
}

func (b *bulk) node(side int) *node {
	if side == sideFrom {
		return b.f.from
	}
	return b.f.to
}

// mss is what a side's option MSS says.
func (b *bulk) mss(side int) int {
	if b.f.cfg.IPv6 {
		return b.node(side).mtu() - ip6Header - tcpHeader
	}
	return b.node(side).mtu() - ip4Header - tcpHeader
}

// tick starts a transfer, or a connection that goes on with one.
func (b *bulk) tick(gen uint32) {
	n := b.f.from
	if gen != b.turn {
		return
	}
	if b.due = !n.awake(); b.due {
		return // roused comes back to it
	}
	if b.beganAt == timers.Never {
		b.beganAt, b.begun, b.limit = b.s.now, b.acked, noLimit
		if b.f.cfg.Bytes > 0 {
			b.limit = b.acked + b.f.cfg.Bytes
		} else {
			b.s.at(b.f.stop, event{kind: evFlowTimer, who: int32(b.f.index), gen: timerStop})
		}
	}
	b.conns++
	b.port[sideFrom] = uint16(tcpClient + (uint32(b.f.index)+101*b.conns)%40000)
	b.life[sideFrom] = n.life
	b.tx = tcpSender{out: b.sendForth, stats: &b.stats, win: window{kind: b.f.cfg.Congestion}}
	b.tx.connect(b.s.now, uint32(mix64(b.key^uint64(b.conns))), b.acked, b.limit, int64(b.mss(sideFrom)))
	b.done(sideFrom)
}

// Values of event.gen for evFlowTimer of a bulk flow: the side in the lowest bits, the number of the timer above.
const (
	timerSides = 2
	timerStop  = 2 // gen & 3
)

// fire takes an evFlowTimer.
func (b *bulk) fire(gen uint32) {
	side := int(gen & 3)
	if side == timerStop {
		b.tx.stop(b.s.now)
		b.done(sideFrom)
		return
	}
	t := &b.timer[side]
	if gen>>timerSides != t.gen {
		return
	}
	t.at = timers.Never
	if !b.node(side).awake() {
		t.missed = true
		return
	}
	b.expire(side)
}

func (b *bulk) expire(side int) {
	if b.life[side] == b.node(side).life {
		if side == sideFrom {
			b.tx.expire(b.s.now)
		} else {
			b.rx.expire(b.s.now)
		}
	}
	b.done(side)
}

// roused is called when a host has woken up or started anew.
func (s *Sim) roused(n *node) {
	for _, f := range s.flows {
		b := f.bulk
		if b == nil || f.from != n && f.to != n {
			continue
		}
		for side := range b.timer {
			if t := &b.timer[side]; t.missed && b.node(side) == n {
				t.missed = false
				b.expire(side)
			}
		}
		if f.from == n && s.now >= timers.Time(f.cfg.Start) {
			b.restart()
		}
	}
}

// restart goes on after the sending host was away, if there is no connection any more.
func (b *bulk) restart() {
	lost := b.life[sideFrom] != b.f.from.life
	if lost && (b.tx.state == tcpOpening || b.tx.state == tcpOpen) {
		b.tx.abort()
	}
	if b.due || b.tx.state == tcpClosed || b.tx.state == tcpGone {
		b.again(reconnectAfter)
	}
}

func (b *bulk) again(wait time.Duration) {
	b.turn++
	b.s.later(wait, event{kind: evFlow, who: int32(b.f.index), gen: b.turn})
}

// arrived takes a packet of the flow at one of its hosts. A connection of which the host knows nothing is reset.
func (b *bulk) arrived(n *node, in *Inner) {
	if b == nil {
		return
	}
	g, port, back := parseTCP(in.Data, b.scale())
	side := sideTo
	if back {
		side = sideFrom
	}
	if n != b.node(side) {
		return
	}
	known := b.port[side] == port && b.life[side] == n.life
	before := b.got
	switch {
	case !known && side == sideTo && g.flags&tcpSYN != 0 && port == b.port[sideFrom]:
		b.port[sideTo], b.life[sideTo], b.rx.mss = port, n.life, b.mss(sideTo)
		// Where in the stream the connection begins is what the programs tell each other beforehand.
		b.rx.listen(uint32(mix64(b.key^uint64(port)<<32)), b.tx.base)
		b.rx.input(b.s.now, &g)
	case !known:
		if g.flags&tcpRST == 0 {
			b.send(side, port, &tcpSegment{seq: g.ack, flags: tcpRST})
		}
	case side == sideTo:
		b.rx.input(b.s.now, &g)
	default:
		b.tx.input(b.s.now, &g)
	}
	b.measure(side, in, int(b.got-before))
	b.done(side)
}

func (b *bulk) measure(side int, in *Inner, fresh int) {
	if side == sideFrom {
		b.f.back.deliver(b.s.now, in.Delay, len(in.Data), 0)
		return
	}
	b.f.forth.deliver(b.s.now, in.Delay, len(in.Data), fresh)
	if fresh > 0 {
		b.f.comeback.deliver(b.s.now, in.Born, b.s.troubles.ended)
	}
}

// done ends what an event did with one side: the programs take note, the timer is set, the packets go out.
func (b *bulk) done(side int) {
	if side == sideFrom {
		b.shed()
		switch {
		case b.beganAt == timers.Never:
		case b.tx.state == tcpGone && b.life[side] == b.f.from.life:
			b.tx.state = tcpClosed
			b.again(reconnectAfter)
		case b.tx.state == tcpDone:
			b.transfers.add(b.tx.finished.Sub(b.beganAt))
			b.beganAt = timers.Never
			if b.f.cfg.Bytes > 0 && b.f.cfg.Interval > 0 {
				b.again(b.f.cfg.Interval)
			}
		}
		b.arm(side, b.tx.deadline())
	} else {
		b.arm(side, b.rx.deadline())
	}
	b.node(side).serve()
}

func (b *bulk) arm(side int, at timers.Time) {
	t := &b.timer[side]
	if at >= t.at || t.missed {
		return // nothing to do, or the event that there is comes up before
	}
	t.at = at
	t.gen++
	b.s.at(at, event{kind: evFlowTimer, who: int32(b.f.index), gen: t.gen<<timerSides | uint32(side)})
}

// shed adds what was acknowledged to the sender's checksum, and lets go of it.
func (b *bulk) shed() {
	if una := min(b.tx.una, b.tx.limit); b.tx.state != tcpClosed && una > b.acked {
		b.ackedSum = b.sum(b.ackedSum, b.acked, una)
		b.acked = una
	}
}

// sum goes on with the checksum of the stream's bytes.
func (b *bulk) sum(crc uint32, from, to uint64) uint32 {
	if b.scratch == nil {
		b.scratch = make([]byte, 4096)
	}
	for from < to {
		p := b.scratch[:min(to-from, uint64(len(b.scratch)))]
		pattern(b.key, from, p)
		crc = crc32.Update(crc, castagnoli, p)
		from += uint64(len(p))
	}
	return crc
}

// take is the receiving program. What it got over a connection that broke it has already, although the sender may not
// know.
func (b *bulk) take(pos uint64, p []byte) {
	if pos < b.got {
		p = p[min(uint64(len(p)), b.got-pos):]
	}
	b.gotSum = crc32.Update(b.gotSum, castagnoli, p)
	b.got += uint64(len(p))
}

func (b *bulk) sendForth(g *tcpSegment) { b.send(sideFrom, b.port[sideFrom], g) }
func (b *bulk) sendBack(g *tcpSegment)  { b.send(sideTo, b.port[sideTo], g) }

// scale is the least by which the window can be written.
func (b *bulk) scale() (n uint8) {
	for b.rx.window>>n > 65535 {
		n++
	}
	return n
}

// send puts a segment into the outbox of its host.
func (b *bulk) send(side int, port uint16, g *tcpSegment) {
	s, f, n := b.s, b.f, b.node(side)
	s.inners++
	p := tcpPacket{tcpSegment: *g, port: port, back: side == sideTo, scale: b.scale(), key: b.key}
	p.spec = spec{kind: InnerTCP, src: f.src, dst: f.dst, tos: f.cfg.TOS, id: s.inners, flow: f.index, born: s.now}
	if side == sideTo {
		p.src, p.dst = f.dst, f.src
	} else {
		p.window = min(p.window, tcpBackWindow)
		p.scale = 0 // the sender receives nothing
	}
	size := p.length()
	out := n.buffer(size)
	p.build(out.window().Bytes())
	if side == sideFrom {
		f.forth.send(s.now, size)
		f.comeback.send(s.now, s.troubles.ended)
	} else {
		f.back.send(s.now, size)
	}
	n.outbox = append(n.outbox, out)
}

func (b *bulk) result() StreamResult {
	r := b.stats
	r.Delivered = b.got
	r.Transfer = b.transfers.percentiles()
	// The receiver may have more than the sender knows of.
	r.Intact = b.got >= b.acked && b.sum(b.ackedSum, b.acked, b.got) == b.gotSum
	return r
}
