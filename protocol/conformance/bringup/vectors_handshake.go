package bringup

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// KeyPair is both halves.
type KeyPair struct {
	Private Hex `json:"private"`
	Public  Hex `json:"public"`
}

func keyPair(p peer.Pair) KeyPair {
	return KeyPair{bytes.Clone(p.Private[:]), bytes.Clone(p.Public[:])}
}

// Handshake is a whole one, with the messages that follow.
type Handshake struct {
	Common
	InitiatorStatic    KeyPair     `json:"initiatorStatic"`
	ResponderStatic    KeyPair     `json:"responderStatic"`
	InitiatorEphemeral KeyPair     `json:"initiatorEphemeral"`
	ResponderEphemeral KeyPair     `json:"responderEphemeral"`
	PSK                Hex         `json:"psk"` // zeros: none
	InitiatorIndex     uint32      `json:"initiatorIndex"`
	ResponderIndex     uint32      `json:"responderIndex"`
	Timestamp          Hex         `json:"timestamp"`
	Initiation         Hex         `json:"initiation"` // all 148 bytes
	Response           Hex         `json:"response"`   // all 92 bytes
	Steps              []Step      `json:"steps"`
	Transport          []Transport `json:"transport"`
}

// Transport is a transport message of a handshake.
type Transport struct {
	From    string `json:"from"`    // initiator or responder
	Counter string `json:"counter"` // decimal: it has 64 bits
	Inner   Hex    `json:"inner"`   // the inner packet; empty: a keepalive
	Plain   Hex    `json:"plain"`   // with padding
	Message Hex    `json:"message"`
}

func (m *vectorMaker) handshakes() Group {
	g := Group{Type: "handshake",
		Notes: "Both messages of a handshake with every value of the key schedule, the " +
			"transport keys (T1: the initiator sends, T2: the responder sends) and the first messages in both directions."}
	zero, ones := uint32(0), uint32(0xffffffff)
	first := peer.TAI64N(time.Unix(1700000000, 0x12000000))
	high := peer.NewPair(m.random)
	high.Public[31] |= 0x80
	greatest := peer.Timestamp(bytes.Repeat([]byte{0xff}, 12))
	for _, c := range []struct {
		common Common
		psk    bool
		a, b   peer.Spec
		now    peer.Timestamp
	}{
		{valid("without a preshared key", "HS-03", "CRYPTO-14"), false, peer.Spec{}, peer.Spec{}, first},
		{valid("with a preshared key", "HS-03", "CRYPTO-14"), true, peer.Spec{}, peer.Spec{}, first},
		{valid("the initiator's index is 0", "MSG-11"), false, peer.Spec{Index: &zero}, peer.Spec{}, first},
		{valid("both indices are 0xffffffff", "MSG-11"), true, peer.Spec{Index: &ones}, peer.Spec{Index: &ones}, first},
		{valid("bit 255 of the initiator's ephemeral key is set: hashed as it is, ignored by X25519", "CRYPTO-10"), false,
			peer.Spec{Ephemeral: &high}, peer.Spec{}, first},
		{valid("the first timestamp there is", "TAI-03"), false, peer.Spec{}, peer.Spec{}, peer.Timestamp{11: 1}},
		{valid("the greatest timestamp there is", "TAI-03"), true, peer.Spec{}, peer.Spec{}, greatest},
	} {
		psk := peer.Key{}
		if c.psk {
			psk = m.key()
		}
		g.Tests = append(g.Tests, m.handshake(c.common, psk, c.a, c.b, c.now))
	}
	return g
}

func (m *vectorMaker) handshake(c Common, psk peer.Key, a, b peer.Spec, now peer.Timestamp) *Handshake {
	initiator, responder := m.parties(psk)
	i, err := initiator.Initiate(now, a)
	m.check(err == nil, c.Comment)
	got, err := responder.Read(i.Bytes)
	m.check(err == nil, c.Comment)
	r, err := responder.Respond(got, b)
	m.check(err == nil, c.Comment)
	session, err := i.Complete(r.Bytes)
	m.check(err == nil, c.Comment)
	l := climb(nil, asInitiator(initiator, i, r.Bytes), true)
	keys := l.steps[len(l.steps)-1]
	m.check(l.opened.static && l.opened.when && l.opened.empty && bytes.Equal(keys.T1, session.SendKey[:]) &&
		bytes.Equal(keys.T2, session.RecvKey[:]) && *session == peer.Session{Initiator: true, Local: r.Session.Remote,
		Remote: r.Session.Local, SendKey: r.Session.RecvKey, RecvKey: r.Session.SendKey}, c.Comment)
	h := &Handshake{Common: c, InitiatorStatic: keyPair(initiator.Static), ResponderStatic: keyPair(responder.Static),
		InitiatorEphemeral: keyPair(i.Ephemeral), ResponderEphemeral: keyPair(r.Ephemeral), PSK: bytes.Clone(psk[:]),
		InitiatorIndex: i.Index, ResponderIndex: r.Index, Timestamp: bytes.Clone(i.Timestamp[:]), Initiation: i.Bytes,
		Response: r.Bytes, Steps: l.steps}
	for _, n := range []int{0, 16, 61} {
		inner := m.inner(n)
		h.Transport = append(h.Transport, transport("initiator", session, inner), transport("responder", r.Session, inner))
	}
	return h
}

