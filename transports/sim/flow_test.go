package sim

import (
	"crypto/sha256"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
)

// between is two hosts on fibre and the flows given.
func between(t *testing.T, d time.Duration, o Options, change func(*Scenario), flows ...Flow) Result {
	t.Helper()
	networks, hosts := twoHosts(open("client-line", "192.0.2.0/28", fibre()), 25)
	sc := Scenario{Name: "flows", Duration: d, Networks: networks, Hosts: hosts, Flows: flows, NoStranger: true}
	for i := range sc.Flows {
		sc.Flows[i].From, sc.Flows[i].To = "client", "server"
	}
	if change != nil {
		change(&sc)
	}
	r := start(t, sc, o).Run()
	if !r.OK() {
		t.Fatal(r.Violations)
	}
	return r
}

// near fails unless got is within a part of want.
func near(t *testing.T, what string, got, want, part uint64) {
	t.Helper()
	if got < want-want/part || got > want+want/part {
		t.Errorf("%s is %d, want %d", what, got, want)
	}
}

func TestNegLog(t *testing.T) {
	for _, u := range []uint64{0, 1, 2, 1 << 20, 1<<32 + 12345, 1<<63 - 1, 1 << 63, 3 << 62, 1<<64 - 2, 1<<64 - 1} {
		want := (64*math.Ln2 - math.Log(float64(u)+1)) * (1 << 32)
		if got := float64(negLog(u)); math.Abs(got-want) > 4 {
			t.Errorf("-ln(%#x/2^64) = %g, want %g", u, got, want)
		}
	}
}

// TestPoisson counts packets per second: the mean is the variance, and the counts are as the distribution has them.
func TestPoisson(t *testing.T) {
	perSecond, last, n := map[int]int{}, int64(0), 0
	var total, squares int
	r := between(t, 2005*time.Second, Options{Seed: 3, Observe: func(r *Record) {
		if r.Kind != KindInnerSent || r.Inner.Kind != InnerUDP {
			return
		}
		for ; last < int64(r.At)/int64(time.Second); last++ {
			perSecond[n]++
			total, squares, n = total+n, squares+n*n, 0
		}
		n++
	}}, nil, Flow{Kind: FlowPoisson, Interval: 250 * ms})
	seconds := int(last)
	near(t, "the number of packets", uint64(total), uint64(4*seconds), 20)
	variance := (squares*seconds - total*total) / seconds
	near(t, "the variance", uint64(variance), uint64(4*seconds), 8)
	// e⁻⁴·4ⁿ/n! of 10,000
	for n, want := range []int{183, 733, 1465, 1954, 1954, 1563, 1042, 595} {
		if got := perSecond[n] * 10_000 / seconds; got < want-300 || got > want+300 {
			t.Errorf("%d packets in a second: %d of 10,000 times, want %d", n, got, want)
		}
	}
	if f := r.Flows[0]; f.Forth.Delivered != f.Forth.Sent || f.Back.Sent != 0 || f.Name != "poisson client→server" {
		t.Errorf("%+v", f)
	}
}

func TestRequests(t *testing.T) {
	r := between(t, 105*time.Second, Options{Seed: 1}, func(sc *Scenario) {
		sc.Faults = []Fault{{Name: "cut", Network: "client-line", From: 40 * time.Second, Until: 49 * time.Second,
			Rule: Lose{Percent(100)}}}
	}, Flow{Kind: FlowRequest, Interval: 500 * ms, Size: 100, Reply: 1000})
	f := r.Flows[0]
	if f.Forth.DeliveredBytes/f.Forth.Delivered != 100 || f.Back.DeliveredBytes/f.Back.Delivered != 1000 {
		t.Errorf("sizes: %+v", f)
	}
	// A question takes three tries of 1 s and a pause of 500 ms to fail: two or three of them in 9 s.
	if lost := f.Round.Lost(); lost < 2 || lost > 3 || f.Forth.Sent-f.Round.Sent < 2*lost {
		t.Errorf("%d failed: %+v", lost, f.Round)
	}
	if f.Round.Delay.P50 < 16*ms || f.Round.Delay.P50 > 20*ms || len(f.Round.Outages) != 1 {
		t.Errorf("%+v", f.Round)
	}
	if o := f.Round.Outages[0]; o.Start < 40*time.Second || o.Start > 41*time.Second || o.End < 49*time.Second ||
		o.End > 53*time.Second || o.Open {
		t.Errorf("the outage is %+v", o)
	}
	if len(f.Recoveries) != 1 || r.Disturbances[0].Name != "cut" || r.Disturbances[0].End != 49*time.Second {
		t.Fatalf("%+v %+v", f.Recoveries, r.Disturbances)
	}
	if took := f.Recoveries[0].Took(&r.Disturbances[0]); took < 0 || took > 4*time.Second {
		t.Errorf("recovery took %s", took)
	}
}

