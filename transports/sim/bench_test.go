package sim

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// BenchmarkDefault is the ten virtual minutes that `wgsim run` shows.
func BenchmarkDefault(b *testing.B) { benchmark(b, stored("default")) }

// BenchmarkTwoPeers is one virtual hour of two hosts and a ping a second.
func BenchmarkTwoPeers(b *testing.B) {
	networks, hosts := twoHosts(open("client-line", "192.0.2.0/28", fibre()), 0)
	benchmark(b, Scenario{Name: "two", Duration: time.Hour, Networks: networks, Hosts: hosts, NoStranger: true,
		Flows: []Flow{{Kind: FlowPing, From: "client", To: "server", Interval: time.Second}}})
}

func benchmark(b *testing.B, sc Scenario) {
	b.ReportAllocs()
	var events uint64
	for i := range b.N {
		s := start(b, sc, Options{Seed: uint64(i)})
		r := s.Run()
		if !r.OK() {
			b.Fatal(r.Violations)
		}
		events += r.Events
	}
	real := b.Elapsed().Seconds()
	b.ReportMetric(sc.Duration.Hours()*float64(b.N)/real, "virtual-h/s")
	b.ReportMetric(float64(events)/real, "events/s")
}

// star is a hub and its spokes, each with a persistent keepalive of 25 s, and a ping of each so often; zero: none.
func star(spokes int, every, d time.Duration) Scenario {
	sc := Scenario{Name: "star", Duration: d, NoStranger: true, Networks: []Network{
		open("hub-line", "203.0.113.0/28", fibre()), open("spokes-line", "12.0.0.0/8", fibre())}}
	hub := Host{Name: "hub", Network: "hub-line", Inner: addrs("10.0.0.1")}
	for i := range spokes {
		name := "spoke-" + strconv.Itoa(i)
		hub.Peers = append(hub.Peers, Peer{Host: name})
		sc.Hosts = append(sc.Hosts, Host{Name: name, Network: "spokes-line", Limits: protocol.Limits{Jobs: 2},
			Inner: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})},
			Peers: []Peer{{Host: "hub", Endpoint: "hub", Keepalive: 25}}})
		if every > 0 {
			sc.Flows = append(sc.Flows, Flow{Kind: FlowPing, From: name, To: "hub", Interval: every,
				Start: time.Duration(i) * every / time.Duration(spokes)})
		}
	}
	sc.Hosts = append(sc.Hosts, hub)
	return sc
}

// BenchmarkHub is ten virtual minutes of a hub of 1,000 spokes with keepalives.
func BenchmarkHub(b *testing.B) { benchmark(b, star(1000, 0, 10*time.Minute)) }

// BenchmarkGrowth is ten virtual minutes of so many hosts in one star, with keepalives and a ping a minute.
// heap-B/host is what is in use at the end.
func BenchmarkGrowth(b *testing.B) {
	for _, hosts := range []int{10, 100, 1000, 10000} {
		b.Run(strconv.Itoa(hosts), func(b *testing.B) {
			sc := star(hosts-1, time.Minute, 10*time.Minute)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			events := uint64(0)
			for i := range b.N {
				s := start(b, sc, Options{Seed: uint64(i)})
				r := s.Run()
				if !r.OK() {
					b.Fatal(r.Violations[0])
				}
				events += r.Events
				if i == 0 {
					runtime.GC()
					runtime.ReadMemStats(&after)
				}
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(hosts), "heap-B/host")
			b.ReportMetric(float64(after.Sys)/(1<<20), "sys-MiB")
		})
	}
}
