package protocol

import "github.com/purewire/purewire/timers"

// EventKind says what an [Event] reports.
type EventKind uint8

// The kinds. With each stand the fields of Event that it fills, besides Kind and At.
const (
	// EventNone is no event.
	EventNone EventKind = iota // none
	// EventPeerAdded: Peer
	EventPeerAdded // peer-added
	// EventPeerRemoved: Peer
	EventPeerRemoved // peer-removed
	// EventInitiationSent: Peer, Cause, Attempt (0 for the first), Endpoint, Local
	EventInitiationSent // initiation-sent
	// EventInitiationAccepted: Peer, Endpoint, Remote
	EventInitiationAccepted // initiation-accepted
	// EventResponseSent: Peer, Endpoint, Local, Remote
	EventResponseSent // response-sent
	// EventResponseAccepted: Peer, Endpoint, Local, Remote
	EventResponseAccepted // response-accepted
	// EventSuppressed: Peer, Cause: an initiation that the 5 s rule held back
	EventSuppressed // suppressed
	// EventHandshakeComplete: Peer, Initiator
	EventHandshakeComplete // handshake-complete
	// EventGaveUp: Peer, Attempt
	EventGaveUp // gave-up
	// EventCookieSent: Endpoint
	EventCookieSent // cookie-sent
	// EventCookieAccepted: Peer
	EventCookieAccepted // cookie-accepted
	// EventKeySlot: Peer, From, To, Local, Remote
	EventKeySlot // key-slot
	// EventKeysZeroed: Peer
	EventKeysZeroed // keys-zeroed
	// EventKeepaliveSent: Peer, Endpoint
	EventKeepaliveSent // keepalive-sent
	// EventKeepaliveReceived: Peer, Endpoint
	EventKeepaliveReceived // keepalive-received
	// EventRoamed: Peer, Endpoint, Previous
	EventRoamed // roamed
	// EventTimerArmed: Peer, Timer, Deadline
	EventTimerArmed // timer-armed
	// EventTimerFired: Peer, Timer, Deadline
	EventTimerFired // timer-fired
	// EventTimerCancelled: Peer, Timer
	EventTimerCancelled // timer-cancelled
	// EventLoad: Under
	EventLoad // load
	// EventClock: Deadline: the time that was given; it lies before At and was raised to it
	EventClock // clock
	// EventDrop: Reason, Peer if known, Endpoint if from the network, Length
	EventDrop // drop
	// EventSecrets: Peer, Local, Initiator, Secret: an ephemeral private key
	EventSecrets // secrets
	// NumEventKinds is how many there are.
	NumEventKinds
)

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
	// CauseNone is no cause.
	CauseNone Cause = iota // none
	// CausePacket: packets wait and there is no usable session (HS-01, TIMER-11)
	CausePacket // packet
	// CauseRekeyTime: we sent on a session of ours that is 120 s old (TIMER-07)
	CauseRekeyTime // rekey-time
	// CauseRekeyMessages: we sent more than 2^60 messages on a session (TIMER-09)
	CauseRekeyMessages // rekey-messages
	// CauseRekeyReceive: we received on a session of ours that is 165 s old (TIMER-08)
	CauseRekeyReceive // rekey-receive
	// CauseRetransmit: no response within 5 s and jitter (TIMER-01)
	CauseRetransmit // retransmit
	// CauseSilence: we sent data and heard nothing for 15 s and jitter (TIMER-16)
	CauseSilence // silence
	// CauseKeepalive: a passive keepalive is due and there is no usable session (QUEUE-06)
	CauseKeepalive // keepalive
	// CausePersistentKeepalive: a persistent keepalive is due and there is no usable session (TIMER-20)
	CausePersistentKeepalive // persistent-keepalive
	// NumCauses is how many there are.
	NumCauses
)

// Slot is the place of a key pair at its peer (paper §6.3; rules.md §1.4).
type Slot uint8

// The slots.
const (
	// SlotNone is where a new key pair comes from and a dropped one goes.
	SlotNone Slot = iota // none
	// SlotPrevious still receives (KEY-06).
	SlotPrevious // previous
	// SlotCurrent sends and receives.
	SlotCurrent // current
	// SlotNext is a responder's, until the initiator has used it (HS-16).
	SlotNext // next
	// NumSlots is how many there are.
	NumSlots
)

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
