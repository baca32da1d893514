package protocol_test

import (
	"errors"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// moody is an identity that can be told to fail, as one in another process may.
type moody struct {
	protocol.PrivateKeyHolder
	fails bool
}

func (m *moody) DH(point [protocol.KeySize]byte) ([protocol.KeySize]byte, error) {
	if m.fails {
		return [protocol.KeySize]byte{}, errors.New("the agent is locked")
	}
	return m.PrivateKeyHolder.DH(point)
}

// opening gives the device a datagram and decrypts the job that it makes of it, without giving it back.
func (r *rig) opening(from protocol.Endpoint, msg []byte) []protocol.OpenJob {
	r.batch.Reset()
	dg := protocol.Datagram{Packet: protocol.Packet{Buf: msg, Len: len(msg)}, Endpoint: from}
	r.d.HandleDatagrams(r.now, []protocol.Datagram{dg}, &r.batch)
	open := append([]protocol.OpenJob(nil), r.batch.Open...)
	r.worker.Open(open)
	return open
}

// jobCases are about the commit rules of design §4, under the rules that they serve.
var jobCases = []ruleCase{
	{"JOBAResultCountsOnce", "HS-09 HS-25", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		r.send(o.ours("x"))
		jobs := r.jobs
		r.release()
		r.one(1, "initiation")
		for range 3 {
			r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, jobs, b) })
		}
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, []protocol.HandshakeJob{{}}, b) })
		r.silent("the same job again, and no job at all")
		r.dropped(protocol.DropNone, 0, "the same job again, and no job at all")
	}},
	{"JOBOneThatWasNotDoneIsDropped", "DOS-07", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		r.hold = true
		o.says(h.msg)
		jobs := r.jobs
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, jobs, b) })
		r.dropped(protocol.DropBusy, 1, "not done")
		r.hold, r.jobs = false, nil
		o.says(h.msg)
		r.one(2, "the same initiation again: nothing was remembered")
	}},
	{"JOBAPeerRemovedMeanwhile", "HS-25 ROUTE-11", func(r *rig) {
		o, p := r.peer(1), r.peer(2)
		r.hold = true
		o.says(o.initiation().msg)
		jobs := r.jobs
		r.worker.Shake(jobs)
		r.jobs = nil
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, jobs, b) }) // now the peer is known
		r.send(p.ours("x"))
		r.configure(protocol.Change{Op: protocol.OpRemovePeers})
		r.forget()
		r.release()
		r.silent("both peers are gone")
		r.dropped(protocol.DropSuperseded, 2, "both peers are gone")
	}},
	{"JOBASecondCreateIsNotMade", "HS-21", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		for range 5 {
			r.send(o.ours("x"))
			r.advance(6 * time.Second)
		}
		if len(r.jobs) != 1 {
			r.Errorf("%d jobs for one initiation", len(r.jobs))
		}
		r.release()
		r.one(1, "one initiation")
	}},
	{"JOBTheFiveSecondRuleIsAppliedWhenItLeaves", "HS-22 HS-21", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		r.send(o.ours("x"))
		create := r.jobs
		r.jobs, r.hold = nil, false
		o.says(o.initiation().msg)
		r.one(2, "a response leaves while our initiation is made")
		r.jobs = create
		r.release()
		r.silent("so ours may not")
		r.advance(5 * time.Second)
		o.read(r.one(1, "it comes 5 s after the response").msg)
	}},
	{"JOBTheRetryWaitsForTheResponse", "HS-25 TIMER-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		init := r.one(1, "initiation").msg
		forged, _ := o.read(init).respond()
		forged[50] ^= 1
		r.hold = true
		o.says(o.resign(forged))
		r.advance(7 * time.Second)
		r.silent("T1 waits for the response that is being looked at")
		r.release()
		o.read(r.one(1, "it was forged: the retry comes now").msg)
	}},
	{"JOBOfTwoResponsesTheGenuineOneWins", "HS-10 HS-09", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		init := r.one(1, "initiation").msg
		good, s := o.read(init).respond()
		forged, _ := o.read(init).respond()
		forged[50] ^= 1
		r.hold = true
		o.says(o.resign(forged), good, good)
		r.release()
		s.wants("one session", o.ours("x"))
		if d := r.d.Drops(); d[protocol.DropResponseTag] != 1 || d[protocol.DropSuperseded] != 1 {
			r.Errorf("%d forged and %d too late, want one each", d[protocol.DropResponseTag], d[protocol.DropSuperseded])
		}
	}},
	{"JOBAnIdentityThatFails", "HS-23 SEC-05", func(r *rig) {
		m := &moody{PrivateKeyHolder: r.key, fails: true}
		r.restart(func(c *protocol.Config) { c.Identity = m })
		o := r.peer(1)
		r.send(o.ours("x"))
		h := o.initiation()
		o.says(h.msg)
		r.silent("the identity cannot calculate")
		r.dropped(protocol.DropIdentityFailed, 2, "the identity cannot calculate")
		m.fails = false
		o.says(h.msg)
		h.complete(r.one(2, "later it can: nothing was remembered").msg)
		r.advance(6 * time.Second)
		o.read(r.one(1, "and the timer tries again").msg)
	}},
	{"JOBOurOwnInitiationsWaitForSlots", "DOS-07 HS-01", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.Jobs = 2 })
		var peers []*outsider
		r.hold = true
		for n := range 7 {
			peers = append(peers, r.peer(n+1))
			r.send(peers[n].ours("x"))
		}
		if len(r.jobs) != 2 {
			r.Errorf("%d jobs out of 2 slots", len(r.jobs))
		}
		r.release()
		all := r.some(1, "all of them")
		if len(all) != len(peers) {
			r.Fatalf("%d initiations, want %d", len(all), len(peers))
		}
		for i, m := range all {
			if m.to.Remote != peers[i].at.Remote {
				r.Errorf("initiation %d went to %v: they wait in line", i, m.to)
			}
		}
	}},
	{"JOBAStaleOpenJobIsDropped", "KEY-09 LIFE-04", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		msg := s.data("x")
		open := r.opening(o.moved(1), msg)
		r.down()
		r.up()
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleOpened(now, open, b) })
		r.delivers("its key pair was dropped meanwhile")
		r.dropped(protocol.DropSuperseded, 1, "its key pair was dropped meanwhile")
	}},
	{"JOBAnOpenJobGivenBackTwice", "REPLAY-01", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		msg := s.data("x")
		open := r.opening(o.at, msg)
		for range 2 {
			r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleOpened(now, open, b) })
		}
		r.delivers("once", o.theirs("x"))
		r.dropped(protocol.DropReplayed, 1, "the second time")
	}},
	{"JOBTimeThatGoesBackIsHeld", "LIFE-07", func(r *rig) {
		o := r.peer(1)
		o.connect()
		r.send(o.ours("x"))
		r.forget()
		now := r.now
		r.now -= timers.Time(time.Hour)
		r.send(o.ours("y"))
		if e := r.seen(protocol.EventClock); len(e) == 0 || e[0].At != now || e[0].Deadline != r.now {
			r.Errorf("events about the clock: %+v", e)
		}
		r.one(4, "data")
		r.now = now
		r.advance(15 * time.Second)
		r.silent("no timer was set by the wrong time")
		r.advance(time.Second)
		r.one(1, "dead peer detection counts from the right one")
	}},
}
