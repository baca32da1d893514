package sim

import (
	"time"

	"github.com/purewire/purewire/timers"
)

// The TCP of the simulator's hosts: one sender of a stream ([tcpSender]) and one receiver ([tcpReceiver]), both without
// IO and clock. They hold to RFC 9293 for what a one-way stream needs of it, RFC 5681 and 9438 (congestion control),
// 6298 (retransmission timer), 2018 and 6675 (selective acknowledgements), 6928 (initial window), 3042 (limited
// transmit, which follows from the pipe of RFC 6675) and 1122 §4.2.3.2 (delayed acknowledgements). They do not have
// urgent data, timestamps, ECN, pacing, and a persist timer: the receiving application always reads, so that
// the window never closes.

// tcpSegment is a segment as the ends of a stream know it; inner_tcp.go turns it into a packet and back.
type tcpSegment struct {
	seq, ack uint32
	flags    uint8
	window   int // bytes
	mss      int // of a SYN
	blocks   [tcpBlocks]tcpBlock
	sacks    int // how many of blocks there are

	// A sender names its data by place and size, since the bytes of a stream follow from their place (pattern);
	// a received segment has them.
	pos  uint64
	size int
	data []byte
}

// tcpBlock is what an option SACK says: the receiver has the bytes from one sequence number up to another.
type tcpBlock struct{ from, to uint32 }

// tcpBlocks is how many blocks fit beside the label of a packet into the 40 bytes of options.
const tcpBlocks = 2

// Flags of a segment.
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
)

// Times of the two ends.
const (
	rtoFirst    = time.Second       // RFC 6298 (2.1)
	rtoLeast    = time.Second       // (2.4)
	rtoMost     = 120 * time.Second // (2.5) wants at least 60 s
	rtoAfterSYN = 3 * time.Second   // (5.7)
	rtoGrain    = time.Millisecond  // G of (2.2)
	ackDelay    = 40 * time.Millisecond
	// After so many expiries in a row a connection is given up: RFC 1122 §4.2.3.5 (R2) asks for 100 s at least, and
	// 3 minutes for a SYN. These are what Linux does.
	triesOfData = 15
	triesOfSYN  = 6
)

// tcpDuplicates is DupThresh of RFC 6675.
const tcpDuplicates = 3

// rto is the retransmission timer of RFC 6298.
type rto struct {
	srtt, rttvar time.Duration
	value        time.Duration
	expired      int // times in a row
}

// sample takes a measured round-trip time, never one of a segment that was sent twice (Karn's rule).
func (r *rto) sample(rtt time.Duration) {
	if r.srtt == 0 {
		r.srtt, r.rttvar = rtt, rtt/2
	} else {
		diff := r.srtt - rtt
		r.rttvar += (max(diff, -diff) - r.rttvar) / 4
		r.srtt += (rtt - r.srtt) / 8
	}
	r.value = min(max(r.srtt+max(rtoGrain, 4*r.rttvar), rtoLeast), rtoMost)
}

// backOff doubles the timer (5.5).
func (r *rto) backOff() {
	r.expired++
	r.value = min(2*r.value, rtoMost)
}

// pattern fills b with the bytes of a stream from a place on. They do not repeat: a byte in a wrong place is a wrong
// byte.
func pattern(key, pos uint64, b []byte) {
	for len(b) > 0 {
		w := mix64(key + pos/8)
		for i := pos % 8; i < 8 && len(b) > 0; i++ {
			b[0] = byte(w >> (8 * i))
			b, pos = b[1:], pos+1
		}
	}
}

// mix64 is the finalizer of SplitMix64.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// place finds the place in the stream that a sequence number means, near one that is known.
func place64(near uint64, nearSeq, seq uint32) (uint64, bool) {
	d := int64(int32(seq - nearSeq))
	if d < 0 && uint64(-d) > near {
		return 0, false
	}
	return near + uint64(d), true
}

// earliest gives the earlier of two moments.
func earliest(a, b timers.Time) timers.Time { return min(a, b) }
