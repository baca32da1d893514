package protocol_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"github.com/flynn/noise"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// outsider is a peer that shares no code with the Device: handshakes by flynn/noise, the rest straight on x/crypto. It
// does nothing by itself, keeps no rule, and builds any message that it is told to, right or wrong.
type outsider struct {
	*rig
	static         noise.DHKey
	psk            protocol.PresharedKey
	to             protocol.PublicKey // the device's, as far as the outsider knows
	at             protocol.Endpoint  // as the device sees it: Remote is the outsider, Local the device
	inner4, inner6 netip.Addr
	id             protocol.PeerID
	random         io.Reader
	stamp          uint64 // seconds of the next timestamp
	index          uint32 // the next index
	cookie         []byte // for mac2
	mac1           []byte // of the handshake message built last
}

// stranger makes the outsider number n, of whom the device knows nothing.
func (r *rig) stranger(n int) *outsider {
	random := protocoltest.NewEntropy(uint64(n), "outsider")
	key, err := noise.DH25519.GenerateKeypair(random)
	if err != nil {
		r.Fatalf("a key pair: %v", err)
	}
	a := byte(n)
	return &outsider{
		rig: r, static: key, to: r.key.PublicKey(), random: random, stamp: 1 << 62, index: uint32(n) << 16,
		at: protocol.Endpoint{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, a}), uint16(1000+n)),
			Local: here.Addr()},
		inner4: netip.AddrFrom4([4]byte{10, 0, a, 2}), inner6: netip.AddrFrom16([16]byte{0: 0xfd, 3: a, 15: 2}),
	}
}

// add is the change that makes the outsider a peer: at its address, with its networks.
func (o *outsider) add() protocol.Change {
	p4, _ := o.inner4.Prefix(24)
	p6, _ := o.inner6.Prefix(64)
	return protocol.Change{Op: protocol.OpAddPeer, Peer: o.public(), Endpoint: &o.at.Remote,
		AllowedIPs: []netip.Prefix{p4, p6}}
}

// peer makes outsider number n a peer of the device.
func (r *rig) peer(n int, tweaks ...func(*protocol.Change)) *outsider {
	r.Helper()
	o := r.stranger(n)
	c := o.add()
	for _, tweak := range tweaks {
		tweak(&c)
	}
	if c.PresharedKey != nil {
		o.psk = *c.PresharedKey
	}
	r.configure(c)
	o.id, _ = r.d.Peer(o.public())
	return o
}

// change is an update of this peer.
func (o *outsider) change() protocol.Change {
	return protocol.Change{Op: protocol.OpUpdatePeer, Peer: o.public()}
}

func (o *outsider) public() protocol.PublicKey { return protocol.PublicKey(o.static.Public) }

// says sends messages to the device from where the outsider is.
func (o *outsider) says(msgs ...[]byte) {
	o.Helper()
	o.receive(o.at, msgs...)
}

// moved is the outsider's endpoint with another port.
func (o *outsider) moved(by int) protocol.Endpoint {
	e := o.at
	e.Remote = netip.AddrPortFrom(e.Remote.Addr(), e.Remote.Port()+uint16(by))
	return e
}

// ours is a packet from the tunnel to the outsider, theirs one from it; text tells one from another.
func (o *outsider) ours(text string) []byte {
	return protocoltest.UDP(netip.AddrPortFrom(ourInner4, 7), netip.AddrPortFrom(o.inner4, 9), []byte(text))
}

func (o *outsider) theirs(text string) []byte {
	return protocoltest.UDP(netip.AddrPortFrom(o.inner4, 9), netip.AddrPortFrom(ourInner4, 7), []byte(text))
}

// A craft says how an initiation or response differs from an honest one. Zero fields are honest.
type craft struct {
	stamp     *[12]byte
	index     *uint32
	ephemeral *noise.DHKey // its public half goes on the wire as it is
	liar      *noise.DHKey // names our static key, but calculates with this one
	lowOrder  bool         // the ephemeral has low order: Diffie-Hellman with it gives zeros
}

