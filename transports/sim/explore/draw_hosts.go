package explore

import "github.com/purewire/purewire/transports/sim/scenario"

func (d *drawer) act(a scenario.Action) { d.f.Timeline = append(d.f.Timeline, a) }

// elsewhere gives a network to go to.
func (d *drawer) elsewhere() string {
	if d.percent(40) {
		return d.addOpen()
	}
	return d.addHome(d.nat())
}

// spoke draws a host that is not the first one.
func (d *drawer) spoke() *scenario.Host { return &d.f.Hosts[d.in(1, len(d.f.Hosts)-1)] }

// roam lets a host go elsewhere and mostly come back.
func (d *drawer) roam(gap, overlap scenario.Duration) {
	h := d.spoke()
	there, stay := d.elsewhere(), d.span(20*second, 100*second)
	at := d.moment(stay + gap + overlap)
	d.act(scenario.Action{At: at, Do: "roam", Host: h.Name, Network: there, For: gap, Overlap: overlap})
	if d.percent(70) {
		d.act(scenario.Action{At: at + stay, Do: "roam", Host: h.Name, Network: h.Network, For: gap, Overlap: overlap})
	}
}

// hamper lets a host lack something for long enough that it wants to shake hands meanwhile.
func hamper(what string) func(*drawer) {
	return func(d *drawer) {
		lasts := d.span(130*second, 3*minute)
		d.act(scenario.Action{At: d.moment(lasts), Do: what, Host: d.host().Name, For: lasts})
	}
}

var onHosts = []ingredient{
	{"roam", func(d *drawer) { d.roam(d.span(0, 10*second), 0) }},
	{"roam-overlap", func(d *drawer) { d.roam(0, d.span(second, 10*second)) }},
	{"homes", func(d *drawer) {
		h := d.host()
		if len(h.Homes) > 0 {
			return
		}
		other := d.elsewhere()
		h.Homes = []scenario.Home{{Network: other}}
		at := d.moment(40 * second)
		d.act(scenario.Action{At: at, Do: "home", Host: h.Name, Network: other})
		d.act(scenario.Action{At: at + d.span(10*second, 30*second), Do: "home", Host: h.Name, Network: h.Network})
	}},
	{"drift", func(d *drawer) {
		h := d.host()
		h.DriftPPM = int32(oneOf(d, -50_000, -500, 200, 20_000, 100_000))
	}},
	{"clock-step", func(d *drawer) {
		d.act(scenario.Action{At: d.moment(second), Do: "clock-step", Host: d.host().Name,
			By: oneOf[scenario.Duration](d, -1, 1) * d.span(second, 90*second)})
	}},
	{"wall-jump", func(d *drawer) {
		d.act(scenario.Action{At: d.moment(second), Do: "wall-clock", Host: d.host().Name,
			By: oneOf[scenario.Duration](d, -1, 1, 1, 60) * d.span(second, 10*minute)})
	}},
	{"no-rtc", func(d *drawer) {
		h := d.spoke()
		h.NoRTC, h.TimeSync = true, d.span(second, 30*second)
		lasts := d.span(second, 20*second)
		d.act(scenario.Action{At: d.moment(lasts + 40*second), Do: "restart", Host: h.Name, For: lasts})
	}},
	{"sleep", func(d *drawer) {
		lasts := d.span(10*second, 4*minute)
		d.act(scenario.Action{At: d.moment(lasts), Do: "sleep", Host: d.host().Name, For: lasts})
	}},
	{"restart", func(d *drawer) {
		lasts := d.span(0, 30*second)
		d.act(scenario.Action{At: d.moment(lasts), Do: "restart", Host: d.host().Name, For: lasts})
	}},
	{"restored-clock", func(d *drawer) {
		lasts := d.span(0, 30*second)
		d.act(scenario.Action{At: d.moment(lasts), Do: "restart", Host: d.spoke().Name, For: lasts,
			Back: d.span(second, 2*minute)})
	}},
	{"interface", func(d *drawer) {
		h, lasts := d.host().Name, d.span(second, 40*second)
		at := d.moment(lasts)
		d.act(scenario.Action{At: at, Do: "interface", Host: h, State: "down"})
		d.act(scenario.Action{At: at + lasts, Do: "interface", Host: h, State: "up"})
	}},
	{"slow-cpu", func(d *drawer) {
		h := d.host()
		h.JobTime, h.Workers = d.span(100*ms, 500*ms)/10, d.in(0, 2)
	}},
	{"slower-cpu", func(d *drawer) {
		h, lasts := d.host().Name, d.span(10*second, 90*second)
		at := d.moment(lasts)
		d.act(scenario.Action{At: at, Do: "job-time", Host: h, For: d.span(100*ms, 2*second)})
		d.act(scenario.Action{At: at + lasts, Do: "job-time", Host: h, For: 0})
	}},
	{"no-key", hamper("no-key")},
	{"token", hamper("token")},
	{"no-entropy", hamper("no-entropy")},
	{"nonsense", func(d *drawer) {
		d.act(scenario.Action{At: d.moment(second), Do: "nonsense", Host: d.host().Name})
	}},
	{"small", func(d *drawer) {
		h := d.host()
		h.Limits = &scenario.Limits{StagedPackets: d.in(1, 8), Jobs: oneOf(d, 8, 16, 32)}
	}},
}

