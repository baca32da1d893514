package report

import (
	"encoding/binary"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// row turns a record into a row, or into the end of one. only says that the run compared with does not have it.
func (h *HTML) row(r *sim.Record, only bool) {
	n := row{id: r.Seq, at: int64(r.At.Sub(h.start)), end: int64(r.At.Sub(h.start)), kind: h.name(r.Kind.String()),
		host: h.name(r.Host), peer: h.name(r.Peer), note: h.name(r.Note)}
	if only {
		n.flag |= flagOnly
	}
	switch r.Kind {
	case sim.KindStart, sim.KindEnd:
		h.rows.add(n)
	case sim.KindAction:
		n.why = h.name(r.Action.String())
		h.rows.add(n)
	case sim.KindCore:
		h.core(&n, &r.Event)
	case sim.KindDatagram:
		h.datagram(n, r)
	case sim.KindFate:
		h.fate(n.at, r, only)
	case sim.KindInnerSent:
		h.innerSent(n, r)
	case sim.KindInnerDelivered:
		h.innerDelivered(n.at, r)
	case sim.KindInnerRefused:
		n.why, n.note, n.size = h.name(r.Reason.String()), h.name(r.Reason.Rule()), uint32(len(r.Inner.Data))
		n.src, n.dst, n.m, n.n = h.name(r.Inner.Src.String()), h.name(r.Inner.Dst.String()), r.Inner.ID, r.Inner.Seq
		h.rows.add(n)
	case sim.KindViolation:
		n.host, n.why, n.note = h.name(r.Violation.Host), h.name(r.Violation.Checker), h.name(r.Violation.Text)
		h.rows.add(n)
	}
}

func (h *HTML) name(s string) uint32 { return h.rows.strings.number(s) }

// core takes what a core reports, but timers, secrets, and what is the fate of a datagram or of an inner packet.
func (h *HTML) core(n *row, e *protocol.Event) {
	switch e.Kind {
	case protocol.EventSecrets, protocol.EventTimerFired:
		return
	case protocol.EventDrop:
		if e.Endpoint.IsValid() || e.Reason == protocol.DropNoRoute || e.Reason == protocol.DropNoEndpoint {
			return
		}
		n.why, n.note = h.name(e.Reason.String()), h.name(e.Reason.Rule())
	case protocol.EventKeySlot:
		n.why, n.note = h.name(e.From.String()), h.name(e.To.String())
	default:
		if e.Cause != protocol.CauseNone {
			n.why, n.note = h.name(e.Cause.String()), h.name(reasons[e.Cause])
		}
	}
	if e.Initiator || e.Under {
		n.flag |= flagInitiator
	}
	n.kind, n.size, n.m, n.n, n.q = h.name(e.Kind.String()), uint32(e.Length), uint64(e.Local), uint64(e.Remote),
		uint64(e.Attempt)
	n.src, n.dst = h.name(address(e.Endpoint.Remote)), h.name(address(e.Previous.Remote))
	h.rows.add(*n)
}

// The messages by their first byte, with their sizes and where the index stands (MSG-01). A transport message is at
// least as long as one without content, which is a keepalive (PAD-05).
var messages = [...]struct {
	name        string
	size, index int
}{1: {"initiation", 148, 4}, 2: {"response", 92, 8}, 3: {"cookie-reply", 64, 4}, 4: {"transport", 32, 4}}

const typeTransport = 4

// message names what a UDP payload is, and gives the index that stands in it: the sender's in an initiation, otherwise
// the receiver's.
func message(b []byte) (kind string, index uint32) {
	if len(b) == 0 || b[0] == 0 || int(b[0]) >= len(messages) {
		return "junk", 0
	}
	m := &messages[b[0]]
	switch {
	case len(b) == m.size && b[0] == typeTransport:
		kind = "keepalive"
	case len(b) == m.size, len(b) > m.size && b[0] == typeTransport:
		kind = m.name
	default:
		return "junk", 0
	}
	return kind, binary.LittleEndian.Uint32(b[m.index:])
}

// mostLanes bounds what is kept of outer addresses: an attacker may make up any number.
const mostLanes = 1 << 16

func (h *HTML) datagram(n row, r *sim.Record) {
	kind, index := message(r.Data)
	src, dst := address(r.Src), address(r.Dst)
	n.kind, n.end, n.src, n.dst = h.name(kind), open, h.name(src), h.name(dst)
	n.m, n.n, n.q, n.size = r.Datagram, r.Original, uint64(index), uint32(len(r.Data))
	n.peer = h.name(r.To)
	if r.Attack != sim.AttackNone {
		n.flag |= flagAttack
		n.note = h.name(r.Attack.String())
	} else if _, known := h.lanes[src]; src != "" && (known || len(h.lanes) < mostLanes) {
		h.lanes[src] = r.Host
	}
	if r.Attack == sim.AttackNone && r.Network != "" && h.at[r.Host] != r.Network && len(h.moves) < mostMoves {
		h.at[r.Host] = r.Network
		h.moves = append(h.moves, pageMove{r.Host, r.Network, n.at})
	}
	if r.To == "" {
		n.peer = h.name(h.lanes[dst]) // where it was meant to go, in case it gets lost
	}
	h.rows.add(n)
}

func (h *HTML) fate(at int64, r *sim.Record, only bool) {
	i, ok := h.rows.datagrams[r.Datagram]
	if !ok {
		return
	}
	delete(h.rows.datagrams, r.Datagram)
	n := &h.rows.list[i]
	n.fate = h.name(r.Fate.String())
	if r.Fate != sim.FatePending {
		n.end = at
	}
	if r.To != "" {
		n.peer = h.name(r.To)
	}
	if r.Damaged {
		n.flag |= flagDamaged
	}
	if only {
		n.flag |= flagOnly
	}
	switch r.Fate {
	case sim.FateDelivered:
		if t := h.rows.strings.list[n.kind]; t == "transport" || t == "keepalive" {
			n.flag |= flagCommon
		}
	case sim.FateRejected:
		n.why = h.name(r.Reason.String())
		if n.flag&flagAttack == 0 {
			n.note = h.name(r.Reason.Rule())
		}
	case sim.FatePending:
	default:
		n.why = h.name(lostBy(r))
	}
}

// innerSent takes a packet of an application; those that are passed on are the same packet.
func (h *HTML) innerSent(n row, r *sim.Record) {
	p := &r.Inner
	if p.ID == 0 {
		return
	}
	n.kind, n.end, n.flag = h.name("packet"), open, n.flag|flagPacket
	n.host, n.peer, n.why, n.note = h.name(p.From), h.name(p.To), h.name(p.Flow), h.name(p.Kind.String())
	n.src, n.dst, n.size = h.name(p.Src.String()), h.name(p.Dst.String()), uint32(len(p.Data))
	n.m, n.n = p.ID, p.Seq
	h.rows.add(n)
}

func (h *HTML) innerDelivered(at int64, r *sim.Record) {
	key := innerKey{h.name(r.Inner.Kind.String()), r.Inner.ID}
	i, ok := h.rows.inners[key]
	if !ok || r.Host != r.Inner.To {
		return
	}
	delete(h.rows.inners, key)
	n := &h.rows.list[i]
	n.end, n.fate, n.q = at, h.name(sim.FateDelivered.String()), r.Datagram
	n.flag |= flagCommon
}

// timer makes one row of a timer from when it was first set until it fires or is cancelled. Setting it anew in between
// moves the deadline.
func (h *HTML) timer(r *sim.Record) {
	e := &r.Event
	at := int64(r.At.Sub(h.start))
	key := timerKey{h.name(r.Host), h.name(r.Peer), h.name(e.Timer.String())}
	i, running := h.rows.timers[key]
	if e.Kind == protocol.EventTimerArmed {
		deadline := uint64(e.Deadline.Sub(h.start))
		if running {
			h.rows.list[i].m++
			h.rows.list[i].n = deadline
			return
		}
		h.timersSeen++
		h.rows.add(row{id: h.timersSeen, at: at, end: open, kind: h.name("timer"), host: key.host, peer: key.peer,
			why: key.timer, note: h.name(timerRules[e.Timer]), n: deadline, flag: flagTimer})
		return
	}
	if !running {
		return
	}
	delete(h.rows.timers, key)
	n := &h.rows.list[i]
	n.end = at
	if e.Kind == protocol.EventTimerFired {
		n.fate = h.name("fired")
	} else {
		n.fate = h.name("cancelled")
		n.flag |= flagCommon
	}
}

// timerRules says which rule a timer follows.
var timerRules = [timers.NumKinds]string{
	timers.RetransmitHandshake: "TIMER-01",
	timers.SendKeepalive:       "TIMER-12",
	timers.NewHandshake:        "TIMER-16",
	timers.ZeroKeyMaterial:     "KEY-13",
	timers.PersistentKeepalive: "TIMER-19",
}
