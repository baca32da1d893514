package transports

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// The sizes of an ICMP error: "as much of the original datagram as possible without the length of the ICMP datagram
// exceeding 576 bytes" (RFC 1812 §4.3.2.3); "without the ICMPv6 packet exceeding the minimum IPv6 MTU" (RFC 4443
// §3.1).
const (
	maxICMP4 = 576
	maxICMP6 = 1280
)

// AppendUnreachable appends the ICMP error that tells the sender of an inner packet that its destination cannot be
// reached: host unreachable for IPv4 (type 3 code 1, RFC 792), address unreachable for IPv6 (type 1 code 3, RFC 4443
// §3.1; ROUTE-05, ROUTE-06). Its source is the destination of the packet: we have no address of our own on the
// tunnel, and that one is routed to it, so the host takes it. It appends nothing where an error must not be
// answered with one (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)), or for what is no IP packet.
func AppendUnreachable(b, packet []byte) []byte {
	if len(packet) == 0 {
		return b
	}
	switch packet[0] >> 4 {
	case 4:
		if mayAnswer4(packet) {
			return appendUnreachable4(b, packet)
		}
	case 6:
		if mayAnswer6(packet) {
			return appendUnreachable6(b, packet)
		}
	}
	return b
}

// mayAnswer4: "an ICMP error message MUST NOT be sent as the result of receiving: an ICMP error message, a datagram
// destined to an IP broadcast or multicast address, … a non-initial fragment, or a datagram whose source address does
// not define a single host" (RFC 1122 §3.2.2).
func mayAnswer4(p []byte) bool {
	header := int(p[0]&15) * 4
	if header < 20 || len(p) < header {
		return false
	}
	src, dst := netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
	switch {
	case src.IsUnspecified() || src.IsLoopback() || p[12] >= 224:
		return false
	case dst.IsUnspecified() || dst.IsLoopback() || p[16] >= 224: // multicast, reserved, broadcast
		return false
	case binary.BigEndian.Uint16(p[6:])&0x1fff != 0:
		return false
	case p[9] == protocolICMP4:
		// Queries only: echo, timestamp, information and mask requests and replies, router discovery.
		if len(p) <= header {
			return false
		}
		switch p[header] {
		case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18:
			return true
		}
		return false
	}
	return true
}

const (
	protocolICMP4 = 1
	protocolICMP6 = 58
)

// mayAnswer6 is the same for IPv6: not for "an ICMPv6 error message", a redirect, "a packet destined to an IPv6
// multicast address", or one "whose source address does not uniquely identify a single node" (RFC 4443 §2.4 (e)).
// A fragment that hides what it is gets no answer.
func mayAnswer6(p []byte) bool {
	if len(p) < 40 {
		return false
	}
	src, dst := netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
	if src.IsUnspecified() || src.IsLoopback() || src.IsMulticast() || dst.IsUnspecified() || dst.IsLoopback() ||
		dst.IsMulticast() {
		return false
	}
	next, at := p[6], 40
	for range 8 {
		switch next {
		case protocolICMP6:
			return at < len(p) && p[at] >= 128 && p[at] != 137
		case 0, 43, 60: // hop-by-hop options, routing, destination options: length in units of 8 bytes
			if at+2 > len(p) {
				return false
			}
			next, at = p[at], at+8*(int(p[at+1])+1)
		case 44: // fragment
			if at+8 > len(p) || binary.BigEndian.Uint16(p[at+2:])&^7 != 0 {
				return false
			}
			next, at = p[at], at+8
		default:
			return true
		}
	}
	return false
}

func appendUnreachable4(b, packet []byte) []byte {
	quoted := packet[:min(len(packet), maxICMP4-28)]
	start := len(b)
	b = append(b,
		0x45, 0xc0, 0, 0, // no options; "internetwork control" precedence (RFC 1812 §4.3.2.5)
		0, 0, 0x40, 0, // not to be fragmented, so it needs no identification (RFC 6864)
		64, protocolICMP4, 0, 0)
	b = append(b, packet[16:20]...)
	b = append(b, packet[12:16]...)
	b = append(b, 3, 1, 0, 0, 0, 0, 0, 0)
	b = append(b, quoted...)
	ip := b[start:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:20]))
	binary.BigEndian.PutUint16(ip[22:], checksum(0, ip[20:]))
	return b
}

