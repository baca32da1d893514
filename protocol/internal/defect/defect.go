// Package defect lets tests make a core that is wrong in one known respect, so that a property, transcript,
// checker or conformance case can be seen to fail. It is one word in the Device, zero in every normal one,
// read at named decision points; only protocoltest.WithDefect sets it, through Install. What each defect
// breaks is told by protocoltest.Defects.
package defect

// Set is a set of defects.
type Set uint64

// The defects, named after what the broken core does.
const (
	NoReplayWindow Set = 1 << iota
	SmallReplayWindow
	ForgeryBurnsCounter
	NoRekey
	NoRekeyOnReceive
	ResponderRekeys
	KeepaliveLoop
	RoamOnCookie
	RoamBeforeAuth
	NoRoam
	RoamOnReplay
	KeysLiveForever
	CrossingStall
	DropPreviousKey
	ConfirmEarly
	WrongAllowedIP
	NonceReuse
	IgnoreTimestamp
	ForgetTimestampOnRekey
	NoFloodLimit
	NoInitiationLimit
	NoJitter
	PreciseTimestamp
	TimestampOffset
	AcceptReserved
	SkipMAC1
	CookieIgnoresPort
	CookieForever
	CookieRetriesAtOnce
	NeverUnderLoad
	LoadForever
	NoSourceLimit
	AnswerBadMAC1
	IgnorePSK
	FailedResponseClears
	AcceptLong
	KeepOwnInitiation
	NoConfirmation
	ExtraKeepalive
	NoFlushOnConfirm
	PadBeyondMTU
	NoPadding
	NoTrim
	DeliverAnyVersion
	LeakDSCP
	CountCookies
	HandshakeTimeOnResponse
	CountDropped
	KeepaliveNoConfirm
	StageDropsNewest
	GiveUpKeepsStaged
	NeverGiveUp
	NoPassiveKeepalive
	NoDeadPeerDetection
	KeepaliveIsData
	NoErasure
	KeyChangeKeepsSessions
	PSKChangeDropsSession
	DownKeepsKeys
	PredictableIndex
	ReuseEphemeral
	UpdateForgetsEndpoint
	KeepaliveOnce
	NoCounterLimit
)

// Has reports whether any of the defects of f is in s.
func (s Set) Has(f Set) bool { return s&f != 0 }

// Install puts defects into a *protocol.Device, and SetSendCounter moves the send counter of the current key
// pair of a peer, for the rules that nobody lives to see (KEY-12, TIMER-09). Package protocol sets both.
var (
	Install        func(device any, s Set)
	SetSendCounter func(device any, peer uint32, counter uint64) bool
)
