package sim

import (
	"bytes"
	"container/heap"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/timers"
)

// wire is a path between a tcpSender and a tcpReceiver, without hosts, tunnels and packets around them.
type wire struct {
	t    testing.TB
	now  timers.Time
	tx   tcpSender
	rx   tcpReceiver
	got  []byte
	stat StreamResult
	list wireHeap
	seq  int
	// judge says when a segment arrives, never (nil) or several times.
	judge func(forth bool, g *tcpSegment) []time.Duration
	sent  []timers.Time // segments with data
}

type wireSegment struct {
	at    timers.Time
	seq   int
	forth bool
	g     tcpSegment
}

type wireHeap []wireSegment

func (h wireHeap) Len() int { return len(h) }
func (h wireHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h wireHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *wireHeap) Push(x any)   { *h = append(*h, x.(wireSegment)) }
func (h *wireHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

const (
	wireKey = 42
	wireMSS = 1000 // of data
)

// newWire makes the two ends; every segment takes delay until judge says otherwise.
func newWire(t testing.TB, kind Congestion, window int, delay time.Duration) *wire {
	w := &wire{t: t}
	w.judge = func(bool, *tcpSegment) []time.Duration { return []time.Duration{delay} }
	w.tx = tcpSender{out: func(g *tcpSegment) { w.put(true, g) }, stats: &w.stat}
	w.tx.win.kind = kind
	w.rx = tcpReceiver{out: func(g *tcpSegment) { w.put(false, g) }, mss: wireMSS + tcpOverhead, window: window}
	w.rx.deliver = func(pos uint64, b []byte) {
		if pos != uint64(len(w.got)) {
			t.Fatalf("place %d was delivered after %d", pos, len(w.got))
		}
		w.got = append(w.got, b...)
	}
	w.rx.listen(0xfffffff0, 0)
	return w
}

func (w *wire) start(limit uint64) {
	w.tx.connect(w.now, 0xffff8000, 0, limit, wireMSS+tcpOverhead) // the sequence numbers wrap on the way
}

func (w *wire) put(forth bool, g *tcpSegment) {
	c := *g
	if g.size > 0 {
		w.sent = append(w.sent, w.now)
		c.data = make([]byte, g.size)
		pattern(wireKey, g.pos, c.data)
	}
	for _, d := range w.judge(forth, &c) {
		w.seq++
		heap.Push(&w.list, wireSegment{w.now.Add(d), w.seq, forth, c})
	}
}

// run goes on until a moment, or until there is nothing more to happen.
func (w *wire) run(until timers.Time) {
	for {
		next := min(w.tx.deadline(), w.rx.deadline())
		if len(w.list) > 0 {
			next = min(next, w.list[0].at)
		}
		if next > until {
			w.now = max(w.now, min(until, next))
			return
		}
		w.now = max(w.now, next)
		switch {
		case len(w.list) > 0 && w.list[0].at <= w.now:
			if e := heap.Pop(&w.list).(wireSegment); e.forth {
				w.rx.input(w.now, &e.g)
			} else {
				w.tx.input(w.now, &e.g)
			}
		case w.tx.deadline() <= w.now:
			w.tx.expire(w.now)
		default:
			w.rx.expire(w.now)
		}
		w.check()
	}
}

// check holds the sender's books to its list.
func (w *wire) check() {
	pipe, lost, end := int64(0), 0, w.tx.una
	for i := range w.tx.sent {
		s := &w.tx.sent[i]
		if s.counted() {
			pipe += s.size
		}
		if s.lost && !s.resent && !s.sacked {
			lost++
		}
		if s.pos != end {
			w.t.Fatalf("a gap at %d in the list of what was sent", end)
		}
		end += uint64(s.size)
	}
	if pipe != w.tx.pipe || lost != w.tx.lost || end != w.tx.nxt {
		w.t.Fatalf("at %s: pipe %d, lost %d, next %d; by the list %d, %d, %d", time.Duration(w.now), w.tx.pipe, w.tx.lost,
			w.tx.nxt, pipe, lost, end)
	}
}

// arrived checks that the stream came whole and both ends know.
func (w *wire) arrived(n int) {
	want := make([]byte, n)
	pattern(wireKey, 0, want)
	if !bytes.Equal(w.got, want) {
		w.t.Fatalf("%d bytes arrived, %d were sent; or they differ", len(w.got), n)
	}
	if w.tx.state != tcpDone || w.rx.state != tcpDone || w.stat.Transfers != 1 {
		w.t.Fatalf("states %d and %d, %d transfers", w.tx.state, w.rx.state, w.stat.Transfers)
	}
	if w.tx.deadline() != timers.Never || w.rx.deadline() != timers.Never {
		w.t.Fatal("a timer is left")
	}
}

func TestTCPSlowStartDoubles(t *testing.T) {
	const rtt = 100 * time.Millisecond
	w := newWire(t, CongestionReno, 1<<30, rtt/2)
	w.start(noLimit)
	var per []int
	for i := 1; i <= 6; i++ {
		from := len(w.sent)
		w.run(timers.Time(time.Duration(i)*rtt + rtt*3/4))
		per = append(per, len(w.sent)-from)
	}
	// IW10 goes out with the SYN-ACK (RFC 6928), and each round trip doubles it.
	for i, n := range per {
		if n != 10<<i {
			t.Fatalf("segments per round trip: %v", per)
		}
	}
	if w.stat.Repeated != 0 || w.stat.SRTT != rtt {
		t.Errorf("%d repeated, smoothed round trip %s", w.stat.Repeated, w.stat.SRTT)
	}
}

// One loss each time the window reaches 64 segments: Reno goes between 32 and 64, CUBIC between 44 and 64.
func TestTCPSawtooth(t *testing.T) {
	const rtt = 100 * time.Millisecond
	for _, c := range []struct {
		kind          Congestion
		low, high     int64
		least, atMost int // losses in 60 s
	}{{CongestionReno, 32, 65, 14, 20}, {CongestionCUBIC, 44, 65, 10, 30}} {
		w := newWire(t, c.kind, 1<<30, rtt/2)
		drops := uint64(0)
		w.judge = func(forth bool, g *tcpSegment) []time.Duration {
			if forth && g.size > 0 && w.tx.win.cwnd >= 64*wireMSS && w.stat.Recoveries == drops && !w.tx.fast {
				drops++
				return nil
			}
			return []time.Duration{rtt / 2}
		}
		w.start(noLimit)
		w.run(timers.Time(5 * time.Second))
		before := w.stat.Recoveries
		low, high := int64(math.MaxInt64), int64(0)
		for i := range 600 {
			w.run(timers.Time(5*time.Second + time.Duration(i)*rtt))
			low, high = min(low, w.tx.win.cwnd/wireMSS), max(high, w.tx.win.cwnd/wireMSS)
		}
		n := int(w.stat.Recoveries - before)
		if low < c.low || low > c.low+1 || high > c.high || high < 63 || n < c.least || n > c.atMost {
			t.Errorf("%s: window from %d to %d segments, %d losses", c.kind, low, high, n)
		}
		if w.stat.Timeouts > 0 || w.stat.Repeated != w.stat.Recoveries {
			t.Errorf("%s: %+v", c.kind, w.stat)
		}
	}
}

// RFC 6298 (5.5): each expiry doubles the timer; then the stream goes on as if nothing had been.
func TestTCPBacksOff(t *testing.T) {
	w := newWire(t, CongestionReno, 20_000, 50*time.Millisecond)
	w.start(1 << 20)
	w.run(timers.Time(time.Second))
	judge := w.judge
	w.judge = func(bool, *tcpSegment) []time.Duration { return nil }
	from := len(w.sent)
	w.run(timers.Time(65 * time.Second))
	w.judge = judge
	var gaps []time.Duration
	for i := from + 1; i < len(w.sent); i++ {
		gaps = append(gaps, w.sent[i].Sub(w.sent[i-1]))
	}
	for i, g := range gaps {
		if g != 2*time.Second<<i {
			t.Fatalf("between retransmissions: %v", gaps)
		}
	}
	if len(gaps) < 4 || w.tx.win.cwnd != wireMSS {
		t.Errorf("%d retransmissions, window %d", len(gaps)+1, w.tx.win.cwnd)
	}
	w.run(timers.Time(10 * time.Minute))
	w.arrived(1 << 20)
}

// A burst of losses in one window is mended within a few round trips, without the timer.
func TestTCPRecoversFromABurst(t *testing.T) {
	for _, kind := range []Congestion{CongestionReno, CongestionCUBIC} {
		w := newWire(t, kind, 1<<20, 50*time.Millisecond)
		n := 0
		w.judge = func(forth bool, g *tcpSegment) []time.Duration {
			if forth && g.size > 0 {
				if n++; n >= 100 && n < 120 && n%2 == 0 {
					return nil
				}
			}
			return []time.Duration{50 * time.Millisecond}
		}
		w.start(1_000_000)
		w.run(timers.Time(time.Minute))
		w.arrived(1_000_000)
		if w.stat.Timeouts != 0 || w.stat.Recoveries != 1 || w.stat.Repeated != 10 {
			t.Errorf("%s: %+v", kind, w.stat)
		}
	}
}

// What is lost at the very end has nothing behind it that could tell: the timer does.
func TestTCPTimerMendsTheTail(t *testing.T) {
	w := newWire(t, CongestionReno, 1<<20, 50*time.Millisecond)
	lost := false
	w.judge = func(forth bool, g *tcpSegment) []time.Duration {
		if forth && g.flags&tcpPSH != 0 && !lost {
			lost = true
			return nil
		}
		return []time.Duration{50 * time.Millisecond}
	}
	w.start(10_000)
	w.run(timers.Time(time.Minute))
	w.arrived(10_000)
	if w.stat.Timeouts != 1 {
		t.Errorf("%+v", w.stat)
	}
}

// The property of all: whatever a network loses, doubles and overtakes, the stream arrives as it was.
func TestTCPStreamArrivesIntact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rnd := NewRand(rapid.Uint64().Draw(r, "seed"), "wire")
		loss := Percent(rapid.Uint32Range(0, 30).Draw(r, "loss in percent"))
		double := Percent(rapid.Uint32Range(0, 20).Draw(r, "copies in percent"))
		jitter := time.Duration(rapid.IntRange(0, 200).Draw(r, "jitter in ms")) * time.Millisecond
		n := rapid.SampledFrom([]int{0, 1, wireMSS, wireMSS + 1, 20_000, 200_000}).Draw(r, "bytes")
		kind := Congestion(rapid.IntRange(0, int(NumCongestions)-1).Draw(r, "congestion control"))
		w := newWire(t, kind, rapid.IntRange(2*wireMSS, 100_000).Draw(r, "window"), 0)
		spared := triesOfSYN - 1 // a connection that loses more before it is open may be given up, as it should be
		w.judge = func(bool, *tcpSegment) (at []time.Duration) {
			switch lost := rnd.Chance(loss); {
			case lost && w.tx.state == tcpOpening && spared > 0:
				spared--
			case !lost || w.tx.state == tcpOpening:
				at = append(at, 20*time.Millisecond+rnd.Duration(jitter))
			}
			if rnd.Chance(double) {
				at = append(at, 20*time.Millisecond+rnd.Duration(2*jitter))
			}
			return at
		}
		w.start(uint64(n))
		w.run(timers.Time(100 * time.Hour))
		w.arrived(n)
	})
}

