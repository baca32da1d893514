package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// Options are the parts of a run that are not the scenario's.
type Options struct {
	Seed uint64
	// Duration, if not zero, takes the place of the scenario's.
	Duration time.Duration
	// Observe, if set, is shown every record, in order. It must not call the Sim. See [Record] for what it may keep.
	Observe func(*Record)
	// NewDevice makes the cores of the hosts; nil: protocol.New. The configuration that it gets must be used.
	NewDevice func(protocol.Config) (*protocol.Device, error)
	// Prepare, if set, is called with each new core before it is configured, so that known-bad ones can be made.
	Prepare func(host string, d *protocol.Device)
	// Trace asks for core events beyond the usual ones, such as armed timers.
	Trace protocol.EventMask
	// Nudge, if not zero, calls HandleTimeout of every core so often although nothing is due. Nothing may change.
	Nudge time.Duration
}

// Sim is one run of a scenario. It belongs to one goroutine at a time and starts none.
type Sim struct {
	sc     Scenario
	o      Options
	now    timers.Time
	end    timers.Time
	heap   eventHeap
	events uint64
	ended  bool

	nodes    []*node
	byName   map[string]*node // all maps are looked up only
	segments []*segment
	sharers  map[string][]*node // who has the key of a host: itself and thieves, by the host's name
	bySeg    map[string]*segment
	public   map[netip.Addr]place
	flows    []*flow
	attacks  []*attacker
	waiting  []waiting           // actions whose Trigger has not come true, in the order of the timeline
	names    map[string][32]byte // preshared keys by word

	troubles   disturbances
	oracle     *oracle
	watch      *watch
	tally      *tally
	violations []Violation // not shown yet
	shown      []Violation

	healed                     bool
	owing                      []owing
	due                        map[pair]int // index in owing; looked up only
	effects                    [NumFaultKinds]uint64
	records, datagrams, inners uint64
	rec, vrec                  Record
	passing                    Passing
	free                       []*datagram
}

const (
	defaultPort = 51820
	defaultMTU  = 1420
)

// New checks the scenario, makes everything in it and starts its hosts, all at time 0. Records are shown from here
// on. Errors name the part of the scenario that is wrong.
func New(sc Scenario, o Options) (*Sim, error) {
	if o.Duration > 0 {
		sc.Duration = o.Duration
	}
	if sc.Wall.IsZero() {
		sc.Wall = DefaultWall
	}
	if err := sc.Validate(); err != nil {
		return nil, err
	}
	if o.NewDevice == nil {
		o.NewDevice = protocol.New
	}
	s := &Sim{sc: sc, o: o, end: timers.Time(sc.Duration), byName: map[string]*node{},
		due:    map[pair]int{},
		public: map[netip.Addr]place{}, sharers: map[string][]*node{}, bySeg: map[string]*segment{},
		names: map[string][32]byte{}}
	s.troubles.s = s
	s.oracle = newOracle(s)
	s.watch = newWatch(s)
	s.build()
	s.tally = newTally(s)
	r := s.record(KindStart)
	r.Note = sc.Name
	s.emit(r)
	for _, n := range s.nodes {
		if err := n.boot(); err != nil {
			return nil, err
		}
	}
	s.plan()
	return s, nil
}

