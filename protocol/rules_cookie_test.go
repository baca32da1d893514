package protocol_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// burden puts the device under load for the next second: job-making initiations of a stranger, one more in a second
// than it takes quietly.
func (r *rig) burden() {
	r.Helper()
	junk := r.stranger(200).initiation().msg
	for range quiet + 1 {
		r.receive(r.stranger(200).at, junk)
	}
	r.forget()
}

// quiet is the limit of initiations per second in the cases about load.
const quiet = 10

// small is a device that is quickly under load.
func small(c *protocol.Config) { c.Limits.HandshakesPerSecond = quiet }

var cookieCases = []ruleCase{
	{"COOKIE02AWrongMac1IsDroppedAtAnyTime", "COOKIE-01 COOKIE-02 QUIET-01 QUIET-02", func(r *rig) { // B025, B026, B034
		r.restart(small)
		o := r.peer(1)
		for _, loaded := range []bool{false, true} {
			if loaded {
				r.burden()
			}
			for bit := range 128 {
				h := o.initiation()
				h.msg[116+bit/8] ^= 1 << (bit % 8)
				o.says(h.msg)
			}
			for _, at := range []int{4, 8, 40, 88, 115} { // mac1 covers every byte before it
				h := o.initiation()
				h.msg[at] ^= 4
				o.says(h.msg)
			}
			r.silent("initiations with a wrong mac1")
			r.dropped(protocol.DropMAC1, 133, "initiations with a wrong mac1")
		}
		r.advance(3 * time.Second)
		o.says(o.initiation().msg)
		r.one(2, "a right one afterwards")
	}},
	{"COOKIE03Mac2IsIgnoredWhenQuiet", "COOKIE-03", func(r *rig) {
		o := r.peer(1)
		o.cookie = []byte("what ever it is!")
		o.says(o.initiation().msg)
		r.one(2, "a mac2 under a cookie that nobody gave")
	}},
	{"COOKIE05ACookieIsUsedInTheNextMessage", "COOKIE-04 COOKIE-05 COOKIE-06 COOKIE-07 COOKIE-08 COOKIE-09", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		first := r.one(1, "initiation")
		if !bytes.Equal(first.msg[132:], make([]byte, 16)) {
			r.Errorf("mac2 %x without a cookie", first.msg[132:])
		}
		index, mac1 := binary.LittleEndian.Uint32(first.msg[4:]), first.msg[116:132]
		cookie, other := []byte("sixteen bytes ok"), []byte("sixteen bytes no")
		o.says(o.cookieReply(index+1, mac1, other))
		r.dropped(protocol.DropUnknownIndex, 1, "a cookie reply to nothing (COOKIE-07)")
		o.says(o.cookieReply(index, make([]byte, 16), other))
		r.dropped(protocol.DropCookieForged, 1, "a cookie reply to another mac1 (COOKIE-06)")
		o.says(o.cookieReply(index, mac1, cookie))
		o.says(o.cookieReply(index, mac1, other))
		r.dropped(protocol.DropCookieUnexpected, 1, "a second cookie for one mac1 (COOKIE-08)")
		r.advance(4999 * time.Millisecond)
		r.silent("a cookie reply triggers nothing (COOKIE-09)")
		r.advance(335 * time.Millisecond)
		second := r.one(1, "retry").msg
		if want := mac(cookie, second[:132]); !bytes.Equal(want, second[132:]) {
			r.Errorf("mac2 of the retry is %x, want %x", second[132:], want)
		}
		o.says(o.cookieReply(binary.LittleEndian.Uint32(second[4:]), mac1, other))
		r.dropped(protocol.DropCookieForged, 1, "a cookie reply to an older mac1 (COOKIE-06)")
	}},
	{"COOKIE10ACookieLives120Seconds", "COOKIE-10", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		first := r.one(1, "initiation").msg
		cookie := []byte("sixteen bytes ok")
		o.says(o.cookieReply(binary.LittleEndian.Uint32(first[4:]), first[116:132], cookie))
		start := r.now
		for r.now.Sub(start) < 150*time.Second {
			r.send(o.ours("keep it retrying"))
			r.advance(time.Second)
			for _, m := range of(r.take(), 1) {
				want := make([]byte, 16)
				if m.at.Sub(start) < 120*time.Second {
					want = mac(cookie, m.msg[:132])
				}
				if !bytes.Equal(want, m.msg[132:]) {
					r.Fatalf("%v after the cookie mac2 is %x, want %x", m.at.Sub(start), m.msg[132:], want)
				}
			}
		}
	}},
	{"COOKIE11ACookieReplyMovesNothingElse", "COOKIE-11 ROAM-03 STAT-04", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		first := r.one(1, "initiation").msg
		before := r.stats(o)
		at, why, _ := r.d.Deadline()
		r.receive(o.moved(5), o.cookieReply(binary.LittleEndian.Uint32(first[4:]), first[116:132], make([]byte, 16)))
		if after := r.stats(o); after != before {
			r.Errorf("a cookie reply changed %+v to %+v", before, after)
		}
		if at2, why2, _ := r.d.Deadline(); at2 != at || why2 != why {
			r.Errorf("a cookie reply moved the deadline from %v %v to %v %v", at, why, at2, why2)
		}
		r.advance(6 * time.Second)
		if m := r.one(1, "retry"); m.to.Remote != o.at.Remote {
			r.Errorf("the retry went to %v", m.to)
		}
	}},
	{"COOKIE12UnderLoadACookieIsTheOnlyAnswer", "COOKIE-12 COOKIE-13 COOKIE-17 COOKIE-18 QOS-01", func(r *rig) {
		r.restart(small) // B027
		o := r.peer(1)
		r.burden()
		r.receive(o.moved(3), o.initiation().msg)
		m := r.one(3, "under load")
		if m.to != o.moved(3) || m.tos != 0 {
			r.Errorf("the cookie reply went to %v with TOS %#x", m.to, m.tos)
		}
		if got := binary.LittleEndian.Uint32(m.msg[4:]); got != o.index {
			r.Errorf("the cookie reply is to index %#x, not %#x", got, o.index)
		}
		r.dropped(protocol.DropNoCookie, 1, "an initiation without cookie under load")
		o.cookie = []byte("invented, sorry!")
		r.receive(o.moved(3), o.initiation().msg)
		o.cookie = o.openCookie(r.one(3, "a wrong mac2").msg)
		h := o.initiation()
		r.receive(o.moved(3), h.msg)
		h.complete(r.one(2, "with the cookie it is processed (COOKIE-18)").msg)
	}},
	{"COOKIE14ACookieIsForOneAddressAndPort", "COOKIE-14", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		cookieAt := func(e protocol.Endpoint) []byte {
			r.burden()
			o.cookie = nil
			r.receive(e, o.initiation().msg)
			return o.openCookie(r.one(3, "under load").msg)
		}
		a, b := cookieAt(o.moved(0)), cookieAt(o.moved(1))
		elsewhere := o.at
		elsewhere.Remote = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), o.at.Remote.Port())
		if c := cookieAt(elsewhere); bytes.Equal(a, b) || bytes.Equal(a, c) || bytes.Equal(b, c) {
			r.Errorf("cookies of two sources are the same: %x %x %x", a, b, c)
		}
		if again := cookieAt(o.moved(0)); !bytes.Equal(a, again) {
			r.Errorf("one source got %x and then %x", a, again)
		}
		o.cookie = a
		r.receive(o.moved(1), o.initiation().msg)
		r.one(3, "the cookie of another port")
		r.receive(elsewhere, o.initiation().msg)
		r.one(3, "the cookie of another address")
		o.says(o.initiation().msg)
		r.one(2, "the right one")
	}},
	{"COOKIE15TheSecretChangesAfter120Seconds", "COOKIE-15 COOKIE-16", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		r.burden()
		nonces := map[string]bool{}
		o.says(o.initiation().msg)
		first := r.one(3, "under load").msg
		cookie := o.openCookie(first)
		nonces[string(first[8:32])] = true
		for _, step := range []time.Duration{50 * time.Second, 69 * time.Second} {
			r.advance(step)
			r.burden()
			o.says(o.initiation().msg)
			m := r.one(3, "under load").msg
			if got := o.openCookie(m); !bytes.Equal(got, cookie) || nonces[string(m[8:32])] {
				r.Errorf("within 120 s: cookie %x then %x, or a nonce twice", cookie, got)
			}
			nonces[string(m[8:32])] = true
		}
		r.advance(2 * time.Second)
		r.burden()
		o.cookie = cookie
		o.says(o.initiation().msg)
		if got := o.openCookie(r.one(3, "an old cookie is refused").msg); bytes.Equal(got, cookie) {
			r.Errorf("the same cookie 121 s later")
		}
	}},
	{"COOKIE19ResponsesAreProtectedToo", "COOKIE-19", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		r.send(o.ours("x"))
		init := r.one(1, "initiation").msg
		r.burden()
		msg, _ := o.read(init).respond()
		o.says(msg)
		cookie := r.one(3, "a response without mac2 under load").msg
		if got := binary.LittleEndian.Uint32(cookie[4:]); got != o.index {
			r.Errorf("the cookie reply is to %#x, not to the response's %#x", got, o.index)
		}
		o.cookie = o.openCookie(cookie)
		msg, s := o.read(init).respond()
		o.says(msg)
		s.wants("a response with mac2", o.ours("x"))
	}},
	{"COOKIE19OurResponseCanBeAnsweredWithACookie", "COOKIE-19 COOKIE-06", func(r *rig) {
		o := r.peer(1)
		o.says(o.initiation().msg)
		resp := r.one(2, "response").msg
		cookie := []byte("sixteen bytes ok")
		o.says(o.cookieReply(binary.LittleEndian.Uint32(resp[4:]), resp[60:76], cookie))
		r.dropped(protocol.DropNone, 0, "a cookie for our response")
		r.advance(time.Second)
		o.says(o.initiation().msg)
		if m := r.one(2, "the next response").msg; !bytes.Equal(mac(cookie, m[:76]), m[76:]) {
			r.Errorf("the next response does not use the cookie")
		}
	}},
	{"COOKIE21TheKeysFollowThePrivateKey", "COOKIE-21", func(r *rig) {
		o := r.peer(1)
		stale := o.initiation().msg
		r.key = otherKey
		r.configure(protocol.Change{Op: protocol.OpIdentity, Identity: r.key})
		o.says(stale)
		r.silent("a message keyed to the old public key")
		r.dropped(protocol.DropMAC1, 1, "a message keyed to the old public key")
		o.to = r.key.PublicKey()
		o.says(o.initiation().msg)
		r.one(2, "one for the new key")
	}},
}

