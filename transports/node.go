package transports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Bounds of what Options may ask for. Beyond this many workers a direction gains nothing, since one of them at a time
// reads and one at a time sends; each costs its buffers.
const (
	maxWorkers = 16
	maxShakers = 8
)

// Options say what a Node is made of.
type Options struct {
	Core   Core   // required; the Node alone uses it from New on
	Tunnel Tunnel // required; closed by the Node
	Link   Link   // required; closed by the Node
	Clock  Clock  // nil: SystemClock. The Core must have been made with its time
	// Workers per direction and source, at most 16; 0: one for each core (GOMAXPROCS).
	Workers int
	// Shakers do the public-key work, at most 8; 0: one for each core.
	Shakers int
	Port    uint16 // to listen on once up; 0: any
	// Logger gets what goes wrong; nil: nothing is logged.
	Logger *slog.Logger
	// OnEvents, if set, is shown the events that the Core was told to trace, from several goroutines at once, those of
	// one call together. The slice is good until it returns.
	OnEvents func([]protocol.Event)
}

// Errors of a Node; test with errors.Is.
var (
	ErrOptions = errors.New("purewire: a node needs a core, a tunnel and a link")
	ErrRunning = errors.New("purewire: the node has been run already")
	// ErrClosed is net.ErrClosed: the node was closed, or its tunnel or link was.
	ErrClosed = net.ErrClosed
)

// Node runs a Core between a Tunnel and a Link. Make it with New, Run it once; the rest may be called from anywhere,
// before and during Run.
//
// How the goroutines work together (design §6):
//
//   - One lock, mu, guards the Core. It is held for Handle calls only: no cipher, no public-key work, no system call.
//   - Per direction and source there is one read token. Its holder reads a batch, tells the Core, and passes the token
//     on if the batch is worth another core. So the Core sees batches in the order in which they were read.
//   - Who is given seal jobs draws an outbound turn before it leaves the lock, so the order of turns is the order of
//     counters, and messages are sent in that order. Who is given open jobs draws an inbound turn, and commits and
//     delivers in that order.
//   - An inbound turn may wait for an outbound one, never the reverse: there is no cycle.
//   - A worker reads again only when its batch has been delivered: a slow receiver makes the kernel drop datagrams
//     before they have cost us a cipher.
type Node struct {
	core     Core
	observer Observer // the Core, if it wants to see what is sent; else nil
	tunnel   Tunnel
	link     Link
	clock    Clock
	log      *slog.Logger
	onEvents func([]protocol.Event)
	workers  int
	shakers  int

	mu        sync.Mutex // guards the Core and what follows
	out, in   turnstile
	jobs      jobQueue
	shakeable sync.Cond // on mu: jobs, or stopped
	armed     timers.Time
	stopped   bool

	poke   chan struct{} // the deadline moved to before armed
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once
	life   sync.Mutex // guards ran, began, cause
	ran    bool       // Run was called
	began  bool       // Run or Close was: whoever came first closes done
	cause  error
	wg     sync.WaitGroup
	icmp   *unreachables
	hands  []*hand // of all goroutines; set by New, for Metrics
	timing *hand
	shake  []*hand
	packet []*hand
	source [][]*hand

	config  sync.Mutex // serialises the control plane; never taken while mu is held
	control *hand      // under config
	port    uint16
	open    bool
	mark    uint32
	page    page
}

