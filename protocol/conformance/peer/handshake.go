package peer

import (
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/flynn/noise"
	"golang.org/x/crypto/curve25519"
)

// Prologue is the identifier of paper §5.4 (CRYPTO-02). The construction (CRYPTO-01) is flynn/noise's own name for
// IK with psk2 on these primitives.
const Prologue = "WireGuard v1 zx2c4 Jason@zx2c4.com"

// Pair is a Curve25519 key pair. Its halves need not belong together: a Public without its Private is a forgery.
type Pair struct {
	Private, Public Key
	// LowOrder makes every Diffie-Hellman with this pair give zeros, as the other side computes it when Public is a
	// point of low order (CRYPTO-11).
	LowOrder bool
	// key is Private, parsed: crypto/ecdh takes one ladder with it where curve25519.X25519 takes two.
	key *ecdh.PrivateKey
}

// NewPair draws a key pair.
func NewPair(random io.Reader) Pair {
	var private Key
	if _, err := io.ReadFull(random, private[:]); err != nil {
		panic(fmt.Errorf("peer: no randomness: %w", err))
	}
	return PairOf(private)
}

// PairOf gives the pair of a private key.
func PairOf(private Key) Pair {
	private[0] &= 248
	private[31] = private[31]&127 | 64
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		panic(err) // only for another length
	}
	return Pair{Private: private, Public: Key(key.PublicKey().Bytes()), key: key}
}

// LowOrderPair is a pair whose public key is a given point of low order.
func LowOrderPair(point Key) Pair {
	// The private key is never used; it only has to differ from that of every real pair.
	return Pair{Private: Key{31: 0xff}, Public: point, LowOrder: true}
}

// LowOrderPoints lists the points of Curve25519 and its twist whose order divides 8, in canonical and non-canonical
// form: X25519 of any of them is zero.
func LowOrderPoints() []Key {
	e0 := Key{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}
	f5 := Key{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}
	prime := func(low byte) (k Key) { // 2^255 − 19 and its neighbours
		for i := range k {
			k[i] = 0xff
		}
		k[0], k[31] = low, 0x7f
		return k
	}
	points := []Key{{}, {1}, e0, f5, prime(0xec), prime(0xed), prime(0xee)}
	for _, p := range points[:7:7] { // the top bit is ignored (RFC 7748)
		p[31] |= 0x80
		points = append(points, p)
	}
	return points
}

// Timestamp is the TAI64N of an initiation: 8 bytes of label and 4 of nanoseconds, big-endian (TAI-01).
type Timestamp [12]byte

// TAI64N gives the timestamp of a time, to the nanosecond: label 2^62 + 10 at Unix time 0 (TAI-08).
func TAI64N(t time.Time) (s Timestamp) {
	binary.BigEndian.PutUint64(s[:], 1<<62+10+uint64(t.Unix()))
	binary.BigEndian.PutUint32(s[8:], uint32(t.Nanosecond()))
	return s
}

// Time gives the time of a timestamp by the same rule.
func (s Timestamp) Time() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(s[:])-1<<62-10), int64(binary.BigEndian.Uint32(s[8:])))
}

// Party is one end of handshakes: what it knows and where it draws.
type Party struct {
	Static Pair
	Remote Key // the other end's static public key
	PSK    Key // zeros: none, which is mixed in all the same (CRYPTO-14)
	Random io.Reader

	// known remembers the products of keys, private then public: every response makes the initiation be written once
	// more, see Initiation.Complete.
	known map[[64]byte][]byte
}

// Spec is what is special about a handshake message. The zero Spec is right in every respect; each field makes one
// thing different, and the rest of the message is computed as if that were so.
type Spec struct {
	Index     *uint32    // sender index; nil: random
	Timestamp *Timestamp // of an initiation; nil: the caller's clock
	Ephemeral *Pair      // nil: fresh. LowOrderPair for CRYPTO-11; a Public with bit 255 set for CRYPTO-10
	Static    *Pair      // instead of the party's own; with another Private: a forged identity (HS-06)
	PSK       *Key       // instead of the party's own
	Prologue  string     // instead of the identifier; empty: the right one
	Payload   []byte     // instead of the timestamp, or of the response's empty payload; any length
	MAC1Label string     // instead of "mac1----"
	MAC1To    *Key       // whose public key mac1 is made for; nil: the receiver's
	Cookie    []byte     // mac2 is made with it; nil: zeros (COOKIE-04)
	Receiver  *uint32    // receiver index of a response; nil: the initiation's
}

