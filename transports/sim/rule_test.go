package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
)

// feed shows a rule n datagrams of a size, apart by gap, and gives the verdicts.
func feed(r Rule, n, size int, gap time.Duration) []Verdict {
	f, rnd := r.Fresh(), NewRand(3, "rule under test")
	p := &Passing{Host: "a", Src: netip.MustParseAddrPort("192.0.2.1:51820"),
		Dst: netip.MustParseAddrPort("203.0.113.1:51820"), Data: make([]byte, size)}
	var list []Verdict
	for i := range n {
		list = append(list, f.Judge(timers.Time(i)*timers.Time(gap), p, rnd))
	}
	return list
}

func count(list []Verdict, is func(Verdict) bool) (n uint64) {
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}

func dropped(v Verdict) bool { return v.Drop }

// A burst of Gilbert and Elliott's model lasts 1/Leave datagrams on average, and the share of time in the bad state is
// Enter/(Enter+Leave).
func TestBurstsAreBursts(t *testing.T) {
	const n = 200_000
	list := feed(Burst{Enter: Ratio{1, 100}, Leave: Ratio{1, 10}}, n, 100, ms)
	lost := count(list, dropped)
	bursts := uint64(0)
	for i, v := range list {
		if v.Drop && (i == 0 || !list[i-1].Drop) {
			bursts++
		}
	}
	// The losses come in bursts, so their number spreads ten times as far as that of independent ones would.
	if want := uint64(n / 11); lost < want*9/10 || lost > want*11/10 {
		t.Errorf("lost %d of %d, want about %d", lost, n, want)
	}
	if mean := lost * 100 / bursts; mean < 950 || mean > 1050 {
		t.Errorf("a burst lasts %d/100 datagrams, want 10", mean)
	}
	if n := count(feed(Lose{Ratio{1, 11}}, n, 100, ms), dropped); n < lost*8/10 || n > lost*12/10 {
		t.Errorf("independent loss of the same share loses %d", n)
	}
	if n := count(feed(Burst{LossGood: Percent(10)}, 10_000, 100, ms), dropped); !within(n, 10_000, Percent(10)) {
		t.Errorf("in the good state %d of 10000 are lost, want a tenth", n)
	}
}

// Shares of delays in eighths of the greatest.
func histogramOf(shape Shape, n int) (eighths [8]int) {
	const most = 80 * ms
	for _, v := range feed(Jitter{Most: most, Shape: shape}, n, 100, ms) {
		eighths[min(int(v.Delay*8/(most+1)), 7)]++
	}
	return eighths
}

func TestShapesOfJitter(t *testing.T) {
	const n = 80_000
	for i, c := range histogramOf(ShapeUniform, n) {
		if c < n/8*95/100 || c > n/8*105/100 {
			t.Errorf("uniform: eighth %d has %d of %d", i, c, n)
		}
	}
	// Normal with four deviations on each side of the middle: 34.1 %, 13.6 %, 2.1 % and 0.1 % per deviation.
	for i, want := range []int{13, 214, 1359, 3413, 3413, 1359, 214, 13} {
		got := histogramOf(ShapeNormal, n)[i] * 10_000 / n
		if got < want*9/10-12 || got > want*11/10+12 {
			t.Errorf("normal: eighth %d has %d/10000, want %d", i, got, want)
		}
	}
	const most = 100 * ms
	list := feed(Jitter{Most: most, Shape: ShapePareto}, n, 100, ms)
	small := count(list, func(v Verdict) bool { return v.Delay <= ms })
	big := count(list, func(v Verdict) bool { return v.Delay > 10*ms })
	huge := count(list, func(v Verdict) bool { return v.Delay == most })
	// P(over x) = 1/(1+x/scale), scale = 1 ms.
	if !within(small, n, Ratio{1, 2}) || !within(big, n, Ratio{1, 11}) || !within(huge, n, Ratio{1, 101}) {
		t.Errorf("pareto: %d of %d up to 1 ms, %d over 10 ms, %d at the end", small, n, big, huge)
	}
	last := timers.Time(-1)
	for i, v := range feed(Jitter{Base: 5 * ms, Most: most, Shape: ShapePareto, Ordered: true}, 2000, 100, ms) {
		at := timers.Time(time.Duration(i) * ms).Add(v.Delay)
		if at < last || v.Delay < 5*ms {
			t.Fatalf("datagram %d comes out at %d, the one before at %d", i, at, last)
		}
		last = at
	}
}