// New makes a node that does not run yet. It reads nothing and opens nothing.
func New(o Options) (*Node, error) {
	if o.Core == nil || o.Tunnel == nil || o.Link == nil {
		return nil, ErrOptions
	}
	if o.Workers < 0 || o.Shakers < 0 {
		return nil, fmt.Errorf("%w: %d workers, %d shakers", ErrOptions, o.Workers, o.Shakers)
	}
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	cores := runtime.GOMAXPROCS(0)
	n := &Node{
		core: o.Core, tunnel: o.Tunnel, link: o.Link, clock: o.Clock, log: o.Logger, onEvents: o.OnEvents,
		workers: min(cmp.Or(o.Workers, cores), maxWorkers), shakers: min(cmp.Or(o.Shakers, cores), maxShakers),
		out: newTurnstile(), in: newTurnstile(), armed: timers.Never, port: o.Port,
		poke: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	n.observer, _ = o.Core.(Observer)
	n.shakeable.L = &n.mu
	n.icmp = newUnreachables()
	n.control, n.timing = n.newHand(), n.newHand()
	for range n.shakers {
		n.shake = append(n.shake, n.newHand())
	}
	for range n.workers {
		n.packet = append(n.packet, n.newHand())
	}
	for range n.link.Sources() {
		var hands []*hand
		for range n.workers {
			hands = append(hands, n.newHand())
		}
		n.source = append(n.source, hands)
	}
	return n, nil
}

// Run moves packets until ctx is done, Close is called, or the tunnel or the link is closed by somebody else. It
// returns when every goroutine has ended and tunnel, link and Core are down: nil in the first two cases, ErrClosed in
// the last. It can be called once. The Core is brought up by the tunnel's events or by Up.
func (n *Node) Run(ctx context.Context) error {
	n.life.Lock()
	again, closed := n.ran, n.began
	n.ran, n.began = true, true
	n.life.Unlock()
	switch {
	case again:
		return ErrRunning
	case closed:
		return nil // Close came first and has done everything
	}
	defer close(n.done)
	if err := n.syncMTU(); err != nil && !errors.Is(err, ErrClosed) {
		n.log.Warn("cannot read the tunnel's MTU", "tunnel", n.tunnel.Name(), "error", err)
	}
	n.start()
	select {
	case <-ctx.Done():
	case <-n.quit:
	}
	n.stop(nil)
	n.shut()
	n.wg.Wait()
	n.wipe()
	n.life.Lock()
	defer n.life.Unlock()
	return n.cause
}

// start starts all goroutines. Each ends once quit is closed and the tunnel and the link are.
func (n *Node) start() {
	tokens := newToken()
	for _, h := range n.packet {
		n.wg.Go(func() { n.outbound(h, tokens) })
	}
	for s, hands := range n.source {
		tokens := newToken()
		for _, h := range hands {
			n.wg.Go(func() { n.inbound(h, s, tokens) })
		}
	}
	for _, h := range n.shake {
		n.wg.Go(func() { n.shakeHands(h) })
	}
	n.wg.Go(func() { n.keepTime(n.timing) })
	n.wg.Go(n.watchTunnel)
	n.wg.Go(n.writeUnreachables)
}

// stop makes everything end, for a cause that Run returns. Only the first call counts.
func (n *Node) stop(cause error) {
	n.once.Do(func() {
		n.life.Lock()
		n.cause = cause
		n.life.Unlock()
		close(n.quit)
		n.mu.Lock()
		n.stopped = true
		n.shakeable.Broadcast()
		n.mu.Unlock()
	})
}

// shut closes both ends, which ends all reading.
func (n *Node) shut() {
	if err := errors.Join(n.tunnel.Close(), n.link.Close()); err != nil && !errors.Is(err, ErrClosed) {
		n.log.Warn("closing", "tunnel", n.tunnel.Name(), "error", err)
	}
}

// wipe drops all keys (LIFE-04), without a word to anybody (LIFE-10), and gives back the jobs that nobody does any
// more, so that their slots are wiped too. Everybody else has ended.
func (n *Node) wipe() {
	n.config.Lock()
	defer n.config.Unlock()
	h := n.control
	h.batch.Reset()
	now := n.enter()
	n.core.Down(now, &h.batch)
	for n.jobs.len() > 0 {
		job := n.jobs.pop()
		n.core.HandleShaken(now, []protocol.HandshakeJob{job}, &h.batch)
	}
	h.leave()
	h.settle()
}

// Close ends Run, if it runs, and waits for it; tunnel and link are closed afterwards in any case.
func (n *Node) Close() error {
	n.stop(nil)
	n.life.Lock()
	running := n.began
	n.began = true
	n.life.Unlock()
	if running {
		<-n.done
		return nil
	}
	n.shut()
	n.wipe()
	close(n.done)
	return nil
}

// closing reports whether stop was called.
func (n *Node) closing() bool {
	select {
	case <-n.quit:
		return true
	default:
		return false
	}
}
