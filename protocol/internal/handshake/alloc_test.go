package handshake

import "testing"

// sides are the steady work of both roles: the ephemeral is new each time, the static-static secret is cached.
func sides(t tb) (initiator, responder func()) {
	sc := newScene(t, 12)
	ss, err := precompute(sc.i, &sc.r.public)
	if err != nil {
		t.Fatal(err)
	}
	genuine, _ := sc.initiate(t)
	answer, want := sc.respond(t, &genuine)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	initiator = func() {
		var msg [148]byte
		e, err := NewEphemeral(&sc.ei.seed)
		must(err)
		s, err := CreateInitiation(&msg, sc.sender, e, &sc.i.public, &sc.r.public, sc.i, &ss, &sc.stamp)
		must(err)
		keys, err := ConsumeResponse(&answer, s, e, sc.i, &sc.psk)
		must(err)
		if msg != genuine || keys != want {
			t.Fatal("another handshake")
		}
	}
	responder = func() {
		var msg [92]byte
		remote, s, err := ConsumeInitiationStatic(&genuine, &sc.r.public, sc.r)
		must(err)
		_, err = ConsumeInitiationTimestamp(&genuine, &s, &remote, sc.r, &ss)
		must(err)
		e, err := NewEphemeral(&sc.er.seed)
		must(err)
		keys, err := CreateResponse(&msg, &s, sc.receiver, sc.sender, e, (*[32]byte)(genuine[8:]), &remote, &sc.psk)
		must(err)
		if msg != answer || keys != want {
			t.Fatal("another handshake")
		}
	}
	return initiator, responder
}

// The budget of issue 2: at most 30 allocations a side. crypto/ecdh takes four for a key pair and three for each
// result.
func TestHandshakeAllocations(t *testing.T) {
	initiator, responder := sides(t)
	i, r := testing.AllocsPerRun(50, initiator), testing.AllocsPerRun(50, responder)
	t.Logf("initiator %v, responder %v allocations", i, r)
	if i > 30 || r > 30 {
		t.Errorf("initiator %v, responder %v allocations; the budget is 30", i, r)
	}
}
