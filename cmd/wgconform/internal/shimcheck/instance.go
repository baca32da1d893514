package shimcheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

const (
	port   = uint16(51820)
	second = timers.Time(time.Second)
	moment = 50 * timers.Time(time.Millisecond)
)

var (
	local4 = netip.MustParsePrefix("10.111.0.1/16")
	local6 = netip.MustParsePrefix("fd11:1111::1/64")
	wall   = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// random is the randomness of a name, always the same.
func random(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

// mate is one of the implementation's peers: we are it.
type mate struct {
	peer.Party
	addr  netip.AddrPort
	inner netip.Addr
	clock int // so that timestamps grow
}

// newMate makes one; n tells them apart.
func newMate(n int, v6 bool) *mate {
	m := &mate{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 111, 1, byte(n)}), uint16(20000+n)),
		inner: netip.AddrFrom4([4]byte{10, 9, byte(n), 1})}
	if v6 {
		m.addr = netip.MustParseAddrPort(fmt.Sprintf("[fd11:1111::1:%d]:20000", n))
	}
	m.Random = random(fmt.Sprint("mate ", n))
	m.Static = peer.NewPair(m.Random)
	return m
}

// config is how the implementation is told of it.
func (m *mate) config(keepalive uint16) proto.PeerChange {
	return proto.PeerChange{PublicKey: m.Static.Public, Endpoint: &m.addr, Keepalive: &keepalive, ReplaceAllowedIPs: true,
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(m.inner, 24).Masked()}}
}

// instance is an open instance.
type instance struct {
	b    *bench
	name string
	now  timers.Time
	key  peer.Pair // the implementation's
	seen []proto.Output
}

// opening is the request for an instance with a private key of its own and peers.
func opening(name string, seed proto.Seed, peers ...proto.PeerChange) (*proto.Request, peer.Pair) {
	pair := peer.NewPair(random("instance " + name))
	mtu, up, listen, private := 1420, true, port, proto.Key(pair.Private)
	return &proto.Request{Op: proto.OpOpen, Instance: name, Seed: &seed, Wall: proto.WallOf(wall), Local4: local4,
		Local6: local6, Config: &proto.Change{PrivateKey: &private, ListenPort: &listen, MTU: &mtu, Up: &up,
			Peers: peers}}, pair
}

// open opens an instance.
func (b *bench) open(name string, seed proto.Seed, peers ...proto.PeerChange) *instance {
	r, pair := opening(name, seed, peers...)
	i := &instance{b: b, name: name, key: pair}
	i.see(b.must(r))
	return i
}

// see keeps what a reply says.
func (i *instance) see(r *proto.Reply) *proto.Reply {
	if r.Now != nil {
		i.now = *r.Now
	}
	i.seen = append(i.seen, r.Outputs...)
	return r
}

// ask does something to the instance, whatever comes of it.
func (i *instance) ask(r *proto.Request) *proto.Reply {
	r.Instance = i.name
	return i.see(i.b.ask(r))
}

// must does something that has to work.
func (i *instance) must(r *proto.Request) *proto.Reply {
	r.Instance = i.name
	return i.see(i.b.must(r))
}

// later is a time after now, for requests.
func (i *instance) later(d timers.Time) *timers.Time {
	at := i.now + d
	return &at
}

func (i *instance) host(m *mate) netip.AddrPort {
	if m.addr.Addr().Is6() {
		return netip.AddrPortFrom(local6.Addr(), port)
	}
	return netip.AddrPortFrom(local4.Addr(), port)
}

// datagram is one from a mate.
func (i *instance) datagram(m *mate, bytes []byte) proto.Datagram {
	return proto.Datagram{Local: i.host(m), Remote: m.addr, TOS: new(uint8), Bytes: bytes}
}

// sending is the request that brings datagrams, a moment later.
func (i *instance) sending(d ...proto.Datagram) *proto.Request {
	return &proto.Request{Op: proto.OpDatagrams, At: i.later(moment), Datagrams: d}
}

// initiate makes an initiation.
func (i *instance) initiate(m *mate) *peer.Initiation {
	m.Remote = i.key.Public
	m.clock++
	started, err := m.Initiate(peer.TAI64N(wall.Add(time.Duration(m.clock)*time.Second)), peer.Spec{})
	if err != nil {
		panic(err) // it is ours
	}
	return started
}

// to are the datagrams for a mate among outputs, of a kind.
func to(m *mate, kind peer.Kind, outputs []proto.Output) (found []proto.Output) {
	for _, o := range outputs {
		if o.Datagram != nil && o.Datagram.Remote == m.addr && peer.KindOf(o.Datagram.Bytes) == kind {
			found = append(found, o)
		}
	}
	return found
}

// handshake makes a session, and confirms it.
func (i *instance) handshake(m *mate) *peer.Session {
	started := i.initiate(m)
	reply := i.must(i.sending(i.datagram(m, started.Bytes)))
	responses := to(m, peer.KindResponse, reply.Outputs)
	if len(responses) != 1 {
		i.b.fail("a right initiation has %d responses in the same reply, of %s", len(responses), describe(reply.Outputs))
	}
	s, err := started.Complete(responses[0].Datagram.Bytes)
	if err != nil {
		i.b.fail("the response to a right initiation cannot be read: %v", err)
	}
	i.must(i.sending(i.datagram(m, s.Seal(nil))))
	return s
}

// describe lists outputs.
func describe(outputs []proto.Output) string {
	s := fmt.Sprintf("%d outputs", len(outputs))
	for k, o := range outputs {
		switch {
		case k == 4:
			return s + ", ..."
		case o.Datagram != nil:
			s += fmt.Sprintf(", %v to %v at %d", peer.KindOf(o.Datagram.Bytes), o.Datagram.Remote, o.At)
		case o.Packet != nil:
			s += fmt.Sprintf(", an inner packet of %d bytes at %d", len(*o.Packet), o.At)
		case o.Died != "":
			s += ", its death: " + o.Died
		}
	}
	return s
}

// inbound is an inner packet from a mate, outbound one for it.
func inbound(m *mate) []byte { return udp(m.inner, netip.AddrFrom4([4]byte{198, 18, 0, 1})) }

func outbound(m *mate) []byte { return udp(netip.AddrFrom4([4]byte{198, 18, 0, 1}), m.inner) }

func udp(src, dst netip.Addr) []byte {
	return conformance.UDP(netip.AddrPortFrom(src, 1000), netip.AddrPortFrom(dst, 2000), []byte("a check of the shim"))
}

func hexKey(k peer.Key) string { return hex.EncodeToString(k[:]) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
