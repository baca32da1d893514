package handshake

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// prime is 2²⁵⁵ − 19.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// point encodes a u coordinate, which may be 2²⁵⁵ or more in all but the last bit.
func point(u *big.Int) (p [32]byte) {
	u.FillBytes(p[:])
	slices.Reverse(p[:])
	return p
}

// lowOrder are all encodings of the points whose order divides 8, on the curve and its twist: 0, 1, the two of order
// 8, p−1, p and p+1, each with bit 255 clear and set. The ladder ignores that bit, so 2p−1, 2p and 2p+1, which other
// lists have, are not among them.
func lowOrder(t tb) (points [][32]byte) {
	t.Helper()
	for _, decimal := range []string{
		"0", "1",
		"325606250916557431795983626356110631294008115727848805560023387167927233504",
		"39382357235489614581723060781553021112529911719440698176882885853963445705823",
	} {
		u, ok := new(big.Int).SetString(decimal, 10)
		if !ok {
			t.Fatal("not a number")
		}
		points = append(points, point(u))
	}
	for _, d := range []int64{-1, 0, 1} {
		points = append(points, point(new(big.Int).Add(prime, big.NewInt(d))))
	}
	for _, p := range points[:7:7] {
		p[31] |= 0x80
		points = append(points, p)
	}
	for _, p := range points {
		if oracleDH(bytes.Repeat([]byte{7}, 32), p[:]) != nil {
			t.Fatalf("%x has no low order", p)
		}
	}
	return points
}

// identities are the ways in which a static identity may meet a low order point, with what must come of it.
func (id *identity) lowOrderAnswers() map[string]struct {
	dh   DH
	want error
} {
	strange := errors.New("the agent does not like this point")
	return map[string]struct {
		dh   DH
		want error
	}{
		"says so": {id, ErrLowOrder},
		"answers zero": {dhFunc(func(p [32]byte) ([32]byte, error) {
			s, err := id.DH(p)
			if errors.Is(err, ErrLowOrder) {
				return [32]byte{}, nil
			}
			return s, err
		}), ErrLowOrder},
		"wraps it": {dhFunc(func(p [32]byte) ([32]byte, error) {
			s, err := id.DH(p)
			if err != nil {
				err = errors.Join(strange, err)
			}
			return s, err
		}), ErrLowOrder},
		"fails for a reason of its own": {dhFunc(func(p [32]byte) ([32]byte, error) {
			s, err := id.DH(p)
			if err != nil {
				err = strange
			}
			return s, err
		}), ErrIdentity},
	}
}

// exactly says whether err is want and none of the other reasons: what is counted as a low order point must not be
// counted as a failed identity too.
func exactly(err error, want error) bool {
	for _, e := range []error{ErrLowOrder, ErrDecrypt, ErrIdentity} {
		if errors.Is(err, e) != (e == want) {
			return false
		}
	}
	return true
}

// An initiation with a low order ephemeral can be sealed by a stranger who knows the outcome, all zero: es is the
// only secret that protects the static field. It must not get past the first step.
func TestCrypto11LowOrderInitiation(t *testing.T) {
	sc := newScene(t, 4)
	for _, p := range lowOrder(t) {
		r := sc.honest()
		r.Ei, r.es = p[:], make([]byte, 32)
		forged := r.run()
		msg := r.initiation(forged, 1)
		// The forgery is a good one: without the check it opens, and ss is honest.
		s := start(&sc.r.public)
		s.mixEphemeral(&p)
		var key, static [32]byte
		kdf(&s.Chain, make([]byte, 32), &s.Chain, &key)
		if err := s.open(static[:0], &key, msg[40:88]); err != nil || static != sc.i.public {
			t.Fatalf("%x: the forgery is no forgery: %v", p, err)
		}
		for how, id := range sc.r.lowOrderAnswers() {
			remote, s, err := ConsumeInitiationStatic(&msg, &sc.r.public, id.dh)
			if !exactly(err, id.want) || remote != [32]byte{} || s != (State{}) {
				t.Errorf("%x, identity %s: error %v, key %x; want %v and nothing", p, how, err, remote, id.want)
			}
		}
	}
}

