package protocol_test

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

var keyCases = []ruleCase{
	{"KEY01IndicesAreRandomAndUnique", "KEY-01 KEY-02 KEY-03", func(r *rig) {
		a, b := r.peer(1), r.peer(2)
		seen := map[uint32]bool{}
		var last uint32
		gaps, tops := map[uint32]bool{}, map[uint32]bool{}
		for i := range 32 {
			r.advance(time.Second)
			o := [2]*outsider{a, b}[i%2]
			o.says(o.initiation().msg)
			index := binary.LittleEndian.Uint32(of(o.mine(), 2)[0].msg[4:])
			if seen[index] {
				r.Errorf("index %#x twice", index)
			}
			seen[index], gaps[index-last], tops[index>>8] = true, true, true
			last = index
		}
		if len(gaps) < 30 || len(tops) < 30 {
			r.Errorf("32 indices have %d differences and %d upper halves: not random", len(gaps), len(tops))
		}
	}},
	{"KEY05SendingFollowsTheSlots", "KEY-04 KEY-05 KEY-07", func(r *rig) {
		o := r.peer(1)
		s1 := o.connect()
		r.advance(time.Second)
		s2 := o.propose()
		r.send(o.ours("still old"))
		s1.wants("an unconfirmed next is not used", o.ours("still old"))
		o.says(s1.data("1"))
		r.delivers("nor in the way", o.theirs("1"))
		o.says(s2.seal(nil))
		r.forget()
		r.send(o.ours("new"))
		s2.wants("confirmed", o.ours("new"))
		msg, s3 := o.rekey().respond()
		o.says(msg)
		s3.wants("the initiator switches at once", nil)
	}},
	{"KEY06DataInFlightSurvivesARekey", "KEY-06 REPLAY-09 KEY-08", func(r *rig) {
		o := r.peer(1)
		s1 := o.connect()
		late := s1.data("late")
		r.advance(time.Second)
		s2 := o.connect()
		o.says(s2.data("new"), late)
		r.delivers("both generations", o.theirs("new"), o.theirs("late"))
		p := r.peer(2)
		t1 := p.accept()
		late = t1.data("late")
		r.advance(6 * time.Second)
		t2 := p.connect()
		p.says(t2.data("new"), late)
		r.delivers("and with the device as initiator before", p.theirs("new"), p.theirs("late"))
		r.forget()
		msg, t3 := p.rekey().respond()
		p.says(msg)
		p.says(t3.data("3"), t2.data("2"))
		r.delivers("and as initiator after", p.theirs("3"), p.theirs("2"))
	}},
	{"KEY09ThreeKeyPairsAtMost", "KEY-09", func(r *rig) { // B071
		o := r.peer(1)
		s1 := o.connect()
		r.advance(time.Second)
		s2 := o.propose()
		r.advance(time.Second)
		s3 := o.propose()
		o.says(s1.data("1"), s2.data("2"), s3.seal(nil))
		r.delivers("an older unconfirmed next is gone", o.theirs("1"))
		r.advance(time.Second)
		o.says(s1.data("1 again"))
		r.delivers("1 is the previous", o.theirs("1 again"))
		r.forget()
		s4 := o.propose()
		o.says(s1.data("1"), s3.data("3"), s4.data("4"))
		r.delivers("a new next drops the previous", o.theirs("3"), o.theirs("4"))
		r.dropped(protocol.DropUnknownIndex, 1, "a new next drops the previous")
	}},
	{"KEY09AnInitiatorWithANextKeepsTheNewerOfTheOld", "KEY-09", func(r *rig) {
		// "initiator derives keys, a next exists: previous is the old next, the old current is dropped" (rules.md §1.4).
		o := r.peer(1)
		s1 := o.accept()
		r.advance(121 * time.Second)
		s2 := o.propose()
		r.advance(5 * time.Second)
		r.send(o.ours("x"))
		msg, s3 := o.read(of(o.mine(), 1)[0].msg).respond()
		o.says(msg)
		r.forget()
		o.says(s1.data("1"), s2.data("2"), s3.data("3"))
		r.delivers("after that", o.theirs("2"), o.theirs("3"))
		r.send(o.ours("y"))
		s3.wants("it sends on the newest", o.ours("y"))
	}},
	{"KEY10AKeyPairLives180Seconds", "KEY-10 KEY-11 TIMER-11 STAT-08 QUIET-03", func(r *rig) { // B063, B064
		o := r.peer(1)
		s := o.connect()
		r.advance(180*time.Second - 1)
		o.says(s.data("179"))
		r.delivers("just before", o.theirs("179"))
		r.send(o.ours("179"))
		s.wants("just before", o.ours("179"))
		shaken := r.stats(o).LastHandshake
		r.advance(1)
		r.forget()
		o.says(s.data("180"))
		r.delivers("at 180 s")
		r.silent("no answer to that")
		r.dropped(protocol.DropKeyExpired, 1, "at 180 s")
		r.send(o.ours("180"))
		o.read(r.one(1, "nothing but an initiation, though we did not initiate the session").msg)
		if st := r.stats(o); st.Session || !st.LastHandshake.Equal(shaken) {
			r.Errorf("at 180 s: session %v, last handshake %v, was %v", st.Session, st.LastHandshake, shaken)
		}
		p := r.peer(2)
		h := p.initiation()
		r.hold = true
		p.says(h.msg)
		r.advance(10 * time.Second)
		r.release() // keys are derived now
		s = h.complete(of(p.mine(), 2)[0].msg)
		r.advance(179 * time.Second)
		p.says(s.data("age"))
		r.delivers("the age counts from the derivation (KEY-11)", p.theirs("age"))
	}},
	{"KEY12TheSendCounterEnds", "KEY-12 TIMER-09", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.advance(6 * time.Second)
		if !protocoltest.SetSendCounter(r.d, o.id, timers.RekeyAfterMessages-1) {
			r.Fatalf("no session")
		}
		r.send(o.ours("2^60-1"))
		s.wants("2^60 - 1", o.ours("2^60-1"))
		r.send(o.ours("2^60"))
		all := r.take()
		if len(of(all, 4)) != 1 || len(of(all, 1)) != 1 {
			r.Errorf("after message 2^60: %v, want data and an initiation, though we did not initiate", types(all))
		}
		if e := r.seen(protocol.EventInitiationSent); len(e) != 1 || e[0].Cause != protocol.CauseRekeyMessages {
			r.Errorf("events %+v", e)
		}
		protocoltest.SetSendCounter(r.d, o.id, timers.RejectAfterMessages-1)
		r.send(o.ours("last"))
		if counter, _ := s.open(of(r.take(), 4)[0].msg); counter != timers.RejectAfterMessages-1 {
			r.Errorf("counter %#x", counter)
		}
		r.send(o.ours("too late"))
		if all := of(r.take(), 4); len(all) > 0 {
			r.Errorf("a message with counter Reject-After-Messages")
		}
		if n := r.stats(o).Staged; n != 1 {
			r.Errorf("%d packets wait for a new session, want 1", n)
		}
	}},
	{"KEY13MaterialIsErasedAfter540Seconds", "KEY-13 KEY-14", func(r *rig) { // B112
		o := r.peer(1)
		s := o.connect()
		r.advance(537 * time.Second)
		o.says(s.data("old"))
		r.dropped(protocol.DropKeyExpired, 1, "before 540 s the index is known")
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation at 537 s").msg)
		r.advance(3 * time.Second)
		r.forget()
		o.says(s.data("old"))
		r.dropped(protocol.DropUnknownIndex, 1, "at 540 s")
		msg, _ := i.respond()
		o.says(msg)
		r.silent("the handshake that was under way is wiped too (KEY-14)")
		r.dropped(protocol.DropUnknownIndex, 1, "the handshake that was under way is wiped too (KEY-14)")
	}},
	{"KEY13ErasureStartsAnewWithEverySession", "KEY-13", func(r *rig) {
		o := r.peer(1)
		o.connect()
		r.advance(400 * time.Second)
		s := o.connect()
		r.advance(170 * time.Second)
		o.says(s.data("x"))
		r.delivers("570 s after the first session, 170 s after the second", o.theirs("x"))
	}},
	{"KEY15AnotherPrivateKeyEndsSending", "KEY-15 KEY-16", func(r *rig) { // B065
		o := r.peer(1)
		s := o.accept()
		r.key = otherKey
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		r.silent("nothing by itself")
		o.to = r.key.PublicKey()
		r.send(o.ours("x"))
		i := o.read(r.one(1, "at once, the 5 s rule is waived").msg)
		o.says(s.data("old"))
		r.delivers("the old session still receives (KEY-16)", o.theirs("old"))
		r.silent("but sends nothing")
		msg, s2 := i.respond()
		o.says(msg)
		s2.wants("the new session", o.ours("x"))
	}},
	{"KEY15TheNextPacketInitiatesThoughARetryIsDue", "KEY-15 TIMER-05", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		r.one(1, "under the old key")
		r.advance(time.Second)
		r.key = otherKey
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		o.to = r.key.PublicKey()
		r.send(o.ours("y"))
		msg, s := o.read(r.one(1, "the 5 s limit is waived").msg).respond()
		o.says(msg)
		s.wants("both", o.ours("x"), o.ours("y"))
	}},
	{"KEY15AnInitiationBeingMadeIsMadeAgain", "KEY-15 HS-25", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		r.send(o.ours("x"))
		r.key = otherKey
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		o.to = r.key.PublicKey()
		r.release()
		msg, s := o.read(r.one(1, "with the new key").msg).respond()
		o.says(msg)
		s.wants("the packet", o.ours("x"))
	}},
	{"KEY15NothingIsFlushedUnderAnOldIdentity", "KEY-15", func(r *rig) {
		o := r.peer(1)
		s := o.propose()
		r.key = otherKey
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		o.to = r.key.PublicKey()
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation").msg)
		o.says(s.data("confirms the old next"))
		r.delivers("which still receives", o.theirs("confirms the old next"))
		r.silent("but must not send")
		msg, s2 := i.respond()
		o.says(msg)
		s2.wants("the packet goes out under the new key", o.ours("x"))
	}},
	{"KEY15TheSamePrivateKeyChangesNothing", "KEY-15", func(r *rig) { // B154
		o := r.peer(1)
		s := o.accept()
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: protocoltest.Identity("ours", 1)})
		r.send(o.ours("x"))
		s.wants("the session goes on", o.ours("x"))
	}},
	{"KEY17AReflectedMessageIsDropped", "KEY-17", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		r.send(o.ours("x"))
		m := r.one(4, "data").msg
		reflected := bytes.Clone(m)
		binary.LittleEndian.PutUint32(reflected[4:], s.remote)
		o.says(reflected)
		r.dropped(protocol.DropTag, 1, "our own message, addressed to us")
	}},
}

