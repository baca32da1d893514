package protocoltest

import (
	"fmt"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// causeRules are the rules that demand an initiation, by cause.
var causeRules = [protocol.NumCauses]string{
	protocol.CausePacket:              "HS-01",
	protocol.CauseRekeyTime:           "TIMER-07",
	protocol.CauseRekeyMessages:       "TIMER-09",
	protocol.CauseRekeyReceive:        "TIMER-08",
	protocol.CauseRetransmit:          "TIMER-01",
	protocol.CauseSilence:             "TIMER-16",
	protocol.CauseKeepalive:           "QUEUE-06",
	protocol.CausePersistentKeepalive: "TIMER-20",
}

func cause(c protocol.Cause) string {
	if c >= protocol.NumCauses {
		return c.String()
	}
	return fmt.Sprintf("%v, %s", c, causeRules[c])
}

// timerName is how the rules and the log call a timer: its number in rules §1.5 and its name.
func timerName(k timers.Kind) string { return fmt.Sprintf("T%d %v", k, k) }

// explain tells an event in a sentence.
func (n *Node) explain(e *protocol.Event) {
	switch e.Kind {
	case protocol.EventTimerArmed, protocol.EventTimerFired, protocol.EventTimerCancelled:
		n.explainTimer(e)
		return
	case protocol.EventSecrets:
		return
	case protocol.EventKeySlot:
		n.moveKeys(e)
	case protocol.EventKeysZeroed:
		n.forgetKeys(e.Peer)
	}
	text, group := n.sentence(e), ""
	if e.Kind == protocol.EventDrop {
		group = fmt.Sprintf("drop %d %d %d", e.Reason, e.Peer, e.Length)
	}
	n.env.log.add(n, showEvents, group, "%s", text)
}

func (n *Node) explainTimer(e *protocol.Event) {
	name, peer := timerName(e.Timer), n.peerName(e.Peer)
	group := fmt.Sprintf("timer %d %d %d", e.Kind, e.Timer, e.Peer)
	switch e.Kind {
	case protocol.EventTimerArmed:
		n.env.log.add(n, showTimers, group, "arms %s (%s) for %s", name, peer, seconds(e.Deadline))
	case protocol.EventTimerFired:
		n.env.log.add(n, showTimers, group, "%s (%s) fires", name, peer)
		if e.Deadline > n.env.now {
			n.env.never(n, "%s fired %s early", name, e.Deadline.Sub(n.env.now))
		}
	case protocol.EventTimerCancelled:
		n.env.log.add(n, showTimers, group, "cancels %s (%s)", name, peer)
	}
}

func (n *Node) sentence(e *protocol.Event) string {
	peer := n.peerName(e.Peer)
	switch e.Kind {
	case protocol.EventPeerAdded:
		return "has a new peer: " + peer
	case protocol.EventPeerRemoved:
		return "forgets its peer " + peer
	case protocol.EventInitiationSent:
		return fmt.Sprintf("initiates a handshake with %s as %s (%s; %s)", peer, n.newLabel(e.Local), cause(e.Cause),
			attempt(e.Attempt))
	case protocol.EventInitiationAccepted:
		return fmt.Sprintf("accepts the initiation %s of %s", n.env.label(e.Remote), peer)
	case protocol.EventResponseSent:
		return fmt.Sprintf("answers %s as %s", n.env.label(e.Remote), n.newLabel(e.Local))
	case protocol.EventResponseAccepted:
		return fmt.Sprintf("accepts the response %s of %s to %s", n.env.label(e.Remote), peer, n.env.label(e.Local))
	case protocol.EventSuppressed:
		return fmt.Sprintf("may not initiate with %s yet (%s; 5 s rule HS-21, HS-22)", peer, cause(e.Cause))
	case protocol.EventHandshakeComplete:
		role := "responder"
		if e.Initiator {
			role = "initiator"
		}
		return fmt.Sprintf("has completed the handshake with %s, as %s", peer, role)
	case protocol.EventGaveUp:
		return fmt.Sprintf("gives up on %s after %d retries (TIMER-03)", peer, e.Attempt)
	case protocol.EventCookieSent:
		return fmt.Sprintf("demands a cookie of %v (COOKIE-12)", e.Endpoint.Remote)
	case protocol.EventCookieAccepted:
		return fmt.Sprintf("keeps the cookie of %s for its next handshake message (COOKIE-09)", peer)
	default:
		return n.sentenceOfData(e, peer)
	}
}

func (n *Node) sentenceOfData(e *protocol.Event, peer string) string {
	switch e.Kind {
	case protocol.EventKeySlot:
		return fmt.Sprintf("moves key pair %s/%s: %v -> %v", n.newLabel(e.Local), n.env.label(e.Remote), e.From, e.To)
	case protocol.EventKeysZeroed:
		return fmt.Sprintf("wipes all keys for %s (KEY-13)", peer)
	case protocol.EventKeepaliveSent:
		return fmt.Sprintf("makes a keepalive for %s", peer)
	case protocol.EventKeepaliveReceived:
		return fmt.Sprintf("takes a keepalive of %s", peer)
	case protocol.EventRoamed:
		return fmt.Sprintf("sees %s move: %s -> %s (ROAM-01)", peer, place(e.Previous), place(e.Endpoint))
	case protocol.EventLoad:
		if e.Under {
			return "is under load (DOS-01)"
		}
		return "is no longer under load"
	case protocol.EventClock:
		return fmt.Sprintf("was given the time %s, which is past", seconds(e.Deadline))
	case protocol.EventDrop:
		return n.dropSentence(e, peer)
	default:
		n.env.never(n, "an event of unknown kind %d", e.Kind)
		return e.Kind.String()
	}
}

func (n *Node) dropSentence(e *protocol.Event, peer string) string {
	from := ""
	switch {
	case e.Peer != 0:
		from = " (peer " + peer + ")"
	case e.Endpoint.IsValid():
		from = " from " + e.Endpoint.Remote.String()
	}
	what := fmt.Sprintf("%d bytes", e.Length)
	if e.Length == 0 {
		what = "it" // work of its own, or a packet of which only the loss is known
	}
	return fmt.Sprintf("drops %s%s: %v (%s)", what, from, e.Reason, e.Reason.Rule())
}

func place(e protocol.Endpoint) string {
	if !e.IsValid() {
		return "nowhere"
	}
	return e.Remote.String()
}

func attempt(i int) string {
	if i == 0 {
		return "first attempt"
	}
	return fmt.Sprintf("retry %d", i)
}

func (n *Node) peerName(id protocol.PeerID) string {
	if id == 0 {
		return "nobody"
	}
	if name, ok := n.names[id]; ok {
		return name
	}
	return fmt.Sprintf("peer %d", id)
}

// moveKeys follows a key pair through the slots.
func (n *Node) moveKeys(e *protocol.Event) {
	kept := n.pairs[:0]
	for _, p := range n.pairs {
		if p.local != e.Local {
			kept = append(kept, p)
		}
	}
	n.pairs = kept
	if e.To == protocol.SlotNone {
		return
	}
	for _, p := range n.pairs {
		if p.peer == e.Peer && p.slot == e.To {
			n.env.never(n, "two key pairs in slot %v: %s and %s", e.To, n.env.label(p.local), n.env.label(e.Local))
		}
	}
	n.pairs = append(n.pairs, keyPair{peer: e.Peer, slot: e.To, local: e.Local, remote: e.Remote})
}

func (n *Node) forgetKeys(peer protocol.PeerID) {
	kept := n.pairs[:0]
	for _, p := range n.pairs {
		if p.peer != peer {
			kept = append(kept, p)
		}
	}
	n.pairs = kept
}
