package sim

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/timers"
)

// pair is a host and a peer of it.
type pair struct{ host, peer string }

// forgets reports whether a host forgets all that it knows of a peer (TAI-05).
func (r *Record) forgets() bool {
	return r.Kind == KindAction && r.Peer != "" && (r.Action == ActionRemovePeer || r.Action == ActionRotateKey)
}

// pace: HS-21.
type pace struct{ last map[pair]moment }

// moment is a time in a stretch in which a host kept its memory.
type moment struct {
	at    timers.Time
	epoch int
}

// Times of rules §1.1.
const (
	rekeyTimeout     = 5 * time.Second
	rekeyAfter       = 120 * time.Second
	rejectAfter      = 180 * time.Second
	keepaliveTimeout = 10 * time.Second
)

func (*pace) about() (name, rule string) {
	return "pace", "a host sends one peer no two initiations within 5 s (HS-21)"
}

func (c *pace) see(w *watch, r *Record) {
	switch {
	case r.forgets():
		delete(c.last, pair{r.Host, r.Peer})
	case r.Kind == KindAction && r.Action == ActionRotateKey:
		for _, p := range w.s.byName[r.Host].peers {
			delete(c.last, pair{r.Host, p.cfg.Host}) // the limit is waived (KEY-15)
		}
	case w.read.attempt != nil:
		w.looked()
		k, now := pair{r.Host, w.read.peer}, moment{w.s.byName[r.Host].felt(), w.s.byName[r.Host].epoch}
		last, ok := c.last[k]
		// A host whose interface was down starts clean (LIFE-04).
		if ok && last.epoch == now.epoch && now.at.Sub(last.at) < rekeyTimeout {
			w.fault(r.Host, "sends %s another initiation after %s", k.peer, seconds(now.at.Sub(last.at)))
		}
		c.last[k] = now
	}
}

// stamps: TAI-06 to TAI-08.
type stamps struct{ last map[pair][12]byte }

func (*stamps) about() (name, rule string) {
	return "timestamp", "a host's initiations to one peer carry growing timestamps as long as it runs, near its wall " +
		"clock and rounded down to 2^24 ns (TAI-06 to TAI-08)"
}

// labelOfZero is the TAI64 label of Unix time 0 (TAI-08); clockSlack is how far a timestamp may be from the clock.
const (
	labelOfZero = 1<<62 + 10
	clockSlack  = 60
)

func (c *stamps) see(w *watch, r *Record) {
	switch {
	case r.Kind == KindAction && r.Action == ActionRestart:
		for _, p := range w.s.byName[r.Host].peers {
			delete(c.last, pair{r.Host, p.cfg.Host})
		}
	case r.forgets():
		delete(c.last, pair{r.Host, r.Peer})
	case w.read.attempt != nil:
		w.looked()
		k := pair{r.Host, w.read.peer}
		now := w.read.attempt.timestamp
		if last, ok := c.last[k]; ok && bytes.Compare(now[:], last[:]) <= 0 {
			w.fault(r.Host, "sends %s an initiation with a timestamp that is not greater than the one before", k.peer)
		}
		c.last[k] = now
		c.value(w, r.Host, now)
	}
}

// value holds a timestamp to the clock. A host whose clock was moved back may have to keep its old one (TAI-10).
func (c *stamps) value(w *watch, host string, stamp [12]byte) {
	if nanos := binary.BigEndian.Uint32(stamp[8:]); nanos&(1<<24-1) != 0 || nanos >= 1e9 {
		w.fault(host, "sends a timestamp with %d ns", nanos)
	}
	n := w.s.byName[host]
	if n.clock.unsure {
		return
	}
	off := int64(binary.BigEndian.Uint64(stamp[:8])-labelOfZero) - n.wallClock().Unix()
	if off < -clockSlack || off > clockSlack {
		w.fault(host, "sends a timestamp that is %d s off its clock", off)
	}
}

// rekey: TIMER-07. A response that it sends holds an initiation up like one of its own (HS-21), and who has just agreed
// to a session need not begin another.
type rekey struct {
	last map[pair]timers.Time // initiation or response
}

// rekeySlack is the longest wait that the 5 s rule can make, jitter and a slow processor.
const rekeySlack = 6 * time.Second

func (*rekey) about() (name, rule string) {
	return "rekey", "who initiated a session and sends on it when it is 120 s old starts a new one (TIMER-07)"
}

