package bringup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// initiateQuestions have the subject as initiator: an inner packet makes it begin.
var initiateQuestions = []Question{
	{ID: "initiate/any", Title: "An inner packet brings an initiation of 148 bytes",
		Rules: rules("HS-01", "MSG-05"), Needs: needIn, ask: askInitiation},
	{ID: "initiate/mac1", Title: "mac1 of the initiation is right, and mac2 zero", Rules: rules("COOKIE-01", "COOKIE-04"),
		Needs: needIn, ask: askInitiationMACs},
	{ID: "initiate/static", Title: "The encrypted static opens, and is its public key", Rules: rules("HS-02"),
		Needs: needIn, ask: askStatic},
	{ID: "initiate/timestamp", Title: "The encrypted timestamp opens, and is TAI64N of now",
		Rules: rules("TAI-01", "TAI-08"), Needs: needIn, ask: askTimestamp},
	{ID: "initiate/response", Title: "It takes the response, and sends what waits",
		Rules: rules("HS-14", "MSG-15"), Needs: needIn, ask: askResponse},
	{ID: "initiate/psk", Title: "So it does with a preshared key", Rules: rules("CRYPTO-14"), Needs: needIn,
		ask: askResponse, psk: true},
	{ID: "initiate/again", Title: "Unanswered, it initiates again after 5 s, all new",
		Rules: rules("HS-20", "TIMER-01"), Needs: needIn, ask: askAgain},
	{ID: "initiate/cookie", Title: "After a cookie reply the next initiation has mac2",
		Rules: rules("COOKIE-05", "COOKIE-06"), Needs: needIn, ask: askCookie},
}

// initiation makes the subject initiate.
func (l *lab) initiation() *conformance.Got {
	g := l.fetch(l.outbound(80))
	if g == nil || g.Kind != peer.KindInitiation {
		l.fail(nil, g, "an initiation, as before", l.describe(g))
	}
	return g
}

func askInitiation(l *lab) {
	g := l.fetch(l.outbound(80))
	var d *Diagnosis
	if g == nil {
		d = unknown("an inner packet to the peer brings no initiation. Is the destination in the allowed IPs of the peer, "+
			"and is its endpoint known?", "HS-01")
	} else if d = judgeType(g, nil, peer.KindInitiation); d == nil {
		d = judgeLength(g, peer.KindInitiation, peer.InitiationLength)
	}
	if d != nil {
		l.fail(d, g, "148 bytes that begin with 01 00 00 00", opening(g))
	}
}

func askInitiationMACs(l *lab) {
	g := l.initiation()
	if d := readMAC1(l.me(), g.Bytes); d != nil {
		l.fail(d, g, "the mac1 of these bytes for the tester's key", fmt.Sprintf("%x", peer.MAC1(g.Bytes)))
	}
	l.judgeMAC2(g)
}

func askStatic(l *lab) {
	g := l.initiation()
	d, ladder := readInitiation(l.me(), g.Bytes)
	if d != nil && !ladder.opened.static || d != nil && len(ladder.mistakes) > 0 {
		l.fail(d, g, "an initiation whose encrypted static opens", "one whose fields do not open")
	}
	if d := readStatic(l.me(), ladder.plain.static); d != nil {
		l.fail(d.of(g.Bytes), g, fmt.Sprintf("the key %x", l.me().Remote), fmt.Sprintf("%x", ladder.plain.static))
	}
}

func askTimestamp(l *lab) {
	g := l.initiation()
	if d, _ := readInitiation(l.me(), g.Bytes); d != nil {
		l.fail(d, g, "an initiation whose encrypted timestamp opens", "one that does not")
	}
	if d := readTimestamp(l.me(), g.Bytes, l.wall()); d != nil {
		l.fail(d, g, "TAI64N of about "+l.wall().UTC().Format(time.RFC3339), fmt.Sprintf("%x", []byte(d.Parting.Actual)))
	}
}

