package conformance_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// TestPackets: the suite's inner packets are those that another hand builds, checksums included.
func TestPackets(t *testing.T) {
	for _, a := range [][2]string{{"198.18.0.1", "100.64.0.9"}, {"fd98::1", "fd64::9"}} {
		src, dst := netip.MustParseAddr(a[0]), netip.MustParseAddr(a[1])
		for n := range 40 {
			text := bytes.Repeat([]byte{byte(n + 1)}, n)
			from, to := netip.AddrPortFrom(src, 4000), netip.AddrPortFrom(dst, 5000)
			got, want := conformance.UDP(from, to, text), protocoltest.UDP(from, to, text)
			if !samePacket(got, want) {
				t.Errorf("UDP of %d bytes:\n%x, want\n%x", n, got, want)
			}
			got, want = conformance.Echo(src, dst, 7, uint16(n), text),
				protocoltest.Echo(src, dst, 7, uint16(n), false, text)
			if !samePacket(got, want) {
				t.Errorf("echo of %d bytes:\n%x, want\n%x", n, got, want)
			}
		}
		p := conformance.SetTOS(conformance.Echo(src, dst, 1, 1, nil), 0xb9)
		q := protocoltest.Echo(src, dst, 1, 1, false, nil)
		protocoltest.SetTOS(q, 0xb9)
		if !samePacket(p, q) || conformance.TOS(p) != 0xb9 || conformance.Source(p) != src ||
			conformance.Destination(p) != dst {
			t.Errorf("TOS:\n%x, want\n%x", p, q)
		}
	}
}

// samePacket ignores what the builders may choose: the hop limit, and what follows from it.
func samePacket(a, b []byte) bool {
	a, b = bytes.Clone(a), bytes.Clone(b)
	for _, p := range [][]byte{a, b} {
		if p[0]>>4 == 4 {
			p[8], p[4], p[5], p[6] = 1, 0, 0, 0
			conformance.FixHeader(p)
		} else {
			p[7] = 1
		}
	}
	return bytes.Equal(a, b)
}

// TestPace: on a shared subject initiations are begun at most 40 times a second, but for those that were asked for
// together.
func TestPace(t *testing.T) {
	send := func(t *conformance.T, n int) {
		p := t.Peer()
		for range n {
			p.Send(p.Initiate(peer.Spec{}).Bytes)
		}
	}
	var slow, fast time.Duration
	collect(t, newClocked(false),
		small("t/a", func(t *conformance.T) {
			begin := t.Now()
			send(t, 21)
			slow = t.Now().Sub(begin)
		}))
	collect(t, newClocked(false),
		small("t/b", func(t *conformance.T) {
			t.Burst(21)
			begin := t.Now()
			send(t, 21)
			fast = t.Now().Sub(begin)
		}))
	if slow < 500*time.Millisecond {
		t.Errorf("21 initiations took %v, under half a second", slow)
	}
	if fast >= slow {
		t.Errorf("21 initiations of a burst took %v, those without %v", fast, slow)
	}
}
