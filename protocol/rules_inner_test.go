package protocol_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

var queueCases = []ruleCase{
	{"QUEUE01WaitingPacketsComeInOrder", "QUEUE-01 QUEUE-05", func(r *rig) {
		o := r.peer(1)
		var want [][]byte
		for i := range 10 {
			want = append(want, o.ours(fmt.Sprint(i)))
			r.send(want[i])
		}
		msg, s := o.read(r.one(1, "one initiation for all").msg).respond()
		o.says(msg)
		for i, m := range s.wants("in order", want...) {
			if counter, _ := s.open(m.msg); counter != uint64(i) {
				r.Errorf("packet %d has counter %d", i, counter)
			}
		}
	}},
	{"QUEUE03TheOldestGoOnOverflow", "QUEUE-02 QUEUE-03 STAT-09", func(r *rig) {
		o := r.peer(1)
		var want [][]byte
		for i := range 300 {
			p := o.ours(fmt.Sprint(i))
			r.send(p)
			if i >= 300-128 {
				want = append(want, p)
			}
		}
		r.dropped(protocol.DropStagedOverflow, 300-128, "300 packets for 128 places")
		if n := r.stats(o).Staged; n != 128 {
			r.Errorf("%d wait", n)
		}
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		o.says(msg)
		s.wants("the newest 128", want...)
	}},
	{"QUEUE03BytesAreBoundedToo", "QUEUE-02 QUEUE-03", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.StagedBytes = 4096 })
		o, p := r.peer(1), r.peer(2)
		big := string(make([]byte, 1300))
		r.send(o.ours(big), o.ours(big+"2"))
		r.send(p.ours(big)) // 4096 bytes do not hold a third
		if a, b := r.stats(o).Staged, r.stats(p).Staged; a != 2 || b != 0 {
			r.Errorf("%d and %d packets wait, want 2 and 0", a, b)
		}
		r.send(o.ours(big+"3"), p.ours("small"))
		r.dropped(protocol.DropStagedOverflow, 2, "one of each")
		r.forget()
		r.advance(6 * time.Second)
		msg, s := o.read(of(o.mine(), 1)[0].msg).respond()
		o.says(msg)
		s.wants("the newer ones", o.ours(big+"2"), o.ours(big+"3"))
	}},
	{"QUEUE04NothingWaitsForNowhere", "QUEUE-04 ROUTE-06", func(r *rig) {
		o := r.peer(1, func(c *protocol.Change) { c.Endpoint = nil })
		r.send(o.ours("x"))
		r.silent("no endpoint")
		if len(r.rejected) != 1 || r.rejected[0].Reason != protocol.DropNoEndpoint || r.rejected[0].Peer != o.id {
			r.Errorf("rejects %+v", r.rejected)
		}
		if n := r.stats(o).Staged; n != 0 {
			r.Errorf("%d packets wait for ever", n)
		}
	}},
	{"QUEUE06AKeepaliveThatCannotBeSentWaits", "QUEUE-06 QUEUE-05", func(r *rig) {
		o := r.peer(1, keepaliveEvery(10))
		msg, s := o.read(r.one(1, "initiation for the keepalive").msg).respond()
		o.says(msg)
		s.empty("it follows the handshake")
		p := r.peer(2, keepaliveEvery(10)) // its own initiation stays unanswered
		p.mine()
		h := p.initiation()
		p.says(h.msg)
		s = h.complete(of(p.mine(), 2)[0].msg)
		p.says(s.seal(nil))
		if m := p.mine(); len(m) != 1 || len(m[0].msg) != 32 {
			r.Errorf("on confirmation: %v, want the keepalive that waited", types(m))
		}
	}},
	{"QUEUE07DownAndRemovalDropWhatWaits", "QUEUE-07 LIFE-04 ROUTE-11", func(r *rig) {
		o, p := r.peer(1), r.peer(2)
		r.send(o.ours("x"), p.ours("y"))
		r.dropped(protocol.DropNone, 0, "they wait")
		r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: p.public()})
		r.dropped(protocol.DropStagedPurged, 1, "removal")
		r.down()
		r.dropped(protocol.DropStagedPurged, 1, "down")
		r.up()
		r.forget()
		s := o.connect()
		o.says(s.seal(nil))
		r.silent("nothing waits any more")
	}},
}

