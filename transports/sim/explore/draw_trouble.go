package explore

import "github.com/purewire/purewire/transports/sim/scenario"

// ingredient is a kind of trouble, or another thing that not every run has.
type ingredient struct {
	name string
	add  func(*drawer)
}

// ingredients is what a seed picks a few of. Their order matters: it is what a seed means.
var ingredients = concat(onLines, onNetworks, onHosts, onConfiguration, byAttackers, moreTraffic)

func concat(lists ...[]ingredient) (all []ingredient) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// fault adds a rule on the network of a random host for a while.
func (d *drawer) fault(low, high scenario.Duration, r scenario.Rule) *scenario.Fault {
	lasts := min(d.span(low, high), d.heal-4*second)
	at := d.moment(lasts)
	return d.faultAt(d.host().Network, at, at+lasts, r)
}

func (d *drawer) faultAt(network string, from, until scenario.Duration, r scenario.Rule) *scenario.Fault {
	d.f.Faults = append(d.f.Faults, scenario.Fault{Name: d.label(r.Kind), Network: network,
		Direction: oneOf(d, "", "", "up", "down"), From: from, Until: until, Rule: r})
	return &d.f.Faults[len(d.f.Faults)-1]
}

// busy is a fault on a line that has much to carry meanwhile.
func (d *drawer) busy(lasts scenario.Duration, r scenario.Rule) {
	at := d.moment(lasts)
	a, b := d.tunnel()
	f := d.faultAt(a.Network, at, at+lasts, r)
	f.Direction = "up"
	d.rush(a.Name, b.Name, at+second, at+lasts)
}

// simple makes an ingredient of a rule that is drawn.
func simple(low, high scenario.Duration, rule func(d *drawer) scenario.Rule) func(*drawer) {
	return func(d *drawer) { d.fault(low, high, rule(d)) }
}

var onLines = []ingredient{
	{"loss", simple(20*second, 3*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "loss", Ratio: d.share(5, 60)}
	})},
	{"burst", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "burst", Enter: d.share(5, 20), Leave: d.share(10, 50)}
	})},
	{"duplicate", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "duplicate", Ratio: d.share(10, 60)}
	})},
	{"reorder", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "reorder", Ratio: d.share(10, 50), By: d.span(100*ms, 3*second)}
	})},
	{"corrupt", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "corrupt", Ratio: d.share(5, 50)}
	})},
	{"truncate", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "truncate", Ratio: d.share(5, 50)}
	})},
	{"extend", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "extend", Ratio: d.share(5, 50), Most: d.in(1, 40)}
	})},
	{"delay", simple(2*minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "delay", Max: d.span(500*ms, 3*second)}
	})},
	{"jitter", jitter("uniform")},
	{"normal-jitter", jitter("normal")},
	{"heavy-tail", jitter("pareto")},
	{"trace", simple(minute, 4*minute, func(*drawer) scenario.Rule {
		return scenario.Rule{Kind: "trace", CSV: "0s,40ms,0\n20s,200ms,2%\n40s,900ms,10%", Loop: true}
	})},
	{"queue", func(d *drawer) {
		d.busy(20*second, scenario.Rule{Kind: "queue", Rate: scenario.Rate(d.in(50, 200) * 1000)})
	}},
	{"codel", func(d *drawer) {
		d.busy(20*second, scenario.Rule{Kind: "queue", Rate: scenario.Rate(d.in(100, 200) * 1000), CoDel: true,
			Limit: 100_000})
	}},
	{"codel-again", func(d *drawer) {
		d.busy(15*second, scenario.Rule{Kind: "queue", Rate: 100_000, CoDel: true, Limit: 200_000})
	}},
	{"mtu-black-hole", mtu("black-hole")},
	{"mtu-report", mtu("report")},
	{"fragment", mtu("fragment")},
	{"fragment-loss", mtu("loss")},
	{"cut", func(d *drawer) {
		d.fault(5*second, 150*second, scenario.Rule{Kind: "cut"}).Direction = ""
	}},
	{"one-way", func(d *drawer) {
		d.fault(5*second, 150*second, scenario.Rule{Kind: "cut"}).Direction = oneOf(d, "up", "down")
	}},
	{"flap", simple(minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "flap", UpFor: d.span(5*second, 30*second), DownFor: d.span(second, 20*second),
			Jitter: d.span(0, 5*second)}
	})},
	{"blocked-udp", simple(10*second, minute, func(*drawer) scenario.Rule { return scenario.Rule{Kind: "block"} })},
	{"blocked-port", simple(20*second, 2*minute, func(*drawer) scenario.Rule {
		return scenario.Rule{Kind: "block", Ports: []uint16{51820}}
	})},
}

func jitter(shape string) func(*drawer) {
	return simple(2*minute, 4*minute, func(d *drawer) scenario.Rule {
		return scenario.Rule{Kind: "jitter", Max: d.span(100*ms, 2*second), Shape: shape, Ordered: d.percent(30)}
	})
}

// mtu is a path that is too narrow for some of what goes over it.
func mtu(way string) func(*drawer) {
	return func(d *drawer) {
		r := scenario.Rule{Kind: "mtu", Size: oneOf(d, 576, 900, 1000), TooBig: way}
		if way == "loss" {
			r.TooBig, r.FragmentLoss = "fragment", d.share(10, 40)
		}
		lasts := d.span(minute, 2*minute)
		at := d.moment(lasts)
		a, b := d.tunnel()
		d.faultAt(a.Network, at, at+lasts, r).Direction = "up"
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "ping", From: a.Name, To: b.Name, Start: at + second,
			Stop: at + lasts, Every: d.span(second, 3*second), Size: d.in(1000, 1400)})
	}
}
