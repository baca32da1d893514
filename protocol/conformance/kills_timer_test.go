package conformance_test

import (
	"encoding/binary"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// The wrappers of timers keep a diary of each peer, by its address.

// counted counts something of a peer, and how often it was counted is the result.
func (m *mangled) counted(what, peer string) int {
	m.memory[what+peer]++
	return m.memory[what+peer]
}

// noted keeps the present time, and since is how long ago that was, or −1 if it never was.
func (m *mangled) noted(what, peer string) { m.memory[what+peer] = int(m.Now()) + 1 }

func (m *mangled) since(what, peer string) time.Duration {
	if at := m.memory[what+peer]; at > 0 {
		return m.Now().Sub(timers.Time(at - 1))
	}
	return -1
}

func about(d, nominal time.Duration) bool {
	return d > nominal-100*time.Millisecond && d < nominal+500*time.Millisecond
}

func kindOf(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func numberOf(b []byte) uint64 {
	if kindOf(b) != 4 || len(b) < 32 {
		return 0
	}
	return binary.LittleEndian.Uint64(b[8:])
}

func isData(b []byte) bool      { return kindOf(b) == 4 && len(b) > 32 }
func isKeepalive(b []byte) bool { return kindOf(b) == 4 && len(b) == 32 }

// ghost makes a message that nobody can read: what matters is that it is sent at all.
func (m *mangled) ghost(kind byte, d conformance.Datagram, after time.Duration) {
	d.Bytes = make([]byte, map[byte]int{1: 148, 4: 32}[kind])
	d.Bytes[0] = kind
	m.emit(conformance.SentDatagram{Datagram: d, At: conformance.At(m.Now().Add(after))})
}

// watching is a wrapper that only looks, and does something more.
func watching(name string, out func(m *mangled, d conformance.SentDatagram, peer string),
	in func(m *mangled, d conformance.Datagram, peer string)) bad {
	w := mangle{}
	if out != nil {
		w.out = func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			out(m, d, d.Remote.String())
			return kept(d)
		}
	}
	if in != nil {
		w.in = func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			in(m, d, d.Remote.String())
			return []conformance.Datagram{d}
		}
	}
	return wrap(name, w)
}

// mute does not send certain datagrams, and lossy does not receive them.
func mute(name string, is func(m *mangled, b []byte, peer string) bool) bad {
	return wrap(name, mangle{out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if is(m, d.Bytes, d.Remote.String()) {
			return nil
		}
		return kept(d)
	}})
}

func lossy(name string, is func(m *mangled, b []byte, peer string) bool) bad {
	return wrap(name, mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if is(m, d.Bytes, d.Remote.String()) {
			return nil
		}
		return []conformance.Datagram{d}
	}})
}

// both is a wrapper whose out function hears from its in function.
func both(name string, in func(m *mangled, b []byte, peer string),
	drop func(m *mangled, b []byte, peer string) bool) bad {
	b := mute(name, drop)
	b.in = func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		in(m, d.Bytes, d.Remote.String())
		return []conformance.Datagram{d}
	}
	return b
}

// lateRetries sends the fifth initiation and those after it later and later.
var lateRetries = wrap("late-initiations", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if kindOf(d.Bytes) != 1 {
			return kept(d)
		}
		n := m.counted("initiations", d.Remote.String())
		return delayed(d, time.Duration(max(n-4, 0))*500*time.Millisecond)
	}})

var sticksToSource = wrap("sticks-to-source", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		host := d.Remote.String() + "host"
		if a := d.Local.Addr().As16(); kindOf(d.Bytes) == 4 {
			m.memory[host] = int(a[15]) + 256*int(a[14]) + 1
		} else if last := m.memory[host]; last > 0 && d.Local.Addr().Is4() {
			four := d.Local.Addr().As4()
			four[2], four[3] = byte((last-1)>>8), byte(last-1)
			d.Local = netipFrom(four, d.Local.Port())
		}
		return kept(d)
	}})

// retriesAgain goes on with its handshake although there is a session.
var retriesAgain = watching("retries-though-complete", func(m *mangled, d conformance.SentDatagram, peer string) {
	switch kindOf(d.Bytes) {
	case 1, 2:
		m.counted("handshakes", peer)
	case 4:
		if n := m.memory["handshakes"+peer]; n >= 2 && n <= 3 && m.counted("transports", peer) == 1 {
			m.ghost(1, d.Datagram, 5200*time.Millisecond)
		}
	}
}, nil)

var givenUpForGood = mute("given-up-for-good", func(m *mangled, b []byte, peer string) bool {
	if kindOf(b) != 1 {
		return false
	}
	pause := m.since("initiation", peer)
	m.noted("initiation", peer)
	return m.counted("initiations", peer) > 18 && pause > 6*time.Second
})

