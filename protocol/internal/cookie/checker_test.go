package cookie

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// COOKIE-01, COOKIE-19: a message signed by a second implementation passes, initiation or response.
func TestCheckMAC1AcceptsReference_COOKIE01(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		public, other := draw32(t, "public"), draw32(t, "other")
		msg := drawMessage(t, "message")
		var c Checker
		c.SetKey(&public)
		refSign(msg, public, nil)
		if !c.CheckMAC1(h, msg) {
			t.Fatal("a correct mac1 was refused")
		}
		if refSign(msg, other, nil); public != other && c.CheckMAC1(h, msg) {
			t.Fatal("a mac1 for another public key was accepted")
		}
	})
}

// COOKIE-02, B025, B026: any bit of mac1, or of what it covers, makes the message foreign; mac2 is not covered.
func TestCheckMAC1EveryBit_COOKIE02(t *testing.T) {
	for _, size := range []int{wire.InitiationSize, wire.ResponseSize} {
		p := newParty(0)
		msg := make([]byte, size)
		p.j.Sign(p.h, msg, 0)
		for bit := range 8 * size {
			want := bit >= 8*(size-16)
			if got := p.c.CheckMAC1(p.h, flip(msg, bit)); got != want {
				t.Fatalf("%d bytes, bit %d of byte %d flipped: CheckMAC1 %v", size, bit%8, bit/8, got)
			}
		}
	}
}

// COOKIE-12: only the right mac2 is valid. One bit off in mac2, mac1 or the body is not; zeros and chance are not.
func TestCheckMAC2EveryBit_COOKIE12(t *testing.T) {
	p := newParty(0)
	msg := p.message(0)
	refSign(msg, p.public, refCookie(p.secret, portA))
	if !p.c.CheckMAC2(p.h, msg, portA, 0) {
		t.Fatal("the right mac2 was refused (COOKIE-18)")
	}
	for bit := range 8 * len(msg) {
		if p.c.CheckMAC2(p.h, flip(msg, bit), portA, 0) {
			t.Fatalf("accepted with bit %d of byte %d flipped", bit%8, bit/8)
		}
	}
	for name, mac2 := range map[string]byte{"zeros": 0, "ones": 0xff} {
		copy(msg[len(msg)-16:], bytes.Repeat([]byte{mac2}, 16))
		if p.c.CheckMAC2(p.h, msg, portA, 0) {
			t.Errorf("a mac2 of %s was accepted", name)
		}
	}
}

// COOKIE-14: "a 16-byte MAC of the source IP address and UDP port": cookies of different sources differ, and a mac2
// made with one of them is good from its own source only.
func TestCookieBelongsToItsSource_COOKIE14(t *testing.T) {
	p := newParty(0)
	rapid.Check(t, func(t *rapid.T) {
		a := drawSource(t, "a")
		b := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) netip.AddrPort { return drawSource(t, "b") }),
			rapid.Just(netip.AddrPortFrom(a.Addr(), a.Port()+1)),
			rapid.Just(netip.AddrPortFrom(a.Addr(), a.Port()<<8|a.Port()>>8)),
			rapid.Just(netip.AddrPortFrom(a.Addr().Next(), a.Port())),
		).Draw(t, "b")
		same := a.Addr().Unmap() == b.Addr().Unmap() && a.Port() == b.Port()
		msg := drawMessage(t, "message")
		refSign(msg, p.public, refCookie(p.secret, a))
		if !p.c.CheckMAC2(p.h, msg, a, 0) {
			t.Fatalf("refused from %v, where its cookie belongs", a)
		}
		if got := p.c.CheckMAC2(p.h, msg, b, 0); got != same {
			t.Fatalf("cookie of %v used from %v: %v", a, b, got)
		}
	})
}

