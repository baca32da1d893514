package kernel

import (
	"net"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/purewire/purewire/protocol/conformance"
)

// configuration is a change as wgctrl takes it, without MTU and Up.
func configuration(c *conformance.Change) wgtypes.Config {
	w := wgtypes.Config{PrivateKey: (*wgtypes.Key)(c.PrivateKey), ReplacePeers: c.ReplacePeers}
	if c.ListenPort != nil {
		port := int(*c.ListenPort)
		w.ListenPort = &port
	}
	if c.Mark != nil {
		mark := int(*c.Mark)
		w.FirewallMark = &mark
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		q := wgtypes.PeerConfig{PublicKey: wgtypes.Key(p.PublicKey), Remove: p.Remove, UpdateOnly: p.UpdateOnly,
			PresharedKey: (*wgtypes.Key)(p.PresharedKey), ReplaceAllowedIPs: p.ReplaceAllowedIPs}
		if p.Endpoint != nil {
			q.Endpoint = net.UDPAddrFromAddrPort(*p.Endpoint)
		}
		if p.Keepalive != nil {
			every := time.Duration(*p.Keepalive) * time.Second
			q.PersistentKeepaliveInterval = &every
		}
		for _, a := range p.AllowedIPs {
			q.AllowedIPs = append(q.AllowedIPs,
				net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())})
		}
		w.Peers = append(w.Peers, q)
	}
	return w
}

// state is what wgctrl tells of an interface.
func state(d *wgtypes.Device) conformance.State {
	s := conformance.State{ListenPort: uint16(d.ListenPort), Mark: uint32(d.FirewallMark)}
	if d.PrivateKey != (wgtypes.Key{}) { // without one the kernel shows none, and wgctrl zeros
		s.PublicKey = conformance.Key(d.PublicKey)
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		q := conformance.PeerState{PublicKey: conformance.Key(p.PublicKey), PresharedKey: conformance.Key(p.PresharedKey),
			Received: uint64(p.ReceiveBytes), Sent: uint64(p.TransmitBytes),
			Keepalive: uint16(p.PersistentKeepaliveInterval / time.Second)}
		if p.Endpoint != nil {
			e := p.Endpoint.AddrPort()
			q.Endpoint = netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
		}
		if !p.LastHandshakeTime.IsZero() && p.LastHandshakeTime.UnixNano() != 0 {
			q.LastHandshake = p.LastHandshakeTime
		}
		for _, a := range p.AllowedIPs {
			ip, _ := netip.AddrFromSlice(a.IP)
			bits, _ := a.Mask.Size()
			q.AllowedIPs = append(q.AllowedIPs, netip.PrefixFrom(ip.Unmap(), bits))
		}
		s.Peers = append(s.Peers, q)
	}
	return s
}
