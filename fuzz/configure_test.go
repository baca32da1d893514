package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// FuzzConfigure reads changes out of bytes and compares the device with the plainest model of what they mean: all of
// them or, with the error that the first wrong one deserves, none.
func FuzzConfigure(f *testing.F) {
	f.Add([]byte{2, 0, 1, 1, 9, 0, 1, 2, 0, 1, 1, 9, 0, 1}, false)
	f.Add([]byte{2, 0, 1, 1, 9, 0, 1, 4, 3, 9, 2, 1, 3, 7}, true)
	f.Add([]byte{4, 0, 0x33, 1, 0x71, 25, 4, 4, 1, 0x33, 2, 2, 0, 2, 0, 1, 0, 0, 0, 0, 0}, true)
	f.Add([]byte{4, 0, 0x3f, 1, 1, 1, 1, 6, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0}, true)
	f.Add([]byte{5, 2, 1, 1, 1, 1, 1, 4, 5, 1, 5, 1, 1, 4}, false)
	f.Fuzz(func(t *testing.T, data []byte, up bool) {
		d, err := protocol.New(protocol.Config{Entropy: protocoltest.NewEntropy(1, "configure"),
			Limits: protocol.Limits{Peers: 4}})
		if err != nil {
			t.Fatal(err)
		}
		var b protocol.Batch
		if up {
			d.Up(0, &b)
		}
		m := &model{peers: map[protocol.PublicKey]entry{}}
		for round := 0; len(data) > 0 && round < 8; round++ {
			var changes []protocol.Change
			for len(data) > 0 && len(changes) < 5 {
				var c protocol.Change
				c, data = readChange(data)
				changes = append(changes, c)
				if len(data) > 0 && data[0]&0x40 != 0 { // the end of this round
					break
				}
			}
			next := m.clone()
			var want error
			for i := 0; i < len(changes) && want == nil; i++ {
				want = next.apply(&changes[i])
			}
			got := d.Configure(0, changes, &b)
			if !errors.Is(got, want) {
				t.Fatalf("round %d: %v, want %v, for %+v", round, got, want, changes)
			}
			if want == nil {
				m = next
			}
			for range 10 {
				d.HandleTimeout(0, &b)
			}
			protocol.Finish(0, d, &b, &protocol.Worker{})
			b.Reset()
			m.compare(t, d)
		}
		if at, _, ok := d.Deadline(); ok && at <= 0 {
			t.Fatalf("a timer is due for ever")
		}
	})
}

// model is a device's configuration; entry one peer of it.
type model struct {
	own   protocol.Identity
	peers map[protocol.PublicKey]entry
}

type entry struct {
	psk      protocol.PresharedKey
	endpoint netip.AddrPort
	interval uint16
	allowed  []netip.Prefix
}

func (m *model) clone() *model {
	c := &model{own: m.own, peers: maps.Clone(m.peers)}
	for k, e := range c.peers {
		e.allowed = slices.Clone(e.allowed)
		c.peers[k] = e
	}
	return c
}

// apply does one change or says what is wrong with it.
func (m *model) apply(c *protocol.Change) error {
	_, has := m.peers[c.Peer]
	own := m.own != nil && m.own.PublicKey() == c.Peer
	switch c.Op {
	case protocol.OpIdentity:
		if m.own = c.Identity; m.own != nil {
			delete(m.peers, m.own.PublicKey())
		}
	case protocol.OpMTU:
		if c.MTU < 0 {
			return protocol.ErrInvalid
		}
	case protocol.OpRemovePeers:
		clear(m.peers)
	case protocol.OpRemovePeer:
		if !has && !c.Lenient {
			return protocol.ErrUnknownPeer
		}
		delete(m.peers, c.Peer)
	case protocol.OpAddPeer, protocol.OpUpdatePeer, protocol.OpPutPeer:
		switch {
		case own:
		case c.Op == protocol.OpAddPeer && has && !c.Lenient:
			return protocol.ErrPeerExists
		case c.Op == protocol.OpUpdatePeer && !has && !c.Lenient:
			return protocol.ErrUnknownPeer
		case c.Op != protocol.OpUpdatePeer && !has && len(m.peers) >= 4:
			return protocol.ErrLimit
		}
		if wrong(c) {
			return protocol.ErrInvalid
		}
		if !own && (c.Op == protocol.OpPutPeer || has == (c.Op == protocol.OpUpdatePeer)) {
			m.update(c)
		}
	default:
		return protocol.ErrInvalid
	}
	return nil
}

// wrong reports an endpoint without address or port, or a prefix that is none.
func wrong(c *protocol.Change) bool {
	e := c.Endpoint
	if e != nil && *e != (netip.AddrPort{}) && (!e.IsValid() || e.Port() == 0) {
		return true
	}
	all := slices.Concat(c.AllowedIPs, c.RemoveAllowedIPs)
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return !p.IsValid() })
}

