package handshake

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/purewire/purewire/protocol/wire"
	"golang.org/x/crypto/blake2s"
	"pgregory.net/rapid"
)

// tb is what *testing.T, *testing.B and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// identity is a static key in memory, as a device would hold it.
type identity struct {
	seed, public [32]byte
	key          *ecdh.PrivateKey
}

func (id *identity) DH(point [32]byte) (secret [32]byte, err error) {
	remote, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		return secret, err
	}
	shared, err := id.key.ECDH(remote)
	if err != nil {
		return secret, ErrLowOrder
	}
	return [32]byte(shared), nil
}

// dhFunc is an identity that misbehaves.
type dhFunc func(point [32]byte) ([32]byte, error)

func (f dhFunc) DH(point [32]byte) ([32]byte, error) { return f(point) }

func newIdentity(t tb, seed [32]byte) *identity {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return &identity{seed, [32]byte(key.PublicKey().Bytes()), key}
}

type ephemeral struct {
	*Ephemeral
	seed [32]byte
}

func newEphemeral(t tb, seed [32]byte) ephemeral {
	t.Helper()
	e, err := NewEphemeral(&seed)
	if err != nil {
		t.Fatal(err)
	}
	return ephemeral{e, seed}
}

// scene is everything that two sides bring to one handshake.
type scene struct {
	i, r             *identity
	ei, er           ephemeral
	psk              [32]byte
	stamp            [12]byte
	sender, receiver uint32 // the initiator's index, the responder's
}

// newScene is a fixed scene; salt makes them different.
func newScene(t tb, salt byte) *scene {
	seed := func(label string) [32]byte { return blake2s.Sum256(append([]byte(label), salt)) }
	return &scene{
		i: newIdentity(t, seed("initiator")), r: newIdentity(t, seed("responder")),
		ei: newEphemeral(t, seed("ei")), er: newEphemeral(t, seed("er")), psk: seed("psk"),
		stamp: [12]byte{0x40, 10: salt}, sender: 0x04030201, receiver: 0x0d0c0b0a,
	}
}

func draw32(t *rapid.T, label string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
}

// drawScene draws a scene, every other one without a pre-shared key (CRYPTO-14: zeros).
func drawScene(t *rapid.T) *scene {
	sc := &scene{
		i: newIdentity(t, draw32(t, "initiator")), r: newIdentity(t, draw32(t, "responder")),
		ei: newEphemeral(t, draw32(t, "ei")), er: newEphemeral(t, draw32(t, "er")),
		stamp:  [12]byte(rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "timestamp")),
		sender: rapid.Uint32().Draw(t, "sender"), receiver: rapid.Uint32().Draw(t, "receiver"),
	}
	if rapid.Bool().Draw(t, "with psk") {
		sc.psk = draw32(t, "psk")
	}
	return sc
}

// initiate makes the initiation into a buffer that was full of something else.
func (sc *scene) initiate(t tb) (msg [148]byte, s State) {
	t.Helper()
	copy(msg[:], bytes.Repeat([]byte{0xff}, 148))
	s, err := CreateInitiation(&msg, sc.sender, sc.ei.Ephemeral, &sc.i.public, &sc.r.public, sc.i,
		new(StaticStatic), &sc.stamp)
	if err != nil {
		t.Fatalf("CreateInitiation: %v", err)
	}
	return msg, s
}

// accept is both steps of the responder.
func (sc *scene) accept(msg *[148]byte, ss *StaticStatic) (remote [32]byte, stamp [12]byte, s State, err error) {
	if remote, s, err = ConsumeInitiationStatic(msg, &sc.r.public, sc.r); err != nil {
		return remote, stamp, s, err
	}
	stamp, err = ConsumeInitiationTimestamp(msg, &s, &remote, sc.r, ss)
	return remote, stamp, s, err
}

// respond accepts an initiation and answers it, or fails the test.
func (sc *scene) respond(t tb, msg *[148]byte) (resp [92]byte, keys Keys) {
	t.Helper()
	remote, stamp, s, err := sc.accept(msg, new(StaticStatic))
	if err != nil {
		t.Fatalf("the responder refuses the genuine initiation: %v", err)
	}
	if remote != sc.i.public || stamp != sc.stamp {
		t.Fatalf("the initiation decrypts to key %x, timestamp %x", remote, stamp)
	}
	copy(resp[:], bytes.Repeat([]byte{0xff}, 92))
	m := (*wire.Initiation)(msg)
	keys, err = CreateResponse(&resp, &s, sc.receiver, m.Sender(), sc.er.Ephemeral, m.Ephemeral(), &remote, &sc.psk)
	if err != nil {
		t.Fatalf("CreateResponse: %v", err)
	}
	if s != (State{}) {
		t.Fatal("CreateResponse left the state in memory (SEC-03)")
	}
	return resp, keys
}

// complete consumes the genuine response or fails the test.
func (sc *scene) complete(t tb, resp *[92]byte, s State) Keys {
	t.Helper()
	keys, err := ConsumeResponse(resp, s, sc.ei.Ephemeral, sc.i, &sc.psk)
	if err != nil {
		t.Fatalf("the initiator refuses the genuine response: %v", err)
	}
	return keys
}

func unhex(t tb, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values that rules.md §1.3 states for the construction and identifier strings.
func TestCrypto01Crypto02InitialValues(t *testing.T) {
	wantBytes(t, "C₀", initialChain[:], unhex(t, "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"))
	wantBytes(t, "h before Sr", initialHash[:],
		unhex(t, "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3"))
	if len(construction) != 37 || len(identifier) != 34 {
		t.Fatalf("lengths %d, %d; CRYPTO-01 and CRYPTO-02 say 37 and 34", len(construction), len(identifier))
	}
}

func TestCrypto03Labels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		public := draw32(t, "public")
		mac1, cookie := MAC1Key(&public), CookieKey(&public)
		wantBytes(t, "mac1 key", mac1[:], refHash([]byte("mac1----"), public[:]))
		wantBytes(t, "cookie key", cookie[:], refHash([]byte("cookie--"), public[:]))
	})
}

