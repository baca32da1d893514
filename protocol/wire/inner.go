package wire

import (
	"encoding/binary"
	"net/netip"
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

// header is the fixed header of an IP version: its size, where the length field is and what that field leaves out, and
// where the source begins. The destination follows it and ends the header. The TOS byte ends tos bits before the end of
// the first 16 bits.
type header struct{ size, length, uncounted, src, dst, tos int }

var headers = [16]header{4: {20, 2, 0, 12, 16, 0}, 6: {40, 4, 40, 8, 24, 4}}

func parse(b []byte) (*header, InnerProblem) {
	if len(b) == 0 {
		return nil, InnerShort
	}
	h := &headers[b[0]>>4]
	if h.size == 0 {
		return nil, InnerVersion
	}
	if len(b) < h.size {
		return nil, InnerShort
	}
	return h, InnerOK
}

// InnerDestination returns where the packet b from the tunnel wants to go. It looks at version and minimal length only
// (ROUTE-10): what the host sends is the host's business. An IPv4-mapped IPv6 address stays IPv6 (ROUTE-09).
func InnerDestination(b []byte) (netip.Addr, bool) {
	h, p := parse(b)
	if p != InnerOK {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(b[h.dst:h.size])
}

// Inner returns the source of the decrypted packet b and its true length, which is b without padding (PAD-06). Options,
// extension headers and checksums are not looked at (INNER-05, INNER-06).
func Inner(b []byte) (src netip.Addr, length int, p InnerProblem) {
	h, p := parse(b)
	if p != InnerOK {
		return src, 0, p
	}
	// In 16 bits IPv6 payload lengths from 65496 on would wrap and a cut packet be delivered (INNER-04).
	length = int(binary.BigEndian.Uint16(b[h.length:])) + h.uncounted
	if length < h.size || length > len(b) {
		return src, 0, InnerLength
	}
	src, _ = netip.AddrFromSlice(b[h.src:h.dst])
	return src, length, InnerOK
}

// InnerTOS returns the TOS byte or traffic class of b, a packet that InnerDestination or Inner took.
func InnerTOS(b []byte) uint8 { return uint8(binary.BigEndian.Uint16(b) >> headers[b[0]>>4].tos) }

const ecnMask, ecnECT0, ecnECT1, ecnCE = 3, 2, 1, 3

// SetInnerECN writes the two ECN bits of b, a packet that Inner took, and keeps an IPv4 header checksum as right or as
// wrong as it was.
func SetInnerECN(b []byte, ecn uint8) {
	old, tos := binary.BigEndian.Uint16(b), headers[b[0]>>4].tos
	word := old&^(ecnMask<<tos) | uint16(ecn&ecnMask)<<tos
	binary.BigEndian.PutUint16(b, word)
	if b[0]>>4 == 4 {
		// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), where m is the 16-bit word that changed.
		sum := uint32(^binary.BigEndian.Uint16(b[10:])) + uint32(^old) + uint32(word)
		sum = sum&0xffff + sum>>16
		binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	}
}

// OuterECN returns the outer TOS byte for a packet with the inner TOS byte: DSCP 0, so that the inner one does not leak
// (QOS-02), and ECN as RFC 6040 has it, where Linux's helper sends ECT(0) for CE (QOS-03).
func OuterECN(inner uint8) uint8 {
	return [...]uint8{0, ecnECT1: ecnECT1, ecnECT0: ecnECT0, ecnCE: ecnECT0}[inner&ecnMask]
}

// DecapECN returns the ECN bits that the delivered packet must have and whether that is a change (QOS-04): an outer CE
// reaches an inner packet that is ECN-capable. No combination is a reason to drop.
func DecapECN(outer, inner uint8) (ecn uint8, change bool) {
	if inner &= ecnMask; outer&ecnMask == ecnCE && inner != 0 {
		return ecnCE, inner != ecnCE
	}
	return inner, false
}