var padCases = []ruleCase{
	{"PAD01To05TheLengthOfEveryPacket", "PAD-01 PAD-02 PAD-03 PAD-04 PAD-05 STAT-01", func(r *rig) { // B140
		for n, mtu := range []int{1420, 0, 1280, 1413, 100} {
			r.configure(protocol.Change{Op: protocol.OpMTU, MTU: mtu})
			o := r.peer(n + 1)
			s := o.connect()
			for _, size := range []int{28, 31, 32, 33, 48, 99, 100, 101, 112, 113, 1279, 1280, 1404, 1405, 1408, 1409, 1412,
				1413, 1419, 1420, 1421, 1436, 1500, 9000} {
				p := o.ours(string(make([]byte, size-28)))
				before := r.stats(o).TxBytes
				r.send(p)
				m := r.one(4, "data").msg
				_, plain := s.open(m)
				want := (size + 15) / 16 * 16
				if mtu > 0 && size <= mtu {
					want = min(want, mtu)
				} else if mtu > 0 { // the part beyond whole MTUs is padded alone
					last := size % mtu
					want = size - last + min((last+15)/16*16, mtu)
				}
				if len(plain) != want || len(m) != want+32 {
					r.Errorf("MTU %d: a packet of %d is padded to %d, want %d", mtu, size, len(plain), want)
				}
				if !bytes.Equal(plain[:min(size, len(plain))], p) || !bytes.Equal(plain[size:], make([]byte, len(plain)-size)) {
					r.Errorf("MTU %d: a packet of %d is changed, or its padding is not zeros", mtu, size)
				}
				if got := r.stats(o).TxBytes - before; got != uint64(len(m)) {
					r.Errorf("tx bytes grew by %d, the message has %d", got, len(m))
				}
			}
			r.forget()
		}
	}},
	{"PAD06PaddingIsCutByTheInnerLength", "PAD-06 MSG-09", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for _, n := range []int{0, 1, 3, 15, 16, 100, 1000} {
			p := o.theirs(fmt.Sprint(n))
			o.says(s.seal(append(bytes.Clone(p), bytes.Repeat([]byte{0xff}, n)...)))
			r.delivers("with any padding", p)
		}
		p6 := protocoltest.UDP(netip.AddrPortFrom(o.inner6, 1), netip.AddrPortFrom(ourInner6, 2), []byte("six"))
		o.says(s.seal(append(bytes.Clone(p6), 1, 2, 3)))
		r.delivers("IPv6", p6)
	}},
}

