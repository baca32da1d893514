package timers

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// wantNext checks one answer of Next.
func wantNext(t *testing.T, q *Queue, why string, p *Peer, k Kind, in time.Duration) {
	t.Helper()
	got, kind, at, ok := q.Next()
	if got != p || kind != k || ok != (p != nil) || ok && at != t0.Add(in) || !ok && at != Never {
		t.Errorf("%s: Next = peer %v, %v in %v (%v)", why, got, kind, at.Sub(t0), ok)
	}
}

func TestQueueTies(t *testing.T) {
	var q Queue
	const n = 50
	peers := make([]Peer, n)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) { // the order of Add must not matter
		q.Add(&peers[i], uint32(i))
		peers[i].Up(t0)
		for _, k := range Kinds() {
			peers[i].arm(k, t0.Add(time.Second))
		}
	}
	for i := range peers {
		for _, k := range Kinds() {
			wantNext(t, &q, "at one moment: smaller id, then smaller kind", &peers[i], k, time.Second)
			peers[i].Expire(t0.Add(time.Second), k)
			peers[i].cancel(k) // T5 runs on
		}
	}
	wantNext(t, &q, "all fired", nil, None, 0)
}

func TestQueueIsExactAfterCancelAndExtension(t *testing.T) {
	var q Queue
	var a, b Peer
	q.Add(&a, 1)
	q.Add(&b, 2)
	a.Up(t0)
	b.Up(t0)
	wantNext(t, &q, "nothing armed", nil, None, 0)
	a.DataReceived(t0)
	b.DataSent(t0, 0)
	wantNext(t, &q, "the passive keepalive", &a, t2, 10*time.Second)
	a.DataSent(t0.Add(time.Second), 0)
	wantNext(t, &q, "cancelled: the other peer is next", &b, t3, 15*time.Second)
	b.KeepaliveReceived(t0)
	wantNext(t, &q, "cancelled: back to the first, later than its entry was", &a, t3, 16*time.Second)
	b.InitiationSent(t0, 0, false)
	wantNext(t, &q, "an earlier one", &b, t1, 5*time.Second)
	b.Yield(t0, true)
	wantNext(t, &q, "put off", &b, t1, LongYieldTime)
	b.Down()
	wantNext(t, &q, "down", &a, t3, 16*time.Second)
	q.Remove(&a)
	wantNext(t, &q, "removed", nil, None, 0)
	if len(q.heap) != 0 {
		t.Errorf("%d entries: idle peers need none", len(q.heap))
	}
}

// A queue deep enough that an entry deleted in the middle may have to be replaced by one that belongs above it.
func TestQueueDeep(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var q Queue
	peers := make([]Peer, 300)
	next := func() (best *Peer, at Time) {
		at = Never
		for i := range peers {
			if _, d := peers[i].earliest(); peers[i].up && d < at { // in order of id, so ties fall to the smaller
				best, at = &peers[i], d
			}
		}
		return best, at
	}
	for i := range peers {
		q.Add(&peers[i], uint32(i))
	}
	for range 20_000 {
		i := rng.IntN(len(peers))
		p, k := &peers[i], Kinds()[rng.IntN(5)]
		switch rng.IntN(8) {
		case 0:
			q.Remove(p)
			q.Add(p, uint32(i))
		case 1:
			p.cancel(k)
		default:
			p.Up(t0)
			p.arm(k, t0.Add(time.Duration(rng.IntN(1000))))
		}
		got, _, at, _ := q.Next()
		if want, wantAt := next(); got != want || at != wantAt {
			t.Fatalf("Next is %v at %v, a scan says %v at %v", got, at.Sub(t0), want, wantAt.Sub(t0))
		}
		checkHeap(t, &q)
	}
}

func TestQueueMisuse(t *testing.T) {
	mustPanic := func(why string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s must panic", why)
			}
		}()
		f()
	}
	q, p := upPeer()
	mustPanic("adding a peer twice", func() { q.Add(p, 2) })
	mustPanic("adding a peer to two queues", func() { new(Queue).Add(p, 2) })
	mustPanic("Up without a queue", func() { new(Peer).Up(t0) })
	p.DataReceived(t0)
	new(Queue).Remove(p)
	wantNext(t, q, "a foreign queue removes nothing", p, t2, 10*time.Second)
}

func TestPeerIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Peer{}); size > 96 {
		t.Errorf("a Peer takes %d bytes, want at most 96", size)
	}
	var q Queue
	peers := make([]Peer, 1<<16)
	got := testing.AllocsPerRun(1, func() {
		for i := range peers {
			q.Remove(&peers[i])
			q.Add(&peers[i], uint32(i))
			peers[i].Up(t0)
		}
	})
	if got != 0 || len(q.heap) != 0 {
		t.Errorf("idle peers cost %v allocations and %d entries", got, len(q.heap))
	}
}

// fired is one expiry of a run.
type fired struct {
	at   Time
	id   uint32
	kind Kind
	act  Action
}

