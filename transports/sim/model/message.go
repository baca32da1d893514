package model

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purewire/purewire/timers"
)

// message is a datagram in flight. It is never changed; copies of one are one.
type message struct {
	id    hash
	from  uint8
	made  timers.Time // of an initiation, which carries a timestamp; else 0
	bytes []byte
}

func (w *world) message(from uint8, now timers.Time, b []byte) *message {
	m := &message{from: from, bytes: b}
	if m.kind() == initiation {
		m.made = now
	}
	key := append([]byte{from}, binary.LittleEndian.AppendUint64(nil, uint64(m.made))...)
	m.id = sum(append(key, b...))
	if w.amnesic {
		return m
	}
	return w.messages.one(m.id, m)
}

const (
	initiation    = 1
	response      = 2
	cookieReply   = 3
	transport     = 4
	keepaliveSize = 32
)

func (m *message) kind() byte { return m.bytes[0] }

// field reads the index at an offset: sender at 4, receiver of a response at 8, of a transport message at 4.
func (m *message) field(at int) uint32 { return binary.LittleEndian.Uint32(m.bytes[at:]) }
func (m *message) counter() uint64     { return binary.LittleEndian.Uint64(m.bytes[8:]) }

// sender and receiver are the indices in it, 0 for none.
func (m *message) sender() uint32 {
	if m.kind() == transport || m.kind() == cookieReply {
		return 0
	}
	return m.field(4)
}

func (m *message) receiver() uint32 {
	switch m.kind() {
	case initiation:
		return 0
	case response:
		return m.field(8)
	}
	return m.field(4)
}

// stamp is the timestamp that an initiation made at t carries, to the grain of the core's (TAI-07).
func stamp(t timers.Time) int64 {
	const grain = 1 << 24
	in := int64(t) % int64(time.Second) // the wall clock starts at a whole second
	return int64(t) - in%grain
}

// String is how counter-examples name it.
func (m *message) String() string {
	switch m.kind() {
	case initiation:
		return fmt.Sprintf("%s's initiation %08x", names[m.from], m.field(4))
	case response:
		return fmt.Sprintf("%s's response %08x to %08x", names[m.from], m.field(4), m.field(8))
	case cookieReply:
		return names[m.from] + "'s cookie reply"
	}
	what := "packet"
	if len(m.bytes) == keepaliveSize {
		what = "keepalive"
	}
	return fmt.Sprintf("%s's %s %d to %08x", names[m.from], what, m.counter(), m.field(4))
}
