package main

import (
	"cmp"
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

// pagePeers is how many peers a view reads at once.
const pagePeers = 256

// view is one look at a node. A Node gives its peers in the order of their IDs, as a get asks for them: so a view
// reads those from the one that was asked for on, and has the next ones ready.
type view struct {
	node   *transports.Node
	status transports.Status
	peers  []protocol.PeerStats // by ascending ID
	ends   []int                // of each one's part of routes
	routes []netip.Prefix
}

// Identity gives the static key.
func (v *view) Identity() protocol.Identity { return v.status.Identity }

// Peers yields all peers by ascending ID.
func (v *view) Peers() iter.Seq[protocol.PeerStats] {
	return func(yield func(protocol.PeerStats) bool) {
		v.node.Get(nil, func(p protocol.PeerStats, _ []netip.Prefix) bool { return yield(p) })
	}
}

// find gives the place of a peer in peers, reading it and those behind it if it is not there.
func (v *view) find(id protocol.PeerID) (int, bool) {
	place := func() (int, bool) {
		return slices.BinarySearchFunc(v.peers, id, func(p protocol.PeerStats, id protocol.PeerID) int {
			return cmp.Compare(p.ID, id)
		})
	}
	if i, ok := place(); ok {
		return i, ok
	}
	v.peers, v.ends, v.routes = v.peers[:0], v.ends[:0], v.routes[:0]
	v.node.Get(nil, func(p protocol.PeerStats, routes []netip.Prefix) bool {
		if p.ID < id {
			return true
		}
		v.peers, v.routes = append(v.peers, p), append(v.routes, routes...)
		v.ends = append(v.ends, len(v.routes))
		return len(v.peers) < pagePeers
	})
	return place()
}

// Stats gives one peer.
func (v *view) Stats(id protocol.PeerID) (s protocol.PeerStats, ok bool) {
	i, ok := v.find(id)
	if ok {
		s = v.peers[i]
	}
	return s, ok
}

// AllowedIPs yields the prefixes of one peer.
func (v *view) AllowedIPs(id protocol.PeerID) iter.Seq[netip.Prefix] {
	i, ok := v.find(id)
	if !ok {
		return func(func(netip.Prefix) bool) {}
	}
	from := 0
	if i > 0 {
		from = v.ends[i-1]
	}
	return slices.Values(v.routes[from:v.ends[i]])
}
