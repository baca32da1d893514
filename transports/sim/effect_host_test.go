package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

const at20 = 20 * time.Second

func lost(most uint64) func(*Result, *evidence) string {
	return func(r *Result, _ *evidence) string {
		n := r.Tunnels[0].AtoB.Lost()
		return expect(n <= most && r.Tunnels[0].AtoB.Delivered > 1000, "%d packets of a are lost, not up to %d", n, most)
	}
}

func noted(text string) func(*Result, *evidence) string {
	return func(r *Result, e *evidence) string {
		return expect(strings.Contains(strings.Join(e.notes, "\n"), text) && r.Tunnels[0].AtoB.Delivered > 1000,
			"no %q, or no traffic: %+v", text, r.Tunnels[0].AtoB)
	}
}

func cafe(sc *Scenario) {
	sc.Networks = append(sc.Networks, open("cafe", "192.0.2.32/28", Line{Latency: ms}))
}

func hostEffects() []effectCase {
	return []effectCase{
		{[]FaultKind{FaultRoam}, func(sc *Scenario) {
			cafe(sc)
			act(Action{At: at20, Kind: ActionRoam, Host: "a", Network: "cafe", For: 2 * time.Second})(sc)
		}, func(r *Result, e *evidence) string {
			n := r.Fates[FateUnsent]
			return expect(len(e.sources) == 3 && n > 95 && n < 110, "a seen as %v, %d unsent", e.sources, n) // the zero one too
		}},
		{[]FaultKind{FaultRoamOverlap}, func(sc *Scenario) {
			cafe(sc)
			act(Action{At: at20 + 500*ms, Kind: ActionRoam, Host: "a", Network: "cafe", Overlap: 2 * time.Second})(sc)
		}, func(r *Result, e *evidence) string {
			return expect(len(e.sources) == 2 && r.Fates[FateUnsent]+r.Fates[FateNoAddress]+r.Tunnels[0].AtoB.Lost() == 0,
				"a seen as %v, %v", e.sources, r.Fates)
		}},
		{[]FaultKind{FaultSourceChange}, func(sc *Scenario) {
			cafe(sc)
			sc.Hosts[0].Homes = []Home{{Network: "cafe"}}
			// Not while something is under way to the old address: that would make it the source again (ROAM-08).
			act(Action{At: at20 + 500*ms, Kind: ActionHome, Host: "a", Network: "cafe"})(sc)
		}, func(r *Result, e *evidence) string {
			cafe := e.sources[netip.MustParseAddrPort("192.0.2.33:51820")]
			return expect(len(e.sources) == 2 && cafe > 3000 && r.Tunnels[0].AtoB.Lost() == 0, "a seen as %v", e.sources)
		}},
		{[]FaultKind{FaultSleep}, act(Action{At: at20, Kind: ActionSleep, Host: "b", For: 5 * time.Second}),
			func(r *Result, _ *evidence) string {
				return expect(r.Fates[FateAsleep] > 240 && r.Fates[FateAsleep] < 260, "%v", r.Fates)
			}},
		{[]FaultKind{FaultRestart, FaultRestoredClock}, func(sc *Scenario) {
			act(Action{At: at20, Kind: ActionRestart, Host: "a", Back: 30 * time.Second})(sc)
			sc.Flows = sc.Flows[:1]
		}, func(r *Result, _ *evidence) string {
			// The timestamps of a are too old for b until its clock has caught up.
			return expect(drops(*r, protocol.DropOldTimestamp) > 0 && r.Tunnels[0].AtoB.Delivered > 1000, "%+v", r.Hosts[1])
		}},
		{[]FaultKind{FaultNoRTC}, func(sc *Scenario) {
			sc.Hosts[0].NoRTC, sc.Hosts[0].TimeSync = true, 5*time.Second
			act(Action{At: at20, Kind: ActionRestart, Host: "a"})(sc)
			sc.Flows = sc.Flows[:1]
		}, func(r *Result, e *evidence) string {
			if s := noted("learns that it is 2026-01-01 00:00:25")(r, e); s != "" {
				return s
			}
			return expect(drops(*r, protocol.DropOldTimestamp) > 0, "b takes initiations from 1970")
		}},
		{[]FaultKind{FaultInterface}, act(Action{At: at20, Kind: ActionInterface, Host: "b"},
			Action{At: 25 * time.Second, Kind: ActionInterface, Host: "b", On: true}), func(r *Result, _ *evidence) string {
			return expect(drops(*r, protocol.DropDown) > 200, "b, being down, drops %d", drops(*r, protocol.DropDown))
		}},
		{[]FaultKind{FaultSlowCPU}, func(sc *Scenario) {
			act(Action{At: 1, Kind: ActionJobTime, Host: "b", For: 300 * ms},
				Action{At: at20, Kind: ActionRestart, Host: "a"})(sc)
		}, func(r *Result, _ *evidence) string {
			d := r.Tunnels[0].AtoB.Delay.Max // what waited for the handshake after the restart
			return expect(d > 600*ms, "the longest delay is %s", d)
		}},
		{[]FaultKind{FaultDrift}, func(sc *Scenario) {
			sc.Hosts[0].DriftPPM, sc.Duration = 100_000, 400*time.Second
			sc.Flows = sc.Flows[:1]
		}, func(r *Result, _ *evidence) string {
			// 120 s by a's clock are 109.1 s: rekeys at 109, 218, 327 s, and three without drift.
			return expect(r.Tunnels[0].Handshakes == 4, "%d handshakes in 395 s", r.Tunnels[0].Handshakes)
		}},
		{[]FaultKind{FaultClockStep}, act(Action{At: at20, Kind: ActionClockStep, Host: "a", For: 110 * time.Second},
			Action{At: 50 * time.Second, Kind: ActionClockStep, Host: "b", For: -2 * time.Second}),
			func(r *Result, _ *evidence) string {
				return expect(r.Tunnels[0].Handshakes == 2, "%d handshakes", r.Tunnels[0].Handshakes) // a's key is 120 s old early
			}},
		{[]FaultKind{FaultWallJump}, act(Action{At: at20, Kind: ActionWallClock, Host: "a", For: time.Hour}),
			noted("by 1h0m0s")},
		{[]FaultKind{FaultRotateKey}, act(Action{At: at20, Kind: ActionRotateKey, Host: "a", For: 3 * time.Second}),
			func(r *Result, e *evidence) string {
				if s := noted("learns the new key of a")(r, e); s != "" {
					return s
				}
				return expect(drops(*r, protocol.DropUnknownPeer) > 0, "b takes a key that it does not know yet")
			}},
		{[]FaultKind{FaultRotatePSK}, act(Action{At: at20, Kind: ActionPSK, Host: "a", Peer: "b", Text: "new"},
			Action{At: 21 * time.Second, Kind: ActionPSK, Host: "b", Peer: "a", Text: "new"}), lost(0)},
		{[]FaultKind{FaultRemovePeer, FaultAddPeer}, act(Action{At: at20, Kind: ActionRemovePeer, Host: "a", Peer: "b"},
			Action{At: 25 * time.Second, Kind: ActionAddPeer, Host: "a", Peer: "b"}), noted("adds its peer b")},
		{[]FaultKind{FaultMoveAllowedIPs}, func(sc *Scenario) {
			sc.Hosts = append(sc.Hosts, Host{Name: "c", Network: "b-line", Inner: addrs("10.77.0.3"),
				Peers: []Peer{{Host: "a", Endpoint: "a"}}})
			sc.Hosts[0].Peers = append(sc.Hosts[0].Peers, Peer{Host: "c", Endpoint: "c"})
			act(Action{At: at20, Kind: ActionAllowedIPs, Host: "a", Peer: "c",
				Prefixes: prefixes("10.77.0.2/32", "10.77.0.3/32")},
				Action{At: 30 * time.Second, Kind: ActionAllowedIPs, Host: "a", Peer: "b",
					Prefixes: prefixes("10.77.0.2/32")})(sc)
		}, func(r *Result, _ *evidence) string {
			n := r.Tunnels[1].AtoB.Sent // to c, for ten seconds
			return expect(n >= 500 && n < 530 && r.Tunnels[1].AtoB.Delivered == n, "%+v", r.Tunnels[1].AtoB)
		}},
		{[]FaultKind{FaultMoveEndpoint}, act(Action{At: at20, Kind: ActionEndpoint, Host: "a", Peer: "b",
			Text: "203.0.113.9:1"}),
			func(r *Result, _ *evidence) string {
				return expect(r.Fates[FateNoAddress] > 0 && r.Fates[FateNoAddress] < 100, "%v", r.Fates) // until b pings
			}},
		{[]FaultKind{FaultKeepalive}, act(Action{At: at20, Kind: ActionKeepalive, Host: "a", Peer: "b", Number: 7}), lost(0)},
		{[]FaultKind{FaultStolenKey}, func(sc *Scenario) {
			sc.Hosts = append(sc.Hosts, Host{Name: "thief", Network: "b-line", Steals: "a", Inner: addrs("10.77.0.1"),
				Peers: []Peer{{Host: "b", Endpoint: "b"}}})
			sc.Flows = append(sc.Flows, Flow{Kind: FlowPing, From: "thief", To: "b", Start: at20, Interval: 10 * time.Second})
		}, func(r *Result, _ *evidence) string {
			// To b they are one, which moves to and fro.
			return expect(r.Tunnels[1].AtoB.Sent == 8 && r.Tunnels[0].Roamed > 2, "%+v", r.Tunnels)
		}},
	}
}

