package main

import (
	"iter"
	"net/netip"
	"runtime/debug"
	"slices"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/uapi"
)

// largeSet is from how many changes on a set leaves enough garbage behind to hand it back to the system at once. An
// idle node may not collect it for minutes.
const largeSet = 1000

// device is a Node as package uapi wants to see it.
type device struct {
	node *transports.Node
	free func() // hands memory back
}

var _ uapi.Device = device{}

func newDevice(n *transports.Node) device { return device{n, debug.FreeOSMemory} }

// Configure applies a set (UAPI-35).
func (d device) Configure(changes []protocol.Change, port *uint16, mark *uint32) error {
	err := d.node.Configure(transports.Settings{Port: port, Mark: mark, Changes: changes})
	if len(changes) >= largeSet {
		go d.free()
	}
	return err
}

// View gives f the node's peers. No set comes between two of them: package uapi sees to that (UAPI-36).
func (d device) View(f func(core uapi.Core, port uint16, mark uint32)) error {
	v := view{node: d.node}
	d.node.Get(func(s transports.Status) { v.status = s }, nil)
	f(&v, v.status.Port, v.status.Mark)
	return nil
}

// view is one look at a node, which gives a peer and its prefixes together: so these are kept until they are asked for.
type view struct {
	node   *transports.Node
	status transports.Status
	peer   protocol.PeerID // whose routes these are
	routes []netip.Prefix
}

// Identity gives the static key.
func (v *view) Identity() protocol.Identity { return v.status.Identity }

// PeersAfter yields the peers beyond an ID.
func (v *view) PeersAfter(id protocol.PeerID) iter.Seq[protocol.PeerStats] {
	return func(yield func(protocol.PeerStats) bool) {
		v.node.GetAfter(id, nil, func(p protocol.PeerStats, routes []netip.Prefix) bool {
			v.peer, v.routes = p.ID, routes
			return yield(p)
		})
		v.peer, v.routes = 0, nil // the node uses their memory again
	}
}

// AllowedIPs yields the prefixes of the peer that PeersAfter has just yielded.
func (v *view) AllowedIPs(id protocol.PeerID) iter.Seq[netip.Prefix] {
	if id != v.peer {
		panic("wgnode: the prefixes of a peer that is not being looked at")
	}
	return slices.Values(v.routes)
}
