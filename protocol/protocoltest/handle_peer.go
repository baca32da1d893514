package protocoltest

import (
	"crypto/sha256"
	"net/netip"

	"github.com/purewire/purewire/protocol"
)

// psk turns the text of a script into a preshared key; "none" is the key of zeros (CRYPTO-14).
func psk(text string) *protocol.PresharedKey {
	k := new(protocol.PresharedKey)
	if text != "none" {
		*k = sha256.Sum256([]byte("purewire/protocoltest psk " + text))
	}
	return k
}

// change reads the arguments that peer and update have in common. B is the peer.
func (c *command) change(b *Node, op protocol.Op) protocol.Change {
	ch := protocol.Change{Op: op}
	key := c.keyNumber(1)
	if b != nil {
		ch.Peer = Identity(b.Name, max(1, key)).PublicKey()
	}
	if v, ok := c.look("psk"); ok {
		ch.PresharedKey = psk(v)
	}
	if c.has("keepalive") {
		k := uint16(c.number("keepalive", 0))
		ch.PersistentKeepalive = &k
	}
	return ch
}

func (e *Env) peer(c *command) error {
	a, b, both := c.link()
	there, back := c.change(b, protocol.OpAddPeer), c.change(a, protocol.OpAddPeer)
	there.AllowedIPs, back.AllowedIPs = c.prefixes("allowed"), nil
	endpoint := c.str("endpoint", "yes")
	if both && (c.has("allowed") || c.has("key") || endpoint != "yes" && endpoint != "no") {
		c.fail("allowed, key and an address are of one direction: write A->B")
	}
	var addr netip.AddrPort
	if endpoint != "yes" && endpoint != "no" {
		addr = c.addrPort("endpoint", addr)
	}
	if err := c.done(); err != nil {
		return err
	}
	fill := func(ch *protocol.Change, n *Node) {
		switch endpoint {
		case "yes":
			ch.Endpoint = &n.Addr
		case "no":
		default:
			ch.Endpoint = &addr
		}
		if ch.AllowedIPs == nil {
			ch.AllowedIPs = []netip.Prefix{netip.PrefixFrom(n.Inner4, 32), netip.PrefixFrom(n.Inner6, 128)}
		}
	}
	fill(&there, b)
	a.configure(detach(there))
	if both {
		fill(&back, a)
		b.configure(detach(back))
	}
	return nil
}

// detach copies the endpoint, so that a device that moves later does not change what was configured.
func detach(ch protocol.Change) protocol.Change {
	if ch.Endpoint != nil {
		at := *ch.Endpoint
		ch.Endpoint = &at
	}
	return ch
}

func (e *Env) update(c *command) error {
	a, b, both := c.link()
	there, back := c.change(b, protocol.OpUpdatePeer), c.change(a, protocol.OpUpdatePeer)
	if v, ok := c.look("endpoint"); ok {
		at := netip.AddrPort{}
		if v != "none" {
			at = c.addrPort("endpoint", at)
		}
		there.Endpoint = &at
	}
	there.AllowedIPs, there.RemoveAllowedIPs = c.prefixes("allow"), c.prefixes("deny")
	if c.has("only") {
		there.ReplaceAllowedIPs = true
		there.AllowedIPs = append(there.AllowedIPs, c.prefixes("only")...)
	}
	if both && (there.Endpoint != nil || there.AllowedIPs != nil || there.RemoveAllowedIPs != nil || c.has("key")) {
		c.fail("addresses and key are of one direction: write A->B")
	}
	if err := c.done(); err != nil {
		return err
	}
	a.configure(there)
	if both {
		b.configure(back)
	}
	return nil
}

func (e *Env) remove(c *command) error {
	var changes []protocol.Change
	var a *Node
	if len(c.words) == 2 && c.words[1] == "all" {
		a = c.node()
		c.rest()
		changes = []protocol.Change{{Op: protocol.OpRemovePeers}}
	} else {
		var b *Node
		var both bool
		a, b, both = c.link()
		if both {
			c.fail("write A->B: B is no longer a peer of A")
		}
		changes = []protocol.Change{c.change(b, protocol.OpRemovePeer)}
	}
	if err := c.done(); err != nil {
		return err
	}
	a.configure(changes...)
	return nil
}
