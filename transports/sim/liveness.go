package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// owing is what one direction between two peers owes after all trouble has ended. Which do is decided by the model of
// the network and the hosts' configuration alone, never by asking a core.
type owing struct {
	Liveness
	from, to *node
	end      *tunnelEnd // to, as from has it
	direct   bool       // from reaches to by itself
	done     bool
	put      int // packets that from has put into the tunnel since
}

// healAll ends all trouble of the hosts. That of the network ends because healed is set.
func (s *Sim) healAll() {
	s.healed = true
	s.note(ActionNone, "", "", "all trouble ends")
	for _, n := range s.nodes {
		n.arriveAt(n.moves)
		for len(n.old) > 0 {
			n.overlapEnds()
		}
		switch {
		case !n.running:
			n.bootAgain(uint32(n.life))
		case n.asleep:
			n.wakeUp()
		}
		n.mendAll()
		if n.awake() && !n.up {
			n.onOff(&Action{Kind: ActionInterface, On: true})
		}
		if n.keys > 0 {
			s.learnKey(n, n.keys)
		}
	}
}

// heal comes up at Scenario.Heal: trouble ends, and each direction is told what it owes.
func (s *Sim) heal() {
	s.healAll()
	for _, f := range s.flows {
		if e := f.from.owner(f.dst); e != nil {
			s.supply(e, f)
		}
	}
	for _, n := range s.nodes {
		for _, p := range n.peers {
			for _, m := range s.sharers[p.cfg.Host] {
				if m.end(n.canon) == nil {
					continue
				}
				o := owing{Liveness: Liveness{From: n.cfg.Name, To: m.cfg.Name, Took: -1}, from: n, to: m, end: p}
				s.owes(&o)
				if o.Exempt == "" {
					s.at(timers.Time(s.sc.Heal+o.Bound), event{kind: evOwed, who: int32(len(s.owing))})
				}
				s.due[pair{o.From, o.To}] = len(s.owing)
				s.owing = append(s.owing, o)
			}
		}
	}
}

// supply notes when a flow will next have something for a peer. Only flows with a fixed interval count.
func (s *Sim) supply(e *tunnelEnd, f *flow) {
	if f.cfg.Kind != FlowPing && f.cfg.Kind != FlowUDP && f.cfg.Kind != FlowVoice || f.cfg.Interval <= 0 {
		return
	}
	next := timers.Time(f.cfg.Start)
	if next < s.now {
		next = s.now.Add(f.cfg.Interval)
	}
	if next >= f.stop {
		return
	}
	if w := next.Sub(s.now); !e.fed || w < e.wait {
		e.fed, e.wait, e.gap, e.stop = true, w, f.cfg.Interval, f.stop
	}
}

// Parts of the bounds. A host that is told nothing notices after T3 that nobody answers (TIMER-16); the 5 s rule may
// hold its initiation up (HS-21); one attempt may be spent on getting a cookie (COOKIE-09); and if it crosses one of
// the other side, the side that gives way tries again (HS-13, OPEN-4).
const (
	noticing = timers.NewHandshakeTime + timers.MaxJitter
	shaking  = 2*(timers.RekeyTimeout+timers.MaxJitter) + timers.YieldTime + timers.MaxJitter
	wayTime  = time.Second // of the datagrams, without trouble
)

// owes decides whether a direction owes recovery, and by when.
func (s *Sim) owes(o *owing) {
	x, y := o.from, o.to
	back := y.end(x.canon)
	switch {
	case x.cfg.Steals != "" || y.cfg.Steals != "" || len(s.sharers[x.canon]) > 1 || len(s.sharers[y.canon]) > 1:
		o.Exempt = "stolen-key"
		return
	case !o.end.present || !back.present || !x.running || !y.running:
		o.Exempt = "no-peer"
		return
	case o.end.public != y.public || back.public != x.public || o.end.psk != back.psk:
		o.Exempt = "keys"
		return
	case !o.end.fed && (o.end.keepalive == 0 || o.end.postponed(back)):
		o.Exempt = "no-traffic"
		return
	}
	own, why, ok := s.initiates(x, o.end, y)
	o.direct = ok
	if !ok {
		other, reason, can := s.initiates(y, back, x)
		if !can {
			o.Exempt = why
			if reason == "clock" {
				o.Exempt = reason // all that keeps them apart is the time
			}
			return
		}
		gap := time.Duration(o.end.keepalive) * time.Second
		if o.end.fed {
			gap = max(o.end.gap, o.end.wait)
		}
		if !s.opens(y, back, gap) {
			o.Exempt = "no-way"
			return
		}
		own, why = other+gap, reason+" by "+y.cfg.Name+", then "+seconds(gap)+" until there is something to send"
	}
	o.Bound, o.Why = own+s.slowness(x, y, own), why
	end := timers.Time(s.sc.Heal + o.Bound)
	if end >= s.end || o.end.fed && !ok && o.end.keepalive == 0 && o.end.stop < end {
		o.Exempt = "short-run"
	}
}

