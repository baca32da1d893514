package conformance

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// PeerOptions are what is special about a test's peer. The zero value is an ordinary one.
type PeerOptions struct {
	Name       string // in the trace; "a", "b" … if empty
	V6         bool   // on outer IPv6, besides where Case.V6 says so
	PSK        Key
	Keepalive  uint16 // persistent keepalive that the subject is told to keep, in seconds
	NoEndpoint bool   // the subject is not told where it is
	Stranger   bool   // the subject is not told of it at all
	Static     *peer.Pair
	// AllowedIPs at the subject, besides the peer's own addresses.
	AllowedIPs []netip.Prefix
	NoAllowed  bool // not even those
}

// Peer is one of the test's peers: a key, a UDP address and inner addresses of its own, and what it remembers.
type Peer struct {
	Name    string
	Party   peer.Party     // keys; change PSK here and at the subject separately
	Addr    netip.AddrPort // where it is; set it to one of NewAddr to move
	Inner4  netip.Addr
	Inner6  netip.Addr
	Allowed []netip.Prefix // as configured at first

	t         *T
	v6        bool
	answers   bool
	sent      map[uint32][]byte // handshake messages by their sender index
	pending   map[uint32]*peer.Initiation
	responses map[uint32]*Session // by our index
	sessions  []*Session
	stamp     peer.Timestamp
	began     timers.Time
	shaken    bool
	drawn     []Key          // private ephemeral keys, in order
	lent      *lent          // of a given target; nil: the case made it
	owed      []byte         // by a given target: what waits for a session
	cookie    bool           // it made a cookie reply
	paid      *Session       // the one on which it was asked for
	from      netip.AddrPort // of the latest transport message
}

// Session is a key pair that a test's peer shares with the subject.
type Session struct {
	*peer.Session
	Peer *Peer
	// Made is when the subject derived its keys: it put out the response, or the response arrived at it.
	Made Stamp

	next uint64 // lowest counter of the subject that was not seen
	seen map[uint64]bool
}

// Peer makes an ordinary peer of the subject.
func (t *T) Peer() *Peer { return t.NewPeer(PeerOptions{}) }

// NewPeer makes a peer and, unless it is a Stranger, tells the subject of it.
func (t *T) NewPeer(o PeerOptions) *Peer { return t.peer(o) }

func (t *T) peer(o PeerOptions) *Peer {
	n := t.world.allot(1)
	p := &Peer{t: t, Name: o.Name, v6: o.V6 || t.Case.V6, sent: map[uint32][]byte{},
		pending: map[uint32]*peer.Initiation{}, responses: map[uint32]*Session{}}
	if p.Name == "" {
		p.Name = string(rune('a' + len(t.peers)))
	}
	static := peer.NewPair(t.Random)
	if o.Static != nil {
		static = *o.Static
	}
	p.Party = peer.Party{Static: static, Remote: t.Key, PSK: o.PSK, Random: t.Random}
	p.Inner4, p.Inner6 = inner4(n), inner6(n)
	if t.Caps.Given != nil && !o.Stranger {
		t.given(p, o)
	}
	t.peers = append(t.peers, p)
	p.Addr = p.NewAddr()
	if p.lent != nil {
		return p
	}
	if !o.NoAllowed {
		p.Allowed = []netip.Prefix{netip.PrefixFrom(p.Inner4, 29).Masked(), netip.PrefixFrom(p.Inner6, 112).Masked()}
		for _, prefix := range p.Allowed {
			t.world.claimInner(t, prefix)
		}
	}
	p.Allowed = append(p.Allowed, o.AllowedIPs...)
	if !o.Stranger {
		c := PeerChange{Keepalive: &o.Keepalive, ReplaceAllowedIPs: true, AllowedIPs: p.Allowed}
		if o.PSK != (Key{}) {
			c.PresharedKey = &o.PSK
		}
		if !o.NoEndpoint {
			c.Endpoint = &p.Addr
		}
		p.Configure(c)
	}
	return p
}

// Every peer has eight inner IPv4 addresses and 65536 of IPv6, from ranges that nobody's host uses.
func inner4(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 100<<24|64<<16+uint32(n)<<3&0x3ffff8|1)
	return netip.AddrFrom4(b)
}

func inner6(n int) netip.Addr {
	b := [16]byte{0: 0xfd, 1: 0x64, 15: 1}
	binary.BigEndian.PutUint32(b[10:], uint32(n))
	return netip.AddrFrom16(b)
}

