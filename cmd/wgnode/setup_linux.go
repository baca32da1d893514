package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// canSetUp says whether --config works here.
const canSetUp = true

// The first routing table, and mark, that a default route is put into; wg-quick(8) begins there too.
const firstTable = 51820

// markSetting makes the reverse path filter look at marks, else it drops what a marked socket receives.
const markSetting = "/proc/sys/net/ipv4/conf/all/src_valid_mark"

// hostSetup is what a configuration file asks of the host: addresses, MTU, routes, rules. Like wg-quick(8), except
// that it makes no firewall rules and that the smallest path MTU of all endpoints counts, not the largest.
type hostSetup struct {
	name  string
	steps []func() error // how to undo, in the order of doing
}

func newHostSetup(name string) *hostSetup { return &hostSetup{name: name} }

// undo takes back what was done, the last first. What has gone with the interface needs no undoing.
func (h *hostSetup) undo() error {
	var all []error
	for _, step := range slices.Backward(h.steps) {
		if err := step(); err != nil && !vanished(err) {
			all = append(all, err)
		}
	}
	h.steps = nil
	return errors.Join(all...)
}

func vanished(err error) bool {
	for _, gone := range []error{unix.ESRCH, unix.ENODEV, unix.EADDRNOTAVAIL, unix.ENOENT} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return errors.As(err, new(netlink.LinkNotFoundError))
}

func (h *hostSetup) did(undo func() error) { h.steps = append(h.steps, undo) }

// mark gives the mark of outgoing packets: the file's, or, if there is a default route to go round, one whose routing
// table is empty.
func (h *hostSetup) mark(c *config) (uint32, error) {
	if c.FwMark != 0 || c.Table.mode != tableAuto || !c.hasDefault() {
		return c.FwMark, nil
	}
	for n := firstTable; ; n++ {
		routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: n}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return 0, fmt.Errorf("routing table %d: %w", n, err)
		}
		if len(routes) == 0 {
			return uint32(n), nil
		}
	}
}

