package peer

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Key is 32 bytes: a private, public or preshared key, or a cipher key.
type Key = [32]byte

// Kind is the type of a message by its first byte (MSG-01).
type Kind byte

// The kinds. Malformed is anything whose type, reserved bytes or length is none of the four (MSG-02 to MSG-08).
const (
	Malformed Kind = iota
	KindInitiation
	KindResponse
	KindCookieReply
	KindTransport
)

// The lengths of messages (rules.md §1.2). A transport message is at least TransportOverhead long.
const (
	InitiationLength  = 148
	ResponseLength    = 92
	CookieReplyLength = 64
	TransportOverhead = 32
)

// Where the macs of a handshake message are, counted from its end: mac1 is the 16 bytes from there on.
const (
	mac1FromEnd = 32
	mac2FromEnd = 16
)

// String names the kind as people do.
func (k Kind) String() string {
	switch k {
	case KindInitiation:
		return "initiation"
	case KindResponse:
		return "response"
	case KindCookieReply:
		return "cookie reply"
	case KindTransport:
		return "transport message"
	}
	return "malformed datagram"
}

// KindOf tells what b is if it is right in type, reserved bytes and length, and Malformed otherwise.
func KindOf(b []byte) Kind {
	if len(b) < 4 || b[1]|b[2]|b[3] != 0 {
		return Malformed
	}
	k := Kind(b[0])
	switch {
	case k == KindInitiation && len(b) == InitiationLength,
		k == KindResponse && len(b) == ResponseLength,
		k == KindCookieReply && len(b) == CookieReplyLength,
		k == KindTransport && len(b) >= TransportOverhead:
		return k
	}
	return Malformed
}

// Fault says what is wrong with the type, reserved bytes or length of b; empty: nothing.
func Fault(b []byte) string {
	if KindOf(b) != Malformed {
		return ""
	}
	switch {
	case len(b) < 4:
		return fmt.Sprintf("%d bytes are too short for any message", len(b))
	case b[0] < 1 || b[0] > 4:
		return fmt.Sprintf("type %d does not exist", b[0])
	case b[1]|b[2]|b[3] != 0:
		return fmt.Sprintf("reserved bytes are %x", b[1:4])
	}
	return fmt.Sprintf("%d bytes are no length of a message of type %d", len(b), b[0])
}

// Sender is the sender index of an initiation or response; 0 for everything else.
func Sender(b []byte) uint32 {
	if k := KindOf(b); k == KindInitiation || k == KindResponse {
		return binary.LittleEndian.Uint32(b[4:])
	}
	return 0
}

// Receiver is the receiver index of a response, cookie reply or transport message; 0 for everything else.
func Receiver(b []byte) uint32 {
	switch KindOf(b) {
	case KindResponse:
		return binary.LittleEndian.Uint32(b[8:])
	case KindCookieReply, KindTransport:
		return binary.LittleEndian.Uint32(b[4:])
	}
	return 0
}

// Counter is the counter of a transport message.
func Counter(b []byte) uint64 {
	if KindOf(b) != KindTransport {
		return 0
	}
	return binary.LittleEndian.Uint64(b[8:])
}

// MAC1 is the mac1 of a handshake message, and MAC2 its mac2.
func MAC1(b []byte) (m [16]byte) { return macAt(b, mac1FromEnd) }

// MAC2 is the mac2 of a handshake message.
func MAC2(b []byte) (m [16]byte) { return macAt(b, mac2FromEnd) }

func macAt(b []byte, fromEnd int) (m [16]byte) {
	if len(b) >= fromEnd {
		copy(m[:], b[len(b)-fromEnd:])
	}
	return m
}

// Field names a part of a message.
type Field struct {
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
}

type part struct {
	name   string
	length int // -1: the rest but for what follows
}

var layouts = map[Kind][]part{
	KindInitiation: {{"type", 1}, {"reserved", 3}, {"sender index", 4}, {"ephemeral", 32}, {"encrypted static", 48},
		{"encrypted timestamp", 28}, {"mac1", 16}, {"mac2", 16}},
	KindResponse: {{"type", 1}, {"reserved", 3}, {"sender index", 4}, {"receiver index", 4}, {"ephemeral", 32},
		{"encrypted empty", 16}, {"mac1", 16}, {"mac2", 16}},
	KindCookieReply: {{"type", 1}, {"reserved", 3}, {"receiver index", 4}, {"nonce", 24}, {"encrypted cookie", 32}},
	KindTransport: {{"type", 1}, {"reserved", 3}, {"receiver index", 4}, {"counter", 8}, {"ciphertext", -1},
		{"tag", 16}},
}

// Fields names all parts of b, in order and without gaps. What is cut short or too long is named as far as it goes:
// the layout is that of the type byte.
func Fields(b []byte) []Field {
	if len(b) == 0 {
		return nil
	}
	var out []Field
	at := 0
	add := func(name string, n int) {
		if n = min(n, len(b)-at); n > 0 {
			out = append(out, Field{Offset: at, Length: n, Name: name, Value: value(name, b[at:at+n])})
			at += n
		}
	}
	for _, p := range layouts[Kind(b[0])] {
		if p.length < 0 {
			add(p.name, len(b)-at-16)
			continue
		}
		add(p.name, p.length)
	}
	if at == 0 {
		add("type", 1)
	}
	add("surplus", len(b)-at)
	return out
}

func value(name string, b []byte) string {
	switch {
	case name == "type":
		return fmt.Sprintf("%d (%v)", b[0], Kind(b[0]))
	case len(b) == 4:
		return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(b))
	case len(b) == 8:
		return fmt.Sprint(binary.LittleEndian.Uint64(b))
	case len(b) <= 32:
		return hex.EncodeToString(b)
	}
	return fmt.Sprintf("%x… (%d bytes)", b[:16], len(b))
}
