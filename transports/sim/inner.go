package sim

import (
	"encoding/binary"
	"net/netip"

	"github.com/purewire/purewire/timers"
)

// Inner packets are real ones, so that captures show them as what they are. Their payload begins with a label by
// which the checkers know them again:
//
//	0 "PURE" · 4 ID · 12 flow · 16 number in the flow · 24 time when made
const (
	labelMagic = 0x50555245
	labelSize  = 32
)

// Ports of the UDP flows: the source counts up with the flow.
const (
	udpSource      = 40000
	udpDestination = 41414
	udpQuestions   = 41415 // where questions go to and answers come from
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58

	ip4Header, ip6Header = 20, 40
	upperHeader          = 8 // of ICMP echo and of UDP alike
	firstHops            = 64
)

// spec is an inner packet to be made.
type spec struct {
	kind     InnerKind
	src, dst netip.Addr
	tos      uint8
	id       uint64
	flow     int
	seq      uint64
	born     timers.Time
}

// proto is the number of the protocol inside IP.
func (p spec) proto() byte {
	switch {
	case p.kind == InnerTCP:
		return protoTCP
	case p.kind != InnerPing && p.kind != InnerPong:
		return protoUDP
	case p.src.Is4():
		return protoICMP
	}
	return protoICMPv6
}

// smallestInner is the size of the smallest packet that has room for the label.
func smallestInner(v6 bool) int {
	if v6 {
		return ip6Header + upperHeader + labelSize
	}
	return ip4Header + upperHeader + labelSize
}

// build fills b, all of it, with the packet.
func (p spec) build(b []byte) {
	var upper []byte
	if p.src.Is4() {
		upper = p.header4(b)
	} else {
		upper = p.header6(b)
	}
	payload := upper[upperHeader:]
	binary.BigEndian.PutUint32(payload, labelMagic)
	binary.BigEndian.PutUint64(payload[4:], p.id)
	binary.BigEndian.PutUint32(payload[12:], uint32(p.flow))
	binary.BigEndian.PutUint64(payload[16:], p.seq)
	binary.BigEndian.PutUint64(payload[24:], uint64(p.born))
	for i := labelSize; i < len(payload); i++ {
		payload[i] = byte(i)
	}
	clear(upper[:upperHeader])
	if p.proto() == protoUDP {
		from, to := uint16(udpSource+p.flow%20000), uint16(udpDestination)
		if p.kind != InnerUDP {
			to = udpQuestions
		}
		if p.kind == InnerResponse {
			from, to = to, from
		}
		binary.BigEndian.PutUint16(upper[0:], from)
		binary.BigEndian.PutUint16(upper[2:], to)
		binary.BigEndian.PutUint16(upper[4:], uint16(len(upper)))
	} else {
		upper[0] = echoType(p.src.Is4(), p.kind)
		binary.BigEndian.PutUint16(upper[4:], uint16(p.flow+1))
		binary.BigEndian.PutUint16(upper[6:], uint16(p.seq))
	}
	putUpperSum(b)
}

func (p spec) header4(b []byte) (upper []byte) {
	clear(b[:ip4Header])
	b[0], b[1], b[8], b[9] = 0x45, p.tos, firstHops, p.proto()
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], uint16(p.id)) // identification
	src, dst := p.src.As4(), p.dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	put4Sum(b)
	return b[ip4Header:]
}

func (p spec) header6(b []byte) (upper []byte) {
	clear(b[:ip6Header])
	binary.BigEndian.PutUint16(b, 6<<12|uint16(p.tos)<<4)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ip6Header))
	b[6], b[7] = p.proto(), firstHops
	src, dst := p.src.As16(), p.dst.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return b[ip6Header:]
}

func echoType(v4 bool, k InnerKind) byte {
	switch {
	case v4 && k == InnerPing:
		return 8
	case v4:
		return 0
	case k == InnerPing:
		return 128
	}
	return 129
}

// sum adds b to an Internet checksum (RFC 1071).
func sum(acc uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc&0xffff + acc>>16
	}
	return ^uint16(acc)
}

func put4Sum(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], fold(sum(0, b[:ip4Header])))
}

