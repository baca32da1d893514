package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// someFlows is a flow of each kind and what troubled them.
func someFlows() ([]sim.FlowResult, []sim.Disturbance) {
	way := func(sent, delivered uint64, outages ...sim.Outage) sim.WayResult {
		w := sim.WayResult{Sent: sent, Delivered: delivered, SentBytes: 84 * sent, DeliveredBytes: 84 * delivered,
			PayloadBytes: 56 * delivered, Goodput: 5600, FirstSent: time.Second, FirstAfter: 42 * time.Millisecond,
			Jitter: 3 * time.Millisecond, Outages: outages, OutageCount: uint64(len(outages)),
			Delay: sim.Delays{P50: 20e6, P90: 30e6, P99: 40e6, Max: 15e9}}
		for _, o := range outages {
			w.OutageTotal += o.End - o.Start
		}
		return w
	}
	cut := sim.Outage{Start: 100 * time.Second, End: 112500 * time.Millisecond}
	open := sim.Outage{Start: 700 * time.Second, End: 720 * time.Second, Open: true}
	never := sim.WayResult{Sent: 5, FirstSent: 0, FirstAfter: sim.NoTime}
	flows := []sim.FlowResult{
		{Name: "ping laptop→office", Kind: sim.FlowPing, From: "laptop", To: "office", Forth: way(1000, 999),
			Back: way(999, 990), Round: way(1000, 990, cut, open), Recoveries: []sim.Recovery{
				{Disturbance: 0, First: 111 * time.Second, Back: 112500 * time.Millisecond},
				{Disturbance: 1, First: 700 * time.Second, Back: sim.NoTime}}},
		{Name: "udp office→laptop", Kind: sim.FlowUDP, From: "office", To: "laptop", Forth: never},
		{Name: "poisson office→laptop", Kind: sim.FlowPoisson, From: "office", To: "laptop", Forth: way(50, 50),
			RecoveriesOmitted: 3},
		{Name: "questions", Kind: sim.FlowRequest, From: "laptop", To: "office", Forth: way(12, 11), Back: way(11, 10),
			Round: way(10, 10), Recoveries: []sim.Recovery{{Disturbance: 0, First: 111e9, Back: 111100e6}}},
		{Name: "file", Kind: sim.FlowBulk, From: "office", To: "laptop", Forth: way(9000, 8990, cut), Back: way(4500, 4500),
			Stream: sim.StreamResult{Transfers: 2, Connections: 3, Aborted: 1, Delivered: 12_345_678, Intact: true,
				Segments: 8900, Repeated: 10, Timeouts: 1, Recoveries: 4, SRTT: 40e6,
				Transfer: sim.Delays{P50: 3e9, P90: 4e9, P99: 4e9, Max: 4e9}}},
		{Name: "call", Kind: sim.FlowVoice, From: "laptop", To: "office", Forth: way(3000, 2990),
			Voice: sim.VoiceResult{Late: 7, MOS: 405}},
	}
	return flows, []sim.Disturbance{
		{Action: sim.ActionSleep, Name: "falls asleep for 10s", Host: "laptop", Start: 100e9, End: 110e9},
		{Name: "cut", Start: 600e9, End: 650e9}}
}

func TestFlowsTable(t *testing.T) {
	r := &sim.Result{}
	r.Flows, r.Disturbances = someFlows()
	var out bytes.Buffer
	if err := Flows(&out, r, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "flows.txt", out.String())
	narrow(t, out.String(), defaultWidth)
	out.Reset()
	if err := Flows(&out, &sim.Result{}, Options{}); err != nil || out.Len() > 0 {
		t.Errorf("of no flows: %v, %q", err, &out)
	}
}

// Of a thousand flows and disturbances the worst are shown, in their own order.
func TestFlowsOfMany(t *testing.T) {
	r := &sim.Result{}
	for i := range 1000 {
		bad := time.Duration(i*7919%1000) * time.Second // each length once
		r.Disturbances = append(r.Disturbances, sim.Disturbance{Action: sim.ActionWake, Host: fmt.Sprint("host", i)})
		r.Flows = append(r.Flows, sim.FlowResult{Name: fmt.Sprintf("flow %03d", i), Forth: sim.WayResult{Sent: 1,
			OutageCount: 1, OutageTotal: bad, Outages: []sim.Outage{{End: bad}}},
			Recoveries: []sim.Recovery{{Disturbance: i, Back: bad}}})
	}
	r.Flows[5].Recoveries[0].Back = sim.NoTime
	var out bytes.Buffer
	if err := Flows(&out, r, Options{}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	narrow(t, text, defaultWidth)
	last := ""
	shown := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  flow ") && strings.Contains(line, "min") {
			if name := line[2:10]; name <= last {
				t.Errorf("out of order: %s", line)
			} else {
				last = name
			}
			shown++
		}
	}
	if shown != mostFlows || !strings.Contains(text, "and 984 flows with shorter outages") ||
		!strings.Contains(text, "and 988 more, after which nobody waited longer") || !strings.Contains(text, "to the end") ||
		strings.Count(text, "16 min 39 s") != 2 {
		t.Errorf("%d flows shown:\n%s", shown, text)
	}
}
