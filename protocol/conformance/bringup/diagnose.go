package bringup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/crypto/curve25519"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// A Diagnosis says why an answer is wrong.
type Diagnosis struct {
	// Codes of the mistakes, one but for those that can only be told together; empty: none of the known ones.
	Codes    []string `json:"codes"`
	Cause    string   `json:"cause"`    // what the subject does, and what it should do
	Evidence string   `json:"evidence"` // how one knows
	Rules    []string `json:"rules"`
	// Parting is the first intermediate value at which right and wrong part; nil if no value is computed from others.
	Parting *Parting `json:"parting,omitempty"`
	// Message is what was looked at, and Fields its parts.
	Message Hex          `json:"message,omitempty"`
	Probe   bool         `json:"probe,omitempty"` // the message is the tester's, with the mistake in it
	Fields  []peer.Field `json:"fields,omitempty"`
	// Steps is the key schedule as it should be, for comparison with what the subject can print.
	Steps []Step `json:"steps,omitempty"`
}

// Parting is a value that should be one thing and is another.
type Parting struct {
	Step     string `json:"step"`
	Formula  string `json:"formula,omitempty"`
	Name     string `json:"name"`
	Expected Hex    `json:"expected"`
	Actual   Hex    `json:"actual"`
}

func (d *Diagnosis) of(message []byte) *Diagnosis {
	d.Message, d.Fields = message, peer.Fields(message)
	return d
}

// named is a diagnosis by mistakes of the table.
func named(m mistakes, evidence string) *Diagnosis {
	d := &Diagnosis{Evidence: evidence}
	var texts []string
	for _, code := range m {
		c := causeOf(code)
		d.Codes, texts, d.Rules = append(d.Codes, code), append(texts, c.Text), append(d.Rules, c.Rules...)
	}
	d.Cause = strings.Join(texts, "; and ")
	return d
}

// shown is a diagnosis that the bytes show without a trial.
func shown(code, cause string, rules ...string) *Diagnosis {
	return &Diagnosis{Codes: []string{code}, Cause: cause, Evidence: "the bytes show it", Rules: rules}
}

// did is a diagnosis of behaviour.
func did(code, cause string, rules ...string) *Diagnosis {
	d := shown(code, cause, rules...)
	d.Evidence = "what it does shows it"
	return d
}

// unknown is the diagnosis if nothing known explains the bytes.
func unknown(cause string, rules ...string) *Diagnosis {
	return &Diagnosis{Codes: []string{}, Cause: cause, Evidence: "none of the known mistakes explains it", Rules: rules}
}

// product is X25519; zeros for a point of low order.
func product(private, public peer.Key) (out peer.Key) {
	if b, err := curve25519.X25519(private[:], public[:]); err == nil {
		out = peer.Key(b)
	}
	return out
}

// asInitiator is the exchange of a handshake that the tester began; response may be nil.
func asInitiator(me *peer.Party, i *peer.Initiation, response []byte) exchange {
	x := exchange{si: me.Static.Public, sr: me.Remote, ei: i.Ephemeral.Public, psk: me.PSK,
		es: product(i.Ephemeral.Private, me.Remote), ss: product(me.Static.Private, me.Remote),
		static: i.Bytes[40:88], when: i.Bytes[88:116], stamp: i.Timestamp[:]}
	if len(response) == peer.ResponseLength {
		x.er, x.empty = peer.Key(response[12:44]), response[44:60]
		x.ee, x.se = product(i.Ephemeral.Private, x.er), product(me.Static.Private, x.er)
	}
	return x
}

// asResponder is the exchange of a handshake that the subject began.
func asResponder(me *peer.Party, initiation []byte, ephemeral peer.Pair) exchange {
	ei := peer.Key(initiation[8:40])
	return exchange{si: me.Remote, sr: me.Static.Public, ei: ei, er: ephemeral.Public, psk: me.PSK,
		es: product(me.Static.Private, ei), ss: product(me.Static.Private, me.Remote),
		ee: product(ephemeral.Private, ei), se: product(ephemeral.Private, me.Remote),
		static: initiation[40:88], when: initiation[88:116]}
}

// climb computes the key schedule of an exchange with mistakes, up to the end of the initiation or to the end.
func climb(m mistakes, x exchange, toTheEnd bool) *ladder {
	l := &ladder{mistakes: m}
	l.initiation(&x)
	if toTheEnd {
		l.response(&x)
	}
	return l
}

