package conformance_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Wrappers around what comes to a subject. Most of them look at a message and make the good core inside do what a bad
// one would: they mend what is wrong with it, lose it though it is right, or answer it themselves.

// A sight is a condition on a datagram that comes in.
type sight func(m *mangled, d conformance.Datagram) bool

// turning changes what comes in.
func turning(name string, change func(m *mangled, b []byte) []byte) bad {
	return wrap(name, mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		d.Bytes = change(m, bytes.Clone(d.Bytes))
		return []conformance.Datagram{d}
	}})
}

// losing drops what comes in.
func losing(name string, when sight) bad {
	return wrap(name, mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if when(m, d) {
			return nil
		}
		return []conformance.Datagram{d}
	}})
}

// saying emits something when a datagram comes in, which the core gets as well.
func saying(when sight, what func(m *mangled, d conformance.Datagram)) mangle {
	return mangle{in: func(m *mangled, d conformance.Datagram) []conformance.Datagram {
		if when(m, d) {
			what(m, d)
		}
		return []conformance.Datagram{d}
	}}
}

// replying answers with what looks like a response.
func replying(name string, when sight) bad {
	return wrap(name, saying(when, func(m *mangled, d conformance.Datagram) {
		b := make([]byte, peer.ResponseLength)
		b[0] = 2
		copy(b[8:12], d.Bytes[4:8])
		m.say(d, b, 0)
	}))
}

// confirming answers with what looks like a keepalive.
func confirming(name string, when sight) bad {
	return wrap(name, saying(when, func(m *mangled, d conformance.Datagram) {
		b := make([]byte, peer.TransportOverhead)
		b[0] = 4
		m.say(d, b, 0)
	}))
}

// delivering puts a packet out on the inner side.
func delivering(name string, when sight) bad {
	return wrap(name, saying(when, func(m *mangled, _ conformance.Datagram) {
		from, to := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("198.18.0.1")
		m.ready.Packets = append(m.ready.Packets, conformance.SentPacket{At: conformance.At(m.Now()),
			Bytes: conformance.IP(from, to, 253, []byte("forged"))})
	}))
}

// say sends b to where d came from, after a while.
func (m *mangled) say(d conformance.Datagram, b []byte, after time.Duration) {
	m.emit(conformance.SentDatagram{At: conformance.At(m.Now().Add(after)),
		Datagram: conformance.Datagram{Local: d.Local, Remote: d.Remote, Bytes: b}})
}

// store is what the wrapper remembers besides numbers.
func (m *mangled) store() map[string][]byte {
	if m.texts == nil {
		m.texts = map[string][]byte{}
	}
	return m.texts
}

// own is the subject's key pair.
func (m *mangled) own() peer.Pair { return peer.PairOf(*m.setup.Config.PrivateKey) }

func (m *mangled) remac(b []byte) []byte { return peer.Remac(b, m.own().Public, nil) }

// read decrypts an initiation to the subject; nil: it cannot be.
func (m *mangled) read(b []byte) *peer.Received {
	if peer.KindOf(b) != peer.KindInitiation {
		return nil
	}
	r, err := (&peer.Party{Static: m.own()}).Read(b)
	if err != nil {
		return nil
	}
	return r
}

// unreadable sees whole initiations with a right mac1 that do not decrypt.
func unreadable(m *mangled, d conformance.Datagram) bool {
	return peer.KindOf(d.Bytes) == peer.KindInitiation && peer.CheckMAC1(d.Bytes, m.own().Public) && m.read(d.Bytes) == nil
}

func kind(d conformance.Datagram, k byte, atLeast int) bool {
	return len(d.Bytes) >= max(atLeast, 1) && d.Bytes[0] == k
}

// again sees initiations that came before, and remembers when.
func again(m *mangled, d conformance.Datagram) (before time.Duration, seen bool) {
	if !kind(d, 1, peer.InitiationLength) {
		return 0, false
	}
	key := "came " + string(d.Bytes)
	if at, ok := m.memory[key]; ok {
		return time.Duration(m.Now()) - time.Duration(at), true
	}
	m.memory[key] = int(m.Now())
	return 0, false
}

// knows remembers the peers that Configure brings, and where they are.
func knows(m *mangled, c *conformance.Change) {
	for _, p := range c.Peers {
		m.memory["peer "+string(p.PublicKey[:])] = 1
		if p.Endpoint != nil {
			m.store()["at "+p.Endpoint.String()] = bytes.Clone(p.PublicKey[:])
		}
	}
}

// remade is a subject whose initiations to a peer, from the second on, have another timestamp. The wrapper makes them
// anew, so that no response to them is understood.
func remade(name string, timestamp func(n int, at time.Time) peer.Timestamp) bad {
	return wrap(name, mangle{change: knows, out: editing(1, func(m *mangled, d *conformance.SentDatagram) {
		n := m.memory["made "+d.Remote.String()]
		m.memory["made "+d.Remote.String()]++
		to := m.store()["at "+d.Remote.String()]
		if n == 0 || to == nil {
			return
		}
		index := peer.Sender(d.Bytes)
		party := peer.Party{Static: m.own(), Remote: peer.Key(to), Random: bytes.NewReader(bytes.Repeat([]byte{byte(n)}, 64))}
		at := m.setup.Wall.Add(time.Duration(m.Now()))
		i, err := party.Initiate(timestamp(n, at), peer.Spec{Index: &index})
		if err != nil {
			panic(err)
		}
		d.Bytes = i.Bytes
	})})
}

func counterOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b[8:]) }
