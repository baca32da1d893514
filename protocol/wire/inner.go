package wire

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4HeaderSize = 20
	ipv6HeaderSize = 40

	ecnMask = 3
	ecnECT0 = 2
	ecnCE   = 3
)

// InnerProblem says why a decrypted packet is not delivered.
type InnerProblem uint8

// The problems, in the order in which Inner looks for them.
const (
	InnerOK      InnerProblem = iota
	InnerVersion              // neither IPv4 nor IPv6 (INNER-01)
	InnerShort                // shorter than the header of its version, or empty (INNER-02)
	InnerLength               // a total length under the header's size or over the packet's (INNER-03, INNER-04)
)

// String returns the name that traces use.
func (p InnerProblem) String() string {
	if p > InnerLength {
		return "unknown"
	}
	return [...]string{"ok", "inner-version", "inner-short", "inner-length"}[p]
}

// header returns the IP version of b and whether b is long enough for that version's fixed header.
func header(b []byte) (version int, p InnerProblem) {
	if len(b) == 0 {
		return 0, InnerShort
	}
	version, need := int(b[0]>>4), ipv4HeaderSize
	switch version {
	case 4:
	case 6:
		need = ipv6HeaderSize
	default:
		return version, InnerVersion
	}
	if len(b) < need {
		return version, InnerShort
	}
	return version, InnerOK
}

// InnerDestination returns where the packet b from the tunnel wants to go. It looks at version and minimal length only
// (ROUTE-10): what the host sends is the host's business. An IPv4-mapped IPv6 address stays IPv6 (ROUTE-09).
func InnerDestination(b []byte) (netip.Addr, bool) {
	version, p := header(b)
	if p != InnerOK {
		return netip.Addr{}, false
	}
	if version == 4 {
		return netip.AddrFrom4([4]byte(b[16:])), true
	}
	return netip.AddrFrom16([16]byte(b[24:])), true
}

// Inner returns the source of the decrypted packet b and its true length, which is b without padding (PAD-06). Options,
// extension headers and checksums are not looked at (INNER-05, INNER-06).
func Inner(b []byte) (src netip.Addr, length int, p InnerProblem) {
	version, p := header(b)
	if p != InnerOK {
		return netip.Addr{}, 0, p
	}
	if version == 4 {
		src, length = netip.AddrFrom4([4]byte(b[12:])), int(binary.BigEndian.Uint16(b[2:]))
	} else {
		// The sum needs more than 16 bits: payload lengths from 65496 on would wrap to a small packet (INNER-04).
		src, length = netip.AddrFrom16([16]byte(b[8:])), int(binary.BigEndian.Uint16(b[4:]))+ipv6HeaderSize
	}
	if length < ipv4HeaderSize || length > len(b) {
		return netip.Addr{}, 0, InnerLength
	}
	return src, length, InnerOK
}

// InnerTOS returns the TOS byte or traffic class of b, a packet that InnerDestination or Inner took.
func InnerTOS(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return b[1]
	}
	return b[0]<<4 | b[1]>>4
}

// SetInnerECN writes the two ECN bits of b, a packet that Inner took, and keeps an IPv4 header checksum as right or
// wrong as it was.
func SetInnerECN(b []byte, ecn uint8) {
	ecn &= ecnMask
	if b[0]>>4 != 4 {
		b[1] = b[1]&^(ecnMask<<4) | ecn<<4
		return
	}
	// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), where m is the 16-bit word that changes.
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + uint32(^binary.BigEndian.Uint16(b))
	b[1] = b[1]&^ecnMask | ecn
	sum += uint32(binary.BigEndian.Uint16(b))
	sum = sum&0xffff + sum>>16
	sum += sum >> 16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}

// OuterECN returns the outer TOS byte for a packet with the inner TOS byte: DSCP 0, so that the inner one does not leak
// (QOS-02), and ECN as RFC 6040 has it, where Linux's helper sends ECT(0) for CE (QOS-03).
func OuterECN(inner uint8) uint8 {
	if inner &= ecnMask; inner != ecnCE {
		return inner
	}
	return ecnECT0
}

// DecapECN returns the ECN bits that the delivered packet must have and whether that is a change (QOS-04): an outer CE
// reaches an inner packet that is ECN-capable and not marked yet. No combination is a reason to drop.
func DecapECN(outer, inner uint8) (ecn uint8, change bool) {
	inner &= ecnMask
	if outer&ecnMask == ecnCE && inner != 0 && inner != ecnCE {
		return ecnCE, true
	}
	return inner, false
}
