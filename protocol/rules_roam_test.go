package protocol_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

var roamCases = []ruleCase{
	{"ROAM01EveryAuthenticMessageMovesTheEndpoint", "ROAM-01 ROAM-04 ROAM-06 ROAM-08 ROAM-10", func(r *rig) { // B122, B123
		o := r.peer(1, func(c *protocol.Change) { c.Endpoint = nil })
		goes := func(want protocol.Endpoint, why string) {
			r.Helper()
			r.send(o.ours(why))
			if m := of(r.take(), 4); len(m) != 1 || m[0].to != want {
				r.Errorf("%s: data went %+v, want to %v", why, m, want)
			}
			if got := r.stats(o).Endpoint; got != want {
				r.Errorf("%s: the endpoint is %v, want %v", why, got, want)
			}
		}
		h := o.initiation()
		r.receive(o.moved(1), h.msg)
		s := h.complete(r.one(2, "answer").msg)
		if got := r.stats(o).Endpoint; got != o.moved(1) {
			r.Errorf("after an initiation the endpoint is %v (ROAM-10)", got)
		}
		r.receive(o.moved(2), s.seal(nil))
		goes(o.moved(2), "keepalive")
		r.receive(o.moved(3), s.data("x"))
		goes(o.moved(3), "data")
		six := protocol.Endpoint{Remote: netip.MustParseAddrPort("[2001:db8::5]:9"),
			Local: netip.MustParseAddr("2001:db8::1"), IfIndex: 3}
		r.receive(six, s.data("y"))
		goes(six, "another family")
		r.receive(o.moved(0), s.seal(nil))
		r.forget()
		init := o.rekey()
		msg, t := init.respond()
		r.receive(o.moved(5), msg)
		if m := r.take(); len(m) != 1 || m[0].to != o.moved(5) {
			r.Errorf("a response from elsewhere: %+v", m)
		}
		r.receive(o.moved(6), t.seal(nil))
		goes(o.moved(6), "new session")
	}},
	{"ROAM02NothingUnauthenticMovesIt", "ROAM-02 QUIET-03 REPLAY-08", func(r *rig) { // B121
		o := r.peer(1)
		s := o.connect()
		genuine := s.data("x")
		o.says(genuine)
		elsewhere := o.moved(9)
		forged := s.data("forged")
		forged[20] ^= 1
		short := make([]byte, 32)
		short[0] = 4
		binary.LittleEndian.PutUint32(short[4:], s.remote)
		unknown := s.data("unknown")
		unknown[4] ^= 1
		badMAC := o.initiation().msg
		badMAC[120] ^= 1
		nobody := r.stranger(8).initiation().msg
		for _, m := range [][]byte{genuine, forged, short, unknown, badMAC, nobody, make([]byte, 50)} {
			r.receive(elsewhere, m)
			r.silent("unauthentic messages")
			r.send(o.ours("y"))
			if m := r.one(4, "data"); m.to != o.at {
				r.Fatalf("data went to %v", m.to)
			}
		}
	}},
	{"ROAM07TheConfigurationMayOverwriteIt", "ROAM-07 LIFE-08", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		c := o.change()
		other := netip.MustParseAddrPort("203.0.113.7:77")
		c.Endpoint = &other
		r.configure(c)
		r.send(o.ours("x"))
		if m := s.wants("to the new endpoint", o.ours("x")); m[0].to != (protocol.Endpoint{Remote: other}) {
			r.Errorf("it went to %v", m[0].to)
		}
		o.says(s.seal(nil))
		r.send(o.ours("y"))
		if m := s.wants("learned again", o.ours("y")); m[0].to != o.at {
			r.Errorf("it went to %v", m[0].to)
		}
		mapped := netip.MustParseAddrPort("[::ffff:203.0.113.8]:78")
		c.Endpoint = &mapped
		r.configure(c)
		if got := r.stats(o).Endpoint.Remote; got != netip.MustParseAddrPort("203.0.113.8:78") {
			r.Errorf("an IPv4-mapped endpoint is kept as %v", got)
		}
	}},
	{"ROAM07AForgottenEndpointIsForgotten", "ROAM-07 QUEUE-04", func(r *rig) {
		o := r.peer(1)
		r.hold = true
		r.send(o.ours("x"))
		c := o.change()
		c.Endpoint = &netip.AddrPort{}
		r.configure(c)
		r.release()
		r.silent("an initiation that was being made has nowhere to go")
		r.send(o.ours("y"))
		if len(r.rejected) != 1 || r.rejected[0].Reason != protocol.DropNoEndpoint {
			r.Errorf("rejects %+v", r.rejected)
		}
		c.Endpoint = &o.at.Remote
		r.configure(c)
		msg, s := o.read(r.one(1, "what waited has somewhere to go now").msg).respond()
		o.says(msg)
		s.wants("and goes", o.ours("x"))
	}},
	{"ROAM09SourcesAreForgottenOnDemand", "ROAM-09 ROAM-08 ROAM-11", func(r *rig) {
		o, p := r.peer(1), r.peer(2)
		p.at.Local = netip.MustParseAddr("192.0.2.99")
		o.connect()
		p.connect()
		local := func(q *outsider) netip.Addr { return r.stats(q).Endpoint.Local }
		if local(o) != here.Addr() || local(p) != p.at.Local {
			r.Errorf("sources %v and %v", local(o), local(p))
		}
		r.d.ForgetSources(r.now, p.at.Local)
		if local(o) != here.Addr() || local(p).IsValid() {
			r.Errorf("one address was to be forgotten: %v and %v", local(o), local(p))
		}
		r.d.ForgetSources(r.now, netip.Addr{})
		if local(o).IsValid() || r.stats(o).Endpoint.Remote != o.at.Remote {
			r.Errorf("all were to be forgotten: %v", r.stats(o).Endpoint)
		}
		q := r.peer(3)
		q.at = protocol.Endpoint{Remote: netip.MustParseAddrPort("[fe80::7]:7"), Local: netip.MustParseAddr("fe80::1"),
			IfIndex: 4}
		q.connect()
		r.d.ForgetSources(r.now, netip.Addr{})
		if e := r.stats(q).Endpoint; e.IfIndex != 4 || e.Local.IsValid() {
			r.Errorf("a link-local endpoint keeps its scope (ROAM-11): %v", e)
		}
	}},
}

