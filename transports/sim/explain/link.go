package explain

import (
	"encoding/binary"
	"net/netip"
)

// Link types of pcap files (the registry of tcpdump.org) that a tunnel's outside is captured on.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawBSDI  = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// Heading is what a capture itself says about the way of a packet: only Linux cooked captures do.
type heading uint8

const (
	headingUnknown heading = iota
	headingIn              // it came to the host of the tap
	headingOut             // the host of the tap sent it
)

// stripLink takes the link header and VLAN tags off. below is an extra interface number that SLL2 has: a capture on
// "any" is several taps. A nil packet is none of IP.
func stripLink(link uint32, b []byte) (ip []byte, dir heading, below int) {
	switch link {
	case linkEthernet:
		if len(b) < 14 {
			return nil, 0, 0
		}
		return stripTags(binary.BigEndian.Uint16(b[12:]), b[14:]), headingUnknown, 0
	case linkSLL:
		if len(b) < 16 {
			return nil, 0, 0
		}
		return stripTags(binary.BigEndian.Uint16(b[14:]), b[16:]), cookedHeading(binary.BigEndian.Uint16(b)), 0
	case linkSLL2:
		if len(b) < 20 {
			return nil, 0, 0
		}
		return stripTags(binary.BigEndian.Uint16(b), b[20:]), cookedHeading(uint16(b[10])),
			int(binary.BigEndian.Uint32(b[4:]))
	case linkRaw, linkRawBSD, linkRawBSDI, linkIPv4, linkIPv6:
		return b, headingUnknown, 0
	case linkNull, linkLoop:
		if len(b) < 4 {
			return nil, 0, 0
		}
		return b[4:], headingUnknown, 0 // the family only says what the version in the packet says too
	}
	return nil, 0, 0
}

func knownLink(link uint32) bool {
	switch link {
	case linkNull, linkEthernet, linkRawBSD, linkRawBSDI, linkRaw, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

// cookedHeading reads the packet type of Linux: 4 is outgoing, 0 to us.
func cookedHeading(kind uint16) heading {
	switch kind {
	case 0:
		return headingIn
	case 4:
		return headingOut
	}
	return headingUnknown
}

// stripTags takes 802.1Q and 802.1ad tags off and gives the packet if it is IP.
func stripTags(kind uint16, b []byte) []byte {
	for kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 {
		if len(b) < 4 {
			return nil
		}
		kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if kind != 0x0800 && kind != 0x86dd {
		return nil
	}
	return b
}

// packet is an IP packet or a fragment of one.
type packet struct {
	src, dst  netip.Addr
	proto     uint8
	tos, ttl  uint8
	payload   []byte // what was captured of it
	full      int    // length of the payload on the wire
	fragment  bool
	more      bool
	offset    int
	id        uint32
	dontSplit bool // DF
}

// Protocol numbers.
const (
	protoUDP    = 17
	protoICMP   = 1
	protoICMPv6 = 58
)

// parseIP reads an IP header and, for IPv6, the extension headers before UDP. wire is the length of the packet as it
// was
// on the wire, for super-frames whose own length field may be 0.
func parseIP(b []byte, wire int) (p packet, ok bool) {
	if len(b) < 20 {
		return p, false
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, wire)
	case 6:
		return parseIPv6(b, wire)
	}
	return p, false
}

func parseIPv4(b []byte, wire int) (p packet, ok bool) {
	size, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = wire
	}
	if size < 20 || len(b) < size || total < size {
		return p, false
	}
	p.src, p.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.proto, p.tos, p.ttl = b[9], b[1], b[8]
	flags := binary.BigEndian.Uint16(b[6:])
	p.offset, p.more, p.dontSplit = int(flags&0x1fff)*8, flags&0x2000 != 0, flags&0x4000 != 0
	p.fragment = p.more || p.offset > 0
	p.id = uint32(binary.BigEndian.Uint16(b[4:]))
	p.full = total - size
	p.payload = b[size:min(len(b), total)]
	return p, true
}

func parseIPv6(b []byte, wire int) (p packet, ok bool) {
	if len(b) < 40 {
		return p, false
	}
	p.src, p.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.tos, p.ttl = uint8(binary.BigEndian.Uint16(b)>>4), b[7]
	p.full = int(binary.BigEndian.Uint16(b[4:]))
	if p.full == 0 {
		p.full = max(wire-40, 0)
	}
	next, rest := b[6], b[40:min(len(b), 40+p.full)]
	for {
		size := 0
		switch next {
		case 0, 43, 60: // hop by hop, routing, destination options
			if len(rest) < 8 {
				return p, false
			}
			size = int(rest[1])*8 + 8
		case 44:
			if len(rest) < 8 {
				return p, false
			}
			size = 8
			flags := binary.BigEndian.Uint16(rest[2:])
			p.offset, p.more, p.id = int(flags&^7), flags&1 != 0, binary.BigEndian.Uint32(rest[4:])
			p.fragment = p.more || p.offset > 0
		default:
			p.proto, p.payload = next, rest
			return p, true
		}
		if len(rest) < size {
			return p, false
		}
		next, rest, p.full = rest[0], rest[size:], p.full-size
		if p.fragment && p.offset > 0 {
			p.proto, p.payload = next, rest
			return p, true
		}
	}
}

// datagram is what UDP carried.
type datagram struct {
	src, dst netip.AddrPort
	payload  []byte
	full     int  // length on the wire
	noSum    bool // the checksum field is zero
}

// parseUDP reads a UDP header. A segmentation super-frame may say 0, or the length of the first segment only; the IP
// length counts then.
func parseUDP(p *packet) (d datagram, ok bool) {
	b := p.payload
	if len(b) < 8 || p.full < 8 {
		return d, false
	}
	d.src = netip.AddrPortFrom(p.src, binary.BigEndian.Uint16(b))
	d.dst = netip.AddrPortFrom(p.dst, binary.BigEndian.Uint16(b[2:]))
	d.noSum = binary.BigEndian.Uint16(b[6:]) == 0
	d.payload, d.full = b[8:], p.full-8
	return d, true
}
