package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

func (c *compiler) traffic() {
	for i := range c.f.Traffic {
		if c.err != nil {
			return
		}
		c.flow(&c.f.Traffic[i], fmt.Sprintf("traffic[%d]", i))
	}
}

// flow makes a flow for each pair of hosts.
func (c *compiler) flow(f *Flow, path string) {
	w := kindOf(c, path, "kind", f.Kind, flowKinds, *f, flowFields)
	flow := sim.Flow{Name: f.Name, Kind: w.value, IPv6: f.IPv6, Start: f.Start.time(), Stop: f.Stop.time(),
		Interval: f.Every.time(), Size: f.Size, TOS: f.TOS, Source: c.addr(path+".source", f.Source, 0), Reply: f.Reply,
		Timeout: f.Timeout.time(), Tries: f.Tries, Bytes: f.Bytes, Window: f.Window, Playout: f.Playout.time(),
		Congestion: oneOf(c, path+".congestion", congestions, f.Congestion).value, OutageFloor: f.OutageFloor.time()}
	several := isPattern(f.From) || isPattern(f.To)
	made := 0
	for _, from := range c.match(path+".from", f.From, "") {
		for _, to := range c.match(path+".to", f.To, "") {
			if from == to && several {
				continue
			}
			one := flow
			one.From, one.To = from, to
			if several && f.Name != "" {
				one.Name = f.Name + " " + from + "→" + to
			}
			one.Start += f.Stagger.time() * time.Duration(made)
			made++
			c.out.Scenario.Flows = append(c.out.Scenario.Flows, one)
			c.located(fmt.Sprintf("flow %d ", len(c.out.Scenario.Flows)), path)
		}
	}
	if made == 0 {
		c.fail(path, "no two different hosts match %q and %q", f.From, f.To)
	}
}

func (c *compiler) timeline() {
	for i := range c.f.Timeline {
		if c.err != nil {
			return
		}
		c.action(&c.f.Timeline[i], fmt.Sprintf("timeline[%d]", i))
	}
}

// mostActions bounds what every: makes.
const mostActions = 100_000

// action makes an action for each moment and each host.
func (c *compiler) action(a *Action, path string) {
	w := kindOf(c, path, "do", a.Do, actionKinds, *a, actionFields)
	act := sim.Action{Kind: w.value, Peer: a.Peer, Network: a.Network, Address: c.addr(path+".address", a.Address, 0),
		For: a.For.time() + a.By.time(), Overlap: a.Overlap.time(), Back: a.Back.time(), Number: a.Keepalive,
		Text: a.PSK, Prefixes: c.prefixes(path+".allowed-ips", a.AllowedIPs, 0)}
	reads := strings.Fields(w.fields)
	act.On = c.state(path, a)
	if a.Endpoint != "" {
		act.Text = c.endpoint(path+".endpoint", a.Endpoint)
	}
	hosts := []string{""}
	for _, name := range reads {
		switch name {
		case "host":
			hosts = c.match(path+".host", a.Host, a.Peer)
		case "network":
			c.known(path+".network", "network", a.Network, c.nets)
		case "peer":
			c.known(path+".peer", "host", a.Peer, c.names)
		}
	}
	act.When = c.when(path, a)
	for _, at := range c.moments(a, path) {
		for i, h := range hosts {
			one := act
			one.Host, one.At = h, (at + a.Stagger*Duration(i)).time()
			if a.When != "" {
				one.At, one.After = at.time(), (a.After + a.Stagger*Duration(i)).time()
			}
			c.out.Scenario.Timeline = append(c.out.Scenario.Timeline, one)
			c.located(fmt.Sprintf("timeline %d ", len(c.out.Scenario.Timeline)), path)
		}
	}
}

