package sim

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"hash"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// oracle reads what is on the wire. It knows the static keys and preshared keys, because the simulator made them, and
// is told every ephemeral private key when it is used; from these it derives the transport keys once more, straight
// from rules §1.3 and with none of the core's code.
type oracle struct {
	s        *Sim
	secrets  map[indexOf]secret // all maps are looked up only
	attempts map[indexOf]*attempt
	sessions map[indexOf]*session // by the sender of transport messages and the receiver index in them
	born     []expiring           // the oldest first
	plain    []byte
	shared   map[[2]protocol.PublicKey][]byte // see statics
}

// indexOf is a 32-bit index at the host that it concerns.
type indexOf struct {
	host  string
	index uint32
}

type expiring struct {
	at   timers.Time
	kind uint8 // 0: secrets, 1: attempts, 2: sessions
	key  indexOf
}

type secret struct {
	peer      string
	initiator bool
	private   *ecdh.PrivateKey
}

// attempt is an initiation that was sent.
type attempt struct {
	host, peer string
	static     protocol.PublicKey // of the host, then
	sender     uint32
	chain      [32]byte
	hash       [32]byte
	ephemeral  [32]byte // public
	timestamp  [12]byte
}

// session is a key pair as both ends have it.
type session struct {
	initiator, responder string
	keys                 [2]cipher.AEAD
	next                 [2]uint64      // counter that the next message must have
	born                 [2]timers.Time // by the clock of the end's host
	alive                [2]bool        // the end has the key: born is set
	epoch                [2]int         // of the end's host when it got the key
	reached              bool           // the response came to the initiator's host, which may still be at work on it
	confirmed            bool           // the responder took a transport message on it (HS-16)
	aged                 bool           // the initiator sent on it when it was old enough for a new one: at agedAt
	agedAt               timers.Time
}

// begin notes that an end has the keys.
func (s *session) begin(end int, n *node) {
	s.born[end], s.alive[end], s.epoch[end] = n.felt(), true, n.epoch
}

// Ends of a session, as indices into its arrays.
const (
	endInitiator = 0
	endResponder = 1
)

// opened is what the oracle makes of a datagram of a host.
type opened struct {
	kind    byte
	peer    string   // of an initiation and a transport message: for whom it is
	attempt *attempt // of an initiation
	session *session // of a response: the new one; of a transport message
	end     int      // of a transport message: which end of the session sent it
	counter uint64
	plain   []byte // with padding; good until the next datagram
	err     error
}

var (
	errShape   = errors.New("is no WireGuard message")
	errSecret  = errors.New("uses an ephemeral key that was never shown")
	errSession = errors.New("is for a session that nobody agreed on")
	errTag     = errors.New("does not decrypt with the key of its session")
	errStatic  = errors.New("does not name its sender")
	errMAC     = errors.New("has a wrong mac1")
	errAttempt = errors.New("answers an initiation that was never sent")
	errEmpty   = errors.New("does not authenticate as a response")
)

// oracleMemory is how long the oracle remembers: well over the 540 s after which no host knows a key any more.
const oracleMemory = 1200e9

func newOracle(s *Sim) *oracle {
	return &oracle{s: s, secrets: map[indexOf]secret{}, attempts: map[indexOf]*attempt{},
		sessions: map[indexOf]*session{}, shared: map[[2]protocol.PublicKey][]byte{}}
}

func (o *oracle) remember(kind uint8, k indexOf) {
	o.born = append(o.born, expiring{o.s.now, kind, k})
	n := 0
	for ; n < len(o.born) && o.s.now-o.born[n].at > oracleMemory; n++ {
		switch e := o.born[n]; e.kind {
		case 0:
			delete(o.secrets, e.key)
		case 1:
			delete(o.attempts, e.key)
		case 2:
			delete(o.sessions, e.key)
		}
	}
	o.born = o.born[n:] // append moves it to a new place now and then, without what is gone
}

// learn is told of an ephemeral private key just before the message with it leaves.
func (o *oracle) learn(host, peer string, index uint32, initiator bool, private [32]byte) {
	k := indexOf{host, index}
	o.secrets[k] = secret{peer, initiator, parse(private)}
	o.remember(0, k)
}

