package transports_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purewire/purewire/transports"
)

var (
	here4  = netip.MustParseAddr("10.0.0.1")
	there4 = netip.MustParseAddr("10.9.9.9")
	here6  = netip.MustParseAddr("fd00::1")
	there6 = netip.MustParseAddr("fd99::9")
)

// packet6 makes an inner IPv6 packet whose payload is body, of the type next.
func packet6(from, to netip.Addr, next byte, body ...byte) []byte {
	p := make([]byte, 40, 40+len(body))
	p[0], p[6], p[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	src, dst := from.As16(), to.As16()
	copy(p[8:], src[:])
	copy(p[24:], dst[:])
	return append(p, body...)
}

// with changes bytes of a packet.
func with(p []byte, at int, values ...byte) []byte {
	copy(p[at:], values)
	return p
}

// wantUnreachable checks an error field by field as RFC 792 and RFC 4443 §3.1 draw it: type, code, checksums, who is
// told by whom, and that it quotes the packet.
func wantUnreachable(t *testing.T, what string, got, about []byte) {
	t.Helper()
	if about[0]>>4 == 4 {
		quoted := about[:min(len(about), 576-28)]
		if len(got) != 28+len(quoted) || got[0] != 0x45 || int(got[2])<<8|int(got[3]) != len(got) || got[8] < 32 ||
			got[9] != 1 || sum(got[:20]) != 0xffff || sum(got[20:]) != 0xffff || !bytes.Equal(got[12:16], about[16:20]) ||
			!bytes.Equal(got[16:20], about[12:16]) || !bytes.Equal(got[20:22], []byte{3, 1}) ||
			!bytes.Equal(got[24:28], make([]byte, 4)) || !bytes.Equal(got[28:], quoted) {
			t.Errorf("%s: %x", what, got)
		}
		return
	}
	quoted := about[:min(len(about), 1280-48)]
	if len(got) != 48+len(quoted) || got[0] != 0x60 || int(got[4])<<8|int(got[5]) != len(got)-40 || got[6] != 58 ||
		got[7] < 32 || !bytes.Equal(got[8:24], about[24:40]) || !bytes.Equal(got[24:40], about[8:24]) ||
		!bytes.Equal(got[40:42], []byte{1, 3}) || !bytes.Equal(got[44:48], make([]byte, 4)) ||
		!bytes.Equal(got[48:], quoted) {
		t.Errorf("%s: %x", what, got)
		return
	}
	pseudo := append(bytes.Clone(got[8:40]), 0, 0, got[4], got[5], 0, 0, 0, 58)
	if sum(append(pseudo, got[40:]...)) != 0xffff {
		t.Errorf("%s: wrong checksum: %x", what, got)
	}
}

// sum is the one's complement sum of RFC 1071, another way than the code's: over a correct packet it is 0xffff.
func sum(b []byte) uint16 {
	b = padded(b)
	total := uint64(0)
	for i := 0; i < len(b); i += 2 {
		total += uint64(b[i])<<8 | uint64(b[i+1])
	}
	if total%0xffff == 0 && total > 0 {
		return 0xffff
	}
	return uint16(total % 0xffff)
}

func padded(b []byte) []byte {
	if len(b)%2 == 1 {
		return append(bytes.Clone(b), 0)
	}
	return b
}

func TestUnreachable(t *testing.T) {
	for name, p := range map[string][]byte{
		"UDP": packet(here4, there4, 1, 100), "odd": packet(here4, there4, 1, 101),
		"large":          packet(here4, there4, 1, 1420),
		"echo request":   with(packet(here4, there4, 1, 60), 9, 1, 0, 0, 10, 0, 0, 1, 10, 9, 9, 9, 8),
		"first fragment": with(packet(here4, there4, 1, 60), 6, 0x20, 0),
		"IPv6 UDP":       packet6(here6, there6, 17, make([]byte, 33)...),
		"IPv6 large":     packet6(here6, there6, 17, make([]byte, 1380)...),
		"IPv6 echo":      packet6(here6, there6, 58, 128, 0, 0, 0),
		"IPv6 options":   packet6(here6, there6, 0, 58, 0, 1, 4, 0, 0, 0, 0, 129, 0, 0, 0),
		"IPv6 fragment":  packet6(here6, there6, 44, 17, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4),
	} {
		got := transports.AppendUnreachable([]byte("before"), p)
		if !bytes.HasPrefix(got, []byte("before")) {
			t.Fatalf("%s: it did not append", name)
		}
		wantUnreachable(t, name, got[6:], p)
		if len(got)-6 > 1280 || p[0]>>4 == 4 && len(got)-6 > 576 {
			t.Errorf("%s: %d bytes", name, len(got)-6)
		}
	}
}

// An error must not be answered with an error, nor a crowd be told (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)).
func TestUnreachableSilence(t *testing.T) {
	addr := netip.MustParseAddr
	for name, p := range map[string][]byte{
		"nothing": {}, "version 5": {0x50, 1, 2}, "cut IPv4": packet(here4, there4, 1, 60)[:19],
		"short IPv4 header": with(packet(here4, there4, 1, 60), 0, 0x44),
		"cut IPv4 options":  with(packet(here4, there4, 1, 24), 0, 0x4f),
		"ICMP unreachable":  with(packet(here4, there4, 1, 60), 9, 1, 0, 0, 10, 0, 0, 1, 10, 9, 9, 9, 3),
		"ICMP time":         with(packet(here4, there4, 1, 60), 9, 1, 0, 0, 10, 0, 0, 1, 10, 9, 9, 9, 11),
		"ICMP empty":        with(packet(here4, there4, 1, 60), 9, 1)[:20],
		"later fragment":    with(packet(here4, there4, 1, 60), 6, 0x20, 7),
		"to multicast":      packet(here4, addr("224.0.0.251"), 1, 60),
		"to broadcast":      packet(here4, addr("255.255.255.255"), 1, 60),
		"from nobody":       packet(addr("0.0.0.0"), there4, 1, 60),
		"from loopback":     packet(addr("127.0.0.1"), there4, 1, 60),
		"from multicast":    packet(addr("224.1.1.1"), there4, 1, 60),
		"cut IPv6":          packet6(here6, there6, 17)[:39],
		"IPv6 to multicast": packet6(here6, addr("ff02::2"), 58, 133, 0, 0, 0),
		"IPv6 from nobody":  packet6(addr("::"), there6, 17, 1, 2),
		"IPv6 from many":    packet6(addr("ff02::1"), there6, 17, 1, 2),
		"ICMPv6 error":      packet6(here6, there6, 58, 1, 0, 0, 0),
		"ICMPv6 redirect":   packet6(here6, there6, 58, 137, 0, 0, 0),
		"ICMPv6 cut":        packet6(here6, there6, 58),
		"hidden error":      packet6(here6, there6, 60, 58, 0, 1, 4, 0, 0, 0, 0, 3, 0, 0, 0),
		"IPv6 later part":   packet6(here6, there6, 44, 17, 0, 1, 8, 0, 0, 0, 1, 1, 2, 3, 4),
		"IPv6 cut options":  packet6(here6, there6, 0, 58),
		"IPv6 nesting":      packet6(here6, there6, 0, bytes.Repeat([]byte{0, 0, 1, 4, 0, 0, 0, 0}, 20)...),
	} {
		if got := transports.AppendUnreachable(nil, p); len(got) > 0 {
			t.Errorf("%s was answered: %x", name, got)
		}
	}
}

func FuzzUnreachable(f *testing.F) {
	f.Add(packet(here4, there4, 1, 60))
	f.Add(packet6(here6, there6, 0, 58, 0, 1, 4, 0, 0, 0, 0, 129, 0, 0, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		got := transports.AppendUnreachable(nil, p)
		if len(got) > 0 && len(transports.AppendUnreachable(nil, got)) > 0 {
			t.Errorf("an error is answered with an error: %x", p)
		}
	})
}

// Whoever sends to nobody is told so, at a bounded rate, while data flows (ROUTE-05, ROUTE-06).
func TestRejectsBecomeICMP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{workers: 2})
		w.connect()
		for _, p := range [][]byte{packet(w.a.inner, there4, 1, 700), packet6(w.a.inner6, there6, 17, 1, 2, 3)} {
			w.a.tunnel.Put(p)
			got, peer, _ := w.a.tunnel.Take(nil)
			if peer != 0 {
				t.Errorf("of peer %d", peer)
			}
			wantUnreachable(t, "from the tunnel", got, p)
		}
		time.Sleep(time.Second)
		before := w.a.node.Metrics()
		for range 10 {
			for range 100 {
				w.a.tunnel.Put(packet(w.a.inner, there4, 2, 60))
				synctest.Wait()
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.connect2(t)
		m := w.a.node.Metrics()
		sent, limited := m.Unreachables-before.Unreachables, m.UnreachablesLimited-before.UnreachablesLimited
		// A burst of 50, then 100 in a second; the last refill comes after the last packet.
		if sent < 130 || sent > 150 || sent+limited != 1000 || uint64(w.a.tunnel.Waiting()) != sent {
			t.Errorf("%d errors for 1000 packets in a second, %d withheld, %d arrived", sent, limited, w.a.tunnel.Waiting())
		}
	})
}

// connect2 shows that data passes from a to b.
func (w *world) connect2(t *testing.T) {
	t.Helper()
	p := packet(w.a.inner, w.b.inner, 77, 500)
	w.a.tunnel.Put(p)
	w.b.wants(t, "data", p)
}
