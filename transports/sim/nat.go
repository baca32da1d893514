package sim

import (
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// nat is the state of a [NAT]. It knows addresses, ports and times and nothing else, so that it can be tested alone.
type nat struct {
	cfg      NAT
	rnd      *Rand
	byInside map[natKey]*mapping // looked up only; keeps expired mappings for the port they had
	byPort   map[uint16]*mapping // of live mappings and of some that have expired
	last     uint16              // of PortSequential
	all      []*mapping          // those in byPort, in no order that matters
	sweep    timers.Time         // when to look for expired mappings again
	took     func(FaultKind)     // counts what takes effect; nil: nobody does
}

// natKey is what a mapping depends on: the inside, and of the outside as much as the NAT's kind looks at.
type natKey struct{ inside, outside netip.AddrPort }

type mapping struct {
	inside   netip.AddrPort
	port     uint16
	used     timers.Time
	at       int // where in nat.all
	dead     bool
	contacts []contact // whom the inside has sent to, for the filter
}

type contact struct {
	outside netip.AddrPort
	used    timers.Time
}

// firstNATPort: ports below are left to the NAT's own services, as real ones do.
const firstNATPort = 1024

func newNAT(cfg NAT, rnd *Rand) *nat {
	return &nat{cfg: cfg, rnd: rnd, byInside: map[natKey]*mapping{}, byPort: map[uint16]*mapping{},
		last: firstNATPort - 1}
}

func (n *nat) old(now, used timers.Time) bool {
	return n.cfg.Timeout > 0 && now.Sub(used) >= n.cfg.Timeout
}

func (n *nat) expired(now timers.Time, m *mapping) bool { return m.dead || n.old(now, m.used) }

func (n *nat) key(inside, outside netip.AddrPort) natKey {
	switch n.cfg.Mapping {
	case AddressDependent:
		return natKey{inside, netip.AddrPortFrom(outside.Addr(), 0)}
	case AddressPortDependent:
		return natKey{inside, outside}
	}
	return natKey{inside: inside}
}

// outbound translates the source of a datagram to the outside. It makes a mapping if there is none, and refreshes
// the one that there is (RFC 4787 REQ-6: outbound traffic must).
func (n *nat) outbound(now timers.Time, inside, outside netip.AddrPort) netip.AddrPort {
	k := n.key(inside, outside)
	m := n.byInside[k]
	if m == nil || n.expired(now, m) {
		var before uint16
		if m != nil {
			before = m.port
			if !m.dead {
				n.count(FaultNATExpiry)
			}
			n.drop(m)
		}
		m = &mapping{inside: inside, port: n.choose(now, inside.Port(), before)}
		if old := n.byPort[m.port]; old != nil {
			n.drop(old) // it has expired
		}
		n.byInside[k], n.byPort[m.port] = m, m
		m.at = len(n.all)
		n.all = append(n.all, m)
	}
	m.used = now
	n.contact(now, m, outside)
	return netip.AddrPortFrom(n.cfg.Public, m.port)
}

func (n *nat) count(k FaultKind) {
	if n.took != nil {
		n.took(k)
	}
}

// drop takes a mapping out. byInside keeps it, for the port that it had.
func (n *nat) drop(m *mapping) {
	if n.byPort[m.port] == m {
		delete(n.byPort, m.port)
	}
	if last := len(n.all) - 1; m.at <= last && n.all[m.at] == m {
		n.all[m.at], n.all[last].at = n.all[last], m.at
		n.all = n.all[:last]
	}
}

func (n *nat) contact(now timers.Time, m *mapping, outside netip.AddrPort) {
	kept := m.contacts[:0]
	for _, c := range m.contacts {
		if c.outside != outside && !n.old(now, c.used) {
			kept = append(kept, c)
		}
	}
	m.contacts = append(kept, contact{outside, now})
}

// choose picks the port of a new mapping. before is the one its predecessor had: the peer of a tunnel is to see that
// an expired mapping is gone.
func (n *nat) choose(now timers.Time, inside, before uint16) uint16 {
	switch n.cfg.Ports {
	case PortPreserve:
		if n.free(now, inside) {
			return inside
		}
	case PortSequential:
		for {
			if n.last++; n.last < firstNATPort {
				n.last = firstNATPort
			}
			if n.free(now, n.last) && n.last != before {
				return n.last
			}
		}
	}
	for {
		p := uint16(firstNATPort + n.rnd.Intn(1<<16-firstNATPort))
		if n.free(now, p) && p != before {
			return p
		}
	}
}

func (n *nat) free(now timers.Time, port uint16) bool {
	m := n.byPort[port]
	return m == nil || n.expired(now, m)
}

// smallTable is how many mappings may be looked at for every datagram that finds the table full.
const smallTable = 1024

// full reports whether no port is left, in which case nothing that needs a new mapping gets out. It first forgets
// expired mappings, but not more often than once a second, because it has to look at all of them. One port is kept free
// so that a successor need not get its predecessor's.
func (n *nat) full(now timers.Time, inside, outside netip.AddrPort) bool {
	most := 1<<16 - firstNATPort - 2
	if n.cfg.Mappings > 0 {
		most = min(most, n.cfg.Mappings)
	}
	if m := n.byInside[n.key(inside, outside)]; len(n.byPort) < most || m != nil && !n.expired(now, m) {
		return false
	}
	if now >= n.sweep || len(n.all) <= smallTable {
		n.sweep = now.Add(time.Second)
		for i := len(n.all) - 1; i >= 0; i-- { // drop puts the last one, which was looked at, in the place of another
			if n.expired(now, n.all[i]) {
				n.drop(n.all[i])
			}
		}
	}
	if len(n.byPort) >= most && n.cfg.Evict {
		idle := n.all[0]
		for _, m := range n.all {
			if m.used < idle.used {
				idle = m
			}
		}
		n.count(FaultNATOverflow)
		idle.dead = true
		n.drop(idle)
	}
	return len(n.byPort) >= most
}

// inbound translates the destination of a datagram from the outside. why is one word if it does not come in.
func (n *nat) inbound(now timers.Time, outside netip.AddrPort, port uint16) (inside netip.AddrPort, why string) {
	m := n.byPort[port]
	if m == nil || n.expired(now, m) {
		if m != nil {
			n.count(FaultNATExpiry)
		}
		return inside, "no mapping"
	}
	if !n.lets(now, m, outside) {
		return inside, "filter"
	}
	if n.cfg.InboundRefresh {
		m.used = now
	}
	return m.inside, ""
}

// lets is the filter (RFC 4787 §5): the inside must have sent to this source, as narrowly as the kind says.
func (n *nat) lets(now timers.Time, m *mapping, outside netip.AddrPort) bool {
	if n.cfg.Filtering == EndpointIndependent {
		return true
	}
	for i := range m.contacts {
		c := &m.contacts[i]
		same := c.outside == outside || n.cfg.Filtering == AddressDependent && c.outside.Addr() == outside.Addr()
		if same && !n.old(now, c.used) {
			if n.cfg.InboundRefresh {
				c.used = now
			}
			return true
		}
	}
	return false
}

// rebind forgets all mappings, as a router that was switched off and on does. PortPreserve may give the same ports
// again.
func (n *nat) rebind() {
	for _, m := range n.all {
		m.dead = true
	}
	n.all = nil
	clear(n.byPort)
}
