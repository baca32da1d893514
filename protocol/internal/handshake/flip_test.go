package handshake

import (
	"crypto/hmac"
	"testing"

	"github.com/purewire/purewire/protocol/wire"
	"golang.org/x/crypto/blake2s"
	"pgregory.net/rapid"
)

// Where the AEADs of a message protect it: flips outside are mac1's business and must make no difference here.
const (
	initiationFrom, initiationTo = 8, 116
	responseFrom, responseTo     = 12, 60
)

// gate is what stands before this package in a device: type, length and mac1 under the receiver's key.
func gate(t tb, msg []byte, receiver *[32]byte) bool {
	t.Helper()
	_, problem := wire.Classify(msg)
	n := len(msg) - 32
	return problem == wire.OK && hmac.Equal(msg[n:n+16], mac1(t, msg, receiver))
}

func mac1(t tb, msg []byte, receiver *[32]byte) []byte {
	t.Helper()
	key := MAC1Key(receiver)
	d, err := blake2s.New128(key[:])
	if err != nil {
		t.Fatal(err)
	}
	d.Write(msg[:len(msg)-32])
	return d.Sum(nil)
}

// Each bit of an initiation in turn. A flip in a protected field is refused, also by who recomputes mac1; a flip
// anywhere before mac2 does not pass the gate. After each byte, the genuine message is accepted with the cache that
// the flipped ones had.
func TestFlipEveryBitOfInitiation(t *testing.T) {
	sc := newScene(t, 2)
	genuine, want := sc.initiate(t)
	copy(genuine[116:], mac1(t, genuine[:], &sc.r.public))
	if !gate(t, genuine[:], &sc.r.public) {
		t.Fatal("the genuine initiation does not pass the gate")
	}
	var ss StaticStatic
	for bit := range 8 * len(genuine) {
		msg, at := genuine, bit/8
		msg[at] ^= 1 << (bit % 8)
		if passes := gate(t, msg[:], &sc.r.public); passes != (at >= 132) {
			t.Fatalf("bit %d of byte %d flipped: the gate says %v", bit%8, at, passes)
		}
		_, stamp, s, err := sc.accept(&msg, &ss)
		if at >= initiationFrom && at < initiationTo {
			if err != ErrDecrypt || s != (State{}) || stamp != [12]byte{} {
				t.Fatalf("bit %d of byte %d flipped: error %v, state %x, timestamp %x", bit%8, at, err, s, stamp)
			}
		} else if err != nil || s != want || stamp != sc.stamp {
			t.Fatalf("bit %d of byte %d, which no AEAD covers, made a difference: %v", bit%8, at, err)
		}
		if bit%8 != 7 {
			continue
		}
		remote, stamp, s, err := sc.accept(&genuine, &ss)
		if err != nil || remote != sc.i.public || stamp != sc.stamp || s != want {
			t.Fatalf("the genuine initiation after flips in byte %d: %v", at, err)
		}
	}
	if ss.State != Known {
		t.Fatalf("the static-static secret is in state %d", ss.State)
	}
}

// Each bit of a response in turn, against one pending handshake (HS-10).
func TestHS10FlipEveryBitOfResponse(t *testing.T) {
	sc := newScene(t, 3)
	msg, pending := sc.initiate(t)
	genuine, want := sc.respond(t, &msg)
	copy(genuine[60:], mac1(t, genuine[:], &sc.i.public))
	if !gate(t, genuine[:], &sc.i.public) {
		t.Fatal("the genuine response does not pass the gate")
	}
	before := pending
	for bit := range 8 * len(genuine) {
		resp, at := genuine, bit/8
		resp[at] ^= 1 << (bit % 8)
		if passes := gate(t, resp[:], &sc.i.public); passes != (at >= 76) {
			t.Fatalf("bit %d of byte %d flipped: the gate says %v", bit%8, at, passes)
		}
		keys, err := ConsumeResponse(&resp, pending, sc.ei.Ephemeral, sc.i, &sc.psk)
		if at >= responseFrom && at < responseTo {
			if err != ErrDecrypt || keys != (Keys{}) {
				t.Fatalf("bit %d of byte %d flipped: keys %x, error %v", bit%8, at, keys, err)
			}
		} else if err != nil || keys != want {
			t.Fatalf("bit %d of byte %d, which no AEAD covers, made a difference: %v", bit%8, at, err)
		}
		if pending != before {
			t.Fatalf("bit %d of byte %d flipped changed the pending state", bit%8, at)
		}
		if bit%8 == 7 && sc.complete(t, &genuine, pending) != want {
			t.Fatalf("the genuine response gives other keys after flips in byte %d", at)
		}
	}
}

// Any damage to any scene: a random mask over the protected bytes, at least one bit of it set.
func TestRandomDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		genuine, pending := sc.initiate(t)
		var ss StaticStatic
		msg := genuine
		damage(t, msg[initiationFrom:initiationTo])
		if _, _, _, err := sc.accept(&msg, &ss); err != ErrDecrypt && err != ErrLowOrder {
			t.Fatalf("a damaged initiation: %v", err)
		}
		if _, _, s, err := sc.accept(&genuine, &ss); err != nil || s != pending {
			t.Fatalf("the genuine initiation after a damaged one: %v", err)
		}
		answer, want := sc.respond(t, &genuine)
		resp := answer
		damage(t, resp[responseFrom:responseTo])
		_, err := ConsumeResponse(&resp, pending, sc.ei.Ephemeral, sc.i, &sc.psk)
		if err != ErrDecrypt && err != ErrLowOrder {
			t.Fatalf("a damaged response: %v", err)
		}
		if sc.complete(t, &answer, pending) != want {
			t.Fatal("the genuine response gives other keys after a damaged one")
		}
	})
}

// damage flips at least one bit of b; one bit most often, as that is the hardest to see.
func damage(t *rapid.T, b []byte) {
	at := rapid.SliceOfNDistinct(rapid.IntRange(0, 8*len(b)-1), 1, 24, rapid.ID[int]).Draw(t, "bits")
	if rapid.Bool().Draw(t, "one bit") {
		at = at[:1]
	}
	for _, bit := range at {
		b[bit/8] ^= 1 << (bit % 8)
	}
}