// read makes sense of a datagram that a host sent.
func (o *oracle) read(host string, b []byte) (m opened) {
	switch {
	case len(b) < 4 || b[1] != 0 || b[2] != 0 || b[3] != 0:
		m.err = errShape
		return m
	}
	m.kind = b[0]
	switch {
	case m.kind == typeInitiation && len(b) == initiationSize:
		o.initiation(host, b, &m)
	case m.kind == typeResponse && len(b) == responseSize:
		o.response(host, b, &m)
	case m.kind == typeTransport && len(b) >= transportMin:
		o.transport(host, b, &m)
	case m.kind == typeCookie && len(b) == cookieSize:
	default:
		m.err = errShape
	}
	return m
}

func (o *oracle) initiation(host string, b []byte, m *opened) {
	k := indexOf{host, binary.LittleEndian.Uint32(b[4:])}
	sec, ok := o.secrets[k]
	n := o.s.byName[host]
	p := n.end(sec.peer)
	if !ok || !sec.initiator || p == nil {
		m.err = errSecret
		return
	}
	m.peer = sec.peer
	a := &attempt{host: host, peer: sec.peer, static: n.public, sender: k.index}
	copy(a.ephemeral[:], b[8:40])
	if !bytes.Equal(sec.private.PublicKey().Bytes(), a.ephemeral[:]) {
		m.err = errSecret
		return
	}
	a.chain = blake2s.Sum256([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	a.hash = mix(a.chain, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
	a.hash = mix(a.hash, p.public[:])
	a.chain, _, _ = kdf(a.chain, a.ephemeral[:])
	a.hash = mix(a.hash, a.ephemeral[:])
	var key [32]byte
	a.chain, key, _ = kdf(a.chain, dh(sec.private, p.public))
	static, ok := unseal(key, a.hash, b[40:88])
	a.hash = mix(a.hash, b[40:88])
	if !ok || !bytes.Equal(static, n.public[:]) {
		m.err = errStatic
		return
	}
	a.chain, key, _ = kdf(a.chain, o.statics(n, p))
	stamp, ok := unseal(key, a.hash, b[88:116])
	a.hash = mix(a.hash, b[88:116])
	copy(a.timestamp[:], stamp)
	mac := mac1(p.public, b[:116])
	switch {
	case !ok:
		m.err = errTag
		return
	case !bytes.Equal(mac[:], b[116:132]):
		m.err = errMAC
		return
	}
	m.attempt = a
	o.attempts[k] = a
	o.remember(1, k)
}

func (o *oracle) response(host string, b []byte, m *opened) {
	k := indexOf{host, binary.LittleEndian.Uint32(b[4:])}
	receiver := binary.LittleEndian.Uint32(b[8:])
	sec, ok := o.secrets[k]
	n := o.s.byName[host]
	p := n.end(sec.peer)
	if !ok || sec.initiator || p == nil || !bytes.Equal(sec.private.PublicKey().Bytes(), b[12:44]) {
		m.err = errSecret
		return
	}
	m.peer = sec.peer
	a := o.answered(n, sec.peer, receiver)
	if a == nil {
		m.err = errAttempt
		return
	}
	chain, _, _ := kdf(a.chain, b[12:44])
	h := mix(a.hash, b[12:44])
	chain, _, _ = kdf(chain, dh(sec.private, a.ephemeral))
	chain, _, _ = kdf(chain, dh(sec.private, a.static))
	mac := mac1(a.static, b[:60])
	chain, ok = o.agree(n, p, chain, h, b[44:60])
	switch {
	case !ok:
		m.err = errEmpty
		return
	case !bytes.Equal(mac[:], b[60:76]):
		m.err = errMAC
		return
	}
	forth, back, _ := kdf(chain, nil)
	s := &session{initiator: a.host, responder: host, keys: [2]cipher.AEAD{aead(forth), aead(back)}}
	s.begin(endResponder, n)
	m.session = s
	for _, key := range []indexOf{{a.host, k.index}, {host, receiver}} {
		o.sessions[key] = s
		o.remember(2, key)
	}
}

// answered finds the initiation to n that a response answers. It may be that of a thief, who has the peer's key.
func (o *oracle) answered(n *node, peer string, index uint32) *attempt {
	for _, m := range o.s.sharers[peer] {
		if a := o.attempts[indexOf{m.cfg.Name, index}]; a != nil && a.peer == n.canon {
			return a
		}
	}
	return nil
}

// agree mixes the preshared key in and gives the last chaining key. A slow responder may have made its answer
// just before it got another preshared key.
func (o *oracle) agree(n *node, p *tunnelEnd, chain, h [32]byte, sealed []byte) (last [32]byte, ok bool) {
	words := []string{p.psk}
	if n.cfg.JobTime > 0 || n.jobTime > 0 {
		words = append(words, p.pskBefore)
	}
	for _, word := range words {
		psk := o.s.psk(word)
		last, tau, key := kdf(chain, psk[:])
		if _, ok := unseal(key, mix(h, tau[:]), sealed); ok {
			return last, true
		}
	}
	return last, false
}

func (o *oracle) transport(host string, b []byte, m *opened) {
	s := o.sessions[indexOf{host, binary.LittleEndian.Uint32(b[4:])}]
	if s == nil {
		m.err = errSession
		return
	}
	m.session, m.end, m.peer = s, endInitiator, o.s.byName[s.responder].canon
	if host == s.responder {
		m.end, m.peer = endResponder, o.s.byName[s.initiator].canon
	}
	m.counter = binary.LittleEndian.Uint64(b[8:])
	var nonce [12]byte
	copy(nonce[4:], b[8:16])
	plain, err := s.keys[m.end].Open(o.plain[:0], nonce[:], b[16:], nil)
	if err != nil {
		m.err = errTag
		return
	}
	m.plain, o.plain = plain, plain
}

// The primitives of rules §1.3.

func mix(h [32]byte, b []byte) [32]byte { return blake2s.Sum256(append(h[:], b...)) }

func mac(key, b []byte) (out [32]byte) {
	h := hmac.New(func() hash.Hash { h, _ := blake2s.New256(nil); return h }, key)
	h.Write(b)
	h.Sum(out[:0])
	return out
}

// kdf is the three-output key derivation; who wants fewer takes fewer.
func kdf(chain [32]byte, in []byte) (t1, t2, t3 [32]byte) {
	t0 := mac(chain[:], in)
	t1 = mac(t0[:], []byte{1})
	t2 = mac(t0[:], append(t1[:len(t1):len(t1)], 2))
	t3 = mac(t0[:], append(t2[:len(t2):len(t2)], 3))
	return t1, t2, t3
}

// parse keeps a private key in the form in which one Diffie-Hellman costs one multiplication.
func parse(private [32]byte) *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		panic("sim: x25519 refuses 32 bytes: " + err.Error())
	}
	return k
}

func dh(private *ecdh.PrivateKey, point [32]byte) []byte {
	p, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		panic("sim: x25519 refuses 32 bytes: " + err.Error())
	}
	b, err := private.ECDH(p)
	if err != nil {
		return make([]byte, 32) // a low-order point; the tag will not fit
	}
	return b
}

// statics is what the static keys of a host and its peer have in common.
func (o *oracle) statics(n *node, p *tunnelEnd) []byte {
	k := [2]protocol.PublicKey{n.public, p.public}
	b := o.shared[k]
	if b == nil {
		b = dh(parse(n.private), p.public)
		o.shared[k] = b
	}
	return b
}

func aead(key [32]byte) cipher.AEAD {
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("sim: chacha20poly1305 refuses 32 bytes: " + err.Error())
	}
	return a
}

func unseal(key, h [32]byte, b []byte) ([]byte, bool) {
	plain, err := aead(key).Open(nil, make([]byte, 12), b, h[:])
	return plain, err == nil
}

// mac1 is the MAC by which a message shows that its sender knows the receiver's public key (COOKIE-01).
func mac1(receiver protocol.PublicKey, b []byte) (out [16]byte) {
	key := blake2s.Sum256(append([]byte("mac1----"), receiver[:]...))
	h, err := blake2s.New128(key[:])
	if err != nil {
		panic("sim: blake2s refuses 32 bytes: " + err.Error())
	}
	h.Write(b)
	h.Sum(out[:0])
	return out
}