func attackEffects() []effectCase {
	silent := func(k AttackKind, least uint64) func(*Result, *evidence) string {
		return func(r *Result, e *evidence) string {
			f := e.attacks[k]
			return expect(f[FateRejected] >= least && f[FateDelivered] == 0 && r.Tunnels[0].AtoB.Lost() == 0, "%v", f)
		}
	}
	return []effectCase{
		{[]FaultKind{FaultJunk}, attack(AttackJunk, nil), silent(AttackJunk, 900)},
		{[]FaultKind{FaultReplay}, func(sc *Scenario) {
			attack(AttackRecorded, nil)(sc)
			fault(Lose{Percent(30)})(sc)
		}, func(_ *Result, e *evidence) string {
			f := e.attacks[AttackRecorded] // what was lost is taken for the first time, the rest is not
			return expect(f[FateDelivered] > 20 && f[FateRejected] > 300, "%v", f)
		}},
		{[]FaultKind{FaultFlood}, attack(AttackGoodMAC, nil), silent(AttackGoodMAC, 900)},
		{[]FaultKind{FaultSpoofedFlood}, func(sc *Scenario) {
			attack(AttackGoodMAC, func(a *Attack) { a.Sources, a.Interval = 50, 5*ms })(sc)
			sc.Hosts[1].JobTime = 10 * ms
		}, func(r *Result, e *evidence) string {
			// Its cookie replies go to nobody.
			return expect(r.Fates[FateNoAddress] > 100 && r.Tunnels[0].AtoB.Lost() == 0, "%v", r.Fates)
		}},
		{[]FaultKind{FaultForgedCookie}, attack(AttackForgedCookie,
			func(a *Attack) { a.Targets, a.From = []string{"a", "b"}, 0 }),
			func(r *Result, e *evidence) string {
				f := e.attacks[AttackForgedCookie]
				return expect(f[FateDelivered] == r.Effects[FaultForgedCookie] && r.Tunnels[0].AtoB.Lost() == 0, "%v", f)
			}},
		{[]FaultKind{FaultBitFlip}, attack(AttackBitFlip, nil), func(_ *Result, e *evidence) string {
			f := e.attacks[AttackBitFlip]
			return expect(f[FateRejected] > 700 && f[FateDelivered] <= 1, "%v", f) // mac2 may be flipped unseen
		}},
	}
}