// build makes networks first, then hosts, then what refers to hosts.
func (s *Sim) build() {
	for i := range s.sc.Networks {
		g := s.newSegment(i, &s.sc.Networks[i])
		s.segments = append(s.segments, g)
		s.bySeg[g.cfg.Name] = g
	}
	for _, g := range s.segments {
		if g.cfg.Behind != "" {
			g.parent = s.segment(g.cfg.Behind)
			g.parent.children = append(g.parent.children, g)
		}
	}
	for i := range s.sc.Hosts {
		cfg := &s.sc.Hosts[i]
		n := &node{s: s, cfg: cfg, index: i, port: cfg.Port, canon: cfg.Name}
		n.clock.ppm, n.jobTime = int64(cfg.DriftPPM), cfg.JobTime
		if cfg.Steals != "" {
			n.canon = cfg.Steals
		}
		n.private = s.privateKey(cfg, n.canon)
		if n.port == 0 {
			n.port = defaultPort
		}
		n.public = protocol.NewIdentity(n.private).PublicKey()
		n.private = protocol.NewIdentity(n.private).PrivateKey()
		s.nodes = append(s.nodes, n)
		s.byName[cfg.Name] = n
	}
	// Hosts that ask for an address get it before those that take any.
	for _, asked := range []bool{true, false} {
		for _, n := range s.nodes {
			if n.cfg.Address.IsValid() == asked {
				n.join(s.segment(n.cfg.Network), n.cfg.Address)
			}
		}
	}
	for _, n := range s.nodes {
		for _, h := range n.cfg.Homes {
			n.join(s.segment(h.Network), h.Address)
		}
		s.sharers[n.canon] = append(s.sharers[n.canon], n)
	}
	for _, n := range s.nodes {
		for i := range n.cfg.Peers {
			e := s.newEnd(&n.cfg.Peers[i])
			n.peers = append(n.peers, e)
			if n.byPeer == nil {
				n.byPeer = map[string]*tunnelEnd{}
			}
			n.byPeer[e.cfg.Host] = e
		}
	}
	for i := range s.sc.Flows {
		s.flows = append(s.flows, s.newFlow(i, &s.sc.Flows[i]))
	}
	if !s.sc.NoStranger {
		s.sc.Attacks = append(s.sc.Attacks[:len(s.sc.Attacks):len(s.sc.Attacks)], s.stranger()...)
	}
	for i := range s.sc.Attacks {
		s.attacks = append(s.attacks, s.newAttacker(i, &s.sc.Attacks[i]))
	}
}