// Both messages carry exactly the header of rules.md §1.2 and leave the MACs zero, whatever was in the buffer.
func TestMsg01Msg02Headers(t *testing.T) {
	sc := newScene(t, 1)
	msg, _ := sc.initiate(t)
	wantBytes(t, "header of the initiation", msg[:8], []byte{1, 0, 0, 0, 1, 2, 3, 4})
	wantBytes(t, "MACs of the initiation", msg[116:], make([]byte, 32))
	resp, _ := sc.respond(t, &msg)
	wantBytes(t, "header of the response (HS-07)", resp[:12], []byte{2, 0, 0, 0, 10, 11, 12, 13, 1, 2, 3, 4})
	wantBytes(t, "MACs of the response", resp[60:], make([]byte, 32))
}

// The private key of a key log is clamped, the public key is that of the seed, and the seed is left to the caller.
func TestCrypto13Ephemeral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := draw32(t, "seed")
		e := newEphemeral(t, seed)
		private, public := e.Private(), e.Public()
		if private[0]&7 != 0 || private[31]&0xc0 != 0x40 {
			t.Fatalf("private key %x is not clamped", private)
		}
		want := seed
		want[0], want[31] = seed[0]&248, seed[31]&127|64
		wantBytes(t, "private key", private[:], want[:])
		wantBytes(t, "public key", public[:], oraclePublic(seed[:]))
		point := newIdentity(t, draw32(t, "other")).public
		secret, err := e.dh(&point)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "shared secret", secret[:], oracleDH(seed[:], point[:]))
	})
}

// What holds keys of a handshake can be overwritten.
func TestSec03Wipe(t *testing.T) {
	s := State{[32]byte{1}, [32]byte{2}}
	if s.Wipe(); s != (State{}) {
		t.Fatalf("state after Wipe: %x", s)
	}
}

// An initiation that names a peer's key but was not made with its private key passes the static field, as anyone can
// seal that, and fails at the timestamp.
func TestHS06ForgedStatic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		forger := newIdentity(t, draw32(t, "forger"))
		secret, err := forger.DH(sc.r.public)
		if err != nil {
			t.Fatal(err)
		}
		var msg [148]byte
		_, err = CreateInitiation(&msg, 1, sc.ei.Ephemeral, &sc.i.public, &sc.r.public, forger,
			&StaticStatic{secret, Known}, &sc.stamp)
		if err != nil {
			t.Fatal(err)
		}
		remote, _, s, err := sc.accept(&msg, new(StaticStatic))
		if forger.public == sc.i.public {
			t.Skip("drew the peer itself")
		}
		if remote != sc.i.public || !errors.Is(err, ErrDecrypt) {
			t.Fatalf("key %x, error %v; want the named key and ErrDecrypt", remote, err)
		}
		if s != (State{}) {
			t.Fatal("a failed timestamp left the state in memory (SEC-03)")
		}
	})
}

// The responder cannot notice a psk mismatch; the initiator refuses, and the genuine response still completes.
func TestCrypto15WrongPSK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		msg, s := sc.initiate(t)
		wrong := *sc
		wrong.psk[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		resp, theirs := wrong.respond(t, &msg)
		keys, err := ConsumeResponse(&resp, s, sc.ei.Ephemeral, sc.i, &sc.psk)
		if !errors.Is(err, ErrDecrypt) || keys != (Keys{}) {
			t.Fatalf("keys %x, error %v; want none and ErrDecrypt", keys, err)
		}
		resp, ours := sc.respond(t, &msg)
		if got := sc.complete(t, &resp, s); got != ours || got.Initiator == theirs.Initiator {
			t.Fatalf("genuine response: keys %x, want %x and not %x", got, ours, theirs)
		}
	})
}

// A response completes the initiation that it answers and no other one, even between the same two parties.
func TestHS08ResponseOfAnotherHandshake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := drawScene(t)
		two := *one
		two.ei = newEphemeral(t, draw32(t, "second ei"))
		if one.ei.Public() == two.ei.Public() {
			t.Skip("drew one ephemeral twice")
		}
		msg1, s1 := one.initiate(t)
		msg2, s2 := two.initiate(t)
		resp1, keys1 := one.respond(t, &msg1)
		resp2, keys2 := two.respond(t, &msg2)
		if _, err := ConsumeResponse(&resp1, s2, two.ei.Ephemeral, two.i, &two.psk); !errors.Is(err, ErrDecrypt) {
			t.Fatalf("the first response at the second handshake: %v", err)
		}
		if _, err := ConsumeResponse(&resp2, s1, one.ei.Ephemeral, one.i, &one.psk); !errors.Is(err, ErrDecrypt) {
			t.Fatalf("the second response at the first handshake: %v", err)
		}
		if one.complete(t, &resp1, s1) != keys1 || two.complete(t, &resp2, s2) != keys2 {
			t.Fatal("a handshake gave other keys after a foreign response")
		}
	})
}

// precompute resolves a static-static secret that is not known yet.
func precompute(dh DH, remote *[32]byte) (ss StaticStatic, err error) {
	if err = ss.resolve(dh, remote); errors.Is(err, ErrLowOrder) {
		err = nil // an answer, kept as Never
	}
	return ss, err
}
