package sim

import "time"

// NoTime is in the place of a moment or a length of time that never came.
const NoTime = time.Duration(-1)

// FlowResult is what the users of a flow felt. Ways that a kind of flow does not have are zero.
type FlowResult struct {
	Name     string
	Kind     FlowKind
	From, To string
	Forth    WayResult // packets of From
	Back     WayResult // pings, requests, bulk: packets of To
	Round    WayResult // pings and requests: from the question to the answer, as From sees it
	// Recoveries are the times that the flow took to come back after each of Result.Disturbances that ended while it
	// ran, at most [MaxRecoveries]; RecoveriesOmitted is how many more there were. They are about Round if the
	// flow has it, else about Forth.
	Recoveries        []Recovery
	RecoveriesOmitted uint64
	Stream            StreamResult // of FlowBulk
	Voice             VoiceResult  // of FlowVoice
}

// WayResult measures one direction of a flow, from application to application: over as many tunnels as it takes.
type WayResult struct {
	Sent, Delivered uint64 // packets; Round: questions, repeated ones not counted, and those that were answered
	SentBytes       uint64 // whole inner packets; Round: 0
	DeliveredBytes  uint64
	// PayloadBytes is what applications got; of a stream what came in order and once. Goodput is that per second, from
	// the first packet sent to the last one sent or delivered.
	PayloadBytes uint64
	Goodput      uint64
	FirstSent    time.Duration // when; NoTime: never
	// FirstAfter is the time from the first packet sent to the first one delivered, the handshake included, or NoTime.
	FirstAfter time.Duration
	Delay      Delays
	Jitter     time.Duration // as RFC 3550 §6.4.1 smooths it, at the end
	// Outages are the longest outages in order of time, at most [MaxOutages]; OutageCount and OutageTotal are about
	// all of them. An outage lasts from the first packet sent after a delivery to the next delivery or the end of the
	// run, and at least Flow.OutageFloor.
	Outages     []Outage
	OutageCount uint64
	OutageTotal time.Duration
}

// Lost is how many packets were sent and not delivered.
func (w *WayResult) Lost() uint64 { return w.Sent - min(w.Sent, w.Delivered) }

// LongestOutage is the length of the longest outage, or zero.
func (w *WayResult) LongestOutage() (longest time.Duration) {
	for _, o := range w.Outages {
		longest = max(longest, o.End-o.Start)
	}
	return longest
}

// MaxOutages bounds the list of outages of one direction of a flow.
const MaxOutages = 16

// Outage is a time in which packets were sent and none came out.
type Outage struct {
	Start, End time.Duration // moments of the run
	Open       bool          // it had not ended when the run did
}

// MaxRecoveries bounds the list of recoveries of one flow.
const MaxRecoveries = 64

// Recovery is how a flow came back after a disturbance.
type Recovery struct {
	Disturbance int // index in Result.Disturbances
	// First is when the flow first sent a packet at or after the end of the disturbance, and Back when the first such
	// packet was delivered, or NoTime: never.
	First, Back time.Duration
}

// Took is the time from the end of the disturbance until the flow was back, or NoTime.
func (r *Recovery) Took(d *Disturbance) time.Duration {
	if r.Back == NoTime {
		return NoTime
	}
	return r.Back - d.End
}

// Waited is the time from the first packet after the disturbance until the flow was back, or NoTime: unlike Took, it
// does not depend on how long after the end the application had something to say.
func (r *Recovery) Waited() time.Duration {
	if r.Back == NoTime {
		return NoTime
	}
	return r.Back - r.First
}

// MaxDisturbances bounds the list in Result; later ones are not measured.
const MaxDisturbances = 4096

// Disturbance is an action of the timeline, with its consequences, or a Fault that ends.
type Disturbance struct {
	Action ActionKind // ActionNone: a fault
	Name   string     // of the fault; of an action: what it did, in words
	Host   string     // whose action it was, if it was a host's
	Start  time.Duration
	End    time.Duration // when the host was well again, or the fault over; an action without consequences ends at once
}

// StreamResult is about the TCP connections of a flow.
type StreamResult struct {
	Transfers   uint64 // that were finished, to the last FIN
	Connections uint64 // that were established
	Aborted     uint64 // by a reset, by a host that restarted, or because nobody answered for too long
	// Delivered bytes came in order and once. Intact says that they are, by a checksum, the bytes that were sent.
	Delivered  uint64
	Intact     bool
	Segments   uint64 // with data
	Repeated   uint64 // of those: sent again
	Timeouts   uint64 // RTO expiries
	Recoveries uint64 // fast retransmits
	SRTT       time.Duration
	Transfer   Delays // time of whole transfers, from the SYN to the last byte acknowledged
}

// VoiceResult is about a call.
type VoiceResult struct {
	Late uint64 // frames that came, but too late to be played
	// MOS is a mean opinion score in hundredths, from 100 (bad) to 450, after the E-model (ITU-T G.107) for G.711
	// with concealment: from the loss, late frames included, and the delay with the playout buffer. 0: nothing came.
	MOS int
}
