package sim

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// within reports whether n is a plausible number of successes in `of` trials: five deviations of the binomial
// distribution, in integers.
func within(n, of uint64, p Ratio) bool {
	num, den := uint64(p.Num), uint64(p.Den)
	mean := of * num / den
	variance := of * num * (den - num) / den / den
	d := max(n, mean) - min(n, mean)
	return d*d <= 25*(variance+1)
}

func TestLossLosesItsShare(t *testing.T) {
	for _, p := range []Ratio{{1, 100}, {1, 10}, {1, 2}} {
		r := start(t, pairOf(Line{Loss: p}), Options{Seed: 2}).Run()
		if lost := r.Fates[FateLost]; !within(lost, r.Datagrams, p) {
			t.Errorf("loss %d/%d: lost %d of %d", p.Num, p.Den, lost, r.Datagrams)
		}
		if sum := r.Fates[FateLost] + r.Fates[FateDelivered] + r.Fates[FateRejected]; sum+2 < r.Datagrams {
			t.Errorf("loss %d/%d: %d datagrams have no fate", p.Num, p.Den, r.Datagrams-sum)
		}
	}
}

func TestLossOfAllAndNothing(t *testing.T) {
	sc := pairOf(Line{})
	if r := start(t, sc, Options{Seed: 2}).Run(); r.Tunnels[0].AtoB.Lost() != 0 || r.Tunnels[0].AtoB.Delivered < 10000 {
		t.Errorf("a clean line: %+v", r.Tunnels[0].AtoB)
	}
	r := start(t, pairOf(Line{Loss: Percent(100)}), Options{Seed: 2}).Run()
	if r.Tunnels[0].AtoB.Delivered != 0 || r.Fates[FateLost] != r.Datagrams {
		t.Errorf("a cut line: %+v, %v", r.Tunnels[0].AtoB, r.Fates)
	}
}

// Each copy is a datagram of its own that names the first, and the core takes one of the two.
func TestDuplicates(t *testing.T) {
	p := Percent(20)
	copies, originals := uint64(0), map[uint64]bool{}
	r := start(t, pairOf(Line{Duplicate: p}), Options{Seed: 2, Observe: func(r *Record) {
		switch {
		case r.Kind == KindDatagram && r.Original != 0:
			copies++
			if !originals[r.Original] {
				t.Fatalf("datagram %d is a copy of %d, which there is not", r.Datagram, r.Original)
			}
		case r.Kind == KindDatagram:
			originals[r.Datagram] = true
		}
	}}).Run()
	if !within(copies, uint64(len(originals)), p) {
		t.Errorf("%d copies of %d datagrams", copies, len(originals))
	}
	refused := drops(r, protocol.DropReplayed) + drops(r, protocol.DropOldTimestamp) + drops(r, protocol.DropFlood)
	if refused != copies || r.Fates[FateRejected] != copies {
		t.Errorf("%d copies, %d refused by the core, %d rejected", copies, refused, r.Fates[FateRejected])
	}
	if w := r.Tunnels[0].AtoB; w.Lost() != 0 || w.Delivered > w.Sent {
		t.Errorf("duplicates change the traffic: %+v", w)
	}
}

func TestCorruptionFlipsOneToThreeBits(t *testing.T) {
	p := Percent(10)
	var damaged, all uint64
	flipped := map[int]int{}
	observe, flush := CaptureOrder(func(r *Record) {
		if r.Kind != KindDatagram {
			return
		}
		all++
		if !r.Damaged {
			return
		}
		damaged++
		n := 0
		for i := range r.Data {
			n += bits.OnesCount8(r.Data[i] ^ r.Intact[i])
		}
		flipped[n]++
		if r.Fate != FateRejected || r.Reason == protocol.DropNone {
			t.Errorf("damaged datagram %d: %s, %s", r.Datagram, r.Fate, r.Reason)
		}
	})
	r := start(t, pairOf(Line{Corrupt: p}), Options{Seed: 2, Observe: observe}).Run()
	flush()
	if !within(damaged, all, p) || r.Fates[FateRejected] != damaged {
		t.Errorf("%d of %d damaged, %d rejected", damaged, all, r.Fates[FateRejected])
	}
	for n := range flipped {
		if n < 1 || n > 3 {
			t.Errorf("%d datagrams with %d flipped bits", flipped[n], n)
		}
	}
	if len(flipped) != 3 {
		t.Errorf("flipped bits: %v", flipped)
	}
}

