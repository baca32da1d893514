package conformance_test

import "github.com/purewire/purewire/protocol/conformance"

var handshakeKills = killers{
	"handshake/response/answers/*": {wrap("answers-twice", mangle{out: answerTwice})},
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
