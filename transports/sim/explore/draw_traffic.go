package explore

import "github.com/purewire/purewire/transports/sim/scenario"

// traffic draws something to carry in nearly every direction: who has nothing to say owes no recovery.
func (d *drawer) traffic() {
	slow := scenario.Duration(len(d.pairs)+1) / 2 // many tunnels say less each
	for _, p := range d.pairs {
		for _, l := range [...]link{p, {p.b, p.a}} {
			a, b := &d.f.Hosts[l.a], &d.f.Hosts[l.b]
			if d.percent(12) && peerOf(a, b.Name).Keepalive > 0 {
				continue
			}
			f := scenario.Flow{Kind: oneOf(d, "ping", "ping", "udp"), From: a.Name, To: b.Name,
				Start: d.span(second, 30*second), Every: d.span(2*second, (6+2*slow)*second)}
			f.IPv6 = d.percent(30) && len(a.Inner) > 1 && len(b.Inner) > 1
			if d.percent(20) {
				f.Size = d.in(100, 1400)
			}
			if d.percent(10) {
				f.TOS = uint8(d.r.Intn(256))
			}
			d.f.Traffic = append(d.f.Traffic, f)
		}
	}
}

// rush adds a burst of traffic between two hosts for a while: what fills queues and is under way while keys change.
func (d *drawer) rush(a, b string, from, until scenario.Duration) {
	f := scenario.Flow{From: a, To: b, Start: from, Stop: until}
	switch d.r.Intn(4) {
	case 0:
		f.Kind, f.Every, f.Size = "udp", 40*ms, 1200
	case 1:
		f.Kind, f.Every, f.Size = "poisson", 60*ms, 1000
	case 2:
		f.Kind, f.Congestion = "bulk", oneOf(d, "reno", "cubic")
		f.Bytes, f.Every = 40_000, 2*second
	case 3:
		f.Kind, f.Every, f.Size = "ping", 50*ms, 1300
	}
	d.f.Traffic = append(d.f.Traffic, f)
}

// moreTraffic holds the ingredients that are about traffic.
var moreTraffic = []ingredient{
	{"questions", func(d *drawer) {
		a, b := d.tunnel()
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "request", From: a.Name, To: b.Name,
			Start: d.span(second, 20*second), Every: d.span(2*second, 10*second), Reply: d.in(100, 900)})
	}},
	{"call", func(d *drawer) {
		a, b := d.tunnel()
		at := d.moment(20 * second)
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "voice", From: a.Name, To: b.Name, Start: at,
			Stop: at + 15*second})
	}},
	{"stream", func(d *drawer) {
		a, b := d.tunnel()
		at := d.moment(20 * second)
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "bulk", From: a.Name, To: b.Name, Start: at,
			Bytes: uint64(d.in(20, 400)) * 1000, Congestion: oneOf(d, "", "cubic")})
	}},
	{"liar", func(d *drawer) {
		a, b := d.tunnel()
		at := d.moment(60 * second)
		d.f.Traffic = append(d.f.Traffic, scenario.Flow{Name: d.label("lies"), Kind: "udp", From: a.Name, To: b.Name,
			Source: "10.99.0.1", Start: at, Stop: at + 60*second, Every: d.span(second, 5*second)})
	}},
	{"seldom", func(d *drawer) {
		// Longer than a key lives: each packet finds none, and both sides begin at once.
		a, b := d.tunnel()
		at := d.span(10*second, 20*second)
		for _, f := range [][2]string{{a.Name, b.Name}, {b.Name, a.Name}} {
			d.quiet(f[0], f[1])
			d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "udp", From: f[0], To: f[1], Start: at,
				Every: 190 * second})
		}
	}},
}

// quiet takes away what two hosts have to say to each other by themselves.
func (d *drawer) quiet(a, b string) {
	kept := d.f.Traffic[:0]
	for _, f := range d.f.Traffic {
		if f.From != a || f.To != b {
			kept = append(kept, f)
		}
	}
	d.f.Traffic = kept
	for i := range d.f.Hosts {
		if h := &d.f.Hosts[i]; h.Name == a {
			peerOf(h, b).Keepalive = 0
		}
	}
}

// crossing adds a pair that has seldom anything to say, then both sides at once, over a long way: their initiations
// cross, with nothing that would bring about another one.
func (d *drawer) crossing() {
	line := scenario.Link{Name: d.label("far"), Latency: d.span(100*ms, 400*ms)}
	d.f.Links = append(d.f.Links, line)
	a, b := d.addHost(d.addOpen()), d.addHost(d.addOpen())
	x, y := &d.f.Hosts[a], &d.f.Hosts[b]
	x.Peers, y.Peers = []scenario.Peer{{Host: y.Name, Endpoint: y.Name}}, []scenario.Peer{{Host: x.Name, Endpoint: x.Name}}
	d.network(x.Network).Link, d.network(y.Network).Link = line.Name, line.Name
	d.pairs = append(d.pairs, link{a, b})
	for _, at := range [...]scenario.Duration{d.span(5*second, 60*second), d.heal + d.span(10*second, 30*second)} {
		for _, f := range [][2]string{{x.Name, y.Name}, {y.Name, x.Name}} {
			d.f.Traffic = append(d.f.Traffic, scenario.Flow{Kind: "ping", From: f[0], To: f[1], Start: at,
				Every: 185 * second})
		}
	}
}

// receiving adds a pair of which one side begins a session and then only receives, late in its life (TIMER-08).
func (d *drawer) receiving() {
	a, b := d.addHost(d.addOpen()), d.addHost(d.addOpen())
	x, y := &d.f.Hosts[a], &d.f.Hosts[b]
	x.Peers, y.Peers = []scenario.Peer{{Host: y.Name, Endpoint: y.Name}}, []scenario.Peer{{Host: x.Name}}
	at := d.span(second, 10*second)
	d.f.Traffic = append(d.f.Traffic,
		scenario.Flow{Kind: "udp", From: x.Name, To: y.Name, Start: at, Every: 400 * second},
		scenario.Flow{Kind: "udp", From: y.Name, To: x.Name, Start: at + 170*second, Every: 400 * second})
}
