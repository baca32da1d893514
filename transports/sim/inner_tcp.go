package sim

import (
	"encoding/binary"

	"github.com/purewire/purewire/timers"
)

// A packet of a TCP stream has its label in an option for experiments (kind 253, RFC 4727) with an identifier of its
// own (RFC 6994), since its payload belongs to the stream:
//
//	253 · 19 · "PU" · 3 flow · 5 ID · 7 time when made
const (
	tcpLabelKind = 253
	tcpLabelSize = 19
	tcpLabelID   = 0x5055

	tcpHeader = 20
	// tcpOverhead is what each segment with data carries in options: its label, padded. The sender takes it off the
	// MSS (RFC 6691).
	tcpOverhead = 20

	tcpServer = 5201  // where streams go to
	tcpClient = 20000 // where they come from, counted up by flow and connection
)

// Options of RFC 9293 §3.2, RFC 7323 §2.2 and RFC 2018.
const (
	optEnd, optNOP, optMSS, optScale, optPermitted, optSACK = 0, 1, 2, 3, 4, 5
)

// tcpPacket is a segment with all that its packet needs.
type tcpPacket struct {
	spec
	tcpSegment
	back  bool   // from the server to the client
	port  uint16 // the client's
	scale uint8  // of the window
	key   uint64 // of the stream's bytes
}

// options writes the options of the segment and gives their length, a multiple of four.
func (p *tcpPacket) options(o []byte) int {
	n := 0
	put := func(b ...byte) { n += copy(o[n:], b) }
	if p.flags&tcpSYN != 0 {
		put(optMSS, 4, byte(p.mss>>8), byte(p.mss), optPermitted, 2, optScale, 3, p.scale)
	}
	o[n], o[n+1] = tcpLabelKind, tcpLabelSize
	binary.BigEndian.PutUint16(o[n+2:], tcpLabelID)
	binary.BigEndian.PutUint64(o[n+4:], uint64(p.flow)<<40|p.id&(1<<40-1))
	// Seven bytes, with the last one of the ID once more before them.
	binary.BigEndian.PutUint64(o[n+11:], uint64(p.born)&(1<<56-1)|p.id<<56)
	n += tcpLabelSize
	if p.sacks > 0 {
		put(optSACK, byte(2+8*p.sacks))
		for _, b := range p.blocks[:p.sacks] {
			binary.BigEndian.PutUint32(o[n:], b.from)
			binary.BigEndian.PutUint32(o[n+4:], b.to)
			n += 8
		}
	}
	for n%4 != 0 {
		put(optNOP)
	}
	return n
}

// length is the size of the inner packet of a segment.
func (p *tcpPacket) length() int {
	var o [40]byte
	n := tcpHeader + p.options(o[:]) + p.size
	if p.src.Is4() {
		return ip4Header + n
	}
	return ip6Header + n
}

// build fills b, all of it, with the packet.
func (p *tcpPacket) build(b []byte) {
	var u []byte
	if p.src.Is4() {
		u = p.header4(b)
		b[6] |= 0x40 // don't fragment, as all TCP stacks have it (RFC 1191)
		put4Sum(b)
	} else {
		u = p.header6(b)
	}
	from, to := p.port, uint16(tcpServer)
	if p.back {
		from, to = to, from
	}
	clear(u[:tcpHeader])
	binary.BigEndian.PutUint16(u[0:], from)
	binary.BigEndian.PutUint16(u[2:], to)
	binary.BigEndian.PutUint32(u[4:], p.tcpSegment.seq)
	if p.flags&tcpACK != 0 {
		binary.BigEndian.PutUint32(u[8:], p.ack)
	}
	var o [40]byte
	size := tcpHeader + copy(u[tcpHeader:], o[:p.options(o[:])])
	u[12], u[13] = byte(size/4)<<4, p.flags
	window := p.window
	if p.flags&tcpSYN == 0 { // that of a SYN is not scaled (RFC 7323 §2.2)
		window >>= p.scale
	}
	binary.BigEndian.PutUint16(u[14:], uint16(min(window, 65535)))
	pattern(p.key, p.pos, u[size:])
	putUpperSum(b)
}

// innerTCP says what a packet with a TCP segment is.
func (s *Sim) innerTCP(in *Inner, u []byte) {
	o := tcpOptions(u)
	for ; len(o) > 0; o = o[optionSize(o):] {
		if o[0] == tcpLabelKind && len(o) >= tcpLabelSize && o[1] == tcpLabelSize &&
			binary.BigEndian.Uint16(o[2:]) == tcpLabelID {
			break
		}
	}
	if len(o) < tcpLabelSize {
		return
	}
	in.Kind, in.Seq = InnerTCP, uint64(binary.BigEndian.Uint32(u[4:]))
	head := binary.BigEndian.Uint64(o[4:])
	in.ID = head & (1<<40 - 1)
	in.Born = timers.Time(binary.BigEndian.Uint64(o[11:]) & (1<<56 - 1))
	s.nameFlow(in, uint32(head>>40))
	if binary.BigEndian.Uint16(u) == tcpServer {
		in.From, in.To = in.To, in.From
	}
}

// tcpOptions gives the options of a segment, cut off before the first that is not whole.
func tcpOptions(u []byte) []byte {
	if len(u) < tcpHeader {
		return nil
	}
	n := int(u[12]>>4) * 4
	if n < tcpHeader || n > len(u) {
		return nil
	}
	o := u[tcpHeader:n]
	for i := 0; i < len(o); i += optionSize(o[i:]) {
		if size := optionSize(o[i:]); size == 0 || i+size > len(o) {
			return o[:i]
		}
	}
	return o
}

// optionSize gives the length of the first option, or 0 if it has none that makes sense.
func optionSize(o []byte) int {
	switch {
	case o[0] == optEnd:
		return 0
	case o[0] == optNOP:
		return 1
	case len(o) < 2 || o[1] < 2:
		return 0
	}
	return int(o[1])
}

// parseTCP reads a packet that innerTCP found to be one of ours. scale is that of the sender of the packet.
func parseTCP(b []byte, scale uint8) (g tcpSegment, port uint16, back bool) {
	u := b[ip4Header:]
	if b[0]>>4 == 6 {
		u = b[ip6Header:]
	}
	port = binary.BigEndian.Uint16(u)
	if back = port == tcpServer; back {
		port = binary.BigEndian.Uint16(u[2:])
	}
	g.seq, g.ack, g.flags = binary.BigEndian.Uint32(u[4:]), binary.BigEndian.Uint32(u[8:]), u[13]
	g.window = int(binary.BigEndian.Uint16(u[14:]))
	if g.flags&tcpSYN == 0 {
		g.window <<= scale
	}
	g.data = u[int(u[12]>>4)*4:]
	for o := tcpOptions(u); len(o) > 0; o = o[optionSize(o):] {
		switch {
		case o[0] == optMSS && o[1] == 4:
			g.mss = int(binary.BigEndian.Uint16(o[2:]))
		case o[0] == optSACK:
			for k := 2; k+8 <= int(o[1]) && g.sacks < tcpBlocks; k += 8 {
				g.blocks[g.sacks] = tcpBlock{binary.BigEndian.Uint32(o[k:]), binary.BigEndian.Uint32(o[k+4:])}
				g.sacks++
			}
		}
	}
	return g, port, back
}
