package conformance_test

import "github.com/purewire/purewire/protocol/conformance"

var lifeKills = killers{
	"life/restart/unknown-index-is-silent": {wrap("resets", mangle{in: reset})},
}

// reset answers every transport message with a short one, as TCP would with a reset.
func reset(m *mangled, d conformance.Datagram) []conformance.Datagram {
	if len(d.Bytes) > 0 && d.Bytes[0] == 4 {
		reply := d
		reply.Bytes = []byte{5, 0, 0, 0}
		m.emit(conformance.SentDatagram{Datagram: reply, At: conformance.At(m.Now())})
	}
	return []conformance.Datagram{d}
}
