package realtime

import (
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// sort is what was done to a subject.
type sort int

const (
	byDatagram4 sort = iota + 1 // each family has its socket
	byDatagram6
	byHandshake4 // and handshakes have their threads, which are slower
	byHandshake6
	byPacket
	byAsking
	byHost // interfaces, addresses, signals
)

const (
	calmPatience = 100 * time.Millisecond
	calmPause    = 200 * time.Microsecond
)

// arriving is the sort of datagrams: that of the first, handshakes only if they come one by one.
func arriving(in []conformance.Datagram) sort {
	by := byDatagram4
	if len(in) > 0 && in[0].Remote.Addr().Is6() {
		by = byDatagram6
	}
	if len(in) == 1 && len(in[0].Bytes) > 0 && (in[0].Bytes[0] == 1 || in[0].Bytes[0] == 2) {
		by += byHandshake4 - byDatagram4
	}
	return by
}

// after waits, before something is done, until the implementation has dealt with what was done to it before by another
// way. One thread may read datagrams, one packets and one questions: what comes in by two ways has no order of its own,
// but cases mean one thing after the other. That it does not come to rest is no error, since others may keep it busy.
func (s *Subject) after(next sort) {
	last := s.last
	s.last = next
	if last == next || last == 0 {
		return
	}
	calm := 0
	for end := time.Now().Add(calmPatience); calm < 2 && time.Now().Before(end); {
		calm++
		if s.driver.Busy() {
			calm = 0
			time.Sleep(calmPause)
		}
	}
}

// Asking is to be called before the implementation is asked something by a way that this package does not know.
func (s *Subject) Asking() { s.after(byAsking) }
