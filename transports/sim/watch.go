package sim

import (
	"bytes"
	"fmt"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// watch runs the checkers over the records of a run. What they may look at is here: the record, what the oracle reads
// in a datagram, and the ledger of inner packets. None of it comes from inside a core.
type watch struct {
	s       *Sim
	oracle  *oracle
	read    opened    // of the record, if it is the KindDatagram of a host's own datagram
	carried []carried // of datagrams under way and of late, by number; as many as a power of two
	ledger  ledger
	list    []*checkState
	current *checkState
}

// carried is what there is to know of a datagram when its fate is decided.
type carried struct {
	number  uint64
	kind    byte
	session *session
	end     int
	counter uint64
	attempt *attempt
	from    string      // the host that sent it
	at      timers.Time // when
	intact  []byte      // of handshake messages: what mac2 does not belong to
	decided bool
	taken   bool // by its receiver, itself or a copy
}

// checker judges records one by one.
type checker interface {
	// about gives the permanent name and what is held to.
	about() (name, rule string)
	see(w *watch, r *Record)
}

type checkState struct {
	checker
	name, rule          string
	checked, violations uint64
}

// checkerModel is the name under which the simulator itself complains.
const checkerModel = "configuration"

func checkers() []checker {
	return []checker{configuration{}, once{}, origin{}, &counters{}, keyLife{}, confirmation{}, silence{},
		&pace{last: map[pair]moment{}}, &stamps{last: map[pair][12]byte{}}, &fresh{seen: map[[32]byte]bool{}},
		&rekey{last: map[pair]timers.Time{}}, &empties{state: map[pair]*emptyState{}}, secrecy{}, shape{}, damage{},
		&previous{slots: map[pair]*keySlots{}}, &recoveries{}}
}

// Checkers lists the checkers that watch every run, in the order of Result.Checkers: name and rule.
func Checkers() []CheckerResult {
	var list []CheckerResult
	for _, c := range checkers() {
		name, rule := c.about()
		list = append(list, CheckerResult{Name: name, Rule: rule})
	}
	return list
}

func newWatch(s *Sim) *watch {
	w := &watch{s: s, oracle: s.oracle, carried: make([]carried, carriedLeast),
		ledger: ledger{packets: map[packetKey]*sentPacket{}}}
	for _, c := range checkers() {
		name, rule := c.about()
		w.list = append(w.list, &checkState{checker: c, name: name, rule: rule})
	}
	return w
}

// see takes one record.
func (w *watch) see(r *Record) {
	w.read = opened{}
	switch r.Kind {
	case KindDatagram:
		w.depart(r)
	case KindFate:
		w.settle(r)
	case KindInnerSent, KindInnerForwarded:
		w.ledger.add(w.s.now, w.s.byName[r.Host].canon, r)
	}
	for _, c := range w.list {
		w.current = c
		c.see(w, r)
	}
	if r.Kind == KindInnerDelivered {
		w.ledger.delivered(r)
	}
}

func (w *watch) depart(r *Record) {
	slot := w.slot(r.Datagram)
	*slot = carried{number: r.Datagram}
	switch {
	case r.Attack != AttackNone && r.Attack != AttackRecorded && r.Attack != AttackBitFlip:
	case r.Original != 0:
		if of := w.of(r.Original); of != nil {
			*slot = *of
			slot.number, slot.decided = r.Datagram, false
		}
	default:
		w.read = w.oracle.read(r.Host, r.Data)
		slot.kind, slot.session, slot.end = w.read.kind, w.read.session, w.read.end
		slot.counter, slot.attempt, slot.from, slot.at = w.read.counter, w.read.attempt, r.Host, w.s.now
		if slot.kind == typeInitiation || slot.kind == typeResponse {
			if a := slot.attempt; a != nil {
				w.s.byName[r.Host].end(w.read.peer).stamped = a.timestamp
			}
			slot.intact = append([]byte(nil), r.Data[:max(0, len(r.Data)-16)]...)
		}
	}
}

// slot gives the place for a datagram. If the one that it would displace is still under way, there must be more places.
func (w *watch) slot(number uint64) *carried {
	for {
		c := &w.carried[number%uint64(len(w.carried))]
		if c.number == 0 || c.decided || len(w.carried) >= carriedMost {
			return c
		}
		more := make([]carried, 2*len(w.carried))
		for _, c := range w.carried {
			if c.number != 0 {
				more[c.number%uint64(len(more))] = c
			}
		}
		w.carried = more
	}
}

// Numbers of places; more than carriedMost datagrams are never under way at once unless they are held up for ever.
const (
	carriedLeast = 1 << 14
	carriedMost  = 1 << 22
)

// of finds what is known of a datagram; nil if it is too long ago.
func (w *watch) of(number uint64) *carried {
	if c := &w.carried[number%uint64(len(w.carried))]; c.number == number {
		return c
	}
	return nil
}

// settle keeps the oracle's view of sessions up to date: an initiator has the keys once it took the response
// (KEY-11), and a responder may use them once it took a message on them (HS-16).
func (w *watch) settle(r *Record) {
	c := w.of(r.Datagram)
	if c == nil {
		return
	}
	c.decided = true
	if !genuine(r) {
		return
	}
	w.s.followed(c, r)
	if c.session == nil {
		return
	}
	switch {
	case c.kind == typeResponse && r.To == c.session.initiator && !c.session.alive[endInitiator]:
		c.session.begin(endInitiator, w.s.byName[r.To])
	case c.kind == typeTransport && c.end == endInitiator && r.To == c.session.responder:
		c.session.confirmed = true
	}
}

// reached notes that a datagram came to a host, before the host has made anything of it.
func (w *watch) reached(number uint64, host string) {
	if c := w.of(number); c != nil && c.kind == typeResponse && c.session != nil && c.session.initiator == host {
		c.session.reached = true
	}
}

// genuine reports whether the fate shows that the receiver found the datagram authentic: an inner packet that is bad or
// lies about its source does not make the message less so (INNER-07). What somebody on the path sends once more is
// as genuine as the first time, if that is the time that counts.
func genuine(r *Record) bool {
	return (r.Attack == AttackNone || r.Attack == AttackRecorded || r.Attack == AttackBitFlip) &&
		(r.Fate == FateDelivered ||
			r.Fate == FateRejected && r.Reason >= protocol.DropInnerVersion && r.Reason <= protocol.DropInnerSource)
}

// looked counts that the checker had something to judge.
func (w *watch) looked() { w.current.checked++ }

// fault records a violation.
func (w *watch) fault(host, format string, args ...any) {
	w.s.violations = append(w.s.violations, Violation{w.s.now, host, w.current.name, fmt.Sprintf(format, args...)})
	w.current.violations++
}

// as lets a checker judge outside of a record.
func (w *watch) as(checker string, judge func(*watch)) {
	for _, c := range w.list {
		if c.name == checker {
			w.current = c
			judge(w)
		}
	}
	w.s.flushViolations()
}

// violate lets the model itself complain.
func (s *Sim) violate(host, checker, text string) {
	s.watch.as(checker, func(w *watch) { w.fault(host, "%s", text) })
}

// ledger is the list of inner packets that went into tunnels. It forgets those that left after ten minutes, when no key
// can bring them out any more.
type ledger struct {
	packets map[packetKey]*sentPacket // looked up only
	order   []*sentPacket             // the oldest first
	first   int
	waiting []*sentPacket // of those forgotten in order, what has not left yet: it may wait for a handshake
	spare   []*sentPacket
}

// How long a packet is remembered, in nanoseconds: one that has left, and one that has not. Persistent keepalives start
// handshakes without end (TIMER-20), and what waits for one is given up only when 20 attempts in a row failed.
const (
	ledgerMemory  = 600e9
	waitingMemory = 7200e9
)

// packetKey names an inner packet on one leg of its way.
type packetKey struct {
	id   uint64
	kind InnerKind
	host string // who put it into the tunnel
}

type sentPacket struct {
	key  packetKey
	at   timers.Time
	peer string // whom it was for, by the configuration
	data []byte
	left bool // in a datagram
	out  int  // how often it came out
}

// add notes a packet; host is by whose key it goes into the tunnel.
func (l *ledger) add(now timers.Time, host string, r *Record) {
	for l.first < len(l.order) && now-l.order[l.first].at > ledgerMemory {
		old := l.order[l.first]
		l.order[l.first] = nil
		l.first++
		if !old.left {
			l.waiting = append(l.waiting, old)
			continue
		}
		l.forget(old)
	}
	for len(l.waiting) > 0 && now-l.waiting[0].at > waitingMemory {
		l.forget(l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	if l.first > 1024 && l.first > len(l.order)/2 {
		l.order = append(l.order[:0], l.order[l.first:]...)
		l.first = 0
	}
	p := &sentPacket{}
	if n := len(l.spare); n > 0 {
		p, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	*p = sentPacket{key: packetKey{r.Inner.ID, r.Inner.Kind, host}, at: now, peer: r.Peer,
		data: append(p.data[:0], r.Inner.Data...)}
	l.packets[p.key] = p
	l.order = append(l.order, p)
}

func (l *ledger) forget(p *sentPacket) {
	if l.packets[p.key] == p {
		delete(l.packets, p.key)
	}
	l.spare = append(l.spare, p)
}

func (l *ledger) find(host string, in *Inner) *sentPacket {
	return l.packets[packetKey{in.ID, in.Kind, host}]
}

func (l *ledger) delivered(r *Record) {
	if p := l.find(r.Peer, &r.Inner); p != nil {
		p.out++
	}
}

func (p *sentPacket) same(b []byte) bool { return bytes.Equal(p.data, b) }