// lyingDH is X25519 that gives out a chosen ephemeral, and zeros where the key to be used is a LowOrder pair.
type lyingDH struct {
	ephemeral Pair
	static    Pair
	known     map[[64]byte][]byte
}

func (d lyingDH) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	return noise.DHKey{Private: d.ephemeral.Private[:], Public: d.ephemeral.Public[:]}, nil
}

func (d lyingDH) DH(private, public []byte) ([]byte, error) {
	for _, p := range []Pair{d.ephemeral, d.static} {
		if p.LowOrder && Key(private) == p.Private {
			return make([]byte, 32), nil
		}
	}
	id := [64]byte(slices.Concat(private, public))
	if product := d.known[id]; product != nil {
		return product, nil
	}
	product, err := d.multiply(private, public)
	if err == nil {
		d.known[id] = product
	}
	return product, err
}

func (d lyingDH) multiply(private, public []byte) ([]byte, error) {
	for _, p := range []Pair{d.ephemeral, d.static} {
		if p.key != nil && Key(private) == p.Private {
			point, err := ecdh.X25519().NewPublicKey(public)
			if err != nil {
				return nil, err
			}
			return p.key.ECDH(point) // an error for a product of zeros, as curve25519.X25519 (CRYPTO-11)
		}
	}
	return curve25519.X25519(private, public)
}

func (lyingDH) DHLen() int     { return 32 }
func (lyingDH) DHName() string { return "25519" }

