package tun

import "encoding/binary"

// split cuts a super-packet of the host into the packets that a network card would make of it: the headers repeated,
// with lengths, IPv4 identification, TCP sequence number, flags and checksums that fit each. It can stop anywhere and
// go on later.
type split struct {
	packet  []byte // the whole; nil when there is nothing to cut
	l3, l4  int    // length of the IP header, and of both
	mss     int    // payload of every packet but the last
	done    int    // payload that was given
	count   uint16 // packets that were given
	proto   uint8
	noCsum  bool   // UDP over IPv4 without a checksum
	address uint64 // sum of the pseudo-header without its length
}

// start takes on a super-packet; false if it makes no sense.
func (s *split) start(packet []byte, v *vnet) bool {
	*s = split{}
	proto, version := uint8(protoTCP), uint8(4)
	switch v.gso &^ gsoECN {
	case gsoTCPv4:
	case gsoTCPv6:
		version = 6
	case gsoUDP:
		proto = protoUDP
		if len(packet) > 0 {
			version = packet[0] >> 4
		}
	default:
		return false
	}
	if len(packet) < ipv4Size || packet[0]>>4 != version || version == 6 && len(packet) < ipv6Size {
		return false
	}
	// Where the transport header begins is said by the host: it has walked the extension headers. How long it is, is
	// not: the vnet header's field is a hint, and larger for packets that the host forwards.
	l3 := int(v.csumStart)
	if v.flags&needsCsum == 0 {
		if l3 = ipv6Size; version == 4 {
			l3 = int(packet[0]&0xf) * 4
		}
	}
	if version == 4 && l3 != int(packet[0]&0xf)*4 || l3 < ipv4Size || version == 6 && l3 < ipv6Size {
		return false
	}
	l4 := l3 + udpSize
	if proto == protoTCP {
		if len(packet) < l3+tcpSize {
			return false
		}
		l4 = l3 + int(packet[l3+12]>>4)*4
		if l4 < l3+tcpSize {
			return false
		}
	}
	if len(packet) <= l4 || v.segment == 0 {
		return false
	}
	*s = split{packet: packet, l3: l3, l4: l4, mss: int(v.segment), proto: proto, address: pseudo(packet, proto)}
	s.noCsum = proto == protoUDP && v.flags&needsCsum == 0 && binary.BigEndian.Uint16(packet[l3+udpCsumAt:]) == 0
	return true
}

// size is the length of the next packet, 0 if there is none.
func (s *split) size() int {
	if s.packet == nil {
		return 0
	}
	return s.l4 + min(s.mss, len(s.packet)-s.l4-s.done)
}

// next writes the next packet to dst, which has its size.
func (s *split) next(dst []byte) {
	copy(dst[:s.l4], s.packet)
	from := s.l4 + s.done
	copy(dst[s.l4:], s.packet[from:])
	last := from+len(dst)-s.l4 == len(s.packet)
	if dst[0]>>4 == 4 {
		binary.BigEndian.PutUint16(dst[2:], uint16(len(dst)))
		binary.BigEndian.PutUint16(dst[4:], binary.BigEndian.Uint16(dst[4:])+s.count)
		dst[10], dst[11] = 0, 0
		binary.BigEndian.PutUint16(dst[10:], ^fold(sum(dst[:s.l3], 0)))
	} else {
		binary.BigEndian.PutUint16(dst[4:], uint16(len(dst)-ipv6Size))
	}
	body := dst[s.l3:]
	at := udpCsumAt
	if s.proto == protoTCP {
		at = tcpCsumAt
		binary.BigEndian.PutUint32(body[4:], binary.BigEndian.Uint32(body[4:])+uint32(s.done))
		if !last {
			body[tcpFlagsAt] &^= flagFIN | flagPSH
		}
		if s.count > 0 {
			body[tcpFlagsAt] &^= flagCWR // "the window was reduced" is said once (RFC 3168 §6.1.2)
		}
	} else {
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
	}
	body[at], body[at+1] = 0, 0
	if !s.noCsum {
		c := ^fold(sum(body, sumWord(uint16(len(body)), s.address)))
		if c == 0 && s.proto == protoUDP {
			c = 0xffff
		}
		binary.BigEndian.PutUint16(body[at:], c)
	}
	s.done += len(dst) - s.l4
	s.count++
	if last {
		s.packet = nil
	}
}
