package sim

import (
	"testing"
	"time"
)

// BenchmarkDefault is the ten virtual minutes that `wgsim run` shows.
func BenchmarkDefault(b *testing.B) { benchmark(b, Default()) }

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