// The rate under random loss is that of Mathis, Semke, Mahdavi and Ott (1997): MSS/RTT·C/√p, with C about 1.2; squared,
// so that it needs integers alone.
func TestTCPRateUnderLoss(t *testing.T) {
	const rtt, span = 100 * time.Millisecond, 500 * time.Second
	for _, permille := range []uint32{1, 5, 10, 20} {
		w := newWire(t, CongestionReno, 1<<30, rtt/2)
		rnd := NewRand(uint64(permille), "mathis")
		w.judge = func(forth bool, g *tcpSegment) []time.Duration {
			if forth && rnd.Chance(Ratio{permille, 1000}) {
				return nil
			}
			return []time.Duration{rtt / 2}
		}
		w.start(noLimit)
		w.run(timers.Time(span))
		segments := uint64(len(w.got)) / wireMSS / uint64(span/rtt) // per round trip
		square := segments * segments * uint64(permille)            // 1000·C²: 1500 by the formula
		t.Logf("p = %d/1000: %d segments per round trip, 1000·C² = %d", permille, segments, square)
		if square < 1500/3 || square > 1500*2 {
			t.Errorf("p = %d/1000: %d segments per round trip, 1000·C² = %d", permille, segments, square)
		}
	}
}

// W_cubic meets W_max again at K, and K is cbrt(W_max·(1−β)/C).
func TestCubicCurve(t *testing.T) {
	w := newWindow(CongestionCUBIC, 1000)
	w.cwnd, w.ssthresh = 100_000, 1
	w.reduce(100_000)
	if w.cwnd != 70_000 || w.cubic.top != 100_000 {
		t.Fatalf("after a loss: %+v", w)
	}
	w.grow(0, 1000, 0)
	// 100 segments · 0.3 / 0.4 = 75 = 4.217³
	if k := w.cubic.k; k != 4217 {
		t.Errorf("K is %d ms", k)
	}
	for _, c := range []struct {
		at   time.Duration
		want int64
	}{{0, 70_000}, {4217 * ms, 100_000}, {8434 * ms, 130_000}} {
		if got := w.cubic.at(c.at, 1000); got < c.want-10 || got > c.want+10 {
			t.Errorf("after %s: %d, want %d", c.at, got, c.want)
		}
	}
	w.reduce(70_000)
	if w.cubic.top != 70_000*17/20 && w.cubic.top != w.cubic.prior*17/20 {
		t.Errorf("no fast convergence: %+v", w.cubic)
	}
	for n := range int64(3000) {
		if r := cubeRoot(n * 1_000_003); r*r*r > n*1_000_003 || (r+1)*(r+1)*(r+1) <= n*1_000_003 {
			t.Fatalf("the cube root of %d is not %d", n*1_000_003, r)
		}
	}
}

