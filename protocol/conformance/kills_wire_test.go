package conformance_test

import (
	"bytes"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// clears is a subject to which the reserved bits of one type of message mean nothing.
func clears(name string, of byte) bad {
	return turning(name, func(m *mangled, b []byte) []byte {
		if len(b) < 4 || b[0] != of {
			return b
		}
		if b[1]|b[2]|b[3] == 0 {
			return b
		}
		b[1], b[2], b[3] = 0, 0, 0
		if of < 3 {
			m.remac(b)
		}
		return b
	})
}

// fits is a subject that takes one type of message in another length.
func fits(name string, of byte, length, right int) bad {
	return turning(name, func(m *mangled, b []byte) []byte {
		if len(b) != length || b[0] != of {
			return b
		}
		if length > right {
			return b[:right]
		}
		return append(b, make([]byte, right-length)...)
	})
}

var (
	answersUnreadable  = replying("answers-unreadable", unreadable)
	garbledInitiations = wrap("garbles-initiations", mangle{out: editing(1, flipsAt(50))})
	lowOrderPeers      = wrap("initiates-to-low-order-keys", mangle{change: initiatesToLowOrder})
	bornWithPSK        = wrap("takes-psk-at-birth-only", mangle{change: func(m *mangled, c *conformance.Change) {
		for i, p := range c.Peers {
			if m.memory["peer "+string(p.PublicKey[:])] != 0 {
				c.Peers[i].PresharedKey = nil
			}
		}
		knows(m, c)
	}})
)

func flipsAt(at int) func(*mangled, *conformance.SentDatagram) {
	return func(_ *mangled, d *conformance.SentDatagram) {
		d.Bytes = bytes.Clone(d.Bytes)
		d.Bytes[at] ^= 1
	}
}

func initiatesToLowOrder(m *mangled, c *conformance.Change) {
	for _, p := range c.Peers {
		if p.Endpoint != nil && slices.Contains(peer.LowOrderPoints(), peer.Key(p.PublicKey)) {
			b := make([]byte, peer.InitiationLength)
			b[0] = 1
			m.say(conformance.Datagram{Remote: *p.Endpoint}, b, 0)
		}
	}
}

func init() {
	for pattern, list := range wireCryptoKills {
		wireKills[pattern] = list
	}
}

var wireKills = killers{
	"wire/reserved/initiation":   {core("accept-reserved")},
	"wire/reserved/response":     {clears("reserved-bits-in-responses", 2)},
	"wire/reserved/cookie-reply": {clears("reserved-bits-in-cookie-replies", 3)},
	"wire/reserved/data":         {clears("reserved-bits-in-data", 4)},
	"wire/type/unknown-initiation": {turning("types-of-three-bits", func(m *mangled, b []byte) []byte {
		if len(b) == peer.InitiationLength && b[0] > 4 && b[0]&7 == 1 {
			b[0] = 1
			m.remac(b)
		}
		return b
	})},
	"wire/type/unknown-data": {turning("four-and-more-is-data", func(_ *mangled, b []byte) []byte {
		if len(b) >= peer.TransportOverhead && b[0] > 4 {
			b[0] = 4
		}
		return b
	})},
	"wire/datagram/two-messages": {wrap("takes-messages-apart", mangle{in: takeApart})},
	"wire/datagram/extreme-lengths": {losing("deaf-after-an-empty-datagram",
		func(m *mangled, d conformance.Datagram) bool {
			if len(d.Bytes) == 0 {
				m.memory["deaf"] = 1
			}
			return m.memory["deaf"] != 0
		}), confirming("answers-two-bytes", func(_ *mangled, d conformance.Datagram) bool { return len(d.Bytes) == 2 })},
	"wire/length/initiation-long":  {core("accept-long"), fits("cuts-initiations", 1, 149, 148)},
	"wire/length/initiation-short": {fits("fills-initiations", 1, 147, 148)},
	"wire/length/response":         {fits("cuts-responses", 2, 93, 92), fits("fills-responses", 2, 91, 92)},
	"wire/length/cookie-reply":     {fits("cuts-cookie-replies", 3, 65, 64)},
	"wire/length/data-short": {confirming("answers-short-data", func(_ *mangled, d conformance.Datagram) bool {
		return kind(d, 4, 4) && len(d.Bytes) < peer.TransportOverhead
	})},
	"wire/length/data-unpadded": {losing("wants-padding", func(_ *mangled, d conformance.Datagram) bool {
		return kind(d, 4, peer.TransportOverhead) && len(d.Bytes)%16 != 0
	})},
	"wire/sent/types": {wrap("keepalives-have-a-type", mangle{out: editing(4, func(_ *mangled,
		d *conformance.SentDatagram) {
		if len(d.Bytes) == peer.TransportOverhead {
			d.Bytes[0] = 5
		}
	})})},
	"wire/sent/reserved": {wrap("marks-keepalives", mangle{out: editing(4, func(_ *mangled,
		d *conformance.SentDatagram) {
		if len(d.Bytes) == peer.TransportOverhead {
			d.Bytes[3] = 1
		}
	})})},
	"wire/sent/counters/*": {core("nonce-reuse"), wrap("skips-a-counter", mangle{out: func(_ *mangled,
		d conformance.SentDatagram) []conformance.SentDatagram {
		if d.Bytes[0] == 4 && counterOf(d.Bytes) == 77 {
			return nil
		}
		return kept(d)
	}})},
	"wire/sent/receiver-index/*": {wrap("wrong-receiver-index", mangle{out: editing(4, func(_ *mangled,
		d *conformance.SentDatagram) {
		if len(d.Bytes) == 256 {
			flipsAt(5)(nil, d)
		}
	})})},
	"wire/index/any-value/*": {wrap("zero-is-no-index", mangle{
		in: func(_ *mangled, d conformance.Datagram) []conformance.Datagram {
			if kind(d, 2, 8) && peer.Sender(d.Bytes) == 0 {
				return nil
			}
			return []conformance.Datagram{d}
		},
		out: func(_ *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			if d.Bytes[0] == 2 && peer.Receiver(d.Bytes) == 0 {
				return nil
			}
			return kept(d)
		}})},
	"wire/outer/udp-checksum/*": {wrap("no-udp-checksums", withOuter(mangle{out: editing(0, func(_ *mangled,
		d *conformance.SentDatagram) {
		at := 26
		if d.IP[0]>>4 == 6 {
			at = 46
		}
		d.IP[at], d.IP[at+1] = 0, 0
	})}))},
	"wire/outer/may-be-fragmented": {wrap("never-fragmented", withOuter(mangle{out: editing(0, func(_ *mangled,
		d *conformance.SentDatagram) {
		if d.IP[0]>>4 == 4 {
			d.IP[6] |= 0x40
			conformance.FixHeader(d.IP)
		}
	})}))},
	"wire/outer/one-port": {answersNobody},
}

func takeApart(_ *mangled, d conformance.Datagram) []conformance.Datagram {
	half := len(d.Bytes) / 2
	if half < peer.TransportOverhead || !bytes.Equal(d.Bytes[:4], d.Bytes[half:half+4]) {
		return []conformance.Datagram{d}
	}
	first, second := d, d
	first.Bytes, second.Bytes = d.Bytes[:half], d.Bytes[half:]
	return []conformance.Datagram{first, second}
}

var wireCryptoKills = killers{
	"wire/crypto/key-schedule/responder": {answersNobody},
	"wire/crypto/key-schedule/initiator": {garbledInitiations},
	"wire/crypto/other-identifier":       {answersUnreadable},
	"wire/crypto/mac-function":           {core("skip-mac1")},
	"wire/crypto/mac-sent": {wrap("wrong-mac1-on-responses", mangle{out: editing(2, flipsAt(60))}),
		wrap("wrong-mac1-on-initiations", mangle{out: editing(1, flipsAt(116))})},
	"wire/crypto/nonce": {losing("counters-of-32-bits", func(_ *mangled, d conformance.Datagram) bool {
		return kind(d, 4, peer.TransportOverhead) && counterOf(d.Bytes) > 1<<32-1
	})},
	"wire/crypto/nonce-sent": {wrap("mute-after-255", mangle{out: func(_ *mangled,
		d conformance.SentDatagram) []conformance.SentDatagram {
		if d.Bytes[0] == 4 && counterOf(d.Bytes) > 255 {
			return nil
		}
		return kept(d)
	}})},
	"wire/crypto/no-additional-data": {delivering("header-as-additional-data", func(m *mangled,
		d conformance.Datagram) bool {
		return kind(d, 4, 672) && len(d.Bytes) == 672
	})},
	"wire/crypto/cookie-opened": {wrap("never-uses-cookies", mangle{out: editing(1, func(_ *mangled,
		d *conformance.SentDatagram) {
		copy(d.Bytes[132:], make([]byte, 16))
	})})},
	"wire/crypto/cookie-made": {wrap("garbles-cookies", mangle{out: editing(3, flipsAt(63))})},
	"wire/crypto/clamped": {wrap("no-clamping", mangle{change: func(_ *mangled, c *conformance.Change) {
		if c.PrivateKey != nil && c.PrivateKey[0]&7 != 0 {
			other := *c.PrivateKey
			other[1] ^= 1 // X25519 clamps by itself: another key stands for one that is not clamped
			c.PrivateKey = &other
		}
	}})},
	"wire/crypto/fresh-response-ephemeral": {core("reuse-ephemeral")},
	"wire/crypto/top-bit-of-ephemeral/*": {turning("hashes-canonical-keys", func(m *mangled, b []byte) []byte {
		if k := peer.KindOf(b); k == peer.KindInitiation && b[39]&0x80 != 0 {
			b[39] &= 0x7f
			m.remac(b)
		} else if k == peer.KindResponse && b[43]&0x80 != 0 {
			b[43] &= 0x7f
			m.remac(b)
		}
		return b
	})},
	"wire/crypto/low-order-ephemeral/responder": {answersUnreadable},
	"wire/crypto/low-order-ephemeral/initiator": {confirming("takes-low-order-responses", func(_ *mangled,
		d conformance.Datagram) bool {
		return peer.KindOf(d.Bytes) == peer.KindResponse &&
			slices.Contains(peer.LowOrderPoints(), peer.Key(d.Bytes[12:44]))
	})},
	"wire/crypto/low-order-static/*":  {lowOrderPeers},
	"wire/psk/used/*":                 {core("ignore-psk")},
	"wire/psk/zeros-are-none/*":       {bornWithPSK},
	"wire/psk/set-later/*":            {bornWithPSK, core("ignore-psk")},
	"wire/psk/change-keeps-session/*": {core("psk-change-drops-session")},
	"wire/psk/mismatch/*":             {core("ignore-psk")},
}
