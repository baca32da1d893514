package protocol_test

import (
	"bytes"
	"encoding/binary"

	"github.com/purewire/purewire/protocol"
)

var msgCases = []ruleCase{
	{"MSG01EveryMessageOfOursHasATypeAndZeroes", "MSG-01 MSG-02", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("a"))
		init := r.one(1, "initiation")
		msg, s := o.read(init.msg).respond()
		o.says(msg)
		data := r.one(4, "data")
		resp := o.initiation()
		r.advance(5e9)
		r.forget()
		o.says(resp.msg)
		for _, m := range append([]sent{init, data}, r.one(2, "response")) {
			if m.msg[1]|m.msg[2]|m.msg[3] != 0 {
				r.Errorf("reserved bytes %x", m.msg[1:4])
			}
		}
		s.open(data.msg)
	}},
	{"MSG03AReservedBitIsADrop", "MSG-03", func(r *rig) {
		o := r.peer(1)
		for _, at := range []int{1, 2, 3} {
			for bit := range 8 {
				h := o.initiation()
				h.msg[at] |= 1 << bit
				o.says(o.resign(h.msg))
			}
		}
		r.silent("initiations with a reserved bit")
		r.dropped(protocol.DropReserved, 24, "initiations with a reserved bit")
		s := o.connect()
		data := s.data("x")
		data[3] = 0x80
		o.says(data)
		r.delivers("data with a reserved bit")
		r.dropped(protocol.DropReserved, 1, "data with a reserved bit")
		data[3] = 0
		o.says(data)
		r.delivers("the same without", s.theirs("x"))
		r.advance(6e9)
		r.down()
		r.up()
		r.forget()
		r.send(o.ours("y"))
		msg, _ := o.read(r.one(1, "initiation").msg).respond()
		msg[2] = 1
		o.says(o.resign(msg))
		r.silent("a response with a reserved bit")
	}},
	{"MSG04AnUnknownTypeIsADrop", "MSG-04", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		n := 0
		for typ := range 256 {
			if typ >= 1 && typ <= 4 {
				continue
			}
			for _, m := range [][]byte{o.initiation().msg, s.data("x"), make([]byte, 64), make([]byte, 92)} {
				m[0] = byte(typ)
				if len(m) == 148 {
					m = o.resign(m)
				}
				o.says(m)
				n++
			}
		}
		r.silent("unknown types")
		r.delivers("unknown types")
		r.dropped(protocol.DropType, n, "unknown types")
	}},
	{"MSG05AnInitiationIs148Bytes", "MSG-05", func(r *rig) {
		o := r.peer(1)
		h := o.initiation()
		for _, m := range [][]byte{h.msg[:147], append(bytes.Clone(h.msg), 0), o.sign(h.msg[:115]), o.sign(h.msg[:117])} {
			o.says(m)
			r.silent("an initiation of another length")
		}
		r.dropped(protocol.DropLength, 4, "initiations of 147 and 149 bytes")
		o.says(h.msg)
		r.one(2, "the right one")
	}},
	{"MSG06AResponseIs92Bytes", "MSG-06", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("a"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		for _, m := range [][]byte{msg[:91], append(bytes.Clone(msg), 0), o.sign(msg[:59]), o.sign(msg[:61])} {
			o.says(m)
		}
		r.silent("responses of another length")
		r.dropped(protocol.DropLength, 4, "responses of another length")
		o.says(msg)
		s.wants("the right one", o.ours("a"))
	}},
	{"MSG07ACookieReplyIs64Bytes", "MSG-07", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("a"))
		first := r.one(1, "initiation").msg
		reply := o.cookieReply(binary.LittleEndian.Uint32(first[4:]), first[116:132], make([]byte, 16))
		o.says(append(bytes.Clone(reply), 0), reply[:63])
		r.dropped(protocol.DropLength, 2, "cookie replies of 65 and 63 bytes")
		r.advance(6e9)
		if again := r.one(1, "retry").msg; !bytes.Equal(again[132:], make([]byte, 16)) {
			r.Errorf("mac2 %x after a cookie reply of a wrong length", again[132:])
		}
	}},
	{"MSG08MSG13ShortAndHugeDatagramsAreSurvived", "MSG-08 MSG-13", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		keepalive := s.seal(nil)
		for n := range 32 {
			o.says(keepalive[:n])
		}
		r.dropped(protocol.DropShort, 32, "transport messages under 32 bytes")
		o.says(make([]byte, 65507))
		r.dropped(protocol.DropType, 1, "65507 zero bytes")
		huge := s.sealAt(9, make([]byte, 65507-32))
		o.says(huge)
		r.dropped(protocol.DropInnerVersion, 1, "the largest transport message")
		r.silent("all of that")
		o.says(keepalive)
		r.dropped(protocol.DropNone, 0, "the whole keepalive")
	}},
	{"MSG09PayloadsOfAnyLengthAreTaken", "MSG-09", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for n := range 40 {
			text := string(bytes.Repeat([]byte{'x'}, n))
			o.says(s.data(text)) // the outsider does not pad
			r.delivers("an unpadded packet", s.theirs(text))
		}
	}},
	{"MSG11AnyIndexOfThePeerIsEchoed", "MSG-11 HS-07", func(r *rig) {
		for n, index := range []uint32{0, 1, 0x80000000, 0xffffffff} {
			o := r.peer(n + 1)
			h := o.craft(craft{index: &index})
			o.says(h.msg)
			s := h.complete(r.one(2, "answer").msg) // which compares the index
			o.says(s.seal(nil))
			r.send(o.ours("as responder"))
			s.wants("data to the announced index", o.ours("as responder"))
			p := r.peer(n + 11)
			r.send(p.ours("as initiator"))
			msg, s2 := p.read(r.one(1, "initiation").msg).respondAs(index)
			if index != 0 {
				p.says(msg)
				s2.wants("data to the announced index", p.ours("as initiator"))
			}
			r.forget()
		}
	}},
	{"MSG12OneDatagramIsOneMessage", "MSG-12", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		a, b := s.data("a"), s.data("b")
		o.says(append(bytes.Clone(a), b...))
		r.delivers("two messages in one datagram")
		r.dropped(protocol.DropTag, 1, "two messages in one datagram")
		o.says(a, b)
		r.delivers("one each", s.theirs("a"), s.theirs("b"))
	}},
	{"MSG14CountersStartAtZeroAndNeverRepeat", "MSG-14 MSG-10 MSG-15 CRYPTO-06 CRYPTO-08", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		want := uint64(1) // accept has taken message 0
		for range 5 {
			var in [][]byte
			for range 60 {
				in = append(in, o.ours("x"))
			}
			r.send(in...)
			for _, m := range r.some(4, "data") {
				if counter, _ := s.open(m.msg); counter != want {
					r.Fatalf("counter %d, want %d", counter, want)
				}
				want++
			}
		}
		p := r.peer(2)
		h := p.connect()
		r.send(p.ours("first"))
		if counter, _ := h.open(r.one(4, "data").msg); counter != 0 {
			r.Errorf("the first counter of a responder is %d", counter)
		}
	}},
}

