package fuzz

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/flynn/noise"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// scene is a live pair: node 0 has a session with node 1 that it initiated, and node 1 one with node 0; there is an
// unanswered initiation of node 0 to node 2, and datagrams of every kind have been recorded.
func scene(t *testing.T, loaded bool) *world {
	w := newWorld(t, "", maxNodes, 1)
	w.latency = time.Millisecond
	for range 2 {
		w.exchange()
	}
	w.nodes[2].do(w.nodes[2].d.Down)
	w.nodes[0].setPeer(2, 2) // a new peer, who does not answer
	w.nodes[0].packet(0, 2)
	w.pass(time.Second, false)
	if loaded {
		w.flood(w.nodes[0])
	}
	return w
}

// flood puts a node under load by initiations that are none, but for mac1. The work that they ask for is not done.
func (w *world) flood(n *node) {
	junk := resign(0, make([]byte, 148), 1)
	for range 1100 { // a second's worth and some more
		n.batch.Reset()
		buf := bytes.Clone(junk)
		n.d.HandleDatagrams(n.now, []protocol.Datagram{{Packet: protocol.Packet{Buf: buf, Len: len(buf)},
			Endpoint: protocol.Endpoint{Remote: stranger}}}, &n.batch)
		n.d.HandleShaken(n.now, n.batch.Handshakes, &n.batch)
	}
	if !n.d.UnderLoad(n.now) {
		w.Fatalf("1100 initiations in a second are no load")
	}
}

// resign gives msg the type and a mac1 as everybody can make it who knows the node's public key.
func resign(node int, msg []byte, typ byte) []byte {
	msg = bytes.Clone(msg)
	copy(msg, []byte{typ, 0, 0, 0})
	public := keyOf(node, 1).PublicKey()
	key := blake2s.Sum256(append([]byte("mac1----"), public[:]...))
	h, _ := blake2s.New128(key[:])
	h.Write(msg[:len(msg)-32])
	copy(msg[len(msg)-32:], h.Sum(nil))
	return msg
}

// FuzzHandleDatagrams gives a live device bytes: as they are, and as edits of recorded messages, with mac1 put right or
// not. Whatever it is, it is counted, answers nobody who is not a peer, but by a cookie under load, and leaves the
// session in order; the checks of world hold. The first byte chooses: load, message, whether mac1 is put right.
func FuzzHandleDatagrams(f *testing.F) {
	for kind := range byte(8) {
		f.Add(kind|0x40, uint16(0), []byte{})
		f.Add(kind|0xc0, uint16(50), []byte{9})
		f.Add(kind, uint16(0), []byte{})
		f.Add(kind, uint16(70), []byte{1, 2, 3})
		f.Add(kind|0x80, uint16(130), bytes.Repeat([]byte{0xff}, 20))
	}
	f.Add(byte(0x07), uint16(0), []byte{4, 0, 0, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, choice byte, at uint16, edit []byte) {
		w := scene(t, choice&0x40 != 0)
		n := w.nodes[0]
		msg := edit
		if kind := int(choice & 7); kind < 7 && len(w.past) > 0 {
			msg = bytes.Clone(w.past[len(w.past)-1-kind*len(w.past)/8].msg)
			for i, b := range edit {
				if int(at)+i < len(msg) {
					msg[int(at)+i] ^= b
				}
			}
		}
		if choice&0x80 != 0 && (len(msg) == 148 || len(msg) == 92) {
			msg = resign(0, msg, map[int]byte{148: 1, 92: 2}[len(msg)])
		}
		if len(msg) == 0 {
			msg = []byte{0}
		}
		before, sent := n.d.Drops(), len(w.wire)
		if choice&0x40 != 0 { // under load a cookie may go to whoever asked
			n.batch.Reset()
			buf := bytes.Clone(msg)
			n.d.HandleDatagrams(n.now, []protocol.Datagram{{Packet: protocol.Packet{Buf: buf, Len: len(buf)},
				Endpoint: protocol.Endpoint{Remote: stranger}}}, &n.batch)
			protocol.Finish(n.now, n.d, &n.batch, &n.worker)
			for dg := range n.batch.Outgoing() {
				cookie := n.d.Drops()[protocol.DropNoCookie] > before[protocol.DropNoCookie]
				if dg.Endpoint.Remote == stranger && (dg.Bytes()[0] != 3 || !cookie) {
					t.Fatalf("a message of type %d to a stranger", dg.Bytes()[0])
				}
			}
		} else {
			n.receive(addrOf(1, 9), msg, false)
			w.answersOnly(t, w.wire[sent:], 1, 9)
		}
		w.stillWorks(t)
	})
}

