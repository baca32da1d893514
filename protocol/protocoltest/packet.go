package protocoltest

import (
	"encoding/binary"
	"net/netip"

	"github.com/purewire/purewire/protocol"
)

// IP protocol numbers and header sizes (RFC 791, RFC 8200, RFC 768, RFC 792, RFC 4443).
const (
	protoICMP, protoUDP, protoICMPv6 = 1, 17, 58
	ipv4Header, ipv6Header, l4Header = 20, 40, 8
)

// UDP builds an IP packet, IPv4 or IPv6 as the addresses are, that holds a UDP datagram with payload. Both checksums
// are right. The addresses must be of one family; an IPv4-mapped IPv6 address is IPv6.
func UDP(src, dst netip.AddrPort, payload []byte) []byte {
	l4 := make([]byte, l4Header, l4Header+len(payload))
	binary.BigEndian.PutUint16(l4[0:], src.Port())
	binary.BigEndian.PutUint16(l4[2:], dst.Port())
	binary.BigEndian.PutUint16(l4[4:], uint16(l4Header+len(payload)))
	l4 = append(l4, payload...)
	sum := ^checksum(pseudoHeader(src.Addr(), dst.Addr(), protoUDP, len(l4)), l4)
	if sum == 0 { // RFC 768: zero would say that there is no checksum
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(l4[6:], sum)
	return ip(src.Addr(), dst.Addr(), protoUDP, l4)
}

// Echo builds an ICMP or ICMPv6 echo request, or a reply, with right checksums.
func Echo(src, dst netip.Addr, id, seq uint16, reply bool, payload []byte) []byte {
	kind, proto := byte(8), byte(protoICMP)
	if !src.Is4() {
		kind, proto = 128, protoICMPv6
	}
	switch {
	case reply && proto == protoICMP:
		kind = 0
	case reply:
		kind = 129
	}
	l4 := make([]byte, l4Header, l4Header+len(payload))
	l4[0] = kind
	binary.BigEndian.PutUint16(l4[4:], id)
	binary.BigEndian.PutUint16(l4[6:], seq)
	l4 = append(l4, payload...)
	var pseudo uint32
	if proto == protoICMPv6 { // RFC 4443 §2.3; ICMP for IPv4 has no pseudo-header
		pseudo = pseudoHeader(src, dst, protoICMPv6, len(l4))
	}
	binary.BigEndian.PutUint16(l4[2:], ^checksum(pseudo, l4))
	return ip(src, dst, proto, l4)
}

// ip puts the IP header before l4.
func ip(src, dst netip.Addr, proto byte, l4 []byte) []byte {
	if src.BitLen() != dst.BitLen() {
		panic("protocoltest: source and destination of different families")
	}
	if src.Is4() {
		b := make([]byte, ipv4Header, ipv4Header+len(l4))
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(ipv4Header+len(l4)))
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
		fixHeader(b)
		return append(b, l4...)
	}
	b := make([]byte, ipv6Header, ipv6Header+len(l4))
	b[0], b[6], b[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(l4)))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, l4...)
}

// SetTOS writes the TOS byte (IPv4) or traffic class (IPv6) of a packet of UDP or Echo.
func SetTOS(packet []byte, tos uint8) {
	if packet[0]>>4 == 4 {
		packet[1] = tos
		fixHeader(packet)
		return
	}
	packet[0], packet[1] = 0x60|tos>>4, packet[1]&0x0f|tos<<4
}

// congested gives a copy of a packet with the mark "congestion experienced" (RFC 3168), if it is capable of it.
func congested(packet []byte) []byte {
	c := append([]byte(nil), packet...)
	tos := c[1]
	if c[0]>>4 == 6 {
		tos = c[0]<<4 | c[1]>>4
	}
	if tos&3 != 0 {
		SetTOS(c, tos|3)
	}
	return c
}

// fixHeader writes the IPv4 header checksum, if b is IPv4.
func fixHeader(b []byte) {
	if b[0]>>4 == 4 {
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^checksum(0, b[:ipv4Header]))
	}
}

// setSerial marks a packet with a number up to 65535, in fields that no checksum of the transport layer covers: the
// identification of IPv4, the flow label of IPv6.
func setSerial(b []byte, n int) {
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[4:], uint16(n))
		fixHeader(b)
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(n))
}

func serial(b []byte) int {
	switch {
	case len(b) >= ipv4Header && b[0]>>4 == 4:
		return int(binary.BigEndian.Uint16(b[4:]))
	case len(b) >= ipv6Header && b[0]>>4 == 6:
		return int(binary.BigEndian.Uint16(b[2:]))
	}
	return 0
}

// lie adds by to the length field of the IP header, so that the packet claims another size than it has.
func lie(b []byte, by int) {
	at := 2
	if b[0]>>4 == 6 {
		at = 4
	}
	binary.BigEndian.PutUint16(b[at:], uint16(int(binary.BigEndian.Uint16(b[at:]))+by))
	fixHeader(b)
}

func pseudoHeader(src, dst netip.Addr, proto byte, length int) uint32 {
	sum := uint32(proto) + uint32(length)
	for _, a := range [2]netip.Addr{src, dst} {
		s := a.AsSlice()
		for i := 0; i < len(s); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(s[i:]))
		}
	}
	return sum
}

// checksum is the one's complement sum of RFC 1071, not yet complemented.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// Window copies an inner packet into a fresh buffer with the room around it that sealing in place needs.
func Window(packet []byte) protocol.Packet {
	buf := make([]byte, protocol.Headroom+len(packet)+protocol.Tailroom)
	copy(buf[protocol.Headroom:], packet)
	return protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(packet)}
}
