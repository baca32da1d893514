package uapi

import (
	"iter"
	"net/netip"

	"github.com/purewire/purewire/protocol"
)

// Device is what a Server configures and shows. Its methods are called from several goroutines, but a Configure never
// together with anything else of the same Server.
type Device interface {
	// Configure applies the changes in order, the UDP port (nil: leave it, 0: choose one) and the mark of outgoing
	// packets (nil: leave it, 0: none): all of it or nothing. Its error becomes the errno of the answer: that of a
	// syscall.Errno in its chain, such as EADDRINUSE (UAPI-13), or the one that fits a sentinel error of protocol.
	Configure(changes []protocol.Change, port *uint16, mark *uint32) error

	// View calls f once while nothing else uses the core. f does no I/O and reads 256 peers at most: a get of more is as
	// many calls. An error means that there is no core any more.
	View(f func(core Core, port uint16, mark uint32)) error
}

// Core is what a get reads of a protocol.Device.
type Core interface {
	Identity() protocol.Identity
	// PeersAfter yields the peers beyond an ID, by ascending ID.
	PeersAfter(protocol.PeerID) iter.Seq[protocol.PeerStats]
	// AllowedIPs yields the prefixes of a peer. It is asked for the one that PeersAfter has just yielded, and no other.
	AllowedIPs(protocol.PeerID) iter.Seq[netip.Prefix]
}

// Settings are what one set asks for. The zero value asks for nothing.
type Settings struct {
	Changes []protocol.Change
	Port    *uint16 // of the UDP sockets; 0: any
	Mark    *uint32 // of outgoing packets; 0: none
}
