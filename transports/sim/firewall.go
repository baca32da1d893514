package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/timers"
)

// firewall is the state of a [Firewall]. Like a NAT it knows addresses, ports and times and nothing else.
type firewall struct {
	cfg   Firewall
	state map[conversation]timers.Time // when each was last used; looked up only
	order []conversation               // those in state, the oldest first
	sweep timers.Time
}

type conversation struct{ inside, outside netip.AddrPort }

func newFirewall(cfg Firewall) *firewall {
	return &firewall{cfg: cfg, state: map[conversation]timers.Time{}}
}

// known reports whether there is living state, and refreshes it if there is.
func (f *firewall) known(now timers.Time, c conversation) bool {
	used, ok := f.state[c]
	if !ok || f.cfg.Timeout > 0 && now.Sub(used) >= f.cfg.Timeout {
		return false
	}
	f.state[c] = now
	return true
}

func (f *firewall) begin(now timers.Time, c conversation) {
	if _, known := f.state[c]; !known {
		f.order = append(f.order, c)
	}
	f.state[c] = now
	if f.cfg.Timeout == 0 || now < f.sweep {
		return
	}
	f.sweep = now.Add(time.Minute)
	kept := f.order[:0]
	for _, c := range f.order {
		if now.Sub(f.state[c]) < f.cfg.Timeout {
			kept = append(kept, c)
		} else {
			delete(f.state, c)
		}
	}
	f.order = kept
}

// out judges a datagram from inside. why is empty if it may go.
func (f *firewall) out(now timers.Time, inside, outside netip.AddrPort) (why string, kind FaultKind) {
	c := conversation{inside, outside}
	switch {
	case f.cfg.BlockUDP:
		return "udp blocked", FaultBlockedUDP
	case f.known(now, c):
	case f.cfg.OutPorts != nil && !slices.Contains(f.cfg.OutPorts, outside.Port()):
		return "port blocked", FaultBlockedPort
	default:
		f.begin(now, c)
	}
	return "", FaultNone
}

// in judges a datagram from outside.
func (f *firewall) in(now timers.Time, outside, inside netip.AddrPort) (why string, kind FaultKind) {
	c := conversation{inside, outside}
	switch {
	case f.cfg.BlockUDP:
		return "udp blocked", FaultBlockedUDP
	case f.known(now, c):
	case slices.Contains(f.cfg.Open, inside.Port()):
		f.begin(now, c)
	default:
		return "unasked", FaultFirewall
	}
	return "", FaultNone
}

// passes reports whether the inside may begin a conversation with a port outside.
func (f *firewall) passes(port uint16) bool {
	return !f.cfg.BlockUDP && (f.cfg.OutPorts == nil || slices.Contains(f.cfg.OutPorts, port))
}

// invites reports whether everybody may send to a port inside.
func (f *firewall) invites(port uint16) bool {
	return !f.cfg.BlockUDP && slices.Contains(f.cfg.Open, port)
}
