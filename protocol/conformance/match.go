package conformance

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Got is something that the subject put out, decoded as far as the test's peers can.
type Got struct {
	At Stamp
	// Packet is a packet that the subject gave to its inner side; nil if this is a datagram.
	Packet []byte
	// Other is an outer packet that is no UDP datagram, from its IP header on.
	Other []byte

	// Of a datagram:
	Bytes    []byte // the UDP payload
	TOS      byte
	Local    netip.AddrPort // of the subject: where it was sent from
	Remote   netip.AddrPort // where it was sent to
	Datagram *SentDatagram
	Kind     peer.Kind
	Peer     *Peer // to whom, by address; nil: to nobody that the case knows

	Initiation *peer.Received // of an initiation that Peer can read
	Answers    *peer.Initiation
	Session    *Session // of a response or transport message that authenticates: the key pair
	Counter    uint64   // of a transport message
	Opened     bool     // a transport message that authenticates
	Plain      []byte   // its plaintext with padding
	Inner      []byte   // its plaintext without
	Cookie     []byte   // in a cookie reply that Peer can open
	MAC1       bool     // of a handshake message: mac1 is right

	entry int
	used  bool
}

// Sender and Receiver are the indices in the header of a datagram.
func (g *Got) Sender() uint32 { return peer.Sender(g.Bytes) }

// Receiver is the receiver index.
func (g *Got) Receiver() uint32 { return peer.Receiver(g.Bytes) }

// String names it in one line.
func (g *Got) String() string {
	switch {
	case g.Packet != nil:
		return "inner packet " + describePacket(g.Packet)
	case g.Other != nil:
		return "outer packet " + describePacket(g.Other)
	}
	return g.text() + " to " + g.Remote.String()
}

func (g *Got) text() string {
	s := describeDatagram(g.Bytes)
	switch {
	case g.Kind == peer.KindTransport && g.Opened && len(g.Plain) == 0:
		s = strings.Replace(s, "transport message", "keepalive", 1)
	case g.Kind == peer.KindTransport && g.Opened:
		s = strings.Replace(s, "transport message", "data", 1) + ": " + describePacket(g.Inner)
	case g.Kind == peer.KindTransport:
		s += ", of no session that is known"
	case g.Kind == peer.KindInitiation && g.Peer != nil && g.Initiation == nil:
		s += ", not readable by its receiver"
	}
	return s
}

// Match picks outputs: messages by kind, or more closely with its methods.
type Match struct {
	Name string
	Is   func(*Got) bool
}

func kinds(name string, ks ...peer.Kind) Match {
	return Match{name, func(g *Got) bool {
		for _, k := range ks {
			if g.Packet == nil && g.Other == nil && g.Kind == k {
				return true
			}
		}
		return false
	}}
}

// What can be waited for. Data and Keepalive are transport messages that authenticate on a session of a test's peer;
// Transport is any, readable or not.
var (
	Initiation  = kinds("initiation", peer.KindInitiation)
	Response    = kinds("response", peer.KindResponse)
	CookieReply = kinds("cookie reply", peer.KindCookieReply)
	Transport   = kinds("transport message", peer.KindTransport)
	Handshake   = kinds("handshake message", peer.KindInitiation, peer.KindResponse)
	Keepalive   = Transport.That("keepalive", func(g *Got) bool { return g.Opened && len(g.Plain) == 0 })
	Data        = Transport.That("data", func(g *Got) bool { return g.Opened && len(g.Plain) > 0 })
	AnyDatagram = Match{"datagram", func(g *Got) bool { return g.Bytes != nil }}
	// Delivery is any packet that comes out of the subject on its inner side.
	Delivery = Match{"inner packet", func(g *Got) bool { return g.Packet != nil }}
	Anything = Match{"anything", func(*Got) bool { return true }}
	// OtherPacket is an outer packet that is no UDP datagram, such as an ICMP error of the subject's host.
	OtherPacket = Match{"outer packet other than UDP", func(g *Got) bool { return g.Other != nil }}
)

// That narrows a match and renames it.
func (m Match) That(name string, is func(*Got) bool) Match {
	return Match{name, func(g *Got) bool { return m.Is(g) && is(g) }}
}

// To narrows it to datagrams for one peer, at any of its addresses.
func (m Match) To(p *Peer) Match {
	return m.That(m.Name+" to "+p.Name, func(g *Got) bool { return g.Peer == p })
}

// At narrows it to datagrams for one address.
func (m Match) At(a netip.AddrPort) Match {
	return m.That(m.Name+" to "+a.String(), func(g *Got) bool { return g.Remote == a })
}

// On narrows it to transport messages and responses of one session.
func (m Match) On(s *Session) Match {
	return m.That(fmt.Sprintf("%s on session %08x", m.Name, s.Local), func(g *Got) bool { return g.Session == s })
}

// Carrying narrows Data to one inner packet, and Delivery likewise.
func (m Match) Carrying(packet []byte) Match {
	return m.That(m.Name+" with "+describePacket(packet), func(g *Got) bool {
		return bytes.Equal(g.Packet, packet) || bytes.Equal(g.Inner, packet)
	})
}

func describePacket(b []byte) string {
	src, dst := Source(b), Destination(b)
	if !src.IsValid() {
		return fmt.Sprintf("%d bytes that are no IP packet", len(b))
	}
	return fmt.Sprintf("%v→%v, %d bytes", src, dst, len(b))
}

func describeDatagram(b []byte) string {
	switch k := peer.KindOf(b); k {
	case peer.KindInitiation:
		return fmt.Sprintf("initiation %08x", peer.Sender(b))
	case peer.KindResponse:
		return fmt.Sprintf("response %08x to %08x", peer.Sender(b), peer.Receiver(b))
	case peer.KindCookieReply:
		return fmt.Sprintf("cookie reply to %08x", peer.Receiver(b))
	case peer.KindTransport:
		return fmt.Sprintf("transport message #%d to %08x, %d bytes", peer.Counter(b), peer.Receiver(b), len(b))
	}
	return "malformed datagram: " + peer.Fault(b)
}

func describeChange(c Change) string {
	var s []string
	add := func(yes bool, format string, args ...any) {
		if yes {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	add(c.PrivateKey != nil, "private key")
	add(c.ListenPort != nil, "port")
	add(c.Mark != nil, "mark")
	add(c.MTU != nil, "MTU")
	add(c.Up != nil && *c.Up, "up")
	add(c.Up != nil && !*c.Up, "down")
	add(c.ReplacePeers, "replace peers")
	for _, p := range c.Peers {
		verb := "set"
		if p.Remove {
			verb = "remove"
		}
		s = append(s, fmt.Sprintf("%s peer %x…", verb, p.PublicKey[:4]))
		add(p.Endpoint != nil, "endpoint %v", p.Endpoint)
		add(p.PresharedKey != nil, "preshared key")
		if p.Keepalive != nil {
			add(true, "keepalive %d s", *p.Keepalive)
		}
		add(len(p.AllowedIPs) > 0, "allowed IPs %v", p.AllowedIPs)
	}
	return strings.Join(s, ", ")
}
