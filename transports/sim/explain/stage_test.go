package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flynn/noise"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
)

// stage makes captures by hand. Its messages are genuine: flynn/noise, which the package does not use, makes them.
type stage struct {
	t      testing.TB
	rng    *rand.ChaCha8
	frames []shot
	keyLog []byte
	ttl    [2]byte // of packets from a and from b
	wrap   func(ip []byte) []byte
	link   layers.LinkType
	snap   int
}

// shot is a frame at a tap.
type shot struct {
	at   time.Duration
	tap  int
	data []byte
}

// actor is one end.
type actor struct {
	at      netip.AddrPort
	static  noise.DHKey
	psk     [32]byte
	believe []byte // the public key that it has for the other side
	from    int
}

func newStage(t testing.TB) (s *stage, a, b *actor) {
	s = &stage{t: t, rng: rand.NewChaCha8([32]byte{7}), ttl: [2]byte{60, 60}, link: layers.LinkTypeRaw}
	a = s.actor("192.0.2.1:1111", 0)
	b = s.actor("203.0.113.1:51820", 1)
	a.believe, b.believe = b.static.Public, a.static.Public
	return s, a, b
}

func (s *stage) actor(at string, from int) *actor {
	return &actor{at: netip.MustParseAddrPort(at), static: s.key(), from: from}
}

func (s *stage) bytes(n int) []byte {
	b := make([]byte, n)
	s.rng.Read(b)
	return b
}

func (s *stage) key() noise.DHKey {
	private := s.bytes(32)
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	if err != nil {
		s.t.Fatal(err)
	}
	return noise.DHKey{Private: private, Public: public}
}

// conf writes the actor's configuration; the other's key is what the actor believes.
func (a *actor) conf(name string) Config {
	b64 := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = %d\nPostUp = true\n[Peer]\nPublicKey = %s\n"+
		"AllowedIPs = 10.0.0.0/24, fd00::1\nPersistentKeepalive = off\n", b64(a.static.Private), a.at.Port(), b64(a.believe))
	if a.psk != ([32]byte{}) {
		text += "PresharedKey = " + b64(a.psk[:]) + "\n"
	}
	return Config{Name: name + ".conf", Text: text}
}

// ipv4 wraps a UDP payload.
func (s *stage) ipv4(from, to netip.AddrPort, ttl byte, payload []byte) []byte {
	ip := make([]byte, 28, 28+len(payload))
	ip[0], ip[8], ip[9] = 0x45, ttl, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
	return append(ip, payload...)
}

// send puts a message on the wire, past the taps given (the first, if none is).
func (s *stage) send(at time.Duration, from, to *actor, payload []byte, taps ...int) {
	if len(taps) == 0 {
		taps = []int{0}
	}
	for _, tap := range taps {
		s.raw(at, tap, s.ipv4(from.at, to.at, s.ttl[from.from], payload))
	}
}

func (s *stage) raw(at time.Duration, tap int, ip []byte) {
	if s.wrap != nil {
		ip = s.wrap(ip)
	}
	s.frames = append(s.frames, shot{at, tap, ip})
}

// handshake is one of flynn/noise.
type handshake struct {
	s            *stage
	from, to     *actor
	hs           *noise.HandshakeState
	fields       []byte
	index, other uint32
	counter      [2]uint64 // of from and to
	keys         [2][32]byte
}

func (s *stage) state(a *actor, initiator bool, ephemeral noise.DHKey) *noise.HandshakeState {
	c := noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Random:      bytes.NewReader(ephemeral.Private), Pattern: noise.HandshakeIK, Initiator: initiator,
		Prologue: []byte(identifier), PresharedKeyPlacement: 2, StaticKeypair: a.static,
	}
	if initiator {
		c.PeerStatic = a.believe
	}
	hs, err := noise.NewHandshakeState(c)
	if err == nil {
		err = hs.SetPresharedKey(a.psk[:])
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return hs
}

// seal adds mac1 for a key, and a mac2.
func (s *stage) seal(m, public []byte, cookie []byte) []byte {
	label := blake2s.Sum256(append([]byte("mac1----"), public...))
	h, _ := blake2s.New128(label[:])
	h.Write(m)
	m = h.Sum(m)
	if cookie == nil {
		return append(m, make([]byte, 16)...)
	}
	h, _ = blake2s.New128(cookie)
	h.Write(m)
	return h.Sum(m)
}

// stamp is a TAI64N timestamp.
func stamp(at time.Duration) []byte {
	b := binary.BigEndian.AppendUint64(nil, 1<<62+10+1_700_000_000+uint64(at/time.Second))
	return binary.BigEndian.AppendUint32(b, uint32(at%time.Second)&^(1<<24-1))
}

// initiate sends an initiation with the time at in it, or another.
func (s *stage) initiate(at time.Duration, from, to *actor, o ...func(*initiated)) *handshake {
	set := initiated{stamp: at}
	for _, f := range o {
		f(&set)
	}
	e := s.key()
	s.log("LOCAL_STATIC_PRIVATE_KEY", from.static.Private)
	s.log("REMOTE_STATIC_PUBLIC_KEY", from.believe)
	s.log("LOCAL_EPHEMERAL_PRIVATE_KEY", e.Private)
	s.log("PRESHARED_KEY", from.psk[:])
	h := &handshake{s: s, from: from, to: to, hs: s.state(from, true, e), index: binary.LittleEndian.Uint32(s.bytes(4))}
	when := stamp(set.stamp)
	if set.precise {
		when[11] = 1
	}
	fields, _, _, err := h.hs.WriteMessage(nil, when)
	if err != nil {
		s.t.Fatal(err)
	}
	h.fields = fields
	m := binary.LittleEndian.AppendUint32([]byte{1, set.reserved, 0, 0}, h.index)
	s.send(at, from, to, s.seal(append(m, fields...), from.believe, set.cookie), set.taps...)
	return h
}