func TestVoice(t *testing.T) {
	call := Flow{Kind: FlowVoice}
	good := between(t, 65*time.Second, Options{Seed: 1}, nil, call).Flows[0]
	near(t, "frames", good.Forth.Sent, 3000, 100)
	if good.Voice.Late != 0 || good.Voice.MOS < 430 {
		t.Errorf("a good line: %+v", good.Voice)
	}
	jittery := between(t, 65*time.Second, Options{Seed: 1}, func(sc *Scenario) {
		sc.Networks[1].Up.Jitter = 100 * ms
	}, call).Flows[0]
	// Two fifths of the frames come more than 60 ms after the quickest. The mean difference of two is 100/3 ms.
	near(t, "late frames", jittery.Voice.Late, jittery.Forth.Sent*2/5, 8)
	near(t, "jitter", uint64(jittery.Forth.Jitter), uint64(100*ms/3), 3)
	lossy := between(t, 65*time.Second, Options{Seed: 1}, func(sc *Scenario) {
		sc.Networks[1].Up.Loss = Percent(5)
	}, call).Flows[0]
	if lossy.Voice.MOS > 400 || lossy.Voice.MOS < 300 || jittery.Voice.MOS > 220 {
		t.Errorf("%+v, %+v", lossy.Voice, jittery.Voice)
	}
	// From the formulas by hand: R 93.2 and 4.41 without impairment; R 93.2−15.8 = 77.4 at 5 %.
	if a, b := opinion(0, 100, 0), opinion(5, 100, 0); a != 440 || b != 391 {
		t.Errorf("MOS %d and %d", a, b)
	}
}

// transfers holds a bulk flow to what is always so.
func transfers(t *testing.T, f *FlowResult) {
	t.Helper()
	if !f.Stream.Intact || f.Stream.Delivered == 0 || f.Stream.Delivered != f.Forth.PayloadBytes {
		t.Errorf("%s: %+v, %d bytes", f.Name, f.Stream, f.Forth.PayloadBytes)
	}
}

func TestBulk(t *testing.T) {
	r := between(t, 35*time.Second, Options{Seed: 1}, func(sc *Scenario) { sc.Networks[1].Up.Loss = Percent(1) },
		Flow{Kind: FlowBulk, Bytes: 300_000, Interval: time.Second},
		Flow{Kind: FlowBulk, Bytes: 1_000_000, IPv6: true, Congestion: CongestionCUBIC, Window: 1 << 20},
		Flow{Kind: FlowBulk, Stop: 2 * time.Second})
	for i := range r.Flows {
		transfers(t, &r.Flows[i])
		if r.Flows[i].Stream.Aborted != 0 || r.Flows[i].Stream.Repeated == 0 {
			t.Errorf("%+v", r.Flows[i].Stream)
		}
	}
	pages, file, rest := &r.Flows[0].Stream, &r.Flows[1].Stream, &r.Flows[2].Stream
	if pages.Transfers < 10 || pages.Delivered < pages.Transfers*300_000 || pages.Transfer.P50 < 50*ms {
		t.Errorf("%+v", pages)
	}
	if file.Transfers != 1 || file.Delivered != 1_000_000 || rest.Transfers != 1 || rest.SRTT < 10*ms {
		t.Errorf("%+v, %+v", file, rest)
	}
}

