package peer

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/crypto/curve25519"
)

func parties() (a, b *Party) {
	random := rand.NewChaCha8([32]byte{1})
	a, b = &Party{Static: NewPair(random), Random: random}, &Party{Static: NewPair(random), Random: random}
	a.Remote, b.Remote = b.Static.Public, a.Static.Public
	a.PSK, b.PSK = Key{9}, Key{9}
	return a, b
}

// TestHandshake: the two ends of this package understand each other, both ways, and every message has its layout.
func TestHandshake(t *testing.T) {
	a, b := parties()
	now := TAI64N(time.Unix(1700000000, 5))
	i, err := a.Initiate(now, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Read(i.Bytes)
	if err != nil || r.Static != a.Static.Public || r.Timestamp != now || r.Sender != i.Index {
		t.Fatalf("read %+v, %v", r, err)
	}
	resp, err := b.Respond(r, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(resp.Bytes)
	clear(forged[12:44])
	if _, err := i.Complete(forged); err == nil {
		t.Fatal("a response with a zero ephemeral completes")
	}
	s, err := i.Complete(resp.Bytes)
	if err != nil {
		t.Fatalf("after a forged response the genuine one fails: %v", err)
	}
	for _, pair := range [][2]*Session{{s, resp.Session}, {resp.Session, s}} {
		if p, err := pair[1].Open(pair[0].Seal([]byte("hello"))); err != nil || string(p) != "hello" {
			t.Fatalf("%q, %v", p, err)
		}
	}
	for _, m := range [][]byte{i.Bytes, resp.Bytes, s.Seal(nil)} {
		total := 0
		for _, f := range Fields(m) {
			if f.Offset != total || f.Name == "surplus" {
				t.Errorf("%v: field %+v after %d bytes", KindOf(m), f, total)
			}
			total += f.Length
		}
		if KindOf(m) == Malformed || total != len(m) {
			t.Errorf("%v: %d of %d bytes named", KindOf(m), total, len(m))
		}
	}
	if !CheckMAC1(i.Bytes, b.Static.Public) || CheckMAC1(i.Bytes, a.Static.Public) || !CheckMAC2(i.Bytes, nil) {
		t.Error("macs of the initiation")
	}
}

// TestLies: each Spec is noticed by a reader where it must be, and by nothing else.
func TestLies(t *testing.T) {
	a, b := parties()
	other := NewPair(a.Random)
	high := NewPair(a.Random)
	high.Public[31] |= 0x80
	low := LowOrderPair(Key{})
	index := uint32(0xffffffff)
	for name, c := range map[string]struct {
		spec Spec
		read bool // the initiation can be read
	}{
		"index":         {Spec{Index: &index}, true},
		"high bit":      {Spec{Ephemeral: &high}, true},
		"forged static": {Spec{Static: &Pair{Private: other.Private, Public: a.Static.Public}}, false},
		"other static":  {Spec{Static: &other}, true},
		"prologue":      {Spec{Prologue: "WireGuard v2"}, false},
		"low order":     {Spec{Ephemeral: &low}, false}, // flynn/noise refuses it as a subject must
		"label":         {Spec{MAC1Label: "mac2----"}, true},
	} {
		i, err := a.Initiate(Timestamp{1}, c.spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := b.Read(i.Bytes); (err == nil) != c.read {
			t.Errorf("%s: read: %v", name, err)
		}
		if CheckMAC1(i.Bytes, b.Static.Public) != (c.spec.MAC1Label == "") {
			t.Errorf("%s: mac1", name)
		}
	}
	for _, p := range LowOrderPoints() {
		if out, err := curve25519.X25519(a.Static.Private[:], p[:]); err == nil {
			t.Errorf("%x is not of low order: %x", p, out)
		}
	}
}

// TestCookies: what is issued for a mac1 can be opened with it and with no other, and mac2 follows.
func TestCookies(t *testing.T) {
	a, b := parties()
	i, err := a.Initiate(Timestamp{1}, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	cookie := bytes.Repeat([]byte{7}, 16)
	reply := CookieReply(b.Static.Public, i.Index, MAC1(i.Bytes), [24]byte{3}, cookie)
	if got, err := OpenCookieReply(reply, b.Static.Public, MAC1(i.Bytes)); err != nil || !bytes.Equal(got, cookie) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := OpenCookieReply(reply, b.Static.Public, [16]byte{}); err == nil {
		t.Error("a cookie for another mac1 opens")
	}
	Remac(i.Bytes, b.Static.Public, cookie)
	if !CheckMAC1(i.Bytes, b.Static.Public) || !CheckMAC2(i.Bytes, cookie) || CheckMAC2(i.Bytes, nil) {
		t.Error("macs with a cookie")
	}
}
