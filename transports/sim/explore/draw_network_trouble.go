package explore

import (
	"fmt"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// behindNAT draws a network behind a NAT with hosts in it; if there is none, somebody moves in.
func (d *drawer) behindNAT() *scenario.Network {
	var list []string
	for i := range d.f.Hosts {
		if n := d.network(d.f.Hosts[i].Network); n.NAT != "" {
			list = append(list, n.Name)
		}
	}
	if len(list) == 0 {
		list = append(list, d.addHome(d.nat()))
		d.join(list[0])
	}
	return d.network(oneOf(d, list...))
}

// join adds a host in a network that talks to the first one.
func (d *drawer) join(network string) *scenario.Host {
	i := d.addHost(network)
	d.peers(0, i)
	h := &d.f.Hosts[i]
	for _, way := range [][2]string{{"h0", h.Name}, {h.Name, "h0"}} {
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "ping", From: way[0], To: way[1],
			Start: d.span(second, 20*second), Every: d.span(3*second, 15*second)})
	}
	return h
}

// otherNAT gives a network a NAT of its own kind.
func (d *drawer) otherNAT(change func(*scenario.NAT)) {
	n := d.behindNAT()
	t := scenario.NAT{Name: d.label("nat"), Filtering: "address-port", Timeout: d.span(30*second, 120*second)}
	change(&t)
	d.f.NATs = append(d.f.NATs, t)
	n.NAT = t.Name
}

var onNetworks = []ingredient{
	{"firewall", func(d *drawer) {
		// Never before the first host: all others may depend on reaching it.
		h := &d.f.Hosts[d.in(1, len(d.f.Hosts)-1)]
		d.network(h.Network).Firewall = &scenario.Firewall{Timeout: d.span(20*second, 120*second)}
	}},
	{"open-firewall", func(d *drawer) {
		h := d.host()
		d.network(h.Network).Firewall = &scenario.Firewall{Timeout: d.span(20*second, 120*second),
			Open: []uint16{51820}}
	}},
	{"short-mappings", func(d *drawer) {
		d.otherNAT(func(t *scenario.NAT) { t.Timeout = d.span(5*second, 20*second) })
	}},
	{"full-nat", func(d *drawer) {
		d.otherNAT(func(t *scenario.NAT) {
			t.Mapping, t.Mappings, t.Evict = "address-port", 1, d.percent(70)
		})
		if n := d.behindNAT(); n.NAT == d.f.NATs[len(d.f.NATs)-1].Name {
			d.join(n.Name)
		}
	}},
	{"rebind", func(d *drawer) {
		n := d.behindNAT()
		for range d.in(1, 4) {
			d.act(scenario.Action{At: d.moment(second), Do: "rebind-nat", Network: n.Name})
		}
	}},
	{"hairpin", func(d *drawer) {
		// Two in one home that know each other by their outside address only.
		nat := scenario.NAT{Name: d.label("nat"), Ports: "preserve", Hairpin: d.percent(60), Timeout: 2 * minute}
		d.f.NATs = append(d.f.NATs, nat)
		home := d.network(d.addHome(nat.Name))
		name, outside := home.Name, home.Public+":51820"
		a, b := d.addHost(name), d.addHost(name)
		x, y := &d.f.Hosts[a], &d.f.Hosts[b]
		x.Peers = []scenario.Peer{{Host: y.Name}}
		y.Peers = []scenario.Peer{{Host: x.Name, Endpoint: outside}}
		d.pairs = append(d.pairs, link{a, b})
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "ping", From: y.Name, To: x.Name, Start: 5 * second,
			Every: d.span(5*second, 20*second)})
	}},
	{"double-nat", func(d *drawer) {
		n := d.behindNAT()
		if n.Behind != "" {
			return
		}
		k := len(d.f.Networks)
		name, public := n.Name, n.Public
		d.f.Networks = append(d.f.Networks, scenario.Network{Name: fmt.Sprintf("carrier-%d", k),
			Prefix: fmt.Sprintf("100.64.%d.0/24", k), NAT: d.nat(), Public: public, Link: "fibre"})
		n = d.network(name)
		n.Behind, n.Public = fmt.Sprintf("carrier-%d", k), fmt.Sprintf("100.64.%d.9", k)
	}},
}
