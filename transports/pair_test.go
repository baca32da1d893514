package transports_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/mem"
)

const innerMTU = 1420

// host is a node in memory with what surrounds it.
type host struct {
	name   string
	node   *transports.Node
	core   transports.Core
	tunnel *mem.Tunnel
	link   *mem.Link
	key    protocol.PrivateKeyHolder
	outer  netip.AddrPort
	inner  netip.Addr
	inner6 netip.Addr
	ran    chan error
}

// world is two hosts on one network, each the other's peer.
type world struct {
	t       testing.TB
	network *mem.Network
	a, b    *host
}

// setup says how a world differs from the plain one. Zero fields change nothing.
type setup struct {
	mem       mem.Options
	workers   int
	shakers   int
	keepalive uint16 // of a
	limits    protocol.Limits
	trace     protocol.EventMask
	onEvents  func(host string, e []protocol.Event)
	core      func(h *host, c protocol.Config) (transports.Core, error)
	idle      bool // do not bring them up
}

// newWorld starts two nodes that know each other. They are closed when the test ends.
func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, network: mem.NewNetwork(s.mem)}
	w.a, w.b = w.newHost("a", 1, s), w.newHost("b", 2, s)
	w.introduce(w.a, w.b, s.keepalive)
	w.introduce(w.b, w.a, 0)
	// b first: what a says at once, for its persistent keepalive, must find an open socket.
	for _, h := range []*host{w.b, w.a} {
		if !s.idle {
			must(t, h.node.Up())
		}
		h.run(t)
	}
	return w
}

func (w *world) newHost(name string, i byte, s setup) *host {
	h := &host{name: name, key: protocoltest.Identity(name, 1), ran: make(chan error, 1),
		outer:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 51820),
		inner:  netip.AddrFrom4([4]byte{10, 0, 0, i}),
		inner6: netip.AddrFrom16([16]byte{0: 0xfd, 15: i})}
	h.tunnel = mem.NewTunnel("mem-"+name, innerMTU, s.mem)
	h.link = w.network.Link(h.outer.Addr(), netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: i}))
	clock := transports.GoClock()
	config := protocol.Config{Identity: h.key, Entropy: protocoltest.NewEntropy(1, name), Start: clock.Now(),
		Wall: clock.Wall(), MTU: innerMTU, Limits: s.limits, Trace: s.trace}
	make := s.core
	if make == nil {
		make = func(_ *host, c protocol.Config) (transports.Core, error) { return protocol.New(c) }
	}
	var err error
	h.core, err = make(h, config)
	must(w.t, err)
	o := transports.Options{Core: h.core, Tunnel: h.tunnel, Link: h.link, Clock: clock, Workers: s.workers,
		Shakers: s.shakers, Port: h.outer.Port()}
	if s.onEvents != nil {
		o.OnEvents = func(e []protocol.Event) { s.onEvents(name, e) }
	}
	h.node, err = transports.New(o)
	must(w.t, err)
	return h
}

// introduce makes to a peer of h's.
func (w *world) introduce(h, to *host, keepalive uint16) {
	must(w.t, h.node.Configure(transports.Settings{Changes: []protocol.Change{{Op: protocol.OpAddPeer,
		Peer: to.key.PublicKey(), Endpoint: &to.outer, PersistentKeepalive: &keepalive,
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(to.inner, 32), netip.PrefixFrom(to.inner6, 128)}}}}))
}

func (h *host) run(t testing.TB) {
	go func() { h.ran <- h.node.Run(context.Background()) }()
	t.Cleanup(func() { h.stop(t) })
}

// stop closes a host and demands that Run had nothing to complain about.
func (h *host) stop(t testing.TB) {
	must(t, h.node.Close())
	select {
	case err := <-h.ran:
		h.ran <- err
		if err != nil {
			t.Errorf("%s: Run: %v", h.name, err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: Run did not return", h.name)
	}
}

// packet makes an inner IPv4 packet of n bytes with a number in it.
func packet(from, to netip.Addr, number uint32, n int) []byte {
	p := make([]byte, max(n, 24))
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	src, dst := from.As4(), to.As4()
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint32(p[20:], number)
	for i := 24; i < len(p); i++ {
		p[i] = byte(i) ^ byte(number)
	}
	return p
}

func number(p []byte) uint32 { return binary.BigEndian.Uint32(p[20:]) }

// wants takes the next packet out of h's tunnel and demands that it is p.
func (h *host) wants(t testing.TB, what string, p []byte) {
	t.Helper()
	got := make(chan []byte, 1)
	go func() {
		b, _, _ := h.tunnel.Take(nil)
		got <- b
	}()
	select {
	case b := <-got:
		if string(b) != string(p) {
			t.Fatalf("%s: %s got\n%x, want\n%x", what, h.name, b, p)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: nothing arrived at %s", what, h.name)
	}
}

// connect exchanges one packet each way, so that both sides may send.
func (w *world) connect() {
	w.t.Helper()
	for i, h := range []*host{w.a, w.b} {
		to := []*host{w.b, w.a}[i]
		p := packet(h.inner, to.inner, 0, 100)
		h.tunnel.Put(p)
		to.wants(w.t, fmt.Sprint("packet ", i), p)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
