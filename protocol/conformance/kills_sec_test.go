package conformance_test

import "github.com/purewire/purewire/protocol/conformance"

var secKills = killers{
	// It stops at the first message that is shorter than a header, as if a goroutine had died of it.
	"wire/any/survives": {wrap("dies-of-a-short-message", mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if len(d.Bytes) > 0 && len(d.Bytes) < 8 && d.Bytes[0] == 4 {
				m.memory["dead"] = 1
			}
			if m.memory["dead"] == 1 {
				return nil
			}
			return []conformance.Datagram{d}
		}})},
	"uapi/socket/private": {wrap("socket-for-everybody", mangle{socket: 0o666})},
}
