package sim

import (
	"bytes"
	"encoding/binary"
)

// secrecy: what is on the wire is what went into the tunnel, for whom it was, under keys that two ends agreed on.
type secrecy struct{}

func (secrecy) about() (name, rule string) {
	return "secrecy", "every message reads under keys derived independently, and carries only what was put into the " +
		"tunnel for that peer (CRYPTO, ROUTE-01)"
}

func (secrecy) see(w *watch, r *Record) {
	m := &w.read
	if r.Kind != KindDatagram || r.Attack != AttackNone || r.Original != 0 {
		return
	}
	w.looked()
	if m.err != nil {
		w.fault(r.Host, "sends %d bytes of type %d that %s", len(r.Data), m.kind, m.err.Error())
		return
	}
	if m.kind != typeTransport || len(m.plain) == 0 {
		return
	}
	size, ok := innerSize(m.plain)
	if !ok {
		w.fault(r.Host, "sends %s something that is no IP packet", m.peer)
		return
	}
	in := w.s.inner(m.plain[:size])
	p := w.ledger.find(w.s.byName[r.Host].canon, &in)
	if p != nil {
		p.left = true
	}
	switch {
	case p == nil || in.ID == 0:
		w.fault(r.Host, "sends %s a packet that nobody put into its tunnel", m.peer)
	case !p.same(in.Data):
		w.fault(r.Host, "changes %s %d of %s before sending it", in.Kind, in.Seq, in.Flow)
	case p.peer != m.peer:
		w.fault(r.Host, "sends %s a packet that is for %s", m.peer, p.peer)
	}
}

// innerSize is the length that an IP packet claims, if b has as much.
func innerSize(b []byte) (int, bool) {
	size := 0
	switch {
	case len(b) >= ip4Header && b[0]>>4 == 4:
		size = int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= ip6Header && b[0]>>4 == 6:
		size = ip6Header + int(binary.BigEndian.Uint16(b[4:]))
	}
	return size, size > 0 && size <= len(b)
}

// shape: padding and the outer TOS byte.
type shape struct{}

func (shape) about() (name, rule string) {
	return "shape", "padding is zero, to 16 bytes and never over the MTU; the outer TOS byte shows no more than it " +
		"should (PAD-01 to PAD-05, QOS-01 to QOS-03)"
}

// handshakeTOS is the TOS byte of initiations and responses, AF41 (QOS-01).
const handshakeTOS = 0x88

func (shape) see(w *watch, r *Record) {
	m := &w.read
	if m.kind == 0 || m.err != nil {
		return
	}
	w.looked()
	tos := byte(0)
	switch m.kind {
	case typeInitiation, typeResponse:
		tos = handshakeTOS
	case typeTransport:
		if size, ok := innerSize(m.plain); ok {
			w.padding(r.Host, m.plain, size)
			tos = outerECN(innerTOS(m.plain))
		}
	}
	if r.TOS != tos {
		w.fault(r.Host, "sends a message of type %d with TOS 0x%02x, not 0x%02x", m.kind, r.TOS, tos)
	}
}

func (w *watch) padding(host string, plain []byte, size int) {
	if want := paddedSize(size, w.s.byName[host].mtu()); len(plain) != want {
		w.fault(host, "pads %d bytes to %d, not %d", size, len(plain), want)
	}
	for _, b := range plain[size:] {
		if b != 0 {
			w.fault(host, "pads with something else than zeros")
			return
		}
	}
}

// paddedSize is the length that a packet has after padding (PAD-01 to PAD-03).
func paddedSize(size, mtu int) int {
	last := size
	if mtu > 0 && size > mtu {
		last = size % mtu
	}
	padded := (last + 15) &^ 15
	if mtu > 0 {
		padded = min(padded, mtu)
	}
	return size - last + padded
}

func innerTOS(b []byte) byte {
	if b[0]>>4 == 6 {
		return byte(binary.BigEndian.Uint16(b) >> 4)
	}
	return b[1]
}

// outerECN is QOS-03: ECN is copied, but CE becomes ECT(0).
func outerECN(inner byte) byte {
	if inner&3 == 3 {
		return 2
	}
	return inner & 3
}

// damage: nothing that the network changed is taken for genuine.
type damage struct{}

func (damage) about() (name, rule string) {
	return "damage", "no datagram that the network damaged is taken (HS-04, REPLAY-02)"
}

// see excuses damage to mac2 alone, which nobody looks at who is not under load (COOKIE-03).
func (damage) see(w *watch, r *Record) {
	if r.Kind != KindFate || !r.Damaged || w.s.byName[r.To] == nil || r.Fate != FateDelivered && r.Fate != FateRejected {
		return
	}
	w.looked()
	c := w.of(r.Datagram)
	if r.Fate == FateDelivered && (c == nil || c.intact == nil || !bytes.HasPrefix(r.Data, c.intact)) {
		w.fault(r.To, "takes a datagram of %s that was damaged on its way", r.Host)
	}
}
