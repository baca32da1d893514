package remote

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// How long the device may take to send after it was told to.
const (
	commandPatience = 10 * time.Second
	manualPatience  = time.Minute
)

// capabilities are what a device shows from afar.
func capabilities(d *device, file string) conformance.Capabilities {
	const byHand = "the device is configured by hand, before the run"
	g := &d.given
	if d.Trigger.Command != "" || d.Trigger.Manual {
		g.Sends, g.Patience = true, commandPatience
		if d.Trigger.Manual {
			g.Patience = manualPatience
		}
	}
	c := conformance.Capabilities{Name: "remote:" + d.Name, Kind: "remote", Single: true, Given: g,
		Version: fmt.Sprintf("device at %s with public key %s", strings.Join(d.Addresses, " and "), d.PublicKey),
		Lacks: map[conformance.Need]string{
			conformance.NeedInner:     "of the inner side no more than the trigger of the target file is there",
			conformance.NeedConfigure: byHand,
			conformance.NeedInterface: byHand,
			conformance.NeedRestart:   "the target file has no reset command",
			conformance.NeedState:     "the device is not asked what it knows",
			conformance.NeedUAPI:      "the device's configuration socket is not reached from here",
			conformance.NeedWall:      "the wall clock is the device's own",
			conformance.NeedVirtual:   "the device runs in real time",
			conformance.NeedLoad:      "a flood would have to come from more addresses than this host has",
			conformance.NeedTOS:       "the target file does not say that TOS bytes can be observed",
			conformance.NeedOuter:     "outer headers are not seen by a UDP socket",
			conformance.NeedIPv6:      "the target file has no IPv6 address of the device",
			conformance.NeedHost:      "the device's host is its own",
			conformance.NeedSources:   "this host sends from one address of its own",
		}}
	if d.Name == "" {
		c.Name += filepath.Base(file)
	}
	for _, a := range g.Outer {
		if a.Addr().Is6() {
			c.Has |= conformance.NeedIPv6
		}
	}
	if d.tos {
		c.Has |= conformance.NeedTOS
	}
	if d.Reset != "" {
		c.Has |= conformance.NeedRestart
	}
	return c
}

// inner is a peer's inner address of a family.
func inner(o *conformance.PeerOffer, v6 bool) netip.Addr {
	i := slices.IndexFunc(o.AllowedIPs, func(p netip.Prefix) bool { return p.Addr().Is6() == v6 })
	if p := o.AllowedIPs[i]; !p.IsSingleIP() {
		return p.Addr().Next()
	}
	return o.AllowedIPs[i].Addr()
}