var dosCases = []ruleCase{
	{"DOS01LoadBeginsAndEnds", "DOS-01 DOS-02", func(r *rig) { // B022, B023, B024, B030
		r.restart(small)
		o := r.peer(1)
		r.burden()
		if !r.d.UnderLoad(r.now) {
			r.Errorf("not under load")
		}
		r.advance(900 * time.Millisecond)
		o.says(o.initiation().msg)
		r.one(3, "within a second")
		r.advance(3 * time.Second)
		if r.d.UnderLoad(r.now) {
			r.Errorf("under load 4 s after the flood")
		}
		o.says(o.initiation().msg)
		r.one(2, "seconds later")
	}},
	{"DOS01JobsInFlightAreLoad", "DOS-01 DOS-07", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.Jobs = 16 })
		o := r.peer(1)
		r.hold = true
		for range 2 {
			o.says(o.initiation().msg)
		}
		r.silent("an eighth of the slots is taken, nothing is decided yet")
		o.says(o.initiation().msg)
		o.cookie = o.openCookie(r.one(3, "under load by jobs in flight").msg)
		for range 5 { // one source has five handshakes at once
			o.says(o.initiation().msg)
		}
		if len(r.jobs) != 7 {
			r.Errorf("%d jobs are out, want 7", len(r.jobs))
		}
		r.release()
		r.advance(3 * time.Second)
		r.forget()
		o.says(o.initiation().msg)
		r.one(2, "afterwards")
	}},
	{"DOS07TheNewestIsDroppedWhenAllSlotsAreTaken", "DOS-07 DOS-06", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.Jobs = 1 })
		o, p := r.peer(1), r.peer(2)
		r.hold = true
		r.send(p.ours("x"))
		r.silent("the slot is taken by our own")
		o.says(o.initiation().msg)
		o.cookie = o.openCookie(r.one(3, "so we are under load").msg)
		r.forget()
		o.says(o.initiation().msg)
		r.silent("no slot is free")
		r.dropped(protocol.DropBusy, 1, "no slot is free")
		r.release()
		p.read(r.one(1, "our own is not shed").msg)
	}},
	{"DOS03OneSourceHas20PerSecond", "DOS-03 DOS-04", func(r *rig) {
		r.restart(small)
		const n = 40
		var peers []*outsider // of one address and port, so that the 20 ms rule has no say
		for i := range n {
			peers = append(peers, r.peer(i+1))
			peers[i].at = peers[0].at
		}
		r.burden()
		peers[0].says(peers[0].initiation().msg)
		cookie := peers[0].openCookie(r.one(3, "under load").msg)
		for _, o := range peers {
			o.cookie = cookie
			o.says(o.initiation().msg)
		}
		if all := r.some(2, "with a cookie"); len(all) != 5 {
			r.Errorf("%d of a burst of %d were answered, want 5", len(all), n)
		}
		r.forget()
		answered := 0
		for range 20 { // a second
			r.advance(50 * time.Millisecond)
			if r.d.UnderLoad(r.now) {
				for _, o := range peers[:3] {
					o.says(o.initiation().msg)
				}
				answered += len(of(r.take(), 2))
			}
		}
		if answered < 18 || answered > 22 {
			r.Errorf("%d answered in a second, want 20", answered)
		}
	}},
	{"DOS05DataFlowsUnderAFlood", "DOS-05", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		s := o.connect()
		for range 20 {
			r.burden()
			o.says(s.data("in"))
			r.delivers("under load", o.theirs("in"))
			r.send(o.ours("out"))
			s.wants("under load", o.ours("out"))
		}
	}},
	{"DOS12CookieRepliesHaveABudget", "COOKIE-12 DOS-01", func(r *rig) {
		r.restart(small, func(c *protocol.Config) { c.Limits.CookiesPerSecond, c.Limits.CookiesPerSource = 30, 7 })
		r.burden()
		junk := r.stranger(50).initiation().msg
		for range 20 {
			r.receive(r.stranger(50).at, junk)
		}
		if n := len(r.some(3, "under load")); n != 7 {
			r.Errorf("%d cookie replies to one source at once, want 7", n)
		}
		if n := r.d.Drops()[protocol.DropCookieBudget]; n != 13 {
			r.Errorf("%d went unanswered, want 13", n)
		}
		for n := range 60 {
			r.receive(r.stranger(60+n).at, junk)
		}
		if n := len(r.some(3, "under load")); n != 23 {
			r.Errorf("%d cookie replies to many sources at once, want what is left of 30", n)
		}
	}},
	{"DOS08ThereIsALimitOfPeers", "DOS-08", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Limits.Peers = 3 })
		for n := 1; n <= 3; n++ {
			r.peer(n)
		}
		c := r.stranger(4).add()
		r.do(func(_ timers.Time, b *protocol.Batch) {
			if err := r.d.Configure(r.now, []protocol.Change{c}, b); err == nil {
				r.Errorf("a fourth peer of three")
			}
		})
	}},
}

// otherKey is another private key of the device's.
var otherKey = protocoltest.Identity("ours", 2)
