package protocoltest

import (
	"fmt"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/internal/defect"
)

// A Defect is one way in which a Device can be made wrong on purpose, so that a test, checker or case can be seen to
// fail (design §3, "Known-bad cores"). Many are bugs that real implementations shipped.
type Defect struct {
	// Name is permanent: lower case with dashes.
	Name string
	// Rule is the ID of the rule in spec/rules.md that the broken Device violates first of all.
	Rule string
	// What says what the broken Device does, as the end of "The device …".
	What string
}

// Defects lists all known-bad cores, in a fixed order.
func Defects() []Defect { return append([]Defect(nil), defects...) }

// WithDefect breaks d in one respect from now on, and in no other: of several calls the last one counts. The error
// lists the names that there are.
func WithDefect(d *protocol.Device, name string) error {
	for _, def := range defects {
		if def.Name == name {
			defect.Install(d, name)
			return nil
		}
	}
	names := make([]string, len(defects))
	for i, def := range defects {
		names[i] = def.Name
	}
	return fmt.Errorf("protocoltest: no defect %q; there are %s", name, strings.Join(names, ", "))
}

// SetSendCounter moves the counter that the next message to peer will carry, for the rules that nobody lives to see
// (KEY-12, TIMER-09). It reports false if the peer has no current key pair.
func SetSendCounter(d *protocol.Device, peer protocol.PeerID, n uint64) bool {
	return defect.SetSendCounter(d, uint32(peer), n)
}

var defects = []Defect{
	// What is on the wire.
	{"accept-reserved", "MSG-03", "takes messages whose reserved bytes are not zero"},
	{"accept-long", "MSG-05", "takes an initiation with bytes behind its end"},
	{"nonce-reuse", "MSG-14", "gives every counter to two messages"},
	{"ignore-psk", "CRYPTO-14", "mixes in zeros whatever preshared key is configured"},
	{"reuse-ephemeral", "CRYPTO-13", "uses one ephemeral key for every handshake"},
	{"psk-change-drops-session", "CRYPTO-16", "ends the session when the preshared key is set"},

	// Handshakes and timestamps.
	{"failed-response-clears", "HS-10", "forgets its initiation when a forged response arrives"},
	{"keep-own-initiation", "HS-12", "still takes a response to its initiation after it accepted the peer's"},
	{"no-confirmation", "HS-14", "says nothing on a new session when nothing waits"},
	{"extra-keepalive", "HS-15", "confirms a session with a keepalive even when packets do"},
	{"confirm-early", "HS-16", "sends on a key pair that the initiator has not confirmed"},
	{"keepalive-no-confirm", "HS-17", "does not take a keepalive for a confirmation"},
	{"no-flush-on-confirm", "HS-18", "leaves waiting packets lying when the session is confirmed"},
	{"crossing-stall", "HS-13", "forgets an initiation that the 5 s rule held up, so that crossing ones stall both sides"},
	{"no-initiation-limit", "HS-21", "initiates as often as it is asked to"},
	{"no-flood-limit", "HS-28", "accepts initiations of one peer however close they come"},
	{"ignore-timestamp", "TAI-02", "accepts a replayed initiation"},
	{"forget-timestamp-on-rekey", "TAI-04", "forgets the greatest timestamp with every new key pair"},
	{"precise-timestamp", "TAI-07", "sends timestamps to the nanosecond"},
	{"timestamp-offset", "TAI-08", "leaves 2^62 out of the timestamp"},

	// Cookies and load.
	{"skip-mac1", "COOKIE-02", "does not look at mac1"},
	{"answer-bad-mac1", "COOKIE-02", "answers a wrong mac1 with a cookie reply"},
	{"cookie-retries-at-once", "COOKIE-09", "sends a new initiation as soon as a cookie arrives"},
	{"cookie-forever", "COOKIE-10", "uses a cookie for ever"},
	{"roam-on-cookie", "COOKIE-11", "takes the endpoint of a cookie reply"},
	{"never-under-load", "COOKIE-12", "works on every handshake however many there are"},
	{"cookie-ignores-port", "COOKIE-14", "gives one cookie to all ports of an address"},
	{"load-forever", "DOS-01", "is under load for good once it was"},
	{"no-source-limit", "DOS-03", "works on any number of handshakes of one source that has a cookie"},

	// Key pairs and replays.
	{"predictable-index", "KEY-03", "numbers its sessions in order"},
	{"drop-previous-key", "KEY-06", "drops the old key pair the moment there is a new one"},
	{"keys-live-forever", "KEY-10", "uses key pairs after 180 s"},
	{"no-counter-limit", "KEY-12", "sends and takes counters beyond Reject-After-Messages"},
	{"no-erasure", "KEY-13", "keeps key material after 540 s"},
	{"key-change-keeps-sessions", "KEY-15", "goes on sending on sessions of an old private key"},
	{"no-replay-window", "REPLAY-01", "delivers a datagram each time it arrives"},
	{"forgery-burns-counter", "REPLAY-02", "lets a forged message use up its counter"},
	{"small-replay-window", "REPLAY-05", "forgets counters after 32 messages"},

	// Timers and queues.
	{"no-jitter", "TIMER-02", "repeats initiations after exactly 5 s"},
	{"never-give-up", "TIMER-03", "repeats an unanswered initiation for ever"},
	{"give-up-keeps-staged", "TIMER-04", "keeps waiting packets when it gives up"},
	{"no-rekey", "TIMER-07", "does not renew a session of 120 s on which it sends"},
	{"no-rekey-on-receive", "TIMER-08", "does not renew a session of 165 s on which it only receives"},
	{"responder-rekeys", "TIMER-10", "renews sessions by age that it did not initiate"},
	{"no-passive-keepalive", "TIMER-12", "does not tell a peer that sends data that it is alive"},
	{"keepalive-loop", "TIMER-13", "answers keepalives with keepalives"},
	{"no-dead-peer-detection", "TIMER-16", "does not notice that nobody answers its data"},
	{"keepalive-is-data", "TIMER-18", "expects an answer to a keepalive"},
	{"keepalive-once", "TIMER-20", "starts no handshake for a persistent keepalive"},
	{"stage-drops-newest", "QUEUE-03", "refuses new packets when as many wait as may"},

	// Inner packets.
	{"no-padding", "PAD-01", "sends inner packets with their true length"},
	{"pad-beyond-mtu", "PAD-02", "pads beyond the MTU"},
	{"no-trim", "PAD-06", "delivers packets with their padding"},
	{"deliver-any-version", "INNER-01", "delivers packets that are no IP"},
	{"wrong-allowed-ip", "ROUTE-02", "delivers packets whatever their source address is"},

	// Endpoints and the outer header.
	{"no-roam", "ROAM-01", "never moves an endpoint"},
	{"roam-before-auth", "ROAM-02", "takes the endpoint of a message before it is authenticated"},
	{"roam-on-replay", "ROAM-02", "takes the endpoint of a replayed message"},
	{"update-forgets-endpoint", "LIFE-08", "forgets a peer's endpoint when something else is set"},
	{"leak-dscp", "QOS-02", "copies the inner DSCP to the outside"},

	// Counters and the life cycle.
	{"count-dropped", "STAT-03", "counts bytes of packets that it does not deliver"},
	{"count-cookies", "STAT-04", "counts cookie replies as received"},
	{"handshake-time-on-response", "STAT-07", "takes a response that it sent for a finished handshake"},
	{"down-keeps-keys", "LIFE-04", "keeps its key pairs while it is down"},
}
