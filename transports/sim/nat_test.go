package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
)

var (
	natPublic = netip.MustParseAddr("198.51.100.1")
	inA       = netip.MustParseAddrPort("10.0.0.1:51820")
	inB       = netip.MustParseAddrPort("10.0.0.2:51820")
	outX      = netip.MustParseAddrPort("203.0.113.1:1000")
	outX2     = netip.MustParseAddrPort("203.0.113.1:2000")
	outY      = netip.MustParseAddrPort("203.0.113.2:1000")
)

func testNAT(cfg NAT) *nat {
	cfg.Public = natPublic
	return newNAT(cfg, NewRand(1, "nat under test"))
}

// RFC 4787 §4.1: what a mapping is good for.
func TestNATMapping(t *testing.T) {
	for _, c := range []struct {
		mapping          Dependence
		samePort, sameIP bool // is the mapping for outX used for outX2, and for outY
	}{{EndpointIndependent, true, true}, {AddressDependent, true, false}, {AddressPortDependent, false, false}} {
		n := testNAT(NAT{Mapping: c.mapping})
		first := n.outbound(0, inA, outX)
		if first.Addr() != natPublic {
			t.Errorf("mapping %d: translated to %s", c.mapping, first)
		}
		if n.outbound(0, inA, outX) != first {
			t.Errorf("mapping %d: a second datagram gets another port", c.mapping)
		}
		if got := n.outbound(0, inA, outX2) == first; got != c.samePort {
			t.Errorf("mapping %d: same mapping for another port: %v", c.mapping, got)
		}
		if got := n.outbound(0, inA, outY) == first; got != c.sameIP {
			t.Errorf("mapping %d: same mapping for another address: %v", c.mapping, got)
		}
		if n.outbound(0, inB, outX) == first {
			t.Errorf("mapping %d: two hosts share a mapping", c.mapping)
		}
		if in, why := n.inbound(0, outX, first.Port()); in != inA || why != "" {
			t.Errorf("mapping %d: the answer goes to %s, %q", c.mapping, in, why)
		}
	}
}

// RFC 4787 §5: whom the filter lets in.
func TestNATFiltering(t *testing.T) {
	for _, c := range []struct {
		filtering      Dependence
		x2, y, unasked bool
	}{{EndpointIndependent, true, true, false}, {AddressDependent, true, false, false},
		{AddressPortDependent, false, false, false}} {
		n := testNAT(NAT{Filtering: c.filtering})
		port := n.outbound(0, inA, outX).Port()
		for _, in := range []struct {
			from netip.AddrPort
			want bool
		}{{outX, true}, {outX2, c.x2}, {outY, c.y}} {
			if _, why := n.inbound(0, in.from, port); (why == "") != in.want || !in.want && why != "filter" {
				t.Errorf("filtering %d: from %s: %q", c.filtering, in.from, why)
			}
		}
		if _, why := n.inbound(0, outX, port+1); why != "no mapping" {
			t.Errorf("filtering %d: an unused port: %q", c.filtering, why)
		}
	}
}

func TestNATTimeout(t *testing.T) {
	sec := func(n int) timers.Time { return timers.Time(n) * timers.Time(time.Second) }
	for _, c := range []struct {
		name    string
		inbound bool
		out, in []int // seconds at which datagrams pass
		look    int
		alive   bool
	}{
		{"idle for less than the timeout", false, []int{0}, nil, 29, true},
		{"idle for the timeout", false, []int{0}, nil, 30, false},
		{"outbound refreshes", false, []int{0, 20, 40}, nil, 69, true},
		{"inbound does not refresh", false, []int{0}, []int{10, 20}, 31, false},
		{"inbound refreshes if it may", true, []int{0}, []int{10, 20}, 49, true},
		{"and then for as long", true, []int{0}, []int{10, 20}, 50, false},
	} {
		n := testNAT(NAT{Timeout: 30 * time.Second, InboundRefresh: c.inbound, Filtering: AddressPortDependent})
		var port uint16
		for _, at := range c.out {
			port = n.outbound(sec(at), inA, outX).Port()
		}
		for _, at := range c.in {
			n.inbound(sec(at), outX, port)
		}
		_, why := n.inbound(sec(c.look), outX, port)
		if (why == "") != c.alive {
			t.Errorf("%s: at %d s: %q", c.name, c.look, why)
		}
		again := n.outbound(sec(c.look), inA, outX).Port()
		if (again == port) != c.alive {
			t.Errorf("%s: port %d, then %d", c.name, port, again)
		}
	}
	n := testNAT(NAT{})
	port := n.outbound(0, inA, outX).Port()
	if _, why := n.inbound(timers.Never, outX, port); why != "" {
		t.Errorf("a NAT without a timeout forgets: %q", why)
	}
}

