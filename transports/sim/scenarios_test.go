package sim

import (
	"fmt"
	"net/netip"
	"time"
)

// FromGallery gives the scenario of a name. The gallery imports this package, so that only the external test package
// can import the gallery: it sets this.
var FromGallery func(name string) (Scenario, error)

// scenarios are those of the gallery that run in all tests that take every scenario: one for each kind of trouble.
func scenarios() (all []Scenario) {
	for _, name := range []string{"default", "roaming", "nat-timeout", "crossing", "lossy", "sleep", "restart",
		"cookies", "reconfigure", "liar"} {
		all = append(all, stored(name))
	}
	return all
}

// stored is a new value of the scenario of a name.
func stored(name string) Scenario {
	sc, err := FromGallery(name)
	if err != nil {
		panic(fmt.Sprintf("scenario %s: %v", name, err))
	}
	return sc
}

func addrs(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// open is a network whose hosts have public addresses, with one kind of line in both directions.
func open(name, prefix string, l Line) Network {
	return Network{Name: name, Prefix: netip.MustParsePrefix(prefix), Up: l, Down: l}
}

// behind is a network behind a NAT, with one kind of line in both directions.
func behind(name, prefix, outside string, l Line, t NAT) Network {
	t.Public = netip.MustParseAddr(outside)
	return Network{Name: name, Prefix: netip.MustParsePrefix(prefix), NAT: &t, Up: l, Down: l}
}

const ms = time.Millisecond

// Lines as people have them.
func fibre() Line { return Line{Latency: 4 * ms, Jitter: ms} }
func cable() Line { return Line{Latency: 9 * ms, Jitter: 3 * ms, Loss: Ratio{1, 1000}} }
func wifi() Line  { return Line{Latency: 12 * ms, Jitter: 25 * ms, Loss: Percent(1)} }

// The NATs of a home router, of a guest network and of a mobile operator.
func homeNAT() NAT {
	return NAT{Filtering: AddressPortDependent, Ports: PortPreserve, Timeout: 120 * time.Second}
}

func guestNAT() NAT {
	return NAT{Mapping: AddressPortDependent, Filtering: AddressPortDependent, Timeout: 60 * time.Second}
}

func carrierNAT() NAT {
	return NAT{Mapping: AddressDependent, Filtering: AddressPortDependent, Timeout: 30 * time.Second}
}

// twoHosts is a server with a public address and a client in a network called "client-net".
func twoHosts(client Network, keepalive uint16) ([]Network, []Host) {
	return []Network{open("server-line", "203.0.113.0/28", fibre()), client}, []Host{
		{Name: "server", Network: "server-line", Inner: addrs("10.77.0.1", "fd77::1"),
			Peers: []Peer{{Host: "client"}}},
		{Name: "client", Network: client.Name, Inner: addrs("10.77.0.2", "fd77::2"),
			Peers: []Peer{{Host: "server", Endpoint: "server", Keepalive: keepalive}}},
	}
}

// pings is a ping each way.
func pings(a, b string, every time.Duration) []Flow {
	return []Flow{
		{Kind: FlowPing, From: a, To: b, Start: time.Second, Interval: every},
		{Kind: FlowPing, From: b, To: a, Start: 2 * time.Second, Interval: every},
	}
}
