package protocoltest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// appPort is the inner UDP port of the programs that talk to each other.
const appPort = 7

func (e *Env) tun(c *command) error {
	a := c.node()
	var b *Node
	if len(c.words) > 0 {
		b = c.node()
	}
	family := c.number("ip", 4)
	if family != 4 && family != 6 {
		c.fail("ip=%d: 4 or 6", family)
	}
	var src, dst netip.Addr
	if a != nil {
		src = a.inner(family)
	}
	if b != nil {
		dst = b.inner(family)
	}
	src, dst = c.addr("src", src), c.addr("dst", dst)
	text, size := c.str("text", ""), c.number("size", 0)
	count, tos, lies := c.number("count", 1), c.number("tos", 0), c.number("lie", 0)
	raw, isRaw := c.bytes("raw"), c.has("raw")
	if !isRaw && c.err == nil && (!dst.IsValid() || dst.BitLen() != src.BitLen()) {
		c.fail("no destination, or one of another family than the source")
	}
	if len(e.inner)+count > 0xffff {
		c.fail("no script needs more than 65535 inner packets")
	}
	if err := c.done(); err != nil {
		return err
	}
	packets := make([][]byte, count)
	for i := range packets {
		packets[i] = raw
		if !isRaw {
			packets[i] = packet(src, dst, text, size)
			if tos != 0 {
				SetTOS(packets[i], uint8(tos))
			}
		}
		packets[i] = e.register(a, packets[i], lies, isRaw)
	}
	a.Send(packets...)
	return nil
}

func (n *Node) inner(family int) netip.Addr {
	if family == 4 {
		return n.Inner4
	}
	return n.Inner6
}

// packet builds a UDP packet with the text, filled up with dots to size bytes in all.
func packet(src, dst netip.Addr, text string, size int) []byte {
	b := UDP(netip.AddrPortFrom(src, appPort), netip.AddrPortFrom(dst, appPort), []byte(text))
	if more := size - len(b); more > 0 {
		return packet(src, dst, text+strings.Repeat(".", more), 0)
	}
	return b
}

// register gives a packet its number and remembers it, so that its delivery can be checked.
func (e *Env) register(from *Node, b []byte, lies int, raw bool) []byte {
	n := len(e.inner) + 1
	if !raw {
		setSerial(b, n)
	}
	if lies != 0 {
		lie(b, lies)
	}
	e.inner = append(e.inner, innerPacket{from: from, bytes: b})
	return b
}

// Packet builds a UDP packet from this node to another with the text, known to the world, for [Node.Send].
func (n *Node) Packet(to *Node, text string) []byte {
	return n.env.register(n, packet(n.Inner4, to.Inner4, text, 0), 0, false)
}

// Send gives packets to the device in one batch, as if programs on this node had sent them. To be delivered they must
// come from [Node.Packet]: the world knows no others.
func (n *Node) Send(packets ...[]byte) {
	in := make([]protocol.Packet, len(packets))
	for i, p := range packets {
		in[i] = Window(p)
		n.env.log.add(n, showInner, fmt.Sprintf("take %d", len(p)), "takes %s", innerText(p))
	}
	n.Handle(func(now timers.Time, b *protocol.Batch) { n.Device.HandlePackets(now, in, b) })
	for i := range in { // a Device that kept a buffer of ours will trip over this
		scribble(in[i].Buf)
	}
}

func (e *Env) counter(c *command) error {
	a, b, both := c.link()
	if both {
		c.fail("write A->B")
	}
	counters := map[string]uint64{"rekey": timers.RekeyAfterMessages - 1, "reject": timers.RejectAfterMessages - 1}
	next, known := counters[c.word("rekey or reject")]
	if !known {
		c.fail("rekey or reject")
	}
	if err := c.done(); err != nil {
		return err
	}
	id, _ := a.Device.Peer(Identity(b.Name, max(1, b.key)).PublicKey())
	if !SetSendCounter(a.Device, id, next) {
		c.fail("%s has no session with %s", a.Name, b.Name)
		return c.err
	}
	for _, p := range a.pairs {
		if p.peer == id && p.slot == protocol.SlotCurrent {
			a.last[p.remote] = next - 1
		}
	}
	return nil
}

// innerName is "packet 3", or the bytes themselves if they are no IP packet.
func innerName(b []byte) string {
	if i := serial(b); i > 0 {
		return fmt.Sprintf("packet %d", i)
	}
	return fmt.Sprintf("%d bytes that are no IP packet", len(b))
}

// innerText tells an inner packet: number, addresses, size, and the text if there is one.
func innerText(b []byte) string {
	if serial(b) == 0 {
		return innerName(b)
	}
	header, src, dst, tos := ipv4Header, netip.Addr{}, netip.Addr{}, uint8(0)
	if b[0]>>4 == 4 {
		src, _ = netip.AddrFromSlice(b[12:16])
		dst, _ = netip.AddrFromSlice(b[16:20])
		tos = b[1]
	} else {
		header = ipv6Header
		src, _ = netip.AddrFromSlice(b[8:24])
		dst, _ = netip.AddrFromSlice(b[24:40])
		tos = b[0]<<4 | b[1]>>4
	}
	text := fmt.Sprintf("%s: %v > %v, %d bytes", innerName(b), src, dst, len(b))
	if tos != 0 {
		text += fmt.Sprintf(", TOS 0x%02x", tos)
	}
	if len(b) > header+l4Header {
		if payload := strings.TrimRight(string(b[header+l4Header:]), "."); payload != "" {
			text += fmt.Sprintf(", %q", payload)
		}
	}
	return text
}
