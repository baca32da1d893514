package cookie

import (
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
)

// DOS-06, design §3 rule 6: "Unauthenticated input […] allocates nothing". Each row also checks that the path it
// measures is the one it names.
func TestNothingAllocates_DOS06(t *testing.T) {
	p := newParty(0)
	msg := p.message(0)
	forged, zeroMAC2, signed := flip(msg, 8*120), p.message(0), p.message(0)
	refSign(signed, p.public, refCookie(p.secret, portA))
	badMAC2 := flip(signed, 8*140)
	long := netip.MustParseAddrPort("[2001:db8::1]:7")
	good := p.reply(t, msg, portA, 1)
	bad := (*[64]byte)(flip(good[:], 8*63))
	var reply [64]byte
	var nonce [24]byte
	load, budget, sources := NewLoad(4096, 20), NewBudget(20, 5), NewSources(20, 5)
	newcomer, clock := netip.MustParseAddr("10.0.0.1"), timers.Time(0)
	tick := func() timers.Time { clock += timers.Time(time.Millisecond); return clock }
	for _, tc := range []struct {
		name string
		run  func() bool
	}{
		{"CheckMAC1, valid", func() bool { return p.c.CheckMAC1(p.h, msg) }},
		{"CheckMAC1, forged", func() bool { return !p.c.CheckMAC1(p.h, forged) }},
		{"CheckMAC2, valid", func() bool { return p.c.CheckMAC2(p.h, signed, portA, 0) }},
		{"CheckMAC2, invalid", func() bool { return !p.c.CheckMAC2(p.h, badMAC2, portA, 0) }},
		{"CheckMAC2, IPv6", func() bool { return !p.c.CheckMAC2(p.h, signed, long, 0) }},
		{"CheckMAC2, zero", func() bool { return !p.c.CheckMAC2(p.h, zeroMAC2, portA, 0) }},
		{"Reply", func() bool { return p.c.Reply(p.h, &reply, msg, portA, &nonce) }},
		{"Reply, IPv6", func() bool { return p.c.Reply(p.h, &reply, msg, long, &nonce) }},
		{"SetSecret", func() bool { p.c.SetSecret(0, &p.secret); return !p.c.NeedsSecret(0) }},
		{"Sign, no cookie", func() bool { p.j.Sign(p.h, msg, 0); return !p.j.held }},
		{"Consume, forged", func() bool { return p.j.Consume(bad, 0) == Forged }},
		{"Sign and Consume, genuine", func() bool { p.j.Sign(p.h, msg, 0); return p.j.Consume(good, 0) == OK }},
		{"Consume, none sent", func() bool { return p.j.Consume(bad, 0) == NothingSent }},
		{"Sign, with a cookie", func() bool { p.j.Sign(p.h, msg, 0); return p.j.held }},
		{"Load", func() bool { load.Initiation(tick()); load.UnderLoad(clock, 600); return load.UnderLoad(clock, 0) }},
		{"Take", func() bool { budget.Take(tick()); return true }},
		{"Allow, known", func() bool {
			sources.Allow(p.h, &anySeed, portA.Addr(), tick())
			return sources.Len(clock) > 0
		}},
		{"Allow, newcomer", func() bool {
			newcomer = newcomer.Next()
			return sources.Allow(p.h, &anySeed, newcomer, tick())
		}},
		{"Allow, IPv6", func() bool { return sources.Allow(p.h, &anySeed, long.Addr(), tick()+clock*1000) }},
	} {
		right := true
		if n := testing.AllocsPerRun(100, func() { right = tc.run() && right }); n != 0 {
			t.Errorf("%s: %v allocations", tc.name, n)
		}
		if !right {
			t.Errorf("%s: not what it says", tc.name)
		}
	}
}

// anySeed is a seed for tables whose places do not matter.
var anySeed = [32]byte{42}
