package protocoltest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// datagram is one UDP payload on its way.
type datagram struct {
	n        int // its number, from 1
	from, to netip.AddrPort
	sender   *Node // nil: forged
	tos      uint8
	bytes    []byte
	sent     timers.Time
}

// The message types and sizes (rules MSG-01, MSG-05 to MSG-08), read here independently of protocol/wire: this
// package sees the wire as an outsider does.
const (
	typeInitiation, typeResponse, typeCookie, typeTransport = 1, 2, 3, 4
	sizeInitiation, sizeResponse, sizeCookie, sizeKeepalive = 148, 92, 64, 32
	macSize                                                 = 16
	handshakeTOS                                            = 0x88 // QOS-01
)

func (d *datagram) typ() byte {
	if len(d.bytes) < 4 {
		return 0
	}
	return d.bytes[0]
}

func (d *datagram) at(offset int) uint32 { return binary.LittleEndian.Uint32(d.bytes[offset:]) }

// handshake reports whether it is an initiation or a response of the right size.
func (d *datagram) handshake() bool {
	return d.typ() == typeInitiation && len(d.bytes) == sizeInitiation ||
		d.typ() == typeResponse && len(d.bytes) == sizeResponse
}

// kind is the message in a word.
func (d *datagram) kind() string {
	switch {
	case d.typ() == typeTransport && len(d.bytes) == sizeKeepalive:
		return "keepalive"
	case d.typ() >= typeInitiation && d.typ() <= typeTransport:
		return [...]string{"", "initiation", "response", "cookie reply", "data"}[d.typ()]
	}
	return "nonsense"
}

// what names the message and the fields that matter, such as "response bob.1 to alice.1".
func (d *datagram) what(e *Env) string {
	switch size := len(d.bytes); {
	case d.typ() == typeInitiation && size == sizeInitiation:
		return fmt.Sprintf("initiation %s%s", e.label(d.at(4)), d.cookie())
	case d.typ() == typeResponse && size == sizeResponse:
		return fmt.Sprintf("response %s to %s%s", e.label(d.at(4)), e.label(d.at(8)), d.cookie())
	case d.typ() == typeCookie && size == sizeCookie:
		return fmt.Sprintf("cookie reply to %s", e.label(d.at(4)))
	case d.typ() == typeTransport && size >= sizeKeepalive:
		return fmt.Sprintf("%s for %s, counter %d", d.kind(), e.label(d.at(4)), binary.LittleEndian.Uint64(d.bytes[8:]))
	default:
		return "no WireGuard message"
	}
}

// cookie tells whether mac2 is set (COOKIE-04, COOKIE-05).
func (d *datagram) cookie() string {
	for _, b := range d.bytes[len(d.bytes)-macSize:] {
		if b != 0 {
			return " with mac2"
		}
	}
	return ""
}

// path is "to bob" or, if an address is not the one expected, the address too.
func (d *datagram) path(e *Env) string {
	to := d.to.String() + " (nobody)"
	if n := e.owner(d.to); n != nil {
		to = n.Name
	}
	if d.sender != nil && d.from != d.sender.Addr {
		to += " from " + d.from.String()
	}
	return to
}

// outerTOS is shown only if it is not what the rules want: QOS-01 for handshakes, 0 for cookie replies.
func (d *datagram) outerTOS() string {
	want := uint8(0)
	if d.handshake() {
		want = handshakeTOS
	}
	if d.tos == want {
		return ""
	}
	return fmt.Sprintf(", TOS 0x%02x", d.tos)
}

// add gives a datagram its number.
func (e *Env) add(d *datagram) *datagram {
	d.n = len(e.seen) + 1
	d.sent = e.now
	e.seen = append(e.seen, d)
	return d
}

