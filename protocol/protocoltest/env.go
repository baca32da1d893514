package protocoltest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Options change how a world is run. None of them may change what happens in it, except that OnDevice can make a
// Device a defective one: tests run the same script under different Options and compare the logs.
type Options struct {
	// OnDevice, if set, is called with each new Device before its first use.
	OnDevice func(name string, d *protocol.Device)
	// Spurious, if positive, wakes every Device this often while time advances, besides at every deadline.
	Spurious time.Duration
	// ByHand does the work of each batch step by step, as a caller with many cores would, in place of Finish.
	ByHand bool
}

// WallStart is what the wall clocks of a world show at virtual time 0.
var WallStart = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// runaway bounds the steps of one command, so that a broken Device ends a test instead of hanging it.
const runaway = 200_000

// Env is a world of Devices. Make one with [New]. It belongs to one goroutine.
type Env struct {
	options Options
	now     timers.Time
	nodes   []*Node
	log     logger

	wire   []*datagram // in flight, oldest first
	seen   []*datagram // every datagram there ever was: number n is seen[n-1]
	auto   bool        // datagrams arrive by themselves, delay after they were sent
	delay  time.Duration
	cuts   []cut
	labels map[uint32]string // session indices

	ephemerals map[[32]byte]int // the datagram in which each ephemeral key was first sent

	inner    []innerPacket // packet n is inner[n-1]
	marked   bool          // a script has set congestion marks
	failures []error       // what must never happen, but did
	steps    int
	wakes    int // calls of HandleTimeout that nothing asked for
}

// A cut is a link in one direction on which everything is lost.
type cut struct{ from, to *Node }

// innerPacket is what is known of a packet that a tunnel took in.
type innerPacket struct {
	from  *Node
	bytes []byte
	count int // deliveries
}

// New makes an empty world at time 0.
func New(o Options) *Env {
	e := &Env{options: o, labels: map[uint32]string{}, ephemerals: map[[32]byte]int{}}
	e.log.env = e
	return e
}

// Now is the virtual time.
func (e *Env) Now() timers.Time { return e.now }

// Node gives a device by its name, or nil.
func (e *Env) Node(name string) *Node {
	for _, n := range e.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Do runs command lines and returns their log. An error names the line, counted from 1.
func (e *Env) Do(lines ...string) (log string, err error) {
	for i, l := range lines {
		if err = e.run(fmt.Sprintf("line %d", i+1), l); err != nil {
			break
		}
	}
	return e.takeLog(), err
}

// run executes one command and everything that follows from it without time passing.
func (e *Env) run(at, line string) error {
	c, err := parseCommand(e, at, line)
	if err != nil {
		return err
	}
	e.steps = 0
	if err := e.dispatch(c); err != nil {
		return err
	}
	e.quiesce()
	if len(e.failures) > 0 {
		return fmt.Errorf("%s: %w", at, errors.Join(e.failures...))
	}
	return nil
}

func (e *Env) takeLog() string { return e.log.take() }

// never records a violation.
func (e *Env) never(n *Node, format string, args ...any) {
	e.failures = append(e.failures, fmt.Errorf("at %s, %s: %s", seconds(e.now), n.Name, fmt.Sprintf(format, args...)))
}

// step counts against runaway.
func (e *Env) step() bool {
	e.steps++
	if e.steps == runaway && len(e.nodes) > 0 {
		e.never(e.nodes[0], "%d steps in one command: something goes round in circles", runaway)
	}
	return e.steps < runaway
}

// quiesce runs what is due now: timers, and arrivals if datagrams travel by themselves. Configuration and Up leave
// their work behind as due timers, so this follows every command.
func (e *Env) quiesce() {
	for {
		at, act := e.next()
		if at > e.now || !e.step() {
			return
		}
		act()
	}
}

// next gives the earliest thing that will happen by itself. Of two at one time arrivals come first, then devices in
// the order in which they were made.
func (e *Env) next() (at timers.Time, act func()) {
	at = timers.Never
	if e.auto {
		for _, d := range e.wire {
			if due := d.sent.Add(e.delay); due < at {
				at, act = due, func() { e.arrive(d, nil) }
			}
		}
	}
	for _, n := range e.nodes {
		if due, _, ok := n.Device.Deadline(); ok && due < at {
			at, act = due, n.timeout
		}
	}
	return at, act
}

// advance moves the clock by d and stops on the way wherever something happens.
func (e *Env) advance(d time.Duration) {
	target := e.now.Add(d)
	for {
		at, act := e.next()
		if at > target {
			break
		}
		e.passTo(at)
		if !e.step() {
			return
		}
		act()
	}
	e.passTo(target)
}

// passTo moves the clock to at, with the unasked-for wake-ups that Options want.
func (e *Env) passTo(at timers.Time) {
	if every := e.options.Spurious; every > 0 {
		for t := e.now.Add(every); t < at; t = t.Add(every) {
			e.now = t
			for _, n := range e.nodes {
				e.wakes++
				n.timeout()
			}
		}
	}
	e.now = max(e.now, at)
}

// settle delivers until nothing is in flight and nothing is due.
func (e *Env) settle() {
	e.quiesce()
	for len(e.wire) > 0 && e.step() {
		e.arrive(e.wire[0], nil)
		e.quiesce()
	}
}

// owner gives the device that has the address and port, or nil.
func (e *Env) owner(a netip.AddrPort) *Node {
	for _, n := range e.nodes {
		if n.Addr == a {
			return n
		}
	}
	return nil
}

// label gives the name of a session index, owner.number if it is known.
func (e *Env) label(index uint32) string {
	if l, ok := e.labels[index]; ok {
		return l
	}
	return fmt.Sprintf("%08x", index)
}

// index is the reverse of label.
func (e *Env) index(label string) (uint32, bool) {
	for i, l := range e.labels {
		if l == label {
			return i, true
		}
	}
	return 0, false
}
