package sim_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// Two hosts, one of them behind a home router, and a ping a second for ten virtual minutes.
func Example() {
	line := sim.Line{Latency: 15 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: sim.Percent(1)}
	sc := sim.Scenario{
		Name: "example", Duration: 10 * time.Minute,
		Networks: []sim.Network{
			{Name: "centre", Prefix: netip.MustParsePrefix("203.0.113.0/28")},
			{Name: "home", Prefix: netip.MustParsePrefix("192.168.1.0/24"), Up: line, Down: line,
				NAT: &sim.NAT{Public: netip.MustParseAddr("198.51.100.1"), Timeout: 30 * time.Second}},
		},
		Hosts: []sim.Host{
			{Name: "server", Network: "centre", Inner: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
				Peers: []sim.Peer{{Host: "client"}}},
			{Name: "client", Network: "home", Inner: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
				Peers: []sim.Peer{{Host: "server", Endpoint: "server", Keepalive: 25}}},
		},
		Flows: []sim.Flow{{Kind: sim.FlowPing, From: "client", To: "server", Interval: time.Second}},
	}
	rekeys := 0
	s, err := sim.New(sc, sim.Options{Seed: 1, Observe: func(r *sim.Record) {
		if r.Kind == sim.KindCore && r.Event.Kind == protocol.EventInitiationSent &&
			r.Event.Cause == protocol.CauseRekeyTime {
			rekeys++
		}
	}})
	if err != nil {
		log.Fatal(err)
	}
	result := s.Run()
	fmt.Println("safe:", result.OK())
	fmt.Println("rekeys after 120 s:", rekeys)
	fmt.Println("pings sent:", result.Tunnels[0].BtoA.Sent)
	// Output:
	// safe: true
	// rekeys after 120 s: 4
	// pings sent: 595
}
