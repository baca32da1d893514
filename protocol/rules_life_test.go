package protocol_test

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

var lifeCases = []ruleCase{
	{"LIFE01ARestartedDeviceRecovers", "LIFE-01 LIFE-02", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.restart()
		r.configure(o.add())
		o.id, _ = r.d.Peer(o.public())
		o.says(s.data("x"))
		r.silent("data on an index of a former life")
		r.dropped(protocol.DropUnknownIndex, 1, "data on an index of a former life")
		r.advance(20 * time.Second)
		r.silent("recovery is the other side's")
		r.send(o.ours("y"))
		msg, t := o.read(r.one(1, "or comes with a packet").msg).respond()
		o.says(msg)
		t.wants("a new session", o.ours("y"))
	}},
	{"LIFE03AReplayedInitiationMakesNoUsableSession", "LIFE-03 HS-16", func(r *rig) {
		o := r.peer(1)
		captured := o.initiation().msg
		o.says(captured)
		r.restart()
		r.configure(o.add())
		o.id, _ = r.d.Peer(o.public())
		r.forget()
		o.says(captured)
		r.one(2, "a fresh device may answer")
		if r.stats(o).Session {
			r.Errorf("there is a session to send on")
		}
		r.send(o.ours("x"))
		r.silent("no data on an unconfirmed key")
		r.advance(5 * time.Second)
		msg, s := o.read(r.one(1, "an initiation of our own").msg).respond()
		o.says(msg)
		s.wants("traffic is not disturbed", o.ours("x"))
	}},
	{"LIFE04DownWipesAndUpStartsClean", "LIFE-04 LIFE-10 DOS-01", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		p := r.peer(2)
		r.send(p.ours("x"))
		i := p.read(of(p.mine(), 1)[0].msg)
		r.forget()
		r.down()
		r.silent("no goodbye (LIFE-10)")
		r.dropped(protocol.DropStagedPurged, 1, "what waited")
		if r.stats(o).Session || r.d.IsUp() {
			r.Errorf("down, and yet there is a session")
		}
		o.says(s.data("x"), o.initiation().msg)
		r.send(o.ours("y"))
		r.dropped(protocol.DropDown, 3, "while down")
		if at, why, ok := r.d.Deadline(); ok {
			r.Errorf("a deadline at %v for %v while down", at, why)
		}
		r.advance(time.Second)
		r.up()
		o.says(s.data("x"))
		r.delivers("the old key")
		msg, _ := i.respond()
		p.says(msg)
		r.silent("the old handshake")
		r.dropped(protocol.DropUnknownIndex, 2, "nothing is left of before")
		r.send(o.ours("z"))
		o.read(r.one(1, "at once: the 5 s limit is gone with the rest").msg)
	}},
	{"LIFE04JobsOfAFormerUptimeComeToNothing", "LIFE-04 HS-25", func(r *rig) {
		o, p, q := r.peer(1), r.peer(2), r.peer(3)
		r.send(p.ours("p"))
		msg, _ := p.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		o.says(o.initiation().msg) // responder
		p.says(msg)                // consume
		r.send(q.ours("q"))        // create
		r.down()
		r.up()
		r.forget()
		r.release()
		r.silent("work begun before")
		r.dropped(protocol.DropSuperseded, 3, "work begun before")
		for _, x := range []*outsider{o, p, q} {
			if st := r.stats(x); st.Session || st.Staged != 0 || !st.LastHandshake.IsZero() {
				r.Errorf("peer %d: %+v", x.id, st)
			}
		}
		s := o.connect()
		o.says(s.data("fresh"))
		r.delivers("a new handshake", o.theirs("fresh"))
	}},
	{"LIFE07TheWallClockMovesNoTimer", "LIFE-07 LIFE-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		o.says(s.data("x"))
		at, why, _ := r.d.Deadline()
		for _, step := range []time.Duration{-time.Hour, 48 * time.Hour, -400 * 24 * time.Hour} {
			r.setWall(step)
			if at2, why2, _ := r.d.Deadline(); at2 != at || why2 != why {
				r.Errorf("the wall clock moved the deadline to %v %v", at2, why2)
			}
		}
		r.send(o.ours("y"))
		s.wants("the session lives", o.ours("y"))
		r.now = r.now.Add(181 * time.Second) // the machine slept; nothing woke the device
		r.send(o.ours("z"))
		r.some(1, "on waking the session is dead (LIFE-06)")
	}},
	{"LIFE08AnUpdateLeavesTheSessionAlone", "LIFE-08 CRYPTO-16", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.receive(o.moved(4), s.data("x"))
		r.forget()
		before := r.stats(o)
		n := uint16(0)
		for _, c := range []protocol.Change{
			{PresharedKey: &protocol.PresharedKey{1}},
			{PersistentKeepalive: &n},
			{AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}},
			{RemoveAllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}},
		} {
			c.Op, c.Peer = protocol.OpUpdatePeer, o.public()
			r.configure(c)
			after := r.stats(o)
			after.PresharedKey = before.PresharedKey
			if after != before {
				r.Errorf("%+v changed the peer from\n%+v to\n%+v", c, before, after)
			}
		}
		r.silent("updates")
		r.send(o.ours("y"))
		if m := s.wants("the session", o.ours("y")); m[0].to != o.moved(4) {
			r.Errorf("the endpoint is %v", m[0].to)
		}
	}},
	{"LIFE12ConfigurationIsAllOrNothing", "LIFE-08 ROUTE-04 DOS-08", func(r *rig) { // B153, B157
		o := r.peer(1)
		before := r.stats(o)
		good := r.stranger(2).add()
		bad := netip.PrefixFrom(ourInner4, 99)
		noPort := netip.AddrPortFrom(here.Addr(), 0)
		for _, tt := range []struct {
			change protocol.Change
			want   error
		}{
			{o.add(), protocol.ErrPeerExists},
			{protocol.Change{Op: protocol.OpUpdatePeer, Peer: protocol.PublicKey{5}}, protocol.ErrUnknownPeer},
			{protocol.Change{Op: protocol.OpRemovePeer, Peer: protocol.PublicKey{5}}, protocol.ErrUnknownPeer},
			{protocol.Change{Op: protocol.OpMTU, MTU: -1}, protocol.ErrInvalid},
			{protocol.Change{Op: protocol.OpPutPeer, Peer: o.public(), AllowedIPs: []netip.Prefix{bad}}, protocol.ErrInvalid},
			{protocol.Change{Op: protocol.OpPutPeer, Peer: o.public(), Endpoint: &noPort}, protocol.ErrInvalid},
			{protocol.Change{}, protocol.ErrInvalid},
			{protocol.Change{Op: 200}, protocol.ErrInvalid},
		} {
			r.do(func(now timers.Time, b *protocol.Batch) {
				key := protocol.Change{Op: protocol.OpIdentity, Identity: otherKey}
				err := r.d.Configure(now, []protocol.Change{good, key, tt.change}, b)
				if !errors.Is(err, tt.want) {
					r.Errorf("%+v: %v, want %v", tt.change, err, tt.want)
				}
			})
			if _, ok := r.d.Peer(good.Peer); ok || r.d.Identity() != protocol.Identity(r.key) || r.stats(o) != before {
				r.Fatalf("%+v: the changes before the failing one were applied", tt.change)
			}
		}
		own := good
		own.Peer = r.key.PublicKey()
		r.configure(own)
		if _, ok := r.d.Peer(own.Peer); ok {
			r.Errorf("our own key is a peer")
		}
	}},
	{"LIFE13AnIdentityThatIsAPeersRemovesThePeer", "LIFE-08 KEY-15", func(r *rig) {
		o := r.stranger(1)
		c := o.add()
		c.Peer = otherKey.PublicKey()
		r.configure(c, r.stranger(2).add())
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: otherKey})
		var left []protocol.PublicKey
		for s := range r.d.Peers() {
			left = append(left, s.PublicKey)
		}
		if !slices.Equal(left, []protocol.PublicKey{r.stranger(2).public()}) {
			r.Errorf("left are %v", left)
		}
	}},
	{"SEC05WithoutEntropyNothingLeaves", "SEC-05", func(r *rig) {
		r.restart(small)
		o, p := r.peer(1), r.peer(2)
		s := p.connect()
		r.entropy.Failing = true
		r.send(o.ours("x"))
		o.says(o.initiation().msg)
		r.silent("no entropy")
		r.dropped(protocol.DropNoEntropy, 2, "no entropy")
		r.send(p.ours("data draws nothing"))
		s.wants("data draws nothing", p.ours("data draws nothing"))
		r.advance(6 * time.Second)
		r.silent("still none")
		r.entropy.Failing = false
		r.advance(6 * time.Second)
		msg, t := o.read(r.one(1, "the timer tries again").msg).respond()
		o.says(msg)
		t.wants("then it works", o.ours("x"))
	}},
	{"SEC05WithoutEntropyNoCookie", "SEC-05 COOKIE-16", func(r *rig) {
		r.restart(small)
		r.burden()
		r.entropy.Failing = true
		o := r.peer(1)
		o.says(o.initiation().msg)
		r.silent("a cookie reply without a nonce")
		r.dropped(protocol.DropNoEntropy, 1, "a cookie reply without a nonce")
	}},
}