// NewAddr gives another UDP address of the peer's family: on another IP address, if the tester has several.
func (p *Peer) NewAddr() netip.AddrPort { return p.newAddr(p.v6) }

// NewAddr4 and NewAddr6 are NewAddr for one family.
func (p *Peer) NewAddr4() netip.AddrPort { return p.newAddr(false) }

// NewAddr6 gives another outer IPv6 address.
func (p *Peer) NewAddr6() netip.AddrPort { return p.newAddr(true) }

// NewPort gives another port of the peer's present IP address.
func (p *Peer) NewPort() netip.AddrPort {
	if a := p.t.open(p.Addr.Addr().Is6()); a.IsValid() {
		return p.claim(a)
	}
	return p.claim(netip.AddrPortFrom(p.Addr.Addr(), uint16(20000+p.t.world.allot(1)%40000)))
}

func (p *Peer) newAddr(v6 bool) netip.AddrPort {
	t, n := p.t, p.t.world.allot(1)
	if v6 != t.Case.V6 && t.Case.Isolation == Shared {
		t.Broken("a shared case uses both address families: give it an instance of its own")
	}
	local := t.Setup.Local4
	if v6 {
		local = t.Setup.Local6
	}
	if t.Caps.Has&NeedSources == 0 {
		n = 0
	}
	if a := t.open(v6); a.IsValid() {
		return p.claim(a)
	}
	return p.claim(netip.AddrPortFrom(outer(local, n), uint16(20000+t.world.allot(1)%40000)))
}

// open opens a socket if the subject wants that for each address; otherwise the address is invalid.
func (t *T) open(v6 bool) (a netip.AddrPort) {
	var err error
	t.world.do(func(s Subject) {
		if o, ok := s.(TesterSubject); ok {
			a, err = o.Open(v6)
		}
	})
	if err != nil {
		t.Broken("%v", err)
	}
	return a
}

func (p *Peer) claim(a netip.AddrPort) netip.AddrPort {
	p.t.world.claim(p.t, a)
	p.t.owner[a] = p
	return a
}

// firstTester is the first host number of the tester's; below are those of the subject's host.
const firstTester = 256

