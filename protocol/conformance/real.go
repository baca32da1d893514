package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// realRunner runs cases side by side on subjects in real time, as Plan lays it out, and repeats what has to be.
type realRunner struct {
	f    Factory
	caps Capabilities
	o    Options
	out  chan<- Result
	ctx  context.Context

	mu     sync.Mutex
	shared [2]family
	again  []*pending     // to be repeated when all windows are closed
	bury   sync.WaitGroup // of instances that died
	spare  chan struct{}  // instances at once of cases that cannot share one
	failed atomic.Int32   // starts in a row that failed
	keys   *keyPool
}

// family is the shared instance for cases on outer IPv4 or IPv6.
type family struct {
	name   string
	hub    *hub
	deaths int
}

// A target that dies again and again is not shared any more: of each death all cases that run beside it would have to
// be repeated. One that does not start again and again is not asked to any more.
const (
	mostDeaths = 3
	mostStarts = 3
)

func newRealRunner(f Factory, caps Capabilities, o Options) *realRunner {
	r := &realRunner{f: f, caps: caps, o: o, keys: newKeyPool(caps.Given), spare: make(chan struct{}, spareSlots),
		shared: [2]family{{name: "shared4"}, {name: "shared6"}}}
	if caps.Single {
		r.spare = make(chan struct{}, 1)
	}
	return r
}

func (r *realRunner) run(ctx context.Context, cases []Case, out chan<- Result) {
	r.ctx, r.out = ctx, out
	shared, own, quiet := split(cases)
	var phase sync.WaitGroup
	phase.Go(func() {
		each(shared, r.caps.Given.lanes(sharedSlots), func(c Case) { r.first(c, r.onShared) })
		r.closeShared()
	})
	if r.caps.Single {
		phase.Wait()
		r.bury.Wait()
	}
	phase.Go(func() {
		each(own, r.slots(), func(c Case) { r.first(c, r.own) })
	})
	phase.Wait()
	each(quiet, 1, func(c Case) { r.first(c, r.own) })
	r.repeat()
	r.bury.Wait()
}

// slots is how many cases with an instance of their own run at once.
func (r *realRunner) slots() int {
	if r.caps.Single {
		return 1
	}
	return ownSlots
}

