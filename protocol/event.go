package protocol

import "github.com/purewire/purewire/timers"

// EventKind says what an [Event] reports.
type EventKind uint8

// The kinds. Behind each stand the fields of Event that it fills, besides Kind and At.
const (
	EventNone               EventKind = iota
	EventPeerAdded                    // Peer
	EventPeerRemoved                  // Peer
	EventInitiationSent               // Peer, Cause, Attempt (0 for the first), Endpoint, Local
	EventInitiationAccepted           // Peer, Endpoint, Remote
	EventResponseSent                 // Peer, Endpoint, Local, Remote
	EventResponseAccepted             // Peer, Endpoint, Local, Remote
	EventSuppressed                   // Peer, Cause: an initiation that the 5 s rule held back
	EventHandshakeComplete            // Peer, Initiator
	EventGaveUp                       // Peer, Attempt
	EventCookieSent                   // Endpoint
	EventCookieAccepted               // Peer
	EventKeySlot                      // Peer, From, To, Local, Remote
	EventKeysZeroed                   // Peer
	EventKeepaliveSent                // Peer, Endpoint
	EventKeepaliveReceived            // Peer, Endpoint
	EventRoamed                       // Peer, Endpoint, Previous
	EventTimerArmed                   // Peer, Timer, Deadline
	EventTimerFired                   // Peer, Timer, Deadline
	EventTimerCancelled               // Peer, Timer
	EventLoad                         // Under
	EventClock                        // Deadline: the time that was given; it lies before At and was raised to it
	EventDrop                         // Reason, Peer if known, Endpoint if from the network, Length
	EventSecrets                      // Peer, Local, Initiator, Secret: an ephemeral private key
	NumEventKinds
)

var eventNames = [NumEventKinds]string{"none", "peer-added", "peer-removed", "initiation-sent",
	"initiation-accepted", "response-sent", "response-accepted", "suppressed", "handshake-complete", "gave-up",
	"cookie-sent", "cookie-accepted", "key-slot", "keys-zeroed", "keepalive-sent", "keepalive-received", "roamed",
	"timer-armed", "timer-fired", "timer-cancelled", "load", "clock", "drop", "secrets"}

// String gives the kind's permanent name.
func (k EventKind) String() string {
	if k < NumEventKinds {
		return eventNames[k]
	}
	return "invalid"
}

// EventMask is the set of event kinds to report; the zero mask costs nothing.
type EventMask uint32

// Mask gives the mask of the one kind.
func (k EventKind) Mask() EventMask { return 1 << k }

// TraceAll reports every event but the ones that hold secrets.
const TraceAll EventMask = 1<<NumEventKinds - 1 - 1<<EventSecrets

// TraceSecrets adds the ephemeral private keys of handshakes (EventSecrets), with which anybody can read
// the traffic. For simulators, tests and people who debug their own tunnels.
const TraceSecrets EventMask = 1 << EventSecrets

// Cause says why we initiated a handshake. The list is closed.
type Cause uint8

// The causes.
const (
	CauseNone                Cause = iota
	CausePacket                    // packets wait and there is no usable session (HS-01, TIMER-11)
	CauseRekeyTime                 // we sent on a session of ours that is 120 s old (TIMER-07)
	CauseRekeyMessages             // we sent more than 2^60 messages on a session (TIMER-09)
	CauseRekeyReceive              // we received on a session of ours that is 165 s old (TIMER-08)
	CauseRetransmit                // no response within 5 s and jitter (TIMER-01)
	CauseSilence                   // we sent data and heard nothing for 15 s and jitter (TIMER-16)
	CauseKeepalive                 // a passive keepalive is due and there is no usable session (QUEUE-06)
	CausePersistentKeepalive       // a persistent keepalive is due and there is no usable session (TIMER-20)
	NumCauses
)

var causeNames = [NumCauses]string{"none", "packet", "rekey-time", "rekey-messages", "rekey-receive", "retransmit",
	"silence", "keepalive", "persistent-keepalive"}

// String gives the cause's permanent name.
func (c Cause) String() string {
	if c < NumCauses {
		return causeNames[c]
	}
	return "invalid"
}

// Slot is the place of a key pair at its peer (paper §6.3; rules.md §1.4).
type Slot uint8

// The slots. A new key pair comes from SlotNone, a dropped one goes there.
const (
	SlotNone Slot = iota
	SlotPrevious
	SlotCurrent
	SlotNext
	NumSlots
)

var slotNames = [NumSlots]string{"none", "previous", "current", "next"}

// String gives the slot's permanent name.
func (s Slot) String() string {
	if s < NumSlots {
		return slotNames[s]
	}
	return "invalid"
}

// Event is something that a tool may want to explain. It is a flat value: which fields are set depends on
// Kind (see there), the others are zero.
type Event struct {
	Kind      EventKind
	At        timers.Time
	Peer      PeerID
	Reason    DropReason
	Cause     Cause
	Timer     timers.Kind
	From, To  Slot
	Initiator bool
	Under     bool
	Attempt   int
	Length    int         // bytes of what was dropped
	Local     uint32      // our index of the handshake or key pair
	Remote    uint32      // the peer's
	Deadline  timers.Time // of the timer
	Endpoint  Endpoint
	Previous  Endpoint
	Secret    [KeySize]byte
}