func TestReorderLetsOthersOvertake(t *testing.T) {
	const n = 10_000
	list := feed(Reorder{Percent(5), 10 * ms}, n, 100, ms)
	held := count(list, func(v Verdict) bool { return v.Delay == 10*ms && v.Kind == FaultReorder })
	if !within(held, n, Percent(5)) || count(list, func(v Verdict) bool { return v.Delay == 0 }) != n-held {
		t.Errorf("%d of %d are held back", held, n)
	}
}

func TestTruncateAndExtend(t *testing.T) {
	cuts, adds := map[int]int{}, map[int]int{}
	for _, v := range feed(Truncate{Percent(100)}, 5000, 10, ms) {
		cuts[v.Cut]++
	}
	for _, v := range feed(Extend{Percent(100), 4}, 5000, 10, ms) {
		adds[len(v.Extend)]++
	}
	for size := 1; size <= 10; size++ {
		if cuts[size] < 400 || len(cuts) != 10 {
			t.Errorf("cut off: %v", cuts)
			break
		}
	}
	for size := 1; size <= 4; size++ {
		if adds[size] < 1100 || len(adds) != 4 {
			t.Errorf("added: %v", adds)
			break
		}
	}
}

// A bottleneck lets through what it can carry, fills its buffer, and CoDel keeps the waiting short.
func TestQueue(t *testing.T) {
	const size, n = 1000 - ip4Header - upperHeader, 20_000
	q := Queue{Rate: 4_000_000, Limit: 50_000} // 500 packets of 1000 bytes a second
	for _, c := range []struct {
		name           string
		codel          bool
		gap            time.Duration
		passed         uint64        // of n
		longest, usual time.Duration // waiting and sending: the greatest, and of nine in ten
	}{
		{"below its rate", false, 4 * ms, n, 2 * ms, 2 * ms},
		{"twice its rate", false, ms, n / 2, 100 * ms, 100 * ms},
		{"CoDel below its rate", true, 4 * ms, n, 2 * ms, 2 * ms},
		{"CoDel at 20/19 of its rate", true, 1900 * time.Microsecond, n * 19 / 20, 60 * ms, 40 * ms},
	} {
		q.CoDel = c.codel
		list := feed(q, n, size, c.gap)
		passed := n - count(list, dropped)
		longest := time.Duration(0)
		for _, v := range list {
			longest = max(longest, v.Delay)
		}
		slow := count(list, func(v Verdict) bool { return v.Delay > c.usual })
		if passed < c.passed*97/100 || passed > c.passed*103/100 || longest > c.longest || slow > n/10 {
			t.Errorf("%s: %d of %d pass, the longest waits %s, %d over %s", c.name, passed, n, longest, slow, c.usual)
		}
		codel := count(list, func(v Verdict) bool { return v.Kind == FaultCoDel })
		tail := count(list, func(v Verdict) bool { return v.Kind == FaultTailDrop })
		if (codel > 0) != (c.codel && passed < n) || codel+tail != n-passed {
			t.Errorf("%s: %d dropped by CoDel, %d by the full buffer, %d pass", c.name, codel, tail, passed)
		}
	}
	for n := uint64(0); n < 5000; n++ {
		if r := root(n); r*r > n || (r+1)*(r+1) <= n {
			t.Fatalf("root(%d) = %d", n, r)
		}
	}
}