// A stream goes on over sleep, restarts of both ends and a move, and no byte is lost or comes twice.
func TestBulkOverTrouble(t *testing.T) {
	for seed := range uint64(4) {
		r := between(t, 200*time.Second, Options{Seed: seed}, func(sc *Scenario) {
			for i := range sc.Networks {
				sc.Networks[i].Up.Latency = 60 * ms // so that there are not too many packets
			}
			sc.Timeline = []Action{
				{At: 10 * time.Second, Kind: ActionSleep, Host: "client", For: 5 * time.Second},
				{At: 40 * time.Second, Kind: ActionRestart, Host: "server", For: 2 * time.Second},
				{At: 80 * time.Second, Kind: ActionRestart, Host: "client", For: 2 * time.Second},
				{At: 120 * time.Second, Kind: ActionSleep, Host: "server", For: 20 * time.Second},
				{At: 160 * time.Second, Kind: ActionRoam, Host: "client", Network: "client-line", For: 3 * time.Second},
			}
		}, Flow{Kind: FlowBulk, Window: 20_000})
		f := &r.Flows[0]
		transfers(t, f)
		if f.Stream.Transfers != 1 || f.Stream.Aborted != 2 || f.Stream.Connections != 3 || f.Stream.Timeouts == 0 {
			t.Errorf("seed %d: %+v", seed, f.Stream)
		}
		if len(r.Disturbances) != 5 || len(f.Recoveries) != 5 {
			t.Fatalf("seed %d: %+v\n%+v", seed, r.Disturbances, f.Recoveries)
		}
		for i := range f.Recoveries {
			d := &r.Disturbances[f.Recoveries[i].Disturbance]
			if d.End-d.Start != r.Disturbances[i].End-r.Disturbances[i].Start || d.End <= d.Start ||
				f.Recoveries[i].Took(d) < 0 || f.Recoveries[i].Took(d) > 40*time.Second {
				t.Errorf("seed %d: %+v: %+v", seed, d, f.Recoveries[i])
			}
		}
		if f.Forth.LongestOutage() < 5*time.Second || f.Forth.OutageCount < 3 { // a sender that is away waits for nothing
			t.Errorf("seed %d: outages %+v", seed, f.Forth.Outages)
		}
	}
}

// TestTCPPacketsAreRealOnes has gopacket write every packet of a lossy stream anew.
func TestTCPPacketsAreRealOnes(t *testing.T) {
	kinds := map[byte]int{}
	sacks := 0
	between(t, 10*time.Second, Options{Seed: 2, Observe: func(r *Record) {
		if r.Kind != KindInnerSent || r.Inner.Kind != InnerTCP {
			return
		}
		b := r.Inner.Data
		if again := remake(t, b); string(again) != string(b) {
			t.Fatalf("%x\nas gopacket writes it\n%x", b, again)
		}
		g, _, back := parseTCP(b, 0)
		kinds[g.flags]++
		sacks += g.sacks
		if want := map[bool]string{false: "client", true: "server"}[back]; r.Host != want || r.Inner.From != want ||
			r.Inner.Born != r.At || r.Inner.Seq != uint64(g.seq) || len(b) > defaultMTU {
			t.Fatalf("%+v", r.Inner)
		}
	}}, func(sc *Scenario) { sc.Networks[1].Up.Loss = Percent(3) }, Flow{Kind: FlowBulk, Bytes: 400_000},
		Flow{Kind: FlowBulk, Bytes: 400_000, IPv6: true})
	if kinds[tcpSYN] < 2 || kinds[tcpSYN|tcpACK] < 2 || kinds[tcpACK] < 500 || kinds[tcpACK|tcpFIN] < 4 || sacks < 10 {
		t.Errorf("flags %v, %d blocks", kinds, sacks)
	}
}

// What looks like one of our segments but is cut or twisted is not taken for one, and reading it does no harm.
func TestTwistedTCP(t *testing.T) {
	s := start(t, stored("default"), Options{Seed: 1})
	p := tcpPacket{spec: spec{kind: InnerTCP, src: addrs("10.0.0.1")[0], dst: addrs("10.0.0.2")[0], id: 7, flow: 2},
		tcpSegment: tcpSegment{flags: tcpACK, sacks: 2}}
	b := make([]byte, p.length())
	p.build(b)
	if in := s.inner(b); in.Kind != InnerTCP || in.ID != 7 || in.Flow != s.flows[2].name {
		t.Fatalf("%+v", in)
	}
	r := NewRand(1, "twist")
	for range 50_000 {
		c := append([]byte(nil), b[:20+r.Intn(len(b)-19)]...)
		for range r.Intn(4) {
			c[r.Intn(len(c))] ^= byte(r.Uint64())
		}
		if in := s.inner(c); in.Kind == InnerTCP {
			parseTCP(c, 3)
		}
	}
}