// RFC 6298 §2 by its own example of arithmetic.
func TestRTO(t *testing.T) {
	var r rto
	r.sample(800 * ms)
	if r.srtt != 800*ms || r.rttvar != 400*ms || r.value != 2400*ms {
		t.Errorf("first: %+v", r)
	}
	r.sample(1600 * ms)
	if r.srtt != 900*ms || r.rttvar != 500*ms || r.value != 2900*ms {
		t.Errorf("second: %+v", r)
	}
	for range 100 {
		r.sample(10 * ms)
	}
	if r.value != rtoLeast {
		t.Errorf("the least: %+v", r)
	}
	for range 20 {
		r.backOff()
	}
	if r.value != rtoMost || r.expired != 20 {
		t.Errorf("the most: %+v", r)
	}
}

// A receiver that lost its state answers with a reset; one that nobody answers is given up.
func TestTCPGivesUp(t *testing.T) {
	w := newWire(t, CongestionReno, 100_000, 10*time.Millisecond)
	w.judge = func(bool, *tcpSegment) []time.Duration { return nil }
	w.start(5000)
	w.run(timers.Time(time.Hour))
	if w.tx.state != tcpGone || w.stat.Aborted != 1 || w.now < timers.Time(100*time.Second) {
		t.Errorf("a SYN that nobody answers: state %d at %s", w.tx.state, time.Duration(w.now))
	}
	w = newWire(t, CongestionReno, 100_000, 10*time.Millisecond)
	w.start(noLimit)
	w.run(timers.Time(time.Second))
	w.judge = func(bool, *tcpSegment) []time.Duration { return nil }
	w.run(timers.Time(time.Hour))
	if w.tx.state != tcpGone || w.stat.Timeouts != triesOfData {
		t.Errorf("data that nobody acknowledges: state %d, %+v", w.tx.state, w.stat)
	}
	w = newWire(t, CongestionReno, 100_000, 10*time.Millisecond)
	w.start(noLimit)
	w.run(timers.Time(time.Second))
	w.tx.input(w.now, &tcpSegment{flags: tcpRST})
	if w.tx.state != tcpGone || w.tx.deadline() != timers.Never {
		t.Error("a reset does not end the connection")
	}
}