// answersOnly demands that a datagram that went to a new place of a node came of an authentic message from there.
func (w *world) answersOnly(t *testing.T, sent []*flight, node, place int) {
	for _, f := range sent {
		s, _ := w.nodes[0].d.Stats(1)
		if f.to == addrOf(node, place) && s.Endpoint.Remote != f.to {
			t.Fatalf("a message of type %d went to where no authentic one came from", f.msg[0])
		}
	}
}

// stillWorks demands that node 0 and node 1 go on, by a new handshake at the latest.
func (w *world) stillWorks(t *testing.T) {
	w.wire = nil
	for _, n := range w.nodes[:2] {
		n.d.SetWallClock(n.now, n.wallClock().Add(time.Hour))
	}
	start := len(w.inner)
	for range 40 {
		w.nodes[0].packet(0, 1)
		w.nodes[1].packet(1, 0)
		w.pass(time.Second, true)
	}
	for i, p := range w.inner[start:] {
		if i >= 76 && !p.delivered { // the last two of each
			t.Fatalf("40 s later packet %d from node %d is lost", i, p.from)
		}
	}
}

// FuzzHandlePackets gives the device packets from the tunnel: they are sealed, wait, are rejected or dropped, one of
// these, and what is sealed is sent to the peer whose address is in it.
func FuzzHandlePackets(f *testing.F) {
	v4 := protocoltest.UDP(netip.AddrPortFrom(innerOf(0), 1), netip.AddrPortFrom(innerOf(1), 2), []byte("four"))
	v6 := protocoltest.UDP(netip.MustParseAddrPort("[fd00::1]:1"), netip.MustParseAddrPort("[fd00::2]:2"), []byte("six"))
	for _, b := range [][]byte{v4, v6, v4[:20], v4[:19], v6[:39], {}, {0x45}, make([]byte, 1500)} {
		f.Add(b, uint16(1420), byte(0))
		f.Add(b, uint16(0), byte(0xfe))
	}
	f.Fuzz(func(t *testing.T, packet []byte, mtu uint16, tos byte) {
		w := scene(t, false)
		n := w.nodes[0]
		if len(packet) > 65000 {
			return
		}
		n.configure(protocol.Change{Op: protocol.OpMTU, MTU: int(mtu)})
		if len(packet) >= 20 && packet[0]>>4 == 4 {
			packet[1] = tos
			copy(packet[16:20], innerOf(int(tos)%4).AsSlice())
		}
		drops := n.drops()
		waits := func() (sum int) {
			for s := range n.d.Peers() {
				sum += s.Staged
			}
			return sum
		}
		waited := waits()
		n.batch.Reset()
		n.d.HandlePackets(n.now, []protocol.Packet{protocoltest.Window(packet)}, &n.batch)
		sealed, rejected := len(n.batch.Seal), len(n.batch.Rejects)
		protocol.Finish(n.now, n.d, &n.batch, &n.worker)
		if got := sealed + int(n.drops()-drops) + waits() - waited; got != 1 {
			t.Fatalf("one packet: %d sealed, %d dropped, %d wait", sealed, n.drops()-drops, waits()-waited)
		}
		if rejected > int(n.drops()-drops) {
			t.Fatalf("a reject that is not counted")
		}
		for dg := range n.batch.Outgoing() {
			room := dg.Len - 32 - len(packet)
			if dg.Bytes()[0] == 4 && (room < 0 || room > 15 || dg.TOS > 2 || dg.Endpoint.Remote != w.nodes[1].addr) {
				t.Fatalf("a packet of %d bytes became a message of %d with TOS %#x to %v", len(packet), dg.Len, dg.TOS,
					dg.Endpoint.Remote)
			}
		}
	})
}