// Every kind of traffic, with the measures of it, follows from the seed.
func TestFlowsDependOnTheSeedAlone(t *testing.T) {
	run := func(seed uint64) (Result, [32]byte) {
		h := sha256.New()
		var flows []Flow
		for k := range NumFlowKinds {
			flows = append(flows, Flow{Kind: k, Interval: 300 * ms, Bytes: 50_000})
		}
		r := between(t, 20*time.Second, Options{Seed: seed, Observe: func(r *Record) {
			fmt.Fprintf(h, "%+v", *r)
		}}, func(sc *Scenario) { sc.Networks[1].Up.Loss = Percent(5) }, flows...)
		return r, [32]byte(h.Sum(nil))
	}
	first, records := run(9)
	again, same := run(9)
	if records != same || !reflect.DeepEqual(first, again) {
		t.Error("two runs with one seed differ")
	}
	if _, other := run(10); other == records {
		t.Error("another seed, the same run")
	}
}

// A flow of each kind costs little when there are thousands.
func TestFlowsAreSmall(t *testing.T) {
	w := newWay(time.Second)
	for i := range 100_000 {
		w.send(timers.Time(i)*timers.Time(time.Second), 84)
		w.deliver(timers.Time(i)*timers.Time(time.Second)+20_000_000, time.Duration(20+i%40)*ms, 84, 56)
	}
	if n := cap(w.delays.count); n > 64 {
		t.Errorf("%d counters for delays from 20 to 60 ms", n)
	}
	if len(w.outages) > MaxOutages {
		t.Errorf("%d outages listed", len(w.outages))
	}
	const flows = 5000
	sc := star(flows, time.Second, 20*time.Second)
	sim := &Sim{sc: sc, byName: map[string]*node{}, end: timers.Time(sc.Duration)}
	for i := range sc.Hosts {
		sim.byName[sc.Hosts[i].Name] = &node{cfg: &sc.Hosts[i]}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range sc.Flows {
		f := sim.newFlow(i, &sc.Flows[i])
		for k := range 100 {
			for _, w := range []*way{f.forth, f.back, f.round} {
				w.send(timers.Time(k)*timers.Time(time.Second), 84)
				w.deliver(timers.Time(k)*timers.Time(time.Second), time.Duration(20+k%10)*ms, 84, 56)
			}
		}
		sim.flows = append(sim.flows, f)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / flows
	t.Logf("%d bytes for a ping with all that is measured of it", each)
	if each > 2500 || len(sim.flows) != flows {
		t.Errorf("%d bytes for a ping with all that is measured of it", each)
	}
	runtime.KeepAlive(sim)
}

func TestFlowsAreChecked(t *testing.T) {
	good := Flow{Kind: FlowBulk, From: "laptop", To: "office"}
	for _, c := range []struct {
		says   string
		change func(*Flow)
	}{
		{"no such kind", func(f *Flow) { f.Kind = NumFlowKinds }},
		{"it goes nowhere", func(f *Flow) { f.To = "laptop" }},
		{"there is no host", func(f *Flow) { f.From = "nobody" }},
		{"only ping and udp", func(f *Flow) { f.Source = addrs("10.9.9.9")[0] }},
		{"cannot start or stop", func(f *Flow) { f.Stop = -1 }},
		{"cannot be negative", func(f *Flow) { f.Window = -1 }},
		{"its window must be", func(f *Flow) { f.Window = 1000 }},
		{"no such congestion control", func(f *Flow) { f.Congestion = NumCongestions }},
		{"an interval of at least", func(f *Flow) { f.Interval = 1 }},
		{"an interval of at least", func(f *Flow) { f.Kind = FlowRequest }},
		{"a timeout of at least", func(f *Flow) { f.Kind, f.Interval, f.Timeout = FlowRequest, time.Second, 5 }},
		{"its reply must be", func(f *Flow) { f.Kind, f.Interval, f.Reply = FlowRequest, time.Second, 59 }},
		{"its size must be", func(f *Flow) { f.Kind, f.Size = FlowVoice, 59 }},
	} {
		sc := stored("default")
		sc.Flows = []Flow{good}
		if err := sc.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&sc.Flows[0])
		if err := sc.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want an error that says %q, got %v", c.says, err)
		}
	}
	sc := stored("default")
	sc.Flows = []Flow{good}
	sc.Hosts[0].MTU = 120
	if err := sc.Validate(); err == nil || !strings.Contains(err.Error(), "too small for TCP") {
		t.Errorf("an MTU of 120: %v", err)
	}
}
