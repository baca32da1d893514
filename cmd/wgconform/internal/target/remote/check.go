package remote

import (
	"net/netip"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// device understands all of a file that YAML could read.
func (c *checker) device(d *device) (err error) {
	if d.Version != Version {
		return c.fail(path{"version"}, "version %d is not known; a target file begins with version: %d", d.Version, Version)
	}
	g := &d.given
	if len(d.Addresses) == 0 {
		return c.fail(path{"addresses"}, "it is missing: where the device is")
	}
	if g.Outer, err = c.addresses(path{"addresses"}, d.Addresses); err != nil {
		return err
	}
	if d.local, err = c.hosts(path{"local"}, d.Local); err != nil {
		return err
	}
	for i, a := range d.local {
		if !slices.ContainsFunc(g.Outer, func(o netip.AddrPort) bool { return o.Addr().Is6() == a.Is6() }) {
			return c.fail(path{"local", i}, "the device has no address of this family")
		}
	}
	if g.PublicKey, err = c.key(path{"public-key"}, d.PublicKey); err != nil {
		return err
	}
	if err := c.trigger(d); err != nil {
		return err
	}
	for i, what := range d.Observe {
		if what != "tos" {
			return c.fail(path{"observe", i}, "%q: only tos can be observed besides what the trigger shows", what)
		}
		d.tos = true
	}
	return c.peers(d)
}

func (c *checker) trigger(d *device) (err error) {
	g, t := &d.given, &d.Trigger
	if g.EchoUDP, err = c.addresses(path{"trigger", "echo-udp"}, t.EchoUDP); err != nil {
		return err
	}
	if g.EchoPing, err = c.hosts(path{"trigger", "ping"}, t.Ping); err != nil {
		return err
	}
	if t.Manual && t.Command != "" {
		return c.fail(path{"trigger", "manual"}, "a person or a command: one of them")
	}
	for i, a := range g.EchoPing {
		for _, u := range g.EchoUDP {
			if u.Addr().Is6() == a.Is6() && u.Addr() != a {
				return c.fail(path{"trigger", "ping", i}, "the device has one inner address of each family, and echo-udp says %v",
					u.Addr())
			}
		}
	}
	return nil
}

func (c *checker) peers(d *device) error {
	g := &d.given
	if len(d.Peers) == 0 {
		return c.fail(path{"peers"}, "it is missing: the device must know a peer at least")
	}
	owner := map[conformance.Key]int{}
	var taken []netip.Prefix
	for i := range d.Peers {
		p := &d.Peers[i]
		private, err := c.key(path{"peers", i, "private-key"}, p.PrivateKey)
		if err != nil {
			return err
		}
		public := peer.PairOf(private).Public
		if j, twice := owner[public]; twice {
			return c.fail(path{"peers", i, "private-key"}, "the key of peers[%d]", j)
		}
		if owner[public] = i; public == g.PublicKey {
			return c.fail(path{"peers", i, "private-key"}, "the device's own key")
		}
		o := conformance.PeerOffer{Private: private}
		if p.PresharedKey != "" {
			if o.PresharedKey, err = c.key(path{"peers", i, "preshared-key"}, p.PresharedKey); err != nil {
				return err
			}
		}
		if o.AllowedIPs, err = c.allowed(d, i, taken); err != nil {
			return err
		}
		taken = append(taken, o.AllowedIPs...)
		g.Peers = append(g.Peers, o)
	}
	return nil
}

// allowed reads the allowed IPs of a peer: some, nobody else's, none of the device's own, of each family of the echo.
func (c *checker) allowed(d *device, i int, taken []netip.Prefix) (all []netip.Prefix, err error) {
	field := path{"peers", i, "allowed-ips"}
	for j, text := range d.Peers[i].AllowedIPs {
		at := path{"peers", i, "allowed-ips", j}
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() {
			return nil, c.fail(at, "%q is no prefix, such as 10.99.1.1/32", text)
		}
		p = p.Masked()
		for _, t := range slices.Concat(taken, all) {
			if t.Overlaps(p) {
				return nil, c.fail(at, "%v overlaps %v, which stands above", p, t)
			}
		}
		for _, a := range d.inside() {
			if p.Contains(a) {
				return nil, c.fail(at, "%v is where the device itself is inside", a)
			}
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, c.fail(field, "it is missing: a peer needs an inner address")
	}
	for _, a := range d.inside() {
		if !slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Addr().Is6() == a.Is6() }) {
			return nil, c.fail(field, "no address of the family of %v, which is to answer", a)
		}
	}
	return all, nil
}

// inside are the device's inner addresses.
func (d *device) inside() (all []netip.Addr) {
	for _, u := range d.given.EchoUDP {
		all = append(all, u.Addr())
	}
	return append(all, d.given.EchoPing...)
}