// search looks for the mistakes with which a key schedule fits the bytes: one of the table, or two of it.
func search(parts []part, fits func(mistakes) bool) mistakes {
	all := in(parts...)
	for _, c := range all {
		if m := (mistakes{c.Code}); fits(m) {
			return m
		}
	}
	for i, c := range all {
		for _, other := range all[i+1:] {
			if m := (mistakes{c.Code, other.Code}); fits(m) {
				return m
			}
		}
	}
	return nil
}

// readInitiation judges the encrypted fields of the subject's initiation; nil: they are right.
func readInitiation(me *peer.Party, b []byte) (*Diagnosis, *ladder) {
	x := asResponder(me, b, peer.Pair{})
	right := climb(nil, x, false)
	if right.opened.static && right.opened.when {
		return nil, right
	}
	m := search([]part{inStart}, func(m mistakes) bool {
		l := climb(m, x, false)
		return l.opened.static && l.opened.when
	})
	if m == nil && !right.opened.static { // what spoils the timestamp too is not known
		m = search([]part{inStart}, func(m mistakes) bool { return climb(m, x, false).opened.static })
	}
	where := "encrypted timestamp"
	if !right.opened.static {
		where = "encrypted static"
	}
	if m == nil {
		d := unknown("the "+where+" of its initiation does not open: compare the values below with its own", "HS-02")
		d.Parting = wrongField(me, x, right)
		d.Steps = right.steps
		return d.of(b), right
	}
	wrong := climb(m, x, false)
	d := named(m, "with this the "+where+" of its initiation opens, as its tag of 128 bits says")
	if !wrong.opened.when {
		d.Evidence += "; its timestamp does not, for another reason"
	}
	d.Parting, d.Steps = parting(right.steps, wrong.steps), right.steps
	return d.of(b), wrong
}

// wrongField compares the field that does not open with what it should be: the static key is known, the timestamp not.
func wrongField(me *peer.Party, x exchange, right *ladder) *Parting {
	if right.opened.static {
		return nil
	}
	made := x
	made.static, made.when, made.stamp = nil, nil, make([]byte, 12)
	l := climb(nil, made, false)
	for _, s := range l.steps {
		if s.Name == "static" {
			return &Parting{Step: s.Name, Formula: s.Formula, Name: "field", Expected: s.Field, Actual: x.static}
		}
	}
	return nil
}

// readStatic judges what is in the static field; nil: it is the subject's key.
func readStatic(me *peer.Party, got []byte) *Diagnosis {
	reversed := bytes.Clone(me.Remote[:])
	for i := range 16 {
		reversed[i], reversed[31-i] = reversed[31-i], reversed[i]
	}
	var d *Diagnosis
	switch {
	case bytes.Equal(got, me.Remote[:]):
		return nil
	case bytes.Equal(got, me.Static.Public[:]):
		d = shown("static-of-peer", "the static field holds the receiver's public key: it has to be its own", "HS-02")
	case bytes.Equal(got, reversed):
		d = shown("static-reversed", "the static field holds its public key in the wrong byte order", "HS-02")
	case peer.PairOf(peer.Key(got)).Public == me.Remote:
		d = shown("static-private", "the static field holds its PRIVATE key: it has to be the public one", "HS-02")
	default:
		d = unknown("the static field holds a key that is not its own", "HS-02")
	}
	d.Parting = &Parting{Step: "static", Name: "plain", Expected: me.Remote[:], Actual: got}
	return d
}

// readResponse judges the encrypted field of the subject's response; nil: it is right.
func readResponse(me *peer.Party, i *peer.Initiation, b []byte) (*Diagnosis, *ladder) {
	x := asInitiator(me, i, b)
	right := climb(nil, x, true)
	if right.opened.empty {
		return nil, right
	}
	// It has read the initiation, so what shows there already would have to be a mistake of its response alone.
	m := search([]part{inResponse, inStart}, func(m mistakes) bool { return climb(m, x, true).opened.empty })
	if m == nil {
		m = search([]part{inResponse, inStart}, func(m mistakes) bool { return mixed(m, x).opened.empty })
	}
	if m == nil {
		made := x
		made.empty = nil
		l := climb(nil, made, true)
		last := l.steps[len(l.steps)-2]
		d := unknown("the encrypted empty field of its response does not open: compare the values below with its own",
			"HS-03", "CRYPTO-14")
		d.Parting = &Parting{Step: last.Name, Formula: last.Formula, Name: "field", Expected: last.Field, Actual: x.empty}
		d.Steps = right.steps
		return d.of(b), right
	}
	wrong := climb(m, x, true)
	if !wrong.opened.empty {
		wrong = mixed(m, x)
	}
	d := named(m, "with this the encrypted empty field of its response opens, as its tag of 128 bits says")
	d.Parting, d.Steps = parting(right.steps, wrong.steps), right.steps
	return d.of(b), wrong
}