func TestMTU(t *testing.T) {
	const n = 10_000
	small, big := 1400-28, 1401-28
	for _, way := range []TooBig{TooBigFragment, TooBigBlackHole, TooBigReport} {
		list := feed(MTU{Size: 1400, TooBig: way}, n, small, ms)
		if k := count(list, func(v Verdict) bool { return v.Kind != FaultNone }); k != 0 {
			t.Errorf("way %d touches %d datagrams that fit", way, k)
		}
	}
	if k := count(feed(MTU{Size: 1400, TooBig: TooBigBlackHole}, n, big, ms), dropped); k != n {
		t.Errorf("the black hole lets %d pass", n-k)
	}
	cut := feed(MTU{Size: 1400, FragmentLoss: Percent(10)}, n, big, ms)
	if k := count(cut, dropped); !within(k, n, Ratio{19, 100}) { // 1 − 0.9², two fragments
		t.Errorf("with a tenth of the fragments lost, %d of %d datagrams are", k, n)
	}
	// One report in ten minutes, and fragments from then on.
	told := feed(MTU{Size: 1400, TooBig: TooBigReport}, 1300, big, time.Second)
	if !told[0].Drop || told[1].Drop || !told[600].Drop || told[601].Drop || count(told, dropped) != 3 {
		t.Errorf("%d are dropped with a report", count(told, dropped))
	}
	for _, c := range []struct {
		size, mtu int
		v4        bool
		want      int
	}{{1401, 1400, true, 2}, {1500, 576, true, 3}, {3000, 1500, true, 3}, {1401, 1400, false, 2}, {1281, 1280, false, 2}} {
		if got := fragments(c.size, c.mtu, c.v4); got != c.want {
			t.Errorf("%d bytes over %d: %d fragments, want %d", c.size, c.mtu, got, c.want)
		}
	}
}

func TestFlap(t *testing.T) {
	list := feed(Flap{Up: 3 * time.Second, Down: time.Second}, 4000, 100, 10*ms)
	for i, v := range list {
		if down := i/100%4 == 3; v.Drop != down {
			t.Fatalf("at %s: dropped %v", time.Duration(i)*10*ms, v.Drop)
		}
	}
	down := count(feed(Flap{Up: time.Second, Down: time.Second, Jitter: time.Second}, 200_000, 100, 10*ms), dropped)
	if down < 90_000 || down > 110_000 {
		t.Errorf("with jitter it is down for %d of 200000", down)
	}
}

func TestTrace(t *testing.T) {
	tr, err := ParseTrace(strings.NewReader("time,delay,loss\n# a comment\n0,10,0\n1s, 50ms, 100%\n2000,5,0.25%\n"))
	if err != nil {
		t.Fatal(err)
	}
	tr.Loop = true
	for i, v := range feed(tr, 4000, 100, ms) {
		if lost := i/1000%2 == 1; v.Drop != lost || !lost && v.Delay != 10*ms {
			t.Fatalf("at %d ms: %+v", i, v)
		}
	}
	tr.Loop = false
	list := feed(tr, 50_000, 100, ms)[2000:]
	if k := count(list, dropped); !within(k, 48_000, Ratio{25, 10_000}) || list[47_000].Delay != 5*ms {
		t.Errorf("after the last point %d of 48000 are lost", k)
	}
	for _, c := range []struct{ text, say string }{
		{"", "no points"}, {"1,2\n", "wrong number of fields"}, {"0,x,0\n", `line 1: delay "x" is no duration`},
		{"0,1,0\n0,1,0\n", "line 2: time 0 does not grow"}, {"0,1,2\n", `line 1: "2" is no share`},
		{"time,delay,loss\n-5s,1,0\n", `line 2: time "-5s" is no duration`}, {"0,1,101%\n", "no share"},
		{"0,1,1/0\n", "no share"}, {"0,1,0.00000001%\n", "no share"},
	} {
		if _, err := ParseTrace(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%q: %v, want %q", c.text, err, c.say)
		}
	}
}

func TestBlock(t *testing.T) {
	if n := count(feed(Block{Ports: []uint16{53, 51820}}, 10, 100, ms), dropped); n != 10 {
		t.Errorf("a blocked port lets %d of 10 pass", 10-n)
	}
	if n := count(feed(Block{Ports: []uint16{53}}, 10, 100, ms), dropped); n != 0 {
		t.Errorf("another port blocks %d", n)
	}
	if l := feed(Block{}, 1, 100, ms); l[0].Kind != FaultBlockedUDP {
		t.Errorf("all ports: %+v", l[0])
	}
}

