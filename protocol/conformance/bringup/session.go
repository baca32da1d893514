package bringup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

const needIn = conformance.NeedInner

// sessionQuestions are about transport messages, with the subject as responder.
var sessionQuestions = []Question{
	{ID: "session/receive", Title: "The first data message, counter 0, is delivered inside",
		Rules: rules("KEY-17", "CRYPTO-08"), Needs: needIn, ask: askReceive},
	{ID: "session/receive-counters", Title: "So are those with greater counters, beyond 255 too",
		Rules: rules("CRYPTO-06", "MSG-10"), Needs: needIn, ask: askReceiveCounters},
	{ID: "session/receive-padding", Title: "Padding is cut off; unpadded data is delivered too",
		Rules: rules("PAD-06", "MSG-09"), Needs: needIn, ask: askReceivePadding},
	{ID: "session/receive-keepalive", Title: "A keepalive is taken, and nothing is delivered", Rules: rules("PAD-05"),
		Needs: needIn, ask: askReceiveKeepalive},
	{ID: "session/replay", Title: "A counter is taken once; late ones are taken", Rules: rules("REPLAY-01", "REPLAY-03"),
		Needs: needIn, ask: askSessionReplay},
	{ID: "session/unconfirmed", Title: "The responder sends nothing before the initiator has", Rules: rules("HS-16"),
		Needs: needIn, ask: askUnconfirmed},
	{ID: "session/send", Title: "Confirmed by a keepalive, it sends, to the tester's index",
		Rules: rules("HS-17", "MSG-15"), Needs: needIn, ask: askSend},
	{ID: "session/send-counters", Title: "Its counters are 0, 1, 2, little-endian", Rules: rules("MSG-14", "MSG-10"),
		Needs: needIn, ask: askSendCounters},
	{ID: "session/send-opens", Title: "What it sends opens with the key of its direction",
		Rules: rules("CRYPTO-06", "CRYPTO-08", "KEY-17"), Needs: needIn, ask: askSendOpens},
	{ID: "session/send-padding", Title: "What it sends is padded with zeros to a multiple of 16",
		Rules: rules("PAD-01", "PAD-04"), Needs: needIn, ask: askSendPadding},
}

// shared is a session as both ends should have it: what the tester sends with and what it receives with.
type shared struct {
	to, from   tunnel
	handshake  []Step
	local, own uint32 // the tester's index and the subject's
}

// session shakes hands; nothing is sent on the session yet.
func (l *lab) session() *shared {
	l.Wait(apart)
	i, g := l.responded()
	d, right := readResponse(l.me(), i, g.Bytes)
	if d != nil {
		l.fail(d, g, "a response that opens, as before", "one that does not")
	}
	return sharedBy(right, climb(mistakes{"keys-from-hash"}, asInitiator(l.me(), i, g.Bytes), true), i.Index,
		peer.Sender(g.Bytes))
}

// sharedBy makes the session of a handshake that the tester began, from the right ladder and that with keys from h.
func sharedBy(right, hashed *ladder, local, own uint32) *shared {
	r, h := right.steps[len(right.steps)-1], hashed.steps[len(hashed.steps)-1]
	t1, t2 := peer.Key(r.T1), peer.Key(r.T2)
	return &shared{handshake: right.steps, local: local, own: own,
		to: tunnel{key: t1, back: t2, single: t2, hash: peer.Key(h.T1), receiver: own},
		// Exchanged keys show where it receives; what it sends with the key that it receives with is one for both.
		from: tunnel{key: t2, back: t2, single: t1, hash: peer.Key(h.T2), receiver: local}}
}

// inbound makes an inner packet of a length for the subject's host.
func (l *lab) inbound(length int) []byte {
	return conformance.UDP(netip.AddrPortFrom(l.p.Inner4, 4000), netip.AddrPortFrom(l.Host4, 5000), l.Text(length-28))
}

// outbound makes one from there to the peer.
func (l *lab) outbound(length int) []byte {
	return conformance.UDP(netip.AddrPortFrom(l.Host4, 4000), netip.AddrPortFrom(l.p.Inner4, 5000), l.Text(length-28))
}

// pad adds zeros up to a multiple of 16.
func pad(b []byte) []byte { return append(bytes.Clone(b), make([]byte, -len(b)&15)...) }

// delivered gives what comes out inside; nil: nothing.
func (l *lab) delivered() []byte {
	if got := l.wait(conformance.Delivery, patience); len(got) > 0 {
		return got[0].Packet
	}
	return nil
}

// takes sends plaintext and reports whether it is delivered as it is.
func (l *lab) takes(s *shared, m mistakes, counter uint64, packet []byte) bool {
	l.p.Send(s.to.seal(m, counter, pad(packet)))
	got := l.wait(conformance.Delivery.Carrying(packet), moment)
	return len(got) > 0
}