func (c *rekey) see(w *watch, r *Record) {
	m := &w.read
	switch {
	case m.attempt != nil || m.kind == typeResponse && m.peer != "" ||
		m.kind == typeTransport && w.s.byName[r.Host].hampered():
		c.last[pair{r.Host, m.peer}] = w.s.byName[r.Host].felt()
	case m.kind != typeTransport || m.session == nil || m.end != endInitiator || m.err != nil:
	case w.s.byName[r.Host].felt().Sub(m.session.born[endInitiator]) >= rekeyAfter:
		w.looked()
		s, now := m.session, w.s.byName[r.Host].felt()
		if !s.aged {
			s.aged, s.agedAt = true, now
		}
		last, ok := c.last[pair{r.Host, m.peer}]
		if now.Sub(s.agedAt) >= rekeySlack && (!ok || last < s.agedAt.Add(-rekeyTimeout)) {
			w.fault(r.Host, "goes on sending to %s on a session %s old without starting a new one", m.peer,
				seconds(now.Sub(s.born[endInitiator])))
		}
	}
}

// empties: TIMER-13, TIMER-14, TIMER-19.
type empties struct{ state map[pair]*emptyState }

// emptyState is what the wire tells of one direction between two hosts.
type emptyState struct {
	emptyView
	before  emptyView   // as it was before the moment at
	at      timers.Time // when something was last sent, if acted
	acted   bool
	excused timers.Time // at this moment one may be sent: something was configured
}

type emptyView struct {
	passed timers.Time // when something authentic last passed in either direction
	owing  bool        // data came in and nothing has gone out since
	since  timers.Time // when the first such data came
}

func (*empties) about() (name, rule string) {
	return "keepalive", "an empty message is sent only to confirm a session, 10 s after data that nothing answered, or " +
		"as a persistent keepalive (TIMER-12 to TIMER-14, TIMER-19)"
}

func (c *empties) of(host, peer string) *emptyState {
	k := pair{host, peer}
	e := c.state[k]
	if e == nil {
		e = &emptyState{excused: timers.Never}
		c.state[k] = e
	}
	return e
}

func (c *empties) see(w *watch, r *Record) {
	switch {
	case r.Kind == KindAction && w.s.byName[r.Host] != nil:
		for _, p := range w.s.byName[r.Host].peers {
			c.of(r.Host, p.cfg.Host).excused = w.s.byName[r.Host].felt()
		}
	case r.Kind == KindFate && genuine(r):
		of := w.of(r.Datagram)
		if of == nil || of.kind == typeCookie || of.kind == 0 || w.s.byName[r.To] == nil {
			return
		}
		e, now := c.of(r.To, w.s.byName[of.from].canon), w.s.byName[r.To].felt()
		e.passed = now
		if of.kind == typeTransport && len(r.Data) > transportMin && !e.owing {
			e.owing, e.since = true, now
		}
	case w.read.kind != 0 && w.read.kind != typeCookie && w.read.peer != "":
		c.sent(w, r)
	}
}

// sent compares with how things were before this moment: the handshake that a keepalive brings about may be on the wire
// before it.
func (c *empties) sent(w *watch, r *Record) {
	m, e, now := &w.read, c.of(r.Host, w.read.peer), w.s.byName[r.Host].felt()
	if !e.acted || e.at != now {
		e.acted, e.at = true, now
		e.before = e.emptyView
	}
	if m.kind == typeTransport && len(r.Data) == transportMin {
		w.looked()
		wait := time.Duration(w.s.byName[r.Host].end(m.peer).keepalive) * time.Second
		switch {
		case m.counter == 0: // confirms the session, or waited for it (HS-14, QUEUE-06)
		case e.excused == now:
		case e.before.owing && now.Sub(e.before.since) >= keepaliveTimeout:
		case wait > 0 && now.Sub(e.before.passed) >= wait:
		default:
			w.fault(r.Host, "sends %s a keepalive that nothing called for", m.peer)
		}
	}
	e.passed, e.owing = now, false
}

// fresh: CRYPTO-13.
type fresh struct{ seen map[[32]byte]bool }

func (*fresh) about() (name, rule string) {
	return "fresh", "no handshake message carries an ephemeral key that another one had (CRYPTO-13, HS-20)"
}

func (c *fresh) see(w *watch, r *Record) {
	at := 8
	switch w.read.kind {
	case typeInitiation:
	case typeResponse:
		at = 12
	default:
		return
	}
	if len(r.Data) < at+32 {
		return
	}
	w.looked()
	key := [32]byte(r.Data[at:])
	if c.seen[key] {
		w.fault(r.Host, "uses an ephemeral key again")
	}
	c.seen[key] = true
}