func (m *model) update(c *protocol.Change) {
	e := m.peers[c.Peer]
	if c.PresharedKey != nil {
		e.psk = *c.PresharedKey
	}
	if c.Endpoint != nil {
		e.endpoint = *c.Endpoint
	}
	if c.PersistentKeepalive != nil {
		e.interval = *c.PersistentKeepalive
	}
	if c.ReplaceAllowedIPs {
		e.allowed = nil
	}
	remove := func(e *entry, p netip.Prefix) {
		e.allowed = slices.DeleteFunc(e.allowed, func(q netip.Prefix) bool { return q == p.Masked() })
	}
	for _, p := range c.RemoveAllowedIPs {
		remove(&e, p)
	}
	m.peers[c.Peer] = e
	for _, p := range c.AllowedIPs {
		for k, other := range m.peers { // one prefix belongs to one peer (ROUTE-04)
			remove(&other, p)
			m.peers[k] = other
		}
		e = m.peers[c.Peer]
		e.allowed = append(e.allowed, p.Masked())
		m.peers[c.Peer] = e
	}
}

// compare demands that the device lists what the model has.
func (m *model) compare(t *testing.T, d *protocol.Device) {
	t.Helper()
	if (d.Identity() == nil) != (m.own == nil) || m.own != nil && d.Identity().PublicKey() != m.own.PublicKey() {
		t.Fatalf("the identity is %v, want %v", d.Identity(), m.own)
	}
	last, n := protocol.PeerID(0), 0
	for s := range d.Peers() {
		e, ok := m.peers[s.PublicKey]
		id, found := d.Peer(s.PublicKey)
		if !ok || !found || id != s.ID || s.ID <= last {
			t.Fatalf("peer %d %v: in the model %v, found as %d, listed after %d", s.ID, s.PublicKey, ok, id, last)
		}
		last, n = s.ID, n+1
		allowed := slices.Collect(d.AllowedIPs(s.ID))
		slices.SortFunc(e.allowed, netip.Prefix.Compare)
		want := fmt.Sprint(e.psk, e.endpoint, e.interval, e.allowed)
		if got := fmt.Sprint(s.PresharedKey, s.Endpoint.Remote, s.PersistentKeepalive, allowed); got != want {
			t.Fatalf("peer %d is\n%s, want\n%s", s.ID, got, want)
		}
	}
	if n != len(m.peers) {
		t.Fatalf("%d peers, want %d", n, len(m.peers))
	}
}

// readChange makes a change of seven bytes, or of as many as there are: op and lenient, peer, which fields are set and
// whether allowed IPs are replaced, preshared key, endpoint, interval, prefixes.
func readChange(data []byte) (protocol.Change, []byte) {
	var b [7]byte
	data = data[copy(b[:], data):]
	c := protocol.Change{Op: protocol.Op(b[0] % 9), Lenient: b[0]&0x10 != 0,
		Peer: keyOf(int(b[1])%2, 1+int(b[1]>>1)%3).PublicKey()}
	switch c.Op {
	case protocol.OpIdentity:
		if b[2] > 0 {
			c.Identity = keyOf(int(b[2])%2, 1+int(b[2]>>1)%3)
		}
	case protocol.OpMTU:
		c.MTU = int(int8(b[2]))
	}
	if b[2]&1 != 0 {
		c.PresharedKey = &protocol.PresharedKey{b[3]}
	}
	if b[2]&2 != 0 {
		e := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, b[4] & 7}), uint16(b[4]>>4))
		if b[4] == 0 {
			e = netip.AddrPort{}
		}
		c.Endpoint = &e
	}
	if b[2]&4 != 0 {
		n := uint16(b[5])
		c.PersistentKeepalive = &n
	}
	c.ReplaceAllowedIPs = b[2]&8 != 0
	prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, b[6] & 3, 0, b[6] >> 5}), int(b[6]%5)*8+int(b[6]>>7))
	if b[2]&16 != 0 {
		c.AllowedIPs = []netip.Prefix{prefix, netip.PrefixFrom(innerOf(int(b[6])%4), 24)}
	}
	if b[2]&32 != 0 {
		c.RemoveAllowedIPs = []netip.Prefix{prefix}
	}
	return c, data
}

// An error leaves everything as it was, sessions included: what the model above does not see (LIFE-08).
func TestConfigureErrorLeavesTheStateAlone(t *testing.T) {
	w := scene(t, false)
	n := w.nodes[0]
	n.do(n.d.HandleTimeout) // times in the state are relative to the last call
	before := n.d.AppendState(nil)
	bad := protocol.Change{Op: protocol.OpUpdatePeer, Peer: protocol.PublicKey{1}}
	var b protocol.Batch
	for _, c := range []protocol.Change{
		{Op: protocol.OpRemovePeers}, {Op: protocol.OpIdentity}, {Op: protocol.OpMTU, MTU: 1},
		{Op: protocol.OpRemovePeer, Peer: keyOf(1, 1).PublicKey()}, n.change(protocol.OpPutPeer, 2),
	} {
		if err := n.d.Configure(n.now, []protocol.Change{c, bad}, &b); !errors.Is(err, protocol.ErrUnknownPeer) {
			t.Errorf("%+v: %v", c, err)
		}
		if after := n.d.AppendState(nil); !bytes.Equal(before, after) {
			t.Errorf("%+v was applied:\n%s\nbecame\n%s", c, before, after)
		}
	}
	if err := n.d.Configure(n.now.Add(time.Second), []protocol.Change{{Op: protocol.OpRemovePeers}}, &b); err != nil {
		t.Error(err)
	}
	if bytes.Equal(before, n.d.AppendState(nil)) {
		t.Error("AppendState does not tell one state from another")
	}
}