// send puts what a node sends on the wire and checks what nobody may do: use a counter or an ephemeral key twice.
func (e *Env) send(n *Node, out protocol.Datagram) {
	from := n.Addr
	if out.Endpoint.Local.IsValid() && out.Endpoint.Local != from.Addr() {
		// The operating system refuses a source address that the host does not have; the socket then sends without.
		e.log.add(n, showWire, "", "has %v no more and sends from %v", out.Endpoint.Local, from.Addr())
	}
	d := e.add(&datagram{from: from, to: out.Endpoint.Remote, sender: n, tos: out.TOS,
		bytes: append([]byte(nil), out.Bytes()...)})
	if d.handshake() {
		n.newLabel(d.at(4))
		n.checkEphemeral(d)
	}
	if d.typ() == typeTransport {
		n.checkCounter(d)
	}
	lost := ""
	to := e.owner(d.to)
	for _, c := range e.cuts {
		if c.from == n && c.to == to {
			lost = ", which is lost"
		}
	}
	if lost == "" {
		e.wire = append(e.wire, d)
	}
	e.log.add(n, showWire, fmt.Sprintf("send %d %d %v", d.typ(), len(d.bytes), d.to), "sends #%d to %s: %s, %d bytes%s%s",
		d.n, d.path(e), d.what(e), len(d.bytes), d.outerTOS(), lost)
}

// checkCounter: "no counter is used twice on a key", and each is one larger than the one before (MSG-14).
func (n *Node) checkCounter(d *datagram) {
	index, counter := d.at(4), binary.LittleEndian.Uint64(d.bytes[8:])
	before, used := n.last[index]
	if used && counter != before+1 || !used && counter != 0 {
		n.env.never(n, "sent counter %d for %s after %d (used: %v)", counter, n.env.label(index), before, used)
	}
	n.last[index] = counter
}

// checkEphemeral: "ephemerals are fresh random per message" (CRYPTO-13).
func (n *Node) checkEphemeral(d *datagram) {
	at := 4 + 4*int(d.typ()) // behind one index in an initiation, behind two in a response (rules §1.2)
	key := [32]byte(d.bytes[at:])
	if first, used := n.env.ephemerals[key]; used {
		n.env.never(n, "sent in #%d the ephemeral key of #%d", d.n, first)
	}
	n.env.ephemerals[key] = d.n
}

// arrive ends the journey of a datagram; from, if not nil, is another source address than the true one.
func (e *Env) arrive(d *datagram, from *netip.AddrPort) {
	e.unlist(d)
	e.receive(from, d)
}

// unlist takes a datagram off the wire.
func (e *Env) unlist(d *datagram) bool {
	for i, w := range e.wire {
		if w == d {
			e.wire = append(e.wire[:i:i], e.wire[i+1:]...)
			return true
		}
	}
	return false
}

// receive gives datagrams, which must all go to one address, to whoever is there, in one call.
func (e *Env) receive(from *netip.AddrPort, ds ...*datagram) {
	to := e.owner(ds[0].to)
	if to == nil {
		e.log.note("#%d is lost: nobody is at %v", ds[0].n, ds[0].to)
		return
	}
	in := make([]protocol.Datagram, len(ds))
	for i, d := range ds {
		source := d.from
		if from != nil {
			source = *from
		}
		group := fmt.Sprintf("receive %d %d %v", d.typ(), len(d.bytes), source)
		e.log.add(to, showWire, group, "receives #%d from %s: %s", d.n, e.source(d, source), d.kind())
		in[i] = protocol.Datagram{
			Packet:   protocol.Packet{Buf: append([]byte(nil), d.bytes...), Len: len(d.bytes)},
			Endpoint: protocol.Endpoint{Remote: source, Local: d.to.Addr()},
			TOS:      d.tos,
		}
	}
	to.Handle(func(now timers.Time, b *protocol.Batch) { to.Device.HandleDatagrams(now, in, b) })
	for i := range in { // a Device that kept a buffer of ours will trip over this
		scribble(in[i].Buf)
	}
}

// source names the sender if the datagram comes from where that is.
func (e *Env) source(d *datagram, a netip.AddrPort) string {
	if d.sender != nil && a == d.sender.Addr {
		return d.sender.Name
	}
	return a.String()
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}

// age is how long a datagram has been on its way.
func (e *Env) age(d *datagram) time.Duration { return e.now.Sub(d.sent) }