// initiates reports whether a host will by itself come to a session with a peer, and within what time; else why not.
func (s *Sim) initiates(x *node, e *tunnelEnd, y *node) (within time.Duration, why string, ok bool) {
	switch {
	case !e.fed && e.keepalive == 0:
		return 0, "no-traffic", false
	case !s.reaches(x, e.where, y):
		return 0, "no-way", false
	case x.behind(e, y.end(x.canon)):
		return 0, "clock", false
	case e.fed:
		return e.wait + noticing + shaking + wayTime,
			fmt.Sprintf("%s until there is something to send, %s to notice (TIMER-16), %s to shake hands (HS-21, OPEN-4)",
				seconds(e.wait), seconds(noticing), seconds(shaking)), true
	}
	k := time.Duration(e.keepalive) * time.Second
	return k + rejectAfter + shaking + wayTime, fmt.Sprintf("%s until the old key is useless (KEY-10), "+
		"%s until a keepalive is due (TIMER-20), %s to shake hands", seconds(rejectAfter), seconds(k), seconds(shaking)), true
}

// postponed reports whether the persistent keepalive to a peer is never due, because the peer's own come more often:
// each message that is received puts it off (TIMER-19), and none of them is data, which would be answered (TIMER-12).
// A drifting clock may be an eighth off.
func (e *tunnelEnd) postponed(back *tunnelEnd) bool {
	return !back.fed && back.keepalive > 0 && uint32(back.keepalive)*8 <= uint32(e.keepalive)*9
}

// opens reports whether the way that y's messages open to itself, through NATs and firewalls that forget, is open when
// something comes every gap: it never closes between two messages of y, or not for long enough to be missed each time.
func (s *Sim) opens(y *node, x *tunnelEnd, gap time.Duration) bool {
	every := time.Duration(x.keepalive) * time.Second
	if x.fed && (every == 0 || x.gap < every) {
		every = x.gap
	}
	seg, _ := y.source(netip.Addr{}, x.where.Addr())
	for ; seg != nil; seg = seg.parent {
		var idle []time.Duration
		if seg.fw != nil {
			idle = append(idle, seg.fw.cfg.Timeout)
		}
		if t := seg.cfg.NAT; t != nil {
			idle = append(idle, t.Timeout)
		}
		for _, d := range idle {
			if d > 0 && d <= every && d <= gap {
				return false
			}
		}
	}
	return true
}

// behind reports whether the timestamps of x are not greater than one that its peer took from it (TAI-02): then x is
// locked out until its clock has caught up, rightly. e is the peer as x has it, there is x as the peer has it.
func (x *node) behind(e, there *tunnelEnd) bool {
	now := x.wallClock()
	var stamp [12]byte
	binary.BigEndian.PutUint64(stamp[:], labelOfZero+uint64(now.Unix()))
	binary.BigEndian.PutUint32(stamp[8:], uint32(now.Nanosecond())&^(1<<24-1))
	return bytes.Compare(stamp[:], there.stamp[:]) <= 0 && bytes.Compare(e.stamped[:], there.stamp[:]) < 0
}

// reaches reports whether what x sends to an endpoint comes to y, without anything that y would have to do. Behind a
// NAT it does not: a mapping lives as long as y keeps it alive, which is y's own debt.
func (s *Sim) reaches(x *node, where netip.AddrPort, y *node) bool {
	if !where.IsValid() || x.seg == nil || where.Port() != y.port {
		return false
	}
	seg, _ := x.source(netip.Addr{}, where.Addr())
	if seg.cfg.Prefix.Contains(where.Addr()) {
		return seg.hosts[where.Addr()] == y
	}
	for ; seg != nil; seg = seg.parent {
		if f := seg.fw; f != nil && !f.passes(where.Port()) {
			return false
		}
		if t := seg.cfg.NAT; t != nil && t.Mappings > 0 && (!t.Evict || t.Mappings < s.conversations(seg)) {
			return false // it may be full for ever, or its hosts throw out each other's mappings
		}
	}
	g := s.public[where.Addr()].segment
	return g != nil && g.nat == nil && g.hosts[where.Addr()] == y && (g.fw == nil || g.fw.invites(y.port))
}

