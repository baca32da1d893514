package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// effectCase makes one or more kinds of trouble take effect and says what else must be seen of it.
type effectCase struct {
	kinds []FaultKind
	make  func(*Scenario)
	// show says what is wrong with the run, "" if nothing is: evidence apart from the counter itself.
	show func(r *Result, seen *evidence) string
}

// evidence is what the records of a run tell.
type evidence struct {
	fates   map[string]uint64 // by Rule
	attacks map[AttackKind]map[Fate]uint64
	sources map[netip.AddrPort]uint64 // of a's datagrams
	b       map[netip.AddrPort]uint64 // of b's
	notes   []string
	lengths map[int]uint64 // of damaged datagrams, against what was sent
	late    uint64         // inner packets that came later than 60 ms
	all     uint64
}

// two is a and b, 20 ms apart, with a ping from b and a stream from a that begins when there is a session.
func two() Scenario {
	sc := pairOf(Line{Latency: 20 * ms})
	sc.Duration = 100 * time.Second
	sc.Flows = []Flow{{Kind: FlowUDP, From: "a", To: "b", Start: 5 * time.Second, Interval: 20 * ms, Size: 1000},
		{Kind: FlowPing, From: "b", To: "a", Interval: time.Second}}
	sc.Hosts[1].Peers[0].Endpoint = "a"
	return sc
}

func (e *evidence) observe(sent map[uint64]int) func(*Record) {
	return func(r *Record) {
		switch r.Kind {
		case KindDatagram:
			sent[r.Datagram] = len(r.Data)
			e.all++
		case KindFate:
			if r.Rule != "" {
				e.fates[r.Rule]++
			}
			if e.attacks[r.Attack] == nil {
				e.attacks[r.Attack] = map[Fate]uint64{}
			}
			e.attacks[r.Attack][r.Fate]++
			if r.Damaged {
				e.lengths[len(r.Data)-sent[r.Datagram]]++
			}
			switch r.Host {
			case "a":
				e.sources[r.Src]++
			case "b":
				e.b[r.Src]++
			}
		case KindAction:
			e.notes = append(e.notes, r.Host+" "+r.Note)
		case KindInnerDelivered:
			if r.Inner.Kind == InnerUDP && r.Inner.Delay > 60*ms {
				e.late++
			}
		}
	}
}

// same compares a counter with what else was counted.
func same(k FaultKind, rule string) func(*Result, *evidence) string {
	return func(r *Result, seen *evidence) string {
		if n := seen.fates[rule]; n != r.Effects[k] || n == 0 {
			return fmt.Sprintf("%d datagrams met %q, %d counted", n, rule, r.Effects[k])
		}
		return ""
	}
}

func fault(rule Rule) func(*Scenario) {
	return func(sc *Scenario) {
		sc.Faults = []Fault{{Name: "f", Network: "b-line", Down: true, From: 10 * time.Second,
			Until: 40 * time.Second, Rule: rule}}
	}
}

func act(list ...Action) func(*Scenario) {
	return func(sc *Scenario) { sc.Timeline = list }
}

func natted(n NAT) func(*Scenario) {
	return func(sc *Scenario) {
		g := behind("a-line", "192.168.1.0/24", "198.51.100.10", Line{}, n)
		sc.Networks[0], sc.Hosts[1].Peers[0].Endpoint = g, ""
	}
}

func attack(k AttackKind, more func(*Attack)) func(*Scenario) {
	return func(sc *Scenario) {
		a := Attack{Name: "eve", Targets: []string{"b"}, Kinds: []AttackKind{k}, From: time.Second, Interval: 100 * ms}
		if more != nil {
			more(&a)
		}
		sc.Attacks = []Attack{a}
	}
}

