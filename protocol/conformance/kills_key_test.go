package conformance_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// netipFrom is an IPv4 address with a port.
func netipFrom(a [4]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a), port)
}

// indexed changes the sender index of handshake messages of a kind; a case that only collects them does not mind that
// no session comes of it.
func indexed(name string, kind byte, change func(m *mangled, index uint32, peer string) uint32) bad {
	return wrap(name, mangle{out: editing(kind, func(m *mangled, d *conformance.SentDatagram) {
		index := binary.LittleEndian.Uint32(d.Bytes[4:])
		binary.LittleEndian.PutUint32(d.Bytes[4:], change(m, index, d.Remote.String()))
	})})
}

// keepsIndex gives every handshake message of a peer from the nth on the index of its first.
func keepsIndex(name string, kind byte, n int) bad {
	return indexed(name, kind, func(m *mangled, index uint32, peer string) uint32 {
		switch c := m.counted("handshakes", peer); {
		case c == 1:
			m.memory["index"+peer] = int(index)
		case c >= n:
			return uint32(m.memory["index"+peer])
		}
		return index
	})
}

// collides gives two of many handshake messages the same index, whosever they are.
func collides(name string, kind byte, one, other int) bad {
	return indexed(name, kind, func(m *mangled, index uint32, _ string) uint32 {
		if c := m.counted("handshakes", ""); c == one || c == other {
			return 0x5ca1ab1e
		}
		return index
	})
}

// losesLength does not receive data of one length, which one case alone sends.
func losesLength(name string, plaintext int) bad {
	return lossy(name, func(_ *mangled, b []byte, _ string) bool {
		return kindOf(b) == 4 && len(b) == 32+plaintext
	})
}

var (
	keepsInitiationIndex = keepsIndex("keeps-its-index-when-it-retries", 1, 3)
	keepsResponseIndex   = keepsIndex("keeps-its-index-when-it-responds", 2, 4)
	losesAt179           = lossy("sessions-live-178-s", func(m *mangled, b []byte, _ string) bool {
		return isData(b) && m.Now() > timers.Time(178*time.Second) && m.Now() < timers.Time(180*time.Second)
	})
	hasNoMiddle = lossy("window-has-a-hole", func(_ *mangled, b []byte, _ string) bool {
		return isData(b) && numberOf(b) > 8300 && numberOf(b) < 8600
	})
	smallCounters = lossy("counters-of-62-bits", func(_ *mangled, b []byte, _ string) bool {
		return isData(b) && numberOf(b) > 1<<62 && numberOf(b) < math.MaxUint64-9000
	})
)

// shortMemory forgets its initiation after an eighth of a second.
var shortMemory = func() bad {
	b := lossy("index-dies-after-125-ms", func(m *mangled, b []byte, peer string) bool {
		return kindOf(b) == 2 && m.since("initiation", peer) > 125*time.Millisecond
	})
	b.out = noteInitiations
	return b
}()

func noteInitiations(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if kindOf(d.Bytes) == 1 {
		m.noted("initiation", d.Remote.String())
	}
	return kept(d)
}

// countsFromInitiation takes the time of the initiation that it sent for that of the session.
var countsFromInitiation = func() bad {
	b := lossy("age-from-initiation", func(m *mangled, b []byte, peer string) bool {
		return isData(b) && m.since("initiation", peer) > 180*time.Second
	})
	b.out = noteInitiations
	return b
}()

// oneWindow keeps one window for all sessions of a peer.
var oneWindow = lossy("one-window-for-all-sessions", func(m *mangled, b []byte, peer string) bool {
	c := int(numberOf(b))
	late := isData(b) && c < m.memory["newest"+peer]-10_000
	if c > 0 && c < 1<<20 {
		m.memory["newest"+peer] = max(m.memory["newest"+peer], c)
	}
	return late && m.memory["newest"+peer] == 50_000
})

// limitMoves lets a counter at the end of the range move the window.
var limitMoves = lossy("dropped-counter-moves-window", func(m *mangled, b []byte, peer string) bool {
	if numberOf(b) == math.MaxUint64 && len(b) == 32+448 {
		m.counted("moved", peer)
	}
	return kindOf(b) == 4 && m.memory["moved"+peer] > 0
})

// garblesSome sends some packets of one length so that they cannot be read.
var garblesSome = wrap("garbles-packets", mangle{out: editing(4, func(m *mangled, d *conformance.SentDatagram) {
	if len(d.Bytes) == 32+416 && m.counted("packets", "")%7 == 0 {
		d.Bytes[len(d.Bytes)-1] ^= 1
	}
})})

