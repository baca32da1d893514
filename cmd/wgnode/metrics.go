package main

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
)

// measured is what the metrics are read from: a transports.Node.
type measured interface {
	Get(head func(transports.Status), peer func(protocol.PeerStats, []netip.Prefix) bool)
	Metrics() transports.Metrics
}

// handshakes counts completed handshakes of each peer, from the events of the core.
type handshakes struct {
	mu    sync.Mutex
	peers map[protocol.PeerID]*[2]uint64 // as responder, as initiator
}

// count is shown every batch of events, from several goroutines.
func (h *handshakes) count(events []protocol.Event) {
	for i := range events {
		e := &events[i]
		if e.Kind != protocol.EventHandshakeComplete {
			continue
		}
		role := 0
		if e.Initiator {
			role = 1
		}
		h.mu.Lock()
		if h.peers == nil {
			h.peers = map[protocol.PeerID]*[2]uint64{}
		}
		if h.peers[e.Peer] == nil {
			h.peers[e.Peer] = new([2]uint64)
		}
		h.peers[e.Peer][role]++
		h.mu.Unlock()
	}
}

// of gives the counts of one peer.
func (h *handshakes) of(id protocol.PeerID) (asResponder, asInitiator uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.peers[id]; n != nil {
		return n[0], n[1]
	}
	return 0, 0
}

// keep forgets the peers that are gone: their IDs do not come back.
func (h *handshakes) keep(alive map[protocol.PeerID]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.peers {
		if !alive[id] {
			delete(h.peers, id)
		}
	}
}

// collector gives a node's numbers to Prometheus, read when they are asked for.
type collector struct {
	node  measured
	hands *handshakes

	peerRx, peerTx, peerShaken, peerLast, peerStaged *prometheus.Desc
	drops, packets, bytes, errors, batches           *prometheus.Desc
	readErrors, wakeups, jobs, unreachables          *prometheus.Desc
	up, underLoad, mtu, port                         *prometheus.Desc
}

func newCollector(name string, node measured, hands *handshakes) *collector {
	desc := func(metric, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("wgnode_"+metric, help, labels, prometheus.Labels{"interface": name})
	}
	return &collector{
		node: node, hands: hands,
		peerRx:     desc("peer_receive_bytes_total", "UDP payload bytes received from a peer.", "public_key"),
		peerTx:     desc("peer_transmit_bytes_total", "UDP payload bytes sent to a peer.", "public_key"),
		peerShaken: desc("peer_handshakes_total", "Completed handshakes, by our role.", "public_key", "role"),
		peerLast: desc("peer_last_handshake_seconds", "Unix time of the last handshake, 0 if there was none.",
			"public_key"),
		peerStaged: desc("peer_staged_packets", "Packets that wait for a handshake.", "public_key"),
		drops:      desc("drops_total", "Datagrams, packets and handshakes that went no further.", "reason"),
		packets:    desc("packets_total", "Packets and datagrams, by where they were read or written.", "at"),
		bytes:      desc("bytes_total", "Their bytes.", "at"),
		errors:     desc("errors_total", "Sends and writes that failed, in whole or in part.", "at"),
		batches:    desc("batch_packets", "Packets per read or write.", "at"),
		readErrors: desc("read_errors_total", "Reads that failed."),
		wakeups:    desc("deadline_wakeups_total", "Wake-ups for a deadline of the protocol."),
		jobs:       desc("handshake_jobs_total", "Public-key jobs that were done."),
		unreachables: desc("unreachables_total", "ICMP errors for packets without a peer or an endpoint, sent or "+
			"left out because there were too many.", "outcome"),
		up:        desc("up", "1 while the interface is up."),
		underLoad: desc("under_load", "1 while initiators are asked for cookies."),
		mtu:       desc("mtu_bytes", "MTU of the interface."),
		port:      desc("listen_port", "UDP port, 0 if there is none yet."),
	}
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.peerRx, c.peerTx, c.peerShaken, c.peerLast, c.peerStaged, c.drops, c.packets, c.bytes, c.errors, c.batches,
		c.readErrors, c.wakeups, c.jobs, c.unreachables, c.up, c.underLoad, c.mtu, c.port,
	} {
		to <- d
	}
}

// sink takes the metrics of one scrape.
type sink chan<- prometheus.Metric

func (s sink) counter(d *prometheus.Desc, n uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) gauge(d *prometheus.Desc, n float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
}

// Collect is part of prometheus.Collector. The peers are copied first: the node must not wait for whoever reads.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	var status transports.Status
	var peers []protocol.PeerStats
	c.node.Get(func(s transports.Status) { status = s }, func(p protocol.PeerStats, _ []netip.Prefix) bool {
		p.PresharedKey = protocol.PresharedKey{}
		peers = append(peers, p)
		return true
	})
	out := sink(to)
	c.collectStatus(out, status)
	alive := map[protocol.PeerID]bool{}
	for i := range peers {
		alive[peers[i].ID] = true
		c.collectPeer(out, &peers[i])
	}
	c.hands.keep(alive)

	m := c.node.Metrics()
	c.collectFlow(out, "tunnel_read", &m.Read)
	c.collectFlow(out, "tunnel_write", &m.Delivered)
	c.collectFlow(out, "network_receive", &m.Received)
	c.collectFlow(out, "network_send", &m.Sent)
	out.counter(c.readErrors, m.ReadErrors)
	out.counter(c.wakeups, m.Wakeups)
	out.counter(c.jobs, m.HandshakeJobs)
	out.counter(c.unreachables, m.Unreachables, "sent")
	out.counter(c.unreachables, m.UnreachablesLimited, "limited")
}

func (c *collector) collectStatus(out sink, s transports.Status) {
	for r := protocol.DropNone + 1; r < protocol.NumDropReasons; r++ {
		out.counter(c.drops, s.Drops[r], r.String())
	}
	out.gauge(c.up, boolean(s.Up))
	out.gauge(c.underLoad, boolean(s.UnderLoad))
	out.gauge(c.mtu, float64(s.MTU))
	out.gauge(c.port, float64(s.Port))
}

func (c *collector) collectPeer(out sink, p *protocol.PeerStats) {
	key := p.PublicKey.String()
	out.counter(c.peerRx, p.RxBytes, key)
	out.counter(c.peerTx, p.TxBytes, key)
	last := 0.0
	if !p.LastHandshake.IsZero() {
		last = float64(p.LastHandshake.UnixMilli()) / 1000
	}
	out.gauge(c.peerLast, last, key)
	out.gauge(c.peerStaged, float64(p.Staged), key)
	responder, initiator := c.hands.of(p.ID)
	out.counter(c.peerShaken, responder, key, "responder")
	out.counter(c.peerShaken, initiator, key, "initiator")
}

// collectFlow turns the buckets, each of which counts 2^i to 2^(i+1)-1 packets, into Prometheus' cumulative ones. The
// last bucket has no upper bound.
func (c *collector) collectFlow(out sink, at string, f *transports.Flow) {
	out.counter(c.packets, f.Packets, at)
	out.counter(c.bytes, f.Bytes, at)
	out.counter(c.errors, f.Errors, at)
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, n := range f.Sizes {
		sum += n
		if i < len(f.Sizes)-1 {
			buckets[float64(int(2)<<i-1)] = sum
		}
	}
	out <- prometheus.MustNewConstHistogram(c.batches, sum, float64(f.Packets), buckets, at)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
