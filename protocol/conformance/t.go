package conformance

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// T is what a case has in its hands while it runs. A case is a script: it does something, waits for something, says
// what should have been. The methods that judge end the case when they are not satisfied, so what follows them may
// rely on it. The same script runs in virtual and in real time.
//
// Everything that the subject puts out is decoded, written to the trace and kept in an inbox, in order, until an
// Expect takes it. Time passes only in Wait, WaitUntil, the Expect methods and the Silence methods; while it does,
// peers that are told to (Peer.Answer) answer the subject's initiations.
type T struct {
	Case   Case
	Setup  Setup        // of the subject
	Caps   Capabilities // of the target
	Key    Key          // the subject's public key
	Random io.Reader    // the case's own, seeded
	Host4  netip.Addr   // inner addresses of the subject's host, of this case alone unless Setup.Inner says them
	Host6  netip.Addr

	world   world
	number  int // of the case on its instance
	peers   []*Peer
	owner   map[netip.AddrPort]*Peer
	queue   []*Got
	inbox   []*Got
	trace   []TraceEntry
	values  map[string]string
	notes   []string
	breach  []string
	last    Stamp // of the latest stimulus
	texts   int
	probe   *Peer
	busy    bool
	told    bool // the subject refused, in so many words: that is no question of time
	cleanup []func()
	credit  int // initiations that may be sent without a pause

	// Of targets that are given:
	keys     *keyPool
	leased   []*lent         // ready for NewPeer
	borrowed []*lent         // by NewPeer
	asked    map[string]bool // packets that the target is to send
	muted    map[string]bool // answers that are not to come
	owed     []byte          // what the target is just made to send
	provoked time.Duration   // that the case did not plan for
}

// world is the instance on which a case runs, alone in virtual time or with others in real time.
type world interface {
	now() timers.Time
	// do calls f while nothing else uses the subject. What the subject puts out then goes to the cases.
	do(f func(Subject))
	// await returns when something is there for t, or at until.
	await(t *T, until timers.Time)
	// collect moves what is there for t to its queue.
	collect(t *T)
	// allot gives n numbers, for addresses, that nobody else on the instance has, and their first.
	allot(n int) int
	// claim makes t the one who gets what is sent to addr; inner packets for prefix likewise.
	claim(t *T, addr netip.AddrPort)
	claimInner(t *T, p netip.Prefix)
	// pace waits until n more handshakes may be begun.
	pace(n int)
	// stalled is how long the machine stood still at most between two times.
	stalled(from, until timers.Time) time.Duration
	// alone is true if no other case uses the instance.
	alone() bool
}

// outcome is what ends a case early. It is thrown by panic and caught by the runner.
type outcome struct {
	verdict          Verdict
	reason           string
	expected, actual string
	premise          bool
	died             bool
	at               *Got
}

const disturbed Verdict = "disturbed"

// Now is the subject's time.
func (t *T) Now() timers.Time { return t.world.now() }

// Last is when the latest stimulus arrived: whatever was sent, injected, configured or restarted.
func (t *T) Last() Stamp { return t.last }

// At makes a certain Stamp.
func At(now timers.Time) Stamp { return Stamp{Earliest: now, Latest: now} }

// Wait lets time pass. Outputs are kept for later.
func (t *T) Wait(d time.Duration) { t.WaitUntil(t.Now().Add(d)) }

// WaitUntil lets time pass until a moment; if that is past already it only looks what is there.
func (t *T) WaitUntil(at timers.Time) {
	for t.step(at) {
	}
}

// step waits for something new, at most until a moment, and deals with it. It reports whether that moment is still to
// come.
func (t *T) step(until timers.Time) bool {
	if t.Now() < until {
		t.world.await(t, until)
	}
	t.process()
	return t.Now() < until
}

// process decodes what has come and lets the peers react, which may bring more.
func (t *T) process() {
	if t.busy {
		return
	}
	t.busy = true
	defer func() { t.busy = false }()
	for t.world.collect(t); len(t.queue) > 0; t.world.collect(t) {
		g := t.queue[0]
		t.queue = t.queue[1:]
		t.decode(g)
		if g.Peer != nil {
			g.Peer.repay(g)
		}
		g = t.translate(g)
		t.inbox = append(t.inbox, g)
		t.react(g)
	}
}

// use does something to the subject and takes what comes of it at once.
func (t *T) use(f func(Subject)) {
	t.world.do(f)
	t.process()
}

// Forget empties the inbox: what has come so far is no longer waited for, nor counted by Silence.
func (t *T) Forget() {
	t.process()
	t.inbox = nil
}

// Fail ends the case: its rule is broken. Say in words what should have been and what was.
func (t *T) Fail(expected, actual string) { t.fail(nil, expected, actual) }

