package handshake

import (
	"bytes"
	"crypto/hmac"
	"hash"
	"testing"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
	"pgregory.net/rapid"
)

// reference is the table of rules.md §1.3 once more, slow and straight: every input of the key schedule is a field,
// so that a test can also compute what a cheat would send. It shares no code with the package and checks nothing.
type reference struct {
	Ei, Er, Si, Sr []byte // public keys as they are on the wire
	es, ss, ee, se []byte // Diffie-Hellman results
	psk, stamp     []byte
}

// step is the symmetric state after a line of the table, with the key that the line gave (nil if none).
type step struct{ C, h, k []byte }

// transcript is what comes out.
type transcript struct {
	start, e, es, static, ss, stamp     step // initiation
	er, ee, se, psk, empty              step // response
	staticField, stampField, emptyField []byte
	k1, k2                              []byte
}

func refHash(parts ...[]byte) []byte {
	d, err := blake2s.New256(nil)
	if err != nil {
		panic(err)
	}
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

func newBLAKE2s() hash.Hash {
	d, err := blake2s.New256(nil)
	if err != nil {
		panic(err)
	}
	return d
}

func refHMAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(newBLAKE2s, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// refKDF is D(n) of rules.md §1.3.
func refKDF(n int, c, x []byte) [][]byte {
	t0 := refHMAC(c, x)
	var out [][]byte
	var last []byte
	for i := 1; i <= n; i++ {
		last = refHMAC(t0, last, []byte{byte(i)})
		out = append(out, last)
	}
	return out
}

func refSeal(k, plaintext, ad []byte) []byte {
	a, err := chacha20poly1305.New(k)
	if err != nil {
		panic(err)
	}
	return a.Seal(nil, make([]byte, 12), plaintext, ad)
}

func (r reference) run() (t transcript) {
	C := refHash([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	h := refHash(C, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
	h = refHash(h, r.Sr)
	t.start = step{C, h, nil}

	C, h = refKDF(1, C, r.Ei)[0], refHash(h, r.Ei)
	t.e = step{C, h, nil}
	d := refKDF(2, C, r.es)
	C = d[0]
	t.es = step{C, h, d[1]}
	t.staticField = refSeal(d[1], r.Si, h)
	h = refHash(h, t.staticField)
	t.static = step{C, h, nil}
	d = refKDF(2, C, r.ss)
	C = d[0]
	t.ss = step{C, h, d[1]}
	t.stampField = refSeal(d[1], r.stamp, h)
	h = refHash(h, t.stampField)
	t.stamp = step{C, h, nil}

	C, h = refKDF(1, C, r.Er)[0], refHash(h, r.Er)
	t.er = step{C, h, nil}
	C = refKDF(1, C, r.ee)[0]
	t.ee = step{C, h, nil}
	C = refKDF(1, C, r.se)[0]
	t.se = step{C, h, nil}
	d = refKDF(3, C, r.psk)
	C, h = d[0], refHash(h, d[1])
	t.psk = step{C, h, d[2]}
	t.emptyField = refSeal(d[2], nil, h)
	h = refHash(h, t.emptyField)
	t.empty = step{C, h, nil}
	d = refKDF(2, C, nil)
	t.k1, t.k2 = d[0], d[1]
	return t
}

// oracleDH is x/crypto's X25519; a low order point gives nil.
func oracleDH(private, public []byte) []byte {
	out, err := curve25519.X25519(private, public)
	if err != nil {
		return nil
	}
	return out
}

func oraclePublic(private []byte) []byte { return oracleDH(private, curve25519.Basepoint) }

// honest is the reference of a scene in which nobody cheats.
func (sc *scene) honest() reference {
	ei, er := sc.ei.seed[:], sc.er.seed[:]
	r := reference{
		Ei: oraclePublic(ei), Er: oraclePublic(er), Si: oraclePublic(sc.i.seed[:]), Sr: oraclePublic(sc.r.seed[:]),
		psk: sc.psk[:], stamp: sc.stamp[:],
	}
	r.es, r.ss = oracleDH(ei, r.Sr), oracleDH(sc.i.seed[:], r.Sr)
	r.ee, r.se = oracleDH(er, r.Ei), oracleDH(er, r.Si)
	return r
}

// initiation and response lay the fields of a transcript out as messages, with type and indices and without MACs.
func (r reference) initiation(t transcript, sender uint32) (m [148]byte) {
	copy(m[:], bytes.Join([][]byte{{1, 0, 0, 0}, le32(sender), r.Ei, t.staticField, t.stampField}, nil))
	return m
}

func (r reference) response(t transcript, sender, receiver uint32) (m [92]byte) {
	copy(m[:], bytes.Join([][]byte{{2, 0, 0, 0}, le32(sender), le32(receiver), r.Er, t.emptyField}, nil))
	return m
}

func le32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }

func wantStep(t tb, what string, got State, want step) {
	t.Helper()
	if !bytes.Equal(got.Chain[:], want.C) {
		t.Fatalf("%s: C = %x, the reference has %x", what, got.Chain, want.C)
	}
	if !bytes.Equal(got.Hash[:], want.h) {
		t.Fatalf("%s: h = %x, the reference has %x", what, got.Hash, want.h)
	}
}

func wantBytes(t tb, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s is\n %x, the reference has\n %x", what, got, want)
	}
}

// Every line of the table of rules.md §1.3, on both sides, and the bytes of both messages.
func TestHandshakeAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		r := sc.honest()
		want := r.run()

		s := start(&sc.r.public)
		wantStep(t, "start", s, want.start)
		s.mixEphemeral((*[32]byte)(r.Ei))
		wantStep(t, "e", s, want.e)
		var key [32]byte
		kdf(&s.Chain, r.es, &s.Chain, &key)
		wantStep(t, "es", s, want.es)
		wantBytes(t, "the static field's key", key[:], want.es.k)

		msg, si := sc.initiate(t)
		wantStep(t, "initiator after the timestamp", si, want.stamp)
		if ref := r.initiation(want, sc.sender); msg != ref {
			t.Fatalf("initiation is\n %x, the reference has\n %x", msg, ref)
		}
		remote, sr, err := ConsumeInitiationStatic(&msg, &sc.r.public, sc.r)
		if err != nil {
			t.Fatalf("the responder refuses the static field: %v", err)
		}
		wantBytes(t, "the decrypted static key", remote[:], r.Si)
		wantStep(t, "responder after the static field", sr, want.static)
		key = [32]byte{}
		s = sr
		kdf(&s.Chain, r.ss, &s.Chain, &key)
		wantStep(t, "ss", s, want.ss)
		wantBytes(t, "the timestamp's key", key[:], want.ss.k)
		stamp, err := ConsumeInitiationTimestamp(&msg, &sr, &remote, sc.r, new(StaticStatic))
		if err != nil {
			t.Fatalf("the responder refuses the timestamp: %v", err)
		}
		wantBytes(t, "the decrypted timestamp", stamp[:], r.stamp)
		wantStep(t, "responder after the timestamp", sr, want.stamp)

		s = sr
		s.mixEphemeral((*[32]byte)(r.Er))
		wantStep(t, "e of the response", s, want.er)
		s = sr
		key = s.mixResponse((*[32]byte)(r.Er), (*[32]byte)(r.ee), (*[32]byte)(r.se), &sc.psk)
		wantStep(t, "psk", s, want.psk)
		wantBytes(t, "the empty field's key", key[:], want.psk.k)
		var field [16]byte
		s.seal(field[:], &key, nil)
		wantStep(t, "the empty field", s, want.empty)

		resp, keys := sc.respond(t, &msg)
		if ref := r.response(want, sc.receiver, sc.sender); resp != ref {
			t.Fatalf("response is\n %x, the reference has\n %x", resp, ref)
		}
		wantBytes(t, "the initiator's sending key", keys.Initiator[:], want.k1)
		wantBytes(t, "the responder's sending key", keys.Responder[:], want.k2)
		if got := sc.complete(t, &resp, si); got != keys {
			t.Fatalf("the sides disagree about the keys:\n %x\n %x", got, keys)
		}
	})
}
