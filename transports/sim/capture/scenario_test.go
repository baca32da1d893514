package capture_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/capture"
)

// trouble is a scenario with everything that a capture has to show: NATs, moves, preshared keys, both families inside
// and outside, loss, copies, damage, and forgers.
func trouble() sim.Scenario {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	bad := sim.Line{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: sim.Percent(3),
		Duplicate: sim.Percent(4), Corrupt: sim.Percent(4)}
	nat := func(public string) *sim.NAT {
		return &sim.NAT{Public: addr(public), Timeout: 30 * time.Second, InboundRefresh: true}
	}
	evil := []sim.AttackKind{sim.AttackJunk, sim.AttackBadMAC, sim.AttackGoodMAC, sim.AttackIndex,
		sim.AttackReplay, sim.AttackReplay, sim.AttackSlipCookie}
	return sim.Scenario{
		Name: "trouble", About: "everything at once", Duration: 6 * time.Minute,
		Networks: []sim.Network{
			{Name: "hq", Prefix: prefix("192.0.2.0/24")},
			{Name: "home", Prefix: prefix("192.168.1.0/24"), NAT: nat("198.51.100.1"), Up: bad, Down: bad},
			{Name: "cafe", Prefix: prefix("10.9.0.0/16"), NAT: nat("198.51.100.2"), Up: bad, Down: bad},
			{Name: "six", Prefix: prefix("2001:db8:1::/64"), Up: bad},
			{Name: "seven", Prefix: prefix("2001:db8:2::/64"), Down: bad},
		},
		Hosts: []sim.Host{
			{Name: "office", Network: "hq", Inner: []netip.Addr{addr("10.0.0.1"), addr("fd00::1")},
				Peers: []sim.Peer{{Host: "laptop", PSK: "shared"}, {Host: "phone"}}},
			{Name: "laptop", Network: "home", Inner: []netip.Addr{addr("10.0.0.2"), addr("fd00::2")},
				Peers: []sim.Peer{{Host: "office", Endpoint: "office", PSK: "shared"}}},
			{Name: "phone", Network: "cafe", Inner: []netip.Addr{addr("10.0.0.3")},
				Peers: []sim.Peer{{Host: "office", Endpoint: "office", Keepalive: 25}}},
			{Name: "east", Network: "six", Inner: []netip.Addr{addr("10.1.0.1"), addr("fd01::1")},
				Peers: []sim.Peer{{Host: "west", Endpoint: "west"}}},
			{Name: "west", Network: "seven", Inner: []netip.Addr{addr("10.1.0.2"), addr("fd01::2")},
				Peers: []sim.Peer{{Host: "east", Endpoint: "east"}}},
		},
		Flows: []sim.Flow{
			{Kind: sim.FlowPing, From: "laptop", To: "office", Interval: time.Second},
			{Kind: sim.FlowPing, From: "office", To: "laptop", IPv6: true, Interval: 700 * time.Millisecond},
			{Kind: sim.FlowUDP, From: "phone", To: "office", Interval: 2 * time.Second, Size: 400, TOS: 0xb9},
			{Kind: sim.FlowPing, From: "office", To: "phone", Interval: 2 * time.Second},
			{Kind: sim.FlowPing, From: "east", To: "west", Interval: time.Second},
			{Kind: sim.FlowUDP, From: "west", To: "east", IPv6: true, Interval: 3 * time.Second, Size: 1280},
		},
		Timeline: []sim.Action{
			{At: 70 * time.Second, Kind: sim.ActionRoam, Host: "laptop", Network: "cafe", For: 8 * time.Second},
			{At: 100 * time.Second, Kind: sim.ActionSleep, Host: "phone", For: time.Minute},
			{At: 150 * time.Second, Kind: sim.ActionRebindNAT, Network: "cafe"},
			{At: 200 * time.Second, Kind: sim.ActionRoam, Host: "laptop", Network: "home"},
			{At: 250 * time.Second, Kind: sim.ActionRestart, Host: "office", For: 3 * time.Second},
		},
		NoStranger: true,
		Attacks: []sim.Attack{
			{Name: "mallory", Address: addr("203.0.113.66"), Targets: []string{"office"}, Kinds: evil,
				From: time.Second, Interval: 1300 * time.Millisecond},
			{Name: "trudy", Address: addr("2001:db8:bad::1"), Targets: []string{"east", "west"}, Kinds: evil,
				From: 2 * time.Second, Interval: 1700 * time.Millisecond},
		},
	}
}

// record makes a capture of a run and gives its bytes, with the run's records as another observer counts them.
func record(t *testing.T, s sim.Scenario, seed uint64, also func(*sim.Record)) ([]byte, capture.Counts) {
	t.Helper()
	var file bytes.Buffer
	w, err := capture.New(&file, &s, seed)
	if err != nil {
		t.Fatal(err)
	}
	run, err := sim.New(s, sim.Options{Seed: seed, Observe: func(r *sim.Record) {
		w.Observe(r)
		if also != nil {
			also(r)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	run.Run()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), w.Counts()
}