// COOKIE-14: an IPv4-mapped source is the IPv4 source, whichever socket it came in by.
func TestCookieOfMappedAddress_COOKIE14(t *testing.T) {
	p := newParty(0)
	msg := p.message(0)
	refSign(msg, p.public, refCookie(p.secret, portA))
	mapped := netip.AddrPortFrom(netip.AddrFrom16(portA.Addr().As16()), portA.Port())
	if mapped == portA || !p.c.CheckMAC2(p.h, msg, mapped, 0) {
		t.Fatalf("the cookie of %v is refused from %v", portA, mapped)
	}
}

// COOKIE-15, OPEN-8: a secret lives less than 120 s, and the one before it is not remembered.
func TestSecretLife_COOKIE15(t *testing.T) {
	const start = timers.Time(-7_000_000_000)
	at := func(d time.Duration) timers.Time { return start.Add(d) }
	p := newParty(start)
	msg := p.message(start)
	refSign(msg, p.public, refCookie(p.secret, portA))
	for _, tc := range []struct {
		age  time.Duration
		live bool
	}{
		{0, true}, {119 * time.Second, true}, {120*time.Second - 1, true},
		{120 * time.Second, false}, {time.Hour, false},
	} {
		if got := p.c.CheckMAC2(p.h, msg, portA, at(tc.age)); got != tc.live {
			t.Errorf("secret of age %v: CheckMAC2 %v", tc.age, got)
		}
		if got := p.c.NeedsSecret(at(tc.age)); got == tc.live {
			t.Errorf("secret of age %v: NeedsSecret %v", tc.age, got)
		}
	}
	next := [32]byte{99}
	now := at(120 * time.Second)
	p.c.SetSecret(now, &next)
	if p.c.CheckMAC2(p.h, msg, portA, now) {
		t.Error("a cookie under the previous secret was accepted")
	}
	refSign(msg, p.public, refCookie(next, portA))
	if !p.c.CheckMAC2(p.h, msg, portA, now) || p.c.NeedsSecret(now) {
		t.Error("a cookie under the new secret was refused")
	}
}

// COOKIE-13, COOKIE-14, COOKIE-16: what a second implementation finds inside a reply.
func TestReplyOpensWithReference_COOKIE13(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		public, secret, nonce := draw32(t, "public"), draw32(t, "secret"), draw24(t, "nonce")
		msg, src := drawMessage(t, "message"), drawSource(t, "source")
		refSign(msg, public, nil)
		var c Checker
		c.SetKey(&public)
		c.SetSecret(0, &secret)
		before := slices.Clone(msg)
		reply := (*[64]byte)(bytes.Repeat([]byte{0xcc}, 64)) // dirty, as an arena is
		if !c.Reply(h, reply, msg, src, &nonce) {
			t.Fatal("no reply")
		}
		if !bytes.Equal(before, msg) {
			t.Fatal("Reply wrote to the message")
		}
		if want := slices.Concat([]byte{3, 0, 0, 0}, msg[4:8], nonce[:]); !bytes.Equal(reply[:32], want) {
			t.Fatalf("header %x, want %x", reply[:32], want)
		}
		got, err := refOpen(reply, msg, public)
		if err != nil || !bytes.Equal(got, refCookie(secret, src)) {
			t.Fatalf("cookie %x (%v), want %x", got, err, refCookie(secret, src))
		}
	})
}

// COOKIE-16: "the cookie itself does not depend on [the nonce]".
func TestNonceDoesNotChangeTheCookie_COOKIE16(t *testing.T) {
	p := newParty(0)
	msg := p.message(0)
	seen := map[[64]byte]bool{}
	for n := range 1000 {
		reply, nonce := new([64]byte), [24]byte{byte(n), byte(n >> 8)}
		p.c.Reply(p.h, reply, msg, portA, &nonce)
		seen[*reply] = true
		got, err := refOpen(reply, msg, p.public)
		if err != nil || !bytes.Equal(got, refCookie(p.secret, portA)) {
			t.Fatalf("reply %d holds cookie %x (%v)", n, got, err)
		}
	}
	if len(seen) != 1000 {
		t.Fatalf("%d different replies under 1000 nonces", len(seen))
	}
}

