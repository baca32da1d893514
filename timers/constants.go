package timers

import "time"

// The protocol's times, §6.1 of the paper unless another source is named.
const (
	// RekeyAfterTime is the age from which sending on a session makes its initiator start a new handshake.
	RekeyAfterTime = 120 * time.Second
	// RejectAfterTime is the age from which a session is used neither for sending nor for receiving.
	RejectAfterTime = 180 * time.Second
	// RekeyAttemptTime is how long the paper retries a handshake. This machine counts instead: see [MaxAttempts].
	RekeyAttemptTime = 90 * time.Second
	// RekeyTimeout is the wait before an initiation is repeated, and the least distance between two handshake
	// messages of ours that makes another initiation permissible.
	RekeyTimeout = 5 * time.Second
	// KeepaliveTimeout is how long a peer that received data may stay silent (§6.5).
	KeepaliveTimeout = 10 * time.Second
	// RekeyOnReceiveTime is the age from which receiving on a session makes its initiator start a new handshake:
	// late enough that it happens only if nothing is sent, early enough for the answer to come in time (§6.2).
	RekeyOnReceiveTime = RejectAfterTime - KeepaliveTimeout - RekeyTimeout
	// NewHandshakeTime is the silence after sent data that marks the peer as gone (§6.5).
	NewHandshakeTime = KeepaliveTimeout + RekeyTimeout
	// KeyErasureTime is the time without a new session after which all key material is wiped (§6.3).
	KeyErasureTime = 3 * RejectAfterTime
	// MaxJitter bounds the random part of T1 and T3, which keeps two peers from initiating in step for ever.
	MaxJitter = 333 * time.Millisecond
	// YieldTime and LongYieldTime are the T1 of both sides after crossing initiations; see [Peer.Yield].
	YieldTime     = RekeyTimeout + 2*MaxJitter
	LongYieldTime = RekeyTimeout + YieldTime
	// CookieSecretLife is how long a responder makes cookies from one secret (§5.4.7).
	CookieSecretLife = 120 * time.Second
	// CookieLife is how long a received cookie is used (§5.4.4).
	CookieLife = 120 * time.Second
	// InitiationFloodInterval is the least distance between two initiations accepted from one peer (Linux and
	// wireguard-go agree on it; the paper has no such number).
	InitiationFloodInterval = 20 * time.Millisecond
)

// The protocol's counts.
const (
	// MaxAttempts is the number of counted retries that T1 may still follow up. One first initiation and 19
	// retries make 20, over 95 s and the jitter of 19 waits. Linux and wireguard-go do the same where the paper
	// says 90 s (OPEN-1).
	MaxAttempts = 18
	// RekeyAfterMessages is the send counter beyond which either role starts a new handshake.
	RekeyAfterMessages uint64 = 1 << 60
	// RejectAfterMessages is the first send counter that must not be used (the paper's value, OPEN-2).
	RejectAfterMessages uint64 = 1<<64 - 1<<13 - 1
)
