package cookie

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/purewire/purewire/protocol/wire"
	"github.com/purewire/purewire/timers"
)

// wantMAC2 checks that msg is signed for p under that cookie, nil for none, as a second implementation sees it.
func wantMAC2(t testing.TB, p *party, msg, cookie []byte, why string) {
	t.Helper()
	want := bytes.Clone(msg)
	refSign(want, p.public, cookie)
	if !bytes.Equal(msg, want) {
		t.Fatalf("%s: the MACs are %x, want %x", why, msg[len(msg)-32:], want[len(want)-32:])
	}
}

// COOKIE-01, COOKIE-04, COOKIE-05, COOKIE-06, COOKIE-09: our sender against a second implementation of the receiver.
func TestJarAgainstReference_COOKIE05(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		public, nonce := draw32(t, "public"), draw24(t, "nonce")
		cookie := drawBytes(t, "cookie", 16, 16)
		j := NewJar(&public)
		sign := func(label string, with []byte) []byte {
			msg := drawMessage(t, label)
			want := bytes.Clone(msg)
			j.Sign(h, msg, 0)
			if refSign(want, public, with); !bytes.Equal(msg, want) {
				t.Fatalf("%s: signed %x, want %x", label, msg[len(msg)-32:], want[len(want)-32:])
			}
			return msg
		}
		first := sign("first", nil)
		if got := j.Consume(refReply(first, cookie, public, nonce), 0); got != OK {
			t.Fatalf("a genuine reply: %v", got)
		}
		sign("second", cookie)
		sign("third", cookie)
	})
}

// COOKIE-05, COOKIE-18: our two sides with each other, in the three messages of a handshake under load.
func TestJarAgainstChecker_COOKIE18(t *testing.T) {
	p := newParty(0)
	first := p.message(0)
	if !p.c.CheckMAC1(p.h, first) || p.c.CheckMAC2(p.h, first, portA, 0) {
		t.Fatal("the first initiation should have a mac1 and no mac2")
	}
	if got := p.j.Consume(p.reply(t, first, portA, 1), 0); got != OK {
		t.Fatalf("the reply: %v", got)
	}
	second := p.message(timers.Time(5 * time.Second))
	if !p.c.CheckMAC1(p.h, second) || !p.c.CheckMAC2(p.h, second, portA, timers.Time(5*time.Second)) {
		t.Error("the retry with the cookie was refused")
	}
	if p.c.CheckMAC2(p.h, second, portB, timers.Time(5*time.Second)) {
		t.Error("the cookie of port A was accepted from port B (COOKIE-14)")
	}
}

// COOKIE-06: "additional data = the mac1 of the last handshake message sent to that peer".
func TestReplyToAnOlderMessage_COOKIE06(t *testing.T) {
	p := newParty(0)
	older := p.message(0)
	last := make([]byte, wire.ResponseSize)
	p.j.Sign(p.h, last, 0)
	if got := p.j.Consume(p.reply(t, older, portA, 1), 0); got != Forged {
		t.Fatalf("a reply bound to an older mac1: %v", got)
	}
	wrongKey := refReply(last, make([]byte, 16), [32]byte{200}, [24]byte{})
	if got := p.j.Consume(wrongKey, 0); got != Forged {
		t.Fatalf("a reply under another peer's key: %v", got)
	}
	if got := p.j.Consume(p.reply(t, last, portA, 2), 0); got != OK {
		t.Fatalf("the reply to the last message: %v", got)
	}
}

// COOKIE-08: "send two different cookies for one mac1; the next initiation must use the first".
func TestOneReplyPerMAC1_COOKIE08(t *testing.T) {
	p := newParty(0)
	if got := p.j.Consume(new([64]byte), 0); got != NothingSent {
		t.Fatalf("a reply to nothing: %v", got)
	}
	first := p.message(0)
	if got := p.j.Consume(p.reply(t, first, portA, 1), 0); got != OK {
		t.Fatalf("the first reply: %v", got)
	}
	if got := p.j.Consume(p.reply(t, first, portA, 1), 0); got != NothingSent {
		t.Fatalf("the same reply again: %v", got)
	}
	if got := p.j.Consume(p.reply(t, first, portB, 2), 0); got != NothingSent {
		t.Fatalf("another reply to the same message: %v", got)
	}
	second := p.message(0)
	wantMAC2(t, p, second, refCookie(p.secret, portA), "the next initiation")
	if got := p.j.Consume(p.reply(t, second, portB, 3), 0); got != OK {
		t.Fatalf("a reply to the next message: %v", got)
	}
	wantMAC2(t, p, p.message(0), refCookie(p.secret, portB), "after a newer cookie")
}

// COOKIE-10: "used for at most 120 s", and gone from then on.
func TestCookieExpiry_COOKIE10(t *testing.T) {
	const start = timers.Time(-3_000_000_000)
	for _, tc := range []struct {
		age  time.Duration
		used bool
	}{{0, true}, {time.Minute, true}, {120*time.Second - 1, true}, {120 * time.Second, false}, {time.Hour, false}} {
		p := newParty(start)
		p.j.Consume(p.reply(t, p.message(start), portA, 1), start)
		var cookie []byte
		if tc.used {
			cookie = refCookie(p.secret, portA)
		}
		wantMAC2(t, p, p.message(start.Add(tc.age)), cookie, tc.age.String())
		if empty := p.j.cookie == [16]byte{}; empty == tc.used {
			t.Errorf("age %v: cookie kept %x", tc.age, p.j.cookie)
		}
	}
}

