package tun

import (
	"bytes"
	"encoding/binary"

	"github.com/purewire/purewire/protocol"
)

const (
	maxMerged = 1<<16 - 1 // bytes of an IP packet
	// maxParts bounds the packets of one super-packet: what the host accepts for UDP, and well below the number of
	// pieces that one write may have.
	maxParts = 64
	// maxHeaders is the room for the headers of a super-packet: IPv6 and TCP with all its options.
	maxHeaders = vnetSize + ipv6Size + 60
)

// A flow is what is known of a packet that others can be appended to. The zero value takes none.
type flow struct {
	head   []byte // the first packet
	l3, l4 int    // length of the IP header, and of both
	proto  uint8
	mss    int // payload of the first packet
	total  int // bytes of the merged packet so far
	parts  int
	flags  uint8 // of TCP, all packets' together
	full   bool  // nothing may follow: the last one was shorter, or pushes
}

// start looks whether a packet can be the first of several: TCP or UDP right behind an IP header without options,
// whole, and with payload.
func (f *flow) start(p []byte, udp bool) bool {
	*f = flow{}
	l3, proto := 0, uint8(0)
	switch {
	case len(p) >= ipv4Size && p[0] == 0x45:
		l3, proto = ipv4Size, p[9]
		if int(binary.BigEndian.Uint16(p[2:])) != len(p) || binary.BigEndian.Uint16(p[6:])&^dontFrag != 0 ||
			!headerIntact(p) {
			return false
		}
	case len(p) >= ipv6Size && p[0]>>4 == 6:
		l3, proto = ipv6Size, p[6]
		if int(binary.BigEndian.Uint16(p[4:])) != len(p)-ipv6Size {
			return false
		}
	default:
		return false
	}
	l4 := l3 + udpSize
	switch {
	case proto == protoTCP && len(p) >= l3+tcpSize:
		l4 = l3 + int(p[l3+12]>>4)*4
		f.flags = p[l3+tcpFlagsAt]
		// Only what carries data and nothing else: ACK, ECE and the marks of a burst's end.
		if l4 < l3+tcpSize || f.flags&^(flagECE|flagPSH|flagFIN) != flagACK || p[l3+12]&0xf != 0 {
			return false
		}
	case proto == protoUDP && udp && len(p) >= l4:
		// A checksum of zero says that there is none (IPv4), which a merged packet cannot say.
		if int(binary.BigEndian.Uint16(p[l3+4:])) != len(p)-l3 || binary.BigEndian.Uint16(p[l3+udpCsumAt:]) == 0 {
			return false
		}
	default:
		return false
	}
	if len(p) <= l4 {
		return false
	}
	f.head, f.l3, f.l4, f.proto = p, l3, l4, proto
	f.mss, f.total, f.parts = len(p)-l4, len(p), 1
	f.full = f.flags&(flagPSH|flagFIN) != 0
	return true
}

// follows tells whether q is the next packet of the flow: equal but for what splitting changes. If it is, it is
// counted in.
func (f *flow) follows(q []byte) bool {
	p, n := f.head, len(q)-f.l4
	if f.full || f.parts == maxParts || n <= 0 || n > f.mss || f.total+n > maxMerged || q[0] != p[0] {
		return false
	}
	if f.l3 == ipv4Size {
		if int(binary.BigEndian.Uint16(q[2:])) != len(q) || q[1] != p[1] || !bytes.Equal(q[6:10], p[6:10]) ||
			!bytes.Equal(q[12:20], p[12:20]) || !headerIntact(q) {
			return false
		}
		// The identification matters only to fragments (RFC 6864 §4.1). Where there can be some it has to be what
		// splitting makes of it.
		id := binary.BigEndian.Uint16(p[4:]) + uint16(f.parts)
		if binary.BigEndian.Uint16(p[6:])&dontFrag == 0 && binary.BigEndian.Uint16(q[4:]) != id {
			return false
		}
	} else if int(binary.BigEndian.Uint16(q[4:])) != len(q)-ipv6Size || !bytes.Equal(q[:4], p[:4]) ||
		!bytes.Equal(q[6:40], p[6:40]) {
		return false
	}
	if !f.sameTransport(p[f.l3:], q[f.l3:]) {
		return false
	}
	f.full = f.full || n < f.mss
	f.total += n
	f.parts++
	return true
}

// headerIntact verifies the checksum of an IPv4 header without options: a router may have handed the peer a packet that
// the host is to refuse, which it could not if the header were made anew.
func headerIntact(p []byte) bool { return fold(sum(p[:ipv4Size], 0)) == 0xffff }

func (f *flow) sameTransport(p, q []byte) bool {
	if !bytes.Equal(q[:4], p[:4]) {
		return false
	}
	if f.proto == protoUDP {
		return int(binary.BigEndian.Uint16(q[4:])) == len(q) && binary.BigEndian.Uint16(q[udpCsumAt:]) != 0
	}
	flags, before := q[tcpFlagsAt], p[tcpFlagsAt]
	sent := uint32(f.total - f.l4)
	switch {
	case binary.BigEndian.Uint32(q[4:]) != binary.BigEndian.Uint32(p[4:])+sent,
		!bytes.Equal(q[8:13], p[8:13]),                 // acknowledgment, header length
		(flags^before)&^(flagPSH|flagFIN) != 0,         // these may come with the last one
		!bytes.Equal(q[14:16], p[14:16]),               // window
		!bytes.Equal(q[18:f.l4-f.l3], p[18:f.l4-f.l3]): // urgent pointer, options
		return false
	}
	f.flags |= flags
	f.full = flags&(flagPSH|flagFIN) != 0
	return true
}

// headers writes the vnet header and those of the super-packet to b and gives their length.
func (f *flow) headers(b []byte) int {
	v := vnet{flags: needsCsum, headers: uint16(f.l4), segment: uint16(f.mss), csumStart: uint16(f.l3)}
	out := b[vnetSize : vnetSize+f.l4]
	copy(out, f.head)
	if f.l3 == ipv4Size {
		binary.BigEndian.PutUint16(out[2:], uint16(f.total))
		out[10], out[11] = 0, 0
		binary.BigEndian.PutUint16(out[10:], ^fold(sum(out[:ipv4Size], 0)))
	} else {
		binary.BigEndian.PutUint16(out[4:], uint16(f.total-ipv6Size))
	}
	length := uint16(f.total - f.l3)
	body := out[f.l3:]
	if f.proto == protoTCP {
		v.csumOffset, v.gso = tcpCsumAt, gsoTCPv4
		if f.l3 == ipv6Size {
			v.gso = gsoTCPv6
		}
		body[tcpFlagsAt] = f.flags
	} else {
		v.csumOffset, v.gso = udpCsumAt, gsoUDP
		binary.BigEndian.PutUint16(body[4:], length)
	}
	binary.BigEndian.PutUint16(body[v.csumOffset:], fold(sumWord(length, pseudo(out, f.proto))))
	v.put(b)
	return vnetSize + f.l4
}

// merge collects in f as many of the first packets of p as can leave as one, and gives their number, at least one.
func (f *flow) merge(p []protocol.Delivery, udp bool) int {
	if !f.start(p[0].Bytes(), udp) {
		return 1
	}
	n := 1
	for n < len(p) && f.follows(p[n].Bytes()) {
		n++
	}
	return n
}
