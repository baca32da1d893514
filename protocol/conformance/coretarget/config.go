package coretarget

import (
	"net/netip"
	"slices"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
)

// peerConfig is a peer as it was configured: what a restart begins with.
type peerConfig struct {
	key       protocol.PublicKey
	psk       protocol.PresharedKey
	endpoint  *netip.AddrPort
	keepalive uint16
	allowed   []netip.Prefix
}

// changes gives the configuration as changes for a new Device.
func (s *subject) changes() []protocol.Change {
	var cs []protocol.Change
	for _, p := range s.peers {
		cs = append(cs, protocol.Change{Op: protocol.OpPutPeer, Peer: p.key, PresharedKey: &p.psk, Endpoint: p.endpoint,
			PersistentKeepalive: &p.keepalive, ReplaceAllowedIPs: true, AllowedIPs: p.allowed})
	}
	return cs
}

// configure applies the suite's change.
func (s *subject) configure(c conformance.Change) error {
	var cs []protocol.Change
	if c.PrivateKey != nil {
		change := protocol.Change{Op: protocol.OpIdentity}
		if *c.PrivateKey != (conformance.Key{}) {
			change.Identity = protocol.NewIdentity(protocol.PrivateKey(*c.PrivateKey))
		}
		cs = append(cs, change)
	}
	if c.MTU != nil {
		cs = append(cs, protocol.Change{Op: protocol.OpMTU, MTU: *c.MTU})
	}
	if c.ReplacePeers {
		cs = append(cs, protocol.Change{Op: protocol.OpRemovePeers})
	}
	for _, p := range c.Peers {
		cs = append(cs, peerChange(p))
	}
	if err := s.apply(cs, c.ListenPort, c.Mark); err != nil {
		return err
	}
	if c.Up != nil && *c.Up != s.up {
		s.up = *c.Up
		s.handle(func() {
			if s.up {
				s.dev.Up(s.time, &s.batch)
			} else {
				s.dev.Down(s.time, &s.batch)
			}
		})
	}
	return nil
}

func peerChange(p conformance.PeerChange) protocol.Change {
	c := protocol.Change{Op: protocol.OpPutPeer, Lenient: true, Peer: protocol.PublicKey(p.PublicKey),
		Endpoint: p.Endpoint, PersistentKeepalive: p.Keepalive, ReplaceAllowedIPs: p.ReplaceAllowedIPs,
		AllowedIPs: p.AllowedIPs}
	switch {
	case p.Remove:
		return protocol.Change{Op: protocol.OpRemovePeer, Lenient: true, Peer: c.Peer}
	case p.UpdateOnly:
		c.Op = protocol.OpUpdatePeer
	}
	if p.PresharedKey != nil {
		psk := protocol.PresharedKey(*p.PresharedKey)
		c.PresharedKey = &psk
	}
	return c
}

// apply is one configuration: all of it or nothing.
func (s *subject) apply(cs []protocol.Change, port *uint16, mark *uint32) error {
	newPort := s.port
	if port != nil {
		var err error
		if newPort, err = choosePort(*port); err != nil {
			return err
		}
	}
	s.batch.Reset()
	if err := s.dev.Configure(s.time, cs, &s.batch); err != nil {
		return err
	}
	for i := range cs {
		s.remember(&cs[i])
	}
	s.settle()
	s.due()
	if newPort != s.port || mark != nil && *mark != s.mark { // another way out may be another source (ROAM-09)
		s.dev.ForgetSources(s.time, netip.Addr{})
	}
	s.port = newPort
	if mark != nil {
		s.mark = *mark
	}
	return nil
}

// remember keeps the configuration for a restart. The Device has accepted the change.
func (s *subject) remember(c *protocol.Change) {
	i := slices.IndexFunc(s.peers, func(p *peerConfig) bool { return p.key == c.Peer })
	switch c.Op {
	case protocol.OpIdentity:
		s.identity = c.Identity
		if c.Identity != nil { // UAPI-33
			own := c.Identity.PublicKey()
			s.peers = slices.DeleteFunc(s.peers, func(p *peerConfig) bool { return p.key == own })
		}
	case protocol.OpMTU:
		s.mtu = c.MTU
	case protocol.OpRemovePeers:
		s.peers = nil
	case protocol.OpRemovePeer:
		if i >= 0 {
			s.peers = slices.Delete(s.peers, i, i+1)
		}
	default:
		if i < 0 {
			if _, there := s.dev.Peer(c.Peer); !there {
				return
			}
			s.peers, i = append(s.peers, &peerConfig{key: c.Peer}), len(s.peers)
		}
		s.rememberPeer(s.peers[i], c)
	}
}

func (s *subject) rememberPeer(p *peerConfig, c *protocol.Change) {
	if c.PresharedKey != nil {
		p.psk = *c.PresharedKey
	}
	if c.Endpoint != nil {
		p.endpoint = c.Endpoint
	}
	if c.PersistentKeepalive != nil {
		p.keepalive = *c.PersistentKeepalive
	}
	// The Device's own list is the configuration, and a prefix that was moved here is gone elsewhere.
	for _, q := range s.peers {
		if id, ok := s.dev.Peer(q.key); ok {
			q.allowed = slices.Collect(s.dev.AllowedIPs(id))
		}
	}
}
