package sim

import (
	"net/netip"
	"time"
)

// FlowKind is what a Flow sends.
type FlowKind uint8

// The kinds of flows. Behind each stand the fields of Flow that it reads, besides those that all read: Name, Kind,
// From, To, IPv6, Start, Stop, TOS, OutageFloor.
const (
	FlowPing    FlowKind = iota // Interval, Size, Source: ICMP echo requests; To answers
	FlowUDP                     // Interval, Size, Source: numbered UDP datagrams, one way
	FlowPoisson                 // Interval, Size: UDP datagrams at random, Interval apart on average
	FlowRequest                 // Interval, Size, Reply, Timeout, Tries: questions over UDP that To answers, one by one
	FlowBulk                    // Bytes, Interval, Congestion, Window: a stream over TCP
	FlowVoice                   // Interval, Size, Playout: frames of a call, one way
	NumFlowKinds
)

var flowKindNames = [NumFlowKinds]string{"ping", "udp", "poisson", "request", "bulk", "voice"}

// String gives the kind's permanent name.
func (k FlowKind) String() string {
	if k < NumFlowKinds {
		return flowKindNames[k]
	}
	return "invalid"
}

// Congestion is how the sender of a TCP stream finds its rate.
type Congestion uint8

// The kinds of congestion control.
const (
	CongestionReno  Congestion = iota // RFC 5681
	CongestionCUBIC                   // RFC 9438
	NumCongestions
)

var congestionNames = [NumCongestions]string{"reno", "cubic"}

// String gives the permanent name.
func (c Congestion) String() string {
	if c < NumCongestions {
		return congestionNames[c]
	}
	return "invalid"
}

// Flow is inner traffic from Start until Stop.
type Flow struct {
	Name     string // "": made from the other fields
	Kind     FlowKind
	From, To string
	IPv6     bool // use the hosts' IPv6 addresses
	Start    time.Duration
	Stop     time.Duration // zero: DrainTime before the end
	// Interval is the time between two packets; of FlowPoisson: on average; of FlowRequest: from an answer to the next
	// question; of FlowVoice, zero: 20 ms; of FlowBulk: from the end of a transfer of Bytes to the next one, zero: one
	// transfer only.
	Interval time.Duration
	Size     int   // of the whole inner packet; zero: 84 for IPv4 and 104 for IPv6, voice 200 and 220
	TOS      uint8 // of the inner header
	// Source, if valid, is written as the inner source instead of From's own address: a peer that lies.
	Source netip.Addr

	Reply   int           // size of the inner packet with the answer; zero: as Size
	Timeout time.Duration // after so long without an answer a question is asked again; zero: 1 s
	Tries   int           // so often a question is asked, then it has failed; zero: 3

	Bytes      uint64 // of a transfer; zero: as many as there is time for
	Congestion Congestion
	Window     int // bytes that the receiver of a stream has room for; zero: 131,072

	Playout time.Duration // a voice frame that comes so much later than the quickest one is of no use; zero: 60 ms

	// OutageFloor is how long an outage is at least; shorter ones are not counted. Zero: 1 s, or twice the Interval if
	// that is more, since one lost packet is no outage.
	OutageFloor time.Duration
}