var countsAllAttempts = mute("counts-all-attempts", func(m *mangled, b []byte, peer string) bool {
	return kindOf(b) == 1 && m.counted("initiations", peer) > 20
})

// giveUpEndsSession drops the session when it gives up.
var giveUpEndsSession = func() bad {
	b := lossy("give-up-ends-session", func(m *mangled, b []byte, peer string) bool {
		return kindOf(b) == 4 && m.memory["initiations"+peer] >= 18
	})
	b.out = func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if kindOf(d.Bytes) == 1 {
			m.counted("initiations", d.Remote.String())
		}
		return kept(d)
	}
	return b
}()

var rekeysAfterEight = watching("rekeys-after-8-messages", func(m *mangled, d conformance.SentDatagram, peer string) {
	if kindOf(d.Bytes) == 4 && m.counted("transports", peer) == 8 {
		m.ghost(1, d.Datagram, time.Second)
	}
}, nil)

var rekeysIdle = watching("rekeys-idle-sessions", func(m *mangled, d conformance.SentDatagram, peer string) {
	if kindOf(d.Bytes) == 4 && m.counted("transports", peer) == 1 {
		m.ghost(1, d.Datagram, 121*time.Second)
	}
}, nil)

// rekeysAt105 is the old wireguard-go, which subtracted too much from 180 s.
var rekeysAt105 = watching("rekeys-at-105", func(m *mangled, d conformance.SentDatagram, peer string) {
	if kindOf(d.Bytes) == 4 && m.memory["transport"+peer] == 0 {
		m.noted("transport", peer)
	}
}, func(m *mangled, d conformance.Datagram, peer string) {
	if isKeepalive(d.Bytes) && m.since("transport", peer) > 105*time.Second && m.counted("rekeys", peer) == 1 {
		m.ghost(1, d, 0)
	}
})

var ignoresSecondResponse = lossy("ignores-second-response", func(m *mangled, b []byte, peer string) bool {
	return kindOf(b) == 2 && m.counted("responses", peer) == 2
})

var losesLatePackets = mute("loses-packets-after-expiry", func(m *mangled, b []byte, _ string) bool {
	return isData(b) && numberOf(b) == 0 && m.Now() > timers.Time(180*time.Second)
})

var repeatsPassive = watching("repeats-passive-keepalives",
	func(m *mangled, d conformance.SentDatagram, peer string) {
		if isKeepalive(d.Bytes) && about(m.since("data-in", peer), 10*time.Second) {
			m.ghost(4, d.Datagram, 10200*time.Millisecond)
		}
	}, func(m *mangled, d conformance.Datagram, peer string) {
		if isData(d.Bytes) {
			m.noted("data-in", peer)
		}
	})

// keepaliveAnyway does not take what it sends for an answer.
var keepaliveAnyway = watching("keepalive-although-answered",
	func(m *mangled, d conformance.SentDatagram, peer string) {
		if age := m.since("data-in", peer); (isData(d.Bytes) || kindOf(d.Bytes) == 2) && about(age, 5*time.Second) {
			m.ghost(4, d.Datagram, 10*time.Second-age)
		}
	}, func(m *mangled, d conformance.Datagram, peer string) {
		if isData(d.Bytes) {
			m.noted("data-in", peer)
		}
	})

// oneTimer forgets all initiations when one is answered.
var oneTimer = both("one-retry-timer-for-all", func(m *mangled, b []byte, peer string) {
	if kindOf(b) == 2 {
		m.counted("answered", "")
		m.counted("answered", peer)
	}
}, func(m *mangled, b []byte, peer string) bool {
	return kindOf(b) == 1 && m.counted("initiations", peer) > 1 && m.memory["answered"] > m.memory["answered"+peer]
})

// exactly15 begins handshakes after silence without jitter.
var exactly15 = wrap("no-jitter-after-silence", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		peer := d.Remote.String()
		if isData(d.Bytes) {
			m.noted("data-out", peer)
		}
		if age := m.since("data-out", peer); kindOf(d.Bytes) == 1 && about(age, 15*time.Second) {
			return delayed(d, max(15333*time.Millisecond-age, 0))
		}
		return kept(d)
	}})

// putsOff begins a handshake 15 s after the last packet that nothing answered, not the first.
var putsOff = wrap("silence-from-last-packet", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		peer := d.Remote.String()
		if isData(d.Bytes) {
			m.noted("data-out", peer)
		}
		if age := m.since("data-out", peer); kindOf(d.Bytes) == 1 && about(age, 5*time.Second) {
			return delayed(d, 15*time.Second-age)
		}
		return kept(d)
	}})