func askReceive(l *lab) {
	s := l.session()
	packet := l.inbound(80)
	message := s.to.seal(nil, 0, packet)
	l.p.Send(message)
	got := l.delivered()
	switch {
	case bytes.Equal(got, packet):
		return
	case got != nil:
		d := did("delivered-wrong", "what it delivers is not the inner packet", "MSG-08")
		switch {
		case bytes.HasSuffix(got, packet):
			d = did("delivered-header", fmt.Sprintf("%d bytes before the inner packet are delivered with it",
				len(got)-len(packet)), "INNER-01")
		case bytes.HasPrefix(got, packet):
			d = did("delivered-tag", fmt.Sprintf("%d bytes after the inner packet are delivered with it: the tag?",
				len(got)-len(packet)), "PAD-06")
		}
		d.Parting = &Parting{Step: "transport", Name: "plain", Expected: packet, Actual: got}
		l.fail(d.of(message), nil, "the inner packet as it was sent", fmt.Sprintf("%d bytes: %x", len(got), got))
	}
	l.fail(l.probeData(message, 0), nil, "the inner packet of a right data message", l.describe(nil))
}

// probeData sends data with each of the mistakes, each on a session of its own, until it is delivered.
func (l *lab) probeData(message []byte, counter uint64) *Diagnosis {
	const evidence = "it delivers a data message with this mistake in it, and not the right one"
	var s *shared
	for _, c := range in(inTransport, inHeader) {
		m := mistakes{c.Code}
		s = l.session()
		if !l.takes(s, m, counter, l.inbound(80)) {
			continue
		}
		m = l.whichEnd(m)
		right, wrong := s.to.seal(nil, counter, nil), s.to.seal(m, counter, nil)
		d := named(m, evidence)
		d.Parting = &Parting{Step: "transport", Name: "keepalive of this counter", Expected: right, Actual: wrong}
		if k := s.to.cipherKey(m); k != s.to.key {
			d.Parting = &Parting{Step: "transport", Formula: `(T1, T2) = KDF2(C, "")`, Name: "key", Expected: s.to.key[:],
				Actual: k[:]}
		} else if n := transportNonce(m, counter); !bytes.Equal(n, transportNonce(nil, counter)) {
			d.Parting = &Parting{Step: "transport", Formula: "nonce = 4 zero bytes ‖ counter, little-endian", Name: "nonce",
				Expected: transportNonce(nil, counter), Actual: n}
		}
		d.Steps = s.handshake
		return d.of(message)
	}
	s = l.session()
	var d *Diagnosis
	switch {
	case counter == 0 && l.takes(s, nil, 1, l.inbound(80)):
		d = did("counter-from-one", "it refuses counter 0, the first of every session, and takes 1", "MSG-14", "REPLAY-01")
	case l.takesAfter(l.session(), counter):
		d = did("needs-keepalive", "it takes data only after a keepalive: data confirms a session as well", "HS-17")
	default:
		d = unknown("it delivers neither right data nor data with any known mistake. Is the source address in the allowed "+
			"IPs of the peer?", "KEY-17", "CRYPTO-08")
		d.Parting = &Parting{Step: "transport", Formula: `(T1, T2) = KDF2(C, "")`, Name: "T1", Expected: s.to.key[:]}
		d.Steps = s.handshake
	}
	return d.of(message)
}

// whichEnd tells a counter that is read big-endian from one that is written so into the nonce, which open the same
// messages: to the first, 1 after 2 is 2^56 after 2^57 and far too late.
func (l *lab) whichEnd(m mistakes) mistakes {
	const inNonce, inHeader = "nonce-big-endian", "counter-big-endian"
	if !m.has(inNonce) && !m.has(inHeader) {
		return m
	}
	s, reversed := l.session(), mistakes{inNonce}
	if l.takes(s, reversed, 2, l.inbound(80)) && l.takes(s, reversed, 1, l.inbound(80)) {
		return reversed
	}
	return mistakes{inHeader}
}

func (l *lab) takesAfter(s *shared, counter uint64) bool {
	l.p.Send(s.to.seal(nil, 0, nil))
	return l.takes(s, nil, counter+1, l.inbound(80))
}

func askReceiveCounters(l *lab) {
	s := l.session()
	for _, counter := range []uint64{0, 1, 2, 255, 256, 257, 1 << 16} {
		if l.takes(s, nil, counter, l.inbound(80)) {
			continue
		}
		d := l.probeData(s.to.seal(nil, counter, nil), counter)
		if d.Codes == nil {
			d = unknown(fmt.Sprintf("counter %d is refused: is the replay window wrong?", counter), "REPLAY-03")
		}
		l.fail(d, nil, fmt.Sprintf("the data message with counter %d to be delivered", counter), l.describe(nil))
	}
}