type initiated struct {
	stamp    time.Duration
	cookie   []byte
	reserved byte
	taps     []int
	precise  bool // the timestamp is not rounded
}

func (s *stage) log(kind string, k []byte) {
	s.keyLog = fmt.Appendf(s.keyLog, "%s=%s\n", kind, base64.StdEncoding.EncodeToString(k))
}

// respond answers; the initiator completes if it accepts.
func (h *handshake) respond(at time.Duration, taps ...int) *handshake {
	s := h.s
	hs := s.state(h.to, false, s.key())
	if _, _, _, err := hs.ReadMessage(nil, h.fields); err != nil {
		s.t.Fatalf("the responder refuses: %v", err)
	}
	fields, c0, c1, err := hs.WriteMessage(nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	h.other = binary.LittleEndian.Uint32(s.bytes(4))
	m := binary.LittleEndian.AppendUint32([]byte{2, 0, 0, 0}, h.other)
	m = binary.LittleEndian.AppendUint32(m, h.index)
	s.send(at, h.to, h.from, s.seal(append(m, fields...), h.from.static.Public, nil), taps...)
	h.keys = [2][32]byte{c0.UnsafeKey(), c1.UnsafeKey()}
	return h
}

// message makes a transport message of one side without sending it.
func (h *handshake) message(by *actor, plain []byte) []byte {
	side, to := 0, h.other
	if by == h.to {
		side, to = 1, h.index
	}
	m := binary.LittleEndian.AppendUint32([]byte{4, 0, 0, 0}, to)
	m = binary.LittleEndian.AppendUint64(m, h.counter[side])
	var nonce [12]byte
	copy(nonce[4:], m[8:])
	h.counter[side]++
	return aead(h.keys[side]).Seal(m, nonce[:], plain, nil)
}

// data sends an inner packet of a padded size, 0 for a keepalive.
func (h *handshake) data(at time.Duration, by *actor, size int, taps ...int) {
	to := h.to
	if by == h.to {
		to = h.from
	}
	h.s.send(at, by, to, h.message(by, inner(by, size)), taps...)
}

// lost is data that no tap sees.
func (h *handshake) lost(by *actor, n int) {
	if by == h.to {
		h.counter[1] += uint64(n)
	} else {
		h.counter[0] += uint64(n)
	}
}

// inner is an IPv4 packet of an allowed address.
func inner(by *actor, size int) []byte {
	if size == 0 {
		return nil
	}
	b := make([]byte, size)
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(size-3))
	copy(b[12:], []byte{10, 0, 0, byte(1 + by.from)})
	copy(b[16:], []byte{10, 0, 0, byte(2 - by.from)})
	return b
}

// talk has both send every second, and answer at once.
func (h *handshake) talk(from, to time.Duration, taps ...int) {
	for at := from; at < to; at += time.Second {
		h.data(at, h.from, 64, taps...)
		h.data(at+20*time.Millisecond, h.to, 64, taps...)
	}
}

// cookie answers the last initiation with a genuine cookie reply.
func (h *handshake) cookie(at time.Duration) []byte {
	s := h.s
	last := s.frames[len(s.frames)-1].data[28:]
	m := binary.LittleEndian.AppendUint32([]byte{3, 0, 0, 0}, h.index)
	label := blake2s.Sum256(append([]byte("cookie--"), h.to.static.Public...))
	box, err := chacha20poly1305.NewX(label[:])
	if err != nil {
		s.t.Fatal(err)
	}
	cookie, nonce := s.bytes(16), s.bytes(24)
	s.send(at, h.to, h.from, box.Seal(append(m, nonce...), nonce, cookie, last[116:132]))
	return cookie
}

// capture is the file. skew is added to the clock of the second tap.
func (s *stage) capture(skew time.Duration, withSecrets bool) []byte {
	var out bytes.Buffer
	w, err := pcapgo.NewNgWriter(&out, s.link)
	if err == nil {
		_, err = w.AddInterface(pcapgo.NgInterface{Name: "second", LinkType: s.link, TimestampResolution: 9})
	}
	if err == nil && withSecrets {
		err = w.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_WIREGUARD, s.keyLog)
	}
	slices.SortStableFunc(s.frames, func(a, b shot) int { return int(a.at - b.at) })
	for _, f := range s.frames {
		if err != nil {
			break
		}
		at := time.Unix(1_700_000_000, 0).Add(f.at)
		if f.tap == 1 {
			at = at.Add(skew)
		}
		data := f.data
		if s.snap > 0 {
			data = data[:min(len(data), s.snap)]
		}
		err = w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(f.data),
			InterfaceIndex: f.tap}, data)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Bytes()
}

// explain reads the capture with the configurations given.
func (s *stage) explain(configs ...Config) *Report {
	s.t.Helper()
	return s.explainAll(0, false, Options{Configs: configs})
}

func (s *stage) explainAll(skew time.Duration, secrets bool, o Options) *Report {
	s.t.Helper()
	r, err := Explain([]Source{{Name: "x.pcapng", Data: bytes.NewReader(s.capture(skew, secrets))}}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// show is the report as text, for failures.
func show(r *Report) string {
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

func (r *Report) kind(kind string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].Kind == kind {
			return &r.Findings[i]
		}
	}
	return nil
}