var innerCases = []ruleCase{
	{"INNER01OnlyIPIsDelivered", "INNER-01 INNER-07", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for version := range byte(16) {
			if version == 4 || version == 6 {
				continue
			}
			p := o.theirs("x")
			p[0] = version<<4 | 5
			o.says(s.seal(p))
			r.delivers("a packet that is no IP")
		}
		r.dropped(protocol.DropInnerVersion, 14, "packets that are no IP")
		o.says(s.data("ok"))
		r.delivers("the session is unharmed", o.theirs("ok"))
	}},
	{"INNER02To04ImpossibleLengths", "INNER-02 INNER-03 INNER-04", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		p4 := o.theirs("abc")
		p6 := protocoltest.UDP(netip.AddrPortFrom(o.inner6, 1), netip.AddrPortFrom(ourInner6, 2), []byte("six"))
		for n := 1; n < 20; n++ {
			o.says(s.seal(p4[:n]))
		}
		for n := 1; n < 40; n++ {
			o.says(s.seal(p6[:n]))
		}
		r.dropped(protocol.DropInnerShort, 19+39, "packets shorter than their header")
		n := 0
		for _, length := range []int{0, 1, 19, len(p4) + 1, 0xffff} {
			p := bytes.Clone(p4)
			binary.BigEndian.PutUint16(p[2:], uint16(length))
			o.says(s.seal(p))
			n++
		}
		for _, length := range []int{len(p6) - 40 + 1, 65495, 65496, 65500, 65535} {
			p := bytes.Clone(p6)
			binary.BigEndian.PutUint16(p[4:], uint16(length))
			o.says(s.seal(p))
			n++
		}
		r.dropped(protocol.DropInnerLength, n, "packets that claim an impossible length")
		r.delivers("all of that")
		binary.BigEndian.PutUint16(p4[2:], 20)
		o.says(s.seal(p4))
		r.delivers("a bare header is fine", p4[:20])
	}},
	{"INNER05OptionsAndHeadersAreNotLookedAt", "INNER-05 INNER-06 INNER-08", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		p := o.theirs("options and a fragment of some protocol")
		p[0], p[6], p[9] = 0x46, 0x20, 253
		p[10] ^= 0xff // and a wrong checksum
		o.says(s.seal(p))
		r.delivers("unchanged", p)
		p6 := protocoltest.UDP(netip.AddrPortFrom(o.inner6, 1), netip.AddrPortFrom(ourInner6, 2), []byte("six"))
		p6[6] = 0
		o.says(s.seal(p6))
		r.delivers("an extension header", p6)
	}},
	{"INNER07ABadPacketIsAuthenticAllTheSame", "INNER-07 ROAM-05 STAT-03", func(r *rig) { // OPEN-5, OPEN-10
		for n, plain := range [][]byte{make([]byte, 16), nil} {
			o := r.peer(n + 1)
			if plain == nil { // a source that is not the peer's
				plain = r.stranger(99).theirs("not allowed")
			}
			s := o.propose()
			before := r.stats(o)
			from := r.now
			r.receive(o.moved(4), s.seal(plain))
			r.delivers("a bad packet")
			after := r.stats(o)
			if after.Endpoint != o.moved(4) || after.LastHandshake.IsZero() || !after.Session {
				r.Errorf("endpoint %v, last handshake %v, session %v", after.Endpoint, after.LastHandshake, after.Session)
			}
			if after.RxBytes != before.RxBytes {
				r.Errorf("rx bytes grew by %d", after.RxBytes-before.RxBytes)
			}
			r.advance(10 * time.Second)
			if m := r.take(); len(m) != 1 || m[0].at.Sub(from) != 10*time.Second || len(m[0].msg) != 32 {
				r.Errorf("10 s later: %v, want a passive keepalive", types(m))
			}
			r.forget()
		}
	}},
}