// FailAt is Fail with the datagram or packet that broke the rule.
func (t *T) FailAt(g *Got, expected, actual string) { t.fail(g, expected, actual) }

func (t *T) fail(g *Got, expected, actual string) {
	v := Fail
	if t.Case.Level != Must {
		v = Warn
	}
	panic(&outcome{verdict: v, reason: "expected " + expected + "; got " + actual, expected: expected,
		actual: actual, at: g})
}

// Check fails unless ok.
func (t *T) Check(ok bool, expected, actual string) {
	if !ok {
		t.Fail(expected, actual)
	}
}

// Equal fails unless got equals want. What names it: "the receiver index of the response".
func (t *T) Equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		t.Fail(what+" is "+show(want), show(got))
	}
}

func show(v any) string {
	switch b := v.(type) {
	case []byte:
		return fmt.Sprintf("%x", b)
	case Key:
		return fmt.Sprintf("%x", b[:])
	case uint32:
		return fmt.Sprintf("%08x", b)
	}
	return fmt.Sprint(v)
}

// Premise runs f, which prepares the case's question. A failure in it says that the question could not be asked: it
// counts, but it is not the case's own.
func (t *T) Premise(f func()) {
	defer func() {
		r := recover()
		if o, ok := r.(*outcome); ok && (o.verdict == Fail || o.verdict == Warn) && !o.premise {
			o.premise = true
			o.reason = "before its own question: " + o.reason
		}
		if r != nil {
			panic(r)
		}
	}()
	f()
}

// Inconclusive ends the case without a verdict on the subject: the machine was too slow to judge.
func (t *T) Inconclusive(reason string) { panic(&outcome{verdict: Inconclusive, reason: reason}) }

// Unsupported ends the case: the target cannot do or show what it needs.
func (t *T) Unsupported(reason string) { panic(&outcome{verdict: Unsupported, reason: reason}) }

// Broken ends the case: the suite or its surroundings are wrong, not the subject.
func (t *T) Broken(format string, args ...any) {
	panic(&outcome{verdict: Broken, reason: fmt.Sprintf(format, args...)})
}

// Measure records a value of a MAY or IMPL rule. A case that measured and did not fail is Measured if its level is
// MAY or IMPL, and passes otherwise.
func (t *T) Measure(name, value string) { t.values[name] = value }

// Note writes a line to the trace.
func (t *T) Note(format string, args ...any) {
	t.record(TraceEntry{Kind: "note", Text: fmt.Sprintf(format, args...)}, At(t.Now()))
}

// Cleanup calls f when the case is over, last one first.
func (t *T) Cleanup(f func()) { t.cleanup = append(t.cleanup, f) }

// Breaches are the broken invariants of the wire so far: what must hold for every message of every subject and was
// seen not to (MSG-01, MSG-02, MSG-14, COOKIE-01 …). They are in the notes of every result, but only a case about
// them fails for them.
func (t *T) Breaches() []string {
	t.process()
	return t.breach
}

// Text gives a payload of n bytes that no other packet of the run has.
func (t *T) Text(n int) []byte {
	t.texts++
	s := fmt.Sprintf("%s #%d.%d ", t.Case.ID, t.number, t.texts)
	if n > len(s) {
		s += strings.Repeat(".", n-len(s))
	}
	return []byte(s[len(s)-max(n, 0):])
}

func (t *T) record(e TraceEntry, at Stamp) int {
	e.Earliest, e.Latest = at.Earliest, at.Latest
	t.trace = append(t.trace, e)
	return len(t.trace) - 1
}

// Inject gives inner packets to the subject, in one batch, as programs on its host would.
func (t *T) Inject(packets ...[]byte) Stamp {
	if t.Caps.Given != nil {
		t.elicit(packets)
		return t.last
	}
	t.use(func(s Subject) { t.last = s.Packets(s.Now(), packets) })
	for _, p := range packets {
		t.record(TraceEntry{Kind: "packet-in", Text: describePacket(p), Bytes: p, TOS: TOS(p)}, t.last)
	}
	return t.last
}

// Input gives datagrams to the subject, all at one instant. Peer.Send is what most cases want.
func (t *T) Input(in ...Datagram) Stamp {
	for _, d := range in {
		t.record(TraceEntry{Kind: "datagram-in", Text: t.describeSent(d.Bytes), Local: d.Local.String(),
			Remote: d.Remote.String(), Bytes: d.Bytes, TOS: d.TOS, Fields: peer.Fields(d.Bytes)}, At(t.Now()))
	}
	first := len(t.trace) - len(in)
	t.use(func(s Subject) {
		t.last = s.Input(s.Now(), in)
		for i := range in {
			t.trace[first+i].Earliest, t.trace[first+i].Latest = t.last.Earliest, t.last.Latest
		}
	})
	return t.last
}

