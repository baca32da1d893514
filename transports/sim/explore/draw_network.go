package explore

import (
	"fmt"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// topology draws hosts and the networks in which they are: a star around one that can be reached, or a mesh.
func (d *drawer) topology() {
	n := 2
	switch k := d.r.Intn(100); {
	case k < 15:
	case k < 30:
		n = 3
	case k < 82:
		n = d.in(4, 8)
	default:
		n = d.in(10, 16)
	}
	mesh := n <= 6 && d.percent(40)
	for i := range n {
		d.addHost(d.home(i, mesh))
	}
	for i := range d.f.Hosts {
		for j := range i {
			if !mesh && j > 0 || !d.reachable(i) && !d.reachable(j) {
				continue
			}
			d.peers(j, i)
		}
	}
}

// home draws the network of host number i; the first host can be reached.
func (d *drawer) home(i int, mesh bool) string {
	reached := 30
	if mesh {
		reached = 60
	}
	if i == 0 || d.percent(reached) {
		return d.addOpen()
	}
	if d.percent(30) {
		for _, n := range d.f.Networks {
			if n.NAT != "" {
				return n.Name
			}
		}
	}
	return d.addHome(d.nat())
}

func (d *drawer) line() string {
	return oneOf(d, "fibre", "fibre", "cable", "cable", "wifi", "cell", "satellite")
}

// addOpen makes a network whose hosts have public addresses.
func (d *drawer) addOpen() string {
	k := len(d.f.Networks)
	name := fmt.Sprintf("net-%d", k)
	d.f.Networks = append(d.f.Networks, scenario.Network{Name: name, Prefix: fmt.Sprintf("203.0.%d.0/28", k),
		Link: d.line()})
	return name
}

// addHome makes a network behind a NAT.
func (d *drawer) addHome(nat string) string {
	k := len(d.f.Networks)
	name := fmt.Sprintf("home-%d", k)
	d.f.Networks = append(d.f.Networks, scenario.Network{Name: name, Prefix: fmt.Sprintf("192.168.%d.0/24", k),
		NAT: nat, Public: fmt.Sprintf("198.51.100.%d", 10+k), Link: d.line()})
	return name
}

// nat gives one of the built-in kinds, or a new one.
func (d *drawer) nat() string {
	if d.percent(60) {
		return oneOf(d, "home", "guest", "carrier", "full-cone")
	}
	n := scenario.NAT{Name: d.label("nat"), Mapping: oneOf(d, "", "address", "address-port"),
		Filtering: oneOf(d, "", "address", "address-port"), Ports: oneOf(d, "", "sequential", "preserve"),
		Timeout: d.span(20*second, 180*second), InboundRefresh: d.percent(30)}
	d.f.NATs = append(d.f.NATs, n)
	return n.Name
}

func (d *drawer) addHost(network string) int {
	i := len(d.f.Hosts)
	h := scenario.Host{Name: fmt.Sprintf("h%d", i), Network: network, Inner: []string{fmt.Sprintf("10.77.0.%d", i+1)}}
	if d.percent(40) {
		h.Inner = append(h.Inner, fmt.Sprintf("fd77::%x", i+1))
	}
	if d.percent(15) {
		h.MTU = oneOf(d, 1280, 1000, 1412)
	}
	d.f.Hosts = append(d.f.Hosts, h)
	return i
}

// reachable reports whether host number i has an address of its own on the Internet at the start.
func (d *drawer) reachable(i int) bool { return d.network(d.f.Hosts[i].Network).NAT == "" }

// peers makes a tunnel between two hosts, of which one can be reached at least.
func (d *drawer) peers(a, b int) {
	psk := ""
	if d.percent(20) {
		psk = d.label("psk")
	}
	for _, l := range [...]link{{a, b}, {b, a}} {
		p := scenario.Peer{Host: d.f.Hosts[l.b].Name, PSK: psk}
		if d.reachable(l.b) && (d.percent(85) || !d.reachable(l.a)) {
			p.Endpoint = p.Host
		}
		if !d.reachable(l.a) && d.percent(60) || d.percent(10) {
			p.Keepalive = uint16(oneOf(d, 25, 25, 25, 10, 15, 40, 60))
		}
		h := &d.f.Hosts[l.a]
		h.Peers = append(h.Peers, p)
	}
	if x, y := &d.f.Hosts[a], &d.f.Hosts[b]; peerOf(x, y.Name).Endpoint == "" && peerOf(y, x.Name).Endpoint == "" {
		if d.reachable(b) {
			peerOf(x, y.Name).Endpoint = y.Name
		} else {
			peerOf(y, x.Name).Endpoint = x.Name
		}
	}
	d.pairs = append(d.pairs, link{a, b})
}
