package cookie

import (
	"net/netip"
	"testing"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// benchPair returns both sides of one identity, an initiation signed with a fresh cookie, and its source.
func benchPair(b *testing.B) (*Hasher, *Checker, *Jar, []byte, netip.AddrPort) {
	b.Helper()
	public, secret, nonce := [32]byte{1}, [32]byte{2}, [24]byte{3}
	h, c, j := NewHasher(), new(Checker), NewJar(&public)
	c.SetKey(&public)
	c.SetSecret(0, &secret)
	src := netip.MustParseAddrPort("192.0.2.1:51820")
	msg := make([]byte, wire.InitiationSize)
	j.Sign(h, msg, 0)
	var reply [wire.CookieReplySize]byte
	if !c.Reply(h, &reply, msg, src, &nonce) || j.Consume(&reply, 0) != OK {
		b.Fatal("the cookie did not reach the jar")
	}
	j.Sign(h, msg, 0)
	return h, c, j, msg, src
}

func BenchmarkCheckMAC1(b *testing.B) {
	h, c, _, msg, _ := benchPair(b)
	b.ReportAllocs()
	for b.Loop() {
		if !c.CheckMAC1(h, msg) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCheckMAC2(b *testing.B) {
	h, c, _, msg, src := benchPair(b)
	b.ReportAllocs()
	for b.Loop() {
		if !c.CheckMAC2(h, msg, src, 0) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkReply(b *testing.B) {
	h, c, _, msg, src := benchPair(b)
	var reply [wire.CookieReplySize]byte
	var nonce [24]byte
	b.ReportAllocs()
	for b.Loop() {
		c.Reply(h, &reply, msg, src, &nonce)
	}
}

func BenchmarkConsumeForged(b *testing.B) {
	_, _, j, _, _ := benchPair(b)
	var reply [wire.CookieReplySize]byte
	b.ReportAllocs()
	for b.Loop() {
		if j.Consume(&reply, 0) != Forged {
			b.Fatal("a forgery was accepted")
		}
	}
}

// BenchmarkAllow asks for one source after the other: most of them find a place, none is remembered for long.
func BenchmarkAllow(b *testing.B) {
	h, seed := NewHasher(), [32]byte{4}
	s := NewSources(20, 5)
	now := timers.Time(0)
	src := netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		now += 50_000
		src = src.Next()
		s.Allow(h, &seed, src, now)
	}
}
