package transports

import (
	"math/bits"
	"sync/atomic"
)

// SizeBuckets is the number of buckets of a histogram of batch sizes: bucket i counts batches of 2^i to 2^(i+1)−1
// packets, the last one all larger ones.
const SizeBuckets = 8

// Flow counts what went one way.
type Flow struct {
	Batches, Packets, Bytes uint64
	Errors                  uint64 // calls that failed, in whole or in part
	Sizes                   [SizeBuckets]uint64
}

// Metrics is a snapshot of what a Node counted since New. What the Core dropped and why is in Status.Drops.
type Metrics struct {
	Read, Received      Flow   // from the tunnel, from the network
	Sent, Delivered     Flow   // to the network, to the tunnel
	ReadErrors          uint64 // of tunnel and network
	Wakeups             uint64 // by the deadline's alarm
	HandshakeJobs       uint64 // done
	Unreachables        uint64 // ICMP errors sent to the inner side
	UnreachablesLimited uint64 // and not sent, because there were too many
}

// flow is a Flow that one goroutine counts and others read.
type flow struct {
	batches, packets, bytes, errors atomic.Uint64
	sizes                           [SizeBuckets]atomic.Uint64
}

func (f *flow) add(packets, bytes int) {
	f.batches.Add(1)
	f.packets.Add(uint64(packets))
	f.bytes.Add(uint64(bytes))
	f.sizes[min(max(bits.Len(uint(packets))-1, 0), SizeBuckets-1)].Add(1)
}

func (f *flow) addTo(sum *Flow) {
	sum.Batches += f.batches.Load()
	sum.Packets += f.packets.Load()
	sum.Bytes += f.bytes.Load()
	sum.Errors += f.errors.Load()
	for i := range f.sizes {
		sum.Sizes[i] += f.sizes[i].Load()
	}
}

// tally is the counters of one goroutine; each has its own, so that cores do not fight over a cache line.
type tally struct {
	read, received, sent, delivered flow
	readErrors, wakeups, shaken     atomic.Uint64
}

// Metrics reads the counters. It stops nobody: counters that belong together may be a batch apart.
func (n *Node) Metrics() Metrics {
	var m Metrics
	for _, h := range n.hands {
		h.tally.read.addTo(&m.Read)
		h.tally.received.addTo(&m.Received)
		h.tally.sent.addTo(&m.Sent)
		h.tally.delivered.addTo(&m.Delivered)
		m.ReadErrors += h.tally.readErrors.Load()
		m.Wakeups += h.tally.wakeups.Load()
		m.HandshakeJobs += h.tally.shaken.Load()
	}
	m.Unreachables, m.UnreachablesLimited = n.icmp.sent.Load(), n.icmp.limited.Load()
	return m
}
