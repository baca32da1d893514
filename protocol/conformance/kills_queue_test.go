package conformance_test

import (
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
)

// repeats is a subject that queues the second packet twice.
func repeats() bad {
	return injects("queues-twice", func(m *mangled, b []byte) [][]byte {
		m.memory["n"]++
		if m.memory["n"] == 2 {
			return [][]byte{b, b}
		}
		return [][]byte{b}
	})
}

var queueKills = killers{
	"queue/order": {repeats()},
	"queue/capacity": {wrap("keeps-nothing", mangle{
		packetIn: func(m *mangled, b []byte) [][]byte {
			m.memory["packets"]++
			return [][]byte{b}
		},
		out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			if d.Bytes[0] == 4 && len(d.Bytes) > 32 && m.memory["packets"] > 200 {
				return nil
			}
			return kept(d)
		}})},
	"queue/no-endpoint": {wrap("hoards-without-endpoint", mangle{
		packetIn: func(m *mangled, b []byte) [][]byte {
			m.memory["packets"]++
			return [][]byte{b}
		},
		out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			if kindOf(d.Bytes) != 4 || m.memory["packets"] < 1000 {
				return kept(d)
			}
			return slices.Repeat(kept(d), 20) // as if it had kept twenty times as many
		}})},
	"queue/oldest-goes":          {core("stage-drops-newest")},
	"queue/instead-of-keepalive": {core("extra-keepalive")},
	"queue/keepalive-waits": {wrap("drops-staged-keepalive", mangle{
		out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			peer := d.Remote.String()
			if kindOf(d.Bytes) == 1 {
				m.noted("initiation", peer)
			}
			if isKeepalive(d.Bytes) && numberOf(d.Bytes) == 0 && m.since("initiation", peer) >= 0 {
				return nil
			}
			return kept(d)
		}})},
	"queue/down-discards":    {neverDown},
	"queue/removal-discards": {neverRemoves},
}
