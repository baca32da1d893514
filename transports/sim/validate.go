package sim

import (
	"fmt"
	"net/netip"
	"time"
)

// Validate checks that the parts of the scenario fit together. The error names the first part that does not.
func (sc *Scenario) Validate() error {
	v := &validator{sc: sc, hosts: map[string]*Host{}, networks: map[string]*Network{},
		tunnels: map[pair]bool{}, taken: map[netip.Addr]bool{}}
	if sc.Duration <= 0 {
		v.fail("scenario %q: a duration is needed", sc.Name)
	}
	v.checkNetworks()
	v.checkHosts()
	v.checkFlows()
	v.checkTimeline()
	v.checkFaults()
	v.checkAttacks()
	v.checkModels()
	return v.err
}

type validator struct {
	sc       *Scenario
	hosts    map[string]*Host
	networks map[string]*Network
	tunnels  map[pair]bool // hosts and the peers that they have
	taken    map[netip.Addr]bool
	err      error
}

func (v *validator) fail(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf("sim: "+format, args...)
	}
}

func (v *validator) host(where, name string) *Host {
	h := v.hosts[name]
	if h == nil {
		v.fail("%s: there is no host %q", where, name)
	}
	return h
}

func (v *validator) network(where, name string) *Network {
	n := v.networks[name]
	if n == nil {
		v.fail("%s: there is no network %q", where, name)
	}
	return n
}

// claim keeps two from having one address on the Internet.
func (v *validator) claim(where string, a netip.Addr) {
	if v.taken[a] {
		v.fail("%s: the address %s is taken", where, a)
	}
	v.taken[a] = true
}

func (v *validator) checkNetworks() {
	for i := range v.sc.Networks {
		n := &v.sc.Networks[i]
		where := fmt.Sprintf("network %q", n.Name)
		switch {
		case n.Name == "":
			v.fail("network number %d has no name", i+1)
		case v.networks[n.Name] != nil:
			v.fail("%s: there are two of that name", where)
		case !n.Prefix.IsValid() || n.Prefix.Addr().BitLen()-n.Prefix.Bits() < 2:
			v.fail("%s: a prefix with room for hosts is needed", where)
		}
		v.networks[n.Name] = n
		v.line(where+": up", n.Up)
		v.line(where+": down", n.Down)
		if n.NAT != nil {
			v.nat(where+": NAT", n)
		}
		for j := range v.sc.Networks[:i] {
			if o := &v.sc.Networks[j]; o.NAT == nil && n.NAT == nil && o.Prefix.Overlaps(n.Prefix) {
				v.fail("%s: its prefix overlaps that of %q, and neither is behind a NAT", where, o.Name)
			}
		}
	}
}

func (v *validator) line(where string, l Line) {
	if l.Latency < 0 || l.Jitter < 0 {
		v.fail("%s: a delay cannot be negative", where)
	}
	v.ratio(where+": loss", l.Loss)
	v.ratio(where+": duplicate", l.Duplicate)
	v.ratio(where+": corrupt", l.Corrupt)
}

func (v *validator) ratio(where string, r Ratio) {
	if r.Num > 0 && r.Num > r.Den {
		v.fail("%s: %d/%d is more than always", where, r.Num, r.Den)
	}
}

func (v *validator) nat(where string, n *Network) {
	t := n.NAT
	switch {
	case !t.Public.IsValid() || t.Public.Is4() != n.Prefix.Addr().Is4():
		v.fail("%s: a public address of the family of the network is needed", where)
	case n.Prefix.Contains(t.Public):
		v.fail("%s: the public address %s is inside the network", where, t.Public)
	case t.Mapping >= invalidFromDependence || t.Filtering >= invalidFromDependence:
		v.fail("%s: no such mapping or filtering", where)
	case t.Ports >= invalidFromPortChoice:
		v.fail("%s: no such choice of ports", where)
	case t.Timeout < 0:
		v.fail("%s: a timeout cannot be negative", where)
	}
	if n.Behind == "" {
		v.claim(where, t.Public)
	}
}

func (v *validator) checkHosts() {
	for i := range v.sc.Hosts {
		h := &v.sc.Hosts[i]
		where := fmt.Sprintf("host %q", h.Name)
		if h.Name == "" {
			v.fail("host number %d has no name", i+1)
		}
		if h.Name == strangerName && !v.sc.NoStranger {
			v.fail("%s: this name is taken by the built-in attacker", where)
		}
		if v.hosts[h.Name] != nil {
			v.fail("%s: there are two of that name", where)
		}
		v.hosts[h.Name] = h
		n := v.network(where, h.Network)
		if n == nil {
			return
		}
		if h.Address.IsValid() {
			if !n.Prefix.Contains(h.Address) {
				v.fail("%s: its address %s is not of network %q", where, h.Address, n.Name)
			}
			if n.NAT == nil {
				v.claim(where, h.Address)
			}
		}
		if h.MTU < 0 || h.JobTime < 0 || h.Workers < 0 {
			v.fail("%s: MTU, job time and workers cannot be negative", where)
		}
		for _, a := range h.Inner {
			if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
				v.fail("%s: %s is no inner address", where, a)
			}
		}
	}
	if len(v.sc.Hosts) == 0 {
		v.fail("a scenario needs hosts")
	}
	for i := range v.sc.Hosts {
		v.checkPeers(&v.sc.Hosts[i])
	}
	for i := range v.sc.Hosts {
		v.checkMutual(&v.sc.Hosts[i])
	}
}

