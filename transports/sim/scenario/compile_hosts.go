package scenario

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// hosts makes all hosts before any of their peers, since those name hosts.
func (c *compiler) hosts() {
	if len(c.f.Hosts) == 0 {
		c.fail("hosts", "it is missing; a scenario needs hosts")
	}
	type copyOf struct {
		h     *Host
		path  string
		index int
	}
	var made []copyOf
	for i := range c.f.Hosts {
		h, path := &c.f.Hosts[i], fmt.Sprintf("hosts[%d]", i)
		c.times(path, h.Count, func(index int) {
			c.host(h, path, index)
			made = append(made, copyOf{h, path, index})
		})
	}
	for i, m := range made {
		if c.err != nil {
			return
		}
		c.steals(m.path, m.h.Steals, i, m.index)
		for j := range m.h.Peers {
			c.peer(&c.out.Scenario.Hosts[i], &m.h.Peers[j], fmt.Sprintf("%s.peers[%d]", m.path, j), m.index)
		}
	}
}

func (c *compiler) host(h *Host, path string, index int) {
	host := sim.Host{Name: c.text(path+".name", h.Name, index), Address: c.addr(path+".address", h.Address, index),
		Port: h.Port, MTU: h.MTU, Forward: h.Forward, JobTime: h.JobTime.time(), Workers: h.Workers,
		DriftPPM: h.DriftPPM, NoRTC: h.NoRTC, TimeSync: h.TimeSync.time()}
	if h.Key != "" {
		host.Key = c.key(path, h)
	}
	if _, taken := c.byName[host.Name]; taken {
		c.fail(path+".name", "there are two of the name %q", host.Name)
	}
	c.name(path, "host", host.Name, nil)
	host.Network = c.known(path+".network", "network", c.text(path+".network", h.Network, index), c.nets)
	for i, a := range h.Inner {
		host.Inner = append(host.Inner, c.addr(fmt.Sprintf("%s.inner[%d]", path, i), a, index))
	}
	for i, home := range h.Homes {
		at := fmt.Sprintf("%s.homes[%d]", path, i)
		host.Homes = append(host.Homes, sim.Home{Address: c.addr(at+".address", home.Address, index),
			Network: c.known(at+".network", "network", c.text(at+".network", home.Network, index), c.nets)})
	}
	if l := h.Limits; l != nil {
		host.Limits = protocol.Limits{StagedPackets: l.StagedPackets, StagedBytes: l.StagedBytes, Jobs: l.Jobs,
			HandshakesPerSecond: l.HandshakesPerSecond, CookiesPerSecond: l.CookiesPerSecond,
			CookiesPerSource: l.CookiesPerSource}
	}
	c.located(fmt.Sprintf("host %q", host.Name), path)
	c.byName[host.Name] = len(c.names)
	c.names = append(c.names, host.Name)
	c.out.Scenario.Hosts = append(c.out.Scenario.Hosts, host)
}

// key reads a private key. The key is not in the errors.
func (c *compiler) key(path string, h *Host) *protocol.PrivateKey {
	b, err := base64.StdEncoding.DecodeString(h.Key)
	switch {
	case err != nil || len(b) != protocol.KeySize:
		c.fail(path+".key", "it is no key: %d bytes in base64 are needed", protocol.KeySize)
		return nil
	case h.Count > 0:
		c.fail(path+".key", "several hosts cannot have one key")
	}
	k := protocol.PrivateKey(b)
	return &k
}

func (c *compiler) steals(path, victim string, host, index int) {
	if victim != "" {
		at := path + ".steals"
		c.out.Scenario.Hosts[host].Steals = c.known(at, "host", c.text(at, victim, index), c.names)
	}
}

// noAllowedIPs is the one word of a list of allowed IPs that has none; leaving the list out means the peer's own.
const noAllowedIPs = "none"

func (c *compiler) peer(h *sim.Host, p *Peer, path string, index int) {
	pattern := c.text(path+".host", p.Host, index)
	for _, name := range c.match(path+".host", pattern, h.Name) {
		fill := func(field, text string) string {
			text = c.text(join(path, field), text, index)
			return strings.NewReplacer("<peer>", name, "<host>", h.Name).Replace(text)
		}
		peer := sim.Peer{Host: name, Keepalive: p.Keepalive, PSK: fill("psk", p.PSK),
			Endpoint:   c.endpoint(path+".endpoint", fill("endpoint", p.Endpoint)),
			AllowedIPs: c.prefixes(path+".allowed-ips", p.AllowedIPs, index)}
		c.located(fmt.Sprintf("host %q: peer %q", h.Name, name), path)
		h.Peers = append(h.Peers, peer)
	}
}

// endpoint checks that it is a host, or address:port.
func (c *compiler) endpoint(path, text string) string {
	if _, isHost := c.byName[text]; text == "" || isHost {
		return text
	}
	if _, err := netip.ParseAddrPort(text); err != nil {
		c.fail(path, "%q is neither a host nor address:port%s", text, DidYouMean(text, c.names))
	}
	return text
}

func (c *compiler) prefixes(path string, list []string, index int) (p []netip.Prefix) {
	if len(list) == 1 && list[0] == noAllowedIPs {
		return []netip.Prefix{}
	}
	for i, s := range list {
		p = append(p, c.prefix(fmt.Sprintf("%s[%d]", path, i), s, index))
	}
	return p
}
