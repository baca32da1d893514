package bringup

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// pairOfParties are a tester and a subject who know each other.
func pairOfParties(psk peer.Key) (tester, subject *peer.Party) {
	random := rand.NewChaCha8([32]byte{7})
	tester = &peer.Party{Static: peer.NewPair(random), PSK: psk, Random: random}
	subject = &peer.Party{Static: peer.NewPair(random), PSK: psk, Random: random}
	tester.Remote, subject.Remote = subject.Static.Public, tester.Static.Public
	return tester, subject
}

// badInitiation is what a subject with mistakes sends.
func badInitiation(subject *peer.Party, m mistakes) []byte {
	e := peer.NewPair(subject.Random)
	now := peer.TAI64N(time.Unix(1700000000, 0))
	x := exchange{si: subject.Static.Public, sr: subject.Remote, ei: e.Public, psk: subject.PSK, stamp: now[:],
		es: product(e.Private, subject.Remote), ss: product(subject.Static.Private, subject.Remote)}
	l := &ladder{mistakes: m}
	l.initiation(&x)
	b := append(m.header(peer.KindInitiation, 1), x.ei[:]...)
	return peer.Remac(append(append(append(b, x.static...), x.when...), make([]byte, 32)...), subject.Remote, nil)
}

// badResponse is what it answers to a right initiation, which it has read rightly.
func badResponse(subject *peer.Party, i *peer.Initiation, m mistakes) []byte {
	e := peer.NewPair(subject.Random)
	x := asResponder(subject, i.Bytes, e)
	l := &ladder{}
	l.initiation(&x)
	l.mistakes = m
	l.response(&x)
	b := append(m.header(peer.KindResponse, 2, i.Index), x.er[:]...)
	return peer.Remac(append(append(b, x.empty...), make([]byte, 32)...), subject.Remote, nil)
}

// TestBringupTellsCausesApart: every cause of the key schedule changes a message, is found in it, and is not taken for
// another; so are two of them at once.
func TestBringupTellsCausesApart(t *testing.T) {
	tester, subject := pairOfParties(peer.Key{3})
	i, err := tester.Initiate(peer.Timestamp{1}, peer.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range in(inStart) {
		sets := []mistakes{{c.Code}}
		if n%9 == 0 && c.Code != "kdf-unchained" {
			sets = append(sets, mistakes{c.Code, "kdf-unchained"})
		}
		if c.Code == "psk-first" {
			continue // of the response alone: not mixed in any more
		}
		for _, m := range sets {
			d, _ := readInitiation(tester, badInitiation(subject, m))
			if d == nil {
				t.Errorf("%v changes nothing", m)
				continue
			}
			slices.Sort(m)
			slices.Sort(d.Codes)
			if !slices.Equal(d.Codes, m) || d.Parting == nil || slices.Equal(d.Parting.Expected, d.Parting.Actual) {
				t.Errorf("%v is taken for %v, parting %+v", m, d.Codes, d.Parting)
			}
		}
	}
	for _, c := range in(inResponse) {
		m := mistakes{c.Code}
		if c.Code == "timestamp-no-hash" || c.Code == "timestamp-hash-plain" {
			continue // of the initiation: tiny has them
		}
		d, _ := readResponse(tester, i, badResponse(subject, i, m))
		if d == nil || !slices.Equal(d.Codes, m) || d.Parting == nil ||
			slices.Equal(d.Parting.Expected, d.Parting.Actual) {
			t.Errorf("%v is taken for %+v", m, d)
		}
	}
	if d, _ := readInitiation(tester, badInitiation(subject, nil)); d != nil {
		t.Errorf("a right initiation: %+v", d)
	}
	if d, _ := readResponse(tester, i, badResponse(subject, i, nil)); d != nil {
		t.Errorf("a right response: %+v", d)
	}
}

// TestBringupTellsMACsApart: every single mistake in mac1 is found and described, and combinations too.
func TestBringupTellsMACsApart(t *testing.T) {
	tester, subject := pairOfParties(peer.Key{})
	all := append(macProbes(116), macRule{label: "cookie--", own: true}, macRule{function: "HMAC", to: 100},
		macRule{own: true, keyKind: "HMAC", from: 4})
	for _, r := range all {
		b := r.apply(badInitiation(subject, nil), subject.Static.Public, tester.Static.Public)
		found, ok := findMAC(b, 116, subject.Static.Public, tester.Static.Public, nil)
		// "mac1" with a NUL and without may be one key: compared is what they do.
		same := slices.Equal(found.sum(found.macKey(tester.Static.Public, subject.Static.Public), found.covered(b, 116)),
			r.sum(r.macKey(tester.Static.Public, subject.Static.Public), r.covered(b, 116)))
		code, text := found.diagnosis("mac1", 116)
		if !ok || !same || code == "" || text == "" {
			t.Errorf("%+v is taken for %+v: %s", r, found, text)
		}
		if d := readMAC1(tester, b); d == nil || d.Codes[0] != code {
			t.Errorf("%+v: %+v", r, d)
		}
	}
}

// TestBringupTellsTransportApart: the same for transport messages.
func TestBringupTellsTransportApart(t *testing.T) {
	s := tunnel{key: peer.Key{1}, back: peer.Key{2}, single: peer.Key{3}, hash: peer.Key{4}}
	for _, c := range in(inTransport) {
		m := mistakes{c.Code}
		d, found := readTransport(&s, s.seal(m, 3, []byte("hello")))
		// A message alone does not tell a reversed counter in the header from one in the nonce.
		same := slices.Equal(found, m) || c.Code == "counter-big-endian" && slices.Equal(found, mistakes{"nonce-big-endian"})
		if !same || d.Parting == nil || slices.Equal(d.Parting.Expected, d.Parting.Actual) {
			t.Errorf("%v is taken for %v, parting %+v", m, found, d.Parting)
		}
	}
}
