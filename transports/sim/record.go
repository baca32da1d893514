package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Kind says what a [Record] reports.
type Kind uint8

// The kinds. Behind each stand the fields of Record that it fills, besides Seq, At and Kind.
const (
	KindNone           Kind = iota
	KindStart               // Note: the scenario's name; the first record
	KindAction              // Host, Action, Peer if it concerns one, Note: something on the timeline happened
	KindCore                // Host, Peer if Event.Peer is set, Event: what the protocol core reports, without secrets
	KindKeyLog              // Host, Peer, KeyLog: stands before the handshake message that it serves
	KindDatagram            // Host, To, Datagram, Original, Src, Dst, Network, TOS, Data, Attack: on its way
	KindFate                // as KindDatagram, with Fate, Rule, Reason, Damaged: what became of it
	KindInnerSent           // Host, Peer, Inner: a packet went into the tunnel
	KindInnerForwarded      // the same by a host that passes it on
	KindInnerDelivered      // Host, Peer (who sent it through the tunnel), Inner, Datagram: a packet came out
	KindInnerRefused        // Host, Peer if known, Inner, Reason: no route, or no endpoint
	KindViolation           // Violation, and Host: a checker found a fault
	KindEnd                 // the last record
	NumKinds
)

var kindNames = [NumKinds]string{"none", "start", "action", "core", "key-log", "datagram", "fate", "inner-sent",
	"inner-forwarded", "inner-delivered", "inner-refused", "violation", "end"}

// String gives the kind's permanent name.
func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "invalid"
}

// Fate is what became of a datagram.
type Fate uint8

// The fates.
const (
	FatePending   Fate = iota // still under way when the run ended
	FateDelivered             // it reached a host, whose core took it
	FateRejected              // it reached a host, whose core dropped it: Reason
	FateLost                  // a rule of the network dropped it: Rule
	FateFiltered              // a NAT had no mapping for it or did not let its source in: Rule
	FateNoAddress             // nobody has the destination address, or the host has another port
	FateAsleep                // its host sleeps
	FateDown                  // its host is not running
	FateUnsent                // the sender is in no network: it was never on a wire, and Src is zero
	NumFates
)

var fateNames = [NumFates]string{"pending", "delivered", "rejected", "lost", "filtered", "no-address", "asleep",
	"down", "unsent"}

// String gives the fate's permanent name.
func (f Fate) String() string {
	if f < NumFates {
		return fateNames[f]
	}
	return "invalid"
}

// InnerKind is what an inner packet is.
type InnerKind uint8

// The kinds of inner packets that the generators make.
const (
	InnerOther    InnerKind = iota // none of the simulator's
	InnerPing                      // an ICMP or ICMPv6 echo request
	InnerPong                      // the reply
	InnerUDP                       // a numbered UDP datagram
	InnerRequest                   // a question over UDP
	InnerResponse                  // the answer
	InnerTCP                       // a segment of a TCP stream
	NumInnerKinds
)

var innerNames = [NumInnerKinds]string{"other", "ping", "pong", "udp", "request", "response",
	"tcp"}

// String gives the kind's permanent name.
func (k InnerKind) String() string {
	if k < NumInnerKinds {
		return innerNames[k]
	}
	return "invalid"
}

// Inner describes an inner packet. ID and Kind together name one packet of the run: an echo reply carries
// the ID of its request.
type Inner struct {
	Kind  InnerKind
	ID    uint64        // unique in the run, from 1; 0 for InnerOther
	Flow  string        // name of the flow
	Seq   uint64        // number in the flow, from 0; of InnerTCP: the sequence number
	From  string        // host that made it
	To    string        // host that it is for
	Born  timers.Time   // when it was made
	Delay time.Duration // KindInnerDelivered: since it was made; for a pong since the ping was made
	Src   netip.Addr
	Dst   netip.Addr
	Data  []byte // the whole IP packet
	flow  int    // index of the flow plus one; 0: none
}

// Violation is a rule of safety that was broken.
type Violation struct {
	At      timers.Time
	Host    string // who broke it
	Checker string // its permanent name, see [Checkers]
	Text    string // one sentence
}

