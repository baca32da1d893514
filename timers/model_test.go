package timers

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive is the model: each peer keeps its armed timers as plain deadlines in a map, and the next one of all is found
// by looking at every deadline. It has no queue, no stale entries and no arithmetic that could overflow.
type naive struct {
	deadline                 map[Kind]Time
	sent                     *Time
	interval                 uint16
	attempts                 int
	up, lastMinute, deferred bool
}

func (m *naive) set(k Kind, at Time) {
	if m.up && at != Never {
		m.deadline[k] = at
	} else if m.up {
		delete(m.deadline, k)
	}
}

func (m *naive) setIfIdle(k Kind, at Time) {
	if _, armed := m.deadline[k]; !armed {
		m.set(k, at)
	}
}

func (m *naive) traverse(now Time) {
	if m.interval > 0 {
		m.set(t5, addBig(now, time.Duration(m.interval)*time.Second))
	}
}

// suppressed is the 5 s rule, counted forward from the message and not back from now.
func (m *naive) suppressed(now Time) bool {
	if m.sent == nil {
		return false
	}
	free := addBig(*m.sent, 5*time.Second)
	if now >= free && !(free == Never && *m.sent > Never-Time(5*time.Second)) {
		return false
	}
	m.setIfIdle(t1, free)
	return true
}

func (m *naive) count() {
	if m.up {
		m.attempts = min(m.attempts+1, 19)
	}
}

func (m *naive) want(now Time, retry bool) bool {
	if !retry {
		m.attempts = 0
		if _, waits := m.deadline[t1]; waits {
			return false
		}
	}
	return m.up && !m.suppressed(now)
}

func (m *naive) initiation(now Time, jitter time.Duration, retry bool) bool {
	if !m.up || m.suppressed(now) {
		return false
	}
	if retry {
		m.count()
	}
	m.sent, m.deferred = &now, false
	m.traverse(now)
	delete(m.deadline, t2)
	m.set(t1, addBig(now, 5*time.Second+jitter))
	return true
}

func (m *naive) response(now Time) {
	if m.sent = &now; !m.up {
		m.sent = nil
	}
	m.set(t4, addBig(now, 9*time.Minute))
	m.traverse(now)
	delete(m.deadline, t2)
}

func (m *naive) complete() {
	delete(m.deadline, t1)
	m.attempts, m.lastMinute, m.deferred = 0, false, false
}

func (m *naive) down() {
	*m = naive{deadline: map[Kind]Time{}, interval: m.interval}
}

func (m *naive) setInterval(now Time, n uint16) {
	old := m.interval
	m.interval = n
	due, armed := m.deadline[t5]
	switch {
	case n == 0:
		delete(m.deadline, t5)
	case old == 0:
		m.set(t5, now)
	case n != old && !(armed && due <= now):
		m.traverse(now)
	}
}

func (m *naive) expire(now Time, k Kind) Action {
	at, armed := m.deadline[k]
	if !armed || at > now {
		return ActNone
	}
	delete(m.deadline, k)
	switch k {
	case t1:
		m.deferred = false
		if m.attempts < 19 {
			return ActRetry
		}
		delete(m.deadline, t2)
		m.setIfIdle(t4, addBig(now, 9*time.Minute))
		return ActGiveUp
	case t5:
		m.traverse(now)
	}
	return map[Kind]Action{t2: ActKeepalive, t3: ActNewHandshake, t4: ActZero, t5: ActPersistentKeepalive}[k]
}

// modelWorld runs the machine and the model side by side.
type modelWorld struct {
	queue Queue
	peers []*Peer // added, in no particular order
	model map[*Peer]*naive
	now   Time
	fresh uint32
}

func (w *modelWorld) next() (best *Peer, kind Kind, at Time) {
	at = Never
	for p, m := range w.model {
		for k, d := range m.deadline {
			earlier := d < at || d == at && best != nil && (p.id < best.id || p.id == best.id && k < kind)
			if earlier {
				best, kind, at = p, k, d
			}
		}
	}
	return best, kind, at
}

