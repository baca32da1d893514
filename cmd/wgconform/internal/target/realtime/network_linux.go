package realtime

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	subjectEnd = "veth0"
	testerEnd  = "veth1"
	outerMTU   = 1500
)

// elsewhere runs f on a thread of its own, which f may take to another network namespace. What f opens there can be
// used from anywhere afterwards. The thread comes back before anybody else gets it; one that cannot is thrown away.
func elsewhere(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := ownNamespace()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = f()
		// The runtime cannot throw its first thread away, which would keep the namespace for ever: hence the way back.
		if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, unix.Close(home))
	}()
	return <-done
}

// Inside runs f in a network namespace.
func Inside(namespace int, f func() error) error {
	return elsewhere(func() error {
		if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

// NewNamespace makes a network namespace that lives as long as the file descriptor, or anything in it.
func NewNamespace() (fd int, err error) {
	err = elsewhere(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		fd, err = ownNamespace()
		return err
	})
	return fd, err
}

// ownNamespace opens the network namespace of this thread.
func ownNamespace() (fd int, err error) {
	return unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// A cable is the outer network: a veth pair from the tester's namespace to the subject's.
type cable struct {
	tester  int // file descriptor of the tester's namespace
	subject *netlink.Handle
	end     netlink.Link     // the subject's
	address net.HardwareAddr // of it
	index   int              // of the tester's end, in the tester's namespace
}

// lay connects a subject's network namespace, which must be new, with a new one for the tester.
func lay(subject int) (c *cable, err error) {
	c = &cable{tester: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if err = Inside(subject, quiet); err != nil {
		return nil, err
	}
	if c.tester, err = NewNamespace(); err != nil {
		return nil, err
	}
	if c.subject, err = netlink.NewHandleAt(netns.NsHandle(subject), unix.NETLINK_ROUTE); err != nil {
		return nil, err
	}
	if err = Inside(c.tester, func() error { return c.pair(subject) }); err != nil {
		return nil, err
	}
	if err = Inside(subject, func() error { return NoOffloads(subjectEnd) }); err != nil {
		return nil, err
	}
	loopback, err := c.subject.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	if c.end, err = c.subject.LinkByName(subjectEnd); err != nil {
		return nil, err
	}
	c.address = c.end.Attrs().HardwareAddr
	// Without ARP and neighbour discovery every address of the network is a neighbour, for ever, and nobody asks.
	if err = c.subject.LinkSetARPOff(c.end); err != nil {
		return nil, err
	}
	return c, errors.Join(c.subject.LinkSetUp(loopback), c.subject.LinkSetUp(c.end))
}

// pair makes both ends, from within the tester's namespace: at no time does another one have such an interface.
func (c *cable) pair(subject int) error {
	// The tester has no stack: nothing there answers or asks.
	if err := set("ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = testerEnd, outerMTU
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: subjectEnd, PeerNamespace: netlink.NsFd(subject),
		PeerMTU: outerMTU}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making a veth pair: %w", err)
	}
	end, err := netlink.LinkByName(testerEnd)
	if err != nil {
		return err
	}
	c.index = end.Attrs().Index
	return errors.Join(NoOffloads(testerEnd), netlink.LinkSetARPOff(end), netlink.LinkSetUp(end))
}

func (c *cable) close() (err error) {
	if c.subject != nil {
		c.subject.Close()
	}
	if c.tester >= 0 {
		err = unix.Close(c.tester)
	}
	return err
}

// NoOffloads makes an interface carry packets as they are on a wire: no segments to be cut, no checksum to be filled
// in, nothing joined on arrival. A packet socket would see these things undone.
func NoOffloads(name string) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return err
	}
	defer e.Close()
	features, err := e.FeaturesWithState(name)
	if err != nil {
		return fmt.Errorf("%s: asking for offloads: %w", name, err)
	}
	off := map[string]bool{}
	for feature, state := range features {
		if state.Available && !state.NeverChanged && offload(feature) {
			off[feature] = false
		}
	}
	if err := e.Change(name, off); err != nil {
		return fmt.Errorf("%s: switching offloads off: %w", name, err)
	}
	now, err := e.FeaturesWithState(name)
	if err != nil {
		return err
	}
	for feature := range off {
		if now[feature].Active {
			return fmt.Errorf("%s: the offload %s stays on", name, feature)
		}
	}
	return nil
}

// offload tells the features that change what a packet socket sees from those that do not.
func offload(feature string) bool {
	return strings.HasPrefix(feature, "tx-") && !strings.Contains(feature, "vlan") && feature != "tx-lockless" ||
		slices.Contains([]string{"rx-gro", "rx-gro-list", "rx-lro", "rx-udp-gro-forwarding"}, feature)
}

// quiet keeps the host's own IPv6 out of the namespace, and everything that would answer inner packets: on interfaces
// that do not exist yet, such as the program's, since their host speaks the moment they come up.
func quiet() error {
	settings := [][2]string{
		{"ipv4/ip_forward", "0"},
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		for _, which := range []string{"all", "default"} {
			for name, value := range map[string]string{"accept_ra": "0", "accept_dad": "0", "dad_transmits": "0",
				"router_solicitations": "0", "autoconf": "0", "addr_gen_mode": "1", "forwarding": "0"} {
				settings = append(settings, [2]string{"ipv6/conf/" + which + "/" + name, value})
			}
		}
		settings = append(settings, [2]string{"ipv6/conf/default/disable_ipv6", "1"})
	}
	for _, s := range settings {
		if err := set(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// set writes a setting of the network namespace that this thread is in.
func set(name, value string) error {
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("setting net/%s: %w", name, err)
	}
	return nil
}

// stack switches IPv6 on or off for an interface, and its reverse path check off or on: with it, inner
// packets to an outer address of the host are no way into it.
func stack(namespace int, name string, on bool) error {
	return Inside(namespace, func() error {
		disable, check := "1", "1"
		if on {
			disable, check = "0", "0"
		}
		err := set("ipv4/conf/"+name+"/rp_filter", check)
		if _, missing := os.Stat("/proc/sys/net/ipv6"); missing == nil {
			err = errors.Join(err, set("ipv6/conf/"+name+"/disable_ipv6", disable))
		}
		return err
	})
}

// addresses gives an interface addresses or takes them away. They are usable at once: nobody looks for duplicates.
func (c *cable) addresses(link netlink.Link, prefixes []netip.Prefix, add bool) error {
	for _, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		a := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		var err error
		if add {
			err = c.subject.AddrReplace(link, a)
		} else {
			err = c.subject.AddrDel(link, a)
		}
		if err != nil {
			return fmt.Errorf("address %s of %s: %w", p, link.Attrs().Name, err)
		}
	}
	return nil
}

// routes sends what goes to the prefixes into an interface.
func (c *cable) routes(link netlink.Link, prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(p.Masked()), Scope: netlink.SCOPE_LINK}
		if err := c.subject.RouteReplace(r); err != nil {
			return fmt.Errorf("route to %s: %w", p, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
