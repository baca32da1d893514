// Package wire is the layout of WireGuard's four messages (paper §5.4) and the few fields of inner IP packets that the
// protocol looks at. It does no cryptography, keeps nothing, allocates nothing and has no error values: what the
// network sent is either well-formed or named by a small enum.
package wire

import "encoding/binary"

// Sizes in bytes. Handshake messages have exactly their size, a transport message at least TransportMinSize.
const (
	InitiationSize      = 148
	ResponseSize        = 92
	CookieReplySize     = 64
	TransportHeaderSize = 16
	TagSize             = 16
	TransportMinSize    = TransportHeaderSize + TagSize // a keepalive (PAD-05)
	MACSize             = 16
)

// Offsets of the two MACs that end an initiation and a response; each also is the length of what that MAC covers
// (COOKIE-01, COOKIE-05).
const (
	InitiationMAC1Offset, InitiationMAC2Offset = InitiationSize - 2*MACSize, InitiationSize - MACSize
	ResponseMAC1Offset, ResponseMAC2Offset     = ResponseSize - 2*MACSize, ResponseSize - MACSize
)

//go:generate go run golang.org/x/tools/cmd/stringer@v0.36.0 -type=Type -linecomment -output=enum_string.go

// Type is the kind of a message: its first byte (MSG-01). Zero is no message.
type Type uint8

// The four messages.
const (
	TypeInvalid     Type = iota // invalid
	TypeInitiation              // initiation
	TypeResponse                // response
	TypeCookieReply             // cookie-reply
	TypeTransport               // transport
)

// Problem says why a datagram is no WireGuard message.
type Problem uint8

// The problems, in the order in which Classify looks for them.
const (
	OK          Problem = iota
	TooShort            // no room for a type (MSG-13), or a transport message under its minimum (MSG-08)
	BadType             // a type that does not exist (MSG-04)
	BadReserved         // bytes 1 to 3 are not all zero (MSG-03)
	BadLength           // a handshake message or cookie reply of another than its exact size (MSG-05, MSG-06, MSG-07)
)

// sizes are the exact lengths by type; a transport message may be longer.
var sizes = [...]int{0, InitiationSize, ResponseSize, CookieReplySize, TransportMinSize}

// Classify returns the type of the datagram b, or TypeInvalid and what is wrong with it. After OK the As functions and
// the transport functions may be used on b without further checks.
func Classify(b []byte) (Type, Problem) {
	if len(b) < 4 {
		return TypeInvalid, TooShort
	}
	word := binary.LittleEndian.Uint32(b)
	switch t := Type(word); {
	case t == TypeInvalid || t > TypeTransport:
		return TypeInvalid, BadType
	case word != uint32(t):
		return TypeInvalid, BadReserved
	case t == TypeTransport && len(b) < sizes[t]:
		return TypeInvalid, TooShort
	case t != TypeTransport && len(b) != sizes[t]:
		return TypeInvalid, BadLength
	default:
		return t, OK
	}
}

// TransportReceiver returns the receiver index of the transport message b, which holds at least its header.
func TransportReceiver(b []byte) uint32 { return binary.LittleEndian.Uint32(b[4:]) }

// TransportCounter returns the counter of the transport message b, which holds at least its header.
func TransportCounter(b []byte) uint64 { return binary.LittleEndian.Uint64(b[8:]) }

// PutTransportHeader writes the 16 bytes before the ciphertext into b (MSG-02, MSG-10).
func PutTransportHeader(b []byte, receiver uint32, counter uint64) {
	binary.LittleEndian.PutUint64(b[8:], counter)
	binary.LittleEndian.PutUint32(b[4:], receiver)
	binary.LittleEndian.PutUint32(b, uint32(TypeTransport))
}