func (w *modelWorld) add(t *rapid.T) {
	w.fresh++
	// Ids that do not come in order: the queue must sort by id, not by age.
	p, id := new(Peer), w.fresh*2654435761
	w.queue.Add(p, id)
	w.peers = append(w.peers, p)
	w.model[p] = &naive{deadline: map[Kind]Time{}}
	if p.ID() != id {
		t.Fatalf("id %d, want %d", p.ID(), id)
	}
}

// modelEvents pairs each event of the machine with that of the model. An event with an answer compares it.
var modelEvents = map[string]func(t *rapid.T, p *Peer, m *naive, now Time){
	"up": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		if p.Up(now); !m.up {
			m.up = true
			if m.interval > 0 {
				m.set(t5, now)
			}
		}
	},
	"down": func(_ *rapid.T, p *Peer, m *naive, _ Time) { p.Down(); m.down() },
	"interval": func(t *rapid.T, p *Peer, m *naive, now Time) {
		n := rapid.SampledFrom([]uint16{0, 1, 5, 25, 65535}).Draw(t, "interval")
		p.SetPersistentKeepalive(now, n)
		m.setInterval(now, n)
	},
	"kick": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		if p.KickPersistentKeepalive(now); m.interval > 0 {
			m.set(t5, now)
		}
	},
	"want": func(t *rapid.T, p *Peer, m *naive, now Time) {
		retry := rapid.Bool().Draw(t, "retry")
		same(t, "WantInitiation", p.WantInitiation(now, retry), m.want(now, retry))
	},
	"initiation": func(t *rapid.T, p *Peer, m *naive, now Time) {
		retry, jitter := rapid.Bool().Draw(t, "retry"), drawJitter(t)
		same(t, "InitiationSent", p.InitiationSent(now, jitter, retry), m.initiation(now, jitter, retry))
	},
	"initiation failed": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.InitiationFailed(now)
		m.count()
		m.setIfIdle(t1, addBig(now, 5*time.Second))
	},
	"initiation received": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.InitiationReceived(now)
		delete(m.deadline, t3)
		m.traverse(now)
	},
	"yield": func(t *rapid.T, p *Peer, m *naive, now Time) {
		larger := rapid.Bool().Draw(t, "larger")
		p.Yield(now, larger)
		if _, armed := m.deadline[t1]; armed {
			wait := map[bool]time.Duration{false: 5666 * time.Millisecond, true: 10666 * time.Millisecond}
			m.set(t1, addBig(now, wait[larger]))
		}
	},
	"response sent": func(_ *rapid.T, p *Peer, m *naive, now Time) { p.ResponseSent(now); m.response(now) },
	"response received": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.ResponseReceived(now)
		m.set(t4, addBig(now, 9*time.Minute))
		m.complete()
		delete(m.deadline, t3)
		m.traverse(now)
	},
	"confirmed": func(_ *rapid.T, p *Peer, m *naive, now Time) { p.Confirmed(now); m.complete() },
	"data sent": func(t *rapid.T, p *Peer, m *naive, now Time) {
		jitter := drawJitter(t)
		p.DataSent(now, jitter)
		m.traverse(now)
		delete(m.deadline, t2)
		m.setIfIdle(t3, addBig(now, 15*time.Second+jitter))
	},
	"data received": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.DataReceived(now)
		delete(m.deadline, t3)
		m.traverse(now)
		m.setIfIdle(t2, addBig(now, 10*time.Second))
	},
	"keepalive sent": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.KeepaliveSent(now)
		m.traverse(now)
		delete(m.deadline, t2)
	},
	"keepalive received": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.KeepaliveReceived(now)
		delete(m.deadline, t3)
		m.traverse(now)
	},
	"identity": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		p.KeysExpiredByIdentity(now)
		m.sent, m.attempts = nil, 0
		if _, armed := m.deadline[t1]; armed || m.deferred {
			m.set(t1, now)
		}
	},
	"rekey on receive": func(t *rapid.T, p *Peer, m *naive, now Time) {
		age := rapid.SampledFrom([]time.Duration{0, 164 * time.Second, 165 * time.Second}).Draw(t, "age")
		s := Session{Born: addBig(now, -age), Initiator: rapid.Bool().Draw(t, "initiator")}
		old := now >= math.MinInt64+Time(165*time.Second) && age == 165*time.Second
		if now == Never { // Never minus anything is Never
			old = false
		}
		want := m.up && old && s.Initiator && !m.lastMinute
		same(t, "RekeyOnReceive", p.RekeyOnReceive(now, s), want)
		m.lastMinute = m.lastMinute || want
	},
	"last attempt": func(_ *rapid.T, p *Peer, m *naive, _ Time) {
		if m.up { // what 19 retries in a row come to, which random steps would hardly ever reach
			p.attempts, m.attempts = MaxAttempts+1, 19
		}
	},
	"defer": func(_ *rapid.T, p *Peer, m *naive, _ Time) {
		p.DeferRetry()
		delete(m.deadline, t1)
		m.deferred = m.up
	},
	"retry now": func(_ *rapid.T, p *Peer, m *naive, now Time) {
		if p.ArmRetryNow(now); m.deferred { // until T1 fires or ends: at the end of time it may never be armed
			m.setIfIdle(t1, now)
		}
	},
	"spurious expiry": func(t *rapid.T, p *Peer, m *naive, now Time) {
		k := Kind(rapid.Uint8Range(0, uint8(NumKinds)).Draw(t, "kind"))
		same(t, "Expire", p.Expire(now, k), m.expire(now, k))
	},
}