var qosCases = []ruleCase{
	{"QOS01HandshakesAreAF41", "QOS-01", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		if m := r.one(1, "initiation"); m.tos != 0x88 {
			r.Errorf("an initiation has TOS %#x", m.tos)
		}
		o.says(o.initiation().msg)
		if m := r.one(2, "response"); m.tos != 0x88 {
			r.Errorf("a response has TOS %#x", m.tos)
		}
	}},
	{"QOS02TheOuterHeaderOfData", "QOS-02 QOS-03", func(r *rig) {
		o := r.peer(1)
		o.connect()
		six := protocoltest.UDP(netip.AddrPortFrom(ourInner6, 1), netip.AddrPortFrom(o.inner6, 2), []byte("six"))
		for tos := range 256 {
			for _, p := range [][]byte{o.ours("x"), bytes.Clone(six)} {
				protocoltest.SetTOS(p, uint8(tos))
				r.send(p)
				want := [4]uint8{0, 1, 2, 2}[tos&3]
				if m := r.one(4, "data"); m.tos != want {
					r.Fatalf("inner TOS %#x: outer %#x, want %#x", tos, m.tos, want)
				}
			}
		}
		r.advance(6 * time.Second)
	}},
	{"QOS04CongestionReachesTheInside", "QOS-04 INNER-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for outer := range uint8(4) {
			for inner := range uint8(4) {
				p := o.theirs("x")
				protocoltest.SetTOS(p, 0xb8|inner)
				want := bytes.Clone(p)
				if outer == 3 && inner != 0 {
					protocoltest.SetTOS(want, 0xb8|3)
				}
				r.receiveTOS(o.at, outer|0x20, s.seal(p))
				r.delivers("ECN", want)
			}
		}
	}},
}

