package handshake

import (
	"bytes"
	"testing"

	"github.com/flynn/noise"
	"pgregory.net/rapid"
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)

// peer is one side of a scene played by flynn/noise. Random must be a fixed reader (its EphemeralKeypair is ignored
// for the e token) and the psk must always be set, zeros if there is none (design §11.2).
func (sc *scene) peer(t tb, initiator bool) *noise.HandshakeState {
	t.Helper()
	local, e := sc.r, sc.er
	var remote []byte
	if initiator {
		local, e, remote = sc.i, sc.ei, bytes.Clone(sc.r.public[:])
	}
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Random: bytes.NewReader(e.seed[:]), Pattern: noise.HandshakeIK, Initiator: initiator,
		Prologue: []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"), PresharedKeyPlacement: 2,
		StaticKeypair: noise.DHKey{Private: local.seed[:], Public: local.public[:]}, PeerStatic: remote,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err = hs.SetPresharedKey(sc.psk[:]); err != nil {
		t.Fatal(err)
	}
	return hs
}

func wantSplit(t tb, keys Keys, initiator, responder *noise.CipherState) {
	t.Helper()
	k1, k2 := initiator.UnsafeKey(), responder.UnsafeKey()
	wantBytes(t, "the initiator's sending key", keys.Initiator[:], k1[:])
	wantBytes(t, "the responder's sending key", keys.Responder[:], k2[:])
}

// We initiate, flynn/noise answers.
func TestInteropInitiator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		oracle := sc.peer(t, false)
		msg, s := sc.initiate(t)
		stamp, _, _, err := oracle.ReadMessage(nil, msg[8:116])
		if err != nil {
			t.Fatalf("flynn/noise refuses our initiation: %v", err)
		}
		wantBytes(t, "the timestamp that flynn/noise reads", stamp, sc.stamp[:])
		wantBytes(t, "the static key that flynn/noise reads", oracle.PeerStatic(), sc.i.public[:])
		wantBytes(t, "h after the initiation", s.Hash[:], oracle.ChannelBinding())

		fields, k1, k2, err := oracle.WriteMessage(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var resp [92]byte
		copy(resp[12:60], fields)
		wantSplit(t, sc.complete(t, &resp, s), k1, k2)
	})
}

// flynn/noise initiates, we answer; it sends the very bytes that we would have sent in its place.
func TestInteropResponder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		oracle := sc.peer(t, true)
		fields, _, _, err := oracle.WriteMessage(nil, sc.stamp[:])
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := sc.initiate(t)
		wantBytes(t, "our initiation", ours[8:116], fields)

		var msg [148]byte
		copy(msg[8:], fields)
		_, _, s, err := sc.accept(&msg, new(StaticStatic))
		if err != nil {
			t.Fatalf("we refuse the initiation of flynn/noise: %v", err)
		}
		wantBytes(t, "h after the initiation", s.Hash[:], oracle.ChannelBinding())

		resp, keys := sc.respond(t, &msg)
		payload, k1, k2, err := oracle.ReadMessage(nil, resp[12:60])
		if err != nil || len(payload) != 0 {
			t.Fatalf("flynn/noise reads our response as %x, %v", payload, err)
		}
		wantSplit(t, keys, k1, k2)
		wantBytes(t, "h after the response", sc.honest().run().empty.h, oracle.ChannelBinding())

		fields, _, _, err = answer(t, sc, &msg)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "our response", resp[12:60], fields)
	})
}

// answer is the response of flynn/noise to msg.
func answer(t tb, sc *scene, msg *[148]byte) ([]byte, *noise.CipherState, *noise.CipherState, error) {
	oracle := sc.peer(t, false)
	if _, _, _, err := oracle.ReadMessage(nil, msg[8:116]); err != nil {
		t.Fatal(err)
	}
	return oracle.WriteMessage(nil, nil)
}

// Messages cross between the two implementations in both directions with one side's psk changed by a bit: the
// initiator refuses in both.
func TestCrypto15InteropWrongPSK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		wrong := *sc
		wrong.psk[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		msg, s := sc.initiate(t)
		fields, _, _, err := answer(t, &wrong, &msg)
		if err != nil {
			t.Fatal(err)
		}
		var resp [92]byte
		copy(resp[12:60], fields)
		if _, err = ConsumeResponse(&resp, s, sc.ei.Ephemeral, sc.i, &sc.psk); err != ErrDecrypt {
			t.Fatalf("a response of flynn/noise under another psk: %v, want ErrDecrypt", err)
		}

		oracle := sc.peer(t, true)
		if fields, _, _, err = oracle.WriteMessage(nil, sc.stamp[:]); err != nil {
			t.Fatal(err)
		}
		copy(msg[8:], fields)
		resp, _ = wrong.respond(t, &msg)
		if _, _, _, err = oracle.ReadMessage(nil, resp[12:60]); err == nil {
			t.Fatal("flynn/noise takes our response under another psk")
		}
	})
}
