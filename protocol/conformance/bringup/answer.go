package bringup

import (
	"bytes"
	"fmt"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// answerQuestions are about the response: the tester initiates, so it can compute all of it.
var answerQuestions = []Question{
	{ID: "answer/any", Title: "A right initiation is answered", Rules: rules("HS-03"), ask: askAnswer},
	{ID: "answer/type", Title: "The answer begins with 02 00 00 00", Rules: rules("MSG-01", "MSG-02"), ask: askType},
	{ID: "answer/length", Title: "A response has 92 bytes", Rules: rules("MSG-06"), ask: askLength},
	{ID: "answer/receiver-index", Title: "It carries the initiation's sender index, little-endian",
		Rules: rules("HS-07", "MSG-10"), ask: askReceiver},
	{ID: "answer/sender-index", Title: "It carries an index of its own, another one each time",
		Rules: rules("HS-07", "KEY-02"), ask: askSender},
	{ID: "answer/ephemeral", Title: "It carries an ephemeral public key, another one each time",
		Rules: rules("CRYPTO-13"), ask: askEphemeral},
	{ID: "answer/mac1", Title: "mac1 of the response is right", Rules: rules("COOKIE-01", "CRYPTO-05"), ask: askMAC1},
	{ID: "answer/mac2", Title: "mac2 of the response is zero without a cookie", Rules: rules("COOKIE-04"), ask: askMAC2},
	{ID: "answer/empty", Title: "The encrypted empty field opens: the key schedule is right",
		Rules: rules("CRYPTO-04", "CRYPTO-14"), ask: askEmpty},
	{ID: "answer/psk", Title: "So it does with a preshared key", Rules: rules("CRYPTO-14"), ask: askEmpty, psk: true},
}

func askAnswer(l *lab) {
	i, g := l.begin()
	if g == nil {
		l.fail(l.silent(i), nil, "an answer to a right initiation", l.describe(nil))
	}
}

// silent finds out why there is no answer.
func (l *lab) silent(i *peer.Initiation) *Diagnosis {
	if d := l.probeInitiations(); d != nil {
		return d
	}
	if d := l.listen(); d != nil {
		if len(d.Codes) > 0 {
			d.Evidence = "it makes the same mistake in its own initiation: " + d.Evidence
		} else {
			d.Evidence = "its own initiation is wrong too, and " + d.Evidence
		}
		return d
	}
	d := unknown("it answers no initiation: neither a right one nor one with any known mistake. Does it listen on that "+
		"port, and is the tester's key one of its peers?", "HS-03")
	d.Steps = climb(nil, asInitiator(l.me(), i, nil), false).steps
	return d.of(i.Bytes)
}

// listen makes the subject initiate, where that is possible, and judges what it sends; nil: nothing, or nothing wrong.
func (l *lab) listen() *Diagnosis {
	if l.Caps.Has&conformance.NeedInner == 0 {
		return nil
	}
	l.Inject(l.p.Outbound())
	g := l.first()
	if g == nil || g.Kind != peer.KindInitiation {
		return nil
	}
	if d := readMAC1(l.me(), g.Bytes); d != nil {
		return d
	}
	if d, _ := readInitiation(l.me(), g.Bytes); d != nil {
		return d
	}
	return readTimestamp(l.me(), g.Bytes, l.wall())
}

func askType(l *lab) {
	i, g := l.begin()
	if d := judgeType(g, i, peer.KindResponse); d != nil {
		l.fail(d, g, "a datagram that begins with 02 00 00 00", opening(g))
	}
}

func opening(g *conformance.Got) string {
	if g == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes that begin with % x", len(g.Bytes), g.Bytes[:min(4, len(g.Bytes))])
}

// judgeType looks at the first four bytes; i is what was sent, nil: nothing.
func judgeType(g *conformance.Got, i *peer.Initiation, want peer.Kind) (d *Diagnosis) {
	if g == nil {
		return unknown("it answered before and does not now: does it answer once only?", "HS-03")
	}
	b := g.Bytes
	head := append(bytes.Clone(b[:min(4, len(b))]), 0, 0, 0, 0)[:4]
	switch {
	case bytes.Equal(head, []byte{byte(want), 0, 0, 0}):
		return nil
	case bytes.Equal(head, []byte{0, 0, 0, byte(want)}):
		d = named(mistakes{"type-big-endian"}, "the bytes are the right ones in the other order")
	case i != nil && bytes.Equal(b, i.Bytes):
		d = shown("type-echo", "it sends the initiation back as it is", "MSG-01")
	case head[0] == byte(want):
		d = shown("reserved", "the three bytes after the type are not zero", "MSG-02")
	case head[0] == byte(peer.KindCookieReply):
		d = shown("cookie-at-once", "it asks for a cookie though it is not under load: without load mac2 is not looked at",
			"COOKIE-03", "COOKIE-12")
	case head[0] == byte(peer.KindTransport):
		d = shown("type-transport", "it sends a transport message where a handshake message is due", "MSG-01", "HS-16")
	default:
		d = shown("type", fmt.Sprintf("the type is %d: a %v has type %d", head[0], want, byte(want)), "MSG-01")
	}
	d.Parting = &Parting{Step: "header", Name: "type, reserved", Expected: Hex{byte(want), 0, 0, 0}, Actual: head}
	return d.of(b)
}

func askLength(l *lab) {
	_, g := l.begin()
	if d := judgeLength(g, peer.KindResponse, peer.ResponseLength); d != nil {
		l.fail(d, g, "a response of 92 bytes", opening(g))
	}
}

// judgeLength explains a handshake message of the wrong length.
func judgeLength(g *conformance.Got, kind peer.Kind, want int) *Diagnosis {
	if g == nil {
		return unknown("it answered before and does not now", "HS-03")
	}
	n := len(g.Bytes)
	rule := map[peer.Kind]string{peer.KindInitiation: "MSG-05", peer.KindResponse: "MSG-06"}[kind]
	why := map[int]string{
		-32: "mac1 and mac2 are missing, 16 bytes each",
		-16: "16 bytes are missing: mac2 is there without a cookie too, as zeros; and each sealed field has a tag",
		-4:  "4 bytes are missing: an index has 32 bits, and a response has two",
		-3:  "3 bytes are missing: three reserved bytes follow the type",
		+12: "12 bytes too many: a timestamp in the response? Its payload is empty",
		+16: "16 bytes too many: is a mac or a tag there twice, or an empty field padded?",
		+32: "32 bytes too many: macs of 32 bytes instead of 16?",
		+4:  "4 bytes too many: is a length or an index there twice?",
		+28: "28 bytes too many: a timestamp field in the response? Its payload is empty",
	}[n-want]
	if n == want {
		return nil
	}
	if why == "" {
		why = "compare the fields below with the layout of the message"
	}
	d := shown("length", fmt.Sprintf("the %v has %d bytes instead of %d: %s", kind, n, want, why), rule)
	return d.of(g.Bytes)
}

func askReceiver(l *lab) {
	i, g := l.responded()
	own := map[uint32]string{peer.Sender(g.Bytes): "its own index, which belongs into the sender index"}
	d := checkIndex("receiver index", peer.Receiver(g.Bytes), i.Index, own, g.Bytes)
	if d == nil {
		return
	}
	if s := peer.Sender(g.Bytes); s == i.Index || s == swap32(i.Index) {
		d = named(mistakes{"index-order"}, "the bytes show it").of(g.Bytes)
		d.Parting = &Parting{Step: "header", Name: "receiver index", Expected: indexBytes(i.Index),
			Actual: indexBytes(peer.Receiver(g.Bytes))}
	}
	l.fail(d, g, fmt.Sprintf("receiver index %x", []byte(indexBytes(i.Index))),
		fmt.Sprintf("%x", g.Bytes[8:12]))
}

// twice gives two responses with their initiations.
func (l *lab) twice() (i [2]*peer.Initiation, g [2]*conformance.Got) {
	for k := range 2 {
		i[k], g[k] = l.responded()
		l.Wait(apart)
	}
	return i, g
}

func askSender(l *lab) {
	i, g := l.twice()
	first, second := peer.Sender(g[0].Bytes), peer.Sender(g[1].Bytes)
	var d *Diagnosis
	switch {
	case first == i[0].Index && second == i[1].Index:
		d = shown("sender-echo", "its sender index is the initiator's: it has to be one of its own", "HS-07")
	case first == second:
		d = shown("sender-constant", "its sender index is the same for two handshakes: each needs another", "KEY-02")
	default:
		return
	}
	l.fail(d.of(g[1].Bytes), g[1], "a sender index of its own for each response",
		fmt.Sprintf("%08x, then %08x", first, second))
}

func askEphemeral(l *lab) {
	i, g := l.twice()
	for k := range 2 {
		e := peer.Key(g[k].Bytes[12:44])
		var d *Diagnosis
		switch {
		case e == peer.Key{}:
			d = shown("ephemeral-missing", "the ephemeral field is zero", "CRYPTO-13")
		case e == i[k].Ephemeral.Public:
			d = shown("ephemeral-echo", "the ephemeral field repeats the initiator's ephemeral key", "HS-03")
		case e == l.me().Remote:
			d = shown("ephemeral-static", "the ephemeral field holds its static public key", "CRYPTO-13")
		case k == 1 && e == peer.Key(g[0].Bytes[12:44]):
			d = shown("ephemeral-constant", "the ephemeral key is the same for two handshakes: it has to be fresh",
				"CRYPTO-13")
		case product(l.me().Static.Private, e) == peer.Key{}:
			d = shown("ephemeral-low-order", "the ephemeral field holds a point of low order", "CRYPTO-11")
		default:
			continue
		}
		d.Parting = &Parting{Step: "e2", Name: "Er", Actual: e[:]}
		l.fail(d.of(g[k].Bytes), g[k], "a fresh ephemeral public key", fmt.Sprintf("%x", e))
	}
}

func askMAC1(l *lab) {
	_, g := l.responded()
	if d := readMAC1(l.me(), g.Bytes); d != nil {
		l.fail(d, g, "the mac1 of these bytes for the tester's key", fmt.Sprintf("%x", peer.MAC1(g.Bytes)))
	}
}

func askMAC2(l *lab) {
	_, g := l.responded()
	l.judgeMAC2(g)
}

// judgeMAC2 fails unless mac2 of a message is zero.
func (l *lab) judgeMAC2(g *conformance.Got) {
	got := peer.MAC2(g.Bytes)
	if got == [16]byte{} {
		return
	}
	d := shown("mac2", "mac2 is not zero although the tester gave no cookie", "COOKIE-04")
	if got == peer.MAC(make([]byte, 16), g.Bytes[:len(g.Bytes)-16]) {
		d = shown("mac2-zero-cookie", "mac2 is computed with a cookie of zeros: without a cookie mac2 itself is zero",
			"COOKIE-04")
	}
	d.Parting = &Parting{Step: "mac2", Name: "mac2", Expected: make(Hex, 16), Actual: got[:]}
	l.fail(d.of(g.Bytes), g, "16 zero bytes as mac2", fmt.Sprintf("%x", got))
}

func askEmpty(l *lab) {
	i, g := l.responded()
	if d, _ := readResponse(l.me(), i, g.Bytes); d != nil {
		l.fail(d, g, "a response whose encrypted empty field opens", "one that does not")
	}
}
