package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// Compiled is a scenario that can be run, with what is expected of it.
type Compiled struct {
	Scenario sim.Scenario
	Expect   []Expectation
}

// Compile expands the templates, resolves the names and checks everything, so that sim.New takes the scenario. Errors
// are of type [*Error]. The File is not changed, and the result shares no memory with it that a run would change.
func (f *File) Compile() (*Compiled, error) {
	c := &compiler{f: f, byName: map[string]int{}}
	c.head()
	c.lines()
	c.networks()
	c.hosts()
	c.traffic()
	c.timeline()
	c.faults()
	c.attacks()
	c.expect()
	if c.err == nil {
		c.validate()
	}
	if c.err != nil {
		return nil, c.err
	}
	return &c.out, nil
}

// compiler goes through a File. After the first error nothing more is looked at in earnest.
type compiler struct {
	f     *File
	out   Compiled
	err   error
	links map[string]sim.Line
	nats  map[string]sim.NAT
	nets  []string
	names []string // of hosts
	where []located
	// byName finds a host in out.Scenario.Hosts.
	byName map[string]int
}

// located says what sim.Scenario.Validate calls the part of the file at a path.
type located struct{ part, path string }

func (c *compiler) located(part, path string) { c.where = append(c.where, located{part, path}) }

func (c *compiler) fail(path, format string, args ...any) {
	if c.err == nil {
		c.err = c.f.source.errorAt(path, format, args...)
	}
}

// oneOf looks a word of a closed list up; the empty word is the first one.
func oneOf[T any](c *compiler, path string, list []word[T], name string) word[T] {
	if name == "" {
		return list[0]
	}
	w, ok := lookUp(list, name)
	if !ok {
		c.fail(path, "%q is not known%s", name, DidYouMean(name, names(list)))
	}
	return w
}

// kindOf looks the kind of a tagged value up and refuses the fields that this kind does not read.
func kindOf[T any](c *compiler, path, tag, kind string, list []word[T], v any, common string) word[T] {
	if kind == "" {
		c.fail(join(path, tag), "it is missing; there are %s", strings.Join(names(list), ", "))
		return word[T]{}
	}
	w := oneOf(c, join(path, tag), list, kind)
	if stray, found := strayField(v, common, w.fields); found && w.name != "" {
		own := "no fields of its own"
		if w.fields != "" {
			own = strings.Join(strings.Fields(w.fields), ", ")
		}
		c.fail(join(path, stray), "%s: %s does not read this field; it reads %s", tag, kind, own)
	}
	return w
}

func (c *compiler) head() {
	f, sc := c.f, &c.out.Scenario
	if f.Version != Version {
		c.fail("version", "version %d is not known; this is version %d", f.Version, Version)
	}
	if f.Name == "" {
		c.fail("name", "it is missing; a scenario needs a name")
	}
	if f.Duration <= 0 {
		c.fail("duration", "it is missing; a scenario needs a duration such as 5m")
	}
	if f.WarmUp < 0 || f.WarmUp >= f.Duration && f.WarmUp > 0 {
		c.fail("warm-up", "%s is not within the duration", f.WarmUp)
	}
	sc.Name, sc.About, sc.Duration, sc.NoStranger = f.Name, f.About, f.Duration.time(), f.NoStranger
	sc.Heal = f.Heal.time()
	if sc.About == "" {
		sc.About = f.Question
	}
	if f.Wall != "" {
		wall, err := time.Parse(time.RFC3339Nano, f.Wall)
		if err != nil {
			c.fail("wall", "%q is no time such as 2026-01-31T12:00:00Z", f.Wall)
		}
		sc.Wall = wall.UTC()
	}
}

// lines reads the named links and NATs, those of everybody first.
func (c *compiler) lines() {
	c.links, c.nats = map[string]sim.Line{}, map[string]sim.NAT{}
	for i, l := range slices.Concat(Links(), c.f.Links) {
		path := fmt.Sprintf("links[%d]", i-len(Links()))
		if l.Name == "" {
			c.fail(path, "a link needs a name")
		}
		c.links[l.Name] = sim.Line{Latency: l.Latency.time(), Jitter: l.Jitter.time(), Loss: sim.Ratio(l.Loss),
			Duplicate: sim.Ratio(l.Duplicate), Corrupt: sim.Ratio(l.Corrupt), Ordered: l.Ordered,
			Shape: oneOf(c, path+".shape", shapes, l.Shape).value, Rules: c.rules(path+".rules", l.Rules)}
	}
	for i, n := range slices.Concat(NATs(), c.f.NATs) {
		path := fmt.Sprintf("nats[%d]", i-len(NATs()))
		if n.Name == "" {
			c.fail(path, "a NAT needs a name")
		}
		c.nats[n.Name] = sim.NAT{Mapping: oneOf(c, path+".mapping", dependences, n.Mapping).value,
			Filtering: oneOf(c, path+".filtering", dependences, n.Filtering).value,
			Ports:     oneOf(c, path+".ports", portChoices, n.Ports).value, Timeout: n.Timeout.time(),
			InboundRefresh: n.InboundRefresh, Hairpin: n.Hairpin, Mappings: n.Mappings, Evict: n.Evict}
	}
}

func (c *compiler) rules(path string, list []Rule) (rules []sim.Rule) {
	for i := range list {
		rules = append(rules, c.rule(fmt.Sprintf("%s[%d]", path, i), &list[i], ""))
	}
	return rules
}

