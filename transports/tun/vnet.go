package tun

import "encoding/binary"

// vnetSize is the length of the header that stands before each packet of a TUN device with IFF_VNET_HDR, in the
// machine's byte order.
const vnetSize = 10

// Flags and segmentation types of a vnet header (virtio specification §5.1.6).
const (
	needsCsum = 1 // the checksum field holds the pseudo-header's sum; the rest is to be added

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5    // segments that are datagrams (USO)
	gsoECN   = 0x80 // the first segment carries CWR
)

// vnet is that header: what the host has left undone, or asks the other side not to do.
type vnet struct {
	flags, gso                              uint8
	headers, segment, csumStart, csumOffset uint16
}

func (v *vnet) get(b []byte) {
	*v = vnet{b[0], b[1], binary.NativeEndian.Uint16(b[2:]), binary.NativeEndian.Uint16(b[4:]),
		binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint16(b[8:])}
}

func (v *vnet) put(b []byte) {
	b[0], b[1] = v.flags, v.gso
	binary.NativeEndian.PutUint16(b[2:], v.headers)
	binary.NativeEndian.PutUint16(b[4:], v.segment)
	binary.NativeEndian.PutUint16(b[6:], v.csumStart)
	binary.NativeEndian.PutUint16(b[8:], v.csumOffset)
}

// Offsets and flags of the headers that are cut and merged.
const (
	ipv4Size, ipv6Size     = 20, 40
	tcpSize, udpSize       = 20, 8
	protoTCP, protoUDP     = 6, 17
	tcpCsumAt, udpCsumAt   = 16, 6
	tcpFlagsAt             = 13
	flagFIN, flagPSH       = 0x01, 0x08
	flagACK, flagECE       = 0x10, 0x40
	flagCWR                = 0x80
	fragmentMask, dontFrag = 0x3fff, 0x4000
)

// complete finishes the checksum that the host has left undone; false if the header points outside the packet.
func (v *vnet) complete(packet []byte) bool {
	start, at := int(v.csumStart), int(v.csumStart)+int(v.csumOffset)
	if at+2 > len(packet) {
		return false
	}
	// The field holds the sum of the pseudo-header, so that it is summed like the rest.
	c := ^fold(sum(packet[start:], 0))
	if c == 0 && v.csumOffset == udpCsumAt {
		c = 0xffff // "zero is transmitted as all ones" (RFC 768)
	}
	binary.BigEndian.PutUint16(packet[at:], c)
	return true
}

// pseudo is the sum of a pseudo-header without its length.
func pseudo(ip []byte, proto uint8) uint64 {
	if ip[0]>>4 == 4 {
		return sumWord(uint16(proto), sum(ip[12:20], 0))
	}
	return sumWord(uint16(proto), sum(ip[8:40], 0))
}
