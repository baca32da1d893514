package protocol_test

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

var hsCases = []ruleCase{
	{"HS01APacketWithoutSessionWaitsAndInitiates", "HS-01 HS-02 TIMER-11", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("a"))
		i := o.read(r.one(1, "at once").msg) // which checks the static key
		if e := r.seen(protocol.EventInitiationSent); len(e) != 1 || e[0].Cause != protocol.CausePacket {
			r.Errorf("events %+v", e)
		}
		if n := r.stats(o).Staged; n != 1 {
			r.Errorf("%d packets wait", n)
		}
		msg, s := i.respond()
		o.says(msg)
		s.wants("the packet follows", o.ours("a"))
	}},
	{"HS03AValidInitiationIsAnsweredOnceToItsSource", "HS-03 ROAM-12", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		from := o.moved(7)
		r.receive(from, h.msg)
		if m := r.one(2, "one response"); m.to != from {
			r.Errorf("the response went to %v, the initiation came from %v", m.to, from)
		}
		r.advance(3e9)
		r.silent("there is one response only")
	}},
	{"HS04NothingChangesBeforeAllChecksPassed", "HS-04 HS-24 HS-05 HS-06 ROAM-02 STAT-05", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.send(o.ours("x"))
		s.wants("session", o.ours("x"))
		r.advance(time.Second)
		before := r.stats(o)
		liar := o.keyPair()
		old := tai(1, 0)
		bad := map[protocol.DropReason][]byte{
			protocol.DropUnknownPeer:  r.stranger(9).initiation().msg,
			protocol.DropTimestampTag: o.craft(craft{liar: &liar}).msg,
			protocol.DropOldTimestamp: o.craft(craft{stamp: &old}).msg,
		}
		for _, flip := range []struct {
			at     int
			reason protocol.DropReason
		}{{8, protocol.DropStaticTag}, {40, protocol.DropStaticTag}, {90, protocol.DropTimestampTag}} {
			m := o.initiation().msg
			m[flip.at] ^= 1
			r.receive(o.moved(1), o.resign(m))
			r.dropped(flip.reason, 1, "a flipped field")
		}
		for reason := protocol.DropNone; reason < protocol.NumDropReasons; reason++ {
			if m := bad[reason]; m != nil {
				r.receive(o.moved(1), m)
				r.dropped(reason, 1, "a bad initiation")
			}
		}
		r.silent("bad initiations")
		if after := r.stats(o); after != before {
			r.Errorf("bad initiations changed the peer from %+v to %+v", before, after)
		}
		r.send(o.ours("y"))
		if m := s.wants("the session goes on", o.ours("y")); m[0].to != o.at {
			r.Errorf("data went to %v", m[0].to)
		}
	}},
	{"HS08AResponseNeedsAPendingInitiation", "HS-08 HS-11 QUIET-03", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		first := r.one(1, "initiation").msg
		answer := func(i *invited, to uint32) []byte {
			i.sender = to
			m, _ := i.respond()
			return m
		}
		o.says(answer(o.read(first), 12345))
		r.dropped(protocol.DropUnknownIndex, 1, "a response to nothing")
		r.advance(6e9)
		second := r.one(1, "retry").msg
		o.says(answer(o.read(first), binary.LittleEndian.Uint32(first[4:])))
		r.dropped(protocol.DropUnknownIndex, 1, "a response to an initiation that another replaced (B013)")
		o.says(answer(o.read(second), binary.LittleEndian.Uint32(first[4:])))
		r.dropped(protocol.DropUnknownIndex, 1, "the newer one answered to the older index")
		r.silent("all of them")
		msg, s := o.read(second).respond()
		o.says(msg)
		s.wants("the right one", o.ours("x"))
		r.forget()
		o.says(answer(o.read(second), s.remote))
		r.dropped(protocol.DropNotPending, 1, "a response to the index of a session")
	}},
	{"HS09AResponseIsAcceptedOnce", "HS-09", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		o.says(msg, msg)
		s.wants("one burst", o.ours("x"))
		r.dropped(protocol.DropSuperseded, 1, "the copy in the same batch")
		o.says(msg)
		r.silent("a later copy")
		r.dropped(protocol.DropNotPending, 1, "a later copy")
	}},
	{"HS10AForgedResponseLeavesTheHandshakeAlone", "HS-10", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		init := r.one(1, "initiation").msg
		n := 0
		for at := 12; at < 60; at++ {
			m, _ := o.read(init).respond()
			m[at] ^= 0x10
			o.says(o.resign(m))
			n++
		}
		r.silent("forged responses")
		r.dropped(protocol.DropResponseTag, n, "forged responses")
		msg, s := o.read(init).respond()
		forged := bytes.Clone(msg)
		forged[50] ^= 1
		o.says(o.resign(forged), msg)
		s.wants("the genuine one, in the same batch as one more", o.ours("x"))
	}},
	{"HS12AcceptingAnInitiationDiscardsOurs", "HS-12", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation").msg)
		o.says(o.initiation().msg)
		r.one(2, "theirs is answered")
		msg, _ := i.respond()
		o.says(msg)
		r.silent("a response to our discarded initiation")
		r.dropped(protocol.DropUnknownIndex, 1, "a response to our discarded initiation")
	}},
	{"HS12AReplayedInitiationDoesNotDiscardOurs", "HS-12 HS-04", func(r *rig) { // B012
		o := r.peer(1)
		old := o.initiation()
		o.says(old.msg)
		r.one(2, "answer")
		r.advance(6e9)
		r.forget()
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation").msg)
		o.says(old.msg)
		r.dropped(protocol.DropOldTimestamp, 1, "a replayed initiation")
		msg, s := i.respond()
		o.says(msg)
		s.wants("ours still completes", o.ours("x"))
	}},
	{"HS13CrossingInitiationsConverge", "HS-13 TIMER-26", func(r *rig) {
		// The delays at which the sources stall are those above the jitter (OPEN-4).
		for n, ms := range []time.Duration{0, 50, 400, 1000, 2000} {
			converge(r, uint64(n), ms*time.Millisecond)
		}
	}},
	{"HS14TheInitiatorConfirmsAtOnce", "HS-14 HS-05", func(r *rig) {
		o := r.peer(1)
		seconds := uint16(25)
		c := o.change()
		c.PersistentKeepalive = &seconds
		r.configure(c)
		msg, s := o.read(r.one(1, "initiation for a keepalive").msg).respond()
		o.says(msg)
		m := s.wants("a keepalive confirms when nothing else waits", nil)
		if len(m[0].msg) != 32 {
			r.Errorf("the keepalive has %d bytes", len(m[0].msg))
		}
		r.advance(10e9)
		p := r.peer(2) // B077: nothing waits at all, the initiation was for a session that fell silent
		p.accept()
		msg, t := p.rekey().respond()
		p.says(msg)
		t.wants("a keepalive for a handshake that nothing waited for", nil)
	}},
	{"HS15WaitingPacketsAreTheConfirmation", "HS-15 QUEUE-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("1"), o.ours("2"))
		r.send(o.ours("3"))
		msg, s := o.read(r.one(1, "one initiation").msg).respond()
		o.says(msg)
		s.wants("the packets and nothing else (B078)", o.ours("1"), o.ours("2"), o.ours("3"))
	}},
	{"HS16TheResponderWaitsForConfirmation", "HS-16 LIFE-03 HS-22 KEY-05", func(r *rig) {
		o := r.peer(1)
		s := o.propose()
		r.send(o.ours("x"))
		r.silent("an unconfirmed session is not used, and 5 s have not passed")
		r.advance(4999 * time.Millisecond)
		r.silent("for 5 s after the response")
		r.advance(time.Millisecond)
		o.read(r.one(1, "then an initiation of our own").msg)
		o.says(s.data("confirm"))
		s.wants("confirmed", o.ours("x"))
	}},
	{"HS17HS18AKeepaliveConfirmsAndFlushes", "HS-17 HS-18 HS-19 STAT-07", func(r *rig) {
		o := r.peer(1)
		s := o.propose()
		if t := r.stats(o).LastHandshake; !t.IsZero() {
			r.Errorf("last handshake %v although nothing is confirmed", t)
		}
		r.send(o.ours("1"), o.ours("2"))
		r.silent("unconfirmed")
		o.says(s.seal(nil))
		s.wants("flushed in order (B072)", o.ours("1"), o.ours("2"))
		if t := r.stats(o).LastHandshake; !t.Equal(r.wall()) {
			r.Errorf("last handshake %v, now is %v", t, r.wall())
		}
		p := r.peer(2)
		q := p.propose()
		p.says(q.seal(nil))
		r.advance(2e9)
		r.silent("nothing waits, nothing is said (HS-19)")
		r.send(p.ours("later"))
		q.wants("the new key is in use", p.ours("later"))
	}},
	{"HS17DataConfirms", "HS-17 HS-18", func(r *rig) {
		o := r.peer(1)
		s := o.propose()
		r.send(o.ours("1"))
		o.says(s.data("d"))
		r.delivers("the confirming packet", o.theirs("d"))
		s.wants("flushed", o.ours("1"))
	}},
	{"HS21NoTwoInitiationsWithin5Seconds", "HS-21", func(r *rig) { // B113
		o := r.peer(1)
		var last timers.Time
		for i := range 300 {
			r.send(o.ours("x"))
			r.advance(100 * time.Millisecond)
			for _, m := range of(r.take(), 1) {
				if i > 0 && last > 0 && m.at.Sub(last) < 5*time.Second {
					r.Fatalf("an initiation %v after the one before", m.at.Sub(last))
				}
				last = m.at
			}
		}
	}},
}