func (v *validator) checkPeers(h *Host) {
	for i := range h.Peers {
		p := &h.Peers[i]
		where := fmt.Sprintf("host %q: peer %q", h.Name, p.Host)
		o := v.host(where, p.Host)
		if o == nil {
			return
		}
		if o == h {
			v.fail("%s: a host is no peer of its own", where)
		}
		if v.tunnels[pair{h.Name, p.Host}] {
			v.fail("%s: there are two of that name", where)
		}
		v.tunnels[pair{h.Name, p.Host}] = true
		v.endpoint(where, h, p.Endpoint)
		for _, f := range p.AllowedIPs {
			if !f.IsValid() {
				v.fail("%s: an allowed IP is no prefix", where)
			}
		}
	}
}

// checkMutual finds tunnels with one end.
func (v *validator) checkMutual(h *Host) {
	for _, p := range h.Peers {
		name := h.Name
		if h.Steals != "" {
			name = h.Steals // of the thief its peers know nothing
		}
		mutual := v.tunnels[pair{p.Host, name}]
		if !mutual {
			v.fail("host %q: host %q does not have %q as a peer", h.Name, p.Host, h.Name)
		}
	}
}

// endpoint refuses names of hosts that cannot be reached at the address that they have.
func (v *validator) endpoint(where string, h *Host, endpoint string) {
	if endpoint == "" {
		return
	}
	if o := v.hosts[endpoint]; o != nil {
		if n := v.networks[o.Network]; n != nil && n.NAT != nil && o.Network != h.Network {
			v.fail("%s: endpoint %q is behind the NAT of %q: leave the endpoint out, or write address:port", where,
				endpoint, n.Name)
		}
		return
	}
	a, err := netip.ParseAddrPort(endpoint)
	if err != nil || a.Port() == 0 || a.Addr().Is4In6() || a.Addr().Zone() != "" {
		v.fail("%s: endpoint %q is neither a host nor address:port", where, endpoint)
	}
}

func (v *validator) checkTimeline() {
	for i := range v.sc.Timeline {
		a := &v.sc.Timeline[i]
		where := fmt.Sprintf("timeline %d (%s at %s)", i+1, a.Kind, a.At)
		if a.At < 0 {
			v.fail("%s: it cannot happen before the run", where)
		}
		if a.For < 0 && a.Kind != ActionWallClock && a.Kind != ActionClockStep {
			v.fail("%s: it cannot last less than no time", where)
		}
		if a.Kind == ActionNone || a.Kind >= NumActionKinds {
			v.fail("%s: no such action", where)
		}
		if a.Kind == ActionRebindNAT {
			if n := v.network(where, a.Network); n != nil && n.NAT == nil {
				v.fail("%s: network %q has no NAT", where, a.Network)
			}
			continue
		}
		if h := v.host(where, a.Host); h != nil {
			v.action(where, a, h)
		}
	}
}

func (v *validator) action(where string, a *Action, h *Host) {
	switch a.Kind {
	case ActionRoam:
		n := v.network(where, a.Network)
		if n != nil && a.Address.IsValid() && !n.Prefix.Contains(a.Address) {
			v.fail("%s: the address %s is not of network %q", where, a.Address, a.Network)
		}
	case ActionHome:
		known := a.Network == h.Network
		for _, home := range h.Homes {
			known = known || a.Network == home.Network
		}
		if !known {
			v.fail("%s: %q has no address in %q at the start", where, h.Name, a.Network)
		}
	case ActionEndpoint, ActionKeepalive, ActionPSK, ActionRemovePeer, ActionAddPeer, ActionAllowedIPs:
		known := false
		for _, p := range h.Peers {
			known = known || p.Host == a.Peer
		}
		if !known {
			v.fail("%s: %q is no peer of %q", where, a.Peer, h.Name)
		}
		if a.Kind == ActionEndpoint && v.hosts[a.Text] == nil {
			v.endpoint(where, h, a.Text)
		}
	}
}

func (v *validator) checkFaults() {
	for i := range v.sc.Faults {
		f := &v.sc.Faults[i]
		where := fmt.Sprintf("fault %q", f.Name)
		if f.Network != "" {
			v.network(where, f.Network)
		}
		switch {
		case f.Name == "":
			v.fail("fault number %d has no name", i+1)
		case f.Rule == nil:
			v.fail("%s: a rule is needed", where)
		case f.From < 0 || f.Until < 0 || f.Until > 0 && f.Until <= f.From:
			v.fail("%s: it ends before it begins", where)
		}
	}
}

func (v *validator) checkAttacks() {
	for i := range v.sc.Attacks {
		a := &v.sc.Attacks[i]
		where := fmt.Sprintf("attack %q", a.Name)
		switch {
		case a.Name == "" || a.Name == strangerName || v.hosts[a.Name] != nil:
			v.fail("%s: it needs a name of its own", where)
		case a.Interval < smallestInterval:
			v.fail("%s: an interval of at least %s is needed", where, smallestInterval)
		case len(a.Targets) == 0 || len(a.Kinds) == 0:
			v.fail("%s: targets and kinds are needed", where)
		case a.From < 0 || a.Until < 0 || a.From > time.Duration(1<<62):
			v.fail("%s: it cannot begin or end before the run", where)
		}
		for _, t := range a.Targets {
			v.host(where, t)
		}
		for _, k := range a.Kinds {
			if k == AttackNone || k >= NumAttackKinds {
				v.fail("%s: no such kind", where)
			}
		}
		if a.Address.IsValid() {
			v.claim(where, a.Address)
		}
	}
}
