package conformance_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// delivers is a subject that hands something to its inner side for a transport message of a length that only one case
// sends: a wrapper cannot decrypt, and need not.
func delivers(plaintext int) bad {
	return wrap(fmt.Sprintf("delivers-bad-packet-of-%d", plaintext), mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if len(d.Bytes) == 32+plaintext && d.Bytes[0] == 4 {
				at := conformance.At(m.Now())
				m.ready.Packets = append(m.ready.Packets, conformance.SentPacket{At: at, Bytes: make([]byte, plaintext)})
			}
			return []conformance.Datagram{d}
		}})
}

// swallows is a subject that does not pass certain packets to its inner side, or from it.
func swallows(name string, is func(b []byte) bool) bad {
	return wrap(name, mangle{packetOut: func(_ *mangled, p conformance.SentPacket) []conformance.SentPacket {
		if is(p.Bytes) {
			return nil
		}
		return []conformance.SentPacket{p}
	}})
}

func ipv4(b []byte) bool { return len(b) >= 20 && b[0]>>4 == 4 }
func icmpErrors(b []byte) bool {
	return ipv4(b) && b[9] == 1 && b[20] == 3 || ipv6(b) && b[6] == 58 && b[40] == 1
}

func ipv6(b []byte) bool { return len(b) >= 40 && b[0]>>4 == 6 }

// injects changes what comes from the inner side.
func injects(name string, change func(m *mangled, b []byte) [][]byte) bad {
	return wrap(name, mangle{packetIn: change})
}

func forgets(name string, change func(c *conformance.Change)) bad {
	return wrap(name, mangle{change: func(_ *mangled, c *conformance.Change) { change(c) }})
}

// onPeers changes each peer's part of a change.
func onPeers(name string, change func(p *conformance.PeerChange)) bad {
	return forgets(name, func(c *conformance.Change) {
		c.Peers = slices.Clone(c.Peers)
		for i := range c.Peers {
			change(&c.Peers[i])
		}
	})
}

var (
	deliversAnyVersion = core("deliver-any-version")
	noUnreachable      = swallows("no-unreachable", icmpErrors)
	neverRemoves       = onPeers("never-removes", func(p *conformance.PeerChange) { p.Remove = false })
)

// widens is a subject that does not know prefixes inside of others: the narrow ones of narrower() are lost.
var widens = onPeers("prefix-lengths-ignored", func(p *conformance.PeerChange) {
	for i, a := range p.AllowedIPs {
		if a.Addr().Is4() && a.Bits() == 32 && a.Addr().As4()[0] == 172 || a.Addr().Is6() && a.Bits() == 128 &&
			a.Addr().As16()[0] == 0x20 {
			p.AllowedIPs = slices.Delete(slices.Clone(p.AllowedIPs), i, i+1)
			return
		}
	}
})

