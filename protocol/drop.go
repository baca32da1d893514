package protocol

//go:generate go run golang.org/x/tools/cmd/stringer@v0.36.0 -type=DropReason,EventKind,Cause,Slot,Op -linecomment -output=enum_string.go

// DropReason says why a datagram, a packet or a handshake went no further. The list is closed: everything
// that the core refuses is counted under exactly one of these ([Device.Drops]) and shown as an [EventDrop].
type DropReason uint8

// The reasons, in the order in which processing can meet them.
const (
	// DropNone: not dropped
	DropNone DropReason = iota // none
	// DropDown: the device is down
	DropDown // down
	// DropShort: under 4 bytes, or too short for a transport message
	DropShort // short
	// DropType: not a type from 1 to 4
	DropType // type
	// DropReserved: a reserved byte is not zero
	DropReserved // reserved
	// DropLength: a handshake or cookie message of the wrong size
	DropLength // length
	// DropNoIdentity: we have no private key
	DropNoIdentity // no-identity
	// DropMAC1: mac1 is wrong
	DropMAC1 // mac1
	// DropNoCookie: under load and mac2 is not valid: answered with a cookie reply
	DropNoCookie // no-cookie
	// DropCookieBudget: as DropNoCookie, but too many cookie replies were sent: not answered
	DropCookieBudget // cookie-budget
	// DropRateLimited: under load, mac2 is valid, but its source sends too many
	DropRateLimited // rate-limited
	// DropBusy: every handshake job slot is taken
	DropBusy // busy
	// DropIdentityFailed: the identity could not do its Diffie-Hellman
	DropIdentityFailed // identity-failed
	// DropLowOrder: a Diffie-Hellman result was all zero
	DropLowOrder // low-order
	// DropStaticTag: the static field of an initiation does not decrypt
	DropStaticTag // static-tag
	// DropUnknownPeer: its static key is nobody's that we know
	DropUnknownPeer // unknown-peer
	// DropTimestampTag: the timestamp field does not decrypt: not made by that peer
	DropTimestampTag // timestamp-tag
	// DropOldTimestamp: the timestamp is not greater than the greatest one accepted
	DropOldTimestamp // old-timestamp
	// DropFlood: under 20 ms after the peer's last initiation
	DropFlood // flood
	// DropUnknownIndex: nothing of ours has this receiver index
	DropUnknownIndex // unknown-index
	// DropNotPending: a response, but the index is not of an initiation that waits for one
	DropNotPending // not-pending
	// DropResponseTag: a response that does not authenticate
	DropResponseTag // response-tag
	// DropSuperseded: what the work was for changed while it was done
	DropSuperseded // superseded
	// DropNoEntropy: the entropy source failed
	DropNoEntropy // no-entropy
	// DropCookieUnexpected: a cookie reply, but no mac1 of ours is open
	DropCookieUnexpected // cookie-unexpected
	// DropCookieForged: a cookie reply that does not authenticate
	DropCookieForged // cookie-forged
	// DropKeyExpired: the key pair is 180 s old
	DropKeyExpired // key-expired
	// DropCounterLimit: a counter of Reject-After-Messages or more
	DropCounterLimit // counter-limit
	// DropTag: a transport message that does not authenticate
	DropTag // tag
	// DropReplayed: its counter was seen before, or is too old to tell
	DropReplayed // replayed
	// DropInnerVersion: decrypted: neither IPv4 nor IPv6
	DropInnerVersion // inner-version
	// DropInnerShort: decrypted: shorter than its IP header
	DropInnerShort // inner-short
	// DropInnerLength: decrypted: its length field is impossible
	DropInnerLength // inner-length
	// DropInnerSource: decrypted: the source address is not this peer's
	DropInnerSource // inner-source
	// DropNotIP: from the tunnel: neither IPv4 nor IPv6
	DropNotIP // not-ip
	// DropNoRoute: from the tunnel: no peer has this destination
	DropNoRoute // no-route
	// DropNoEndpoint: to a peer whose address is not known
	DropNoEndpoint // no-endpoint
	// DropStagedOverflow: waited for a handshake and had to make room for a newer one
	DropStagedOverflow // staged-overflow
	// DropStagedPurged: waited for a handshake that was given up, or for a peer that went
	DropStagedPurged // staged-purged
	// NumDropReasons is how many there are, DropNone included.
	NumDropReasons
)

var dropRules = [NumDropReasons]string{
	DropDown: "LIFE-04", DropShort: "MSG-13", DropType: "MSG-04", DropReserved: "MSG-03", DropLength: "MSG-05",
	DropNoIdentity: "HS-23", DropMAC1: "COOKIE-02", DropNoCookie: "COOKIE-12", DropCookieBudget: "COOKIE-12",
	DropRateLimited: "DOS-04", DropBusy: "DOS-07", DropIdentityFailed: "HS-23", DropLowOrder: "CRYPTO-11",
	DropStaticTag: "HS-04", DropUnknownPeer: "HS-05", DropTimestampTag: "HS-06", DropOldTimestamp: "TAI-02",
	DropFlood: "HS-28", DropUnknownIndex: "QUIET-03", DropNotPending: "HS-08", DropResponseTag: "HS-10",
	DropSuperseded: "HS-25", DropNoEntropy: "SEC-05", DropCookieUnexpected: "COOKIE-08",
	DropCookieForged: "COOKIE-06", DropKeyExpired: "KEY-10", DropCounterLimit: "REPLAY-07", DropTag: "REPLAY-02",
	DropReplayed: "REPLAY-01", DropInnerVersion: "INNER-01", DropInnerShort: "INNER-02",
	DropInnerLength: "INNER-04", DropInnerSource: "ROUTE-02", DropNotIP: "ROUTE-10", DropNoRoute: "ROUTE-05",
	DropNoEndpoint: "ROUTE-06", DropStagedOverflow: "QUEUE-03", DropStagedPurged: "QUEUE-07",
}

// Rule gives the ID of the rule (spec/rules.md) that demands the drop.
func (r DropReason) Rule() string { return dropRules[min(r, NumDropReasons-1)] }
