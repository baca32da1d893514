package main

import (
	"math"
	"slices"
)

// A metric is one figure that is measured once per round and implementation.
type metric struct {
	Group string `json:"group"` // what --only selects
	Name  string `json:"name"`
	Title string `json:"title"`
	Unit  string `json:"unit"`
	// Higher says that more is better.
	Higher bool `json:"higher_is_better"`
}

// metrics is every figure, in the order of the table. 1 MB is 10^6 bytes of payload, 1 GB is 10^9.
var metrics = []metric{
	{"tcp1", "tcp1.up", "TCP 1 stream, A to B", "MB/s", true},
	{"tcp1", "tcp1.down", "TCP 1 stream, B to A", "MB/s", true},
	{"tcp1", "tcp1.cpu", "CPU of both daemons, TCP 1", "s/GB", false},
	{"tcp8", "tcp8.up", "TCP 8 streams, A to B", "MB/s", true},
	{"tcp8", "tcp8.down", "TCP 8 streams, B to A", "MB/s", true},
	{"tcp8", "tcp8.cpu", "CPU of both daemons, TCP 8", "s/GB", false},
	{"udp", "udp.received", "UDP 64 bytes, saturated", "packets/s", true},
	{"udp", "udp.cpu", "CPU per packet at 20,000/s", "µs", false},
	{"ping", "ping.idle.p50", "ping idle, p50", "µs", false},
	{"ping", "ping.idle.p99", "ping idle, p99", "µs", false},
	{"ping", "ping.load.p50", "ping under TCP load, p50", "µs", false},
	{"ping", "ping.load.p99", "ping under TCP load, p99", "µs", false},
	{"memory", "memory.1", "memory, 1 peer", "MiB", false},
	{"memory", "memory.1000", "memory, 1,000 idle peers", "MiB", false},
	{"memory", "memory.10000", "memory, 10,000 idle peers", "MiB", false},
	{"memory", "memory.peer", "memory per idle peer", "KiB", false},
	{"memory", "memory.configure", "wg setconf of 10,000 peers", "ms", false},
	{"handshakes", "handshakes.rate", "handshakes answered", "1/s", true},
	{"handshakes", "handshakes.cpu", "daemon CPU per handshake", "µs", false},
	{"flood", "flood.unread", "TCP 1, flood to unread socket", "MB/s", true},
	{"flood", "flood.flooded", "TCP 1, flood to the daemon", "MB/s", true},
	{"flood", "flood.kept", "throughput kept in the flood", "%", true},
}

// groupNames gives the groups in the order in which they are measured.
func groupNames() []string {
	var names []string
	for _, m := range metrics {
		if !slices.Contains(names, m.Group) {
			names = append(names, m.Group)
		}
	}
	return names
}

// A result is one figure of one round.
type result struct {
	Round          int     `json:"round"` // from 1
	Implementation string  `json:"implementation"`
	Metric         string  `json:"metric"`
	Value          float64 `json:"value"`
}

// A summary is what all rounds say about one implementation and one metric.
type summary struct {
	Metric         string  `json:"metric"`
	Implementation string  `json:"implementation"`
	Rounds         int     `json:"rounds"`
	Median         float64 `json:"median"`
	Min            float64 `json:"min"`
	Max            float64 `json:"max"`
	// Ratio of the medians to the base; 0 if that has none or its median is 0.
	Ratio float64 `json:"ratio"`
}

// median gives the middle of the values, the mean of the two middle ones of an even number, and NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// percentile gives the smallest value that at least p (0 to 1) of the values do not exceed, and NaN of none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return s[max(0, min(len(s), int(math.Ceil(p*float64(len(s)))))-1)]
}

// summarize gives one summary for each metric and implementation that has results, in the order of the table.
func summarize(impls []implementation, results []result, base string) []summary {
	values := map[[2]string][]float64{}
	for _, r := range results {
		k := [2]string{r.Metric, r.Implementation}
		values[k] = append(values[k], r.Value)
	}
	var out []summary
	for _, m := range metrics {
		reference := median(values[[2]string{m.Name, base}])
		for _, i := range impls {
			v := values[[2]string{m.Name, i.Name}]
			if len(v) == 0 {
				continue
			}
			s := summary{Metric: m.Name, Implementation: i.Name, Rounds: len(v),
				Median: median(v), Min: slices.Min(v), Max: slices.Max(v)}
			if reference > 0 { // not for NaN
				s.Ratio = s.Median / reference
			}
			out = append(out, s)
		}
	}
	return out
}