var onConfiguration = []ingredient{
	{"rotate-key", func(d *drawer) {
		late := d.span(0, 40*second)
		d.act(scenario.Action{At: d.moment(late), Do: "rotate-key", Host: d.host().Name, For: late})
	}},
	{"rotate-psk", func(d *drawer) {
		a, b := d.tunnel()
		late, word := d.span(0, 40*second), d.label("psk")
		at := d.moment(late)
		d.act(scenario.Action{At: at, Do: "psk", Host: a.Name, Peer: b.Name, PSK: word})
		d.act(scenario.Action{At: at + late, Do: "psk", Host: b.Name, Peer: a.Name, PSK: word})
	}},
	{"remove-peer", func(d *drawer) { d.without(d.span(second, 60*second)) }},
	{"remove-peer-long", func(d *drawer) { d.without(d.span(minute, 3*minute)) }},
	{"keepalive", func(d *drawer) {
		a, b := d.tunnel()
		for range d.in(1, 3) {
			d.act(scenario.Action{At: d.moment(second), Do: "keepalive", Host: a.Name, Peer: b.Name,
				Keepalive: uint16(oneOf(d, 0, 5, 15, 25, 60))})
		}
	}},
	{"endpoint", func(d *drawer) {
		a, b := d.tunnel()
		if !d.open(b) {
			a, b = b, a
		}
		if !d.open(b) {
			return
		}
		lasts := d.span(5*second, 60*second)
		at := d.moment(lasts)
		if d.percent(60) {
			d.act(scenario.Action{At: at, Do: "endpoint", Host: a.Name, Peer: b.Name, Endpoint: "192.0.2.99:51820"})
		}
		d.act(scenario.Action{At: at + lasts, Do: "endpoint", Host: a.Name, Peer: b.Name, Endpoint: b.Name})
	}},
	{"allowed-ips", func(d *drawer) {
		a, b := d.tunnel()
		lasts := d.span(5*second, 60*second)
		at := d.moment(lasts)
		first := a.Peers[d.r.Intn(len(a.Peers))].Host
		d.act(scenario.Action{At: at, Do: "allowed-ips", Host: a.Name, Peer: first,
			AllowedIPs: append([]string{"10.99.0.0/16"}, b.Inner...)})
		for _, p := range a.Peers {
			if p.Host == b.Name || p.Host == first {
				d.act(scenario.Action{At: at + lasts, Do: "allowed-ips", Host: a.Name, Peer: p.Host,
					AllowedIPs: d.inner(p.Host)})
			}
		}
	}},
	{"no-allowed-ips", func(d *drawer) {
		a, b := d.tunnel()
		lasts := d.span(5*second, 60*second)
		at := d.moment(lasts)
		d.act(scenario.Action{At: at, Do: "allowed-ips", Host: a.Name, Peer: b.Name, AllowedIPs: []string{"10.99.0.0/16"}})
		d.act(scenario.Action{At: at + lasts, Do: "allowed-ips", Host: a.Name, Peer: b.Name, AllowedIPs: b.Inner})
	}},
}

// without removes a peer on one side for a while.
func (d *drawer) without(lasts scenario.Duration) {
	a, b := d.tunnel()
	at := d.moment(lasts)
	d.act(scenario.Action{At: at, Do: "remove-peer", Host: a.Name, Peer: b.Name})
	d.act(scenario.Action{At: at + lasts, Do: "add-peer", Host: a.Name, Peer: b.Name})
}

// inner lists the inner addresses of a host.
func (d *drawer) inner(name string) []string {
	for i := range d.f.Hosts {
		if d.f.Hosts[i].Name == name {
			return d.f.Hosts[i].Inner
		}
	}
	return nil
}