func appendUnreachable6(b, packet []byte) []byte {
	quoted := packet[:min(len(packet), maxICMP6-48)]
	start := len(b)
	b = append(b, 0x60, 0, 0, 0, 0, 0, protocolICMP6, 64)
	b = append(b, packet[24:40]...)
	b = append(b, packet[8:24]...)
	b = append(b, 1, 3, 0, 0, 0, 0, 0, 0)
	b = append(b, quoted...)
	ip := b[start:]
	binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
	// The pseudo-header: addresses, length, next header (RFC 8200 §8.1).
	sum := partial(uint32(len(ip)-40)+protocolICMP6, ip[8:40])
	binary.BigEndian.PutUint16(ip[42:], checksum(sum, ip[40:]))
	return b
}

// partial adds the 16-bit words of b to sum (RFC 1071). 64 KiB of them do not overflow it.
func partial(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func checksum(sum uint32, b []byte) uint16 {
	sum = partial(sum, b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// "A router MUST be able to limit the rate" (RFC 1812 §4.3.2.8), "a node MUST limit the rate" (RFC 4443 §2.4 (f)): as
// many errors at once, and per second in the long run. The Node holds no more of them than unreachableSlots.
const (
	unreachableBurst = 50
	unreachableRate  = 100
	unreachableSlots = 16
)

// unreachables takes refused packets from the outbound workers, which must not wait for the tunnel, to the goroutine
// that answers them.
type unreachables struct {
	free, full    chan []byte
	sent, limited atomic.Uint64

	mu     sync.Mutex // guards the bucket
	tokens time.Duration
	filled timers.Time
	begun  bool
}

// perUnreachable is the price of one error in tokens of time.
const perUnreachable = time.Second / unreachableRate

func newUnreachables() *unreachables {
	u := &unreachables{free: make(chan []byte, unreachableSlots), full: make(chan []byte, unreachableSlots)}
	for range unreachableSlots {
		u.free <- make([]byte, 0, maxICMP6)
	}
	return u
}

// refuse makes an error for each reject, as far as the limits allow.
func (u *unreachables) refuse(now timers.Time, rejects []protocol.Reject) {
	for i := range rejects {
		if !u.allow(now) {
			u.limited.Add(uint64(len(rejects) - i))
			return
		}
		select {
		case b := <-u.free:
			if b = AppendUnreachable(b[:0], rejects[i].Bytes()); len(b) == 0 {
				u.free <- b
				continue
			}
			u.full <- b
		default:
			u.limited.Add(1)
		}
	}
}

// allow takes one error's worth out of the bucket.
func (u *unreachables) allow(now timers.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.begun {
		u.begun, u.tokens, u.filled = true, unreachableBurst*perUnreachable, now
	}
	u.tokens = min(u.tokens+max(0, now.Sub(u.filled)), unreachableBurst*perUnreachable)
	u.filled = max(u.filled, now)
	if u.tokens < perUnreachable {
		return false
	}
	u.tokens -= perUnreachable
	return true
}

// writeUnreachables writes the errors to the tunnel, each in an inbound turn of its own.
func (n *Node) writeUnreachables() {
	h := n.timing
	in, one := newPlace(), make([]protocol.Delivery, 1)
	for {
		select {
		case b := <-n.icmp.full:
			n.mu.Lock()
			turn := n.in.draw(&in)
			n.mu.Unlock()
			<-turn
			one[0].Packet = protocol.Packet{Buf: b, Len: len(b)}
			h.write(one)
			in.done()
			n.icmp.sent.Add(1)
			n.icmp.free <- b
		case <-n.quit:
			return
		}
	}
}