// dh is X25519 with an ephemeral that the craft chooses.
type dh struct {
	noise.DHFunc
	c   craft
	rnd io.Reader
}

func (d *dh) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	if d.c.ephemeral != nil {
		return *d.c.ephemeral, nil
	}
	return d.DHFunc.GenerateKeypair(d.rnd)
}

func (d *dh) DH(private, public []byte) ([]byte, error) {
	if d.c.lowOrder && bytes.Equal(private, d.c.ephemeral.Private) {
		return make([]byte, 32), nil
	}
	return d.DHFunc.DH(private, public)
}

func (o *outsider) noise(initiator bool, c craft) *noise.HandshakeState {
	static := o.static
	if c.liar != nil {
		static.Private = c.liar.Private
	}
	var remote []byte
	if initiator {
		remote = o.to[:]
	}
	suite := noise.NewCipherSuite(&dh{noise.DH25519, c, o.random}, noise.CipherChaChaPoly, noise.HashBLAKE2s)
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Random: o.random, Pattern: noise.HandshakeIK, Initiator: initiator,
		Prologue: []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"), PresharedKeyPlacement: 2,
		StaticKeypair: static, PeerStatic: remote,
	})
	if err == nil {
		err = hs.SetPresharedKey(o.psk[:])
	}
	if err != nil {
		o.Fatalf("flynn/noise: %v", err)
	}
	return hs
}

// tai is a TAI64N timestamp.
func tai(seconds uint64, nanos uint32) (t [12]byte) {
	binary.BigEndian.PutUint64(t[:], seconds)
	binary.BigEndian.PutUint32(t[8:], nanos)
	return t
}