var quietCases = []ruleCase{
	{"QUIET01JunkIsNotAnswered", "QUIET-01 QUIET-02 QUIET-07 SEC-08", func(r *rig) {
		o := r.peer(1)
		o.connect()
		o.to = protocol.PublicKey{1, 2, 3} // whoever does not know our key
		random := protocoltest.NewEntropy(7, "junk")
		sizes := []int{148, 92, 64, 32, 48, 1452, 147, 5}
		before := r.d.Drops()
		const n = 4000
		for i := range n {
			b := make([]byte, sizes[i%len(sizes)])
			random.Read(b)
			if i%3 > 0 {
				copy(b, []byte{byte(i%4 + 1), 0, 0, 0})
			}
			o.says(b)
		}
		o.says(o.initiation().msg)
		r.silent("junk")
		sum := 0
		for i, d := range r.d.Drops() {
			sum += int(d - before[i])
		}
		if sum != n+1 {
			r.Errorf("%d of %d junk datagrams are counted", sum, n+1)
		}
	}},
	{"QUIET05APeerWithoutTrafficIsNotContacted", "QUIET-05 QUIET-04", func(r *rig) {
		r.peer(1)
		r.advance(time.Hour)
		r.silent("nobody asked for anything")
		if at, why, ok := r.d.Deadline(); ok {
			r.Errorf("a deadline at %v for %v", at, why)
		}
	}},
	{"QUIET06TheSameBadDatagramChangesNothing", "QUIET-06 STAT-05 DOS-06", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		bad := s.data("x")
		bad[30] ^= 1
		before := r.stats(o)
		for range 500 {
			o.says(bad, r.stranger(3).initiation().msg[:148])
			r.advance(time.Millisecond)
		}
		if after := r.stats(o); after != before {
			r.Errorf("%+v became %+v", before, after)
		}
		r.silent("500 times the same")
	}},
}

var statCases = []ruleCase{
	{"STAT01BytesAreUDPPayloads", "STAT-01 STAT-02 STAT-06", func(r *rig) {
		o := r.peer(1)
		want := func(rx, tx uint64, why string) {
			r.Helper()
			if st := r.stats(o); st.RxBytes != rx || st.TxBytes != tx {
				r.Errorf("%s: rx %d, tx %d; want %d, %d", why, st.RxBytes, st.TxBytes, rx, tx)
			}
		}
		r.send(o.ours("x"))
		want(0, 148, "initiation sent")
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		o.says(msg)
		want(92, 148+32+32, "response received, 29 bytes of data sent")
		o.says(s.seal(nil))
		want(124, 212, "keepalive received")
		o.says(s.seal(append(o.theirs("12"), make([]byte, 70)...)))
		want(124+32+100, 212, "100 bytes with padding received")
		r.advance(10 * time.Second)
		want(256, 244, "passive keepalive sent")
		o.says(o.initiation().msg)
		want(256+148, 244+92, "initiation received, response sent")
		c := o.change()
		c.Endpoint = &o.at.Remote
		r.configure(c)
		r.down()
		r.up()
		want(404, 336, "after down and up")
	}},
	{"STAT03WhatIsNotDeliveredIsNotCounted", "STAT-03 STAT-05", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		before := r.stats(o)
		o.says(s.seal(make([]byte, 100)), s.seal(r.stranger(9).theirs("x")), s.sealAt(0, nil), o.initiation().msg[:100])
		if after := r.stats(o); after.RxBytes != before.RxBytes {
			r.Errorf("rx bytes grew by %d", after.RxBytes-before.RxBytes)
		}
	}},
	{"STAT04CookiesAreCountedNowhere", "STAT-04", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		r.send(o.ours("x"))
		first := r.one(1, "initiation").msg
		before := r.stats(o)
		o.says(o.cookieReply(binary.LittleEndian.Uint32(first[4:]), first[116:132], make([]byte, 16)))
		r.burden()
		o.says(o.initiation().msg)
		r.one(3, "under load")
		if after := r.stats(o); after != before {
			r.Errorf("%+v became %+v", before, after)
		}
	}},
	{"STAT07TheTimeOfTheLastHandshake", "STAT-07 STAT-08 LIFE-07", func(r *rig) {
		o := r.peer(1)
		last := func() time.Time { return r.stats(o).LastHandshake }
		h := o.initiation()
		o.says(h.msg)
		s := h.complete(r.one(2, "answer").msg)
		if !last().IsZero() {
			r.Errorf("a response that was sent counts: %v", last())
		}
		r.advance(2 * time.Second)
		o.says(s.seal(nil))
		confirmed := r.wall()
		if !last().Equal(confirmed) {
			r.Errorf("confirmed at %v, shown is %v", confirmed, last())
		}
		r.advance(181 * time.Second)
		r.do(r.d.HandleTimeout) // Stats is as of the last call that had a time
		if !last().Equal(confirmed) {
			r.Errorf("the value is gone with the session (STAT-08)")
		}
		r.setWall(-time.Hour)
		r.send(o.ours("x"))
		msg, _ := o.read(r.one(1, "initiation").msg).respond()
		o.says(msg)
		if !last().Equal(r.wall()) {
			r.Errorf("response accepted at %v, shown is %v", r.wall(), last())
		}
	}},
}
