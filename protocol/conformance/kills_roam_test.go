package conformance_test

import (
	"net/netip"

	"github.com/purewire/purewire/protocol/conformance"
)

// moves is a subject that takes the source of certain datagrams for the peer's endpoint: what it sends after one goes
// there, until it hears something else from the peer's address.
func moves(name string, is func(b []byte) bool) bad {
	places := placesOf{}
	return wrap(name, mangle{
		in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
			if is(d.Bytes) && m.memory["home"] != 0 {
				places.put(m, d.Remote)
			} else {
				m.memory["home"]++
				places.put(m, netip.AddrPort{})
			}
			return []conformance.Datagram{d}
		},
		out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
			if to := places.get(m); to.IsValid() {
				d.Remote = to
			}
			return kept(d)
		},
	})
}

// placesOf keeps an address in a subject's memory, which holds numbers only.
type placesOf struct{}

func (placesOf) put(m *mangled, a netip.AddrPort) {
	b := a.Addr().As16()
	m.memory["port"] = int(a.Port())
	for i := range b {
		m.memory[string(rune('A'+i))] = int(b[i])
	}
}

func (placesOf) get(m *mangled) netip.AddrPort {
	if m.memory["port"] == 0 {
		return netip.AddrPort{}
	}
	var b [16]byte
	for i := range b {
		b[i] = byte(m.memory[string(rune('A'+i))])
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), uint16(m.memory["port"]))
}

func ofType(kind byte, n int) func([]byte) bool {
	return func(b []byte) bool { return len(b) > 0 && b[0] == kind && (n == 0 || len(b) == n) }
}

// outerTOS is a subject that writes another TOS byte on one type of message (0: on all).
func outerTOS(name string, kind byte, tos func(byte) byte) bad {
	return wrap(name, mangle{out: editing(kind, func(_ *mangled, d *conformance.SentDatagram) { d.TOS = tos(d.TOS) })})
}

func always(v byte) func(byte) byte { return func(byte) byte { return v } }

var (
	noRoam            = core("no-roam")
	roamsOnHandshakes = moves("roams-on-handshakes", ofType(1, 148))
)

// unlearned is a subject that does not answer data to a peer that was added without an endpoint.
var unlearned = wrap("never-learns-endpoints", mangle{
	change: func(m *mangled, c *conformance.Change) {
		for _, p := range c.Peers {
			if (p.Endpoint == nil || !p.Endpoint.IsValid()) && len(p.AllowedIPs) > 0 {
				m.memory["lost"]++
			}
		}
	},
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if d.Bytes[0] == 4 && len(d.Bytes) > 32 && m.memory["lost"] == 1 {
			return nil
		}
		return kept(d)
	},
})

// fixedSource is a subject that sends everything from its first address.
var fixedSource = wrap("one-source", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		first := m.setup.Local4
		if d.Local.Addr().Is6() {
			first = m.setup.Local6
		}
		d.Local = netip.AddrPortFrom(first.Addr(), d.Local.Port())
		return kept(d)
	}})

// stuckSource is a subject that goes on sending from an address that it has used when that is gone: nothing leaves.
var stuckSource = wrap("loses-its-source", mangle{
	out: func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		first := d.Local.Addr() == m.setup.Local4.Addr() || d.Local.Addr() == m.setup.Local6.Addr()
		if !first {
			m.memory["second"] = 1
		}
		if first && m.memory["second"] == 1 {
			return nil
		}
		return kept(d)
	}})

var roamKills = killers{
	"roam/source/answers-from-there/*": {fixedSource},
	"roam/source/forgotten-with-it/*":  {stuckSource},
	"roam/data/moves-endpoint/*":       {noRoam}, "roam/keepalive/moves-endpoint": {noRoam},
	"roam/stranger-source/moves-endpoint": {noRoam}, "roam/initiation/moves-endpoint": {noRoam},
	"roam/learned/from-initiation": {unlearned}, "roam/learned/replaces-configured": {noRoam},
	"roam/family/four-to-six": {noRoam}, "roam/state/shows-endpoint": {noRoam},
	"roam/response/moves-endpoint": {noRoam},
	"roam/configured/replaces-learned": {onPeers("keeps-first-endpoint", func(p *conformance.PeerChange) {
		if len(p.AllowedIPs) == 0 {
			p.Endpoint = nil
		}
	})},
	"roam/stays/replay":          {core("roam-on-replay")},
	"roam/stays/cookie-reply":    {core("roam-on-cookie")},
	"roam/stays/bad-mac1":        {roamsOnHandshakes},
	"roam/stays/old-timestamp":   {roamsOnHandshakes},
	"roam/stays/bad-initiation":  {roamsOnHandshakes},
	"roam/stays/bad-response":    {moves("roams-on-responses", ofType(2, 92))},
	"roam/stays/bad-tag":         {core("roam-before-auth")},
	"roam/stays/cut":             {core("roam-before-auth")},
	"roam/stays/spoofed-index":   {core("roam-before-auth")},
	"roam/stays/unknown-index":   {moves("roams-on-any-index", ofType(4, 112))},
	"qos/data/dscp-stays-inside": {core("leak-dscp")},
	"qos/initiation/tos":         {outerTOS("plain-initiations", 1, always(0))},
	"qos/response/tos":           {outerTOS("plain-responses", 2, always(0))},
	"qos/data/ecn-out":           {outerTOS("no-ecn", 4, always(0))},
	"qos/mark/on-all": {wrap("marks-handshakes-only", mangle{
		out: editing(4, func(_ *mangled, d *conformance.SentDatagram) { d.Mark = 0 })})},
	"qos/data/ecn-in": {wrap("ignores-ce", mangle{
		in: func(_ *mangled, d conformance.Datagram) []conformance.Datagram {
			d.TOS &^= 3
			return []conformance.Datagram{d}
		}})},
	"qos/data/ecn-delivers-all": {wrap("drops-ce", mangle{
		in: func(_ *mangled, d conformance.Datagram) []conformance.Datagram {
			if d.TOS&3 == 3 {
				return nil
			}
			return []conformance.Datagram{d}
		}})},
}
