package conformance_test

import (
	"github.com/purewire/purewire/protocol/conformance"
)

// counting is a subject that shows other counters than it must, in states of which is is true.
func counting(name string, is func(*mangled, *conformance.PeerState) bool,
	edit func(*conformance.PeerState)) bad {
	return wrap(name, mangle{state: func(m *mangled, s *conformance.State) {
		for i := range s.Peers {
			if is(m, &s.Peers[i]) {
				edit(&s.Peers[i])
			}
		}
	}})
}

func received(n ...uint64) func(*mangled, *conformance.PeerState) bool {
	return func(_ *mangled, p *conformance.PeerState) bool {
		for _, v := range n {
			if p.Received == v {
				return true
			}
		}
		return false
	}
}

func sent(n uint64) func(*mangled, *conformance.PeerState) bool {
	return func(_ *mangled, p *conformance.PeerState) bool { return p.Sent == n }
}

func less(rx, tx uint64) func(*conformance.PeerState) {
	return func(p *conformance.PeerState) { p.Received, p.Sent = p.Received-rx, p.Sent-tx }
}

// reviving is a subject on which a restart or a fall of the interface changes nothing.
var (
	neverRestarts = wrap("restart-keeps-state", mangle{restart: func(*mangled) error { return nil }})
	neverDown     = forgets("ignores-down", func(c *conformance.Change) { c.Up = nil })
	goodbyes      = wrap("says-goodbye", mangle{
		restart: func(m *mangled) error { return m.farewell(m.Subject.Restart(m.Now(), m.setup.Wall)) },
		change: func(m *mangled, c *conformance.Change) {
			for _, p := range c.Peers {
				if p.Remove {
					_ = m.farewell(nil)
				}
			}
		},
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			m.known = &d
			return []conformance.Datagram{d}
		}})
)

// farewell sends a datagram of a kind that does not exist to where the latest one came from.
func (m *mangled) farewell(err error) error {
	if m.known != nil {
		d := *m.known
		d.Bytes = []byte{6, 0, 0, 0}
		m.emit(conformance.SentDatagram{Datagram: d, At: conformance.At(m.Now())})
	}
	return err
}

var resets = wrap("resets", mangle{in: reset})

// reset answers every transport message with a short one, as TCP would with a reset.
func reset(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if len(d.Bytes) > 0 && d.Bytes[0] == 4 {
		reply := d
		reply.Bytes = []byte{5, 0, 0, 0}
		m.emit(conformance.SentDatagram{Datagram: reply, At: conformance.At(m.Now())})
	}
	return []conformance.Datagram{d}
}

// readds is a subject that makes a peer anew for every change of it.
var readds = wrap("update-makes-peers-anew", mangle{change: func(m *mangled, c *conformance.Change) {
	for _, p := range c.Peers {
		if p.Remove || m.memory[string(p.PublicKey[:])] == 0 {
			m.memory[string(p.PublicKey[:])]++
			continue
		}
		again := *c
		again.Peers = []conformance.PeerChange{{PublicKey: p.PublicKey, Remove: true}}
		_ = m.Subject.Configure(m.Now(), again)
	}
}})

var lifeKills = killers{
	"life/restart/unknown-index-is-silent": {resets},
	"life/restart/begins-anew":             {neverRestarts},
	"life/restart/replayed-initiation":     {core("confirm-early")},
	"life/down/wipes-sessions/*":           {core("down-keeps-keys")},
	"life/down/stops-timers":               {neverDown},
	"life/up/initiates-at-once":            {neverDown},
	"life/port/keeps-sessions": {forgets("ignores-port", func(c *conformance.Change) {
		c.ListenPort = nil
	})},
	"life/wall/jump-changes-no-timer": {core("no-passive-keepalive")},
	"life/end/no-goodbye":             {goodbyes},
	"life/remove/no-goodbye":          {goodbyes},
	"life/change/*":                   {readds},

	"stat/sent/as-responder":     {counting("data-without-header", sent(92+112), less(0, 32))},
	"stat/sent/as-initiator":     {counting("handshakes-do-not-count", sent(148+112), less(0, 148))},
	"stat/sent/keepalive":        {counting("keepalives-do-not-count", sent(92+32), less(0, 32))},
	"stat/received/as-responder": {counting("plaintext-counts", received(148+32+112), less(64, 0))},
	"stat/received/as-initiator": {counting("responses-do-not-count", received(92, 204), less(92, 0))},
	"stat/received/padding":      {counting("trimmed-counts", received(148+32+112+64), less(64, 0))},
	"stat/received/bad-inner":    {core("count-dropped")},
	"stat/rejected/nothing": {wrap("counts-what-comes", mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			m.memory["came"]++
			return []conformance.Datagram{d}
		},
		state: func(m *mangled, s *conformance.State) {
			for i := range s.Peers {
				if m.memory["came"] > 9 {
					s.Peers[i].Received++
				}
			}
		}})},
	"stat/cookie/nothing":   {core("count-cookies")},
	"stat/kept/new-session": {counting("counters-by-session", received(360), less(180, 92))},
	"stat/kept/down-and-up": {wrap("down-clears-counters", mangle{
		change: func(m *mangled, c *conformance.Change) {
			if c.Up != nil && !*c.Up {
				m.memory["down"] = 1
			}
		},
		state: func(m *mangled, s *conformance.State) {
			for i := range s.Peers {
				if m.memory["down"] == 1 {
					s.Peers[i].Received, s.Peers[i].Sent = 0, 0
				}
			}
		}})},
	"stat/gone/with-the-peer":        {neverRemoves},
	"stat/handshake/not-by-response": {core("handshake-time-on-response")},
	"stat/handshake/by-initiator": {counting("initiators-have-no-time", sent(148+112),
		func(p *conformance.PeerState) { p.LastHandshake = p.LastHandshake.AddDate(-3000, 0, 0) })},
	"stat/handshake/stays": {counting("expiry-clears-time", func(m *mangled, _ *conformance.PeerState) bool {
		return m.Now() > 180e9
	}, func(p *conformance.PeerState) { p.LastHandshake = p.LastHandshake.AddDate(-3000, 0, 0) })},
}