// mixed computes the initiation rightly and only the response with mistakes.
func mixed(m mistakes, x exchange) *ladder {
	l := &ladder{}
	l.initiation(&x)
	l.mistakes = m
	l.response(&x)
	return l
}

// readMAC1 judges mac1 of a handshake message of the subject; nil: it is right.
func readMAC1(me *peer.Party, b []byte) *Diagnosis {
	if peer.CheckMAC1(b, me.Static.Public) {
		return nil
	}
	at := mac1At(len(b))
	right := macRule{}
	want := right.sum(right.macKey(me.Remote, me.Static.Public), b[:at])
	r, ok := findMAC(b, at, me.Remote, me.Static.Public, nil)
	p := &Parting{Step: "mac1", Formula: `mac1 = M(H("mac1----" ‖ public key of the receiver), message before mac1)`,
		Name: "mac1", Expected: want, Actual: b[at : at+16]}
	if !ok {
		d := unknown("mac1 of its message is wrong", "COOKIE-01", "CRYPTO-05")
		if bytes.Equal(b[at:at+16], make([]byte, 16)) {
			d = shown("mac1-missing", "mac1 is not computed: it is zero", "COOKIE-01")
		}
		d.Parting = p
		return d.of(b)
	}
	code, text := r.diagnosis("mac1", at)
	d := &Diagnosis{Codes: []string{code}, Cause: text, Evidence: "computed so, mac1 is the one in its message",
		Rules: []string{"COOKIE-01", "CRYPTO-03", "CRYPTO-05"}, Parting: p}
	if wrong := r.macKey(me.Remote, me.Static.Public); !bytes.Equal(wrong, right.macKey(me.Remote, me.Static.Public)) {
		d.Parting = &Parting{Step: "mac1", Formula: `key = H("mac1----" ‖ public key of the receiver)`, Name: "key",
			Expected: right.macKey(me.Remote, me.Static.Public), Actual: wrong}
	}
	return d.of(b)
}

// readTransport judges a transport message of the subject that does not open; the counter is taken as it is.
func readTransport(t *tunnel, b []byte) (*Diagnosis, mistakes) {
	m := search([]part{inTransport}, func(m mistakes) bool { _, ok := t.open(m, b); return ok })
	if m == nil {
		d := unknown("its transport message does not open with the key of its direction", "CRYPTO-06", "CRYPTO-08", "KEY-17")
		d.Parting = &Parting{Step: "transport", Name: "key", Expected: t.key[:]}
		return d.of(b), nil
	}
	d := named(m, "with this its transport message opens, as its tag of 128 bits says")
	counter := binary.LittleEndian.Uint64(b[8:])
	read := counter
	if m.has("counter-big-endian") {
		read = binary.BigEndian.Uint64(b[8:])
	}
	wrongKey := t.cipherKey(m)
	switch {
	case wrongKey != t.key:
		d.Parting = &Parting{Step: "transport", Formula: `(T1, T2) = KDF2(C, "")`, Name: "key", Expected: t.key[:],
			Actual: wrongKey[:]}
	case !bytes.Equal(transportNonce(nil, counter), transportNonce(m, read)):
		d.Parting = &Parting{Step: "transport", Formula: "nonce = 4 zero bytes ‖ counter, little-endian", Name: "nonce",
			Expected: transportNonce(nil, counter), Actual: transportNonce(m, read)}
	case additional(m, b[:16]) != nil:
		d.Parting = &Parting{Step: "transport", Formula: `packet = AEAD(T, counter, plaintext, "")`, Name: "ad",
			Expected: Hex{}, Actual: b[:16]}
	}
	return d.of(b), m
}

// checkIndex judges an index in a message that should be one that the tester chose; nil: it is right.
func checkIndex(what string, got, want uint32, others map[uint32]string, message []byte) *Diagnosis {
	if got == want {
		return nil
	}
	var d *Diagnosis
	switch other, known := others[got]; {
	case got == swap32(want):
		d = named(mistakes{"index-big-endian"}, "the bytes are the right ones in the other order")
	case known:
		d = shown("index-wrong", fmt.Sprintf("the %s is %s", what, other), "MSG-10", "HS-07")
	case got == 0:
		d = shown("index-missing", fmt.Sprintf("the %s is not set", what), "HS-07")
	default:
		d = unknown(fmt.Sprintf("the %s is no index of the tester's", what), "HS-07", "MSG-10")
	}
	d.Parting = &Parting{Step: "header", Name: what, Expected: indexBytes(want), Actual: indexBytes(got)}
	return d.of(message)
}

func indexBytes(i uint32) Hex { return Hex(mistakes(nil).appendIndex(nil, i)) }
