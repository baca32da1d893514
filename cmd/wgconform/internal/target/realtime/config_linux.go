package realtime

import (
	"net/netip"
	"slices"

	"github.com/purewire/purewire/protocol/conformance"
)

// config is what a subject was told so far, so that it can be told again after a restart.
type config struct {
	conformance.Change                          // of the interface; Peers is unused
	peers              []conformance.PeerChange // each complete, in the order in which they came
}

// merge adds a change that the subject has accepted.
func (c *config) merge(n *conformance.Change) {
	replace(&c.PrivateKey, n.PrivateKey)
	replace(&c.ListenPort, n.ListenPort)
	replace(&c.Mark, n.Mark)
	replace(&c.MTU, n.MTU)
	replace(&c.Up, n.Up)
	if n.ReplacePeers {
		c.peers = nil
	}
	for i := range n.Peers {
		c.mergePeer(&n.Peers[i])
	}
}

// replace keeps a copy of a new value if there is one.
func replace[T any](old **T, value *T) {
	if value != nil {
		v := *value
		*old = &v
	}
}

func (c *config) mergePeer(n *conformance.PeerChange) {
	at := slices.IndexFunc(c.peers, func(p conformance.PeerChange) bool { return p.PublicKey == n.PublicKey })
	switch {
	case n.Remove && at >= 0:
		c.peers = slices.Delete(c.peers, at, at+1)
		return
	case n.Remove, n.UpdateOnly && at < 0:
		return
	case at < 0:
		at = len(c.peers)
		c.peers = append(c.peers, conformance.PeerChange{PublicKey: n.PublicKey})
	}
	p := &c.peers[at]
	replace(&p.PresharedKey, n.PresharedKey)
	replace(&p.Endpoint, n.Endpoint)
	replace(&p.Keepalive, n.Keepalive)
	if n.ReplaceAllowedIPs {
		p.AllowedIPs = nil
	}
	for _, a := range n.AllowedIPs {
		// A prefix has one owner: who gets it takes it from the one that had it.
		for i := range c.peers {
			c.peers[i].AllowedIPs = slices.DeleteFunc(c.peers[i].AllowedIPs,
				func(b netip.Prefix) bool { return b == a.Masked() })
		}
		p.AllowedIPs = append(p.AllowedIPs, a.Masked())
	}
}

// all is the change that makes a new subject what this one is.
func (c *config) all() conformance.Change {
	whole := c.Change
	whole.ReplacePeers = true
	whole.Peers = slices.Clone(c.peers)
	for i := range whole.Peers {
		whole.Peers[i].ReplaceAllowedIPs = true
	}
	return whole
}

// allowed is every allowed IP of every peer.
func (c *config) allowed() (all []netip.Prefix) {
	for i := range c.peers {
		all = append(all, c.peers[i].AllowedIPs...)
	}
	return all
}
