package conformance

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/purewire/purewire/timers"
)

// hub is the world of cases in real time: one goroutine uses the subject, the cases ask it to and get what is theirs
// of what the subject puts out.
type hub struct {
	ctx   context.Context
	s     Subject
	real  RealTimeSubject // the same, if it can be woken
	begin time.Time       // when the subject's time was 0
	setup Setup
	only  bool // one case has the instance for itself
	done  chan struct{}

	mu      sync.Mutex
	asked   []request
	delays  []delay     // the latest, in order
	reached timers.Time // everything up to here was taken
	boxes   map[*T]*box
	addrs   map[netip.AddrPort]*T
	hosts   map[netip.Addr]*T
	inner   map[netip.Prefix]*T
	next    int
	paced   time.Time
	pacing  time.Duration
	died    string
	closed  bool
	strays  []stray
}

// request is what a case asks the subject's goroutine to do.
type request struct {
	do   func()
	when time.Time
}

// delay is that a request had to wait for long: so many cases ask that the processor does not suffice.
type delay struct {
	until time.Time
	d     time.Duration
}

const (
	delayKept = 100 * time.Millisecond
	keptDelay = 1000
)

// stray is a datagram to an address that no case has.
type stray struct {
	at   Stamp
	text string
}

// box is what is there for one case.
type box struct {
	out    Output
	until  timers.Time
	signal chan struct{}
}

// poll is how long a subject that cannot be woken is left alone.
const poll = 2 * time.Millisecond

func newHub(ctx context.Context, s Subject, only bool) *hub {
	h := &hub{ctx: ctx, s: s, only: only, done: make(chan struct{}), pacing: paceTime, boxes: map[*T]*box{},
		addrs: map[netip.AddrPort]*T{}, hosts: map[netip.Addr]*T{}, inner: map[netip.Prefix]*T{}}
	h.real, _ = s.(RealTimeSubject)
	h.reached = s.Now()
	h.begin = time.Now().Add(-time.Duration(h.reached))
	go h.serve()
	return h
}

// serve uses the subject until close.
func (h *hub) serve() {
	defer close(h.done)
	for {
		h.mu.Lock()
		asked, closed := h.asked, h.closed
		h.asked = nil
		until := h.reached.Add(time.Second)
		for _, b := range h.boxes {
			if b.until > h.reached {
				until = min(until, b.until)
			}
		}
		h.mu.Unlock()
		for _, r := range asked {
			h.delayed(time.Since(r.when))
			r.do()
			if !h.dead() {
				h.take()
			}
		}
		if closed {
			return
		}
		if h.dead() {
			time.Sleep(poll) // nothing will come of it any more, but its cases are still to be told
			continue
		}
		if h.real == nil {
			until = min(until, h.s.Now().Add(poll))
		}
		h.s.Advance(until)
		h.take()
	}
}

// delayed remembers how long a request had to wait.
func (h *hub) delayed(d time.Duration) {
	if d < delayKept {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.delays = append(h.delays, delay{time.Now(), d}); len(h.delays) > keptDelay {
		h.delays = h.delays[keptDelay/2:]
	}
}

// longestDelay is how long a request had to wait at most, of those that were served lately.
func (h *hub) longestDelay(lately time.Duration) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.delays {
		if time.Since(d.until) < lately {
			longest = max(longest, d.d)
		}
	}
	return longest
}

// take gives the outputs to their cases and wakes those that wait for them or for this time.
func (h *hub) take() {
	now := h.s.Now() // before the outputs: everything older is in them
	var o Output
	h.s.Take(&o)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached = max(h.reached, now)
	if o.Died != "" && h.died == "" {
		h.died = o.Died
	}
	for _, d := range o.Datagrams {
		ts := h.receivers(d.Remote)
		if len(ts) == 0 {
			h.strays = append(h.strays, stray{d.At, describeDatagram(d.Bytes) + " to " + d.Remote.String()})
		}
		for _, t := range ts {
			if b := h.boxes[t]; b != nil {
				b.out.Datagrams = append(b.out.Datagrams, d)
			}
		}
	}
	for _, p := range o.Packets {
		for _, t := range h.innerReceivers(p.Bytes) {
			b := h.boxes[t]
			b.out.Packets = append(b.out.Packets, p)
		}
	}
	for _, b := range h.boxes {
		b.out.Others = append(b.out.Others, o.Others...)
		if !b.empty() || b.until <= h.reached || h.died != "" {
			select {
			case b.signal <- struct{}{}:
			default:
			}
		}
	}
}

func (b *box) empty() bool { return len(b.out.Datagrams)+len(b.out.Packets)+len(b.out.Others) == 0 }

// receivers are the cases that a datagram is for: who claimed the address, or else the IP address; a case that is
// alone gets everything. What is nobody's was for a case that is over.
func (h *hub) receivers(to netip.AddrPort) []*T {
	if t := h.addrs[to]; t != nil {
		return []*T{t}
	}
	if t := h.hosts[to.Addr()]; t != nil {
		return []*T{t}
	}
	if h.only {
		return h.all()
	}
	return nil
}