// Record is one line of the run's story. It is a flat value: which fields are set depends on Kind. Records
// come in the order of Seq, and At never decreases. Slices lie in memory of the Sim and are good only until
// Observe returns; the rest may be kept.
//
// A datagram is shown twice: as KindDatagram at the moment it goes out to the Internet, behind its sender's
// NAT and before any fault, and as KindFate when it is decided what became of it. A copy that the network made
// is a datagram of its own that names the first in Original. [CaptureOrder] joins the two for writers of
// captures.
type Record struct {
	Seq    uint64 // from 1
	At     timers.Time
	Kind   Kind
	Host   string // whose record it is; of a datagram: the sender, or the name of the attack
	Peer   string // the other end of the tunnel
	Action ActionKind
	Note   string // a sentence about it

	Event  protocol.Event
	KeyLog []byte // lines as Wireshark reads them, each ended by a newline

	Datagram uint64 // number of the datagram, from 1; of KindInnerDelivered: which one carried it
	Original uint64 // of a copy: the datagram it was copied from; otherwise 0
	To       string // host that the datagram reached, in KindFate if it is known
	Src, Dst netip.AddrPort
	Network  string // network of the sender: the interface of a capture
	TOS      uint8  // of the outer header
	Data     []byte // the UDP payload: in KindDatagram as sent, in KindFate as it arrived or would have arrived
	Intact   []byte // in records from CaptureOrder: if Damaged, the payload as sent
	Attack   AttackKind
	Damaged  bool // the network changed bits of it
	Fate     Fate
	Rule     string // of FateLost and FateFiltered: who did it, such as "cafe up: loss"
	Reason   protocol.DropReason
	Settled  timers.Time // in records from CaptureOrder: when the fate was decided

	Inner     Inner
	Violation Violation
}

// CaptureOrder helps a writer of captures, which needs each datagram once, in the order in which they
// were sent, with its fate. Give observe all records of a run and call flush at its end: emit is called with
// KindKeyLog and KindDatagram records only, in order of At, and the latter have the fields of their KindFate
// too. If the datagram was damaged, Data is what arrived and Intact what was sent. Datagrams that never were on
// a wire (FateUnsent) are left out. The records given to emit may be kept.
func CaptureOrder(emit func(*Record)) (observe func(*Record), flush func()) {
	q := &captureQueue{emit: emit, at: map[uint64]*Record{}}
	return q.observe, q.flush
}

type captureQueue struct {
	emit    func(*Record)
	waiting []*Record
	at      map[uint64]*Record // the waiting datagrams by number; looked up only
}

func (q *captureQueue) observe(r *Record) {
	switch r.Kind {
	case KindKeyLog:
		c := *r
		c.KeyLog = append([]byte(nil), r.KeyLog...)
		q.waiting = append(q.waiting, &c)
	case KindDatagram:
		c := *r
		c.Data = append([]byte(nil), r.Data...)
		q.waiting = append(q.waiting, &c)
		q.at[r.Datagram] = &c
	case KindFate:
		c := q.at[r.Datagram]
		if c == nil {
			return
		}
		delete(q.at, r.Datagram)
		c.Fate, c.Rule, c.Reason, c.To, c.Settled = r.Fate, r.Rule, r.Reason, r.To, r.At
		if r.Damaged {
			c.Damaged, c.Intact, c.Data = true, c.Data, append([]byte(nil), r.Data...)
		}
	default:
		return
	}
	n := 0
	for n < len(q.waiting) && q.at[q.waiting[n].Datagram] == nil {
		q.out(q.waiting[n])
		n++
	}
	q.waiting = append(q.waiting[:0], q.waiting[n:]...)
}

func (q *captureQueue) out(r *Record) {
	if r.Kind == KindKeyLog || r.Fate != FateUnsent {
		q.emit(r)
	}
}

func (q *captureQueue) flush() {
	for _, r := range q.waiting {
		q.out(r)
	}
	q.waiting = nil
}