func (s *Sim) newEnd(cfg *Peer) *tunnelEnd {
	e := &tunnelEnd{cfg: cfg, node: s.byName[cfg.Host], public: s.byName[cfg.Host].public,
		allowed: cfg.AllowedIPs, endpoint: cfg.Endpoint,
		keepalive: cfg.Keepalive, psk: cfg.PSK, present: true}
	if cfg.AllowedIPs == nil {
		for _, a := range e.node.cfg.Inner {
			e.allowed = append(e.allowed, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return e
}

// stranger is the attack that comes with every run.
func (s *Sim) stranger() []Attack {
	var targets []string
	for _, n := range s.nodes {
		if n.seg.nat == nil {
			targets = append(targets, n.cfg.Name)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	return []Attack{{Name: strangerName, Targets: targets, Kinds: strangerKinds(), From: StrangerInterval,
		Interval: StrangerInterval / time.Duration(min(len(targets), 10))}}
}

// plan makes the first events.
func (s *Sim) plan() {
	for i := range s.sc.Timeline {
		if s.sc.Timeline[i].When != nil {
			s.await(i)
			continue
		}
		s.at(timers.Time(s.sc.Timeline[i].At), event{kind: evAction, who: int32(i)})
	}
	for i, f := range s.flows {
		s.at(timers.Time(f.cfg.Start), event{kind: evFlow, who: int32(i)})
	}
	for i := range s.sc.Faults {
		if f := &s.sc.Faults[i]; f.Until > 0 {
			s.at(timers.Time(f.Until), event{kind: evFaultOver, who: int32(i)})
		}
	}
	for i, a := range s.attacks {
		s.at(timers.Time(a.cfg.From), event{kind: evAttack, who: int32(i)})
	}
	if s.sc.Heal > 0 {
		s.at(timers.Time(s.sc.Heal), event{kind: evHeal})
	}
	if s.o.Nudge > 0 {
		for i := range s.nodes {
			s.later(s.o.Nudge, event{kind: evNudge, who: int32(i)})
		}
	}
}

// Now is the present moment of the run.
func (s *Sim) Now() timers.Time { return s.now }

// End is the moment at which the run ends.
func (s *Sim) End() timers.Time { return s.end }

// Seed is the seed of the run.
func (s *Sim) Seed() uint64 { return s.o.Seed }

// Result sums the run up so far.
func (s *Sim) Result() Result { return s.result() }

// Run goes on to the end and sums up.
func (s *Sim) Run() Result {
	s.RunUntil(s.end)
	return s.result()
}

// RunUntil does all that happens up to a moment, that moment included, and stops there. At the end of the run it also
// shows the last record.
func (s *Sim) RunUntil(t timers.Time) {
	for t = min(t, s.end); len(s.heap.list) > 0 && s.heap.list[0].at <= t; {
		s.Step()
	}
	s.now = max(s.now, t)
	if s.now == s.end {
		s.finish()
	}
}

// Step does the next thing that happens and reports whether there was one before the end of the run.
func (s *Sim) Step() bool {
	if s.ended || len(s.heap.list) == 0 || s.heap.list[0].at > s.end {
		s.now = s.end
		s.finish()
		return false
	}
	e := s.heap.pop()
	s.now = e.at
	if e.kind != evNudge {
		s.events++
	}
	s.dispatch(&e)
	s.troubles.look()
	return true
}

func (s *Sim) dispatch(e *event) {
	switch e.kind {
	case evCross:
		s.crossed(e.who, e.d)
	case evArrive:
		s.arrive(s.segments[e.who], e.d)
	case evTimeout:
		s.nodes[e.who].timeout(e.gen)
	case evJob:
		s.nodes[e.who].jobDone(e.gen)
	case evFlow:
		s.tick(s.flows[e.who], e.gen)
	case evFlowTimer:
		if f := s.flows[e.who]; f.bulk != nil {
			f.bulk.fire(e.gen)
		} else {
			s.unanswered(f, e.gen)
		}
	case evFaultOver:
		s.troubles.over(&s.sc.Faults[e.who])
	case evAction:
		s.act(&s.sc.Timeline[e.who])
	case evAttack:
		s.strike(s.attacks[e.who])
	case evJoin:
		s.nodes[e.who].arriveAt(e.gen)
	case evAwake:
		s.nodes[e.who].awaken(e.gen)
	case evBoot:
		s.nodes[e.who].bootAgain(e.gen)
	case evLeave:
		s.nodes[e.who].overlapEnds()
	case evSync:
		s.nodes[e.who].synced(e.gen)
	case evLearn:
		s.learnKey(s.nodes[e.who], e.gen)
	case evMend:
		s.nodes[e.who].mend(e.gen)
	case evHeal:
		s.heal()
	case evOwed:
		s.owed(int(e.who))
	case evNudge:
		s.nodes[e.who].nudge()
		s.later(s.o.Nudge, event{kind: evNudge, who: e.who})
	}
}

func (s *Sim) finish() {
	if s.ended {
		return
	}
	s.ended = true
	s.emit(s.record(KindEnd))
}

func (s *Sim) at(t timers.Time, e event) {
	e.at = max(t, s.now)
	s.heap.push(e)
}

func (s *Sim) later(d time.Duration, e event) { s.at(s.now.Add(d), e) }

// record gives the scratch record, empty but for its kind.
func (s *Sim) record(k Kind) *Record {
	s.rec = Record{Kind: k}
	return &s.rec
}

// emit shows a record to the checkers, the summary and the observer, and then what the checkers found.
func (s *Sim) emit(r *Record) {
	s.number(r)
	s.watch.see(r)
	if s.tally != nil {
		s.tally.see(r)
	}
	if s.o.Observe != nil {
		s.o.Observe(r)
	}
	s.look(r)
	s.flushViolations()
}

func (s *Sim) number(r *Record) {
	s.records++
	r.Seq, r.At = s.records, s.now
}

func (s *Sim) flushViolations() {
	for i := range s.violations {
		v := s.violations[i]
		if len(s.shown) < MaxViolations {
			s.shown = append(s.shown, v)
		}
		s.vrec = Record{Kind: KindViolation, Host: v.Host, Violation: v}
		s.number(&s.vrec)
		if s.o.Observe != nil {
			s.o.Observe(&s.vrec)
		}
	}
	s.violations = s.violations[:0]
}

func (s *Sim) stream(name string) *Rand { return NewRand(s.o.Seed, name) }

// psk is the preshared key that follows from a word; none is all zeros (CRYPTO-14).
func (s *Sim) psk(word string) protocol.PresharedKey {
	if word == "" {
		return protocol.PresharedKey{}
	}
	k, ok := s.names[word]
	if !ok {
		k = s.presharedKey(word)
		s.names[word] = k
	}
	return k
}

func (s *Sim) node(name string) *node { return s.byName[name] }

func (s *Sim) segment(name string) *segment {
	return s.bySeg[name]
}

// resolve turns what Peer.Endpoint says into an address: as a name service would at this moment.
func (s *Sim) resolve(endpoint string) netip.AddrPort {
	if n := s.byName[endpoint]; n != nil {
		if n.seg == nil {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(n.addr, n.port)
	}
	a, err := netip.ParseAddrPort(endpoint)
	if err != nil {
		return netip.AddrPort{} // "": Validate lets nothing else come here
	}
	return a
}

// String says what the run is.
func (s *Sim) String() string { return fmt.Sprintf("scenario %s, seed %d", s.sc.Name, s.o.Seed) }