// innerReceivers are the cases that an inner packet is for: by its addresses, or by the text in it. One that shows
// neither goes to all of them: a case that forbids every delivery must see what was not to be delivered.
func (h *hub) innerReceivers(packet []byte) []*T {
	for _, a := range []netip.Addr{Source(packet), Destination(packet)} {
		for p, t := range h.inner {
			if a.IsValid() && p.Contains(a) && h.boxes[t] != nil {
				return []*T{t}
			}
		}
	}
	for t := range h.boxes {
		if hasText(packet, t.Case.ID, t.number) {
			return []*T{t}
		}
	}
	return h.all()
}

func (h *hub) all() (ts []*T) {
	for t := range h.boxes {
		ts = append(ts, t)
	}
	return ts
}

// strayed tells of the strays while a case ran: one of them may be what it missed.
func (h *hub) strayed(trace []TraceEntry) (notes []string) {
	if len(trace) == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.strays {
		if s.at.Latest >= trace[0].Earliest && s.at.Earliest <= trace[len(trace)-1].Latest {
			notes = append(notes, "a datagram to where nobody is, at "+s.at.String()+": "+s.text)
		}
	}
	return notes
}

// join makes room for a case, and leave ends it: what comes for it afterwards is dropped.
func (h *hub) join(t *T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.boxes[t] = &box{signal: make(chan struct{}, 1), until: timers.Never}
}

func (h *hub) leave(t *T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.boxes, t)
}

// close ends the goroutine and the subject.
func (h *hub) close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.wake()
	<-h.done
	return h.s.Close()
}

func (h *hub) wake() {
	if h.real != nil {
		h.real.Wake()
	}
}

func (h *hub) dead() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.died != ""
}

// lost asks the subject whether it still answers, where it can: one that is gone may have made a case fail that had no
// part in its death.
func (h *hub) lost() bool {
	if !h.dead() {
		h.probe()
	}
	return h.dead()
}

func (h *hub) probe() {
	defer func() { _ = recover() }() // an outcome: it is dead, or the run was ended
	h.do(func(s Subject) { _, _ = s.State() })
}

// last is how the subject died.
func (h *hub) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.died
}

func (h *hub) now() timers.Time { return timers.Time(time.Since(h.begin)) }

func (h *hub) do(f func(Subject)) {
	done := make(chan any, 1)
	h.mu.Lock()
	if h.died != "" { // others may have gone on to a new instance
		h.mu.Unlock()
		panic(death(h.died))
	}
	if h.closed {
		h.mu.Unlock()
		panic(&outcome{verdict: Broken, reason: "the instance was closed while the case ran"})
	}
	h.asked = append(h.asked, request{func() {
		defer func() { done <- recover() }()
		h.refuse()
		f(h.s)
	}, time.Now()})
	h.mu.Unlock()
	h.wake()
	if p := <-done; p != nil {
		panic(p) // a verdict of the case, thrown within f
	}
}

// refuse throws the verdict of a case whose request comes too late: a dead subject may need seconds for every one that
// it does not answer.
func (h *hub) refuse() {
	h.mu.Lock()
	died := h.died
	h.mu.Unlock()
	if died != "" {
		panic(death(died))
	}
	if h.ctx.Err() != nil {
		panic(&outcome{verdict: Broken, reason: "the run was ended"})
	}
}

func (h *hub) await(t *T, until timers.Time) {
	h.mu.Lock()
	b := h.boxes[t]
	b.until = until
	ready := !b.empty() || h.reached >= until || h.died != ""
	h.mu.Unlock()
	if ready {
		return
	}
	h.wake()
	select {
	case <-b.signal:
	case <-h.ctx.Done():
		panic(&outcome{verdict: Broken, reason: "the run was ended"})
	}
}

func (h *hub) collect(t *T) {
	h.mu.Lock()
	b := h.boxes[t]
	o := b.out
	b.out = Output{}
	o.Died = h.died
	h.mu.Unlock()
	queue(t, &o)
}

func (h *hub) allot(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next += n
	return h.next - n
}

func (h *hub) claim(t *T, a netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addrs[a] = t
	if t.Caps.Has&NeedSources != 0 {
		h.hosts[a.Addr()] = t
	}
}

func (h *hub) claimInner(t *T, p netip.Prefix) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inner[p] = t
}

// pace waits for the turn of n handshakes. A case that has the instance for itself need not.
func (h *hub) pace(n int) {
	if h.only {
		return
	}
	h.mu.Lock()
	now := time.Now()
	if h.paced.Before(now) {
		h.paced = now
	}
	turn := h.paced
	h.paced = h.paced.Add(time.Duration(n) * h.pacing)
	h.mu.Unlock()
	timer := time.NewTimer(turn.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
		panic(&outcome{verdict: Broken, reason: "the run was ended"})
	}
}

func (h *hub) stalled(from, until timers.Time) (d time.Duration) {
	if h.real != nil {
		h.do(func(Subject) { d = h.real.Stalled(from, until) })
	}
	return d
}

func (h *hub) alone() bool { return h.only }