var cryptoCases = []ruleCase{
	{"CRYPTO01BothRolesWithAndWithoutPSK", "CRYPTO-01 CRYPTO-14 HS-03", func(r *rig) {
		psk := protocol.PresharedKey{1, 2, 3}
		for n, key := range []*protocol.PresharedKey{nil, {}, &psk} {
			o := r.peer(n+1, func(c *protocol.Change) { c.PresharedKey = key })
			s := o.accept()
			o.says(s.data("a"))
			r.delivers("as initiator", o.theirs("a"))
			r.advance(6e9)
			r.forget()
			s = o.connect()
			o.says(s.data("b"))
			r.delivers("as responder", o.theirs("b"))
		}
	}},
	{"CRYPTO10TheEphemeralIsHashedAsReceived", "CRYPTO-10", func(r *rig) {
		o := r.peer(1)
		e := o.keyPair()
		e.Public[31] |= 0x80 // X25519 ignores it, the hash must not
		h := o.craft(craft{ephemeral: &e})
		o.says(h.msg)
		s := h.complete(r.one(2, "an ephemeral with bit 255 set").msg)
		o.says(s.data("x"))
		r.delivers("data on it", o.theirs("x"))
	}},
	{"CRYPTO11LowOrderEphemeralsAreDropped", "CRYPTO-11", func(r *rig) {
		o := r.peer(1)
		for _, point := range lowOrder {
			e := o.keyPair()
			e.Public = point
			o.says(o.craft(craft{ephemeral: &e, lowOrder: true}).msg)
			r.silent("an initiation with a low order ephemeral")
		}
		r.dropped(protocol.DropLowOrder, len(lowOrder), "initiations with low order ephemerals")
		r.send(o.ours("x"))
		init := r.one(1, "initiation").msg
		for _, point := range lowOrder {
			honest, _ := o.read(init).respond()
			copy(honest[12:44], point)
			o.says(o.resign(honest))
		}
		r.silent("responses with a low order ephemeral")
		r.dropped(protocol.DropLowOrder, len(lowOrder), "responses with low order ephemerals")
		msg, s := o.read(init).respond()
		o.says(msg)
		s.wants("the genuine response afterwards (HS-10)", o.ours("x"))
	}},
	{"CRYPTO12ALowOrderPeerNeverShakesHands", "CRYPTO-12", func(r *rig) {
		for n, point := range lowOrder {
			o := r.stranger(n + 1)
			o.static.Public = point
			r.configure(o.add())
			o.id, _ = r.d.Peer(o.public())
			for range 3 {
				r.send(o.ours("x"))
				r.advance(20e9)
			}
			r.silent("traffic for a low order key")
			if n := r.stats(o).Staged; n > 128 {
				r.Errorf("%d packets wait", n)
			}
		}
	}},
	{"CRYPTO13EphemeralsAreFresh", "CRYPTO-13 KEY-02 HS-20 TAI-06", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		seen := map[string]bool{}
		last := [12]byte{}
		r.advance(30e9)
		for _, m := range r.some(1, "initiations") {
			for _, field := range [][]byte{m.msg[4:8], m.msg[8:40]} {
				if seen[string(field)] {
					r.Errorf("index or ephemeral %x twice", field)
				}
				seen[string(field)] = true
			}
			if i := o.read(m.msg); bytes.Compare(i.stamp[:], last[:]) <= 0 {
				r.Errorf("timestamp %x after %x", i.stamp, last)
			} else {
				last = i.stamp
			}
		}
		r.advance(100e9)
		r.forget()
		for range 3 {
			r.advance(1e9)
			h := o.initiation()
			o.says(h.msg)
			if m := r.one(2, "response").msg; seen[string(m[4:8])] || seen[string(m[12:44])] {
				r.Errorf("a response with an index or ephemeral seen before")
			} else {
				seen[string(m[4:8])], seen[string(m[12:44])] = true, true
			}
		}
	}},
	{"CRYPTO15AWrongPSKMakesNoSession", "CRYPTO-15", func(r *rig) {
		o := r.peer(1, func(c *protocol.Change) { c.PresharedKey = &protocol.PresharedKey{1} })
		o.psk = protocol.PresharedKey{2}
		h := o.initiation()
		o.says(h.msg)
		if _, err := h.consume(r.one(2, "the responder cannot notice").msg); err == nil {
			r.Errorf("a response under a wrong psk is accepted")
		}
		r.advance(6e9)
		r.forget()
		r.send(o.ours("x"))
		msg, _ := o.read(r.one(1, "initiation").msg).respond()
		o.says(msg)
		r.silent("a response under a wrong psk")
		r.dropped(protocol.DropResponseTag, 1, "a response under a wrong psk")
		if r.stats(o).Session {
			r.Errorf("there is a session")
		}
		r.advance(6e9)
		o.psk[0] = 1
		msg, s := o.read(r.one(1, "retry").msg).respond()
		o.says(msg)
		s.wants("the right psk", o.ours("x"))
	}},
	{"CRYPTO16APSKChangeIsForTheNextHandshake", "CRYPTO-16 LIFE-08", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		c := o.change()
		c.PresharedKey = &protocol.PresharedKey{7}
		r.configure(c)
		r.configure(c) // B009: the same again
		o.says(s.data("in"))
		r.delivers("the session goes on", o.theirs("in"))
		r.send(o.ours("out"))
		s.wants("both ways", o.ours("out"))
		if r.stats(o).PresharedKey != *c.PresharedKey {
			r.Errorf("the statistics show another psk")
		}
		o.psk = *c.PresharedKey // B007: the next handshake must use it
		r.advance(1e9)
		s = o.connect()
		o.says(s.data("new"))
		r.delivers("the next handshake", o.theirs("new"))
	}},
}

// lowOrder are points with which every Diffie-Hellman gives zeros: 0, 1, two of order 8, and p−1, p, p+1.
var lowOrder = [][]byte{
	make([]byte, 32),
	append([]byte{1}, make([]byte, 31)...),
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d,
		0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c,
		0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	nearP(0xec), nearP(0xed), nearP(0xee),
}

// nearP is the 255-bit number that has that lowest byte and else only ones: p is 2^255 − 19.
func nearP(low byte) []byte {
	b := bytes.Repeat([]byte{0xff}, 32)
	b[0], b[31] = low, 0x7f
	return b
}
