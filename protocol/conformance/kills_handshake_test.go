package conformance_test

import "github.com/purewire/purewire/protocol/conformance"

var handshakeKills = killers{
	"handshake/response/answers/*": {wrap("answers-twice", mangle{out: answerTwice}),
		wrap("answers-nobody", mangle{out: editing(2, func(_ *mangled, d *conformance.SentDatagram) {
			d.Bytes[8] ^= 1 // the receiver index
		})})},
	"handshake/session/carries-data/*": {wrap("delivers-nothing", mangle{
		packetOut: func(*mangled, conformance.SentPacket) []conformance.SentPacket { return nil }})},
}

// answerTwice sends every response twice.
func answerTwice(_ *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] == 2 {
		return []conformance.SentDatagram{d, d}
	}
	return kept(d)
}
