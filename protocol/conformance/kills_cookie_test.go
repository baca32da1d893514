package conformance_test

import (
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// cookies is a subject whose cookie replies have something else.
func cookies(name string, edit func(m *mangled, d *conformance.SentDatagram)) bad {
	return wrap(name, mangle{out: editing(3, edit)})
}

// unheard is a subject that does not get some datagrams.
func unheard(name string, is func(m *mangled, b []byte) bool) bad {
	return wrap(name, mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if is(m, d.Bytes) {
			return nil
		}
		return []conformance.Datagram{d}
	}})
}

var (
	neverUnderLoad = core("never-under-load")
	badMACOut      = func(kind byte, at int) bad {
		return wrap("mac1-of-type-"+string(rune('0'+kind)), mangle{out: editing(kind,
			func(_ *mangled, d *conformance.SentDatagram) { d.Bytes[at] ^= 1 })})
	}
	ignoresCookies = unheard("ignores-cookies", func(_ *mangled, b []byte) bool { return len(b) == 64 && b[0] == 3 })
	mac2Filled     = wrap("mac2-without-cookie", mangle{out: editing(1,
		func(m *mangled, d *conformance.SentDatagram) { d.Bytes[140] ^= 0x40 })})
)

var cookieKills = killers{
	"cookie/mac1/wrong-is-silent": {core("answer-bad-mac1"), core("skip-mac1")},
	"cookie/mac1/of-initiation":   {badMACOut(1, 116)},
	"cookie/mac1/of-response":     {badMACOut(2, 60)},
	"cookie/mac1/old-key":         {forgets("keeps-its-key", func(c *conformance.Change) { c.PrivateKey = nil })},
	"cookie/mac2/ignored-without-load": {unheard("wants-mac2", func(_ *mangled, b []byte) bool {
		return len(b) == 148 && b[0] == 1 && b[140] != 0
	})},
	"cookie/mac2/zero-without-cookie": {mac2Filled},
	"cookie/taken/used":               {ignoresCookies},
	"cookie/taken/no-retry-at-once":   {core("cookie-retries-at-once")},
	"cookie/taken/under-older-mac1":   {mac2Filled},
	"cookie/taken/damaged":            {mac2Filled},
	"cookie/taken/unknown-index":      {mac2Filled},
	"cookie/taken/wrong-length": {wrap("cuts-long-cookies", mangle{
		in: func(_ *mangled, d conformance.Datagram) []conformance.Datagram {
			if len(d.Bytes) > 64 && d.Bytes[0] == 3 {
				d.Bytes = d.Bytes[:64]
			}
			return []conformance.Datagram{d}
		}})},
	"cookie/taken/first-counts": {unheard("latest-cookie-counts", func(m *mangled, b []byte) bool {
		if len(b) == 64 && b[0] == 3 {
			m.memory["cookies"]++
		}
		return len(b) == 64 && m.memory["cookies"] == 1
	})},
	"cookie/taken/expires": {core("cookie-forever")},

	"cookie/taken/for-responses": {ignoresCookies},
	"cookie/load/responses-too":  {neverUnderLoad},
	"cookie/load/secret-changes": {mac2Any},

	"cookie/load/no-cookie-no-response": {cookies("cookie-of-another", func(_ *mangled, d *conformance.SentDatagram) {
		d.Bytes[40] ^= 1
	})},
	"cookie/load/wrong-mac2":         {neverUnderLoad, mac2Any},
	"cookie/load/bad-mac1-is-silent": {core("answer-bad-mac1")},
	"cookie/load/receiver-index": {cookies("cookie-index", func(_ *mangled, d *conformance.SentDatagram) {
		d.Bytes[4] ^= 1
	})},
	"cookie/load/bound-to-port": {core("cookie-ignores-port")},
	"cookie/load/nonces": {cookies("one-nonce", func(m *mangled, d *conformance.SentDatagram) {
		for i := 8; i < 32; i++ {
			d.Bytes[i] = 7
		}
	})},
	"cookie/load/to-the-source": {wrap("cookie-to-endpoint", mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if len(d.Bytes) > 0 && d.Bytes[0] == 4 {
				m.known = &d
			}
			return []conformance.Datagram{d}
		},
		out: editing(3, func(m *mangled, d *conformance.SentDatagram) {
			if m.known != nil && d.Remote.Addr() == m.known.Remote.Addr() {
				d.Remote = m.known.Remote
			}
		})})},
	"cookie/load/tos":          {outerTOS("cookie-tos", 3, always(0x88))},
	"cookie/load/held":         {loadFlaps},
	"cookie/load/ends":         {core("load-forever")},
	"cookie/load/limited":      {core("no-source-limit")},
	"cookie/load/data-goes-on": {wrap("flood-stops-data", mangle{in: floodStops})},
	"cookie/load/threshold":    {neverUnderLoad},
}

// loadFlaps is a subject that answers like one without load once 100 ms have passed since the flood.
var loadFlaps = wrap("load-flaps", mangle{
	in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if len(d.Bytes) == 148 && m.memory["at"] < int(m.Now())-int(100*time.Millisecond) && m.memory["n"] > 50 {
			m.memory["flaps"] = 1
		}
		m.memory["n"]++
		m.memory["at"] = int(m.Now())
		return []conformance.Datagram{d}
	},
	out: editing(3, func(m *mangled, d *conformance.SentDatagram) {
		if m.memory["flaps"] == 1 {
			d.Bytes = append(append([]byte{2, 0, 0, 0, 1, 1, 1, 1}, d.Bytes[4:8]...), make([]byte, 80)...)
		}
	}),
})

// mac2Any is a subject that takes any mac2 for right: it is as if the message had come without load.
var mac2Any = wrap("any-mac2-is-right", mangle{
	in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		m.known = &d
		return []conformance.Datagram{d}
	},
	out: editing(3, func(m *mangled, d *conformance.SentDatagram) {
		if m.known != nil && len(m.known.Bytes) == 148 && m.known.Bytes[140] != 0 {
			d.Bytes = append(append([]byte{2, 0, 0, 0, 1, 1, 1, 1}, d.Bytes[4:8]...), make([]byte, 80)...)
		}
	}),
})

// floodStops loses data for a while after a handshake message of a stranger.
func floodStops(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if len(d.Bytes) == 148 {
		m.memory["handshakes"]++
	}
	if len(d.Bytes) > 0 && d.Bytes[0] == 4 && m.memory["handshakes"] > 100 {
		return nil
	}
	return []conformance.Datagram{d}
}
