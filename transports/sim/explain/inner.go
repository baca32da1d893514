package explain

import (
	"encoding/binary"
	"net/netip"
)

// innerPacket is what a decrypted transport message carries.
type innerPacket struct {
	empty     bool // a keepalive
	valid     bool // IPv4 or IPv6 with a length that fits
	src, dst  netip.Addr
	length    int // without padding
	padding   int
	dirty     bool // padding that is not zero (PAD-04)
	proto     uint8
	tcpPorts  [2]uint16
	tcpSeq    uint32
	tcpData   int
	plainSize int
}

// parseInner reads a plaintext (INNER-01 to INNER-04).
func parseInner(b []byte) *innerPacket {
	p := &innerPacket{empty: len(b) == 0, plainSize: len(b)}
	if len(b) < 20 {
		return p
	}
	switch b[0] >> 4 {
	case 4:
		p.length = int(binary.BigEndian.Uint16(b[2:]))
		p.valid = p.length >= 20 && p.length <= len(b)
	case 6:
		if len(b) < 40 {
			return p
		}
		p.length = int(binary.BigEndian.Uint16(b[4:])) + 40
		p.valid = p.length <= len(b)
	}
	if !p.valid {
		return p
	}
	for _, c := range b[p.length:] {
		p.dirty = p.dirty || c != 0
	}
	p.padding = len(b) - p.length
	ip, ok := parseIP(b[:p.length], p.length)
	if !ok {
		p.valid = false
		return p
	}
	p.src, p.dst, p.proto = ip.src, ip.dst, ip.proto
	if t := ip.payload; p.proto == 6 && ip.offset == 0 && len(t) >= 20 {
		p.tcpPorts = [2]uint16{binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])}
		p.tcpSeq = binary.BigEndian.Uint32(t[4:])
		p.tcpData = max(len(t)-int(t[12]>>4)*4, 0)
	}
	return p
}