// A response with a low order ephemeral, sealed by the responder itself with ee = se = 0, is refused, and the
// genuine one still completes (HS-10; flynn/noise does not get this right, design §11.2).
func TestCrypto11HS10LowOrderResponse(t *testing.T) {
	sc := newScene(t, 5)
	msg, pending := sc.initiate(t)
	genuine, want := sc.respond(t, &msg)
	for _, p := range lowOrder(t) {
		r := sc.honest()
		r.Er, r.ee, r.se = p[:], make([]byte, 32), make([]byte, 32)
		forged := r.run()
		resp := r.response(forged, sc.receiver, sc.sender)
		s := pending
		key := s.mixResponse(&p, &[32]byte{}, &[32]byte{}, &sc.psk)
		if err := s.open(nil, &key, resp[44:60]); err != nil {
			t.Fatalf("%x: the forgery is no forgery: %v", p, err)
		}
		keys, err := ConsumeResponse(&resp, pending, sc.ei.Ephemeral, sc.i, &sc.psk)
		if err != ErrLowOrder || keys != (Keys{}) {
			t.Errorf("%x: keys %x, error %v; want none and ErrLowOrder", p, keys, err)
		}
		if sc.complete(t, &genuine, pending) != want {
			t.Errorf("%x: other keys afterwards", p)
		}
	}
}

// The se result is checked on its own: an identity that lies with zeros for an honest ephemeral completes nothing.
func TestCrypto11ZeroAnswer(t *testing.T) {
	sc := newScene(t, 6)
	msg, pending := sc.initiate(t)
	genuine, want := sc.respond(t, &msg)
	zero := dhFunc(func([32]byte) ([32]byte, error) { return [32]byte{}, nil })
	if _, err := ConsumeResponse(&genuine, pending, sc.ei.Ephemeral, zero, &sc.psk); err != ErrLowOrder {
		t.Errorf("ConsumeResponse: %v, want ErrLowOrder", err)
	}
	if _, _, err := ConsumeInitiationStatic(&msg, &sc.r.public, zero); err != ErrLowOrder {
		t.Errorf("ConsumeInitiationStatic: %v, want ErrLowOrder", err)
	}
	if sc.complete(t, &genuine, pending) != want {
		t.Error("other keys afterwards")
	}
}

// ee and se of the responder.
func TestCrypto11LowOrderCreateResponse(t *testing.T) {
	sc := newScene(t, 7)
	msg, _ := sc.initiate(t)
	public := sc.ei.Public()
	for _, p := range lowOrder(t) {
		for what, points := range map[string][2]*[32]byte{
			"ephemeral": {&p, &sc.i.public}, "static": {&public, &p},
		} {
			_, _, s, err := sc.accept(&msg, new(StaticStatic))
			if err != nil {
				t.Fatal(err)
			}
			var resp [92]byte
			keys, err := CreateResponse(&resp, &s, 1, 2, sc.er.Ephemeral, points[0], points[1], &sc.psk)
			if err != ErrLowOrder || keys != (Keys{}) || s != (State{}) || resp != [92]byte{} {
				t.Errorf("%s %x: error %v, keys %x, response %x", what, p, err, keys, resp)
			}
		}
	}
}