// Burst asks for n handshakes to be sent without a pause: it waits first, so that a shared subject does not come
// under load by accident. Sends of initiations wait for their turn otherwise.
func (t *T) Burst(n int) {
	t.world.pace(n)
	t.credit = n
}

// turn waits until one more initiation may be sent.
func (t *T) turn() {
	if t.credit > 0 {
		t.credit--
		return
	}
	t.world.pace(1)
}

// Configure applies a change. Device-wide ones are not for Shared cases.
func (t *T) Configure(c Change) Stamp {
	if !deviceWide(c) || t.Case.Isolation != Shared {
		t.must("configure", t.TryConfigure(c))
		return t.last
	}
	t.Broken("a shared case changes the device")
	return Stamp{}
}

// up brings the subject's interface up or takes it down.
func (t *T) up(on bool) { t.Configure(Change{Up: &on}) }

func deviceWide(c Change) bool {
	return c.PrivateKey != nil || c.ListenPort != nil || c.Mark != nil || c.MTU != nil || c.Up != nil || c.ReplacePeers
}

// TryConfigure is Configure for changes that may be refused: it gives the subject's error.
func (t *T) TryConfigure(c Change) (err error) {
	if t.Caps.Given != nil {
		t.Unsupported("the device is configured by hand, before the run")
	}
	i := t.record(TraceEntry{Kind: "configure", Text: describeChange(c)}, At(t.Now()))
	t.use(func(s Subject) {
		from := s.Now()
		err = s.Configure(from, c)
		t.last = Stamp{from, s.Now()}
		t.trace[i].Earliest, t.trace[i].Latest = t.last.Earliest, t.last.Latest
	})
	if err != nil {
		return err
	}
	if c.PrivateKey != nil {
		k := Key{}
		if *c.PrivateKey != (Key{}) {
			k = peer.PairOf(*c.PrivateKey).Public
		}
		t.SetKey(k)
	}
	if c.ListenPort != nil {
		t.SetPort(*c.ListenPort)
	}
	return err
}

// SetKey says that the subject's public key is another now: after a change that Configure did not make.
func (t *T) SetKey(public Key) {
	t.Key = public
	for _, p := range t.peers {
		p.Party.Remote = public
	}
}

// SetPort says that the subject listens on another port now. 0: the one that it reports.
func (t *T) SetPort(port uint16) {
	if port == 0 {
		port = t.State().ListenPort
	}
	t.Setup.Config.ListenPort = &port
}

// HostAddr is another outer address for the subject's host, for SetAddresses: the nth, from 1 to 200.
func (t *T) HostAddr(n int, v6 bool) netip.Prefix {
	local := t.Setup.Local4
	if v6 {
		local = t.Setup.Local6
	}
	return netip.PrefixFrom(outer(local, n+1-firstTester), local.Bits())
}

// SetAddresses changes the outer addresses of the subject's host (TIMER-24, ROAM-09). Not for Shared cases.
func (t *T) SetAddresses(add, remove []netip.Prefix) {
	t.record(TraceEntry{Kind: "configure", Text: fmt.Sprintf("addresses of the host: add %v, remove %v", add, remove)},
		At(t.Now()))
	var err error
	t.use(func(s Subject) {
		h, ok := s.(HostSubject)
		if !ok {
			err = fmt.Errorf("the addresses of its host: %w", errors.ErrUnsupported)
			return
		}
		err = h.SetAddresses(s.Now(), add, remove)
		t.last = At(s.Now())
	})
	t.must("have other addresses", err)
}

// Restart ends the subject without a word and starts it anew with its configuration. The wall clock goes on.
func (t *T) Restart() { t.restart(time.Time{}) }

// RestartAt is Restart with another wall clock.
func (t *T) RestartAt(wall time.Time) { t.restart(wall) }

func (t *T) restart(wall time.Time) {
	t.record(TraceEntry{Kind: "restart", Text: "the subject is ended and started anew"}, At(t.Now()))
	var err error
	t.use(func(s Subject) {
		err = s.Restart(s.Now(), wall)
		t.last = At(s.Now())
	})
	t.must("restart", err)
}

// SetWall sets the subject's wall clock.
func (t *T) SetWall(wall time.Time) {
	t.record(TraceEntry{Kind: "configure", Text: "wall clock " + wall.UTC().Format(time.RFC3339Nano)}, At(t.Now()))
	var err error
	t.use(func(s Subject) { err = s.SetWall(s.Now(), wall) })
	t.must("set the wall clock", err)
}

// State is what the subject says of itself.
func (t *T) State() (st State) {
	var err error
	t.use(func(s Subject) { st, err = s.State() })
	t.must("state", err)
	return st
}