// state begins a Noise handshake with everything decided: the same arguments give the same messages.
func (p *Party) state(initiator bool, ephemeral Pair, s *Spec) (*noise.HandshakeState, error) {
	static, psk, prologue := p.Static, p.PSK, Prologue
	if s.Static != nil {
		static = *s.Static
	}
	if s.PSK != nil {
		psk = *s.PSK
	}
	if s.Prologue != "" {
		prologue = s.Prologue
	}
	if p.known == nil {
		p.known = map[[64]byte][]byte{}
	}
	dh := lyingDH{ephemeral, static, p.known}
	c := noise.Config{
		CipherSuite: noise.NewCipherSuite(dh, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Random:      p.Random,
		Pattern:     noise.HandshakeIK,
		Initiator:   initiator,
		Prologue:    []byte(prologue),
		// A nil key would be an error on write and no error on read, so zeros are always given.
		PresharedKey:          psk[:],
		PresharedKeyPlacement: 2,
		StaticKeypair:         noise.DHKey{Private: static.Private[:], Public: static.Public[:]},
	}
	if initiator {
		c.PeerStatic = p.Remote[:]
	}
	return noise.NewHandshakeState(c)
}

func (p *Party) draw(s *Spec) (index uint32, ephemeral Pair) {
	var b [4]byte
	if _, err := io.ReadFull(p.Random, b[:]); err != nil {
		panic(fmt.Errorf("peer: no randomness: %w", err))
	}
	index, ephemeral = binary.LittleEndian.Uint32(b[:]), NewPair(p.Random)
	if s.Index != nil {
		index = *s.Index
	}
	if s.Ephemeral != nil {
		ephemeral = *s.Ephemeral
	}
	return index, ephemeral
}

func (p *Party) finish(b []byte, s *Spec) []byte {
	label, to := LabelMAC1, p.Remote
	if s.MAC1Label != "" {
		label = s.MAC1Label
	}
	if s.MAC1To != nil {
		to = *s.MAC1To
	}
	return remac(append(b, make([]byte, mac1FromEnd)...), label, to, s.Cookie)
}

// Initiation is one that this side made.
type Initiation struct {
	Bytes     []byte
	Index     uint32
	Ephemeral Pair
	Timestamp Timestamp
	party     Party
	spec      Spec
	payload   []byte
}

// Initiate makes an initiation (paper §5.4.2) with the time now unless the Spec has another.
func (p *Party) Initiate(now Timestamp, s Spec) (*Initiation, error) {
	i := &Initiation{Timestamp: now, party: *p, spec: s}
	if s.Timestamp != nil {
		i.Timestamp = *s.Timestamp
	}
	i.payload = i.Timestamp[:]
	if s.Payload != nil {
		i.payload = s.Payload
	}
	i.Index, i.Ephemeral = p.draw(&s)
	_, b, err := i.write()
	if err != nil {
		return nil, fmt.Errorf("peer: initiation: %w", err)
	}
	i.Bytes = p.finish(append(header(KindInitiation, i.Index), b...), &s)
	return i, nil
}

func (i *Initiation) write() (*noise.HandshakeState, []byte, error) {
	hs, err := i.party.state(true, i.Ephemeral, &i.spec)
	if err != nil {
		return nil, nil, err
	}
	b, _, _, err := hs.WriteMessage(nil, i.payload)
	return hs, b, err
}

// Complete reads the response to i and gives the session (paper §5.4.3). It may be asked again after an error or with
// another response: every call starts from the beginning, since flynn/noise does not roll back after a failed
// Diffie-Hellman.
func (i *Initiation) Complete(response []byte) (*Session, error) {
	switch {
	case KindOf(response) != KindResponse:
		return nil, errors.New("peer: no response: " + Fault(response))
	case Receiver(response) != i.Index:
		return nil, fmt.Errorf("peer: the response is for index %08x, not %08x", Receiver(response), i.Index)
	}
	hs, _, err := i.write()
	if err != nil {
		return nil, err
	}
	_, first, second, err := hs.ReadMessage(nil, response[12:60])
	if err != nil {
		return nil, ErrTag
	}
	return &Session{Initiator: true, Local: i.Index, Remote: Sender(response),
		SendKey: first.UnsafeKey(), RecvKey: second.UnsafeKey()}, nil
}

// Received is an initiation of the other end, decrypted.
type Received struct {
	Sender    uint32
	Ephemeral Key
	Static    Key // who sent it
	Timestamp Timestamp
	message   []byte
}

// Read decrypts an initiation that was sent to p. It does not look at the macs.
func (p *Party) Read(initiation []byte) (*Received, error) {
	_, r, err := p.read(initiation, Pair{}, &Spec{})
	return r, err
}

func (p *Party) read(b []byte, ephemeral Pair, s *Spec) (*noise.HandshakeState, *Received, error) {
	if KindOf(b) != KindInitiation {
		return nil, nil, errors.New("peer: no initiation: " + Fault(b))
	}
	hs, err := p.state(false, ephemeral, s)
	if err != nil {
		return nil, nil, err
	}
	payload, _, _, err := hs.ReadMessage(nil, b[8:116])
	if err != nil {
		return nil, nil, ErrTag
	}
	r := &Received{Sender: Sender(b), Ephemeral: Key(b[8:40]), Static: Key(hs.PeerStatic()), message: b}
	copy(r.Timestamp[:], payload)
	return hs, r, nil
}

// Response is one that this side made, and the session that goes with it.
type Response struct {
	Bytes     []byte
	Index     uint32
	Ephemeral Pair
	Session   *Session
}

// Respond makes a response to an initiation that was read (paper §5.4.3).
func (p *Party) Respond(r *Received, s Spec) (*Response, error) {
	out := &Response{}
	out.Index, out.Ephemeral = p.draw(&s)
	reader := s
	reader.Static = nil // what is special is the response, not how the initiation is read
	hs, _, err := p.read(r.message, out.Ephemeral, &reader)
	if err != nil {
		return nil, err
	}
	b, first, second, err := hs.WriteMessage(nil, s.Payload)
	if err != nil {
		return nil, fmt.Errorf("peer: response: %w", err)
	}
	receiver := r.Sender
	if s.Receiver != nil {
		receiver = *s.Receiver
	}
	out.Bytes = binary.LittleEndian.AppendUint32(header(KindResponse, out.Index), receiver)
	out.Bytes = p.finish(append(out.Bytes, b...), &s)
	out.Session = &Session{Local: out.Index, Remote: r.Sender,
		SendKey: second.UnsafeKey(), RecvKey: first.UnsafeKey()}
	return out, nil
}