// After Heal every direction is told what it owes, by when and why, or why it owes nothing, and those that owe recover.
func TestLiveness(t *testing.T) {
	for _, c := range []struct {
		name    string
		make    func(*Scenario)
		ab, ba  string // exemptions
		atLeast time.Duration
	}{
		{"trouble", fault(Cut{}), "", "", 0},
		{"restart", act(Action{At: 39 * time.Second, Kind: ActionRestart, Host: "b", For: time.Hour}), "", "", 0},
		{"asleep", act(Action{At: at20, Kind: ActionSleep, Host: "b"}), "", "", 0},
		{"down", act(Action{At: at20, Kind: ActionInterface, Host: "a"}), "", "", 0},
		{"nowhere", func(sc *Scenario) {
			cafe(sc)
			act(Action{At: at20, Kind: ActionRoam, Host: "a", Network: "cafe", For: time.Hour})(sc)
		}, "", "", 0},
		{"one talks", func(sc *Scenario) { sc.Flows = sc.Flows[:1] }, "", "no-traffic", 0},
		{"NAT", natted(homeNAT()), "", "", 0},
		{"NAT, only b talks", func(sc *Scenario) {
			natted(homeNAT())(sc)
			sc.Flows = sc.Flows[1:]
		}, "no-traffic", "no-way", 0},
		{"NAT that forgets between two packets", func(sc *Scenario) {
			natted(NAT{Filtering: AddressPortDependent, Timeout: 6 * time.Second})(sc)
			sc.Flows[0].Interval, sc.Flows[1].Interval = 17400*time.Millisecond, 19*time.Second
			sc.Duration = 400 * time.Second
		}, "", "no-way", 0},
		{"NAT that forgets later", func(sc *Scenario) {
			natted(NAT{Filtering: AddressPortDependent, Timeout: 18 * time.Second})(sc)
			sc.Flows[0].Interval, sc.Flows[1].Interval = 17400*time.Millisecond, 19*time.Second
			sc.Duration = 400 * time.Second
		}, "", "", 0},
		{"firewall", func(sc *Scenario) { sc.Networks[1].Firewall = &Firewall{} }, "", "", 0},
		{"no UDP", func(sc *Scenario) { sc.Networks[1].Firewall = &Firewall{BlockUDP: true} }, "no-way", "no-way", 0},
		{"peer gone", act(Action{At: at20, Kind: ActionRemovePeer, Host: "a", Peer: "b"}), "no-peer", "no-peer", 0},
		{"psk", act(Action{At: at20, Kind: ActionPSK, Host: "a", Peer: "b", Text: "x"}), "keys", "keys", 0},
		{"key", act(Action{At: at20, Kind: ActionRotateKey, Host: "a", For: time.Hour}), "", "", 0},
		{"clock", func(sc *Scenario) {
			act(Action{At: at20, Kind: ActionRestart, Host: "a", Back: time.Hour})(sc)
			natted(homeNAT())(sc)
		}, "clock", "clock", 0},
		{"keepalive only", func(sc *Scenario) {
			sc.Flows, sc.Hosts[0].Peers[0].Keepalive, sc.Duration = nil, 25, 400*time.Second
			act(Action{At: 39 * time.Second, Kind: ActionRestart, Host: "b"})(sc)
		}, "", "no-traffic", 60 * time.Second},
		{"keepalives of both", func(sc *Scenario) {
			sc.Flows, sc.Hosts[0].Peers[0].Keepalive, sc.Hosts[1].Peers[0].Keepalive = nil, 15, 25
			sc.Duration = 400 * time.Second
		}, "", "no-traffic", 0},
		{"short", func(sc *Scenario) { sc.Heal = 90 * time.Second }, "short-run", "short-run", 0},
	} {
		sc := two()
		sc.Heal = 40 * time.Second
		c.make(&sc)
		r := start(t, sc, Options{Seed: 6}).Run()
		if len(r.Liveness) != 2 || !r.OK() {
			t.Errorf("%s: %+v %v", c.name, r.Liveness, r.Violations)
			continue
		}
		for i, want := range []string{c.ab, c.ba} {
			l := r.Liveness[i]
			if l.Exempt != want || want == "" && (l.Took < 0 || l.Took > l.Bound || l.Why == "") {
				t.Errorf("%s: %+v, want exemption %q", c.name, l, want)
			}
		}
		if c.atLeast > 0 && r.Liveness[0].Took < c.atLeast {
			t.Errorf("%s: recovered in %s", c.name, r.Liveness[0].Took)
		}
	}
}

