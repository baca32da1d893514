package conformance

import (
	"encoding/binary"
	"net/netip"
)

// UDP builds an inner packet, IPv4 or IPv6 as the addresses are, with a UDP datagram in it and right checksums.
func UDP(src, dst netip.AddrPort, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	if sum := ^fold(checksum(b, pseudo(src.Addr(), dst.Addr(), 17, len(b)))); sum != 0 {
		binary.BigEndian.PutUint16(b[6:], sum)
	} else {
		binary.BigEndian.PutUint16(b[6:], 0xffff) // zero would say: no checksum
	}
	return IP(src.Addr(), dst.Addr(), 17, b)
}

// Echo builds an ICMP or ICMPv6 echo request with right checksums.
func Echo(src, dst netip.Addr, id, seq uint16, payload []byte) []byte {
	return ping(src, dst, echoType(src), echoBody(id, seq, payload))
}

// EchoReply builds an echo reply.
func EchoReply(src, dst netip.Addr, id, seq uint16, payload []byte) []byte {
	kind := byte(0)
	if src.Is6() {
		kind = 129
	}
	return ping(src, dst, kind, echoBody(id, seq, payload))
}

func echoBody(id, seq uint16, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id), seq), payload...)
}

// echoType is the type of an echo request of an address's family.
func echoType(a netip.Addr) byte {
	if a.Is6() {
		return 128
	}
	return 8
}

// ping builds an ICMP or ICMPv6 message; rest is what follows its checksum.
func ping(src, dst netip.Addr, kind byte, rest []byte) []byte {
	b := append([]byte{kind, 0, 0, 0}, rest...)
	protocol, start := byte(1), uint32(0)
	if src.Is6() {
		protocol, start = 58, pseudo(src, dst, 58, len(b))
	}
	binary.BigEndian.PutUint16(b[2:], ^fold(checksum(b, start)))
	return IP(src, dst, protocol, b)
}

// IP puts an IPv4 or IPv6 header before a payload.
func IP(src, dst netip.Addr, protocol byte, payload []byte) []byte {
	if src.Is4() {
		b := make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, protocol
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
		FixHeader(b)
		return append(b, payload...)
	}
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, protocol, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, payload...)
}

// FixHeader makes the checksum of an IPv4 header right after a change, in place; it leaves IPv6 alone. It returns b.
func FixHeader(b []byte) []byte {
	if header := int(b[0]&15) * 4; b[0]>>4 == 4 && header >= 20 && len(b) >= header {
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^fold(checksum(b[:header], 0)))
	}
	return b
}

// SetTOS writes the TOS byte or traffic class of an inner packet, in place, and returns it.
func SetTOS(b []byte, tos byte) []byte {
	if b[0]>>4 == 4 {
		b[1] = tos
		return FixHeader(b)
	}
	b[0], b[1] = b[0]&0xf0|tos>>4, b[1]&0x0f|tos<<4
	return b
}

// TOS reads the TOS byte or traffic class of an inner packet.
func TOS(b []byte) byte {
	switch {
	case len(b) < 2:
		return 0
	case b[0]>>4 == 4:
		return b[1]
	}
	return b[0]<<4 | b[1]>>4
}

// Source is the source address of an inner packet; the zero Addr if it has none.
func Source(b []byte) netip.Addr { return address(b, 12, 8) }

// Destination is its destination address.
func Destination(b []byte) netip.Addr { return address(b, 16, 24) }

func address(b []byte, at4, at6 int) netip.Addr {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[at4:]))
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[at6:]))
	}
	return netip.Addr{}
}

// trim cuts padding off by the length that the header names; what has no valid length stays as it is (PAD-06).
func trim(b []byte) []byte {
	n := -1
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n = int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= 40 && b[0]>>4 == 6:
		n = 40 + int(binary.BigEndian.Uint16(b[4:]))
	}
	if n < 0 || n > len(b) {
		return b
	}
	return b[:n]
}

// pad adds zeros up to a multiple of 16 (PAD-01).
func pad(b []byte) []byte { return append(b[:len(b):len(b)], make([]byte, -len(b)&15)...) }

func pseudo(src, dst netip.Addr, protocol byte, n int) uint32 {
	return checksum(dst.AsSlice(), checksum(src.AsSlice(), uint32(protocol)+uint32(n)))
}

func checksum(b []byte, sum uint32) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)&1 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
