package explore

import "github.com/purewire/purewire/transports/sim/scenario"

// attack adds somebody who turns on some hosts for a while.
func (d *drawer) attack(lasts, every scenario.Duration, sources int, kinds ...string) *scenario.Attack {
	var targets []string
	for _, i := range d.some(len(d.f.Hosts), d.in(1, 3)) {
		targets = append(targets, d.f.Hosts[i].Name)
	}
	if targets[0] != "h0" && d.percent(50) {
		targets = append(targets[1:], "h0")
	}
	at := d.moment(lasts)
	d.f.Attacks = append(d.f.Attacks, scenario.Attack{Name: d.label("eve"), Targets: targets, Kinds: kinds, From: at,
		Until: at + lasts, Every: every, Sources: sources})
	return &d.f.Attacks[len(d.f.Attacks)-1]
}

var byAttackers = []ingredient{
	{"junk", func(d *drawer) {
		d.attack(2*minute, d.span(200*ms, 2*second), d.in(0, 30), "junk", "bad-mac1", "random-index", "stray-cookie")
	}},
	{"flood", func(d *drawer) { d.attack(12*second, d.span(200*ms, 500*ms)/10, 0, "good-mac1") }},
	{"spoofed-flood", func(d *drawer) { d.attack(12*second, d.span(200*ms, 500*ms)/10, 60, "good-mac1") }},
	{"overload", func(d *drawer) {
		// Many at a host with few slots for them, and then the cookies that it sends.
		a := d.attack(6*second, 5*ms, oneOf(d, 0, 2, 40), "good-mac1")
		a.Targets = a.Targets[:1]
		for i := range d.f.Hosts {
			if h := &d.f.Hosts[i]; h.Name == a.Targets[0] {
				h.JobTime = 20 * ms
			}
		}
	}},
	{"with-cookie", func(d *drawer) {
		// Who shows cookies is worked for, until he is too often; a slow host runs out of places then.
		a := d.attack(10*second, 10*ms, 0, "with-cookie")
		a.Targets = []string{"h0"}
		d.act(scenario.Action{At: a.From, Do: "job-time", Host: a.Targets[0], For: d.span(100*ms, 400*ms)})
		d.act(scenario.Action{At: a.Until, Do: "job-time", Host: a.Targets[0]})
	}},
	{"impostor", func(d *drawer) { d.attack(minute, d.span(500*ms, 2*second), 0, "impostor", "low-order") }},
	{"broken-cookie", func(d *drawer) { d.attack(4*minute, d.span(0, second)+ms, 0, "broken-cookie") }},
	{"replay", func(d *drawer) { d.attack(3*minute, d.span(500*ms, 3*second), 0, "replay") }},
	{"recorded", func(d *drawer) { d.attack(3*minute, d.span(500*ms, 3*second), 0, "recorded") }},
	{"bit-flip", func(d *drawer) { d.attack(3*minute, d.span(0, 2*second)+ms, 0, "bit-flip") }},
	{"forged-cookie", func(d *drawer) { d.attack(4*minute, d.span(0, second)+ms, 0, "forged-cookie") }},
	{"cookie-and-cut", func(d *drawer) {
		// Who forges cookies while the true answers are lost is believed most easily.
		a, b := d.tunnel()
		lasts := d.span(20*second, 60*second)
		eve := d.attack(lasts, 5*ms, 0, "forged-cookie")
		eve.Targets = []string{a.Name}
		if a.Name != "h0" {
			eve.Targets = append(eve.Targets, "h0")
		}
		d.faultAt(b.Network, eve.From, eve.Until, scenario.Rule{Kind: "cut"}).Direction = ""
	}},
	{"thief", func(d *drawer) {
		v := d.spoke()
		if v.Steals != "" {
			return
		}
		victim := *v
		thief := scenario.Host{Name: "thief", Network: d.addOpen(), Steals: victim.Name, Inner: victim.Inner}
		for i := range d.f.Hosts {
			if d.f.Hosts[i].Steals != "" {
				return
			}
		}
		for _, p := range victim.Peers {
			p.Keepalive = 30
			thief.Peers = append(thief.Peers, p)
		}
		d.f.Hosts = append(d.f.Hosts, thief)
	}},
}