func askReceivePadding(l *lab) {
	s := l.session()
	padded, bare := l.inbound(69), l.inbound(69)
	l.p.Send(s.to.seal(nil, 0, pad(padded)))
	got := l.delivered()
	if !bytes.Equal(got, padded) {
		d := unknown("a padded inner packet is not delivered", "PAD-06")
		if bytes.HasPrefix(got, padded) {
			d = did("padding-kept", "padding is delivered with the packet: it ends where its IP header says", "PAD-06")
		}
		d.Parting = &Parting{Step: "transport", Name: "plain", Expected: padded, Actual: got}
		l.fail(d, nil, "a packet of 69 bytes, sent with 11 bytes of padding", fmt.Sprintf("%d bytes", len(got)))
	}
	l.p.Send(s.to.seal(nil, 1, bare))
	if got = l.delivered(); !bytes.Equal(got, bare) {
		d := did("unpadded-refused", "data whose length is no multiple of 16 is refused: only senders pad", "MSG-09")
		d.Parting = &Parting{Step: "transport", Name: "plain", Expected: bare, Actual: got}
		l.fail(d, nil, "a packet of 69 bytes, sent without padding", fmt.Sprintf("%d bytes", len(got)))
	}
}

func askReceiveKeepalive(l *lab) {
	s := l.session()
	message := s.to.seal(nil, 0, nil)
	l.p.Send(message)
	if got := l.wait(conformance.Delivery, moment); len(got) > 0 {
		l.fail(did("keepalive-delivered", "an empty message is delivered inside: it is a keepalive", "PAD-05").of(message),
			nil, "nothing inside", fmt.Sprintf("%d bytes", len(got[0].Packet)))
	}
	if !l.takes(s, nil, 1, l.inbound(80)) {
		l.fail(did("keepalive-breaks", "after a keepalive it takes no data", "PAD-05", "HS-17").of(message), nil,
			"data after a keepalive to be delivered", l.describe(nil))
	}
}

func askSessionReplay(l *lab) {
	s := l.session()
	packet := l.inbound(80)
	message := s.to.seal(nil, 5, packet)
	for range 2 {
		l.p.Send(message)
	}
	l.Wait(moment)
	if got := l.Take(conformance.Delivery); len(got) != 1 {
		d := unknown("a data message with counter 5 is not delivered", "REPLAY-03").of(message)
		if len(got) > 1 {
			d = did("replay-delivered", "a repeated data message is delivered again: counters are not remembered",
				"REPLAY-01").of(message)
		}
		l.fail(d, nil, "one delivery of a message that comes twice", fmt.Sprint(len(got)))
	}
	if !l.takes(s, nil, 3, l.inbound(80)) {
		l.fail(did("window-missing", "a late message is refused: counter 3 after 5. Unseen counters are taken while they "+
			"are in a window of about 2000 or more", "REPLAY-03"), nil, "counter 3 to be delivered after counter 5",
			l.describe(nil))
	}
}

func askUnconfirmed(l *lab) {
	s := l.session()
	l.Inject(l.outbound(80))
	for _, g := range l.wait(conformance.AnyDatagram.To(l.p), moment) {
		if len(g.Bytes) > 0 && g.Bytes[0] == byte(peer.KindTransport) {
			d := did("unconfirmed-sends", "as responder it sends before it has received anything on the session: the "+
				"initiator may not have its response", "HS-16")
			l.fail(d.of(g.Bytes), g, fmt.Sprintf("no data on the unconfirmed session %08x", s.local), g.String())
		}
	}
}

// fetch makes the subject send an inner packet on a session and gives the datagram.
func (l *lab) fetch(packet []byte) *conformance.Got {
	l.Inject(packet)
	return l.first()
}

// confirmed is a session on which the subject may send.
func (l *lab) confirmed() *shared {
	s := l.session()
	l.p.Send(s.to.seal(nil, 0, nil))
	l.Wait(apart)
	l.Forget()
	return s
}

func askSend(l *lab) {
	s := l.confirmed()
	g := l.fetch(l.outbound(80))
	if g != nil && g.Kind == peer.KindTransport {
		d := checkIndex("receiver index", peer.Receiver(g.Bytes), s.local,
			map[uint32]string{s.own: "its own index: it has to be the one that the receiver chose"}, g.Bytes)
		if d != nil {
			l.fail(d, g, fmt.Sprintf("receiver index %x", []byte(indexBytes(s.local))), fmt.Sprintf("%x", g.Bytes[4:8]))
		}
		return
	}
	var d *Diagnosis
	switch {
	case g == nil && l.sendsAfterData(s):
		d = did("unconfirmed-by-keepalive", "it sends on a session only when it has received data on it: a keepalive "+
			"confirms it as well", "HS-17")
	case g == nil:
		d = unknown("it sends nothing for an inner packet to the peer. Is the destination in the allowed IPs of the peer?",
			"HS-17")
	case g.Kind == peer.KindInitiation:
		d = did("unconfirmed-by-keepalive", "it begins a handshake of its own: it does not take the session that a "+
			"keepalive has confirmed", "HS-17").of(g.Bytes)
	default:
		d = judgeType(g, nil, peer.KindTransport)
		if d == nil {
			d = shown("transport-length", "its transport message has fewer than 32 bytes", "MSG-08").of(g.Bytes)
		}
	}
	l.fail(d, g, "a transport message with the inner packet", opening(g))
}