// Where trouble does not end, the checker says so: here because the core of b forgets to answer.
func TestRecoveryIsMissed(t *testing.T) {
	sc := two()
	sc.Heal, sc.Flows = 40*time.Second, sc.Flows[:1]
	act(Action{At: 39 * time.Second, Kind: ActionRestart, Host: "b"})(&sc)
	made := 0
	r := start(t, sc, Options{Seed: 1, NewDevice: func(c protocol.Config) (*protocol.Device, error) {
		if made++; made == 3 {
			c.Limits.Jobs = -1 // it shakes no hands
		}
		return protocol.New(c)
	}}).Run()
	if len(r.Violations) != 1 || r.Violations[0].Checker != "recovery" ||
		r.Violations[0].At < timers.Time(60*time.Second) {
		t.Errorf("%+v", r.Violations)
	}
}

// What hosts may lack and what those do who know the protocol: each shows in what the cores drop.
func forgedEffects() []effectCase {
	dropped := func(reason protocol.DropReason, least uint64) func(*Result, *evidence) string {
		return func(r *Result, _ *evidence) string {
			n := drops(*r, reason)
			return expect(n >= least && r.Tunnels[0].AtoB.Delivered > 1000, "%s: %d, not %d at least", reason, n, least)
		}
	}
	again := Action{At: 25 * time.Second, Kind: ActionRestart, Host: "b"} // so that hands must be shaken
	return []effectCase{
		{[]FaultKind{FaultNoKey}, act(Action{At: at20, Kind: ActionNoKey, Host: "a", For: 10 * time.Second}),
			dropped(protocol.DropNoIdentity, 10)},
		{[]FaultKind{FaultToken}, act(Action{At: at20, Kind: ActionToken, Host: "a", For: 20 * time.Second}, again),
			dropped(protocol.DropIdentityFailed, 1)},
		{[]FaultKind{FaultNoEntropy}, act(Action{At: at20, Kind: ActionNoEntropy, Host: "a", For: 20 * time.Second}, again),
			dropped(protocol.DropNoEntropy, 1)},
		{[]FaultKind{FaultNonsense}, act(Action{At: at20, Kind: ActionNonsense, Host: "a"}), dropped(protocol.DropNotIP, 1)},
		{[]FaultKind{FaultImpostor}, attack(AttackImpostor, func(a *Attack) {
			a.Kinds = append(a.Kinds, AttackLowOrder)
		}), func(r *Result, e *evidence) string {
			if s := dropped(protocol.DropLowOrder, 400)(r, e); s != "" {
				return s
			}
			return dropped(protocol.DropTimestampTag, 400)(r, e)
		}},
		{[]FaultKind{FaultCookieFlood}, func(sc *Scenario) {
			attack(AttackWithCookie, func(a *Attack) { a.Interval = 10 * ms })(sc)
			sc.Hosts[1].JobTime = 200 * ms
		}, func(r *Result, e *evidence) string {
			if s := dropped(protocol.DropRateLimited, 400)(r, e); s != "" {
				return s
			}
			return dropped(protocol.DropBusy, 10)(r, e)
		}},
		{[]FaultKind{FaultForgedCookie}, attack(AttackBrokenCookie,
			func(a *Attack) { a.Targets, a.From = []string{"a", "b"}, 0 }), dropped(protocol.DropCookieForged, 1)},
	}
}
