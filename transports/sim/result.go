package sim

import (
	"time"

	"github.com/purewire/purewire/protocol"
)

// Result is the summary of a run so far. Its lists are in stable orders: hosts as in the scenario, tunnels by their
// hosts, A before B in the scenario.
type Result struct {
	Scenario   string
	Seed       uint64
	Virtual    time.Duration // how long the run has lasted
	Events     uint64        // taken from the heap
	Datagrams  uint64        // copies included
	Fates      [NumFates]uint64
	Tunnels    []TunnelResult
	Hosts      []HostResult
	Checkers   []CheckerResult
	Violations []Violation // at most [MaxViolations]
	// Expectations is what whoever runs the scenario expected of it, and whether it came true; the Sim leaves it empty.
	Expectations []ExpectationResult
	// Effects counts by [FaultKind] how often each kind of trouble took effect.
	Effects [NumFaultKinds]uint64
	// Liveness says of each direction between peers, if the scenario has a Heal, whether it owed recovery and how
	// that went.
	Liveness []Liveness

	Flows        []FlowResult  // as in the scenario
	Disturbances []Disturbance // in order of their ends, at most [MaxDisturbances]
}

// TunnelResult is about two hosts that are peers.
type TunnelResult struct {
	A, B       string
	Handshakes uint64 // completed, counted at the initiator
	// Initiations sent by either side, by cause: rekeys are the ones that are not CausePacket.
	Initiations [protocol.NumCauses]uint64
	GaveUp      uint64
	Roamed      uint64       // times that either side saw the other move
	AtoB, BtoA  DirectionSum // inner packets
	WireAtoB    uint64       // bytes of UDP payload that A sent to B, lost ones included
	WireBtoA    uint64
}

// DirectionSum is about inner packets in one direction of a tunnel.
type DirectionSum struct {
	Sent, Delivered uint64
	SentBytes       uint64
	DeliveredBytes  uint64
	// LongestOutage is the longest time in which packets waited and none came out: from the first one
	// sent after a delivery to the next delivery, or to the end. Without trouble it is the delay of the network.
	LongestOutage time.Duration
	Delay         Delays // of one-way delays
}

// Lost is how many packets were sent and not delivered.
func (d DirectionSum) Lost() uint64 { return d.Sent - min(d.Sent, d.Delivered) }

// Delays are percentiles, each held to within 1/16 from above.
type Delays struct{ P50, P90, P99, Max time.Duration }

// HostResult is about one host.
type HostResult struct {
	Name  string
	Drops [protocol.NumDropReasons]uint64 // of all its lives
}

// CheckerResult is the verdict of one checker.
type CheckerResult struct {
	Name       string
	Rule       string // what it holds the run to
	Checked    uint64 // how often it had something to look at
	Violations uint64
}

// Liveness is about one direction between two hosts that are peers, after [Scenario.Heal].
type Liveness struct {
	From, To string
	Exempt   string        // why it owes nothing, one of [Exemptions]; "": it owes recovery
	Bound    time.Duration // so long after Heal it must have recovered
	Why      string        // how the bound comes about
	Took     time.Duration // until the first transport message sent after Heal was taken; negative: never
}

// Exemptions lists the reasons for which a direction owes no recovery, in a fixed order. The list is closed.
func Exemptions() []string {
	return []string{"no-peer", "no-traffic", "no-way", "keys", "clock", "stolen-key",
		"short-run"}
}

// ExpectationResult is the verdict about one expectation.
type ExpectationResult struct {
	Text string // what was expected, in a sentence
	Met  bool
	Got  string // what was measured, in a few words
}

// MaxViolations bounds the list in Result; all are counted and recorded.
const MaxViolations = 100

// OK reports whether every checker held.
func (r *Result) OK() bool {
	for _, c := range r.Checkers {
		if c.Violations > 0 {
			return false
		}
	}
	return true
}

// Met reports whether all expectations came true.
func (r *Result) Met() bool {
	for _, e := range r.Expectations {
		if !e.Met {
			return false
		}
	}
	return true
}