// when reads the condition of an action.
func (c *compiler) when(path string, a *Action) sim.Trigger {
	if a.When == "" {
		if a.After != 0 {
			c.fail(path+".after", "after: goes with when:")
		}
		return nil
	}
	if a.Every != 0 || a.After < 0 {
		c.fail(path+".when", "an action with a condition happens once: when: goes with at: and after:, not with every:")
	}
	cond, err := parseWhen(a.When, c.vocabulary())
	if err != nil {
		c.fail(path+".when", "%s", err)
	}
	return cond
}

// state reads what an interface is to be.
func (c *compiler) state(path string, a *Action) bool {
	if a.Do != "interface" {
		return false
	}
	if a.State != "up" && a.State != "down" {
		c.fail(join(path, "state"), "%q is neither up nor down", a.State)
	}
	return a.State == "up"
}

// moments lists when an action happens.
func (c *compiler) moments(a *Action, path string) (list []Duration) {
	if a.Every == 0 {
		if a.Times != 0 || a.Until != 0 {
			c.fail(path, "times: and until: go with every:")
		}
		return []Duration{a.At}
	}
	if a.Every < 0 || a.Times < 0 {
		c.fail(path+".every", "nothing can happen less often than never")
		return nil
	}
	end := c.f.Duration
	if a.Until != 0 {
		end = min(a.Until, c.f.Duration)
	}
	for at := a.At; at < end && (a.Times == 0 || len(list) < a.Times); at += a.Every {
		if len(list) == mostActions {
			c.fail(path+".every", "this happens more than %d times", mostActions)
			return nil
		}
		list = append(list, at)
	}
	return list
}

func (c *compiler) faults() {
	for i := range c.f.Faults {
		f, path := &c.f.Faults[i], fmt.Sprintf("faults[%d]", i)
		if c.err != nil {
			return
		}
		if f.Name == "" {
			c.fail(path, "a fault needs a name")
		}
		dir := oneOf(c, path+".direction", directions, f.Direction).value
		for _, net := range [...]struct{ field, name string }{{".network", f.Network}, {".far", f.Far}} {
			if net.name != "" {
				c.known(path+net.field, "network", net.name, c.nets)
			}
		}
		c.located(fmt.Sprintf("fault %q", f.Name), path)
		c.out.Scenario.Faults = append(c.out.Scenario.Faults, sim.Fault{Name: f.Name, Network: f.Network, Far: f.Far,
			Up: dir[0], Down: dir[1], From: f.From.time(), Until: f.Until.time(), Rule: c.rule(path, &f.Rule, "")})
	}
}

func (c *compiler) attacks() {
	for i := range c.f.Attacks {
		a, path := &c.f.Attacks[i], fmt.Sprintf("attacks[%d]", i)
		if c.err != nil {
			return
		}
		attack := sim.Attack{Name: a.Name, Address: c.addr(path+".address", a.Address, 0), From: a.From.time(),
			Until: a.Until.time(), Interval: a.Every.time(), Sources: a.Sources}
		for j, t := range a.Targets {
			attack.Targets = append(attack.Targets, c.match(fmt.Sprintf("%s.targets[%d]", path, j), t, "")...)
		}
		for j, k := range a.Kinds {
			attack.Kinds = append(attack.Kinds, oneOf(c, fmt.Sprintf("%s.kinds[%d]", path, j), attackKinds, k).value)
		}
		c.located(fmt.Sprintf("attack %q", a.Name), path)
		c.out.Scenario.Attacks = append(c.out.Scenario.Attacks, attack)
	}
}

// validate lets the engine look, and finds the place of what it complains about: the longest part of its sentence
// that names something in the file.
func (c *compiler) validate() {
	err := c.out.Scenario.Validate()
	if err == nil {
		return
	}
	text := strings.TrimPrefix(err.Error(), "sim: ")
	path, known := "", ""
	for _, w := range c.where {
		if strings.HasPrefix(text, w.part) && len(w.part) > len(known) {
			path, known = w.path, w.part
		}
	}
	c.fail(path, "%s", text)
}
