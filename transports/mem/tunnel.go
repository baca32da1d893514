// Package mem is a Tunnel and a Link in memory, to test the run loop of package transports without a kernel: under
// testing/synctest, where time is virtual and a test can wait until everybody waits, and under the race detector.
package mem

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
)

// Options of a Tunnel or a Network. Zero fields stand for the default behind them.
type Options struct {
	Queue int // packets or datagrams that a queue holds: 1024
	Batch int // the most that one read gives: transports.MaxBatch
	// LockStep makes a Network keep what is sent until Step hands it over, one datagram at a time.
	LockStep bool
}

func (o Options) withDefaults() Options {
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Batch <= 0 {
		o.Batch = transports.MaxBatch
	}
	return o
}

// Tunnel is a network interface without a host: a test puts packets in where the host would send them, and takes
// out what the node delivers. Both its queues are bounded; a full one makes Put, or the node's Write, wait.
type Tunnel struct {
	name  string
	batch int
	mtu   atomic.Int64
	in    *queue
	out   *queue

	mu     sync.Mutex
	events chan transports.TunnelEvent
	closed bool
}

// NewTunnel makes an interface that is down.
func NewTunnel(name string, mtu int, o Options) *Tunnel {
	o = o.withDefaults()
	t := &Tunnel{name: name, batch: o.Batch, in: newQueue(o.Queue), out: newQueue(o.Queue),
		events: make(chan transports.TunnelEvent, 16)}
	t.mtu.Store(int64(mtu))
	return t
}

// Put gives packets to the node, in order. It copies them; it waits while the queue is full, and gives false once the
// tunnel is closed.
func (t *Tunnel) Put(packets ...[]byte) bool {
	for _, p := range packets {
		if !t.in.put(p, item{}, true) {
			return false
		}
	}
	return true
}

// Take waits for a packet that the node delivered and appends it to b. False: the tunnel is closed.
func (t *Tunnel) Take(b []byte) (packet []byte, peer protocol.PeerID, ok bool) {
	err := t.out.take(1, func(i *item) bool {
		b, peer = append(b, i.buf...), i.peer
		return true
	})
	return b, peer, err == nil
}

// Waiting is the number of packets that wait to be taken.
func (t *Tunnel) Waiting() int { return t.out.len() }

// Pending is the number of packets that the node has not read yet.
func (t *Tunnel) Pending() int { return t.in.len() }

// Signal reports an event, as the system would.
func (t *Tunnel) Signal(e transports.TunnelEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.events <- e
	}
}

// SetMTU changes the MTU and says so.
func (t *Tunnel) SetMTU(mtu int) {
	t.mtu.Store(int64(mtu))
	t.Signal(transports.TunnelMTU)
}

// Read implements transports.Tunnel.
func (t *Tunnel) Read(p *transports.Packets) error {
	p.List = p.List[:0]
	at := 0
	return t.in.take(min(t.batch, cap(p.List)), func(i *item) bool {
		n := len(i.buf)
		if at+transports.Stride(n)+protocol.Tailroom > len(p.Buf) {
			return false
		}
		off := at + protocol.Headroom
		copy(p.Buf[off:], i.buf)
		p.List = append(p.List, protocol.Packet{Buf: p.Buf, Off: off, Len: n})
		at += transports.Stride(n)
		return true
	})
}

// Write implements transports.Tunnel.
func (t *Tunnel) Write(packets []protocol.Delivery) error {
	for i := range packets {
		if !t.out.put(packets[i].Bytes(), item{peer: packets[i].Peer}, true) {
			return net.ErrClosed
		}
	}
	return nil
}

// MTU implements transports.Tunnel.
func (t *Tunnel) MTU() (int, error) { return int(t.mtu.Load()), nil }

// Name implements transports.Tunnel.
func (t *Tunnel) Name() string { return t.name }

// Events implements transports.Tunnel.
func (t *Tunnel) Events() <-chan transports.TunnelEvent { return t.events }

// Close implements transports.Tunnel.
func (t *Tunnel) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	close(t.events)
	t.in.close()
	t.out.close()
	return nil
}