func TestLatencyAndJitter(t *testing.T) {
	low, high, seqs, overtaken := time.Hour, time.Duration(0), uint64(0), 0
	observe := func(r *Record) {
		if r.Kind != KindInnerDelivered || r.Inner.Kind != InnerUDP || r.Inner.Born < timers.Time(time.Second) {
			return
		}
		low, high = min(low, r.Inner.Delay), max(high, r.Inner.Delay)
		if r.Inner.Seq < seqs {
			overtaken++
		}
		seqs = max(seqs, r.Inner.Seq)
	}
	start(t, pairOf(Line{Latency: 30 * ms}), Options{Seed: 2, Observe: observe}).Run()
	if low != 30*ms || high != 30*ms || overtaken != 0 {
		t.Errorf("without jitter: %s to %s, %d overtaken", low, high, overtaken)
	}
	low, high, seqs = time.Hour, 0, 0
	start(t, pairOf(Line{Latency: 30 * ms, Jitter: 20 * ms}), Options{Seed: 2, Observe: observe}).Run()
	if low < 30*ms || low > 31*ms || high < 49*ms || high > 50*ms {
		t.Errorf("with jitter: %s to %s", low, high)
	}
	if overtaken < 1000 {
		t.Errorf("only %d packets overtaken", overtaken)
	}
}

func TestFaultHoldsInItsTimeAndPlace(t *testing.T) {
	sc := pairOf(Line{})
	sc.Faults = []Fault{
		{Name: "cut", Network: "b-line", Down: true, From: 10 * time.Second, Until: 20 * time.Second,
			Rule: Lose{Percent(100)}},
		{Name: "other way", Network: "b-line", Up: true, From: 0, Rule: Late{5 * ms, 5 * ms}},
	}
	var lost, late int
	start(t, sc, Options{Seed: 2, Observe: func(r *Record) {
		switch {
		case r.Kind == KindFate && r.Fate == FateLost:
			lost++
			if r.Rule != "cut: loss" || r.At < timers.Time(10*time.Second) || r.At >= timers.Time(20*time.Second) {
				t.Errorf("lost at %s by %q", time.Duration(r.At), r.Rule)
			}
		case r.Kind == KindInnerDelivered && r.At >= timers.Time(10*time.Second) && r.At < timers.Time(20*time.Second):
			t.Errorf("delivered at %s", time.Duration(r.At))
		case r.Kind == KindInnerDelivered && r.Inner.Delay > 0:
			late++
		}
	}}).Run()
	if lost < 4999 || lost > 5010 {
		t.Errorf("lost %d datagrams in ten seconds of 500 a second", lost)
	}
	if late > 3 { // those that waited for the first handshake
		t.Errorf("%d packets were held up by a fault of the other direction", late)
	}
}

// tap collects what a test wants to know of a run.
type tap struct {
	sent, out map[string]int // inner packets by host
	fates     map[Fate]int
	srcs      []netip.AddrPort // of one host's datagrams, each once, in order
	notes     []string
}

func watchHost(host string) (*tap, func(*Record)) {
	p := &tap{sent: map[string]int{}, out: map[string]int{}, fates: map[Fate]int{}}
	return p, func(r *Record) {
		switch r.Kind {
		case KindInnerSent:
			p.sent[r.Host]++
		case KindInnerDelivered:
			p.out[r.Host]++
		case KindFate:
			p.fates[r.Fate]++
			if r.Host == host && r.Src.IsValid() && (len(p.srcs) == 0 || p.srcs[len(p.srcs)-1] != r.Src) {
				p.srcs = append(p.srcs, r.Src)
			}
		case KindAction:
			p.notes = append(p.notes, fmt.Sprintf("%s %s %s", time.Duration(r.At), r.Host, r.Note))
		}
	}
}