// inner makes an IPv4 packet with UDP in it; 0: none.
func (m *vectorMaker) inner(payload int) Hex {
	if payload == 0 {
		return Hex{}
	}
	b := append(Hex{0x45, 0, 0, byte(28 + payload), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x10, 0, 0x20, 0, 0, byte(8 + payload), 0, 0}, m.bytes(payload)...)
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	return b
}

func transport(from string, s *peer.Session, inner Hex) Transport {
	plain := pad(inner)
	counter := s.Next
	return Transport{From: from, Counter: strconv.FormatUint(counter, 10), Inner: inner, Plain: plain,
		Message: s.Seal(plain)}
}

// Initiation is one for a responder that knows one peer and has seen none of its initiations.
type Initiation struct {
	Common
	ResponderPrivate Hex `json:"responderPrivate"`
	PeerPublic       Hex `json:"peerPublic"` // of the only peer that it knows
	Message          Hex `json:"message"`
	// Fault is where it has to stop: length, type, mac1, product, static, peer or timestamp.
	Fault string `json:"fault,omitempty"`
}

func (m *vectorMaker) initiations() Group {
	g := Group{Type: "initiation",
		Notes: "Initiations that a responder takes or refuses, and at what it has to stop. The " +
			"macs are right where nothing else is said."}
	me, subject := m.parties(peer.Key{})
	now := peer.TAI64N(time.Unix(1700000000, 0))
	add := func(c Common, fault string, spec peer.Spec, edit func([]byte) []byte) {
		i, err := me.Initiate(now, spec)
		m.check(err == nil, c.Comment)
		b := i.Bytes
		if edit != nil {
			b = edit(b)
		}
		g.Tests = append(g.Tests, &Initiation{c, bytes.Clone(subject.Static.Private[:]), bytes.Clone(me.Static.Public[:]),
			b, fault})
	}
	flip := func(at int, remac bool) func([]byte) []byte {
		return func(b []byte) []byte {
			b[at] ^= 1
			if remac {
				peer.Remac(b, me.Remote, nil)
			}
			return b
		}
	}
	add(valid("right", "HS-03"), "", peer.Spec{}, nil)
	add(valid("mac2 is not zero: not looked at without load", "COOKIE-03"), "", peer.Spec{}, flip(147, false))
	add(invalid("a reserved byte is not zero", "MSG-03"), "type", peer.Spec{}, flip(2, true))
	add(invalid("a byte is missing", "MSG-05"), "length", peer.Spec{},
		func(b []byte) []byte { return peer.Remac(slices.Delete(b, 115, 116), me.Remote, nil) })
	add(invalid("a byte too many", "MSG-05"), "length", peer.Spec{},
		func(b []byte) []byte { return peer.Remac(append(b, 0), me.Remote, nil) })
	add(invalid("a bit of mac1 is flipped", "COOKIE-02"), "mac1", peer.Spec{}, flip(116, false))
	add(invalid("the last bit of mac1 is flipped", "COOKIE-02"), "mac1", peer.Spec{}, flip(131, false))
	add(invalid("mac1 is made for the sender's key", "COOKIE-01"), "mac1", peer.Spec{MAC1To: &me.Static.Public}, nil)
	add(invalid("mac1 is made with the label of cookies", "CRYPTO-03"), "mac1", peer.Spec{MAC1Label: peer.LabelCookie},
		nil)
	add(invalid("a bit of the encrypted static is flipped", "HS-04"), "static", peer.Spec{}, flip(40, true))
	add(invalid("a bit of its tag is flipped", "HS-04"), "static", peer.Spec{}, flip(87, true))
	add(invalid("a bit of the encrypted timestamp is flipped", "HS-04"), "timestamp", peer.Spec{}, flip(88, true))
	add(invalid("the identifier is another", "CRYPTO-02"), "static", peer.Spec{Prologue: "WireGuard v2"}, nil)
	other := peer.NewPair(m.random)
	add(invalid("a static key that is no peer's", "HS-05"), "peer", peer.Spec{Static: &other}, nil)
	forged := peer.Pair{Private: other.Private, Public: me.Static.Public}
	add(invalid("the peer's public key without its private key", "HS-06"), "timestamp", peer.Spec{Static: &forged}, nil)
	for _, p := range peer.LowOrderPoints() {
		low := peer.LowOrderPair(p)
		add(invalid("the ephemeral key is a point of low order", "CRYPTO-11"), "product", peer.Spec{Ephemeral: &low}, nil)
	}
	for _, c := range in(inStart) {
		x := climbTo(me, mistakes{c.Code}, m.random, now)
		g.Tests = append(g.Tests, &Initiation{invalid("mistake "+c.Code+": "+c.Text, c.Rules...),
			bytes.Clone(subject.Static.Private[:]), bytes.Clone(me.Static.Public[:]), x, m.stops(subject, x)})
	}
	return g
}

