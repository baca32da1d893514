package sim

import (
	"net/netip"
	"time"
)

// Scenarios lists the scenarios that come with the package, the default one first. Each call makes new values.
func Scenarios() []Scenario {
	return []Scenario{Default(), roaming(), natTimeout(), crossing(), lossy(), sleeping(), restarting(), flooded(),
		reconfigured(), lying()}
}

// Find gives the scenario of a name.
func Find(name string) (Scenario, bool) {
	for _, sc := range Scenarios() {
		if sc.Name == name {
			return sc, true
		}
	}
	return Scenario{}, false
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
func cell() Line  { return Line{Latency: 35 * ms, Jitter: 30 * ms, Loss: Ratio{5, 1000}} }

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

// Default is what `wgsim run` shows: an office and those who are tied to it, for ten minutes.
func Default() Scenario {
	return Scenario{
		Name: "default",
		About: "an office gateway, a laptop that roams between networks behind NAT, a phone that sleeps, " +
			"a branch on a lossy line",
		Duration: 10 * time.Minute,
		Networks: []Network{
			open("office-line", "203.0.113.0/28", fibre()),
			behind("home", "192.168.1.0/24", "198.51.100.10", cable(), homeNAT()),
			behind("cafe", "10.20.0.0/16", "198.51.100.20", wifi(), guestNAT()),
			behind("mobile", "100.64.0.0/16", "198.51.100.30", cell(), carrierNAT()),
			open("branch-line", "192.0.2.16/28", Line{Latency: 20 * ms, Jitter: 10 * ms, Loss: Percent(2),
				Duplicate: Ratio{5, 1000}, Corrupt: Ratio{3, 1000}}),
		},
		Hosts: defaultHosts(),
		Flows: []Flow{
			{Kind: FlowPing, From: "laptop", To: "office", Start: time.Second, Interval: time.Second},
			{Kind: FlowPing, From: "office", To: "laptop", Start: 3 * time.Second, Interval: 2 * time.Second},
			{Kind: FlowPing, From: "laptop", To: "branch", IPv6: true, Start: 5 * time.Second,
				Interval: 5 * time.Second},
			{Kind: FlowUDP, From: "branch", To: "office", Start: 2 * time.Second, Interval: 200 * ms, Size: 600,
				TOS: 0xba},
			{Kind: FlowUDP, From: "office", To: "branch", Start: 2 * time.Second, Interval: time.Second, Size: 1420},
			{Kind: FlowPing, From: "phone", To: "office", Start: 4 * time.Second, Interval: 3 * time.Second},
			{Kind: FlowPing, From: "office", To: "phone", Start: 20 * time.Second, Interval: 30 * time.Second},
		},
		Timeline: []Action{
			{At: 110 * time.Second, Kind: ActionSleep, Host: "phone", For: 95 * time.Second},
			{At: 150 * time.Second, Kind: ActionRoam, Host: "laptop", Network: "cafe", For: 4 * time.Second},
			{At: 330 * time.Second, Kind: ActionRoam, Host: "laptop", Network: "mobile", For: 2 * time.Second},
			{At: 345 * time.Second, Kind: ActionSleep, Host: "phone", For: 3 * time.Minute},
			{At: 480 * time.Second, Kind: ActionRoam, Host: "laptop", Network: "home", For: 9 * time.Second},
		},
	}
}

func defaultHosts() []Host {
	everybody := prefixes("10.77.0.0/24", "fd77::/64")
	return []Host{
		{Name: "office", Network: "office-line", Inner: addrs("10.77.0.1", "fd77::1"), Forward: true, Peers: []Peer{
			{Host: "laptop"},
			{Host: "phone", PSK: "office and phone"},
			{Host: "branch", Endpoint: "branch"},
		}},
		{Name: "laptop", Network: "home", Inner: addrs("10.77.0.2", "fd77::2"), Peers: []Peer{
			{Host: "office", AllowedIPs: everybody, Endpoint: "office", Keepalive: 25},
		}},
		{Name: "phone", Network: "mobile", Inner: addrs("10.77.0.3", "fd77::3"), MTU: 1280, Peers: []Peer{
			{Host: "office", AllowedIPs: everybody, Endpoint: "office", Keepalive: 25, PSK: "office and phone"},
		}},
		{Name: "branch", Network: "branch-line", Inner: addrs("10.77.0.4", "fd77::4"), Peers: []Peer{
			{Host: "office", AllowedIPs: everybody, Endpoint: "office"},
		}},
	}
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

func roaming() Scenario {
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", cable(), homeNAT()), 25)
	networks = append(networks,
		behind("train", "10.0.0.0/16", "198.51.100.40", wifi(), guestNAT()),
		behind("mobile", "100.64.0.0/16", "198.51.100.30", cell(), carrierNAT()))
	sc := Scenario{Name: "roaming", About: "a client changes between home, train and mobile network every 20 seconds",
		Duration: 5 * time.Minute, Networks: networks, Hosts: hosts, Flows: pings("client", "server", 500*ms)}
	for i, at := 0, 20*time.Second; at < 280*time.Second; i, at = i+1, at+20*time.Second {
		sc.Timeline = append(sc.Timeline, Action{At: at, Kind: ActionRoam, Host: "client",
			Network: []string{"train", "mobile", "home"}[i%3], For: time.Duration(i%4) * time.Second})
	}
	return sc
}

func natTimeout() Scenario {
	short := guestNAT()
	short.Timeout = 30 * time.Second
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", cable(), short), 0)
	hosts[0].Peers = append(hosts[0].Peers, Peer{Host: "kept"})
	hosts = append(hosts, Host{Name: "kept", Network: "home", Inner: addrs("10.77.0.3"),
		Peers: []Peer{{Host: "server", Endpoint: "server", Keepalive: 25}}})
	return Scenario{Name: "nat-timeout",
		About:    "two clients behind a NAT that forgets after 30 s: one with persistent keepalive, one without",
		Duration: 8 * time.Minute, Networks: networks, Hosts: hosts,
		Flows: []Flow{
			{Kind: FlowPing, From: "client", To: "server", Start: time.Second, Interval: 100 * time.Second},
			{Kind: FlowPing, From: "kept", To: "server", Start: time.Second, Interval: 100 * time.Second},
			{Kind: FlowPing, From: "server", To: "client", Start: 60 * time.Second, Interval: 50 * time.Second},
			{Kind: FlowPing, From: "server", To: "kept", Start: 60 * time.Second, Interval: 50 * time.Second},
		}}
}

func crossing() Scenario {
	far := Line{Latency: 200 * ms}
	both := func(name, network, inner, peer string) Host {
		return Host{Name: name, Network: network, Inner: addrs(inner), Peers: []Peer{{Host: peer, Endpoint: peer}}}
	}
	return Scenario{Name: "crossing",
		About:    "two hosts far apart begin at the same moment, so that their initiations cross",
		Duration: 3 * time.Minute,
		Networks: []Network{open("east", "192.0.2.0/28", far), open("west", "203.0.113.0/28", far)},
		Hosts:    []Host{both("east", "east", "10.77.0.1", "west"), both("west", "west", "10.77.0.2", "east")},
		Flows: []Flow{
			{Kind: FlowUDP, From: "east", To: "west", Start: time.Second, Interval: time.Second},
			{Kind: FlowUDP, From: "west", To: "east", Start: time.Second, Interval: time.Second},
		}}
}

func lossy() Scenario {
	bad := Line{Latency: 30 * ms, Jitter: 60 * ms, Loss: Percent(15), Duplicate: Percent(5), Corrupt: Percent(5)}
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", bad, homeNAT()), 25)
	return Scenario{Name: "lossy",
		About:    "a line that loses, doubles, damages and overtakes, and is cut altogether for ten seconds",
		Duration: 5 * time.Minute, Networks: networks, Hosts: hosts, Flows: append(pings("client", "server", 300*ms),
			Flow{Kind: FlowUDP, From: "server", To: "client", Start: 3 * time.Second, Interval: 50 * ms, Size: 1200}),
		Faults: []Fault{{Name: "cut", Network: "home", From: 100 * time.Second, Until: 110 * time.Second,
			Rule: Lose{Percent(100)}}}}
}

func sleeping() Scenario {
	networks, hosts := twoHosts(behind("mobile", "100.64.0.0/16", "198.51.100.30", cell(), carrierNAT()), 25)
	return Scenario{Name: "sleep",
		About:    "a client sleeps for seconds, for minutes, and for longer than any key lives",
		Duration: 10 * time.Minute, Networks: networks, Hosts: hosts, Flows: pings("client", "server", time.Second),
		Timeline: []Action{
			{At: 30 * time.Second, Kind: ActionSleep, Host: "client", For: 8 * time.Second},
			{At: 60 * time.Second, Kind: ActionSleep, Host: "client", For: 90 * time.Second},
			{At: 200 * time.Second, Kind: ActionSleep, Host: "client", For: 4 * time.Minute},
		}}
}

func restarting() Scenario {
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", cable(), homeNAT()), 25)
	return Scenario{Name: "restart",
		About: "the server, then the client, then both stop without a word and come back without memory; at last " +
			"the server takes its interface down and up",
		Duration: 5 * time.Minute, Networks: networks, Hosts: hosts, Flows: pings("client", "server", time.Second),
		Timeline: []Action{
			{At: 60 * time.Second, Kind: ActionRestart, Host: "server", For: 3 * time.Second},
			{At: 130 * time.Second, Kind: ActionRestart, Host: "client", For: 3 * time.Second},
			{At: 200 * time.Second, Kind: ActionRestart, Host: "server", For: 2 * time.Second},
			{At: 200 * time.Second, Kind: ActionRestart, Host: "client", For: 5 * time.Second},
			{At: 260 * time.Second, Kind: ActionInterface, Host: "server"},
			{At: 262 * time.Second, Kind: ActionInterface, Host: "server", On: true},
		}}
}

func flooded() Scenario {
	networks, hosts := twoHosts(open("client-line", "192.0.2.0/28", cable()), 0)
	hosts[0].JobTime = 2 * ms
	hosts[0].Peers = append(hosts[0].Peers, Peer{Host: "late"})
	hosts = append(hosts, Host{Name: "late", Network: "client-line", Inner: addrs("10.77.0.3"),
		Peers: []Peer{{Host: "server", Endpoint: "server"}}})
	return Scenario{Name: "cookies",
		About: "a thousand forged initiations a second keep a slow server under load: an old tunnel goes on, " +
			"a new one comes up by cookie",
		Duration: 100 * time.Second, Networks: networks, Hosts: hosts,
		Flows: append(pings("client", "server", time.Second),
			Flow{Kind: FlowPing, From: "late", To: "server", Start: 40 * time.Second, Interval: time.Second}),
		Attacks: []Attack{{Name: "flood", Targets: []string{"server"}, Kinds: []AttackKind{AttackGoodMAC},
			From: 30 * time.Second, Until: 70 * time.Second, Interval: ms}}}
}

func reconfigured() Scenario {
	networks, hosts := twoHosts(open("client-line", "192.0.2.0/28", cable()), 0)
	hosts[1].Peers[0].PSK, hosts[0].Peers[0].PSK = "first", "first"
	hosts[0].Peers[0].Endpoint = "client"
	at := func(s int, k ActionKind, host, peer string) Action {
		return Action{At: time.Duration(s) * time.Second, Kind: k, Host: host, Peer: peer}
	}
	list := []Action{at(20, ActionKeepalive, "client", "server"), at(40, ActionPSK, "client", "server"),
		at(40, ActionPSK, "server", "client"), at(150, ActionEndpoint, "server", "client"),
		at(170, ActionRemovePeer, "server", "client"), at(180, ActionAddPeer, "server", "client"),
		at(220, ActionWallClock, "client", ""), at(260, ActionKeepalive, "client", "server")}
	list[0].Number, list[1].Text, list[2].Text, list[3].Text = 10, "second", "second", "client"
	list[6].For = -time.Hour
	return Scenario{Name: "reconfigure",
		About: "keepalive, preshared key and endpoint change under way, a peer goes and comes back, a clock is set " +
			"back by an hour",
		Duration: 6 * time.Minute, Networks: networks, Hosts: hosts, Timeline: list,
		Flows: pings("client", "server", time.Second)}
}

func lying() Scenario {
	networks, hosts := twoHosts(behind("home", "192.168.1.0/24", "198.51.100.10", cable(), homeNAT()), 0)
	hosts[0].Peers = append(hosts[0].Peers, Peer{Host: "liar"})
	hosts = append(hosts, Host{Name: "liar", Network: "home", Inner: addrs("10.77.0.3"),
		Peers: []Peer{{Host: "server", Endpoint: "server"}}})
	return Scenario{Name: "liar",
		About:    "a peer sends packets in the name of another one, which must not come out of the tunnel",
		Duration: 3 * time.Minute, Networks: networks, Hosts: hosts,
		Flows: append(pings("client", "server", time.Second),
			Flow{Kind: FlowUDP, From: "liar", To: "server", Start: time.Second, Interval: time.Second},
			Flow{Name: "lies", Kind: FlowUDP, From: "liar", To: "server", Start: 10 * time.Second,
				Interval: time.Second, Source: netip.MustParseAddr("10.77.0.2")})}
}
