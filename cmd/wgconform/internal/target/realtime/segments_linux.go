package realtime

import (
	"encoding/binary"
	"slices"
)

// virtio is struct virtio_net_hdr, which a packet socket can put before each packet (PACKET_VNET_HDR).
type virtio struct {
	flags, gso             uint8
	headers, size          uint16
	checkStart, checkPlace uint16
}

const (
	virtioLength = 10
	needsCheck   = 1 // flag: the checksum is still to be computed
	gsoNone      = 0
	gsoECN       = 0x80 // may be added to TCP's
	gsoTCP4      = 1
	gsoTCP6      = 4
	gsoUDP       = 5
)

func readVirtio(b []byte) virtio {
	n := binary.NativeEndian
	return virtio{b[0], b[1], n.Uint16(b[2:]), n.Uint16(b[4:]), n.Uint16(b[6:]), n.Uint16(b[8:])}
}

// segments gives the inner packets that a program delivered in one write, which may join packets of a stream in one
// big one (segmentation offload of TUN, as wireguard-go does). The identification of IPv4 is counted up, as a host
// would: what it was before is lost.
func segments(v virtio, ip []byte) [][]byte {
	kind := v.gso &^ gsoECN
	whole := func() [][]byte {
		p := slices.Clone(ip)
		if v.flags&needsCheck != 0 && int(v.checkStart)+int(v.checkPlace)+2 <= len(p) {
			// The place holds the sum of the pseudo header, not inverted.
			sum := checksum(p[v.checkStart:], 0)
			if sum == 0 && len(p) > 0 && v.checkPlace == 6 {
				sum = 0xffff
			}
			binary.BigEndian.PutUint16(p[v.checkStart+v.checkPlace:], sum)
		}
		return [][]byte{p}
	}
	o, ok := takeApart(ip)
	if !ok || kind == gsoNone || v.size == 0 || kind != gsoTCP4 && kind != gsoTCP6 && kind != gsoUDP {
		return whole()
	}
	above := udpHeader
	if kind != gsoUDP {
		if len(o.payload) < 20 {
			return whole()
		}
		above = int(o.payload[12]>>4) * 4
	}
	if len(o.payload) < above {
		return whole()
	}
	var out [][]byte
	for at, body := 0, o.payload[above:]; at < len(body); at += int(v.size) {
		end := min(at+int(v.size), len(body))
		out = append(out, segment(&o, kind, above, at, body[at:end], len(out), end == len(body)))
	}
	return out
}

// segment makes one packet of a joined one: number n, whose part begins at byte at of the joined payload.
func segment(o *outer, kind uint8, above, at int, part []byte, n int, last bool) []byte {
	p := slices.Concat(o.head, o.payload[:above], part)
	header := len(o.head)
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], uint16(o.id)+uint16(n))
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], checksum(p[:header], 0))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-header))
	}
	upper, place := p[header:], 16
	if kind == gsoUDP {
		place = 6
		binary.BigEndian.PutUint16(upper[4:], uint16(len(upper)))
	} else {
		binary.BigEndian.PutUint32(upper[4:], binary.BigEndian.Uint32(upper[4:])+uint32(at))
		if !last {
			upper[13] &^= 0x09 // FIN and PSH belong to the last one
		}
	}
	upper[place], upper[place+1] = 0, 0
	sum := checksum(upper, pseudo(o.from, o.to, o.proto, len(upper)))
	if sum == 0 && kind == gsoUDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(upper[place:], sum)
	return p
}
