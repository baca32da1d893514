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
			if kindOf(d.Bytes) != 2 || m.memory["packets"] < 1000 {
				return kept(d)
			}
			kept := d // what had waited, as if it had been sealed for somebody
			kept.Bytes = make([]byte, 112)
			kept.Bytes[0] = 4
			copy(kept.Bytes[4:8], d.Bytes[8:12])
			return append(slices.Repeat([]conformance.SentDatagram{kept}, 1100), d)
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
