package protocol_test

import (
	"bytes"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

var hsMoreCases = []ruleCase{
	{"HS23WithoutAPrivateKeyThereIsSilence", "HS-23", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		r.configure(protocol.Change{Op: protocol.OpIdentity})
		r.forget()
		r.send(o.ours("x"))
		o.says(h.msg)
		r.advance(30e9)
		r.silent("there is no private key")
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		first := r.one(1, "with a key, for what waits")
		r.forget()
		r.send(o.ours("y"))
		msg, s := o.read(first.msg).respond()
		o.says(msg)
		s.wants("what waited", o.ours("x"), o.ours("y"))
	}},
	{"HS23AKeyTakenAwayWhileInitiationsWait", "HS-23 KEY-15", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.Jobs = 1 })
		o, p := r.peer(1), r.peer(2)
		r.hold = true
		r.send(o.ours("x"), p.ours("x")) // one job slot: the second initiation waits for it
		r.configure(protocol.Change{Op: protocol.OpIdentity})
		r.release()
		r.silent("there is no private key")
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		both := r.take()
		if len(of(both, 1)) != 2 {
			r.Errorf("with a key again, %d initiations for what waits at two peers", len(of(both, 1)))
		}
	}},
	{"HS25AResponseToAReplacedInitiationIsDropped", "HS-25 HS-11", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, _ := o.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		o.says(msg)                // is being worked on, and meanwhile
		o.says(o.initiation().msg) // they initiate, which is accepted first
		jobs := r.jobs
		r.jobs = jobs[1:]
		r.release()
		r.one(2, "their initiation is answered")
		r.jobs = jobs[:1]
		r.release()
		r.silent("the response is not applied to the new state")
		r.dropped(protocol.DropSuperseded, 1, "the response came too late")
	}},
	{"HS26HandshakeMessagesNeedMac1", "HS-26 COOKIE-02", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		for bit := range 128 {
			bad := bytes.Clone(msg)
			bad[60+bit/8] ^= 1 << (bit % 8)
			o.says(bad)
		}
		r.silent("responses with a wrong mac1")
		r.dropped(protocol.DropMAC1, 128, "responses with a wrong mac1")
		o.says(msg)
		s.wants("the right one", o.ours("x"))
	}},
	{"HS27EachInitiationIsAnsweredAndReplacesNext", "HS-27 KEY-09", func(r *rig) {
		o := r.peer(1)
		s1 := o.connect()
		r.advance(100 * time.Millisecond)
		s2 := o.propose()
		r.advance(100 * time.Millisecond)
		s3 := o.propose()
		o.says(s2.data("2"))
		r.delivers("the replaced next")
		o.says(s1.data("1"), s3.data("3"))
		r.delivers("current and next", o.theirs("1"), o.theirs("3"))
	}},
	{"HS28InitiationsWithin20msAreDropped", "HS-28", func(r *rig) { // B046, B047
		o := r.peer(1)
		o.propose()
		r.advance(19 * time.Millisecond)
		late := o.initiation()
		o.says(late.msg)
		r.silent("an initiation 19 ms after another")
		r.dropped(protocol.DropFlood, 1, "an initiation 19 ms after another")
		r.advance(time.Millisecond)
		o.says(late.msg)
		r.one(2, "the same at 20 ms: a flood does not burn the timestamp (OPEN-7)")
		r.dropped(protocol.DropNone, 0, "at 20 ms")
		r.advance(time.Second)
		o.says(o.initiation().msg, o.initiation().msg)
		r.one(2, "two in one batch")
	}},
	{"HS13OPEN15TheLargerKeyYieldsLonger", "HS-13", func(r *rig) {
		for n := 1; n <= 6; n++ {
			o := r.peer(n)
			r.send(o.ours("x"))
			r.one(1, "initiation")
			o.says(o.initiation().msg)
			r.one(2, "crossing")
			r.advance(5*time.Second - 1)
			r.silent("5 s after a response")
			r.advance(2*timers.MaxJitter + 2)
			ours, theirs := r.key.PublicKey(), o.public()
			larger := bytes.Compare(ours[:], theirs[:]) > 0
			if got := len(of(r.take(), 1)) == 0; got != larger {
				r.Errorf("our key is larger: %v; we waited: %v", larger, got)
			}
			r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: theirs})
			r.forget()
		}
	}},
}