func TestNATPorts(t *testing.T) {
	n := testNAT(NAT{Ports: PortPreserve})
	if p := n.outbound(0, inA, outX).Port(); p != inA.Port() {
		t.Errorf("port-preserving: %d", p)
	}
	if p := n.outbound(0, inB, outX).Port(); p == inB.Port() || p < firstNATPort {
		t.Errorf("port-preserving, but taken: %d", p)
	}
	n = testNAT(NAT{Ports: PortSequential, Mapping: AddressPortDependent})
	for want := uint16(firstNATPort); want < firstNATPort+3; want++ {
		if p := n.outbound(0, inA, netip.AddrPortFrom(outX.Addr(), want)).Port(); p != want {
			t.Errorf("sequential: %d, want %d", p, want)
		}
	}
	n = testNAT(NAT{Mapping: AddressPortDependent})
	seen := map[uint16]bool{}
	for i := range 2000 {
		p := n.outbound(0, inA, netip.AddrPortFrom(outX.Addr(), uint16(i+1))).Port()
		if seen[p] || p < firstNATPort {
			t.Fatalf("random: port %d again, or too low", p)
		}
		seen[p] = true
	}
}

func TestNATRunsFull(t *testing.T) {
	n := testNAT(NAT{Mapping: AddressPortDependent, Timeout: time.Minute, Ports: PortSequential})
	made := 0
	for a := range uint16(3) {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(a)}), 1)
		for p := uint16(1); p < 40000; p++ {
			if n.full(0, from, netip.AddrPortFrom(outX.Addr(), p)) {
				continue
			}
			n.outbound(0, from, netip.AddrPortFrom(outX.Addr(), p))
			made++
		}
	}
	if made != 1<<16-firstNATPort-2 {
		t.Errorf("%d mappings", made)
	}
	if n.full(timers.Time(time.Hour), inB, outY) {
		t.Error("still full when all mappings have expired")
	}
}

func TestNATRebind(t *testing.T) {
	n := testNAT(NAT{})
	old := n.outbound(0, inA, outX)
	n.rebind()
	if _, why := n.inbound(0, outX, old.Port()); why != "no mapping" {
		t.Errorf("after rebinding: %q", why)
	}
	if n.outbound(0, inA, outX) == old {
		t.Error("after rebinding a random NAT gives the same port")
	}
}

// The whole of it: a mapping that expires makes the server see another port, and a rebinding too.
func TestServerSeesNATExpire(t *testing.T) {
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", cable(),
		NAT{Timeout: 30 * time.Second, Filtering: AddressPortDependent}), 0)
	sc := Scenario{Name: "expiry", Duration: 130 * time.Second, NoStranger: true, Networks: networks, Hosts: hosts,
		Flows: []Flow{{Kind: FlowPing, From: "client", To: "server", Start: time.Second, Interval: time.Minute},
			{Kind: FlowUDP, From: "server", To: "client", Start: 50 * time.Second, Stop: 51 * time.Second, Interval: time.Hour}},
		Timeline: []Action{{At: 90 * time.Second, Kind: ActionRebindNAT, Network: "home"}}}
	sc.Flows = append(sc.Flows, Flow{Kind: FlowUDP, From: "server", To: "client", Start: 91 * time.Second,
		Stop: 92 * time.Second, Interval: time.Hour})
	ports := map[uint16]bool{}
	filtered := 0
	r := start(t, sc, Options{Seed: 4, Observe: func(r *Record) {
		if r.Kind == KindDatagram && r.Host == "client" {
			ports[r.Src.Port()] = true
		}
		if r.Kind == KindFate && r.Fate == FateFiltered {
			filtered++
			if r.Rule != "home nat: no mapping" {
				t.Errorf("filtered by %q", r.Rule)
			}
		}
	}}).Run()
	if len(ports) != 3 || r.Tunnels[0].Roamed != 2 {
		t.Errorf("the client used the ports %v, the server saw it move %d times", ports, r.Tunnels[0].Roamed)
	}
	if filtered < 2 {
		t.Errorf("%d datagrams of the server met an expired mapping", filtered)
	}
}

func TestHairpin(t *testing.T) {
	for _, hairpin := range []bool{true, false} {
		sc := Scenario{Name: "hairpin", Duration: 20 * time.Second, NoStranger: true,
			Networks: []Network{behind("home", "192.168.1.0/24", "198.51.100.10", cable(),
				NAT{Hairpin: hairpin, Ports: PortPreserve})},
			Hosts: []Host{
				{Name: "a", Network: "home", Inner: addrs("10.77.0.1"),
					Peers: []Peer{{Host: "b", Endpoint: "198.51.100.10:51821", Keepalive: 5}}},
				{Name: "b", Network: "home", Inner: addrs("10.77.0.2"), Port: 51821,
					Peers: []Peer{{Host: "a", Endpoint: "198.51.100.10:51820", Keepalive: 5}}},
			},
			Flows: []Flow{{Kind: FlowPing, From: "a", To: "b", Start: time.Second, Interval: time.Second}}}
		r := start(t, sc, Options{Seed: 4}).Run()
		if met := r.Tunnels[0].Handshakes > 0; met != hairpin {
			t.Errorf("hairpin %v: they met: %v", hairpin, met)
		}
		if !hairpin && r.Fates[FateFiltered] != r.Datagrams {
			t.Errorf("without hairpin: %v", r.Fates)
		}
	}
}