// COOKIE-10: the 120 s run from the reply, and signing with a cookie does not lengthen its life.
func TestSigningDoesNotRefresh_COOKIE10(t *testing.T) {
	p := newParty(0)
	p.j.Consume(p.reply(t, p.message(0), portA, 1), timers.Time(2*time.Second))
	for s := timers.Time(5); s <= 200; s += 5 {
		var cookie []byte
		if s < 122 {
			cookie = refCookie(p.secret, portA)
		}
		now := s * timers.Time(time.Second)
		wantMAC2(t, p, p.message(now), cookie, time.Duration(now).String())
	}
}

// COOKIE-06, B028: every bit of nonce, cookie and tag flipped in turn: refused without a trace, and the genuine reply
// still counts. (The eight bytes before are the caller's: type, and the index that led to this jar, COOKIE-07.)
func TestForgedReplyChangesNothing_COOKIE06(t *testing.T) {
	p := newParty(0)
	p.j.Consume(p.reply(t, p.message(0), portB, 1), 0) // an older cookie that must survive
	msg := p.message(0)
	good := p.reply(t, msg, portA, 2)
	before := *p.j
	for bit := 8 * 8; bit < 8*64; bit++ {
		bad := (*[64]byte)(flip(good[:], bit))
		sent := *bad
		if got := p.j.Consume(bad, 1); got != Forged {
			t.Fatalf("bit %d of byte %d flipped: %v", bit%8, bit/8, got)
		}
		if *p.j != before {
			t.Fatalf("bit %d of byte %d flipped: the jar changed", bit%8, bit/8)
		}
		if *bad != sent {
			t.Fatal("Consume wrote to the datagram")
		}
	}
	if got := p.j.Consume(good, 0); got != OK {
		t.Fatalf("the genuine reply after the forged ones: %v", got)
	}
	wantMAC2(t, p, p.message(0), refCookie(p.secret, portA), "after the genuine reply")
}

// SEC-03: Wipe leaves neither cookie nor outstanding mac1, and the jar works on.
func TestWipe(t *testing.T) {
	p := newParty(0)
	p.j.Consume(p.reply(t, p.message(0), portA, 1), 0)
	msg := p.message(0)
	p.j.Wipe()
	if *p.j != (Jar{aead: p.j.aead, mac1Key: p.j.mac1Key}) {
		t.Errorf("left behind: %+v", *p.j)
	}
	if got := p.j.Consume(p.reply(t, msg, portA, 2), 0); got != NothingSent {
		t.Errorf("a reply to a message before the wipe: %v", got)
	}
	wantMAC2(t, p, p.message(0), nil, "after a wipe")
}

// Design §3, memory: the jar is allocated for each peer with which we shake hands.
func TestJarIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Jar]().Size(); size > 112 {
		t.Errorf("a jar has %d bytes", size)
	}
}

func mac1Of(msg []byte) []byte { return msg[len(msg)-32 : len(msg)-16] }

// A walk of messages, replies in any order, forgeries and time, against a model that says it in plain words.
func TestJarModel(t *testing.T) {
	h := NewHasher()
	rapid.Check(t, func(t *rapid.T) {
		public := draw32(t, "public")
		j := NewJar(&public)
		now := timers.Time(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "start"))
		var sent [][]byte // all messages so far
		open := false     // the last of them may still be answered
		var cookie []byte
		var got timers.Time
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now += timers.Time(rapid.Int64Range(0, 70e9).Draw(t, "wait")) },
			"sign": func(t *rapid.T) {
				msg := drawMessage(t, "message")
				want := bytes.Clone(msg)
				if now-got >= 120e9 {
					cookie = nil
				}
				refSign(want, public, cookie)
				if j.Sign(h, msg, now); !bytes.Equal(msg, want) {
					t.Fatalf("signed %x, want %x", msg[len(msg)-32:], want[len(want)-32:])
				}
				sent, open = append(sent, msg), true
			},
			"reply": func(t *rapid.T) {
				if len(sent) == 0 {
					t.Skip("nothing sent")
				}
				i := rapid.IntRange(max(0, len(sent)-2), len(sent)-1).Draw(t, "to")
				fresh := drawBytes(t, "cookie", 16, 16)
				want := Forged
				switch {
				case !open:
					want = NothingSent
				case bytes.Equal(mac1Of(sent[i]), mac1Of(sent[len(sent)-1])): // two messages may be equal by chance
					want, open, cookie, got = OK, false, fresh, now
				}
				if r := j.Consume(refReply(sent[i], fresh, public, draw24(t, "nonce")), now); r != want {
					t.Fatalf("reply to message %d of %d: %v, want %v", i, len(sent), r, want)
				}
			},
			"forge": func(t *rapid.T) {
				want := NothingSent
				if open {
					want = Forged
				}
				if r := j.Consume((*[64]byte)(drawBytes(t, "forgery", 64, 64)), now); r != want {
					t.Fatalf("a forgery: %v, want %v", r, want)
				}
			},
		})
	})
}