// conversations is how many the hosts in a network, and in those behind it, may have at a time.
func (s *Sim) conversations(seg *segment) (n int) {
	for _, x := range s.nodes {
		for _, h := range x.homes {
			g := h.seg
			for g != nil && g != seg {
				g = g.parent
			}
			if g != nil {
				n += len(x.peers)
			}
		}
	}
	return n
}

// slowness is what clocks that go wrong and slow processors add to a bound.
func (s *Sim) slowness(x, y *node, d time.Duration) (more time.Duration) {
	for _, n := range [...]*node{x, y} {
		if n.cfg.DriftPPM != 0 {
			more += d / 8
		}
		more += n.felt().Sub(n.clock.at(s.now)) // it stands still until its clock has caught up
		more += max(n.strained.Sub(s.now), 0)
		more += n.jobTime * time.Duration(4*len(n.peers)+8)
	}
	return more
}

// followed keeps the model of what a host knows of its peer up to date: it took a message of it.
func (s *Sim) followed(c *carried, r *Record) {
	n := s.byName[r.To]
	if n == nil || c.kind == typeCookie || c.kind == 0 {
		return
	}
	p := n.end(s.byName[c.from].canon)
	if p == nil {
		return
	}
	p.where = r.Src
	if a := c.attempt; a != nil && bytes.Compare(a.timestamp[:], p.stamp[:]) > 0 {
		p.stamp = a.timestamp
	}
	if i, ok := s.due[pair{c.from, r.To}]; ok && c.kind == typeTransport && c.at >= timers.Time(s.sc.Heal) {
		if o := &s.owing[i]; !o.done {
			o.done, o.Took = true, s.now.Sub(timers.Time(s.sc.Heal))
		}
	}
}

// recoveries: what the issue calls the liveness phase.
type recoveries struct {
	waits []latePacket // packets that must leave within leaveWithin, the oldest first
}

type latePacket struct {
	p   *sentPacket
	o   int
	nth int
}

// leaveWithin is how long a packet may wait for a handshake where nothing is in its way.
const leaveWithin = shaking + wayTime

func (*recoveries) about() (name, rule string) {
	return "recovery", "once all trouble has ended, a pair that can talk does so within the bound, and lets no packet " +
		"wait for longer than a handshake takes (TIMER-16, HS-21, OPEN-4)"
}

// owed comes up when a direction must have recovered.
func (s *Sim) owed(i int) {
	o := &s.owing[i]
	s.watch.as("recovery", func(w *watch) {
		w.looked()
		if !o.done {
			w.fault(o.From, "has not got one message through to %s %s after all trouble ended (%s)", o.To,
				seconds(o.Bound), o.Why)
		}
	})
}

func (c *recoveries) see(w *watch, r *Record) {
	if !w.s.healed {
		return
	}
	c.late(w)
	if r.Kind != KindInnerSent && r.Kind != KindInnerForwarded {
		return
	}
	i, ok := w.s.due[pair{r.Host, r.Peer}]
	if !ok {
		return
	}
	o := &w.s.owing[i]
	o.put++
	p := w.ledger.find(w.s.byName[r.Host].canon, &r.Inner)
	if o.Exempt == "" && o.direct && w.s.now >= timers.Time(w.s.sc.Heal+o.Bound) && p != nil {
		c.waits = append(c.waits, latePacket{p, i, o.put})
	}
}

// late looks at the packets that must have left by now. One that was pushed out of a full store is excused (QUEUE-03).
func (c *recoveries) late(w *watch) {
	for len(c.waits) > 0 {
		v := c.waits[0]
		o := &w.s.owing[v.o]
		wait := w.s.now.Sub(v.p.at)
		if wait <= leaveWithin+w.s.slowness(o.from, o.to, leaveWithin) {
			return
		}
		c.waits = c.waits[1:]
		w.looked()
		if limit := o.from.cfg.Limits.StagedPackets; !v.p.left && o.put-v.nth < max(limit, 0)+stagedLeast(limit) {
			w.fault(o.From, "lets a packet for %s wait for longer than %s", o.To, seconds(leaveWithin))
		}
	}
}

// stagedLeast is how many packets may wait where the scenario does not say.
func stagedLeast(limit int) int {
	if limit == 0 {
		return 128
	}
	return 0
}
