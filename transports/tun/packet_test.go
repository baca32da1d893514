package tun

import (
	"encoding/binary"

	"github.com/purewire/purewire/protocol"
)

// A kind is a packet's description, from which the tests build it with checksums of their own.
type kind struct {
	v6, udp  bool
	id       uint16
	df       bool
	tos, ttl uint8
	ports    [2]uint16
	seq, ack uint32
	flags    uint8
	window   uint16
	options  []byte // of TCP, a multiple of 4
	payload  []byte
	noCsum   bool
	label    uint32    // of IPv6, 20 bits
	ends     [2][]byte // addresses, if not the usual ones
}

var (
	v4ends = [2][]byte{{10, 99, 0, 2}, {10, 99, 0, 1}}
	v6ends = [2][]byte{
		{0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, {0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	}
)

func (k kind) build() []byte {
	var body []byte
	be := binary.BigEndian
	body = be.AppendUint16(body, k.ports[0])
	body = be.AppendUint16(body, k.ports[1])
	proto, at := byte(6), 16
	if k.udp {
		proto, at = 17, 6
		body = be.AppendUint16(body, uint16(8+len(k.payload)))
		body = append(body, 0, 0)
	} else {
		body = be.AppendUint32(body, k.seq)
		body = be.AppendUint32(body, k.ack)
		body = append(body, byte(20+len(k.options))<<2, k.flags)
		body = be.AppendUint16(body, k.window)
		body = append(body, 0, 0, 0, 0)
		body = append(body, k.options...)
	}
	body = append(body, k.payload...)
	ends := k.ends
	switch {
	case ends[0] != nil:
	case k.v6:
		ends = v6ends
	default:
		ends = v4ends
	}
	var head, pseudo []byte
	if k.v6 {
		head = be.AppendUint32(head, 6<<28|uint32(k.tos)<<20|k.label)
		head = be.AppendUint16(head, uint16(len(body)))
		head = append(head, proto, k.ttl)
		head = append(append(head, ends[0]...), ends[1]...)
		pseudo = append(pseudo, head[8:]...)
	} else {
		head = append(head, 0x45, k.tos)
		head = be.AppendUint16(head, uint16(20+len(body)))
		head = be.AppendUint16(head, k.id)
		head = append(head, 0, 0, k.ttl, proto, 0, 0)
		if k.df {
			head[6] = 0x40
		}
		head = append(append(head, ends[0]...), ends[1]...)
		be.PutUint16(head[10:], ^naive(head))
		pseudo = append(pseudo, head[12:]...)
	}
	if !k.noCsum {
		pseudo = append(pseudo, 0, proto)
		pseudo = be.AppendUint16(pseudo, uint16(len(body)))
		c := ^naive(append(pseudo, body...))
		if c == 0 && k.udp {
			c = 0xffff
		}
		be.PutUint16(body[at:], c)
	}
	return append(head, body...)
}

// pieces is what a network card makes of a large packet, written the long way: from the description.
func (k kind) pieces(mss int) (all [][]byte) {
	for i, rest := 0, k.payload; len(rest) > 0; i++ {
		n := min(mss, len(rest))
		p := k
		p.payload = rest[:n]
		p.id += uint16(i)
		p.seq += uint32(i * mss)
		if rest = rest[n:]; len(rest) > 0 {
			p.flags &^= flagFIN | flagPSH
		}
		if i > 0 {
			p.flags &^= flagCWR
		}
		all = append(all, p.build())
	}
	return all
}

func deliveries(packets [][]byte) (all []protocol.Delivery) {
	for _, p := range packets {
		buf := append(make([]byte, protocol.Headroom), p...)
		all = append(all, protocol.Delivery{Packet: protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(p)}})
	}
	return all
}

func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
