// Package transports turns a protocol.Device into a running WireGuard node: it reads packets from a [Tunnel] and
// datagrams from a [Link], does the cipher work of both on every core, keeps the one order that the protocol needs,
// and wakes the core at its deadlines (design §6). What it knows of the world are three interfaces, so that the
// same loop runs over a TUN device and UDP sockets, and in tests over memory (package mem).
package transports

import (
	"iter"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// MaxBatch is the greatest number of packets or datagrams that one read may give.
const MaxBatch = 128

// Packets is what one [Tunnel.Read] fills. It belongs to the worker that reads, which allocates it once. Buf is all
// the memory there is: the packets of List are windows into it, in the order in which they were sent.
//
// A Tunnel lays them out one behind another: each has protocol.Headroom bytes before it, and behind it what pads its
// length to a multiple of 16, and 16 more. So packets of equal length (the segments of one super-packet) become,
// sealed in place, equal-sized messages without a gap, which a [Link] can send as one segmented datagram.
type Packets struct {
	Buf  []byte
	List []protocol.Packet // its capacity is MaxBatch or more; Read sets it anew, without allocating
}

// Stride is the room that a Tunnel gives in Packets.Buf to a packet of n bytes: head, packet, padding, tag. The
// packet begins protocol.Headroom bytes into it. The last packet of a Buf has protocol.Tailroom bytes behind it.
func Stride(n int) int { return protocol.Headroom + (n+15)&^15 + 16 }

// Datagrams is what one [Link.Receive] fills. It belongs to the worker that receives. The datagrams of List are
// windows into Buf; they are decrypted where they lie.
type Datagrams struct {
	Buf  []byte
	List []protocol.Datagram // its capacity is MaxBatch or more; Receive sets it anew, without allocating
}

// Sizes of the buffers that a Node gives to its workers, in bytes. A TUN read with segmentation offload gives up to
// 64 KiB of payload, and each segment its head- and tailroom; a UDP receive up to several coalesced 64 KiB.
const (
	PacketsBuf   = 1<<17 + MaxBatch*64
	DatagramsBuf = 1<<18 + MaxBatch*64
)

// Tunnel is the inner end: a network interface whose packets are to be encrypted, and which takes the decrypted ones.
//
// A Node calls Read from one goroutine at a time (which one changes), Write from one at a time, in parallel to Read,
// and the other methods from anywhere.
type Tunnel interface {
	// Read blocks until there is a packet and gives all that one read yields; it may give none. A super-packet is
	// split into segments here, which is the one copy. After Close it returns net.ErrClosed; any other error is
	// passing: the Node counts it and reads again.
	Read(p *Packets) error
	// Write gives packets to the host, in order. It keeps none of the memory. Segments of one TCP or UDP flow may be
	// merged. An error means that some were lost; those after the one that failed are still tried.
	Write(p []protocol.Delivery) error
	// MTU gives the interface's MTU in bytes.
	MTU() (int, error)
	// Name gives the interface's name.
	Name() string
	// Events tells what happens to the interface. It is closed by Close.
	Events() <-chan TunnelEvent
	// Close ends Read and closes Events. Closing twice is harmless.
	Close() error
}

// TunnelEvent is something that happened to the interface.
type TunnelEvent uint8

// The events of a tunnel.
const (
	TunnelUp   TunnelEvent = iota + 1 // the interface is up: the Node brings the core up
	TunnelDown                        // it is down, and so is the core
	TunnelMTU                         // its MTU changed: ask for it
)

// String names the event.
func (e TunnelEvent) String() string {
	switch e {
	case TunnelUp:
		return "up"
	case TunnelDown:
		return "down"
	case TunnelMTU:
		return "mtu"
	}
	return "unknown"
}

// Link is the outer end: the UDP sockets.
//
// A Node calls Receive from one goroutine per source at a time, Send from several at once (the order of messages that
// must keep one is kept by the Node), and the others from anywhere, one at a time.
type Link interface {
	// Open listens on port, 0 for any, and gives the port that it got. If the link is open on another port the new
	// sockets are opened first, so that an error changes nothing; then they take over, and what arrived on the old
	// ones is still received.
	Open(port uint16) (actual uint16, err error)
	// Shut closes the sockets until the next Open. Receive goes on waiting, Send fails meanwhile.
	Shut() error
	// Sources is the number of independent sources to receive from (an IPv4 and an IPv6 socket). It does not change.
	Sources() int
	// Receive blocks until a datagram has come in from source (0 to Sources−1), also while the link is not open. It
	// may give none. Coalesced datagrams are split into windows in place. After Close it returns net.ErrClosed; any
	// other error is passing.
	Receive(source int, d *Datagrams) error
	// Send sends datagrams, in order, each with its TOS and from Endpoint.Local if that is valid. It keeps none of
	// the memory and may change Off and Len of no entry. An error means that some were not sent; those after the
	// failed one are still tried.
	Send(d []protocol.Datagram) error
	// SetMark sets the mark (SO_MARK) of what is sent; 0 is none.
	SetMark(mark uint32) error
	// Close ends Receive for good. Closing twice is harmless.
	Close() error
}

// SourceError is an error of [Link.Send] for a source address that the host has no more: the message was sent
// without it, and the Node makes the core forget Local (ROAM-09).
type SourceError struct{ Local netip.Addr }

// Error names the address.
func (e *SourceError) Error() string {
	return "purewire: source address " + e.Local.String() + " is gone"
}

// Core is what the Node calls of a protocol.Device, so that a recorder (protocol/eventlog) can sit between. All calls
// are made under one lock. A batch's Open jobs go back whole, in order, together with that same batch.
type Core interface {
	HandlePackets(now timers.Time, in []protocol.Packet, out *protocol.Batch)
	HandleDatagrams(now timers.Time, in []protocol.Datagram, out *protocol.Batch)
	HandleOpened(now timers.Time, in []protocol.OpenJob, out *protocol.Batch)
	HandleShaken(now timers.Time, in []protocol.HandshakeJob, out *protocol.Batch)
	HandleTimeout(now timers.Time, out *protocol.Batch)
	Deadline() (at timers.Time, why timers.Kind, ok bool)

	Configure(now timers.Time, changes []protocol.Change, out *protocol.Batch) error
	Up(now timers.Time, out *protocol.Batch)
	Down(now timers.Time, out *protocol.Batch)
	ForgetSources(now timers.Time, local netip.Addr)
	SetWallClock(now timers.Time, wall time.Time)

	MTU() int
	IsUp() bool
	Identity() protocol.Identity
	UnderLoad(now timers.Time) bool
	Drops() [protocol.NumDropReasons]uint64
	PeersAfter(id protocol.PeerID) iter.Seq[protocol.PeerStats]
	AllowedIPs(id protocol.PeerID) iter.Seq[netip.Prefix]
}

// Observer is what a Core may be besides: it is shown the sealed messages, in the order in which they are about to
// be sent, from one goroutine at a time but not under the lock of the Core.
type Observer interface {
	Sealed(jobs []protocol.SealJob)
}

// Clock is the time that the Node lives by.
type Clock interface {
	// Now is monotonic and runs during suspend if the system can tell (LIFE-06).
	Now() timers.Time
	// Wall is the wall clock (TAI64N only, LIFE-07).
	Wall() time.Time
	// NewAlarm makes an alarm on the monotonic clock.
	NewAlarm() Alarm
	// Jumps gets a value when the wall clock was set. Nil if the system cannot tell.
	Jumps() <-chan struct{}
}

// Alarm is a timer that can be set again and again, by one goroutine at a time.
type Alarm interface {
	// Set makes C get a value once, at the moment at or soon after it, in place of an earlier setting, of which a value
	// may still be under way. timers.Never sets it off.
	Set(at timers.Time)
	// C has room for one value.
	C() <-chan struct{}
	// Close frees what the alarm holds.
	Close()
}