// sendsAfterData reports whether what waits is sent once data has come.
func (l *lab) sendsAfterData(s *shared) bool {
	l.p.Send(s.to.seal(nil, 1, l.inbound(80)))
	return len(l.wait(conformance.Transport.To(l.p), patience)) > 0
}

// sends makes the subject send n inner packets and gives the transport messages.
func (l *lab) sends(n int) (s *shared, all []*conformance.Got) {
	s = l.confirmed()
	for range n {
		g := l.fetch(l.outbound(80))
		if g == nil || g.Kind != peer.KindTransport {
			l.fail(nil, g, "a transport message, as before", l.describe(g))
		}
		all = append(all, g)
	}
	return s, all
}

func askSendCounters(l *lab) {
	s, all := l.sends(3)
	var counters [3]uint64
	for i, g := range all {
		counters[i] = peer.Counter(g.Bytes)
	}
	if counters == [3]uint64{0, 1, 2} {
		return
	}
	last := all[2].Bytes
	var d *Diagnosis
	switch {
	case binary.BigEndian.Uint64(last[8:]) == 2:
		d = named(mistakes{"counter-big-endian"}, "the bytes are the right ones in the other order")
	case counters == [3]uint64{1, 2, 3}:
		d = shown("counter-starts-at-one", "its counters begin at 1: the first message of a session has 0", "MSG-14")
	case counters[0] == counters[1]:
		d = shown("counter-constant", "its counter stays the same: the nonce is used twice, which gives the key away",
			"MSG-14")
	default:
		d = unknown("its counters are not 0, 1, 2", "MSG-14")
	}
	d.Parting = &Parting{Step: "transport", Name: "third counter", Expected: binary.LittleEndian.AppendUint64(nil, 2),
		Actual: last[8:16]}
	l.fail(d.of(last), all[2], fmt.Sprintf("counters 0, 1, 2 on session %08x", s.local), fmt.Sprint(counters))
}

func askSendOpens(l *lab) {
	s, all := l.sends(2)
	for k := range all { // the second one first: at counter 0 all nonces are alike
		g := all[len(all)-1-k]
		if _, ok := s.from.open(nil, g.Bytes); ok {
			continue
		}
		d, _ := readTransport(&s.from, g.Bytes)
		d.Steps = s.handshake
		l.fail(d, g, "a transport message that opens", "one that does not")
	}
}

func askSendPadding(l *lab) {
	s := l.confirmed()
	for _, length := range []int{69, 80} {
		packet := l.outbound(length)
		g := l.fetch(packet)
		if g == nil || g.Kind != peer.KindTransport {
			l.fail(nil, g, "a transport message, as before", l.describe(g))
		}
		plain, ok := s.from.open(nil, g.Bytes)
		if !ok {
			l.fail(nil, g, "a transport message that opens, as before", "one that does not")
		}
		l.judgePadding(g, packet, plain)
	}
}

func (l *lab) judgePadding(g *conformance.Got, packet, plain []byte) {
	want := pad(packet)
	if bytes.Equal(plain, want) {
		return
	}
	extra := len(plain) - len(packet)
	var d *Diagnosis
	switch {
	case !bytes.HasPrefix(plain, packet):
		d = shown("plain-wrong", "what it seals is not the inner packet as it was given", "PAD-01")
	case extra == 0:
		d = shown("padding-missing", "it does not pad", "PAD-01")
	case len(plain) == len(want):
		d = shown("padding-content", "its padding is not zero", "PAD-04")
	case len(packet)%16 == 0 && extra == 16:
		d = shown("padding-block", "it adds a whole block to what needs none", "PAD-01")
	case (len(plain)+16)%16 != 0 && (len(plain)+32)%16 == 0:
		d = shown("padding-of-message", "it pads the message instead of the plaintext", "PAD-01")
	default:
		d = shown("padding-length", fmt.Sprintf("it adds %d bytes of padding instead of %d", extra, -len(packet)&15),
			"PAD-01")
	}
	d.Parting = &Parting{Step: "transport", Name: "plain", Expected: want, Actual: plain}
	l.fail(d.of(g.Bytes), g, fmt.Sprintf("a packet of %d bytes in a plaintext of %d", len(packet), len(want)),
		fmt.Sprintf("a plaintext of %d", len(plain)))
}
