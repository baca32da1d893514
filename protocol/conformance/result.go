package conformance

import (
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// Verdict is how a case ended.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"         // a MUST rule was broken
	Warn         Verdict = "warn"         // a SHOULD rule was broken
	Flaky        Verdict = "flaky"        // failed, then passed alone: counts as a failure
	Unsupported  Verdict = "unsupported"  // the target cannot do or show what the case needs; Reason says what
	Inconclusive Verdict = "inconclusive" // the machine was too slow to judge
	Measured     Verdict = "measured"     // a MAY or IMPL rule: Values say what was found
	Broken       Verdict = "error"        // the suite or its surroundings failed, not the subject; the run is void
	NotRun       Verdict = "not-run"      // the run was ended before there was a verdict; Reason says how far it got
)

// Result is what became of one case on one target. Its JSON form is documented in docs/CONFORMANCE-SUITE.md.
type Result struct {
	Case     string            `json:"case"`
	Rules    []string          `json:"rules"`
	Level    Level             `json:"level"`
	Title    string            `json:"title"`
	Verdict  Verdict           `json:"verdict"`
	Reason   string            `json:"reason,omitempty"`   // one line: the message of the assertion that decided
	Expected string            `json:"expected,omitempty"` // in words
	Actual   string            `json:"actual,omitempty"`   // in words
	Values   map[string]string `json:"values,omitempty"`   // measured
	Seed     uint64            `json:"seed"`
	Start    time.Duration     `json:"start_ns"` // since the run's start, real time
	Took     time.Duration     `json:"took_ns"`  // real time
	Lasted   time.Duration     `json:"lasted_ns"`
	Attempts int               `json:"attempts"` // how often it ran
	Earlier  []Attempt         `json:"earlier,omitempty"`
	Trace    []TraceEntry      `json:"trace,omitempty"` // kept for verdicts other than pass, or if asked for
	Stderr   string            `json:"stderr,omitempty"`
	// Notes are things that were seen and decide nothing here: broken invariants of the wire, other oddities.
	Notes []string `json:"notes,omitempty"`
	// Premise says that the case failed before its own question could be asked: a handshake did not happen.
	Premise bool `json:"premise,omitempty"`
	// Secrets are Wireshark key log lines (WireGuard's) that decrypt the trace: the keys of the suite's own peers.
	Secrets []string `json:"secrets,omitempty"`
}

// Attempt is an earlier try of a case that was repeated, and why.
type Attempt struct {
	Verdict Verdict      `json:"verdict"` // or "disturbed": an unexpected cookie reply came
	Reason  string       `json:"reason"`
	Trace   []TraceEntry `json:"trace,omitempty"`
	Secrets []string     `json:"secrets,omitempty"` // as in Result: they decrypt this try's trace
}

// TraceEntry is one thing that happened in a case.
type TraceEntry struct {
	Earliest timers.Time `json:"earliest_ns"`
	Latest   timers.Time `json:"latest_ns"`
	// Kind is datagram-in (to the subject), datagram-out, packet-in (inner, to the subject), packet-out, configure,
	// restart, note, window (a span in which something was due: the tolerance band) or verdict.
	Kind   string      `json:"kind"`
	Text   string      `json:"text"`             // one line for people: "initiation 7f3a01c2, retry 3"
	Local  string      `json:"local,omitempty"`  // the subject's address and port
	Remote string      `json:"remote,omitempty"` // the tester's
	Bytes  []byte      `json:"bytes,omitempty"`
	TOS    uint8       `json:"tos,omitempty"`
	Fields []Field     `json:"fields,omitempty"` // of Bytes, in order
	Until  timers.Time `json:"until_ns,omitempty"`
	Broke  bool        `json:"broke,omitempty"` // this is what broke the rule
}

// Field names a part of a message.
type Field = peer.Field