// noSignOfLife looks for silence only in what it sends.
var noSignOfLife = watching("takes-nothing-for-an-answer",
	func(m *mangled, d conformance.SentDatagram, peer string) {
		if isData(d.Bytes) {
			m.noted("data-out", peer)
		}
	}, func(m *mangled, d conformance.Datagram, peer string) {
		age := m.since("data-out", peer)
		if about(age, 9*time.Second) && kindOf(d.Bytes) == 1 || about(age, 14*time.Second) && kindOf(d.Bytes) == 4 {
			m.ghost(1, d, 15200*time.Millisecond-age)
		}
	})

// anySignOfLife takes everything for one.
var anySignOfLife = func() bad {
	b := both("takes-anything-for-an-answer", func(m *mangled, b []byte, peer string) {
		if about(m.since("data-out", peer), 10*time.Second) && (kindOf(b) == 3 || isKeepalive(b)) {
			m.noted("life", peer)
		}
	}, func(m *mangled, b []byte, peer string) bool {
		if isData(b) {
			m.noted("data-out", peer)
		}
		return kindOf(b) == 1 && about(m.since("life", peer), 5*time.Second)
	})
	return b
}()

var silentWhileShaking = mute("silent-while-shaking-hands", func(m *mangled, b []byte, peer string) bool {
	if kindOf(b) == 1 {
		m.noted("initiation", peer)
	}
	age := m.since("initiation", peer)
	return isData(b) && numberOf(b) > 0 && age > 900*time.Millisecond && age < 4*time.Second
})

var shakesOn = watching("shakes-hands-again", func(m *mangled, d conformance.SentDatagram, peer string) {
	if isData(d.Bytes) {
		m.noted("data-out", peer)
	}
	if isKeepalive(d.Bytes) && numberOf(d.Bytes) == 0 && about(m.since("data-out", peer), 15*time.Second) {
		m.ghost(1, d.Datagram, 15200*time.Millisecond)
	}
}, nil)

var skipsKeepalives = mute("skips-every-third-keepalive", func(m *mangled, b []byte, peer string) bool {
	return isKeepalive(b) && m.counted("keepalives", peer)%3 == 0
})

// fixedInterval lets the keepalives go that are due 6 s after something else than a keepalive.
func fixedInterval(name string, is func([]byte) bool) bad {
	return mute(name, func(m *mangled, b []byte, peer string) bool {
		if is(b) {
			m.noted("use", peer)
		}
		return isKeepalive(b) && about(m.since("use", peer), 6*time.Second)
	})
}

var receivedIsNoUse = both("received-does-not-restart-interval", func(m *mangled, b []byte, peer string) {
	if isKeepalive(b) && m.Now() > timers.Time(time.Second) {
		m.noted("use", peer)
	}
}, func(m *mangled, b []byte, peer string) bool {
	return isKeepalive(b) && about(m.since("use", peer), 6*time.Second)
})

var (
	smallIntervals = onPeers("interval-of-three-bits", func(p *conformance.PeerChange) {
		if p.Keepalive != nil && *p.Keepalive == 65535 {
			n := *p.Keepalive & 7
			p.Keepalive = &n
		}
	})
	neverOff = onPeers("keepalives-never-off", func(p *conformance.PeerChange) {
		if p.Keepalive != nil && *p.Keepalive == 0 {
			p.Keepalive = nil
		}
	})
	// Off and on again is what sends one at once.
	offAndOn = forgets("switches-off-and-on", func(c *conformance.Change) {
		if len(c.Peers) == 1 && c.Peers[0].Keepalive != nil && *c.Peers[0].Keepalive > 0 {
			off, zero := c.Peers[0], uint16(0)
			off.Keepalive = &zero
			c.Peers = append([]conformance.PeerChange{off}, c.Peers...)
		}
	})
)

var silentWhenConfigured = wrap("silent-when-configured", mangle{
	change: func(m *mangled, c *conformance.Change) {
		if c.Up != nil && *c.Up || len(c.Peers) == 1 && c.Peers[0].Keepalive != nil && *c.Peers[0].Keepalive > 0 {
			m.noted("change", "")
		}
	},
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if m.since("change", "") == 0 {
			return nil
		}
		return kept(d)
	}})