// apply sets the host up. The peers have their endpoints at these addresses.
func (h *hostSetup) apply(c *config, mark uint32, peers []netip.Addr) error {
	link, err := netlink.LinkByName(h.name)
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	for _, a := range c.Addresses {
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
		h.did(func() error { return netlink.AddrDel(link, addr) })
	}
	mtu := c.MTU
	if mtu == 0 {
		mtu = pathMTU(peers) - (1500 - defaultMTU)
	}
	if err := netlink.LinkSetMTU(link, max(mtu, minMTU)); err != nil {
		return fmt.Errorf("MTU %d: %w", mtu, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	h.did(func() error { return netlink.LinkSetDown(link) })
	if c.Table.mode == tableOff {
		return nil
	}
	for _, prefix := range c.routes() {
		if err := h.route(c, link, prefix, mark); err != nil {
			return fmt.Errorf("route to %s: %w", prefix, err)
		}
	}
	return nil
}

// routes lists the allowed IPs of all peers, the longest prefixes first.
func (c *config) routes() []netip.Prefix {
	var all []netip.Prefix
	for i := range c.Peers {
		all = append(all, c.Peers[i].AllowedIPs...)
	}
	slices.SortStableFunc(all, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	return all
}

func (c *config) hasDefault() bool {
	return slices.ContainsFunc(c.routes(), func(p netip.Prefix) bool { return p.Bits() == 0 })
}

// route leads a prefix into the tunnel. One that an address of the interface covers has its route already.
func (h *hostSetup) route(c *config, link netlink.Link, prefix netip.Prefix, mark uint32) error {
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(prefix), Scope: netlink.SCOPE_LINK}
	if prefix.Addr().Is6() {
		r.Scope = netlink.SCOPE_UNIVERSE
	}
	switch {
	case c.Table.mode == tableNumber:
		r.Table = c.Table.number
	case prefix.Bits() == 0:
		r.Table = int(mark)
	case slices.ContainsFunc(c.Addresses, func(a netip.Prefix) bool {
		return a.Bits() <= prefix.Bits() && a.Contains(prefix.Addr())
	}):
		return nil
	}
	if err := netlink.RouteAdd(r); err != nil {
		return err
	}
	h.did(func() error { return netlink.RouteDel(r) })
	if c.Table.mode == tableAuto && prefix.Bits() == 0 {
		return h.divert(family(prefix.Addr()), mark)
	}
	return nil
}

// divert sends what has not our mark to the table of our default route, unless the main table knows better than by its
// own default route. A rule that is there already was left by a process that was killed, or belongs to another tunnel.
func (h *hostSetup) divert(family int, mark uint32) error {
	if family == unix.AF_INET {
		if err := h.heedMarks(); err != nil {
			return err
		}
	}
	all, main := netlink.NewRule(), netlink.NewRule()
	all.Family, all.Mark, all.Table, all.Invert = family, mark, int(mark), true
	main.Family, main.Table, main.SuppressPrefixlen = family, unix.RT_TABLE_MAIN, 0
	h.did(func() error { return dropRules(all, main) })
	for _, r := range []*netlink.Rule{all, main} {
		if n, err := countRules(r); err != nil {
			return fmt.Errorf("rules: %w", err)
		} else if n > 0 {
			continue // a kernel does not always refuse a second one by itself
		}
		if err := netlink.RuleAdd(r); err != nil {
			return fmt.Errorf("rule for table %d: %w", r.Table, err)
		}
	}
	return nil
}

// countRules tells how often a rule is there.
func countRules(rule *netlink.Rule) (n int, err error) {
	rules, err := netlink.RuleList(rule.Family)
	for i := range rules {
		r := &rules[i]
		if r.Table == rule.Table && r.Mark == rule.Mark && r.Invert == rule.Invert && r.Src == nil && r.Dst == nil &&
			r.SuppressPrefixlen == rule.SuppressPrefixlen && r.IifName == "" && r.OifName == "" {
			n++
		}
	}
	return n, err
}

// dropRules removes our rule, and the one for the main table if no other tunnel is left that needs it, as often as
// they are there.
func dropRules(all, main *netlink.Rule) error {
	for _, r := range []*netlink.Rule{all, main} {
		n, err := countRules(r)
		for ; n > 0 && err == nil; n-- {
			err = netlink.RuleDel(r)
		}
		if err != nil && !vanished(err) {
			return err
		}
		if left, err := diverted(r.Family); err != nil || left {
			return err
		}
	}
	return nil
}

// diverted reports whether there is a tunnel with a default route.
func diverted(family int) (bool, error) {
	rules, err := netlink.RuleList(family)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(rules, func(r netlink.Rule) bool {
		return r.Invert && r.Mark != 0 && r.Table == int(r.Mark)
	}), nil
}

// heedMarks switches markSetting on. Undoing it comes after the rules were dropped, and looks whether others need it.
func (h *hostSetup) heedMarks() error {
	before, err := os.ReadFile(markSetting)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(before)) == "1" {
		return nil
	}
	if err := os.WriteFile(markSetting, []byte("1"), 0); err != nil {
		return err
	}
	h.did(func() error {
		if left, err := diverted(unix.AF_INET); err != nil || left {
			return err
		}
		return os.WriteFile(markSetting, before, 0)
	})
	return nil
}

// pathMTU gives the smallest MTU on the ways to these addresses, or else that of the default route, or else 1500.
func pathMTU(peers []netip.Addr) int {
	least := 0
	for _, a := range peers {
		routes, err := netlink.RouteGet(a.AsSlice())
		if err != nil || len(routes) == 0 {
			continue // it may become reachable later
		}
		if m := routeMTU(&routes[0]); m > 0 && (least == 0 || m < least) {
			least = m
		}
	}
	if least > 0 {
		return least
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	for i := range routes {
		if ones, _ := maskOf(routes[i].Dst); err == nil && ones == 0 {
			if m := routeMTU(&routes[i]); m > 0 {
				return m
			}
		}
	}
	return 1500
}

func maskOf(n *net.IPNet) (ones, bits int) {
	if n == nil {
		return 0, 0
	}
	return n.Mask.Size()
}

func routeMTU(r *netlink.Route) int {
	if r.MTU > 0 {
		return r.MTU
	}
	link, err := netlink.LinkByIndex(r.LinkIndex)
	if err != nil {
		return 0
	}
	return link.Attrs().MTU
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
