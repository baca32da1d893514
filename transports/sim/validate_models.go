package sim

import (
	"fmt"
	"time"
)

// checkModels holds what the models of networks, hosts and attackers need together.
func (v *validator) checkModels() {
	for i := range v.sc.Networks {
		v.networkModels(&v.sc.Networks[i])
	}
	for i := range v.sc.Hosts {
		v.hostModels(&v.sc.Hosts[i])
	}
	for i := range v.sc.Faults {
		f := &v.sc.Faults[i]
		where := fmt.Sprintf("fault %q", f.Name)
		if f.Far != "" {
			v.network(where, f.Far)
		}
		v.rule(where, f.Rule)
	}
	for i := range v.sc.Attacks {
		if a := &v.sc.Attacks[i]; a.Sources < 0 || a.Sources > 1<<23 {
			v.fail("attack %q: its sources must be from 0 to %d", a.Name, 1<<23)
		}
	}
	if v.sc.Heal < 0 || v.sc.Heal >= v.sc.Duration && v.sc.Heal > 0 {
		v.fail("heal at %s: it must lie within the duration of %s", v.sc.Heal, v.sc.Duration)
	}
	for i := range v.sc.Timeline {
		if a := &v.sc.Timeline[i]; v.sc.Heal > 0 && a.At > v.sc.Heal {
			v.fail("timeline %d (%s at %s): it lies behind heal, when all trouble ends", i+1, a.Kind, a.At)
		}
	}
}

func (v *validator) networkModels(n *Network) {
	where := fmt.Sprintf("network %q", n.Name)
	for _, l := range []struct {
		name string
		line Line
	}{{": up", n.Up}, {": down", n.Down}} {
		if l.line.Shape >= invalidFromShape {
			v.fail("%s%s: no such shape of jitter", where, l.name)
		}
		for i, r := range l.line.Rules {
			v.rule(fmt.Sprintf("%s%s: rule %d", where, l.name, i+1), r)
		}
	}
	if f := n.Firewall; f != nil && f.Timeout < 0 {
		v.fail("%s: firewall: a timeout cannot be negative", where)
	}
	if t := n.NAT; t != nil && (t.Mappings < 0 || t.Mappings > 1<<16) {
		v.fail("%s: NAT: it can hold from 1 to 65536 mappings, or 0 for all", where)
	}
	if n.Behind == "" {
		return
	}
	o := v.network(where, n.Behind)
	switch {
	case o == nil:
	case n.NAT == nil:
		v.fail("%s: it is behind %q and needs a NAT", where, n.Behind)
	case !o.Prefix.Contains(n.NAT.Public):
		v.fail("%s: the public address %s of its NAT is not of the network %q that it is behind", where, n.NAT.Public,
			n.Behind)
	}
	for depth := 0; o != nil; o = v.networks[o.Behind] {
		if depth++; o == n || depth > len(v.sc.Networks) {
			v.fail("%s: it is behind itself", where)
			return
		}
	}
}

// maxDrift keeps clocks within what a bound can allow for.
const maxDrift = 100_000

func (v *validator) hostModels(h *Host) {
	where := fmt.Sprintf("host %q", h.Name)
	if h.DriftPPM > maxDrift || h.DriftPPM < -maxDrift {
		v.fail("%s: its drift must be from %d to %d ppm", where, -maxDrift, maxDrift)
	}
	if h.TimeSync < 0 {
		v.fail("%s: it cannot learn the time before it starts", where)
	}
	for _, home := range h.Homes {
		n := v.network(where, home.Network)
		if n == nil || !home.Address.IsValid() {
			continue
		}
		if !n.Prefix.Contains(home.Address) {
			v.fail("%s: its address %s is not of network %q", where, home.Address, n.Name)
		} else if n.NAT == nil {
			v.claim(where, home.Address)
		}
	}
	if h.Steals != "" {
		if o := v.host(where, h.Steals); o == h {
			v.fail("%s: it cannot steal its own key", where)
		} else if o != nil && o.Steals != "" {
			v.fail("%s: the key of %q is stolen itself", where, h.Steals)
		}
	}
}

// rule holds the parameters of a rule to what it can work with.
func (v *validator) rule(where string, r Rule) {
	switch r := r.(type) {
	case nil:
		v.fail("%s: a rule is needed", where)
	case Lose:
		v.ratio(where, r.Ratio)
	case Duplicate:
		v.ratio(where, r.Ratio)
	case Corrupt:
		v.ratio(where, r.Ratio)
	case Truncate:
		v.ratio(where, r.Ratio)
	case Extend:
		v.ratio(where, r.Ratio)
		v.least(where, "most", r.Most, 0)
	case Reorder:
		v.ratio(where, r.Ratio)
		v.delay(where, r.By)
	case Burst:
		for _, p := range []Ratio{r.Enter, r.Leave, r.LossGood, r.LossBad} {
			v.ratio(where, p)
		}
	case Late:
		v.delay(where, r.Min)
		v.delay(where, r.Max)
	case Jitter:
		v.delay(where, r.Base)
		v.delay(where, r.Most)
		if r.Shape >= invalidFromShape {
			v.fail("%s: no such shape of jitter", where)
		}
	case Queue:
		v.least(where, "limit", r.Limit, 0)
		v.delay(where, r.Target)
		v.delay(where, r.Interval)
		if r.Rate < 1000 {
			v.fail("%s: a rate of at least 1000 bits a second is needed", where)
		}
	case MTU:
		v.least(where, "MTU", r.Size, 576)
		v.ratio(where, r.FragmentLoss)
		if r.TooBig >= invalidFromTooBig {
			v.fail("%s: no such way with what is too big", where)
		}
	case Flap:
		v.delay(where, r.Up)
		v.delay(where, r.Down)
		v.delay(where, r.Jitter)
	}
}

func (v *validator) least(where, what string, n, least int) {
	if n < least {
		v.fail("%s: %s must be at least %d", where, what, least)
	}
}

func (v *validator) delay(where string, d time.Duration) {
	if d < 0 {
		v.fail("%s: a time cannot be negative", where)
	}
}