// completenessRun plays a fixed sequence of random events to several peers. It stops at every deadline, and if
// poke is positive also every poke, when it asks and expires everything without need.
func completenessRun(seed uint64, poke time.Duration) []fired {
	const peers, events, length = 6, 300, 300 * time.Second
	rng := rand.New(rand.NewPCG(seed, 7))
	type input struct {
		at    Time
		peer  int
		event int
	}
	inputs := make([]input, events)
	for i := range inputs {
		inputs[i] = input{t0.Add(time.Duration(rng.Int64N(int64(length)))), rng.IntN(peers), rng.IntN(len(everyEvent()))}
	}
	slices.SortFunc(inputs, func(a, b input) int { return cmp.Compare(a.at, b.at) })
	var q Queue
	ps := make([]Peer, peers)
	for i := range ps {
		q.Add(&ps[i], uint32(i))
		ps[i].SetPersistentKeepalive(t0, uint16(i*7))
		ps[i].Up(t0)
	}
	var log []fired
	for now := t0; now <= t0.Add(length); {
		if poke > 0 {
			for i := range ps {
				for _, k := range Kinds() {
					if at, armed := ps[i].Deadline(k); !armed || at > now {
						if act := ps[i].Expire(now, k); act != ActNone {
							log = append(log, fired{now, ps[i].id, k, act}) // makes the comparison fail
						}
					}
				}
			}
		}
		for {
			p, kind, at, ok := q.Next()
			if !ok || at > now {
				break
			}
			act := p.Expire(now, kind)
			log = append(log, fired{now, p.id, kind, act})
			if act == ActNone || len(log) > 100_000 {
				return append(log, fired{Never, uint32(poke), None, ActNone}) // endless: makes the comparison fail
			}
			if act == ActRetry || act == ActNewHandshake || act == ActPersistentKeepalive {
				if p.WantInitiation(now, act == ActRetry) {
					p.InitiationSent(now, time.Duration(now%Time(MaxJitter)), act == ActRetry)
				}
			} else if act == ActKeepalive {
				p.KeepaliveSent(now)
			}
		}
		for len(inputs) > 0 && inputs[0].at <= now {
			everyEvent()[inputs[0].event].run(&ps[inputs[0].peer], now)
			inputs = inputs[1:]
		}
		next := t0.Add(length + 1)
		if _, _, at, ok := q.Next(); ok {
			next = min(next, max(at, now)) // an event may have made something due at once
		}
		if len(inputs) > 0 {
			next = min(next, inputs[0].at)
		}
		if poke > 0 {
			next = min(next, now.Add(poke))
		}
		now = next
	}
	return log
}

// Design §5: waking exactly at each deadline, and the same plus spurious calls every millisecond, give the same.
func TestDeadlinesAreComplete(t *testing.T) {
	seen := map[Action]bool{}
	for seed := range uint64(5) {
		exact, poked := completenessRun(seed, 0), completenessRun(seed, time.Millisecond)
		if !slices.Equal(exact, poked) {
			t.Errorf("seed %d: %d expiries when waking exactly, %d with spurious calls", seed, len(exact), len(poked))
		}
		for _, f := range exact {
			seen[f.act] = true
		}
	}
	for _, a := range []Action{ActRetry, ActKeepalive, ActNewHandshake, ActPersistentKeepalive} {
		if !seen[a] {
			t.Errorf("the runs never saw %v, so they show nothing about it", a)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var q Queue
	peers := make([]Peer, 64)
	for i := range peers {
		q.Add(&peers[i], uint32(i))
		peers[i].SetPersistentKeepalive(t0, 25)
		peers[i].Up(t0)
	}
	now, i := t0, 0
	for _, event := range everyEvent() {
		got := testing.AllocsPerRun(500, func() {
			now = now.Add(100 * time.Millisecond)
			i++
			event.run(&peers[i%len(peers)], now)
			for {
				p, kind, at, ok := q.Next()
				if !ok || at > now {
					break
				}
				if p.Expire(now, kind) == ActNone {
					t.Fatalf("Next named %v, which does not fire", kind)
				}
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", event.name, got)
		}
	}
}

// BenchmarkTimers arms, fires and arms again with 2^20 armed peers; one operation is one expiry with its Next.
func BenchmarkTimers(b *testing.B) {
	const n = 1 << 20
	var q Queue
	peers := make([]Peer, n)
	now := t0
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range peers {
		q.Add(&peers[i], uint32(i))
		peers[i].SetPersistentKeepalive(now, 25)
		peers[i].Up(now)
		peers[i].arm(t5, now.Add(time.Duration(rng.Int64N(int64(25*time.Second)))))
	}
	b.ReportAllocs()
	for b.Loop() {
		p, kind, at, _ := q.Next()
		now = at
		if p.Expire(now, kind) != ActPersistentKeepalive {
			b.Fatal("only T5 is armed")
		}
		p.KeepaliveSent(now)
	}
}

// BenchmarkTraffic is what a packet costs with 2^20 armed peers: data received, data sent, and the exact deadline.
func BenchmarkTraffic(b *testing.B) {
	const n = 1 << 20
	var q Queue
	peers := make([]Peer, n)
	now := t0
	for i := range peers {
		q.Add(&peers[i], uint32(i))
		peers[i].Up(now)
		peers[i].ResponseReceived(now)
		peers[i].DataReceived(now)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		p := &peers[rng.Uint32N(n)]
		p.DataReceived(now)
		p.DataSent(now, j)
		for {
			due, kind, at, ok := q.Next()
			if !ok || at > now {
				break
			}
			due.Expire(now, kind)
		}
	}
}