// readTimestamp judges the timestamp of an initiation that opens; nil: it is right.
func readTimestamp(me *peer.Party, b []byte, now time.Time) *Diagnosis {
	r, err := me.Read(b)
	if err != nil {
		return nil
	}
	const slack = uint64(3600) // the clocks of two machines
	near := func(seconds uint64) bool { return seconds-uint64(now.Unix())+slack <= 2*slack }
	label, nanos := binary.BigEndian.Uint64(r.Timestamp[:]), binary.BigEndian.Uint32(r.Timestamp[8:])
	little := binary.LittleEndian.Uint64(r.Timestamp[:])
	const base, tai = uint64(1) << 62, uint64(10)
	var d *Diagnosis
	switch {
	case near(label-base-tai) && nanos < 1e9:
		return nil
	case near(label - base - tai):
		d = shown("timestamp-nanoseconds", fmt.Sprintf("the nanoseconds of the timestamp are %d: they are less than 10^9, "+
			"and big-endian", nanos), "TAI-01")
	case near(label):
		d = named(mistakes{"timestamp-unix"}, "the bytes show it")
	case near(little - base - tai), near(little), near(little - base):
		d = named(mistakes{"timestamp-little-endian"}, "the bytes show it")
	case near(label / 1000), near((label - base) / 1000), near((label - base - tai) / 1000):
		d = named(mistakes{"timestamp-milliseconds"}, "the bytes show it")
	case near(label>>32) || near(label&0xffffffff):
		d = shown("timestamp-width", "the seconds of the timestamp have 4 bytes: they have 8, with 2^62 + 10 added", "TAI-01")
	case label >= base && label-base < 1<<34 && nanos < 1e9:
		return nil // the form is right: the clock of a small device begins where it likes
	case r.Timestamp == peer.Timestamp{}:
		d = shown("timestamp-zero", "the timestamp is zero", "TAI-01")
	default:
		d = unknown("the timestamp is not that of about now: is the clock right?", "TAI-01", "TAI-08")
	}
	want := peer.TAI64N(now)
	d.Parting = &Parting{Step: "timestamp", Name: "plain", Expected: want[:], Actual: bytes.Clone(r.Timestamp[:])}
	return d.of(b)
}

// askResponse completes the handshake of the subject.
func askResponse(l *lab) {
	packet := l.outbound(80)
	g := l.fetch(packet)
	if g == nil || g.Initiation == nil {
		l.fail(nil, g, "an initiation, as before", l.describe(g))
	}
	r, _ := l.p.Respond(g, peer.Spec{})
	l.p.Send(r.Bytes)
	first := l.first()
	if first == nil || first.Kind == peer.KindInitiation {
		d := l.untaken(g, r)
		l.fail(d, first, "the packet that waits, in a transport message", l.describe(first))
	}
	if first.Kind != peer.KindTransport {
		l.fail(judgeType(first, nil, peer.KindTransport), first, "a transport message", opening(first))
	}
	x := asResponder(l.me(), g.Bytes, r.Ephemeral)
	x.empty = r.Bytes[44:60]
	s := sharedBy(climb(nil, x, true), climb(mistakes{"keys-from-hash"}, x, true), g.Sender(), r.Index)
	from := tunnel{key: s.to.key, back: s.to.back, single: s.to.back, hash: s.to.hash, receiver: r.Index}
	l.judgeFirst(first, &from, g.Sender(), packet, s.handshake)
}

// untaken finds out why a right response is not taken.
func (l *lab) untaken(g *conformance.Got, r *peer.Response) *Diagnosis {
	packet := l.inbound(80)
	s := &shared{to: tunnel{key: r.Session.SendKey, receiver: g.Sender()}}
	if l.takes(s, nil, 0, packet) {
		return did("initiator-silent", "it takes the response and receives on the session, but sends nothing: the packets "+
			"that wait, or else a keepalive, are due at once", "HS-14").of(r.Bytes)
	}
	if d := l.probeResponses(g.Bytes); d != nil {
		return d
	}
	x := asResponder(l.me(), g.Bytes, r.Ephemeral)
	x.empty = r.Bytes[44:60]
	d := unknown("it takes neither a right response nor one with any known mistake. Does it find its handshake by the "+
		"receiver index, and is the preshared key the same?", "HS-08", "HS-14")
	d.Steps = climb(nil, x, true).steps
	return d.of(r.Bytes)
}