// rekey makes the device initiate although it has a session: a packet that nobody answers (TIMER-16).
func (o *outsider) rekey() *invited {
	o.Helper()
	o.send(o.ours("rekey"))
	o.advance(timers.NewHandshakeTime + timers.MaxJitter)
	all := of(o.mine(), 1)
	if len(all) != 1 {
		o.Fatalf("%d initiations after 15 s of silence", len(all))
	}
	return o.read(all[0].msg)
}

var replayCases = []ruleCase{
	{"REPLAY01ACounterIsAcceptedOnce", "REPLAY-01 REPLAY-08 ROAM-02 QUIET-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		first := s.data("once")
		o.says(first, first)
		r.delivers("a copy in the batch", o.theirs("once"))
		before := r.stats(o)
		at, _, _ := r.d.Deadline()
		r.advance(time.Second)
		r.receive(o.moved(1), first)
		r.delivers("a copy from elsewhere")
		if after := r.stats(o); after != before {
			r.Errorf("a replay changed %+v to %+v", before, after)
		}
		if at2, _, _ := r.d.Deadline(); at2 != at {
			r.Errorf("a replay moved a timer from %v to %v", at, at2)
		}
		r.dropped(protocol.DropReplayed, 2, "copies")
	}},
	{"REPLAY02AForgeryBurnsNothing", "REPLAY-02", func(r *rig) { // B121
		o := r.peer(1)
		s := o.connect()
		forge := func(counter uint64) []byte {
			m := s.sealAt(counter, s.theirs("forged"))
			m[len(m)-1] ^= 1
			return m
		}
		o.says(forge(5), forge(1_000_000))
		r.dropped(protocol.DropTag, 2, "forgeries")
		o.says(s.sealAt(5, s.theirs("genuine")), forge(6), s.sealAt(6, s.theirs("too")))
		r.delivers("the counters of the forgeries", o.theirs("genuine"), o.theirs("too"))
	}},
	{"REPLAY03TheWindowIs8128", "REPLAY-03 REPLAY-04 REPLAY-05", func(r *rig) { // B051, B052, B054
		const w = 8128
		o := r.peer(1)
		s := o.connect()
		o.says(s.sealAt(20000, nil))
		r.dropped(protocol.DropNone, 0, "a jump")
		for _, back := range []uint64{1, 2, 31, 32, 33, 63, 64, 65, 1000, 1500, 1984, 4096, w - 64, w - 1, w} {
			o.says(s.sealAt(20000-back, nil))
		}
		r.dropped(protocol.DropNone, 0, "unseen counters within the window")
		for _, back := range []uint64{w + 1, w + 2, 9000, 20000} {
			o.says(s.sealAt(20000-back, nil))
		}
		r.dropped(protocol.DropReplayed, 4, "counters behind the window")
	}},
	{"REPLAY06JumpsClearTheWindow", "REPLAY-06 REPLAY-01", func(r *rig) { // B055
		o := r.peer(1)
		s := o.connect()
		at := uint64(100)
		for _, jump := range []uint64{1, 63, 64, 65, 127, 128, 8127, 8128, 8129, 8191, 8192, 8193, 2 * 8128, 1 << 32} {
			o.says(s.sealAt(at, nil))
			at += jump
			o.says(s.sealAt(at, nil))
			r.dropped(protocol.DropNone, 0, "a jump ahead")
			for _, seen := range []uint64{at, at - jump} {
				o.says(s.sealAt(seen, nil))
			}
			r.dropped(protocol.DropReplayed, 2, "what was accepted before stays accepted once")
			if jump > 1 {
				o.says(s.sealAt(at-1, nil))
				r.dropped(protocol.DropNone, 0, "the one skipped last")
			}
			at++
		}
	}},
	{"REPLAY06ALongSessionLosesNothing", "REPLAY-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for range 9000 / 50 {
			var msgs [][]byte
			for range 50 {
				msgs = append(msgs, s.seal(nil))
			}
			o.says(msgs...)
		}
		r.dropped(protocol.DropNone, 0, "9000 messages in order")
	}},
	{"REPLAY07CountersBeyondTheLimitAreDropped", "REPLAY-07 REPLAY-10 KEY-12", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for _, counter := range []uint64{1<<64 - 1, 1<<64 - 2, timers.RejectAfterMessages} {
			o.says(s.sealAt(counter, nil))
			r.dropped(protocol.DropCounterLimit, 1, "a counter beyond the limit")
		}
		o.says(s.sealAt(7, nil))
		r.dropped(protocol.DropNone, 0, "they moved no window")
		o.says(s.sealAt(timers.RejectAfterMessages-1, nil))
		r.dropped(protocol.DropNone, 0, "the last counter")
		o.says(s.sealAt(timers.RejectAfterMessages-2, nil))
		r.dropped(protocol.DropReplayed, 1, "after it the key refuses everything")
	}},
	{"REPLAY09CounterZeroIsValidAndWindowsAreSeparate", "REPLAY-09 REPLAY-01", func(r *rig) { // B053
		o := r.peer(1)
		a := o.connect()
		r.advance(time.Second)
		b := o.propose()
		o.says(b.sealAt(0, o.theirs("b0")), a.sealAt(1, o.theirs("a1")), b.sealAt(1, o.theirs("b1")))
		r.delivers("counters of two keys", o.theirs("b0"), o.theirs("a1"), o.theirs("b1"))
	}},
}