func drawJitter(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(MaxJitter)).Draw(t, "jitter"))
}

func same[T comparable](t *rapid.T, what string, got, want T) {
	if got != want {
		t.Fatalf("%s = %v, the model says %v", what, got, want)
	}
}

// check compares everything that can be seen, and the shape of the heap.
func (w *modelWorld) check(t *rapid.T) {
	p, kind, at, ok := w.queue.Next()
	wantPeer, wantKind, wantAt := w.next()
	if p != wantPeer || kind != wantKind || at != wantAt || ok != (wantPeer != nil) {
		t.Fatalf("Next = %v %v at %d (%v), the model says %v %v at %d", p, kind, at, ok, wantPeer, wantKind, wantAt)
	}
	for p, m := range w.model {
		for _, k := range Kinds() {
			at, armed := p.Deadline(k)
			want, wantArmed := m.deadline[k]
			if armed != wantArmed || armed && at != want {
				t.Fatalf("%v of %d at %d (%v), the model says %d (%v)", k, p.id, at, armed, want, wantArmed)
			}
		}
		at, sent := p.lastHandshakeSent, p.handshakeSent
		if sent != (m.sent != nil) || sent && at != *m.sent {
			t.Fatalf("last handshake sent at %d (%v), the model says %v", at, sent, m.sent)
		}
		same(t, "Attempts", p.Attempts(), m.attempts)
		same(t, "PersistentKeepalive", p.PersistentKeepalive(), m.interval)
		same(t, "IsUp", p.IsUp(), m.up)
	}
	checkHeap(t, &w.queue)
}

// checkHeap verifies what queue.go says of its entries.
func checkHeap(t interface{ Fatalf(string, ...any) }, q *Queue) {
	for _, e := range q.heap[len(q.heap):cap(q.heap)] {
		if e != (entry{}) {
			t.Fatalf("an entry that was deleted keeps its peer alive")
		}
	}
	for i, e := range q.heap {
		if int(e.peer.slot) != i+1 {
			t.Fatalf("the peer at place %d believes it is at %d", i, int(e.peer.slot)-1)
		}
		if i > 0 && e.before(q.heap[(i-1)/4]) {
			t.Fatalf("place %d is before its parent", i)
		}
		if _, at := e.peer.earliest(); e.at > at {
			t.Fatalf("an entry is later than its peer's deadline")
		}
	}
}

