package explain

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// kind is the type of a WireGuard message (MSG-01).
type kind uint8

const (
	initiation  kind = 1
	response    kind = 2
	cookieReply kind = 3
	transport   kind = 4
	malformed   kind = 5 // none of the above, between two ends that speak WireGuard
)

// Sizes on the wire (MSG-05 to MSG-08).
const (
	initiationSize = 148
	responseSize   = 92
	cookieSize     = 64
	minTransport   = 32
	transportHead  = 16
)

// sighting is a message as one tap saw it.
type sighting struct {
	Ref
	at       int64 // by the clock of the tap
	tap      int
	dir      heading
	src, dst netip.AddrPort
	ttl      uint8
}

// message is a datagram, however many taps saw it. A copy that the network or somebody else made is a message of its
// own, with copyOf set.
type message struct {
	seen     []sighting // in order of corrected time once the clocks are known
	at       int64      // of the first sighting, by the first tap's clock
	kind     kind
	sender   uint32
	receiver uint32
	counter  uint64
	size     int    // of the payload, on the wire
	data     []byte // what is needed of the payload: all of a handshake message, if it was captured
	cut      bool   // data is not the whole payload
	reserved bool   // bytes 1 to 3 are not zero
	tos      uint8
	noSum    bool
	copyOf   *message

	tunnel   *tunnel
	exchange *exchange
	from     int // side of the tunnel
	inner    *innerPacket
	open     verdict // decryption of transport, or of the last field of a handshake message
	ident    identity
}

func (m *message) ref() Ref        { return m.seen[0].Ref }
func (m *message) keepalive() bool { return m.kind == transport && m.size == minTransport }
func (m *message) carries() bool   { return m.kind == transport && m.size > minTransport }
func (m *message) mac2() []byte    { return m.data[len(m.data)-16:] }
func (m *message) hasMac2() bool   { return !m.cut && !slices.Equal(m.mac2(), make([]byte, 16)) }
func (m *message) ephemeral() []byte {
	if m.kind == response {
		return m.data[12:44]
	}
	return m.data[8:40]
}

// sightingAt gives the sighting at a tap, or nil.
func (m *message) sightingAt(tap int) *sighting {
	for i := range m.seen {
		if m.seen[i].tap == tap {
			return &m.seen[i]
		}
	}
	return nil
}

// decode reads a UDP payload as a WireGuard message. full is its length on the wire. strict asks for zero reserved
// bytes; without, anything whose first byte and length fit will do.
func decode(b []byte, full int, strict bool) (m message, ok bool) {
	if len(b) < 4 {
		return m, false
	}
	m.reserved = b[1]|b[2]|b[3] != 0
	if strict && m.reserved {
		return m, false
	}
	m.kind, m.size, m.cut = kind(b[0]), full, len(b) < full
	u32 := func(at int) uint32 {
		if len(b) < at+4 {
			return 0
		}
		return binary.LittleEndian.Uint32(b[at:])
	}
	switch {
	case m.kind == initiation && full == initiationSize && len(b) >= 8:
		m.sender = u32(4)
	case m.kind == response && full == responseSize && len(b) >= 12:
		m.sender, m.receiver = u32(4), u32(8)
	case m.kind == cookieReply && full == cookieSize && len(b) >= 8:
		m.receiver = u32(4)
	case m.kind == transport && full >= minTransport && len(b) >= transportHead:
		m.receiver, m.counter = u32(4), binary.LittleEndian.Uint64(b[8:])
	default:
		return m, false
	}
	return m, true
}

// segments gives the messages of a super-frame: the kernel hands several datagrams of one size, the last may be
// shorter,
// to a capture as one, before it splits them or after it joined them. Every segment begins as the first does, with type
// and receiver index, and has a greater counter; eight equal bytes at the right place do not happen by chance. The
// number of messages in it is given even if the capture cut most of them off.
func segments(b []byte, full int) (parts [][]byte, sizes []int) {
	size := full
	if len(b) >= 8 && b[0] == byte(initiation) && full > initiationSize && full%initiationSize == 0 {
		size = initiationSize
	}
	if len(b) >= transportHead && b[0] == byte(transport) {
		size = segmentSize(b, full)
	}
	for at := 0; at < full; at += size {
		end := min(at+size, full)
		parts, sizes = append(parts, b[min(at, len(b)):min(end, len(b))]), append(sizes, end-at)
	}
	return parts, sizes
}

func segmentSize(b []byte, full int) int {
	first := binary.LittleEndian.Uint64(b[8:])
	for size := minTransport; size+transportHead <= len(b); size++ {
		if string(b[size:size+8]) != string(b[:8]) {
			continue
		}
		next := binary.LittleEndian.Uint64(b[size+8:])
		if next > first && next-first < 1<<16 && full-size*((full-1)/size) >= minTransport {
			return size
		}
	}
	return full
}

// fingerprint tells datagrams apart: the first bytes of two different ones differ, in an index, an ephemeral key or a
// counter with its ciphertext.
type fingerprint struct {
	head [minTransport]byte
	size int
}