func TestFirewall(t *testing.T) {
	f := newFirewall(Firewall{Timeout: 30 * time.Second, Open: []uint16{99}, OutPorts: []uint16{1000}})
	sec := func(n int) timers.Time { return timers.Time(n) * timers.Time(time.Second) }
	open := netip.AddrPortFrom(inA.Addr(), 99)
	for i, c := range []struct {
		at       int
		out      bool
		in, peer netip.AddrPort
		why      string
	}{
		{0, false, inA, outX, "unasked"}, {1, true, inA, outX, ""}, {30, false, inA, outX, ""},
		{31, false, inA, outY, "unasked"}, {59, false, inA, outX, ""}, {89, false, inA, outX, "unasked"},
		{90, true, inA, outX2, "port blocked"}, {91, false, open, outX2, ""}, {92, true, open, outX2, ""},
	} {
		why, kind := "", FaultNone
		if c.out {
			why, kind = f.out(sec(c.at), c.in, c.peer)
		} else {
			why, kind = f.in(sec(c.at), c.peer, c.in)
		}
		if why != c.why || (why == "") != (kind == FaultNone) {
			t.Errorf("step %d: %q (%s), want %q", i, why, kind, c.why)
		}
	}
	f = newFirewall(Firewall{BlockUDP: true})
	if why, kind := f.out(0, inA, outX); why == "" || kind != FaultBlockedUDP {
		t.Error("it lets UDP out")
	}
}

func TestNATOverflow(t *testing.T) {
	for _, evict := range []bool{false, true} {
		n := testNAT(NAT{Mappings: 2, Evict: evict, Mapping: AddressPortDependent, Timeout: time.Minute})
		effects := map[FaultKind]int{}
		n.took = func(k FaultKind) { effects[k]++ }
		first := n.outbound(0, inA, outX)
		n.outbound(1, inA, outX2)
		if full := n.full(2, inA, outY); full == evict {
			t.Errorf("evict %v: full %v", evict, full)
		}
		if n.full(2, inA, outX2) {
			t.Error("no room for what has a mapping")
		}
		if _, why := n.inbound(2, outX, first.Port()); (why != "") != evict ||
			effects[FaultNATOverflow] != map[bool]int{true: 1}[evict] {
			t.Errorf("evict %v: the oldest mapping: %q, %v", evict, why, effects)
		}
		if n.full(timers.Time(time.Hour), inA, outY) {
			t.Error("still full when all have expired")
		}
	}
}

// The clock of a host and its inverse agree, however it drifts and steps.
func TestClockAndItsInverse(t *testing.T) {
	for _, ppm := range []int64{0, 1, -1, 500, -500, 100_000, -100_000} {
		c := clock{ppm: ppm}
		now := timers.Time(0)
		for i := range 200 {
			want := c.at(now) + timers.Time(i*i*7_777_777)
			at := c.when(now, want)
			if c.at(at) < want || at > now && c.at(at-1) >= want {
				t.Fatalf("%d ppm: the clock shows %d at %d, want the first moment of %d", ppm, c.at(at), at, want)
			}
			now = at
			if i%50 == 49 {
				before := c.at(now)
				c.step(now, time.Duration(i-100)*time.Second)
				if c.at(now) != before.Add(time.Duration(i-100)*time.Second) {
					t.Fatalf("%d ppm: a step leads from %d to %d", ppm, before, c.at(now))
				}
			}
		}
	}
	c := clock{ppm: 1000}
	if got := c.at(timers.Time(time.Hour)); got != timers.Time(time.Hour+3600*ms) {
		t.Errorf("after an hour a clock that is 1000 ppm fast shows %s", time.Duration(got))
	}
	if c.when(0, timers.Never) < timers.Time(1<<62) {
		t.Error("never comes")
	}
}