// FuzzAuthenticInner gives the device any plaintext under a valid session, made by flynn/noise: what is delivered is a
// whole IP packet from an address of the peer's, exactly as long as it says, and nothing breaks (SEC-08, INNER-*).
func FuzzAuthenticInner(f *testing.F) {
	v4 := protocoltest.UDP(netip.AddrPortFrom(innerOf(1), 1), netip.AddrPortFrom(innerOf(0), 2), []byte("four"))
	v6 := protocoltest.UDP(netip.MustParseAddrPort("[fd00::1]:1"), netip.MustParseAddrPort("[fd00::2]:2"), []byte("six"))
	for _, b := range [][]byte{v4, v6, v4[:20], append(v4, 1, 2, 3), make([]byte, 16), {}, {0x4f}, {0x60, 5: 255}} {
		f.Add(b, byte(0))
		f.Add(b, byte(3))
	}
	f.Fuzz(func(t *testing.T, plain []byte, tos byte) {
		if len(plain) > 65000 {
			return
		}
		d, seal := insider(t)
		before, sum := d.Drops(), uint64(0)
		msg := seal(plain)
		var b protocol.Batch
		var worker protocol.Worker
		d.HandleDatagrams(1, []protocol.Datagram{{Packet: protocol.Packet{Buf: msg, Len: len(msg)}, TOS: tos,
			Endpoint: protocol.Endpoint{Remote: addrOf(1, 0)}}}, &b)
		protocol.Finish(1, d, &b, &worker)
		for i, n := range d.Drops() {
			sum += n - before[i]
		}
		if want := min(1, len(plain)); len(b.Deliveries)+int(sum) != want {
			t.Fatalf("%d delivered, %d dropped of %d", len(b.Deliveries), sum, want)
		}
		if bytes.Equal(plain, v4) && len(b.Deliveries) != 1 {
			t.Fatal("a right packet is not delivered")
		}
		for _, v := range b.Deliveries {
			p := v.Bytes()
			if len(p) > len(plain) || p[0]>>4 != 4 || int(binary.BigEndian.Uint16(p[2:])) != len(p) ||
				netip.AddrFrom4([4]byte(p[12:16])) != innerOf(1) {
				t.Fatalf("delivered %x of %x", p, plain)
			}
			for i := range p { // an outer CE may be copied inside, with the checksum that goes with it
				if p[i] != plain[i] && (tos&3 != 3 || i != 1 && i != 10 && i != 11) {
					t.Fatalf("byte %d is %#x, was %#x", i, p[i], plain[i])
				}
			}
		}
	})
}

// insider makes a device with a confirmed session and gives a function that seals for it.
func insider(t *testing.T) (d *protocol.Device, seal func(plain []byte) []byte) {
	us, them := keyOf(0, 1), keyOf(1, 1)
	d, err := protocol.New(protocol.Config{Identity: us, Entropy: protocoltest.NewEntropy(1, "insider"), MTU: 1420})
	if err != nil {
		t.Fatal(err)
	}
	var b protocol.Batch
	var worker protocol.Worker
	d.Up(0, &b)
	if err = d.Configure(0, []protocol.Change{{Op: protocol.OpAddPeer, Peer: them.PublicKey(),
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(innerOf(1), 32)}}}, &b); err != nil {
		t.Fatal(err)
	}
	private, public, remote := them.PrivateKey(), them.PublicKey(), us.PublicKey()
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Random:      protocoltest.NewEntropy(2, "insider"), Pattern: noise.HandshakeIK, Initiator: true,
		Prologue: []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"), PresharedKeyPlacement: 2,
		StaticKeypair: noise.DHKey{Private: private[:], Public: public[:]}, PeerStatic: remote[:]})
	if err != nil {
		t.Fatal(err)
	}
	_ = hs.SetPresharedKey(make([]byte, 32)) // 32 bytes are never refused
	stamp := [12]byte{11: 1}
	msg, _, _, err := hs.WriteMessage(make([]byte, 8), stamp[:])
	if err != nil {
		t.Fatal(err)
	}
	from := protocol.Endpoint{Remote: addrOf(1, 0)}
	msg = resign(0, append(msg, make([]byte, 32)...), 1)
	d.HandleDatagrams(0, []protocol.Datagram{{Packet: protocol.Packet{Buf: msg, Len: len(msg)}, Endpoint: from}}, &b)
	protocol.Finish(0, d, &b, &worker)
	if len(b.Datagrams) != 1 {
		t.Fatal("the initiation is not answered")
	}
	response := b.Datagrams[0].Bytes()
	index := bytes.Clone(response[4:8])
	_, send, _, err := hs.ReadMessage(nil, response[12:60])
	if err != nil {
		t.Fatal(err)
	}
	key := send.UnsafeKey()
	aead, _ := chacha20poly1305.New(key[:])
	return d, func(plain []byte) []byte {
		header := append([]byte{4, 0, 0, 0}, index...)
		return aead.Seal(append(header, make([]byte, 8)...), make([]byte, 12), plain, nil)
	}
}