func TestSleep(t *testing.T) {
	sc := pairOf(Line{})
	sc.Flows = append(sc.Flows, Flow{Kind: FlowUDP, From: "b", To: "a", Interval: 100 * ms})
	sc.Timeline = []Action{{At: 10 * time.Second, Kind: ActionSleep, Host: "b", For: 5 * time.Second}}
	asleep := func(at timers.Time) bool { return at > timers.Time(10*time.Second) && at < timers.Time(15*time.Second) }
	p, see := watchHost("b")
	start(t, sc, Options{Seed: 2, Observe: func(r *Record) {
		see(r)
		if asleep(r.At) && r.Host == "b" && r.Kind != KindFate {
			t.Errorf("%s: %s of a host that sleeps", time.Duration(r.At), r.Kind)
		}
	}}).Run()
	if n := p.fates[FateAsleep]; n < 2490 || n > 2510 {
		t.Errorf("%d datagrams found b asleep", n)
	}
	if n := p.sent["b"]; n != 350-50 { // 35 s of ten a second, less five seconds
		t.Errorf("b sent %d packets", n)
	}
	want := []string{"10s b falls asleep for 5s", "15s b wakes up"}
	if fmt.Sprint(p.notes) != fmt.Sprint(want) {
		t.Errorf("notes %q", p.notes)
	}
}

// A deadline that passed during sleep is met at the moment of waking.
func TestTimersAreLateAfterSleep(t *testing.T) {
	sc := pairOf(Line{})
	sc.Hosts[0].Peers[0].Keepalive = 10
	sc.Flows = nil
	sc.Timeline = []Action{{At: 5 * time.Second, Kind: ActionSleep, Host: "a"},
		{At: 27 * time.Second, Kind: ActionWake, Host: "a"}}
	var at []time.Duration
	start(t, sc, Options{Seed: 2, Observe: func(r *Record) {
		if r.Kind == KindDatagram && r.Host == "a" && len(r.Data) == transportMin {
			at = append(at, time.Duration(r.At))
		}
	}}).Run()
	if want := []time.Duration{0, 27 * time.Second, 37 * time.Second}; fmt.Sprint(at) != fmt.Sprint(want) {
		t.Errorf("keepalives at %v, want %v", at, want)
	}
}

func TestRestartLosesState(t *testing.T) {
	sc := pairOf(Line{})
	sc.Timeline = []Action{{At: 10 * time.Second, Kind: ActionRestart, Host: "b", For: 2 * time.Second}}
	s := start(t, sc, Options{Seed: 2})
	s.RunUntil(timers.Time(9 * time.Second))
	before := s.node("b").dev
	s.RunUntil(timers.Time(11 * time.Second))
	if s.node("b").dev != nil {
		t.Error("b runs while it restarts")
	}
	s.RunUntil(timers.Time(13 * time.Second))
	if s.node("b").dev == before || s.node("b").dev == nil {
		t.Error("b has no new core")
	}
	r := s.Run()
	if n := r.Fates[FateDown]; n < 990 || n > 1010 {
		t.Errorf("%d datagrams found b down", n)
	}
	if n := drops(r, protocol.DropUnknownIndex); n == 0 {
		t.Error("nothing was sent on the old session")
	}
	if r.Tunnels[0].Handshakes < 2 {
		t.Error("the tunnel did not come up again")
	}
}

func TestRoam(t *testing.T) {
	sc := pairOf(Line{})
	sc.Networks = append(sc.Networks, behind("cafe", "10.0.0.0/24", "198.51.100.1", Line{Latency: ms}, guestNAT()))
	sc.Timeline = []Action{
		{At: 10 * time.Second, Kind: ActionRoam, Host: "a", Network: "cafe", For: 3 * time.Second},
		{At: 20 * time.Second, Kind: ActionRoam, Host: "a", Network: "a-line", Address: netip.MustParseAddr("192.0.2.9")},
	}
	p, see := watchHost("a")
	r := start(t, sc, Options{Seed: 2, Observe: see}).Run()
	if len(p.srcs) != 3 || p.srcs[0].Addr() != netip.MustParseAddr("192.0.2.1") ||
		p.srcs[1].Addr() != netip.MustParseAddr("198.51.100.1") || p.srcs[2] != netip.MustParseAddrPort("192.0.2.9:51820") {
		t.Errorf("a sent from %v", p.srcs)
	}
	if n := p.fates[FateUnsent]; n < 1495 || n > 1505 {
		t.Errorf("%d datagrams were unsent in the three seconds between the networks", n)
	}
	if r.Tunnels[0].Roamed != 2 {
		t.Errorf("b saw a move %d times", r.Tunnels[0].Roamed)
	}
	if len(p.notes) != 4 || !strings.Contains(p.notes[1], "joins cafe as 10.0.0.1 behind the NAT 198.51.100.1") {
		t.Errorf("notes %q", p.notes)
	}
}

