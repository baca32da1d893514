package sim

import (
	"fmt"
	"net/netip"
)

// roam moves a host from one network to another: with a gap in which it is nowhere, or, with an overlap, by having both
// addresses for a while.
func (n *node) roam(a *Action) {
	n.moves++
	n.joining, n.joinAs = n.s.segment(a.Network), a.Address
	if a.Overlap > 0 && a.For <= 0 && n.seg != nil {
		n.s.took(FaultRoamOverlap)
		old := home{n.seg, n.addr}
		n.seg, n.addr = nil, netip.Addr{} // the next address is the default route's
		n.arriveAt(n.moves)
		n.rerouted()
		n.note(ActionRoam, "", fmt.Sprintf("keeps %s for another %s", old.addr, seconds(a.Overlap)))
		n.old = append(n.old, old)
		n.s.later(a.Overlap, event{kind: evLeave, who: int32(n.index)})
		return
	}
	n.s.took(FaultRoam)
	n.old = nil
	for len(n.homes) > 0 {
		n.part(n.homes[0])
	}
	if a.For <= 0 {
		n.arriveAt(n.moves)
		return
	}
	n.s.later(a.For, event{kind: evJoin, who: int32(n.index), gen: n.moves})
}

// part takes an address away, and with it the source that the core may have remembered (ROAM-09).
func (n *node) part(h home) {
	n.note(ActionRoam, "", fmt.Sprintf("leaves %s (%s)", h.seg.cfg.Name, h.addr))
	n.leave(h.addr, h.seg)
	if n.awake() {
		n.dev.ForgetSources(n.now(), h.addr)
	}
}

// overlapEnds takes away the oldest address that was only kept for a while.
func (n *node) overlapEnds() {
	if len(n.old) == 0 {
		return // a later roaming took it
	}
	h := n.old[0]
	n.old = n.old[1:]
	n.part(h)
}

// arriveAt ends a roaming, if no later one has begun.
func (n *node) arriveAt(gen uint32) {
	if gen != n.moves || n.joining == nil {
		return
	}
	g, want := n.joining, n.joinAs
	n.joining = nil
	if want.IsValid() && g.hosts[want] != nil {
		want = netip.Addr{}
	}
	a := n.join(g, want)
	behind := ""
	if g.nat != nil {
		behind = fmt.Sprintf(" behind the NAT %s", g.cfg.NAT.Public)
	}
	n.note(ActionRoam, "", fmt.Sprintf("joins %s as %s%s", g.cfg.Name, a, behind))
}

// moveHome makes another of a host's addresses that of its default route.
func (n *node) moveHome(a *Action) {
	for _, h := range n.homes {
		if h.seg.cfg.Name != a.Network {
			continue
		}
		n.s.took(FaultSourceChange)
		n.seg, n.addr = h.seg, h.addr
		n.note(a.Kind, "", fmt.Sprintf("sends from %s (%s) now", h.addr, a.Network))
		n.rerouted()
		return
	}
	n.note(a.Kind, "", "has no address in "+a.Network)
}

// rerouted lets the core forget its sources: the default route goes another way, and a source that belongs to the old
// one is not to hold the traffic there (ROAM-09).
func (n *node) rerouted() {
	if n.awake() {
		n.dev.ForgetSources(n.now(), netip.Addr{})
	}
}