// judgeFirst judges the first transport message of the subject as initiator.
func (l *lab) judgeFirst(g *conformance.Got, from *tunnel, own uint32, packet []byte, steps []Step) {
	others := map[uint32]string{own: "its own index: it has to be the one that the receiver chose"}
	if d := checkIndex("receiver index", peer.Receiver(g.Bytes), from.receiver, others, g.Bytes); d != nil {
		l.fail(d, g, fmt.Sprintf("receiver index %x", []byte(indexBytes(from.receiver))), fmt.Sprintf("%x", g.Bytes[4:8]))
	}
	if c := peer.Counter(g.Bytes); c != 0 {
		d := shown("counter-starts-at-one", fmt.Sprintf("its first counter is %d: a session begins at 0", c), "MSG-14")
		d.Parting = &Parting{Step: "transport", Name: "counter", Expected: make(Hex, 8), Actual: g.Bytes[8:16]}
		l.fail(d.of(g.Bytes), g, "counter 0", fmt.Sprint(c))
	}
	plain, ok := from.open(nil, g.Bytes)
	if !ok {
		d, _ := readTransport(from, g.Bytes)
		d.Steps = steps
		l.fail(d, g, "a transport message that opens", "one that does not")
	}
	if len(plain) != 0 && !bytes.Equal(plain, pad(packet)) {
		l.judgePadding(g, packet, plain)
	}
}

func askAgain(l *lab) {
	first := l.initiation()
	l.Wait(3 * time.Second)
	again := l.wait(conformance.Initiation.To(l.p), 5*time.Second)
	if len(again) == 0 {
		l.fail(unknown("an unanswered initiation is not repeated", "TIMER-01"), nil, "another initiation after 5 s to 5.9 s",
			"none within 8 s")
	}
	g := again[0]
	var d *Diagnosis
	switch {
	case first.Initiation == nil || g.Initiation == nil:
		l.fail(nil, g, "initiations that open, as before", "one that does not")
	case bytes.Equal(first.Bytes, g.Bytes):
		d = shown("again-same", "the same initiation is sent again: it needs another ephemeral key, index and timestamp, or "+
			"its receiver takes it for a replay", "HS-20")
	case bytes.Equal(first.Bytes[8:40], g.Bytes[8:40]):
		d = shown("again-ephemeral", "the repeated initiation has the same ephemeral key", "HS-20")
	case first.Sender() == g.Sender():
		d = shown("again-index", "the repeated initiation has the same sender index", "HS-20")
	case bytes.Compare(first.Initiation.Timestamp[:], g.Initiation.Timestamp[:]) >= 0:
		d = shown("again-timestamp", "the timestamp of the repeated initiation is not greater", "HS-20", "TAI-06")
	default:
		return
	}
	l.fail(d.of(g.Bytes), g, "an initiation that is new in ephemeral key, index and timestamp", g.String())
}

// cookieMistakes are ways to seal a cookie reply wrongly, which a subject may open it by.
var cookieMistakes = []struct{ code, text string }{
	{"", ""},
	{"cookie-label", `the key of cookie replies is made with the label "mac1----": it is "cookie--"`},
	{"cookie-own", "the key of cookie replies is made of the receiver's own public key: it is that of the issuer"},
	{"cookie-no-ad", "cookie replies are opened without additional data: it is mac1 of the message that is answered"},
	{"cookie-mac2-ad", "cookie replies are opened with mac2 as additional data: it is mac1"},
	{"cookie-short-nonce", "cookie replies are opened with ChaCha20-Poly1305 and 12 bytes of the nonce: it is XChaCha20 " +
		"with 24"},
}

