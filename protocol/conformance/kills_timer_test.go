package conformance_test

import (
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

var timerKills = killers{
	"timer/retransmit/interval":   {wrap("late-initiations", mangle{out: lateRetries})},
	"timer/passive-keepalive/due": {core("no-passive-keepalive")},
}

// lateRetries sends every initiation but the first half a second later than the one before it was.
func lateRetries(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
	if d.Bytes[0] != 1 {
		return kept(d)
	}
	m.memory["initiations"]++
	return delayed(d, time.Duration(m.memory["initiations"]-1)*500*time.Millisecond)
}