var timerKills = killers{
	"timer/retransmit/interval":                           {lateRetries},
	"timer/retransmit/interval-v6":                        {lateRetries},
	"timer/retransmit/jitter":                             {core("no-jitter")},
	"timer/retransmit/answered-late":                      {retriesAgain},
	"timer/retransmit/crossing":                           {retriesAgain},
	"timer/retransmit/not-sooner-for-more-packets":        {core("no-initiation-limit")},
	"timer/source/*":                                      {sticksToSource},
	"timer/give-up/ends":                                  {core("never-give-up")},
	"timer/give-up/new-packet-begins-anew":                {givenUpForGood},
	"timer/give-up/new-packet-restarts-count":             {countsAllAttempts},
	"timer/give-up/drops-staged/*":                        {core("give-up-keeps-staged")},
	"timer/give-up/keeps-session/*":                       {giveUpEndsSession},
	"timer/rekey/on-send/due":                             {core("no-rekey")},
	"timer/rekey/on-send/not-before":                      {rekeysAfterEight},
	"timer/rekey/on-send/switches":                        {ignoresSecondResponse},
	"timer/rekey/on-keepalive":                            {core("no-rekey")},
	"timer/rekey/responder/*":                             {core("responder-rekeys")},
	"timer/rekey/on-receive/due":                          {core("no-rekey-on-receive")},
	"timer/rekey/on-receive/not-before":                   {rekeysAt105},
	"timer/rekey/idle/*":                                  {rekeysIdle},
	"timer/expired/starts-handshake/*":                    {core("keys-live-forever")},
	"timer/expired/packet-waits/*":                        {losesLatePackets},
	"timer/passive-keepalive/due":                         {core("no-passive-keepalive")},
	"timer/passive-keepalive/in-an-old-session/*":         {core("no-passive-keepalive")},
	"timer/passive-keepalive/due-v6":                      {core("keepalive-loop"), core("no-passive-keepalive")},
	"timer/passive-keepalive/one":                         {repeatsPassive},
	"timer/passive-keepalive/cancelled-by-*":              {keepaliveAnyway},
	"timer/passive-keepalive/counts-from-*":               {core("no-passive-keepalive")},
	"timer/passive-keepalive/counts-from-first-data":      {core("keepalive-loop")},
	"timer/passive-keepalive/in-an-old-session/responder": {core("keepalive-loop")},
	"timer/passive-keepalive/second":                      {core("no-passive-keepalive")},
	"timer/peers/passive-keepalives":                      {core("no-passive-keepalive")},
	"timer/peers/dead-peers":                              {core("no-dead-peer-detection")},
	"timer/peers/retransmissions":                         {oneTimer},
	"timer/keepalive/not-answered/*":                      {core("keepalive-loop")},
	"timer/dead-peer/due/*":                               {core("no-dead-peer-detection")},
	"timer/dead-peer/due-v6":                              {core("no-dead-peer-detection")},
	"timer/dead-peer/jitter":                              {core("no-dead-peer-detection"), exactly15},
	"timer/dead-peer/from-first-packet":                   {core("no-dead-peer-detection"), putsOff},
	"timer/dead-peer/cancelled-by-*":                      {noSignOfLife},
	"timer/dead-peer/not-cancelled-by-forgery":            {core("no-dead-peer-detection"), anySignOfLife},
	"timer/dead-peer/not-cancelled-by-cookie-reply":       {core("no-dead-peer-detection"), anySignOfLife},
	"timer/dead-peer/not-cancelled-by-replay":             {core("no-dead-peer-detection"), core("no-replay-window")},
	"timer/dead-peer/session-goes-on":                     {silentWhileShaking},
	"timer/dead-peer/response-ends-it":                    {shakesOn},
	"timer/dead-peer/not-after-confirming-keepalive":      {core("keepalive-is-data")},
	"timer/dead-peer/not-after-persistent-keepalives/*":   {core("keepalive-is-data")},
	"timer/dead-peer/not-after-passive-keepalive/*":       {core("keepalive-is-data")},
	"timer/persistent/interval/*":                         {skipsKeepalives},
	"timer/persistent/from-the-start":                     {skipsKeepalives},
	"timer/persistent/interval-v6":                        {skipsKeepalives},
	"timer/persistent/one-second":                         {skipsKeepalives},
	"timer/persistent/peers":                              {skipsKeepalives},
	"timer/persistent/largest":                            {smallIntervals},
	"timer/persistent/sent-data-restarts":                 {fixedInterval("sent-does-not-restart-interval", isData)},
	"timer/persistent/received-data-restarts":             {receivedIsNoUse},
	"timer/persistent/handshake-restarts":                 {receivedIsNoUse},
	"timer/persistent/not-restarted-by-replay":            {core("no-replay-window")},
	"timer/persistent/off":                                {neverOff},
	"timer/persistent/never-gives-up":                     {core("keepalive-once")},
	"timer/persistent/after-expiry":                       {core("keepalive-once")},
	"timer/persistent/on-*":                               {silentWhenConfigured},
	"timer/persistent/interface-up":                       {silentWhenConfigured},
	"timer/persistent/same-again":                         {offAndOn},
	"timer/persistent/changed":                            {offAndOn},
}