// cookieReply answers a message with a cookie, with a mistake.
func (l *lab) cookieReply(g *conformance.Got, code string, cookie []byte) []byte {
	me, nonce, mac1 := l.me(), l.Nonce(), peer.MAC1(g.Bytes)
	key, ad := peer.LabelKey(peer.LabelCookie, me.Static.Public), mac1[:]
	switch code {
	case "cookie-label":
		key = peer.LabelKey(peer.LabelMAC1, me.Static.Public)
	case "cookie-own":
		key = peer.LabelKey(peer.LabelCookie, me.Remote)
	case "cookie-no-ad":
		ad = nil
	case "cookie-mac2-ad":
		ad = make([]byte, 16)
	}
	b := append(mistakes(nil).header(peer.KindCookieReply, g.Sender()), nonce[:]...)
	if code == "cookie-short-nonce" {
		return aeadOf(key[:]).Seal(b, nonce[:12], cookie, ad)
	}
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		l.Broken("%v", err) // only for a key of another size
	}
	return a.Seal(b, nonce[:], cookie, ad)
}

// askCookie answers an initiation with a cookie and looks at the next one.
func askCookie(l *lab) {
	g := l.initiation()
	cookie := bytes.Repeat([]byte{0xc0}, 16)
	l.p.Send(l.cookieReply(g, "", cookie))
	next := l.following()
	if peer.CheckMAC2(next.Bytes, cookie) {
		return
	}
	got := peer.MAC2(next.Bytes)
	at := len(next.Bytes) - 16
	want := peer.MAC(cookie, next.Bytes[:at])
	p := &Parting{Step: "mac2", Formula: "mac2 = M(cookie, message before mac2)", Name: "mac2", Expected: want[:],
		Actual: got[:]}
	expected, actual := "mac2 made with the cookie", fmt.Sprintf("%x", got)
	if got != [16]byte{} {
		d := unknown("mac2 is not made with the cookie of the reply", "COOKIE-05")
		if r, ok := findMAC(next.Bytes, at, l.me().Remote, l.me().Static.Public, cookie); ok {
			code, text := r.diagnosis("mac2", at)
			d = &Diagnosis{Codes: []string{code}, Cause: text, Evidence: "computed so, mac2 is the one in its message",
				Rules: []string{"COOKIE-05"}}
		}
		d.Parting = p
		l.fail(d.of(next.Bytes), next, expected, actual)
	}
	d := l.probeCookies(next)
	d.Parting = p
	l.fail(d.of(next.Bytes), next, expected, actual)
}

// following waits for the initiation after one.
func (l *lab) following() *conformance.Got {
	l.Wait(2 * time.Second)
	got := l.wait(conformance.Initiation.To(l.p), 6*time.Second)
	if len(got) == 0 {
		l.fail(unknown("after a cookie reply it does not initiate again", "COOKIE-09"), nil, "another initiation after 5 s",
			"none within 8 s")
	}
	return got[0]
}

// probeCookies sends cookie replies with every mistake, each with another cookie, and looks which one is used.
func (l *lab) probeCookies(g *conformance.Got) *Diagnosis {
	cookies := map[string][]byte{}
	for i, m := range cookieMistakes[1:] {
		cookies[m.code] = bytes.Repeat([]byte{byte(i + 1)}, 16)
		l.p.Send(l.cookieReply(g, m.code, cookies[m.code]))
	}
	next := l.following()
	for _, m := range cookieMistakes[1:] {
		if peer.CheckMAC2(next.Bytes, cookies[m.code]) {
			return &Diagnosis{Codes: []string{m.code}, Cause: m.text, Rules: []string{"COOKIE-06", "CRYPTO-09"},
				Evidence: "it uses the cookie of a reply with this mistake in it, and not that of the right one"}
		}
	}
	return unknown("it does not use the cookie of a right reply, nor of one with any known mistake", "COOKIE-05",
		"COOKIE-06")
}
