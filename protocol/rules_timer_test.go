package protocol_test

import (
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// keepaliveEvery sets a persistent keepalive when a peer is added.
func keepaliveEvery(seconds uint16) func(*protocol.Change) {
	return func(c *protocol.Change) { c.PersistentKeepalive = &seconds }
}

// empty demands that exactly one keepalive was sent since the last look.
func (s *session) empty(why string) sent {
	s.Helper()
	m := s.one(4, why)
	if _, plain := s.open(m.msg); len(plain) != 0 || len(m.msg) != 32 {
		s.Fatalf("%s: %d bytes of data, want a keepalive", why, len(plain))
	}
	return m
}

var timerCases = []ruleCase{
	{"TIMER01RetriesAreFiveSecondsAndJitterApart", "TIMER-01 TIMER-02", func(r *rig) { // B099, B100, B101
		var gaps []time.Duration
		for n := 1; n <= 2; n++ {
			o := r.peer(n)
			r.send(o.ours("x"))
			last := r.one(1, "first").at
			r.advance(56 * time.Second)
			for _, m := range o.mine() {
				gaps = append(gaps, m.at.Sub(last))
				last = m.at
			}
			r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()})
			r.forget()
		}
		if len(gaps) < 20 || slices.Min(gaps) < 5*time.Second || slices.Max(gaps) > 5333*time.Millisecond {
			r.Fatalf("%d gaps from %v to %v", len(gaps), slices.Min(gaps), slices.Max(gaps))
		}
		if spread := slices.Max(gaps) - slices.Min(gaps); spread < 150*time.Millisecond {
			r.Errorf("20 gaps within %v: that is no jitter", spread)
		}
		if slices.Equal(gaps[:10], gaps[10:20]) {
			r.Errorf("two peers have the same jitter")
		}
	}},
	{"TIMER03RetryingStops", "TIMER-03 TIMER-04 STAT-09", func(r *rig) { // B098
		o := r.peer(1)
		start := r.now
		r.send(o.ours("x"), o.ours("y"))
		r.advance(300 * time.Second)
		all := r.some(1, "initiations")
		if last := all[len(all)-1].at.Sub(start); len(all) != 20 || last < 95*time.Second || last > 102*time.Second {
			r.Errorf("%d initiations, the last after %v; want 20, 95 to 102 s", len(all), last)
		}
		if n := r.stats(o).Staged; n != 0 {
			r.Errorf("%d packets still wait (TIMER-04)", n)
		}
		if e := r.seen(protocol.EventGaveUp); len(e) != 1 {
			r.Errorf("%d events about giving up", len(e))
		}
		r.dropped(protocol.DropStagedPurged, 2, "what waited")
		s := o.connect()
		r.silent("nothing old appears")
		r.send(o.ours("new"))
		s.wants("a new packet", o.ours("new"))
	}},
	{"TIMER05ANewPacketStartsTheCountAnew", "TIMER-05", func(r *rig) {
		o := r.peer(1)
		start := r.now
		for range 6 {
			r.send(o.ours("x"))
			r.advance(30 * time.Second)
		}
		all := r.some(1, "initiations")
		for i := 1; i < len(all); i++ {
			if gap := all[i].at.Sub(all[i-1].at); gap < 5*time.Second || gap > 5334*time.Millisecond {
				r.Errorf("gap %v at %v", gap, all[i].at.Sub(start))
			}
		}
		if last := all[len(all)-1].at.Sub(start); last < 170*time.Second {
			r.Errorf("the last initiation came after %v", last)
		}
	}},
	{"TIMER06GivingUpKeepsTheSession", "TIMER-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.send(o.ours("unanswered"))
		r.advance(125 * time.Second)
		if len(r.seen(protocol.EventGaveUp)) != 1 {
			r.Errorf("it has not given up")
		}
		o.says(s.data("x"))
		r.delivers("the session still receives", o.theirs("x"))
	}},
	{"TIMER07TheInitiatorRekeysWhenItSends", "TIMER-07 TIMER-27", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		r.advance(120*time.Second - 1)
		r.send(o.ours("119"))
		s.wants("just before 120 s", o.ours("119"))
		o.says(s.seal(nil))
		r.advance(1)
		r.send(o.ours("120"))
		all := r.take()
		if len(all) != 2 || len(of(all, 1)) != 1 {
			r.Fatalf("at 120 s: %v, want data on the old key and an initiation", types(all))
		}
		if e := r.seen(protocol.EventInitiationSent); len(e) != 1 || e[0].Cause != protocol.CauseRekeyTime {
			r.Errorf("events %+v", e)
		}
		p := r.peer(2, keepaliveEvery(25))
		msg, t := p.read(of(p.mine(), 1)[0].msg).respond()
		p.says(msg)
		for range 4 { // at 25, 50, 75 and 100 s keepalives, at 125 s one and an initiation (TIMER-27)
			r.advance(25 * time.Second)
			t.outsider.says(t.seal(nil))
		}
		p.mine()
		r.advance(25 * time.Second)
		if all := p.mine(); len(of(all, 1)) != 1 || len(of(all, 4)) != 1 {
			r.Errorf("a keepalive at 125 s: %v", types(all))
		}
	}},
	{"TIMER08TheInitiatorRekeysWhenItReceives", "TIMER-08", func(r *rig) { // B095
		o := r.peer(1)
		s := o.accept()
		r.advance(165*time.Second - 1)
		o.says(s.seal(nil))
		r.silent("just before 165 s")
		r.advance(1)
		o.says(s.seal(nil))
		r.one(1, "at 165 s")
		if e := r.seen(protocol.EventInitiationSent); len(e) != 1 || e[0].Cause != protocol.CauseRekeyReceive {
			r.Errorf("events %+v", e)
		}
		o.says(s.seal(nil))
		r.silent("once per session")
	}},
	{"TIMER10TheResponderDoesNotRekeyByAge", "TIMER-10", func(r *rig) { // B093
		o := r.peer(1)
		s := o.connect()
		for range 35 {
			r.advance(5 * time.Second)
			o.says(s.data("x"))
			r.send(o.ours("y"))
			s.wants("two-way traffic up to 175 s", o.ours("y"))
		}
	}},
	{"TIMER12PassiveKeepalive", "TIMER-12 TIMER-15", func(r *rig) { // B106
		o := r.peer(1)
		s := o.connect()
		from := r.now
		o.says(s.data("x"))
		r.advance(time.Second)
		o.says(s.data("y"))
		r.advance(9*time.Second - 1)
		r.silent("before 10 s")
		r.advance(1)
		if m := s.empty("10 s after data that nothing answered"); m.at.Sub(from) != 10*time.Second {
			r.Errorf("after %v", m.at.Sub(from))
		}
		r.advance(60 * time.Second)
		r.silent("one keepalive is enough")
	}},
	{"TIMER13AKeepaliveIsNotAnswered", "TIMER-13", func(r *rig) { // B091
		o := r.peer(1)
		s := o.connect()
		o.says(s.seal(nil))
		r.advance(30 * time.Second)
		r.silent("a keepalive was received")
	}},
	{"TIMER14AnythingSentCancelsThePassiveKeepalive", "TIMER-14", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		o.says(s.data("x"))
		r.advance(5 * time.Second)
		r.send(o.ours("answer"))
		r.forget()
		o.says(s.seal(nil))
		r.advance(9 * time.Second)
		r.silent("data was sent at 5 s")
		o.says(s.data("y"))
		from := r.now
		r.advance(10 * time.Second)
		if m := s.empty("10 s after newer data"); m.at.Sub(from) != 10*time.Second {
			r.Errorf("after %v", m.at.Sub(from))
		}
		o.says(s.data("z"))
		o.says(o.initiation().msg)
		r.one(2, "a response was sent")
		r.advance(14 * time.Second)
		r.silent("which cancels it too")
	}},
	{"TIMER16DeadPeerDetection", "TIMER-16 TIMER-17", func(r *rig) { // B102
		var delays []time.Duration
		for n := 1; n <= 12; n++ {
			o := r.peer(n)
			o.connect()
			from := r.now
			for range 3 {
				r.send(o.ours("nobody answers"))
				r.advance(5 * time.Second)
			}
			r.advance(400 * time.Millisecond)
			all := of(o.mine(), 1)
			if len(all) != 1 {
				r.Fatalf("%d initiations after 15.4 s of silence", len(all))
			}
			delays = append(delays, all[0].at.Sub(from))
			r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()})
			r.forget()
		}
		if slices.Min(delays) < 15*time.Second || slices.Max(delays) > 15333*time.Millisecond ||
			slices.Max(delays)-slices.Min(delays) < 50*time.Millisecond {
			r.Errorf("delays from %v to %v", slices.Min(delays), slices.Max(delays))
		}
	}},
	{"TIMER17AnyAuthenticMessageCancelsIt", "TIMER-17", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.send(o.ours("x"))
		r.advance(14 * time.Second)
		o.says(s.seal(nil))
		r.forget()
		r.advance(60 * time.Second)
		r.silent("a keepalive came at 14 s")
	}},
}