// advance moves time by something that matters, without firing anything: what is due stays due.
func (w *modelWorld) advance(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "jump") {
	case 0, 1, 2, 3:
		if _, _, at := w.next(); at != Never {
			at = addBig(at, time.Duration(rapid.Int64Range(-1, 1).Draw(t, "beside")))
			w.now = max(w.now, at)
		}
	case 4, 5, 6:
		w.now = addBig(w.now, rapid.SampledFrom([]time.Duration{1, time.Millisecond, MaxJitter, 5 * time.Second,
			10 * time.Second, 15 * time.Second, 25 * time.Second, 3 * time.Minute, 9 * time.Minute}).Draw(t, "by"))
	case 7, 8:
		w.now = addBig(w.now, time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "by")))
	case 9:
		if rapid.IntRange(0, 9).Draw(t, "huge") == 0 {
			w.now = addBig(w.now, time.Duration(rapid.Int64Range(1<<40, math.MaxInt64).Draw(t, "by")))
		}
	}
}

func (w *modelWorld) fire(t *rapid.T) {
	for range 20 {
		p, kind, at, ok := w.queue.Next()
		if !ok || at > w.now {
			return
		}
		act := p.Expire(w.now, kind)
		same(t, "Expire", act, w.model[p].expire(w.now, kind))
		if act == ActNone {
			t.Fatalf("Next named %v at %d, which does not fire at %d", kind, at, w.now)
		}
		w.check(t)
	}
}

func modelProperty(t *rapid.T) {
	start := rapid.SampledFrom([]Time{math.MinInt64, -1, 0, t0, Never - Time(10*time.Minute), Never - 1}).Draw(t, "start")
	w := &modelWorld{model: map[*Peer]*naive{}, now: start}
	w.add(t)
	names := []string{}
	for name := range modelEvents {
		names = append(names, name)
	}
	slices.Sort(names)
	actions := map[string]func(*rapid.T){
		"advance":      w.advance,
		"advance more": w.advance,
		"fire":         w.fire,
		"add": func(t *rapid.T) {
			for range rapid.IntRange(1, 6).Draw(t, "peers") {
				if len(w.peers) < 24 {
					w.add(t)
				}
			}
		},
		"remove": func(t *rapid.T) {
			if len(w.peers) > 1 && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				i := rapid.IntRange(0, len(w.peers)-1).Draw(t, "peer")
				p := w.peers[i]
				w.queue.Remove(p)
				if *p != (Peer{}) {
					t.Fatalf("a removed peer is not zero: %+v", *p)
				}
				w.queue.Remove(p) // twice is once
				delete(w.model, p)
				w.peers = slices.Delete(w.peers, i, i+1)
			}
		},
		"copy": func(t *rapid.T) { w.checkCopy(t) },
		"":     w.check,
	}
	event := func(t *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			p := rapid.SampledFrom(w.peers).Draw(t, "peer")
			name := rapid.SampledFrom(names).Draw(t, "event")
			if !w.model[p].up && rapid.Bool().Draw(t, "rather up") {
				name = "up" // or half the run would be spent with peers that do nothing
			}
			modelEvents[name](t, p, w.model[p], w.now)
			w.check(t)
		}
	}
	for i := range 6 { // events are what most steps should be
		actions[fmt.Sprint("event ", i)] = event
	}
	t.Repeat(actions)
}

// checkCopy clones the whole queue and wants the clone to fire as the original would, without touching that.
func (w *modelWorld) checkCopy(t *rapid.T) {
	var q Queue
	for _, p := range w.peers {
		q.AddCopy(new(Peer), p)
	}
	checkHeap(t, &q)
	for {
		p, kind, at, ok := q.Next()
		if !ok {
			break
		}
		orig := w.peers[slices.IndexFunc(w.peers, func(o *Peer) bool { return o.id == p.id })]
		if o, _ := orig.Deadline(kind); p == orig || o != at {
			t.Fatalf("the copy of %d fires %v at %d, the original at %d", p.id, kind, at, o)
		}
		p.cancel(kind)
	}
	w.check(t)
}

func TestModel(t *testing.T) { rapid.Check(t, modelProperty) }
