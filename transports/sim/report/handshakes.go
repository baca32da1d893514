package report

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
)

// reasons puts the core's causes into words.
var reasons = [protocol.NumCauses]string{
	protocol.CausePacket:              "a packet was waiting (HS-01)",
	protocol.CauseRekeyTime:           "the last was 120 s old (TIMER-07)",
	protocol.CauseRekeyMessages:       "the last had carried 2^60 messages (TIMER-09)",
	protocol.CauseRekeyReceive:        "the last was 165 s old and still heard on (TIMER-08)",
	protocol.CauseRetransmit:          "no response had come (TIMER-01)",
	protocol.CauseSilence:             "15 s without an answer (TIMER-16)",
	protocol.CauseKeepalive:           "a keepalive was due (QUEUE-06)",
	protocol.CausePersistentKeepalive: "a persistent keepalive was due (TIMER-20)",
}

// handshakes follows each wish for a session from the first initiation to its end, over all attempts.
type handshakes struct {
	wishes   map[direction]*wish // looked up only
	messages map[uint32]*wish    // by the index that the initiator gave its initiation
	sessions map[direction]int   // numbers the sessions of a tunnel; the key's names are in order
}

type wish struct {
	who      direction
	cause    protocol.Cause
	since    timers.Time
	attempts int
	crossed  bool     // the other side wished for one at the same time, and an initiation of each was under way
	lost     []string // rules that took a message of it, in order
	indices  []uint32
}

// crossing is how close together two first initiations are that were made without knowledge of each other.
const crossing = time.Second

func newHandshakes() handshakes {
	return handshakes{map[direction]*wish{}, map[uint32]*wish{}, map[direction]int{}}
}

func (h *handshakes) initiated(r *sim.Record) {
	who := direction{r.Host, r.Peer}
	w := h.wishes[who]
	if w == nil {
		w = &wish{who: who, cause: r.Event.Cause, since: r.At}
		h.wishes[who] = w
	}
	other := h.wishes[direction{r.Peer, r.Host}]
	if other != nil && w.attempts == 0 && r.At.Sub(other.since) < crossing {
		w.crossed, other.crossed = true, true
	}
	w.attempts++
	w.indices = append(w.indices, r.Event.Local)
	h.messages[r.Event.Local] = w
}

// end takes a wish out of the books.
func (h *handshakes) end(who direction) *wish {
	w := h.wishes[who]
	if w == nil {
		return nil
	}
	delete(h.wishes, who)
	for _, i := range w.indices {
		delete(h.messages, i)
	}
	return w
}

// forget drops what a host wished before it lost its state.
func (h *handshakes) forget(host string, peers []sim.Host) {
	for i := range peers {
		h.end(direction{host, peers[i].Name})
	}
}

// number gives the next session of a tunnel its number, from 1.
func (h *handshakes) number(who direction) int {
	if who.from > who.to {
		who.from, who.to = who.to, who.from
	}
	h.sessions[who]++
	return h.sessions[who]
}

// fate notes what happened to the messages of a wish on the way.
func (h *handshakes) fate(r *sim.Record) {
	if r.Attack != sim.AttackNone || r.Original != 0 || len(r.Data) < 12 {
		return
	}
	var index uint32
	switch binary.LittleEndian.Uint32(r.Data) {
	case 1: // the sender's index of an initiation, MSG-01
		index = binary.LittleEndian.Uint32(r.Data[4:])
	case 2: // the receiver's of a response, MSG-02
		index = binary.LittleEndian.Uint32(r.Data[8:])
	}
	w := h.messages[index]
	if w == nil {
		return
	}
	switch {
	case r.Fate == sim.FateLost || r.Fate == sim.FateFiltered:
		w.lost = append(w.lost, r.Rule)
	case r.Fate == sim.FateAsleep:
		w.lost = append(w.lost, r.To+" asleep")
	case r.Fate == sim.FateDown:
		w.lost = append(w.lost, r.To+" down")
	case r.Fate == sim.FateNoAddress:
		w.lost = append(w.lost, "nobody at that address")
	case r.Fate == sim.FateUnsent:
		w.lost = append(w.lost, "no network")
	case r.Fate == sim.FateRejected:
		w.lost = append(w.lost, fmt.Sprintf("refused as %s, %s", r.Reason, r.Reason.Rule()))
	}
}

// losses sums up what was lost: "cafe up: loss, 2 × cafe down: loss".
func (w *wish) losses() string {
	var parts []string
	for i := 0; i < len(w.lost); {
		n := 1
		for i+n < len(w.lost) && w.lost[i+n] == w.lost[i] {
			n++
		}
		part := w.lost[i]
		if n > 1 {
			part = fmt.Sprintf("%d × %s", n, part)
		}
		parts = append(parts, part)
		i += n
	}
	return strings.Join(parts, ", ")
}

// completed tells of a new session, once, when the initiator has it.
func (t *Text) completed(r *sim.Record) {
	if !r.Event.Initiator {
		// The peer's handshake fulfilled our own wish too, if we had one.
		t.handshakes.end(direction{r.Host, r.Peer})
		return
	}
	w := t.handshakes.end(direction{r.Host, r.Peer})
	if w == nil {
		return
	}
	text := fmt.Sprintf("session %d in %s", t.handshakes.number(w.who), span(t.since(w.since)))
	if w.attempts > 1 {
		text += fmt.Sprintf(" at attempt %d", w.attempts)
		if w.crossed {
			text += ", for both had asked at once"
		} else if lost := w.losses(); lost != "" {
			text += " (" + lost + ")"
		}
	}
	text += ": " + reasons[w.cause]
	if other := t.handshakes.wishes[direction{r.Peer, r.Host}]; other != nil && other.attempts > 1 {
		text += fmt.Sprintf("; %s had been asking for %s, %d times", r.Peer, span(t.since(other.since)), other.attempts)
	}
	t.say(between(r.Host, r.Peer), good, "%s", text)
}

func (t *Text) gaveUp(r *sim.Record) {
	w := t.handshakes.end(direction{r.Host, r.Peer})
	if w == nil {
		return
	}
	text := fmt.Sprintf("gives up after %s in %s (TIMER-03)", plural(uint64(w.attempts), "attempt"),
		span(t.since(w.since)))
	if lost := w.losses(); lost != "" {
		text += ": " + lost
	}
	t.say(between(r.Host, r.Peer), alarm, "%s", text)
}