// rule makes one rule; common are the fields that stand beside those of the rule.
func (c *compiler) rule(path string, r *Rule, common string) sim.Rule {
	w := kindOf(c, path, "kind", r.Kind, ruleKinds, *r, "kind "+common)
	if r.Kind == "trace" {
		if _, err := sim.ParseTrace(strings.NewReader(r.CSV)); err != nil {
			c.fail(join(path, "csv"), "%s", err)
		}
	}
	oneOf(c, join(path, "shape"), shapes, r.Shape)
	oneOf(c, join(path, "too-big"), tooBigs, r.TooBig)
	if c.err != nil {
		return nil
	}
	return w.value(r)
}

// line finds a named link.
func (c *compiler) line(path, name string) sim.Line {
	if name == "" {
		return sim.Line{}
	}
	l, ok := c.links[name]
	if !ok {
		var known []string
		for _, k := range slices.Concat(c.f.Links, Links()) {
			known = append(known, k.Name)
		}
		c.fail(path, "there is no link %q%s", name, DidYouMean(name, known))
	}
	return l
}

// times calls f for each index that a count asks for: 1 to count, or once 0.
func (c *compiler) times(path string, count int, f func(index int)) {
	switch {
	case count < 0 || count > mostCopies:
		c.fail(join(path, "count"), "%d is not from 1 to %d", count, mostCopies)
	case count == 0:
		f(0)
	default:
		for i := 1; i <= count && c.err == nil; i++ {
			f(i)
		}
	}
}

// mostCopies bounds a count, so that a typing error does not take all memory.
const mostCopies = 100_000

// text expands a template.
func (c *compiler) text(path, text string, index int) string {
	s, err := expand(text, index)
	if err != nil {
		c.fail(path, "%s", err)
	}
	return s
}

func (c *compiler) addr(path, text string, index int) (a netip.Addr) {
	if text == "" {
		return a
	}
	a, err := parseAddr(c.text(path, text, index))
	if err != nil {
		c.fail(path, "%s", err)
	}
	return a
}

func (c *compiler) prefix(path, text string, index int) netip.Prefix {
	p, err := parsePrefix(c.text(path, text, index))
	if err != nil {
		c.fail(path, "%s", err)
	}
	return p
}

func (c *compiler) networks() {
	if len(c.f.Networks) == 0 {
		c.fail("networks", "it is missing; a scenario needs networks")
	}
	for i := range c.f.Networks {
		n, path := &c.f.Networks[i], fmt.Sprintf("networks[%d]", i)
		c.times(path, n.Count, func(index int) { c.network(n, path, index) })
	}
}

func (c *compiler) network(n *Network, path string, index int) {
	net := sim.Network{Name: c.text(path+".name", n.Name, index), Prefix: c.prefix(path+".prefix", n.Prefix, index),
		Behind: c.text(path+".behind", n.Behind, index),
		Up:     c.line(path+".link", n.Link), Down: c.line(path+".link", n.Link)}
	c.name(path, "network", net.Name, c.nets)
	if n.Up != "" {
		net.Up = c.line(path+".up", n.Up)
	}
	if n.Down != "" {
		net.Down = c.line(path+".down", n.Down)
	}
	switch nat, known := c.nats[n.NAT]; {
	case n.NAT == "" && n.Public != "":
		c.fail(path+".public", "only a network with a NAT has a public address")
	case n.NAT == "":
	case !known:
		var list []string
		for _, k := range slices.Concat(c.f.NATs, NATs()) {
			list = append(list, k.Name)
		}
		c.fail(path+".nat", "there is no NAT %q%s", n.NAT, DidYouMean(n.NAT, list))
	case n.Public == "":
		c.fail(path+".nat", "a network with a NAT needs a public address: public: 198.51.100.10")
	default:
		nat.Public = c.addr(path+".public", n.Public, index)
		net.NAT = &nat
	}
	if w := n.Firewall; w != nil {
		net.Firewall = &sim.Firewall{Timeout: w.Timeout.time(), Open: w.Open, OutPorts: w.OutPorts, BlockUDP: w.BlockUDP}
	}
	c.located(fmt.Sprintf("network %q", net.Name), path)
	c.nets = append(c.nets, net.Name)
	c.out.Scenario.Networks = append(c.out.Scenario.Networks, net)
}

// name refuses names that sentences and patterns could not refer to.
func (c *compiler) name(path, what, name string, taken []string) {
	at := join(path, "name")
	switch {
	case name == "":
		c.fail(path, "a %s needs a name", what)
	case strings.ContainsAny(name, "*?[]{}<>() ,\"\t\n"):
		c.fail(at, "%q: a name of a %s has no blanks and none of * ? [ ] { } < > ( ) , \"", name, what)
	case slices.Contains(taken, name):
		c.fail(at, "there are two of the name %q", name)
	}
}

// known checks that a name is one of a list.
func (c *compiler) known(path, what, name string, list []string) string {
	if name == "" || !slices.Contains(list, name) {
		c.fail(path, "there is no %s %q%s", what, name, DidYouMean(name, list))
	}
	return name
}

// match lists the hosts that a name or pattern stands for, without except.
func (c *compiler) match(path, pattern, except string) (list []string) {
	if !isPattern(pattern) {
		return []string{c.known(path, "host", pattern, c.names)}
	}
	for _, n := range c.names {
		if n != except && Matches(pattern, n) {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		c.fail(path, "no host matches %q%s", pattern, DidYouMean(pattern, c.names))
	}
	return list
}