func expect(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// Every kind of trouble takes effect in some case, is counted, shows outside of the counter, and breaks no rule.
// Without the trouble the counter stays at zero.
func TestEveryKindOfTrouble(t *testing.T) {
	covered := map[FaultKind]bool{}
	calm := start(t, two(), Options{Seed: 5}).Run()
	cases := append(append(networkEffects(), natEffects()...), append(hostEffects(), attackEffects()...)...)
	cases = append(cases, forgedEffects()...)
	for _, c := range cases {
		t.Run(c.kinds[0].String(), func(t *testing.T) {
			sc := two()
			c.make(&sc)
			seen := &evidence{fates: map[string]uint64{}, attacks: map[AttackKind]map[Fate]uint64{},
				sources: map[netip.AddrPort]uint64{}, b: map[netip.AddrPort]uint64{}, lengths: map[int]uint64{}}
			r := start(t, sc, Options{Seed: 5, Observe: seen.observe(map[uint64]int{})}).Run()
			for _, k := range c.kinds {
				covered[k] = true
				if r.Effects[k] == 0 || calm.Effects[k] != 0 {
					t.Errorf("%s took effect %d times, and %d times without it", k, r.Effects[k], calm.Effects[k])
				}
			}
			if !r.OK() {
				t.Errorf("%v", r.Violations[0])
			}
			if c.show == nil {
				t.Error("nothing is shown")
			} else if text := c.show(&r, seen); text != "" {
				t.Errorf("%s (%v)", text, seen.notes)
			}
		})
	}
	for _, k := range FaultKinds() {
		if !covered[k] {
			t.Errorf("%s is shown nowhere", k)
		}
	}
	if n := len(FaultKinds()); n < 25 || FaultKind(200).String() != "invalid" {
		t.Errorf("only %d kinds", n)
	}
}

func networkEffects() []effectCase {
	jitter := func(s Shape) func(*Scenario) {
		return func(sc *Scenario) { sc.Networks[1].Down = Line{Latency: 20 * ms, Jitter: 100 * ms, Shape: s} }
	}
	late := func(least, most uint64) func(*Result, *evidence) string {
		return func(_ *Result, e *evidence) string {
			return expect(e.late >= least && e.late <= most, "%d packets were late", e.late)
		}
	}
	slow := func(codel bool) func(*Scenario) { // 250 bytes too much for what 51,000 bytes a second are
		return fault(Queue{Rate: 400_000, Limit: 20_000, CoDel: codel})
	}
	return []effectCase{
		{[]FaultKind{FaultLoss}, fault(Lose{Percent(10)}), same(FaultLoss, "f: loss")},
		{[]FaultKind{FaultBurstLoss}, fault(Burst{Enter: Percent(2), Leave: Percent(20)}), same(FaultBurstLoss, "f: burst")},
		{[]FaultKind{FaultDuplicate}, fault(Duplicate{Percent(10)}), func(r *Result, e *evidence) string {
			n := drops(*r, protocol.DropReplayed)
			return expect(n == r.Effects[FaultDuplicate], "%d replays dropped, %d copies", n, r.Effects[FaultDuplicate])
		}},
		{[]FaultKind{FaultReorder}, fault(Reorder{Percent(10), 80 * ms}), func(r *Result, e *evidence) string {
			held := r.Effects[FaultReorder] // some of them are pongs, which are not counted as late
			return expect(e.late > 100 && e.late <= held && held-e.late < 20, "%d late, %d held back", e.late, held)
		}},
		{[]FaultKind{FaultCorrupt}, fault(Corrupt{Percent(10)}), func(r *Result, e *evidence) string {
			return expect(e.lengths[0] == r.Effects[FaultCorrupt] && len(e.lengths) == 1, "damaged: %v", e.lengths)
		}},
		{[]FaultKind{FaultTruncate}, fault(Truncate{Percent(10)}), func(_ *Result, e *evidence) string {
			longer := uint64(0)
			for by := range e.lengths {
				if by >= 0 {
					longer++
				}
			}
			return expect(longer == 0 && len(e.lengths) > 50, "lengths changed by %v", e.lengths)
		}},
		{[]FaultKind{FaultExtend}, fault(Extend{Percent(10), 8}), func(_ *Result, e *evidence) string {
			return expect(len(e.lengths) == 8 && e.lengths[8] > 0 && e.lengths[1] > 0, "lengths changed by %v", e.lengths)
		}},
		{[]FaultKind{FaultDelay}, fault(Late{50 * ms, 60 * ms}), late(1490, 1510)},
		{[]FaultKind{FaultJitter}, jitter(ShapeUniform), late(2700, 3000)},
		{[]FaultKind{FaultNormalJitter}, jitter(ShapeNormal), late(3500, 4000)}, // over 40 of 100 ms: 79 %
		{[]FaultKind{FaultHeavyTail}, jitter(ShapePareto), late(80, 160)},       // 1/41
		{[]FaultKind{FaultTrace}, fault(Trace{Points: []TracePoint{{0, 0, Ratio{}}, {20 * time.Second, 0, Percent(100)},
			{21 * time.Second, 0, Ratio{}}}}), same(FaultTrace, "f: trace")},
		{[]FaultKind{FaultTailDrop, FaultQueueDelay}, slow(false), same(FaultTailDrop, "f: queue full")},
		{[]FaultKind{FaultCoDel}, slow(true), same(FaultCoDel, "f: codel")},
		{[]FaultKind{FaultMTUBlackHole}, fault(MTU{Size: 900, TooBig: TooBigBlackHole}),
			same(FaultMTUBlackHole, "f: too big")},
		{[]FaultKind{FaultMTUReport, FaultFragment}, fault(MTU{Size: 900, TooBig: TooBigReport}),
			same(FaultMTUReport, "f: too big, reported")},
		{[]FaultKind{FaultFragmentLoss}, fault(MTU{Size: 900, FragmentLoss: Percent(5)}),
			same(FaultFragmentLoss, "f: fragment lost")},
		{[]FaultKind{FaultPartition}, func(sc *Scenario) {
			sc.Faults = []Fault{{Name: "f", Network: "b-line", Far: "a-line", From: 10 * time.Second, Until: 30 * time.Second,
				Rule: Cut{}}}
		}, same(FaultPartition, "f: cut")},
		{[]FaultKind{FaultOneWay}, fault(Cut{}), func(r *Result, e *evidence) string {
			if e.fates["f: cut"] != r.Effects[FaultOneWay] {
				return "another number was cut"
			}
			return expect(r.Tunnels[0].BtoA.Delivered > 60, "b is not heard: %+v", r.Tunnels[0].BtoA)
		}},
		{[]FaultKind{FaultFlap}, fault(Flap{Up: 5 * time.Second, Down: time.Second}), same(FaultFlap, "f: flap")},
		{[]FaultKind{FaultBlockedUDP}, fault(Block{}), same(FaultBlockedUDP, "f: udp blocked")},
		{[]FaultKind{FaultBlockedPort}, fault(Block{Ports: []uint16{51820}}), same(FaultBlockedPort, "f: port blocked")},
		{[]FaultKind{FaultFirewall}, func(sc *Scenario) {
			sc.Networks[1].Firewall = &Firewall{}
			sc.Flows[1].Start = 20 * time.Second
		}, same(FaultFirewall, "b-line firewall: unasked")},
	}
}

func natEffects() []effectCase {
	return []effectCase{
		{[]FaultKind{FaultNATExpiry, FaultNATFilter}, func(sc *Scenario) {
			natted(NAT{Timeout: 10 * time.Second})(sc)
			sc.Flows = []Flow{{Kind: FlowUDP, From: "a", To: "b", Interval: 30 * time.Second},
				{Kind: FlowUDP, From: "b", To: "a", Start: 25 * time.Second, Interval: 30 * time.Second}}
		}, func(_ *Result, e *evidence) string {
			return expect(len(e.sources) > 1 && e.fates["a-line nat: no mapping"] > 0, "a seen as %v, %v", e.sources, e.fates)
		}},
		{[]FaultKind{FaultNATRebind}, func(sc *Scenario) {
			natted(NAT{})(sc)
			sc.Timeline = []Action{{At: 20 * time.Second, Kind: ActionRebindNAT, Network: "a-line"}}
		}, func(r *Result, e *evidence) string {
			return expect(len(e.sources) == 2 && r.Tunnels[0].Roamed >= 1, "a seen as %v", e.sources)
		}},
		{[]FaultKind{FaultNATOverflow}, func(sc *Scenario) {
			natted(NAT{Mappings: 1})(sc)
			sc.Hosts = append(sc.Hosts, Host{Name: "c", Network: "a-line", Inner: addrs("10.77.0.3"),
				Peers: []Peer{{Host: "b", Endpoint: "b", Keepalive: 5}}})
			sc.Hosts[1].Peers = append(sc.Hosts[1].Peers, Peer{Host: "c"})
		}, same(FaultNATOverflow, "a-line nat: full")},
		{[]FaultKind{FaultHairpin}, func(sc *Scenario) {
			natted(NAT{})(sc)
			sc.Hosts = append(sc.Hosts, Host{Name: "c", Network: "a-line", Inner: addrs("10.77.0.3"),
				Peers: []Peer{{Host: "a", Endpoint: "198.51.100.10:51820", Keepalive: 5}}})
			sc.Hosts[0].Peers = append(sc.Hosts[0].Peers, Peer{Host: "c"})
		}, same(FaultHairpin, "a-line nat: no hairpin")},
		{[]FaultKind{FaultDoubleNAT}, func(sc *Scenario) {
			natted(homeNAT())(sc)
			sc.Networks[0].NAT.Public, sc.Networks[0].Behind = netip.MustParseAddr("100.64.0.9"), "carrier"
			sc.Networks = append(sc.Networks, behind("carrier", "100.64.0.0/16", "198.51.100.30", Line{Latency: ms},
				carrierNAT()))
		}, func(r *Result, e *evidence) string {
			for src := range e.sources {
				if src.Addr() != netip.MustParseAddr("198.51.100.30") {
					return fmt.Sprintf("b sees a at %s", src)
				}
			}
			return expect(r.Tunnels[0].AtoB.Lost() == 0 && r.Tunnels[0].BtoA.Delivered > 85, "%+v", r.Tunnels[0])
		}},
	}
}