// climbTo makes an initiation with mistakes in its key schedule.
func climbTo(me *peer.Party, wrong mistakes, random *rand.ChaCha8, now peer.Timestamp) []byte {
	e := peer.NewPair(random)
	x := exchange{si: me.Static.Public, sr: me.Remote, ei: e.Public, psk: me.PSK, es: product(e.Private, me.Remote),
		ss: product(me.Static.Private, me.Remote), stamp: now[:]}
	l := &ladder{mistakes: wrong}
	l.initiation(&x)
	b := append(wrong.header(peer.KindInitiation, binary.LittleEndian.Uint32(e.Public[:4])), x.ei[:]...)
	b = append(append(append(b, x.static...), x.when...), make([]byte, 32)...)
	return peer.Remac(b, me.Remote, nil)
}

// stops says which field of an initiation with a mistake does not open.
func (m *vectorMaker) stops(subject *peer.Party, b []byte) string {
	l := climb(nil, asResponder(subject, b, peer.Pair{}), false)
	m.check(!l.opened.static || !l.opened.when, "an initiation with a mistake")
	if l.opened.static {
		return "timestamp"
	}
	return "static"
}

// Response is one for an initiator whose only initiation is known.
type Response struct {
	Common
	InitiatorPrivate   Hex    `json:"initiatorPrivate"`
	InitiatorEphemeral Hex    `json:"initiatorEphemeral"` // private
	ResponderPublic    Hex    `json:"responderPublic"`
	PSK                Hex    `json:"psk"`
	Initiation         Hex    `json:"initiation"`
	Message            Hex    `json:"message"`
	Fault              string `json:"fault,omitempty"` // where it has to stop: length, mac1, index, product, empty
}

func (m *vectorMaker) responses() Group {
	g := Group{Type: "response",
		Notes: "Responses to an initiation of one's own that are taken or refused, and at what " +
			"the initiator has to stop."}
	psk := m.key()
	subject, me := m.parties(psk)
	i, err := subject.Initiate(peer.TAI64N(time.Unix(1700000000, 0)), peer.Spec{})
	m.check(err == nil, "an initiation")
	got, err := me.Read(i.Bytes)
	m.check(err == nil, "an initiation")
	put := func(c Common, fault string, b []byte) {
		g.Tests = append(g.Tests, &Response{c, bytes.Clone(subject.Static.Private[:]), bytes.Clone(i.Ephemeral.Private[:]),
			bytes.Clone(me.Static.Public[:]), bytes.Clone(psk[:]), i.Bytes, b, fault})
	}
	add := func(c Common, fault string, spec peer.Spec, edit func([]byte)) {
		r, err := me.Respond(got, spec)
		m.check(err == nil, c.Comment)
		if edit != nil {
			edit(r.Bytes)
		}
		put(c, fault, r.Bytes)
	}
	add(valid("right", "HS-14"), "", peer.Spec{}, nil)
	add(invalid("a bit of mac1 is flipped", "HS-26"), "mac1", peer.Spec{}, func(b []byte) { b[60] ^= 1 })
	wrong := i.Index ^ 1
	add(invalid("the receiver index is that of no handshake", "HS-08"), "index", peer.Spec{Receiver: &wrong}, nil)
	add(invalid("the preshared key is not mixed in (zeros are)", "CRYPTO-15"), "empty", peer.Spec{PSK: &peer.Key{}}, nil)
	add(invalid("a bit of the encrypted empty field is flipped", "HS-10"), "empty", peer.Spec{},
		func(b []byte) { b[44] ^= 1; peer.Remac(b, me.Remote, nil) })
	add(invalid("the ephemeral key is not the one in the hash", "CRYPTO-10"), "empty", peer.Spec{},
		func(b []byte) { b[43] ^= 0x80; peer.Remac(b, me.Remote, nil) })
	low := peer.LowOrderPair(peer.Key{1})
	add(invalid("the ephemeral key is a point of low order", "CRYPTO-11"), "product", peer.Spec{Ephemeral: &low}, nil)
	for _, c := range in(inResponse) {
		e := peer.NewPair(m.random)
		x := asResponder(me, i.Bytes, e)
		l := &ladder{}
		if c.Code == "timestamp-no-hash" || c.Code == "timestamp-hash-plain" {
			l.mistakes = mistakes{c.Code}
		}
		l.initiation(&x)
		l.mistakes = mistakes{c.Code}
		l.response(&x)
		b := mistakes(nil).header(peer.KindResponse, binary.LittleEndian.Uint32(e.Public[:4]), i.Index)
		b = peer.Remac(append(append(append(b, x.er[:]...), x.empty...), make([]byte, 32)...), me.Remote, nil)
		put(invalid("mistake "+c.Code+": "+c.Text, c.Rules...), "empty", b)
	}
	return g
}