// each calls f for all items, at most n at once, in order of their beginning.
func each[E any](items []E, n int, f func(E)) {
	slots := make(chan struct{}, n)
	var all sync.WaitGroup
	for _, i := range items {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	all.Wait()
}

// onShared runs a case on the instance that all of its address family share, and on a new one if that died. The
// families are kept apart because of implementations that mix up the addresses of one with those of the other: a bug
// for the cases that ask about it, and not for all that happen to run beside them.
func (r *realRunner) onShared(c Case) (Result, bool) {
	f := &r.shared[0]
	if c.V6 && !r.caps.Single {
		f = &r.shared[1]
	}
	h, err := r.sharedHub(f)
	if err != nil {
		return notStarted(c, err), false
	}
	if h == nil {
		return r.spared(c, 1), false // if it dies it dies of this case
	}
	return r.attempt(1, newT(c, h.setup, r.caps, 1+h.allot(1), caseSeed(r.o.Seed, c.ID)), h)
}

// sharedHub gives the instance for a family, nil if it is not to be shared any more.
func (r *realRunner) sharedHub(f *family) (*hub, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.hub != nil && f.hub.dead() {
		dead := f.hub
		f.hub = nil
		f.deaths++
		if r.caps.Single {
			_ = dead.close()
		} else {
			r.bury.Go(func() { _ = dead.close() }) // it is dead: what its end says is in the results
		}
	}
	if f.hub == nil && f.deaths < mostDeaths {
		started, _, err := r.start(Case{ID: f.name, Isolation: Shared})
		if err != nil {
			return nil, err
		}
		f.hub = started
	}
	return f.hub, nil
}

func (r *realRunner) closeShared() {
	for _, f := range r.shared {
		if f.hub != nil {
			_ = f.hub.close() // what a target leaves behind is its own tests' business
		}
	}
}

// spared runs a case that could share an instance on one of its own, when there may be one more.
func (r *realRunner) spared(c Case, try int) Result {
	r.spare <- struct{}{}
	defer func() { <-r.spare }()
	res, _ := r.alone(c, try)
	return res
}

// alone runs a case on an instance of its own.
func (r *realRunner) alone(c Case, try int) (Result, bool) {
	if r.ctx.Err() != nil {
		return notBegun(c), false
	}
	h, setup, err := r.start(c)
	if err != nil {
		return notStarted(c, err), false
	}
	res, died := r.attempt(try, newT(c, setup, r.caps, 1, caseSeed(r.o.Seed, c.ID)), h)
	if err := h.close(); err != nil {
		res.Notes = append(res.Notes, "the end of the instance: "+err.Error())
	}
	return res, died
}

// start starts an instance; the case says how it wants it.
func (r *realRunner) start(c Case) (*hub, Setup, error) {
	setup := newSetup(c.ID, caseSeed(r.o.Seed, c.ID), time.Now())
	if c.Setup != nil {
		c.Setup(&setup)
	}
	if r.failed.Load() >= mostStarts {
		return nil, setup, fmt.Errorf("it failed to %d times in a row", mostStarts)
	}
	s, err := r.f.New(setup)
	if err != nil {
		r.failed.Add(1)
		return nil, setup, err
	}
	r.failed.Store(0)
	h := newHub(r.ctx, s, c.Isolation != Shared || c.Run != nil)
	h.setup = setup
	if r.caps.Pace > 0 {
		h.pacing = r.caps.Pace
	}
	return h, setup, nil
}

func (r *realRunner) attempt(try int, t *T, h *hub) (Result, bool) {
	r.o.begins(t.Case, try)
	if t.keys = r.keys; t.keys != nil {
		if t.leased = t.keys.lease(r.ctx); t.leased == nil {
			return notBegun(t.Case), false
		}
		t.Cleanup(t.returnPeers)
	}
	h.join(t)
	defer h.leave(t)
	if !h.only && t.keys == nil {
		t.Cleanup(t.forgetPeers) // they would go on asking for handshakes
	}
	res, died := attempt(t, h)
	res.Seed = r.o.Seed
	if !decided(res) {
		res.Notes = append(res.Notes, h.strayed(res.Trace)...)
		if !died && !t.told {
			h.excuse(&res)
		}
		if died = died || h.lost(); died {
			res.Stderr = h.last()
		}
	}
	return res, died
}

// excuse takes a failure for none if the machine stood still for long shortly before, or was too slow for all that was
// asked: what the case counted on, that its answer would be in time for one, may not have been so, although the
// deciding window was.
func (h *hub) excuse(r *Result) {
	const shortly, long = 10 * time.Second, 300 * time.Millisecond
	if (r.Verdict != Fail && r.Verdict != Warn) || h.real == nil || h.dead() {
		return
	}
	if d := h.longestDelay(shortly); d > long {
		r.Verdict, r.Reason = Inconclusive, fmt.Sprintf("the suite was %v late with something shortly before: %s",
			d.Round(time.Millisecond), r.Reason)
		return
	}
	defer func() { _ = recover() }() // it dies just now, or the run was ended
	now := h.now()
	if d := h.stalled(max(0, now.Add(-shortly)), now); d > long {
		r.Verdict, r.Reason = Inconclusive, fmt.Sprintf("the machine stood still for %v shortly before: %s",
			d.Round(time.Millisecond), r.Reason)
	}
}

func notStarted(c Case, err error) Result {
	r := unsupported(c, fmt.Sprintf("the target does not start: %v", err))
	if !errors.Is(err, errors.ErrUnsupported) {
		r.Verdict = Broken
	}
	return r
}

// forgetPeers removes the case's peers from a subject that others use.
func (t *T) forgetPeers() {
	var c Change
	for _, p := range t.peers {
		c.Peers = append(c.Peers, PeerChange{PublicKey: p.Party.Static.Public, Remove: true})
	}
	t.use(func(s Subject) {
		if err := s.Configure(s.Now(), c); err != nil {
			t.notes = append(t.notes, "removing the case's peers: "+err.Error())
		}
	})
}
