package cookie

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// A second implementation of paper §5.4.4 and §5.4.7, straight on x/crypto, that shares no code with the first one.

func refMAC(key []byte, parts ...[]byte) []byte {
	d, err := blake2s.New128(key)
	if err != nil {
		panic(err)
	}
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

func refKey(label string, public [32]byte) []byte {
	sum := blake2s.Sum256(slices.Concat([]byte(label), public[:]))
	return sum[:]
}

// refSign fills in both MACs of msg; a nil cookie is none.
func refSign(msg []byte, public [32]byte, cookie []byte) {
	n := len(msg)
	copy(msg[n-32:], refMAC(refKey("mac1----", public), msg[:n-32]))
	clear(msg[n-16:])
	if cookie != nil {
		copy(msg[n-16:], refMAC(cookie, msg[:n-16]))
	}
}

// refReply seals a cookie to the message msg, under the key of the replier's public key.
func refReply(msg, cookie []byte, public [32]byte, nonce [24]byte) *[64]byte {
	aead, err := chacha20poly1305.NewX(refKey("cookie--", public))
	if err != nil {
		panic(err)
	}
	out := slices.Concat([]byte{3, 0, 0, 0}, msg[4:8], nonce[:])
	return (*[64]byte)(aead.Seal(out, nonce[:], cookie, msg[len(msg)-32:len(msg)-16]))
}

// refOpen returns the cookie inside a reply to msg.
func refOpen(reply *[64]byte, msg []byte, public [32]byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(refKey("cookie--", public))
	if err != nil {
		panic(err)
	}
	return aead.Open(nil, reply[8:32], reply[32:], msg[len(msg)-32:len(msg)-16])
}

func refCookie(secret [32]byte, src netip.AddrPort) []byte {
	return refMAC(secret[:], src.Addr().Unmap().AsSlice(), binary.BigEndian.AppendUint16(nil, src.Port()))
}

// Generators.

// drawBytes draws the length apart from the bytes, because rapid's slices are short unless they must not be.
func drawBytes(t *rapid.T, label string, least, most int) []byte {
	n := rapid.SampledFrom(lengths(least, most)).Draw(t, label+" length")
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, label)
}

func lengths(least, most int) []int {
	all := make([]int, most-least+1)
	for i := range all {
		all[i] = least + i
	}
	return all
}

func draw32(t *rapid.T, label string) [32]byte { return [32]byte(drawBytes(t, label, 32, 32)) }

func draw24(t *rapid.T, label string) [24]byte { return [24]byte(drawBytes(t, label, 24, 24)) }

// drawMessage returns an initiation or a response of random bytes, not yet signed.
func drawMessage(t *rapid.T, label string) []byte {
	n := rapid.SampledFrom([]int{wire.InitiationSize, wire.ResponseSize}).Draw(t, label+" size")
	return drawBytes(t, label, n, n)
}

func drawAddr(t *rapid.T, label string) netip.Addr {
	n := rapid.SampledFrom([]int{4, 16}).Draw(t, label+" family")
	addr, _ := netip.AddrFromSlice(drawBytes(t, label, n, n))
	return addr
}

func drawSource(t *rapid.T, label string) netip.AddrPort {
	return netip.AddrPortFrom(drawAddr(t, label), rapid.Uint16().Draw(t, label+" port"))
}

// flip returns a copy of b with one bit changed.
func flip(b []byte, bit int) []byte {
	b = slices.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// party is one identity with everything that its receiving side has, and a jar of somebody who talks to it.
type party struct {
	h      *Hasher
	c      *Checker
	j      *Jar
	public [32]byte
	secret [32]byte
}

func newParty(now timers.Time) *party {
	p := &party{h: NewHasher(), c: new(Checker), public: [32]byte{1}, secret: [32]byte{2}}
	p.j = NewJar(&p.public)
	p.c.SetKey(&p.public)
	p.c.SetSecret(now, &p.secret)
	return p
}

// message returns an initiation that the jar signed at now.
func (p *party) message(now timers.Time) []byte {
	msg := make([]byte, wire.InitiationSize)
	msg[0], msg[4] = 1, 0x55
	p.j.Sign(p.h, msg, now)
	return msg
}

// reply returns the answer to msg under a nonce that starts with n.
func (p *party) reply(t testing.TB, msg []byte, src netip.AddrPort, n byte) *[64]byte {
	t.Helper()
	reply, nonce := new([64]byte), [24]byte{n}
	if !p.c.Reply(p.h, reply, msg, src, &nonce) {
		t.Fatal("no reply although there is a secret")
	}
	return reply
}

var (
	portA = netip.MustParseAddrPort("192.0.2.1:51820")
	portB = netip.MustParseAddrPort("192.0.2.1:51821")
)
