package timers

//go:generate go run golang.org/x/tools/cmd/stringer@v0.36.0 -type=Kind,Action -linecomment -output=enum_string.go

// Kind names one of the five timers of a peer. Its order decides which of two timers of one peer that are due at
// the same moment fires first.
type Kind uint8

const (
	// None is no timer.
	None Kind = iota // none
	// RetransmitHandshake (T1) repeats an unanswered initiation after 5 s and jitter (TIMER-01).
	RetransmitHandshake // retransmit-handshake
	// SendKeepalive (T2) sends the passive keepalive, 10 s after data that nothing answered (TIMER-12).
	SendKeepalive // send-keepalive
	// NewHandshake (T3) replaces a session whose peer fell silent, 15 s and jitter after data was sent (TIMER-16).
	NewHandshake // new-handshake
	// ZeroKeyMaterial (T4) wipes all keys 540 s after the last session was derived (KEY-13).
	ZeroKeyMaterial // zero-key-material
	// PersistentKeepalive (T5) fires when nothing authentic passed for the configured interval (TIMER-19).
	PersistentKeepalive // persistent-keepalive
	// NumKinds is the length of an array indexed by Kind, None included.
	NumKinds
)

// Kinds returns the five timers in order, without None: what a test of coverage has to see.
func Kinds() []Kind {
	return []Kind{RetransmitHandshake, SendKeepalive, NewHandshake, ZeroKeyMaterial, PersistentKeepalive}
}

// Action is what the user has to do after a timer fired.
type Action uint8

const (
	// ActNone: the timer was not due.
	ActNone Action = iota // none
	// ActRetry: T1 fired. Forget the cached source address (TIMER-24), then want an initiation with retry set.
	ActRetry // retry
	// ActGiveUp: T1 fired after the last retry. Drop the staged packets (TIMER-04); key pairs stay (TIMER-06).
	ActGiveUp // give-up
	// ActKeepalive: T2 fired. Send staged packets, or one empty message if there are none (TIMER-12).
	ActKeepalive // keepalive
	// ActNewHandshake: T3 fired. Forget the cached source address (TIMER-24), then want an initiation, no retry.
	ActNewHandshake // new-handshake
	// ActZero: T4 fired. Wipe the handshake state and all three key pairs (KEY-13, KEY-14).
	ActZero // zero
	// ActPersistentKeepalive: T5 fired and runs again. Send staged packets or one empty message; with no usable
	// session want an initiation, no retry (TIMER-20).
	ActPersistentKeepalive // persistent-keepalive
)