var routeCases = []ruleCase{
	{"ROUTE01TheLongestPrefixGetsThePacket", "ROUTE-01 ROUTE-04 ROUTE-08", func(r *rig) { // B132
		a, b := r.peer(1), r.peer(2)
		sa, sb := a.connect(), b.connect()
		host := netip.PrefixFrom(a.inner4, 32)
		c := b.change()
		c.AllowedIPs = []netip.Prefix{host}
		r.configure(c)
		r.send(a.ours("to the host"))
		sb.wants("a /32 of b within a's /24", a.ours("to the host"))
		other := protocoltest.UDP(netip.AddrPortFrom(ourInner4, 7), netip.AddrPortFrom(a.inner4.Next(), 9), nil)
		r.send(other)
		sa.wants("the rest of the /24", other)
		c = a.change()
		c.AllowedIPs = []netip.Prefix{host}
		r.configure(c)
		r.send(a.ours("moved back"))
		sa.wants("the prefix moved, at once (ROUTE-08)", a.ours("moved back"))
		for p := range r.d.AllowedIPs(b.id) {
			if p == host {
				r.Errorf("b still lists %v", p)
			}
		}
	}},
	{"ROUTE02OnlyTheOwnerOfAnAddressMaySendFromIt", "ROUTE-02 ROUTE-03 ROUTE-09", func(r *rig) { // B128
		a, b := r.peer(1), r.peer(2)
		sa, sb := a.connect(), b.connect()
		c := b.change()
		c.AllowedIPs = []netip.Prefix{netip.PrefixFrom(a.inner4, 32)} // a keeps the /24 around it
		r.configure(c)
		six := func(src netip.Addr) []byte {
			return protocoltest.UDP(netip.AddrPortFrom(src, 1), netip.AddrPortFrom(ourInner6, 2), []byte("six"))
		}
		for _, m := range [][]byte{
			sa.data("a's /24, but the /32 is b's"), sa.seal(b.theirs("b's")), sa.seal(r.stranger(77).theirs("nobody's")),
			sa.seal(six(b.inner6)), sa.seal(six(netip.MustParseAddr("::ffff:10.0.1.9"))),
		} {
			a.says(m)
		}
		r.delivers("packets from other people's addresses")
		r.silent("no message about it")
		r.dropped(protocol.DropInnerSource, 5, "packets from other people's addresses")
		a.says(sa.seal(six(a.inner6)))
		b.says(sb.seal(a.theirs("now b's")))
		r.delivers("from their own", six(a.inner6), a.theirs("now b's"))
	}},
	{"ROUTE05WithoutARouteTheSenderIsTold", "ROUTE-05 ROUTE-10", func(r *rig) {
		o := r.peer(1)
		p := r.stranger(50).ours("x")
		r.send(p)
		if len(r.rejected) != 1 || r.rejected[0].Reason != protocol.DropNoRoute || r.rejected[0].Peer != 0 ||
			!bytes.Equal(r.rejected[0].Bytes(), p) {
			r.Errorf("rejects %+v", r.rejected)
		}
		r.dropped(protocol.DropNoRoute, 1, "no route")
		bad := o.ours("x")
		bad[0] = 0x55
		r.send(bad, o.ours("x")[:19], []byte{}, []byte{0x60})
		r.dropped(protocol.DropNotIP, 4, "packets that are no IP")
		r.silent("all of that")
	}},
	{"ROUTE07HostBitsAreMasked", "ROUTE-07", func(r *rig) { // B131, B133
		o := r.peer(1)
		c := o.change()
		c.AllowedIPs = append([]netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("fd00:1:2::3/16")},
			everything...)
		r.configure(c)
		want := map[string]bool{"10.0.0.0/8": true, "10.0.1.0/24": true, "fd00::/16": true, "fd00:1::/64": true,
			"0.0.0.0/0": true, "::/0": true}
		n := 0
		for p := range r.d.AllowedIPs(o.id) {
			n++
			if !want[p.String()] {
				r.Errorf("%v is listed", p)
			}
		}
		if n != len(want) {
			r.Errorf("%d prefixes are listed, want %d", n, len(want))
		}
		c = o.change()
		c.RemoveAllowedIPs = everything
		r.configure(c)
		r.send(protocoltest.UDP(netip.AddrPortFrom(ourInner4, 1), netip.MustParseAddrPort("8.8.8.8:53"), nil))
		r.dropped(protocol.DropNoRoute, 1, "the default route is gone again")
	}},
	{"ROUTE11ARemovedPeerGetsAndGivesNothing", "ROUTE-11 LIFE-10", func(r *rig) { // B172, B173
		o := r.peer(1)
		s := o.connect()
		r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()})
		r.silent("no goodbye")
		o.says(s.data("x"), o.initiation().msg)
		r.delivers("from a removed peer")
		r.send(o.ours("x"))
		r.silent("to a removed peer")
		if _, ok := r.d.Stats(o.id); ok {
			r.Errorf("it is still listed")
		}
		if _, ok := r.d.Peer(o.public()); ok {
			r.Errorf("it is still found")
		}
	}},
}