// COOKIE-21: after a key change neither messages nor cookies of the old identity count.
func TestKeyChange_COOKIE21(t *testing.T) {
	p := newParty(0)
	old := p.message(0)
	refSign(old, p.public, refCookie(p.secret, portA))
	public := [32]byte{77}
	p.c.SetKey(&public)
	if p.c.CheckMAC1(p.h, old) {
		t.Error("mac1 for the old key was accepted")
	}
	if !p.c.NeedsSecret(0) || p.c.CheckMAC2(p.h, old, portA, 0) {
		t.Error("the old secret is still in use")
	}
	var reply, zero [64]byte
	if p.c.Reply(p.h, &reply, old, portA, new([24]byte)) || reply != zero {
		t.Error("a reply was made without a secret")
	}
	refSign(old, public, nil)
	if !p.c.CheckMAC1(p.h, old) {
		t.Error("mac1 for the new key was refused")
	}
}

// SEC-08, B028: no length and no source panics, with or without key and secret; short messages are never valid.
func TestNothingPanics_SEC08(t *testing.T) {
	h := NewHasher()
	public, secret := [32]byte{1}, [32]byte{2}
	var bare, keyless, keyed, full Checker
	keyless.SetSecret(0, &secret)
	keyed.SetKey(&public)
	full.SetKey(&public)
	full.SetSecret(0, &secret)
	for n := range 200 {
		msg := bytes.Repeat([]byte{byte(n), 0xa7}, n)[:n]
		for _, src := range []netip.AddrPort{{}, portA} {
			for name, c := range map[string]*Checker{"bare": &bare, "keyless": &keyless, "keyed": &keyed, "full": &full} {
				var reply [64]byte
				made := c.Reply(h, &reply, msg, src, new([24]byte))
				if c.CheckMAC1(h, msg) || c.CheckMAC2(h, msg, src, 0) {
					t.Errorf("%s: %d chance bytes were accepted", name, n)
				}
				if made != (c == &full && n >= 40) {
					t.Errorf("%s: reply to %d bytes: %v", name, n, made)
				}
			}
		}
	}
}

// SEC-08: what is too short for a sender index and two MACs is no handshake message, however well signed.
func TestShortMessages_SEC08(t *testing.T) {
	p := newParty(0)
	for n := 32; n <= 40; n++ {
		msg := make([]byte, n)
		refSign(msg, p.public, refCookie(p.secret, portA))
		mac1, mac2 := p.c.CheckMAC1(p.h, msg), p.c.CheckMAC2(p.h, msg, portA, 0)
		if want := n == 40; mac1 != want || mac2 != want {
			t.Errorf("%d bytes: mac1 %v, mac2 %v", n, mac1, mac2)
		}
	}
}

// SEC-08: a Checker without a key accepts not even what its zero keys would sign.
func TestNoKeyAcceptsNothing(t *testing.T) {
	h, c := NewHasher(), new(Checker)
	msg := make([]byte, wire.InitiationSize)
	copy(msg[116:], refMAC(make([]byte, 32), msg[:116]))
	copy(msg[132:], refMAC(refCookie([32]byte{}, portA), msg[:132]))
	if c.CheckMAC1(h, msg) || c.CheckMAC2(h, msg, portA, 0) {
		t.Fatal("accepted under an all-zero key")
	}
}

// COOKIE-14: the cookie is of address and port alone; a zone is a local name and changes nothing.
func TestCookieIgnoresTheZone_COOKIE14(t *testing.T) {
	p := newParty(0)
	msg := p.message(0)
	plain, zoned := netip.MustParseAddrPort("[fe80::1]:7"), netip.MustParseAddrPort("[fe80::1%eth0]:7")
	refSign(msg, p.public, refCookie(p.secret, plain))
	if !p.c.CheckMAC2(p.h, msg, zoned, 0) {
		t.Fatalf("the cookie of %v is refused from %v", plain, zoned)
	}
}
