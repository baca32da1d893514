package conformance_test

import "github.com/purewire/purewire/protocol/conformance"

// answers is a subject that has an answer for certain datagrams.
func answers(name string, is func(b []byte) bool) bad {
	return wrap(name, mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if is(d.Bytes) {
			reply := d
			reply.Bytes = []byte{5, 0, 0, 0}
			m.emit(conformance.SentDatagram{Datagram: reply, At: conformance.At(m.Now())})
		}
		return []conformance.Datagram{d}
	}})
}

var quietKills = killers{
	"quiet/stranger/random-datagrams": {answers("answers-odd-lengths", func(b []byte) bool { return len(b) == 71 })},
	"quiet/stranger/unknown-key": {answers("answers-initiations", func(b []byte) bool {
		return len(b) == 148 && b[0] == 1
	})},
	"quiet/stranger/version": {answers("version-negotiation", func(b []byte) bool { return len(b) == 148 && b[0] > 4 })},
	"quiet/data/bad-tag":     {resets},
	"quiet/data/replayed":    {core("no-replay-window")},
	"quiet/data/expired":     {core("keys-live-forever")},
	"quiet/configured/not-contacted": {onPeers("keepalive-by-default", func(p *conformance.PeerChange) {
		n := uint16(20)
		p.Keepalive = &n
	})},
	"quiet/idle/for-ever/*": {core("keepalive-loop")},
}
