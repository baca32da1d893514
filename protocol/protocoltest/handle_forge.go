package protocoltest

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/purewire/purewire/protocol"
)

// attacker is where forged datagrams come from unless the script says otherwise.
var attacker = netip.MustParseAddrPort("203.0.113.66:6666")

// forgery is what an attacker wants to send.
type forgery struct {
	to             *Node
	typ, size      int
	index, counter uint64
	hasIndex       bool
	mac1           bool
	reserved       int
	zeroEphemeral  bool
	as             string
}

func (e *Env) forge(c *command) error {
	f := forgery{to: c.node(), counter: uint64(c.number("counter", 0))}
	f.typ, f.size = c.messageType(c.word("a type"))
	f.size = c.number("size", f.size)
	f.mac1, f.reserved, f.as = c.flag("mac1", false), c.number("reserved", 0), c.str("as", "")
	switch v := c.str("ephemeral", "random"); v {
	case "zero":
		f.zeroEphemeral = true
	case "random":
	default:
		c.fail("ephemeral=%s: zero or random", v)
	}
	if v, ok := c.look("index"); ok {
		i, named := e.index(v)
		raw, err := strconv.ParseUint(v, 16, 32)
		if !named && err != nil {
			c.fail("index=%s is neither the name of an index nor hexadecimal", v)
		}
		f.index, f.hasIndex = raw, true
		if named {
			f.index = uint64(i)
		}
	}
	count, from := c.number("count", 1), c.addrPort("from", attacker)
	if f.as != "" && f.as != "stranger" {
		c.named(f.as)
	}
	if f.as != "" && f.typ != typeInitiation {
		c.fail("only an initiation says who makes it")
	}
	if err := c.done(); err != nil {
		return err
	}
	for range count {
		d := e.add(&datagram{from: from, to: f.to.Addr, tos: handshakeTOS, bytes: e.forgedBytes(&f)})
		e.log.add(nil, showWire, "", "an attacker sends #%d to %s: forged %s, %d bytes", d.n, f.to.Name, d.what(e),
			len(d.bytes))
		e.receive(nil, d)
	}
	return nil
}

func (c *command) messageType(name string) (typ, size int) {
	switch name {
	case "initiation":
		return typeInitiation, sizeInitiation
	case "response":
		return typeResponse, sizeResponse
	case "cookie":
		return typeCookie, sizeCookie
	case "transport":
		return typeTransport, 80
	}
	typ, err := strconv.Atoi(name)
	if err != nil || typ < 0 || typ > 255 {
		c.fail("%q is no type of a message", name)
	}
	return typ, sizeInitiation
}

// forgedBytes makes the message. Its bytes are random where nothing is asked for, out of a stream of the attacker's
// own, so that no device's randomness depends on it.
func (e *Env) forgedBytes(f *forgery) []byte {
	if f.as != "" {
		return e.impersonate(f)
	}
	b := make([]byte, f.size)
	_, _ = NewEntropy(uint64(len(e.seen)), "attacker").Read(b) // it cannot fail
	header := [4]byte{byte(f.typ), byte(f.reserved)}
	copy(b, header[:])
	index := 4 // the receiver index of a cookie reply and a transport message; of a response it is behind the sender's
	if f.typ == typeResponse {
		index = 8
	}
	if f.hasIndex && len(b) >= index+4 {
		binary.LittleEndian.PutUint32(b[index:], uint32(f.index))
	}
	if f.typ == typeTransport && len(b) >= 16 {
		binary.LittleEndian.PutUint64(b[8:], f.counter)
	}
	if handshake := f.typ == typeInitiation || f.typ == typeResponse; handshake && len(b) > 2*macSize {
		if f.zeroEphemeral { // at 8 in an initiation, at 12 in a response (rules §1.2)
			at := 4 + 4*f.typ
			clear(b[at : at+32])
		}
		macs := len(b) - 2*macSize
		clear(b[macs+macSize:])
		if f.mac1 {
			copy(b[macs:], mac1(Identity(f.to.Name, max(1, f.to.key)).PublicKey(), b[:macs]))
		}
	}
	return b
}

// liar claims a public key whose private key it does not have: its Diffie-Hellman is done with another.
type liar struct {
	protocol.Identity
	claim protocol.PublicKey
}

func (l liar) PublicKey() protocol.PublicKey { return l.claim }

// impersonate has a whole initiation made, by a Device of its own: one of a stranger, or one in whose static field
// stands the public key of another while the timestamp is sealed with the wrong secret (HS-05, HS-06).
func (e *Env) impersonate(f *forgery) []byte {
	var id protocol.Identity = Identity("attacker", 1)
	if f.as != "stranger" {
		id = liar{Identity: id, claim: Identity(f.as, max(1, e.Node(f.as).key)).PublicKey()}
	}
	d, err := protocol.New(protocol.Config{
		Identity: id,
		Entropy:  NewEntropy(uint64(len(e.seen)), "impersonator"),
		Start:    e.now,
		Wall:     WallStart.Add(e.now.Sub(0)),
	})
	if err != nil {
		panic(err) // nothing here depends on the script
	}
	var b protocol.Batch
	change := protocol.Change{
		Op:         protocol.OpAddPeer,
		Peer:       Identity(f.to.Name, max(1, f.to.key)).PublicKey(),
		Endpoint:   &f.to.Addr,
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(f.to.Inner4, 32)},
	}
	if err := d.Configure(e.now, []protocol.Change{change}, &b); err != nil {
		panic(err)
	}
	d.Up(e.now, &b)
	d.HandlePackets(e.now, []protocol.Packet{Window(packet(f.to.Inner4, f.to.Inner4, "", 0))}, &b)
	protocol.Finish(e.now, d, &b, new(protocol.Worker))
	for out := range b.Outgoing() {
		return append([]byte(nil), out.Bytes()...)
	}
	panic("protocoltest: the attacker's Device made no initiation")
}