// A second roaming before the first has arrived wins.
func TestOvertakenRoamingDoesNotJoin(t *testing.T) {
	sc := pairOf(Line{})
	sc.Networks = append(sc.Networks, open("c-line", "198.51.100.0/28", Line{}))
	sc.Timeline = []Action{
		{At: 10 * time.Second, Kind: ActionRoam, Host: "a", Network: "b-line", For: 10 * time.Second},
		{At: 12 * time.Second, Kind: ActionRoam, Host: "a", Network: "c-line", For: time.Second},
	}
	s := start(t, sc, Options{Seed: 2})
	s.Run()
	if g := s.node("a").seg; g == nil || g.cfg.Name != "c-line" {
		t.Errorf("a is in %v", g)
	}
}

// Handshake jobs that take time: an answer takes two of them, and they queue up.
func TestSlowProcessor(t *testing.T) {
	sc := pairOf(Line{})
	sc.Hosts[1].JobTime = 100 * ms
	var sent, answered timers.Time
	var fate timers.Time
	start(t, sc, Options{Seed: 2, Observe: func(r *Record) {
		switch {
		case sent == 0 && r.Kind == KindDatagram && r.Data[0] == typeInitiation:
			sent = r.At + 1
		case answered == 0 && r.Kind == KindDatagram && r.Data[0] == typeResponse:
			answered = r.At
		case fate == 0 && r.Kind == KindFate && r.Data[0] == typeInitiation:
			fate = r.At
		}
	}}).Run()
	if answered-(sent-1) != timers.Time(200*ms) || fate != answered {
		t.Errorf("initiation at %d, its fate at %d, answer at %d", sent-1, fate, answered)
	}
	var p pool
	p.reset(2)
	for i, want := range []timers.Time{10, 10, 20, 20, 30} {
		if got := p.add(0, poolJob{}, 10); got != want {
			t.Errorf("job %d of two workers is done at %d, want %d", i, got, want)
		}
	}
	if got := p.add(100, poolJob{}, 10); got != 110 {
		t.Errorf("a job for idle workers is done at %d", got)
	}
}

func TestNeighboursAndNobody(t *testing.T) {
	sc := pairOf(Line{Loss: Percent(100)}) // the line of b's network is cut, but neighbours do not need it
	sc.Hosts[0].Network = "b-line"
	r := start(t, sc, Options{Seed: 2}).Run()
	if w := r.Tunnels[0].AtoB; w.Lost() != 0 || w.Delay.P50 < lanLatency || w.Delay.P50 > lanLatency*17/16 {
		t.Errorf("neighbours: %+v", w)
	}
	for _, endpoint := range []string{"198.51.100.77:51820", "203.0.113.1:1"} {
		sc := pairOf(Line{})
		sc.Hosts[0].Peers[0].Endpoint = endpoint
		r := start(t, sc, Options{Seed: 2}).Run()
		if r.Fates[FateNoAddress] != r.Datagrams || r.Datagrams < 6 {
			t.Errorf("to %s: %v of %d", endpoint, r.Fates, r.Datagrams)
		}
	}
}

func TestRefusedPackets(t *testing.T) {
	sc := pairOf(Line{})
	sc.Hosts[0].Peers[0].Endpoint = ""
	sc.Flows[0].Interval = time.Second
	n := 0
	r := start(t, sc, Options{Seed: 2, Observe: func(r *Record) {
		if r.Kind == KindInnerRefused {
			n++
			if r.Reason != protocol.DropNoEndpoint || r.Peer != "b" || r.Inner.Seq != uint64(n-1) {
				t.Errorf("refused %+v", r)
			}
		}
	}}).Run()
	if n != 35 || r.Datagrams != 0 {
		t.Errorf("%d packets refused, %d datagrams", n, r.Datagrams)
	}
}