// upperSum is the checksum of the ICMP, ICMPv6, UDP or TCP part of a packet that build or pong made.
func upperSum(b []byte) uint16 {
	if b[0]>>4 == 6 {
		u := b[ip6Header:]
		return fold(sum(sum(uint32(len(u))+uint32(b[6]), b[8:ip6Header]), u))
	}
	u := b[ip4Header:]
	if b[9] == protoICMP {
		return fold(sum(0, u)) // no pseudo-header (RFC 792)
	}
	return fold(sum(sum(uint32(len(u))+uint32(b[9]), b[12:ip4Header]), u))
}

func putUpperSum(b []byte) {
	u, proto := b[ip4Header:], b[9]
	if b[0]>>4 == 6 {
		u, proto = b[ip6Header:], b[6]
	}
	at := u[2:4]
	switch proto {
	case protoUDP:
		at = u[6:8]
	case protoTCP:
		at = u[16:18]
	}
	at[0], at[1] = 0, 0
	c := upperSum(b)
	if c == 0 && proto == protoUDP {
		c = 0xffff // zero would mean "no checksum" (RFC 768)
	}
	binary.BigEndian.PutUint16(at, c)
}

// pong makes the echo reply to ping in b, which is as long.
func pong(b, ping []byte) {
	copy(b, ping)
	if b[0]>>4 == 4 {
		copy(b[12:16], ping[16:20])
		copy(b[16:20], ping[12:16])
		b[8], b[ip4Header] = firstHops, echoType(true, InnerPong)
		put4Sum(b)
	} else {
		copy(b[8:24], ping[24:40])
		copy(b[24:40], ping[8:24])
		b[7], b[ip6Header] = firstHops, echoType(false, InnerPong)
	}
	putUpperSum(b)
}

// hop takes one from the hops that are left and reports whether the packet may go on.
func hop(b []byte) bool {
	at := 8
	if b[0]>>4 == 6 {
		at = 7
	}
	if b[at] <= 1 {
		return false
	}
	b[at]--
	if b[0]>>4 == 4 {
		put4Sum(b)
	}
	return true
}

// inner says what an inner packet is. Data is b itself.
func (s *Sim) inner(b []byte) Inner {
	in := Inner{Data: b}
	var upper []byte
	var proto byte
	switch {
	case len(b) >= ip4Header && b[0]>>4 == 4:
		in.Src, in.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		upper, proto = b[ip4Header:], b[9]
	case len(b) >= ip6Header && b[0]>>4 == 6:
		in.Src, in.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		upper, proto = b[ip6Header:], b[6]
	}
	if proto == protoTCP {
		s.innerTCP(&in, upper)
		return in
	}
	if len(upper) < upperHeader+labelSize || binary.BigEndian.Uint32(upper[upperHeader:]) != labelMagic {
		return in
	}
	switch label := upper[upperHeader:]; {
	case proto == protoUDP:
		in.Kind = InnerUDP
		if binary.BigEndian.Uint16(upper[2:]) == udpQuestions {
			in.Kind = InnerRequest
		} else if binary.BigEndian.Uint16(upper) == udpQuestions {
			in.Kind = InnerResponse
		}
		s.readLabel(&in, label)
		if in.Kind == InnerResponse {
			in.From, in.To = in.To, in.From
		}
	case proto == protoICMP && upper[0] == 8, proto == protoICMPv6 && upper[0] == 128:
		in.Kind = InnerPing
		s.readLabel(&in, label)
	case proto == protoICMP && upper[0] == 0, proto == protoICMPv6 && upper[0] == 129:
		in.Kind = InnerPong
		s.readLabel(&in, label)
		in.From, in.To = in.To, in.From
	}
	return in
}

func (s *Sim) readLabel(in *Inner, label []byte) {
	in.ID = binary.BigEndian.Uint64(label[4:])
	in.Seq = binary.BigEndian.Uint64(label[16:])
	in.Born = timers.Time(binary.BigEndian.Uint64(label[24:]))
	s.nameFlow(in, binary.BigEndian.Uint32(label[12:]))
}

// nameFlow says which flow a packet is of, if there is such a flow.
func (s *Sim) nameFlow(in *Inner, i uint32) {
	if int64(i) < int64(len(s.flows)) {
		f := s.flows[i]
		in.flow, in.Flow, in.From, in.To = f.index+1, f.name, f.from.cfg.Name, f.to.cfg.Name
	}
}
