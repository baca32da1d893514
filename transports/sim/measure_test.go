package sim

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/timers"
)

func TestSpreadIsAsSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(0, 1<<45), 1, 300).Draw(t, "delays")
		var h spread
		for _, d := range list {
			h.add(time.Duration(d))
		}
		slices.Sort(list)
		exact := func(p int) time.Duration { return time.Duration(list[(len(list)*p+99)/100-1]) }
		got := h.percentiles()
		for i, p := range []struct {
			got time.Duration
			p   int
		}{{got.P50, 50}, {got.P90, 90}, {got.P99, 99}} {
			if want := exact(p.p); p.got < want || p.got > want+want/16 {
				t.Fatalf("percentile %d of %v is %d, not %d (%d)", p.p, list, p.got, want, i)
			}
		}
		if got.Max != exact(100) {
			t.Fatalf("the greatest of %v is not %d", list, got.Max)
		}
	})
	if (&spread{}).percentiles() != (Delays{}) {
		t.Error("percentiles of nothing")
	}
}

// traffic is a list of packets, each with the times of sending and of arrival (0: lost), for the naive models.
type traffic []struct{ sent, arrived timers.Time }

func drawTraffic(t *rapid.T) (list traffic) {
	at := timers.Time(1)
	for range rapid.IntRange(1, 60).Draw(t, "packets") {
		at += timers.Time(rapid.IntRange(0, 3000).Draw(t, "gap in ms")) * timers.Time(ms)
		p := struct{ sent, arrived timers.Time }{sent: at}
		if rapid.IntRange(0, 2).Draw(t, "lost if 0") > 0 {
			p.arrived = at.Add(time.Duration(rapid.IntRange(1, 2500).Draw(t, "delay in ms")) * ms)
		}
		list = append(list, p)
	}
	return list
}

// naiveOutages looks at all moments at which something happened, and for each packet at whether it opens a wait:
// nothing was sent between the last arrival and it.
func (l traffic) naiveOutages(end timers.Time, floor time.Duration) (out []Outage) {
	for i, p := range l {
		opens := true
		for _, q := range l[:i] {
			// An earlier packet is still waited for if nothing arrived after it was sent and until now.
			met := false
			for _, a := range l {
				met = met || a.arrived != 0 && a.arrived > q.sent && a.arrived <= p.sent
			}
			opens = opens && met
		}
		if !opens {
			continue
		}
		o := Outage{time.Duration(p.sent), time.Duration(end), true}
		for _, a := range l {
			if a.arrived != 0 && a.arrived > p.sent && a.arrived <= end && (o.Open || time.Duration(a.arrived) < o.End) {
				o.End, o.Open = time.Duration(a.arrived), false
			}
		}
		if o.End-o.Start >= floor {
			out = append(out, o)
		}
	}
	return out
}

// play shows the traffic to a way in order of time; at one moment arrivals come first.
func (l traffic) play(end timers.Time, send func(now timers.Time), deliver func(now, sent timers.Time)) {
	type step struct {
		at, sent timers.Time
		arrival  bool
	}
	var steps []step
	for _, p := range l {
		steps = append(steps, step{p.sent, p.sent, false})
		if p.arrived != 0 && p.arrived <= end {
			steps = append(steps, step{p.arrived, p.sent, true})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.arrival == b.arrival:
			return 0
		case a.arrival:
			return -1
		}
		return 1
	})
	for _, s := range steps {
		if s.arrival {
			deliver(s.at, s.sent)
		} else {
			send(s.at)
		}
	}
}

func TestOutagesAreAsTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawTraffic(t)
		end := list[len(list)-1].sent.Add(time.Second)
		floor := time.Duration(rapid.IntRange(0, 4000).Draw(t, "floor in ms")) * ms
		w := newWay(floor)
		list.play(end, func(now timers.Time) { w.send(now, 84) },
			func(now, sent timers.Time) { w.deliver(now, now.Sub(sent), 84, 56) })
		want, got := list.naiveOutages(end, floor), w.result(end)
		var total time.Duration
		for _, o := range want {
			total += o.End - o.Start
		}
		if got.OutageCount != uint64(len(want)) || got.OutageTotal != total {
			t.Fatalf("%d outages of %s, by the model %d of %s", got.OutageCount, got.OutageTotal, len(want), total)
		}
		longest := slices.Clone(want)
		slices.SortStableFunc(longest, func(a, b Outage) int { return cmp.Compare(b.End-b.Start, a.End-a.Start) })
		listed := 0
		for i, o := range got.Outages {
			if !slices.Contains(want, o) || i > 0 && o.Start <= got.Outages[i-1].Start {
				t.Fatalf("listed %v, by the model %v", got.Outages, want)
			}
			listed++
		}
		if listed != min(len(want), MaxOutages) || listed > 0 && got.LongestOutage() != longest[0].End-longest[0].Start {
			t.Fatalf("listed %v, by the model %v", got.Outages, want)
		}
		if again := w.result(end); again.OutageCount != got.OutageCount || len(again.Outages) != len(got.Outages) {
			t.Fatal("a result changes what is measured")
		}
	})
}

// naiveRecovery: the first packet sent at or after the end, and the first arrival of such a packet.
func (l traffic) naiveRecovery(healed, end timers.Time) (first, back time.Duration) {
	first, back = NoTime, NoTime
	for _, p := range l {
		if p.sent < healed {
			continue
		}
		if first == NoTime {
			first = time.Duration(p.sent)
		}
		if a := time.Duration(p.arrived); a != 0 && p.arrived <= end && (back == NoTime || a < back) {
			back = a
		}
	}
	return first, back
}

func TestRecoveriesAreAsTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawTraffic(t)
		end := list[len(list)-1].sent.Add(time.Second)
		var all, ended []Disturbance
		at := time.Duration(0)
		for range rapid.IntRange(1, 8).Draw(t, "disturbances") {
			at += time.Duration(rapid.IntRange(1, 20_000).Draw(t, "apart in ms")) * ms
			all = append(all, Disturbance{End: at})
		}
		var c comeback
		upTo := func(now timers.Time) {
			for len(ended) < len(all) && timers.Time(all[len(ended)].End) <= now {
				ended = append(ended, all[len(ended)])
			}
		}
		list.play(end, func(now timers.Time) { upTo(now); c.send(now, ended) },
			func(now, sent timers.Time) { upTo(now); c.deliver(now, sent, ended) })
		got, omitted := c.result()
		var want []Recovery
		for i, d := range all {
			if first, back := list.naiveRecovery(timers.Time(d.End), end); first != NoTime {
				want = append(want, Recovery{i, first, back})
			}
		}
		if !slices.Equal(got, want) || omitted != 0 {
			t.Fatalf("got %v, want %v of %v", got, want, all)
		}
	})
}

func TestWayCounts(t *testing.T) {
	w := newWay(time.Second)
	if r := w.result(5); r.FirstSent != NoTime || r.FirstAfter != NoTime || r.Goodput != 0 {
		t.Errorf("of nothing: %+v", r)
	}
	var none *way
	if r := none.result(5); r.Sent != 0 || r.FirstSent != NoTime {
		t.Errorf("of no way: %+v", r)
	}
	for i := range 11 {
		at := timers.Time(time.Second).Add(time.Duration(i) * 100 * ms)
		w.send(at, 84)
		if i != 3 {
			w.deliver(at.Add(50*ms), 50*ms, 84, 56)
		}
	}
	r := w.result(timers.Time(time.Minute))
	if r.Sent != 11 || r.Lost() != 1 || r.FirstSent != time.Second || r.FirstAfter != 50*ms || r.PayloadBytes != 560 ||
		r.Goodput != 560_000/1050 || r.Jitter != 0 || r.OutageCount != 0 {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		n    uint64
		d    time.Duration
		want uint64
	}{{1000, time.Second, 1000}, {1000, 0, 0}, {1 << 60, time.Hour, 1 << 60 / 3600}, {1 << 63, 1, 0}} {
		if got := perSecond(c.n, c.d); got != c.want {
			t.Errorf("%d in %s: %d per second, want %d", c.n, c.d, got, c.want)
		}
	}
}