var innerKills = killers{
	"inner/pad/multiple-of-16/*": {core("no-padding")},
	"inner/pad/not-beyond-mtu":   {core("pad-beyond-mtu")},
	"inner/pad/larger-than-mtu": {injects("cuts-to-mtu", func(_ *mangled, b []byte) [][]byte {
		if len(b) > 1420 {
			return nil
		}
		return [][]byte{b}
	})},
	"inner/pad/mtu-zero": {wrap("sends-nothing-at-mtu-0", mangle{
		change: func(m *mangled, c *conformance.Change) {
			if c.MTU != nil && *c.MTU == 0 {
				m.memory["stuck"] = 1
			}
		},
		packetIn: func(m *mangled, b []byte) [][]byte {
			if m.memory["stuck"] == 1 {
				return nil
			}
			return [][]byte{b}
		}})},
	"inner/pad/zeros": {injects("pads-with-memory", func(_ *mangled, b []byte) [][]byte {
		for len(b)%16 != 0 {
			b = append(b, 0xa5)
		}
		return [][]byte{b}
	})},
	"inner/pad/keepalive-is-empty": {wrap("pads-keepalives", mangle{
		out: editing(4, func(m *mangled, d *conformance.SentDatagram) {
			// Not the later ones: they are for the cases about timers.
			if len(d.Bytes) == 32 && d.Bytes[8] == 0 && m.Now() < timers.Time(5*time.Second) {
				d.Bytes = append(d.Bytes, make([]byte, 16)...)
			}
		})})},
	"inner/pad/trimmed":            {core("no-trim")},
	"inner/drop/version-*":         {deliversAnyVersion},
	"inner/drop/ipv4-one-byte":     {delivers(1)},
	"inner/drop/ipv4-19-bytes":     {delivers(19)},
	"inner/drop/ipv6-39-bytes":     {delivers(39)},
	"inner/drop/ipv4-length-0":     {delivers(211)},
	"inner/drop/ipv4-length-19":    {delivers(213)},
	"inner/drop/ipv4-one-short":    {delivers(215)},
	"inner/drop/ipv4-length-65535": {delivers(217)},
	"inner/drop/ipv6-one-short":    {delivers(219)},
	"inner/drop/ipv6-length-65496": {delivers(221)},
	"inner/drop/ipv6-length-65535": {delivers(223)},
	"inner/drop/not-its-source":    {core("wrong-allowed-ip")},
	"inner/drop/not-its-source-v6": {core("wrong-allowed-ip")},
	"inner/drop/mapped-source":     {core("wrong-allowed-ip")},
	"inner/pass/ipv4-options":      {swallows("no-ip-options", func(b []byte) bool { return ipv4(b) && b[0] != 0x45 })},
	"inner/pass/ipv6-extension": {swallows("no-extension-headers", func(b []byte) bool {
		return ipv6(b) && b[6] == 0
	})},
	"inner/pass/fragment": {swallows("no-fragments", func(b []byte) bool {
		return ipv4(b) && binary.BigEndian.Uint16(b[6:])&0x3fff != 0
	})},
	"inner/pass/unknown-protocol": {swallows("knows-tcp-and-udp-only", func(b []byte) bool {
		return ipv4(b) && b[9] == 253
	})},
	"inner/pass/wrong-checksum": {swallows("verifies-checksums", func(b []byte) bool {
		return ipv4(b) && conformance.FixHeader(slices.Clone(b))[10] == b[10] && !udpSum(b)
	})},
	"inner/bad/moves-endpoint":            {core("no-roam")},
	"inner/bad/is-data-for-the-keepalive": {core("no-passive-keepalive")},
	"inner/bad/confirms": {wrap("bad-packets-do-not-confirm", mangle{
		in: func(_ *mangled, d conformance.Datagram) []conformance.Datagram {
			if len(d.Bytes) == 48 && d.Bytes[0] == 4 {
				return nil
			}
			return []conformance.Datagram{d}
		}})},
	"inner/route/longest-prefix-*": {widens},
	"inner/route/moves-*": {forgets("prefixes-do-not-move", func(c *conformance.Change) {
		if len(c.Peers) == 1 && c.Peers[0].Endpoint == nil && !c.Peers[0].ReplaceAllowedIPs {
			c.Peers = nil
		}
	})},
	"inner/route/replaced-allowed-ips": {onPeers("never-replaces", func(p *conformance.PeerChange) {
		p.ReplaceAllowedIPs = false
	})},
	"inner/route/default": {onPeers("no-default-route", func(p *conformance.PeerChange) {
		p.AllowedIPs = slices.Clone(p.AllowedIPs)
		for i := len(p.AllowedIPs) - 1; i >= 0; i-- {
			if p.AllowedIPs[i].Bits() == 0 {
				p.AllowedIPs = slices.Delete(p.AllowedIPs, i, i+1)
			}
		}
	})},
	"inner/route/host-bits": {onPeers("refuses-host-bits", func(p *conformance.PeerChange) {
		p.AllowedIPs = slices.Clone(p.AllowedIPs)
		for i := len(p.AllowedIPs) - 1; i >= 0; i-- {
			if p.AllowedIPs[i] != p.AllowedIPs[i].Masked() {
				p.AllowedIPs = slices.Delete(p.AllowedIPs, i, i+1)
			}
		}
	})},
	"inner/route/no-*-is-told": {noUnreachable},
	"inner/route/not-ip": {injects("guesses-versions", func(_ *mangled, b []byte) [][]byte {
		b[0] = 0x40 | b[0]&15
		return [][]byte{b}
	})},
	"inner/route/removed-peer": {neverRemoves},
}

// udpSum reports whether the UDP checksum of an IPv4 packet is right.
func udpSum(b []byte) bool {
	if !ipv4(b) || b[9] != 17 || len(b) < 28 {
		return true
	}
	sum := uint32(17) + uint32(len(b)-20)
	for i := 12; i < len(b); i += 2 {
		v := uint32(b[i]) << 8
		if i+1 < len(b) {
			v |= uint32(b[i+1])
		}
		sum += v
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return sum == 0xffff
}