var (
	otherKeyForSame = forgets("setting-the-same-key-changes-it", func(c *conformance.Change) {
		if c.PrivateKey != nil && len(c.Peers) == 0 && c.ListenPort == nil {
			k := *c.PrivateKey
			k[5] ^= 1
			c.PrivateKey = &k
		}
	})
	keepsOldKey = forgets("does-not-take-another-key", func(c *conformance.Change) {
		if c.PrivateKey != nil && len(c.Peers) == 0 && c.ListenPort == nil {
			c.PrivateKey = nil
		}
	})
)

var keyKills = killers{
	"key/index/unique":                          {collides("one-index-for-two-sessions", 2, 12, 15)},
	"key/index/unique-while-pending":            {collides("one-index-for-two-initiations", 1, 6, 8)},
	"key/index/new-for-each-initiation":         {keepsInitiationIndex},
	"key/index/new-for-each-response":           {keepsResponseIndex},
	"key/index/random-*":                        {core("predictable-index")},
	"key/index/of-the-initiation":               {losesLength("loses-208", 208)},
	"key/index/slow-response":                   {shortMemory},
	"key/index/other-is-dropped":                {delivers(224)},
	"key/rotation/responder-waits-*":            {core("confirm-early")},
	"key/rotation/first-session-waits":          {core("confirm-early")},
	"key/rotation/responder-switches":           {losesLength("data-does-not-confirm", 400)},
	"key/rotation/initiator-switches":           {ignoresSecondResponse},
	"key/rotation/unconfirmed-receives-old":     {losesLength("next-stops-current", 384)},
	"key/rotation/unconfirmed-is-replaced":      {delivers(240)},
	"key/rotation/third-generation-drops-first": {delivers(256)},
	"key/rotation/confirmed-keeps-one-before":   {core("drop-previous-key")},
	"key/rotation/previous-receives/*":          {core("drop-previous-key")},
	"key/rotation/nothing-lost/*":               {garblesSome},
	"key/age/receives-until-180/*":              {losesAt179},
	"key/age/dropped-after-180/*":               {core("keys-live-forever")},
	"key/age/from-response-received":            {countsFromInitiation},
	"key/age/from-response-sent":                {core("keys-live-forever")},
	"key/age/previous-is-dropped-too":           {core("keys-live-forever")},
	"key/erasure/pending-handshake":             {core("no-erasure")},
	"key/reflected/*":                           {delivers(320)},
	"key/own-key/changed/starts-handshake":      {core("key-change-keeps-sessions")},
	"key/own-key/changed/stops-sending":         {core("key-change-keeps-sessions")},
	"key/own-key/same-again":                    {otherKeyForSame},
	"key/own-key/changed/old-session-receives":  {losesLength("old-sessions-end-with-their-key", 368)},
	"key/own-key/changed/new-session":           {keepsOldKey},
	"key/replay/at-once/*":                      {core("no-replay-window")},
	"key/replay/later":                          {core("no-replay-window")},
	"key/replay/other-content":                  {core("no-replay-window")},
	"key/replay/forged-*":                       {core("forgery-burns-counter")},
	"key/replay/counter-zero":                   {losesLength("refuses-counter-0", 432)},
	"key/replay/new-session":                    {oneWindow},
	"key/replay/old-session-keeps-window":       {core("no-replay-window")},
	"key/replay/reordered":                      {core("small-replay-window")},
	"key/replay/window":                         {core("no-replay-window")},
	"key/replay/window-of-1984":                 {core("small-replay-window")},
	"key/replay/jumps":                          {core("no-replay-window")},
	"key/replay/ring":                           {core("no-replay-window")},
	"key/replay/nothing-lost-in-order":          {hasNoMiddle},
	"key/replay/limit":                          {delivers(480)},
	"key/replay/limit-moves-nothing":            {limitMoves},
	"key/replay/limit-measured":                 {smallCounters},
	"key/replay/limit-reached":                  {delivers(464)},
	"key/replay/keeps-endpoint":                 {core("roam-on-replay")},
	"key/replay/no-passive-keepalive":           {core("no-replay-window")},
	"key/replay/not-counted":                    {core("no-replay-window")},
	"key/replay/confirms-nothing":               {core("confirm-early")},
}
