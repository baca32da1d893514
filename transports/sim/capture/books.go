package capture

import (
	"encoding/binary"
	"net/netip"
)

// untracked is the comment on a transport message that Wireshark does not decrypt although nothing is wrong with it.
const untracked = "not decrypted by Wireshark, which has not seen this session's receiver send from there"

// books repeats the bookkeeping of Wireshark's dissector: a session belongs to one address and port per side,
// the last that it saw a message of the session come from, genuine or not. It decrypts a transport message only if
// its destination is one of the two. Observed with tshark 4.0.17; TestBooksAgreeWithTshark holds us to it.
type books struct {
	sessions map[uint32][]*session // by either side's index, oldest first
}

type session struct {
	initiator, responder netip.AddrPort
	answered             bool
}

func newBooks() books { return books{map[uint32][]*session{}} }

// Message types and sizes (rules.md §1.2, MSG-01 and MSG-05).
const (
	typeInitiation, sizeInitiation = 1, 148
	typeResponse, sizeResponse     = 2, 92
	typeCookie, sizeCookie         = 3, 64
	typeTransport, minTransport    = 4, 32
)

// follow enters the datagram and reports whether Wireshark knows its session; of anything but a transport message
// it always says yes.
func (b *books) follow(e *entry) bool {
	if len(e.data) < 12 {
		return true
	}
	first, second := binary.LittleEndian.Uint32(e.data[4:]), binary.LittleEndian.Uint32(e.data[8:])
	switch kind, size := binary.LittleEndian.Uint32(e.data), len(e.data); {
	case kind == typeInitiation && size == sizeInitiation:
		b.sessions[first] = append(b.sessions[first], &session{initiator: e.src})
	case kind == typeResponse && size == sizeResponse:
		if s := b.unanswered(second, e.dst); s != nil {
			s.answered, s.responder = true, e.src
			b.sessions[first] = append(b.sessions[first], s)
		}
	case kind == typeCookie && size == sizeCookie:
		if s := b.unanswered(first, e.dst); s != nil {
			s.answered, s.responder = true, e.src
		}
	case kind == typeTransport && size >= minTransport:
		return b.transport(first, e)
	}
	return true
}

func (b *books) unanswered(index uint32, dst netip.AddrPort) *session {
	list := b.sessions[index]
	for i := len(list) - 1; i >= 0; i-- {
		if s := list[i]; !s.answered && s.initiator == dst {
			return s
		}
	}
	return nil
}

func (b *books) transport(index uint32, e *entry) bool {
	list := b.sessions[index]
	for i := len(list) - 1; i >= 0; i-- {
		switch s := list[i]; {
		case !s.answered:
		case s.initiator == e.dst:
			s.responder = e.src
			return true
		case s.responder == e.dst:
			s.initiator = e.src
			return true
		}
	}
	return false
}
