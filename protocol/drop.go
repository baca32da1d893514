package protocol

// DropReason says why a datagram, a packet or a handshake went no further. The list is closed: everything
// that the core refuses is counted under exactly one of these ([Device.Drops]) and shown as an [EventDrop].
type DropReason uint8

// The reasons, in the order in which processing can meet them.
const (
	DropNone             DropReason = iota
	DropDown                        // the device is down
	DropShort                       // under 4 bytes, or too short for a transport message
	DropType                        // not a type from 1 to 4
	DropReserved                    // a reserved byte is not zero
	DropLength                      // a handshake or cookie message of the wrong size
	DropNoIdentity                  // we have no private key
	DropMAC1                        // mac1 is wrong
	DropNoCookie                    // under load and mac2 is not valid: answered with a cookie reply
	DropCookieBudget                // as DropNoCookie, but too many cookie replies were sent: not answered
	DropRateLimited                 // under load, mac2 is valid, but its source sends too many
	DropBusy                        // every handshake job slot is taken
	DropIdentityFailed              // the identity could not do its Diffie-Hellman
	DropLowOrder                    // a Diffie-Hellman result was all zero
	DropStaticTag                   // the static field of an initiation does not decrypt
	DropUnknownPeer                 // its static key is nobody's that we know
	DropTimestampTag                // the timestamp field does not decrypt: not made by that peer
	DropOldTimestamp                // the timestamp is not greater than the greatest one accepted
	DropFlood                       // under 20 ms after the peer's last initiation
	DropUnknownIndex                // nothing of ours has this receiver index
	DropNotPending                  // a response, but the index is not of an initiation that waits for one
	DropResponseTag                 // a response that does not authenticate
	DropSuperseded                  // what the work was for changed while it was done
	DropNoEntropy                   // the entropy source failed
	DropCookieUnexpected            // a cookie reply, but no mac1 of ours is open
	DropCookieForged                // a cookie reply that does not authenticate
	DropKeyExpired                  // the key pair is 180 s old
	DropCounterLimit                // a counter of Reject-After-Messages or more
	DropTag                         // a transport message that does not authenticate
	DropReplayed                    // its counter was seen before, or is too old to tell
	DropInnerVersion                // decrypted: neither IPv4 nor IPv6
	DropInnerShort                  // decrypted: shorter than its IP header
	DropInnerLength                 // decrypted: its length field is impossible
	DropInnerSource                 // decrypted: the source address is not this peer's
	DropNotIP                       // from the tunnel: neither IPv4 nor IPv6
	DropNoRoute                     // from the tunnel: no peer has this destination
	DropNoEndpoint                  // to a peer whose address is not known
	DropStagedOverflow              // waited for a handshake and had to make room for a newer one
	DropStagedPurged                // waited for a handshake that was given up, or for a peer that went
	NumDropReasons
)

type dropText struct{ name, rule string }

var dropTexts = [NumDropReasons]dropText{
	DropNone:             {"none", ""},
	DropDown:             {"down", "LIFE-04"},
	DropShort:            {"short", "MSG-13"},
	DropType:             {"type", "MSG-04"},
	DropReserved:         {"reserved", "MSG-03"},
	DropLength:           {"length", "MSG-05"},
	DropNoIdentity:       {"no-identity", "HS-23"},
	DropMAC1:             {"mac1", "COOKIE-02"},
	DropNoCookie:         {"no-cookie", "COOKIE-12"},
	DropCookieBudget:     {"cookie-budget", "COOKIE-12"},
	DropRateLimited:      {"rate-limited", "DOS-04"},
	DropBusy:             {"busy", "DOS-07"},
	DropIdentityFailed:   {"identity-failed", "HS-23"},
	DropLowOrder:         {"low-order", "CRYPTO-11"},
	DropStaticTag:        {"static-tag", "HS-04"},
	DropUnknownPeer:      {"unknown-peer", "HS-05"},
	DropTimestampTag:     {"timestamp-tag", "HS-06"},
	DropOldTimestamp:     {"old-timestamp", "TAI-02"},
	DropFlood:            {"flood", "HS-28"},
	DropUnknownIndex:     {"unknown-index", "QUIET-03"},
	DropNotPending:       {"not-pending", "HS-08"},
	DropResponseTag:      {"response-tag", "HS-10"},
	DropSuperseded:       {"superseded", "HS-25"},
	DropNoEntropy:        {"no-entropy", "SEC-05"},
	DropCookieUnexpected: {"cookie-unexpected", "COOKIE-08"},
	DropCookieForged:     {"cookie-forged", "COOKIE-06"},
	DropKeyExpired:       {"key-expired", "KEY-10"},
	DropCounterLimit:     {"counter-limit", "REPLAY-07"},
	DropTag:              {"tag", "REPLAY-02"},
	DropReplayed:         {"replayed", "REPLAY-01"},
	DropInnerVersion:     {"inner-version", "INNER-01"},
	DropInnerShort:       {"inner-short", "INNER-02"},
	DropInnerLength:      {"inner-length", "INNER-04"},
	DropInnerSource:      {"inner-source", "ROUTE-02"},
	DropNotIP:            {"not-ip", "ROUTE-10"},
	DropNoRoute:          {"no-route", "ROUTE-05"},
	DropNoEndpoint:       {"no-endpoint", "ROUTE-06"},
	DropStagedOverflow:   {"staged-overflow", "QUEUE-03"},
	DropStagedPurged:     {"staged-purged", "QUEUE-07"},
}

// String gives the reason's permanent name, in lower case with dashes.
func (r DropReason) String() string {
	if r < NumDropReasons {
		return dropTexts[r].name
	}
	return "invalid"
}

// Rule gives the ID of the rule (spec/rules.md) that demands the drop.
func (r DropReason) Rule() string {
	if r < NumDropReasons {
		return dropTexts[r].rule
	}
	return ""
}
