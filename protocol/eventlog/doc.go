// Package eventlog records all that a protocol.Device is told, and what it answered, and replays it: the same calls
// in the same order give byte-identical answers, or Replay says where they first differ (design §3 rule 9). A
// recording of a live node on many cores so becomes a run on one, which can be repeated, traced and debugged.
//
// A log holds secrets: ephemeral private keys among the entropy, preshared keys, results of our static key, and every
// inner packet. Whoever has it can read the recorded traffic.
//
// # Format
//
// "PWEL", a version byte, then records: kind, length, payload. Numbers are varints as in encoding/binary; strings of
// bytes are preceded by their length. Times are differences to the last record's. A record of a call has three parts:
// the arguments; the entropy that was drawn meanwhile, read by read; the answer, as lines of text, with messages of
// more than 160 bytes cut to their beginning and a SHA-256 of the whole. Jobs are named by number: the n-th handshake
// job that the device gave out; the open jobs of the n-th call. Messages that were sealed come in records of their
// own, in the order in which they were sent.
package eventlog

// magic and version begin every log.
const (
	magic   = "PWEL"
	version = 1
)

// kind is what a record holds. The values are part of the format.
type kind byte

const (
	kindNew       kind = 1  // configuration, identity
	kindPackets   kind = 2  // now, packets
	kindDatagrams kind = 3  // now, datagrams
	kindOpened    kind = 4  // now, call that made the jobs (0: no jobs)
	kindShaken    kind = 5  // now, job, outcome
	kindTimeout   kind = 6  // now
	kindConfigure kind = 7  // now, changes
	kindUp        kind = 8  // now
	kindDown      kind = 9  // now
	kindForget    kind = 10 // now, address
	kindWall      kind = 11 // now, wall
	kindDH        kind = 12 // identity, point, secret
	kindSealed    kind = 13 // lines
	kindEnd       kind = 14 // lines: counters of device and peers
	kindLast           = kindEnd
)

var kindNames = [kindLast + 1]string{"", "New", "HandlePackets", "HandleDatagrams", "HandleOpened", "HandleShaken",
	"HandleTimeout", "Configure", "Up", "Down", "ForgetSources", "SetWallClock", "Identity.DH", "Worker.Seal", "the end"}

// String gives the name of the call that is recorded.
func (k kind) String() string { return kindNames[min(k, kindLast)] }

// outcome is what became of a handshake job, beyond what follows from the log.
type outcome byte

const (
	outcomeDone     outcome = iota // a Worker did it
	outcomeUndone                  // it was given back undone
	outcomeIdentity                // the identity failed
)