// outer gives the tester's nth address beside the subject's host: those from 256 on, so that small ones are free.
func outer(local netip.Prefix, n int) netip.Addr {
	b := local.Masked().Addr().AsSlice()
	n += firstTester
	for i := len(b) - 1; n > 0; i-- {
		n += int(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// hostFor is where the subject is, in the family of an address.
func (t *T) hostFor(a netip.Addr) netip.AddrPort {
	if outer := t.Caps.Given.outer(a.Is6()); outer.IsValid() {
		return outer
	}
	local := t.Setup.Local4.Addr()
	if a.Is6() {
		local = t.Setup.Local6.Addr()
	}
	return netip.AddrPortFrom(local, *t.Setup.Config.ListenPort)
}

// Configure tells the subject something about the peer. PublicKey is filled in.
func (p *Peer) Configure(c PeerChange) Stamp {
	c.PublicKey = p.Party.Static.Public
	return p.t.Configure(Change{Peers: []PeerChange{c}})
}

// State is what the subject says of the peer; ok is false if it does not know it.
func (p *Peer) State() (st PeerState, ok bool) {
	for _, s := range p.t.State().Peers {
		if s.PublicKey == p.Party.Static.Public {
			return s, true
		}
	}
	return PeerState{}, false
}

// Answer makes the peer answer every initiation of the subject that it can read, at once, while time passes.
func (p *Peer) Answer(yes bool) { p.answers = yes }

// Session is the newest session; nil: none yet.
func (p *Peer) Session() *Session {
	if len(p.sessions) == 0 {
		return nil
	}
	return p.sessions[len(p.sessions)-1]
}

// Sessions are all of them, oldest first.
func (p *Peer) Sessions() []*Session { return p.sessions }

// Send sends a datagram from where the peer is.
func (p *Peer) Send(b []byte) Stamp { return p.SendFrom(p.Addr, b) }

// SendFrom sends it from another of the peer's addresses (NewAddr, NewPort).
func (p *Peer) SendFrom(from netip.AddrPort, b []byte) Stamp { return p.SendTOS(from, b, 0) }

// SendTOS also says the TOS byte of the outer header.
func (p *Peer) SendTOS(from netip.AddrPort, b []byte, tos byte) Stamp {
	return p.SendTo(p.t.hostFor(from.Addr()), from, b, tos)
}

// SendTo also says to which of the host's addresses and ports.
func (p *Peer) SendTo(local, from netip.AddrPort, b []byte, tos byte) Stamp {
	if peer.KindOf(b) == peer.KindInitiation {
		p.t.turn()
	}
	return p.t.Input(p.datagram(local, from, b, tos))
}

// Datagram is what Send sends, for who sends several at once (T.Input).
func (p *Peer) Datagram(b []byte) Datagram {
	return p.datagram(p.t.hostFor(p.Addr.Addr()), p.Addr, b, 0)
}

// datagram remembers a handshake message, to know what an answer is about.
func (p *Peer) datagram(local, from netip.AddrPort, b []byte, tos byte) Datagram {
	if k := peer.KindOf(b); k == peer.KindInitiation || k == peer.KindResponse {
		p.sent[peer.Sender(b)] = b
	}
	if peer.KindOf(b) == peer.KindTransport {
		p.from = from
	}
	return Datagram{Local: local, Remote: from, TOS: tos, Bytes: b}
}

// Timestamp gives the present time as TAI64N, greater than every one before.
func (p *Peer) Timestamp() peer.Timestamp {
	s := peer.TAI64N(p.t.Setup.Wall.Add(time.Duration(p.t.Now())))
	for string(s[:]) <= string(p.stamp[:]) {
		s = p.stamp
		binary.BigEndian.PutUint32(s[8:], binary.BigEndian.Uint32(s[8:])+1)
		if binary.BigEndian.Uint32(s[8:]) == 0 { // after a forged one of all ones
			binary.BigEndian.PutUint64(s[:], binary.BigEndian.Uint64(s[:])+1)
		}
	}
	p.stamp = s
	return s
}

// Initiate makes an initiation, right or as the Spec says, and remembers it; it is not sent.
func (p *Peer) Initiate(s peer.Spec) *peer.Initiation {
	now := peer.Timestamp{}
	if s.Timestamp == nil {
		now = p.Timestamp()
	} else {
		p.spoils(*s.Timestamp)
	}
	if len(s.Payload) == len(now) {
		p.spoils(peer.Timestamp(s.Payload))
	}
	i, err := p.Party.Initiate(now, s)
	if err != nil {
		p.t.Broken("%v", err)
	}
	p.pending[i.Index] = i
	p.drawn = append(p.drawn, i.Ephemeral.Private)
	return i
}

// Respond makes a response to an initiation of the subject and remembers it; it is not sent. The session is good as
// soon as the subject accepts it: see Session.Made.
func (p *Peer) Respond(g *Got, s peer.Spec) (*peer.Response, *Session) {
	if g.Initiation == nil {
		p.t.FailAt(g, "an initiation that "+p.Name+" can read", g.String())
	}
	r, err := p.Party.Respond(g.Initiation, s)
	if err != nil {
		p.t.Broken("%v", err)
	}
	p.drawn = append(p.drawn, r.Ephemeral.Private)
	session := &Session{Session: r.Session, Peer: p}
	p.responses[r.Index] = session
	p.sessions = append(p.sessions, session)
	return r, session
}

// Reply answers an initiation of the subject rightly: Respond and Send.
func (p *Peer) Reply(g *Got) *Session {
	r, s := p.Respond(g, peer.Spec{})
	s.Made = p.SendFrom(g.Remote, r.Bytes)
	return s
}

// Remac makes the macs of a handshake message for the subject right for its bytes as they are, in place.
func (p *Peer) Remac(b []byte) []byte { return peer.Remac(b, p.t.Key, nil) }

// Begin initiates and gives the session that the subject's response makes; it is not confirmed. It is a premise: if
// the subject does not answer, the case's own question cannot be asked.
func (p *Peer) Begin() (s *Session) {
	p.t.Premise(func() {
		// The flood rule (HS-28) forgives nothing under 20 ms, and a coarse clock adds to that.
		if wait := 20*time.Millisecond + p.t.Slack() - p.t.Now().Sub(p.began); p.shaken && wait > 0 {
			p.t.Wait(wait)
		}
		p.shaken, p.began = true, p.t.Now()
		i := p.Initiate(peer.Spec{})
		p.Send(i.Bytes)
		s = p.Expect(Response.That("response to our initiation", func(g *Got) bool {
			return g.Answers == i && g.Session != nil
		}), p.t.Soon()).Session
	})
	return s
}

// Connect initiates, completes and confirms with a keepalive: afterwards both ends may send.
func (p *Peer) Connect() *Session {
	s := p.Begin()
	s.Keepalive()
	return s
}

// Accept makes the subject initiate by a packet for the peer, answers, and takes the packet. Afterwards both ends may
// send. It is a premise. The subject must not have sent a handshake message to the peer in the last 5 s.
func (p *Peer) Accept() (s *Session) {
	p.t.Premise(func() {
		packet := p.Outbound()
		p.t.Inject(packet)
		s = p.Reply(p.Expect(Initiation, p.t.Soon()))
		p.Expect(Data.On(s).Carrying(packet), p.t.Soon())
		p.t.Take(Keepalive.On(s)) // one that confirmed before the packet could is a question of HS-15
	})
	return s
}

// Handshake makes a session in which the subject has the role that the case asks for (bothRoles).
func (p *Peer) Handshake() *Session {
	if p.t.Case.Role == Initiator {
		return p.Accept()
	}
	return p.Connect()
}

// Inbound makes an IPv4 packet from the peer's inner address to the subject's host, with a text that no other has.
func (p *Peer) Inbound() []byte { return p.Packet(p.Inner4, p.t.Host4) }

// Inbound6 is Inbound over IPv6.
func (p *Peer) Inbound6() []byte { return p.Packet(p.Inner6, p.t.Host6) }

// Outbound makes an IPv4 packet from the subject's host to the peer, for T.Inject.
func (p *Peer) Outbound() []byte { return p.Packet(p.t.Host4, p.Inner4) }

// Outbound6 is Outbound over IPv6.
func (p *Peer) Outbound6() []byte { return p.Packet(p.t.Host6, p.Inner6) }

// Mute is Inbound for a packet that is not to be answered: the host sends nothing because of it. It is delivered, but
// that does not show on every target.
func (p *Peer) Mute() []byte { return p.t.mute(p.Inner4, p.t.Host4) }

// Mute6 is Mute over IPv6.
func (p *Peer) Mute6() []byte { return p.t.mute(p.Inner6, p.t.Host6) }

// Packet makes a UDP packet between two inner addresses, with a text that no other has.
func (p *Peer) Packet(src, dst netip.Addr) []byte { return p.t.packet(src, dst, packetLength(src)) }

// Expect is T.Expect for datagrams to the peer.
func (p *Peer) Expect(m Match, w Window) *Got { return p.t.Expect(m.To(p), w) }

// Silence is T.Silence for datagrams to the peer.
func (p *Peer) Silence(m Match, d time.Duration) { p.t.Silence(m.To(p), d) }

// SilenceStill is T.SilenceStill for datagrams to the peer.
func (p *Peer) SilenceStill(m Match, d time.Duration) { p.t.SilenceStill(m.To(p), d) }

// Send seals an inner packet with padding and sends it.
func (s *Session) Send(packet []byte) Stamp { return s.Peer.Send(s.Seal(pad(packet))) }

// Keepalive sends an empty transport message.
func (s *Session) Keepalive() Stamp { return s.Peer.Send(s.Seal(nil)) }

// Deliver sends a packet and expects it on the subject's inner side: the session receives.
func (s *Session) Deliver(packet []byte) *Got {
	s.Send(packet)
	return s.Peer.t.Expect(Delivery.Carrying(packet), s.Peer.t.Soon())
}

// Fetch injects a packet for the peer and expects it on this session: the session sends.
func (s *Session) Fetch(packet []byte) *Got {
	s.Peer.t.Inject(packet)
	return s.Peer.Expect(Data.On(s).Carrying(packet), s.Peer.t.Soon())
}

// Nonce draws 24 bytes for a cookie reply.
func (t *T) Nonce() (n [24]byte) {
	if _, err := io.ReadFull(t.Random, n[:]); err != nil {
		t.Broken("no randomness: %v", err)
	}
	return n
}

// CookieReply makes the peer's cookie reply to a handshake message of the subject; it is not sent.
func (p *Peer) CookieReply(g *Got, cookie []byte) []byte {
	p.cookie = true
	return peer.CookieReply(p.Party.Static.Public, g.Sender(), peer.MAC1(g.Bytes), p.t.Nonce(), cookie)
}

// String names the peer and where it is.
func (p *Peer) String() string { return fmt.Sprintf("%s at %v", p.Name, p.Addr) }