var timerMoreCases = []ruleCase{
	{"TIMER18AKeepaliveExpectsNoAnswer", "TIMER-18", func(r *rig) { // B086 to B089
		o := r.peer(1, keepaliveEvery(10))
		msg, s := o.read(of(o.mine(), 1)[0].msg).respond()
		o.says(msg)
		r.forget()
		r.advance(119 * time.Second)
		for _, m := range r.some(4, "keepalives into the void") {
			s.open(m.msg)
		}
	}},
	{"TIMER19PersistentKeepalive", "TIMER-19", func(r *rig) { // B111
		o := r.peer(1)
		s := o.connect()
		five := o.change()
		n := uint16(5)
		five.PersistentKeepalive = &n
		r.configure(five)
		last := s.empty("at once when it is switched on (TIMER-22)").at
		for range 4 {
			r.advance(5 * time.Second)
			m := s.empty("every 5 s")
			if m.at.Sub(last) != 5*time.Second {
				r.Errorf("after %v", m.at.Sub(last))
			}
			last = m.at
		}
		r.advance(3 * time.Second)
		r.send(o.ours("x"))
		s.wants("data", o.ours("x"))
		r.advance(3 * time.Second)
		o.says(s.seal(nil))
		r.advance(5*time.Second - 1)
		r.silent("any traffic in either direction restarts the interval")
		r.advance(1)
		s.empty("5 s after the last")
		n = 0
		r.configure(five)
		r.advance(60 * time.Second)
		r.silent("0 is off")
	}},
	{"TIMER20PersistentKeepaliveStartsHandshakesForEver", "TIMER-20", func(r *rig) { // B109
		r.peer(1, keepaliveEvery(25))
		r.advance(600 * time.Second)
		all := r.some(1, "initiations")
		for i := 1; i < len(all); i++ {
			if gap := all[i].at.Sub(all[i-1].at); gap < 5*time.Second || gap > 30*time.Second {
				r.Errorf("a gap of %v", gap)
			}
		}
		if last := r.now.Sub(all[len(all)-1].at); last > 30*time.Second {
			r.Errorf("the last one is %v old", last)
		}
		p := r.peer(2, keepaliveEvery(25)) // a session that expired, and a peer that then answers again
		msg, _ := p.read(of(p.mine(), 1)[0].msg).respond()
		p.says(msg)
		r.advance(400 * time.Second)
		all = of(p.mine(), 1)
		if len(all) == 0 || r.now.Sub(all[len(all)-1].at) > 30*time.Second {
			r.Errorf("after expiry: %d initiations", len(all))
		}
	}},
	{"TIMER21AnIdleSessionIsLeftAlone", "TIMER-21 QUIET-04", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		r.send(o.ours("x"))
		o.says(s.seal(nil))
		r.forget()
		r.advance(20 * time.Minute)
		r.silent("an idle session, for ever")
	}},
	{"TIMER22KeepaliveAtOnce", "TIMER-22 TIMER-23", func(r *rig) { // B108
		o := r.peer(1, keepaliveEvery(25))
		r.one(1, "a peer with an interval is contacted at once")
		r.down()
		r.up()
		o.read(r.one(1, "and when the interface comes up").msg)
		p := r.peer(2)
		c := p.change()
		n := uint16(25)
		c.PersistentKeepalive = &n
		s := p.connect()
		r.configure(c)
		s.empty("0 to 25")
		r.advance(time.Second)
		n = 30
		r.configure(c)
		r.silent("25 to 30 (TIMER-23)")
		r.configure(c)
		r.silent("30 to 30")
		q := r.peer(3, keepaliveEvery(25), func(c *protocol.Change) { c.Endpoint = nil })
		r.silent("nowhere to go")
		c = q.change()
		c.Endpoint = &q.at.Remote
		r.configure(c)
		q.read(r.one(1, "now there is").msg)
	}},
	{"TIMER24RetriesForgetTheSource", "TIMER-24 ROAM-09 ROAM-08", func(r *rig) {
		o := r.peer(1)
		o.connect()
		r.send(o.ours("x"))
		if m := r.one(4, "data"); m.to.Local != here.Addr() {
			r.Errorf("data leaves from %v, the peer spoke to %v", m.to.Local, here.Addr())
		}
		r.advance(15400 * time.Millisecond)
		if m := r.one(1, "dead peer detection"); m.to.Local.IsValid() || m.to.Remote != o.at.Remote {
			r.Errorf("T3 kept the source: %v", m.to)
		}
		p := r.peer(2)
		p.propose()
		r.send(p.ours("x"))
		r.advance(5 * time.Second)
		if all := of(p.mine(), 1); len(all) != 1 || all[0].to.Local.IsValid() {
			r.Errorf("a suppressed initiation that T1 repeats: %+v", all)
		}
	}},
	{"TIMER25TimersOfPeersAreIndependent", "TIMER-25", func(r *rig) {
		o, p := r.peer(1), r.peer(2)
		r.send(o.ours("x"))
		r.advance(2 * time.Second)
		r.send(p.ours("x"))
		msg, _ := p.read(of(p.mine(), 1)[0].msg).respond()
		p.says(msg)
		r.forget()
		r.advance(3400 * time.Millisecond)
		if m := r.one(1, "the retry to the other"); m.to.Remote != o.at.Remote {
			r.Errorf("it went to %v", m.to)
		}
	}},
	{"TIMER26CompletionCancelsTheRetry", "TIMER-26", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		r.one(1, "initiation")
		s := o.propose() // crossing
		o.says(s.seal(nil))
		s.wants("flushed", o.ours("x"))
		r.advance(5 * time.Second)
		o.says(s.seal(nil))
		r.advance(100 * time.Second)
		r.silent("the handshake is complete")
	}},
	{"TIMERDeadlinesAreExact", "TIMER-01 TIMER-12", func(r *rig) {
		o := r.peer(1, keepaliveEvery(7))
		var exact, spurious []timers.Time
		script := func(every time.Duration) (at []timers.Time) {
			r.restart()
			r.configure(o.add())
			r.forget()
			start := r.now
			r.send(o.ours("x"))
			for range 40 {
				if every == 0 {
					r.advance(time.Second)
					continue
				}
				for range time.Second / every {
					r.advance(every)
					r.do(r.d.HandleTimeout)
				}
			}
			for _, m := range r.take() {
				at = append(at, m.at-start)
			}
			return at
		}
		r.entropy = nil
		exact = script(0)
		r.entropy = nil
		spurious = script(10 * time.Millisecond)
		if !slices.Equal(exact, spurious) {
			r.Errorf("woken at deadlines it sent at\n%v, woken all the time at\n%v", exact, spurious)
		}
	}},
}