func hash(parts ...[]byte) []byte {
	sum := blake2s.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

func mac(key, msg []byte) []byte {
	h, err := blake2s.New128(key)
	if err != nil {
		panic(err)
	}
	h.Write(msg)
	return h.Sum(nil)
}

// sign gives msg with mac1 behind it, and mac2 if there is a cookie.
func (o *outsider) sign(msg []byte) []byte {
	msg = bytes.Clone(msg)
	o.mac1 = mac(hash([]byte("mac1----"), o.to[:]), msg)
	msg = append(msg, o.mac1...)
	if o.cookie == nil {
		return append(msg, make([]byte, 16)...)
	}
	return append(msg, mac(o.cookie, msg)...)
}

// resign replaces both MACs after the rest was changed.
func (o *outsider) resign(msg []byte) []byte { return o.sign(msg[:len(msg)-32]) }

// shake is an initiation of the outsider's that may be answered.
type shake struct {
	o     *outsider
	hs    *noise.HandshakeState
	local uint32
	msg   []byte
}

// initiation builds a fresh initiation, with a timestamp one second above the one before.
func (o *outsider) initiation() *shake { return o.craft(craft{}) }

func (o *outsider) craft(c craft) *shake {
	o.stamp++
	o.index++
	h := &shake{o: o, hs: o.noise(true, c), local: o.index}
	if c.index != nil {
		h.local = *c.index
	}
	stamp := tai(o.stamp, 0)
	if c.stamp != nil {
		stamp = *c.stamp
	}
	body, _, _, err := h.hs.WriteMessage(nil, stamp[:])
	if err != nil {
		o.Fatalf("flynn/noise writes an initiation: %v", err)
	}
	h.msg = o.sign(append(binary.LittleEndian.AppendUint32([]byte{1, 0, 0, 0}, h.local), body...))
	return h
}

// session is a key pair as the outsider has it.
type session struct {
	*outsider
	send, recv    cipher.AEAD
	local, remote uint32
	next          uint64
}

func newSession(o *outsider, local, remote uint32, send, recv *noise.CipherState) *session {
	k1, k2 := send.UnsafeKey(), recv.UnsafeKey()
	a1, _ := chacha20poly1305.New(k1[:])
	a2, _ := chacha20poly1305.New(k2[:])
	return &session{outsider: o, send: a1, recv: a2, local: local, remote: remote}
}

// consume reads the response to the initiation.
func (h *shake) consume(msg []byte) (*session, error) {
	o := h.o
	if len(msg) != 92 || !bytes.Equal(msg[:4], []byte{2, 0, 0, 0}) {
		return nil, fmt.Errorf("%x is no response", msg)
	}
	if want := mac(hash([]byte("mac1----"), o.static.Public), msg[:60]); !bytes.Equal(want, msg[60:76]) {
		return nil, fmt.Errorf("mac1 of the response is wrong")
	}
	if got := binary.LittleEndian.Uint32(msg[8:]); got != h.local {
		return nil, fmt.Errorf("the response is to %#x, not to %#x", got, h.local)
	}
	_, k1, k2, err := h.hs.ReadMessage(nil, msg[12:60])
	if err != nil {
		return nil, err
	}
	return newSession(o, h.local, binary.LittleEndian.Uint32(msg[4:]), k1, k2), nil
}

// complete is consume for a response that must be good.
func (h *shake) complete(msg []byte) *session {
	h.o.Helper()
	s, err := h.consume(msg)
	if err != nil {
		h.o.Fatalf("the response is not accepted: %v", err)
	}
	return s
}

// invited is an initiation of the device's that the outsider has read.
type invited struct {
	o      *outsider
	hs     *noise.HandshakeState
	msg    []byte
	sender uint32
	stamp  [12]byte
}

// read takes an initiation of the device, which must be honest in every byte.
func (o *outsider) read(msg []byte) *invited {
	o.Helper()
	if len(msg) != 148 || !bytes.Equal(msg[:4], []byte{1, 0, 0, 0}) {
		o.Fatalf("%x is no initiation", msg)
	}
	if want := mac(hash([]byte("mac1----"), o.static.Public), msg[:116]); !bytes.Equal(want, msg[116:132]) {
		o.Fatalf("mac1 of the initiation is wrong")
	}
	i := &invited{o: o, hs: o.noise(false, craft{}), msg: msg, sender: binary.LittleEndian.Uint32(msg[4:])}
	payload, _, _, err := i.hs.ReadMessage(nil, msg[8:116])
	if err != nil || len(payload) != 12 {
		o.Fatalf("flynn/noise refuses the initiation: %v", err)
	}
	if !bytes.Equal(i.hs.PeerStatic(), o.to[:]) {
		o.Fatalf("the initiation names the static key %x, not the device's", i.hs.PeerStatic())
	}
	i.stamp = [12]byte(payload)
	return i
}

// respond answers. It works once for each read.
func (i *invited) respond() ([]byte, *session) { return i.respondAs(0) }

// respondAs answers with a chosen index, 0 for the next one.
func (i *invited) respondAs(index uint32) ([]byte, *session) {
	o := i.o
	if index == 0 {
		o.index++
		index = o.index
	}
	body, k1, k2, err := i.hs.WriteMessage(nil, nil)
	if err != nil {
		o.Fatalf("flynn/noise writes a response: %v", err)
	}
	msg := binary.LittleEndian.AppendUint32([]byte{2, 0, 0, 0}, index)
	msg = append(binary.LittleEndian.AppendUint32(msg, i.sender), body...)
	return o.sign(msg), newSession(o, index, i.sender, k2, k1)
}

// sealAt builds a transport message with any counter and any plaintext, which is not padded.
func (s *session) sealAt(counter uint64, plain []byte) []byte {
	msg := binary.LittleEndian.AppendUint32([]byte{4, 0, 0, 0}, s.remote)
	msg = binary.LittleEndian.AppendUint64(msg, counter)
	return s.send.Seal(msg, nonce(counter), plain, nil)
}

func nonce(counter uint64) []byte { return binary.LittleEndian.AppendUint64(make([]byte, 4), counter) }

// seal builds the next transport message; nil is a keepalive.
func (s *session) seal(plain []byte) []byte {
	s.next++
	return s.sealAt(s.next-1, plain)
}

// data is the next message, with an inner packet of that text from the outsider.
func (s *session) data(text string) []byte { return s.seal(s.theirs(text)) }

// tryOpen decrypts a message of the device.
func (s *session) tryOpen(msg []byte) (counter uint64, plain []byte, err error) {
	if len(msg) < 32 || !bytes.Equal(msg[:4], []byte{4, 0, 0, 0}) || binary.LittleEndian.Uint32(msg[4:]) != s.local {
		return 0, nil, fmt.Errorf("no transport message for session %#x: %x", s.local, msg[:min(len(msg), 16)])
	}
	counter = binary.LittleEndian.Uint64(msg[8:])
	plain, err = s.recv.Open(nil, nonce(counter), msg[16:], nil)
	return counter, plain, err
}

// open is tryOpen for a message that must be good.
func (s *session) open(msg []byte) (counter uint64, plain []byte) {
	s.Helper()
	counter, plain, err := s.tryOpen(msg)
	if err != nil {
		s.Fatalf("the device's message does not decrypt: %v", err)
	}
	return counter, plain
}

// wants demands that the device has sent exactly these inner packets on this session, and a keepalive for each nil.
func (s *session) wants(why string, packets ...[]byte) []sent {
	s.Helper()
	all := s.take()
	if len(all) != len(packets) {
		s.Fatalf("%s: want %d messages, got %v", why, len(packets), types(all))
	}
	for i, m := range all {
		_, plain := s.open(m.msg)
		if len(packets[i]) == 0 && len(plain) > 0 || len(plain) < len(packets[i]) ||
			!bytes.Equal(plain[:len(packets[i])], packets[i]) {
			s.Fatalf("%s: message %d holds\n%x, want\n%x", why, i, plain, packets[i])
		}
	}
	return all
}

// connect has the outsider initiate and confirm: the device is the responder.
func (o *outsider) connect() *session {
	o.Helper()
	s := o.propose()
	o.says(s.seal(nil))
	o.forget()
	return s
}

// propose has the outsider initiate and not confirm: the key pair is the device's next one.
func (o *outsider) propose() *session {
	o.Helper()
	h := o.initiation()
	o.says(h.msg)
	return h.complete(o.one(2, "a valid initiation is answered").msg)
}

// accept has the device initiate, by a packet, and the outsider answer, with a keepalive to the packet too: the device
// is the initiator.
func (o *outsider) accept() *session {
	o.Helper()
	o.send(o.ours("accept"))
	msg, s := o.read(o.one(1, "a packet without a session asks for one").msg).respond()
	o.says(msg)
	s.wants("the waiting packet comes", o.ours("accept"))
	o.says(s.seal(nil))
	o.forget()
	return s
}

// cookieReply answers the message of the device whose mac1 is given with a cookie of the outsider's making.
func (o *outsider) cookieReply(receiver uint32, mac1, cookie []byte) []byte {
	msg := binary.LittleEndian.AppendUint32([]byte{3, 0, 0, 0}, receiver)
	n := make([]byte, chacha20poly1305.NonceSizeX)
	if _, err := io.ReadFull(o.random, n); err != nil {
		o.Fatalf("a nonce: %v", err)
	}
	a, _ := chacha20poly1305.NewX(hash([]byte("cookie--"), o.static.Public))
	return a.Seal(append(msg, n...), n, cookie, mac1)
}

// openCookie decrypts a cookie reply of the device to the handshake message that the outsider built last.
func (o *outsider) openCookie(msg []byte) []byte {
	o.Helper()
	if len(msg) != 64 || !bytes.Equal(msg[:4], []byte{3, 0, 0, 0}) {
		o.Fatalf("%x is no cookie reply", msg)
	}
	a, _ := chacha20poly1305.NewX(hash([]byte("cookie--"), o.to[:]))
	cookie, err := a.Open(nil, msg[8:32], msg[32:], o.mac1)
	if err != nil {
		o.Fatalf("the cookie reply does not decrypt: %v", err)
	}
	return cookie
}

// keyPair makes a Diffie-Hellman key pair that nobody has seen.
func (o *outsider) keyPair() noise.DHKey {
	k, err := noise.DH25519.GenerateKeypair(o.random)
	if err != nil {
		o.Fatalf("a key pair: %v", err)
	}
	return k
}
