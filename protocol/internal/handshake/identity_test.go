package handshake

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var errGone = errors.New("the agent is gone")

// gone fails n times and then works.
func gone(n int, id *identity) DH {
	return dhFunc(func(p [32]byte) ([32]byte, error) {
		if n > 0 {
			n--
			return [32]byte{1}, errGone
		}
		return id.DH(p)
	})
}

func wantIdentityError(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrIdentity) || !errors.Is(err, errGone) || errors.Is(err, ErrLowOrder) {
		t.Fatalf("%s: error %v; want ErrIdentity and its cause", what, err)
	}
	if !strings.Contains(err.Error(), errGone.Error()) {
		t.Fatalf("%s: %q does not name the cause", what, err)
	}
}

// An identity that fails once at each step: the step names it, nothing is cached, and the same step then succeeds.
func TestIdentityFails(t *testing.T) {
	sc := newScene(t, 10)
	want, pending := sc.initiate(t)
	dh := gone(1, sc.i)
	var ss StaticStatic
	create := func() (msg [148]byte, s State, err error) {
		s, err = CreateInitiation(&msg, sc.sender, sc.ei.Ephemeral, &sc.i.public, &sc.r.public, dh, &ss, &sc.stamp)
		return msg, s, err
	}
	msg, s, err := create()
	wantIdentityError(t, "CreateInitiation", err)
	if ss != (StaticStatic{}) || s != (State{}) || msg != [148]byte{} {
		t.Fatalf("a failed identity left %v, %x, %x", ss, s, msg)
	}
	if msg, s, err = create(); err != nil || msg != want || s != pending || ss.State != Known {
		t.Fatalf("CreateInitiation after the identity came back: %v", err)
	}

	dh = gone(1, sc.r)
	_, s, err = ConsumeInitiationStatic(&msg, &sc.r.public, dh)
	wantIdentityError(t, "ConsumeInitiationStatic", err)
	if s != (State{}) {
		t.Fatalf("a failed identity left %x", s)
	}
	remote, s, err := ConsumeInitiationStatic(&msg, &sc.r.public, dh)
	if err != nil {
		t.Fatalf("ConsumeInitiationStatic after the identity came back: %v", err)
	}

	dh, ss = gone(1, sc.r), StaticStatic{}
	first := s
	_, err = ConsumeInitiationTimestamp(&msg, &first, &remote, dh, &ss)
	wantIdentityError(t, "ConsumeInitiationTimestamp", err)
	if ss != (StaticStatic{}) || first != (State{}) {
		t.Fatalf("a failed identity left %v, %x", ss, first)
	}
	if _, err = ConsumeInitiationTimestamp(&msg, &s, &remote, dh, &ss); err != nil || s != pending {
		t.Fatalf("ConsumeInitiationTimestamp after the identity came back: %v", err)
	}

	resp, keys := sc.respond(t, &msg)
	dh = gone(1, sc.i)
	_, err = ConsumeResponse(&resp, pending, sc.ei.Ephemeral, dh, &sc.psk)
	wantIdentityError(t, "ConsumeResponse", err)
	got, err := ConsumeResponse(&resp, pending, sc.ei.Ephemeral, dh, &sc.psk)
	if err != nil || got != keys {
		t.Fatalf("ConsumeResponse after the identity came back: %v", err)
	}
}

// An identity that answers with anything but the truth completes no handshake in either role, and breaks nothing.
func TestIdentityAnswersGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		msg, pending := sc.initiate(t)
		resp, keys := sc.respond(t, &msg)
		answer := draw32(t, "answer")
		garbage := dhFunc(func([32]byte) ([32]byte, error) { return answer, nil })
		refused := func(what string, err error) {
			if err != ErrDecrypt && err != ErrLowOrder {
				t.Fatalf("%s with a made-up secret: %v", what, err)
			}
		}
		_, _, err := ConsumeInitiationStatic(&msg, &sc.r.public, garbage)
		refused("ConsumeInitiationStatic", err)
		remote, s, err := ConsumeInitiationStatic(&msg, &sc.r.public, sc.r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ConsumeInitiationTimestamp(&msg, &s, &remote, garbage, new(StaticStatic))
		refused("ConsumeInitiationTimestamp", err)
		_, err = ConsumeResponse(&resp, pending, sc.ei.Ephemeral, garbage, &sc.psk)
		refused("ConsumeResponse", err)
		if sc.complete(t, &resp, pending) != keys {
			t.Fatal("other keys afterwards")
		}
		// What a lying initiator sends, no honest responder takes.
		var lie [148]byte
		_, err = CreateInitiation(&lie, 1, sc.ei.Ephemeral, &sc.i.public, &sc.r.public, garbage, new(StaticStatic),
			&sc.stamp)
		if err == nil {
			_, _, _, err = sc.accept(&lie, new(StaticStatic))
		}
		refused("CreateInitiation", err)
	})
}

// The cached secret is used and the identity not asked: an initiator needs it for the response only, a responder for
// the first step only.
func TestStaticStaticIsCached(t *testing.T) {
	sc := newScene(t, 11)
	ss, err := precompute(sc.i, &sc.r.public)
	if err != nil || ss.State != Known {
		t.Fatalf("precomputed %v, %v", ss, err)
	}
	mirror, err := precompute(sc.r, &sc.i.public)
	if err != nil || mirror != ss {
		t.Fatalf("the sides disagree about the static-static secret: %v", err)
	}
	never := dhFunc(func([32]byte) ([32]byte, error) {
		t.Error("the identity was asked")
		return [32]byte{}, errGone
	})
	want, pending := sc.initiate(t)
	var msg [148]byte
	s, err := CreateInitiation(&msg, sc.sender, sc.ei.Ephemeral, &sc.i.public, &sc.r.public, never, &ss, &sc.stamp)
	if err != nil || msg != want || s != pending {
		t.Fatalf("CreateInitiation with a cached secret: %v", err)
	}
	remote, s, err := ConsumeInitiationStatic(&msg, &sc.r.public, sc.r)
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := ConsumeInitiationTimestamp(&msg, &s, &remote, never, &mirror)
	if err != nil || stamp != sc.stamp || s != pending {
		t.Fatalf("ConsumeInitiationTimestamp with a cached secret: %v", err)
	}
}