// A peer whose public key has low order: nothing is sent to it, nothing accepted from it, and the answer is
// remembered.
func TestCrypto12LowOrderPeer(t *testing.T) {
	sc := newScene(t, 8)
	for _, p := range lowOrder(t) {
		for how, id := range sc.i.lowOrderAnswers() {
			state := Never
			if id.want == ErrIdentity {
				state = Unknown
			}
			calls := 0
			counted := dhFunc(func(p [32]byte) ([32]byte, error) { calls++; return id.dh.DH(p) })
			ss, err := precompute(counted, &p)
			if ss != (StaticStatic{State: state}) || (err == nil) != (state == Never) {
				t.Errorf("%x, identity %s: precomputed %v, %v", p, how, ss, err)
			}
			var cached StaticStatic
			for range 2 {
				var msg [148]byte
				_, err = CreateInitiation(&msg, 1, sc.ei.Ephemeral, &sc.i.public, &p, counted, &cached, &sc.stamp)
				if !exactly(err, id.want) || cached.State != state || msg != [148]byte{} {
					t.Errorf("%x, identity %s: CreateInitiation: %v, state %d", p, how, err, cached.State)
				}
				s := State{Hash: [32]byte{1}}
				_, err = ConsumeInitiationTimestamp(&msg, &s, &p, counted, &cached)
				if !exactly(err, id.want) || s != (State{}) {
					t.Errorf("%x, identity %s: ConsumeInitiationTimestamp: %v, state %x", p, how, err, s)
				}
			}
			if want := map[uint8]int{Never: 2, Unknown: 5}[state]; calls != want {
				t.Errorf("%x, identity %s: asked %d times, want %d", p, how, calls, want)
			}
		}
	}
}

// Even a cache that claims a secret for such a peer, which no identity can have given, sends nothing to it.
func TestCrypto12LowOrderPeerWithWrongCache(t *testing.T) {
	sc := newScene(t, 13)
	for _, p := range lowOrder(t) {
		var msg [148]byte
		_, err := CreateInitiation(&msg, 1, sc.ei.Ephemeral, &sc.i.public, &p, sc.i,
			&StaticStatic{[32]byte{1}, Known}, &sc.stamp)
		if err != ErrLowOrder || msg != [148]byte{} {
			t.Errorf("%x: error %v, message %x; want ErrLowOrder and nothing", p, err, msg)
		}
	}
}

// Ephemerals that are no canonical field elements: absorbed as received, computed with as RFC 7748 says. An honest
// key with bit 255 set has its old discrete logarithm; p+9 is the base point, so es is Sr itself and ee is Er.
func TestCrypto10NonCanonicalEphemeral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		base := rapid.Bool().Draw(t, "base point")
		top := byte(rapid.IntRange(0, 1).Draw(t, "bit 255")) << 7
		mangle := func(public []byte) []byte {
			out := bytes.Clone(public)
			if base {
				p := point(new(big.Int).Add(prime, big.NewInt(9)))
				out = p[:]
			}
			out[31] |= top
			return out
		}
		// The initiator's ephemeral.
		r := sc.honest()
		r.Ei = mangle(r.Ei)
		if base {
			r.es, r.ee = r.Sr, r.Er
		}
		want := r.run()
		msg := r.initiation(want, sc.sender)
		resp, keys := sc.respond(t, &msg)
		wantBytes(t, "response", resp[:], slicesOf(r.response(want, sc.receiver, sc.sender)))
		wantBytes(t, "the initiator's sending key", keys.Initiator[:], want.k1)
		wantBytes(t, "the responder's sending key", keys.Responder[:], want.k2)
		// The responder's.
		r = sc.honest()
		r.Er = mangle(r.Er)
		if base {
			r.ee, r.se = r.Ei, r.Si
		}
		want = r.run()
		_, s := sc.initiate(t)
		resp = r.response(want, sc.receiver, sc.sender)
		keys = sc.complete(t, &resp, s)
		wantBytes(t, "the initiator's sending key", keys.Initiator[:], want.k1)
		wantBytes(t, "the responder's sending key", keys.Responder[:], want.k2)
	})
}

func slicesOf(m [92]byte) []byte { return m[:] }

// A peer's static key may be configured in such an encoding too; h absorbs the encoding that the sender used.
func TestCrypto10NonCanonicalStatic(t *testing.T) {
	sc := newScene(t, 9)
	r := sc.honest()
	r.Si = bytes.Clone(r.Si)
	r.Si[31] |= 0x80
	want := r.run()
	msg := r.initiation(want, 1)
	remote, _, _, err := sc.accept(&msg, new(StaticStatic))
	if err != nil || !bytes.Equal(remote[:], r.Si) {
		t.Fatalf("static key %x, error %v; want the bytes that were sealed, %x", remote, err, r.Si)
	}
}
