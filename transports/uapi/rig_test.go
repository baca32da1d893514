//go:build linux

package uapi

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// node is a Device around a real core, with a UDP socket for the port and nothing that sends.
type node struct {
	mu     sync.Mutex
	core   *protocol.Device
	now    timers.Time
	socket net.PacketConn
	port   uint16
	mark   uint32

	applied, refused int
	broken           error // what View fails with
	viewed           int
	most             int    // peers that one View read
	first            []byte // datagram that the last set sent; nil: none
	sentTo           netip.AddrPort
	delivered        int // packets to the host
}

func (n *node) Configure(changes []protocol.Change, port *uint16, mark *uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var socket net.PacketConn
	if port != nil && (*port != n.port || *port == 0) {
		var err error
		at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv6Unspecified(), *port))
		if socket, err = net.ListenUDP("udp", at); err != nil {
			n.refused++
			return err
		}
	}
	var out protocol.Batch
	if err := n.core.Configure(n.now, changes, &out); err != nil {
		n.refused++
		if socket != nil {
			socket.Close()
		}
		return err
	}
	n.applied++
	n.first = n.finish(&out)
	if socket != nil {
		if n.socket != nil {
			n.socket.Close()
		}
		n.socket, n.port = socket, socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	if mark != nil {
		n.mark = *mark
	}
	return nil
}

func (n *node) View(f func(Core, uint16, uint32)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.viewed++
	if n.broken == nil {
		counted := &counting{Device: n.core}
		f(counted, n.port, n.mark)
		n.most = max(n.most, counted.peers)
	}
	return n.broken
}

// counting counts the peers that are read.
type counting struct {
	*protocol.Device
	peers int
}

func (c *counting) PeersAfter(id protocol.PeerID) iter.Seq[protocol.PeerStats] {
	return func(yield func(protocol.PeerStats) bool) {
		for s := range c.Device.PeersAfter(id) {
			if c.peers++; !yield(s) {
				return
			}
		}
	}
}

// with gives the core to f under the lock.
func (n *node) with(f func(*protocol.Device)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n.core)
}

// peers counts them.
func (n *node) peers() (count int) {
	n.with(func(d *protocol.Device) { count = len(slices.Collect(d.Peers())) })
	return count
}

// state is everything that a set can change and a handshake depends on.
func (n *node) state() (s string) {
	n.with(func(d *protocol.Device) { s = string(d.AppendState(nil)) })
	return s
}

func newNode(t testing.TB, private byte) *node {
	t.Helper()
	c := protocol.Config{Entropy: rand.Reader, Start: timers.Time(time.Hour), Wall: time.Now(), MTU: 1420,
		Limits: protocol.Limits{Jobs: 8}}
	if private != 0 {
		c.Identity = protocol.NewIdentity(secret(private))
	}
	core, err := protocol.New(c)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{core: core, now: timers.Time(time.Hour)}
	t.Cleanup(func() {
		if n.socket != nil {
			n.socket.Close()
		}
	})
	return n
}

// manyChanges puts n peers with two prefixes each.
func manyChanges(n int) []protocol.Change {
	changes := make([]protocol.Change, n)
	for i := range changes {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		b := netip.AddrFrom16([16]byte{0x20, 1, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		k := protocol.PublicKey{byte(i), byte(i >> 8), byte(i >> 16), 1}
		changes[i] = protocol.Change{Op: protocol.OpPutPeer, Peer: k,
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(a, 32), netip.PrefixFrom(b, 128)}}
	}
	return changes
}

func manyPeers(t testing.TB, n int) *node {
	t.Helper()
	made := newNode(t, 1)
	if err := made.Configure(manyChanges(n), nil, nil); err != nil {
		t.Fatal(err)
	}
	return made
}

func secret(n byte) (k protocol.PrivateKey) {
	k[0], k[1], k[31] = 8, n, 64
	return k
}

// prv and pub are the keys of pair n as the socket writes them.
func prv(n byte) string { k := secret(n); return hex.EncodeToString(k[:]) }
func pub(n byte) string { k := public(n); return hex.EncodeToString(k[:]) }

func public(n byte) protocol.PublicKey { return protocol.NewIdentity(secret(n)).PublicKey() }

// rig is a served node and one raw connection to it.
type rig struct {
	*node
	t    testing.TB
	path string
	conn net.Conn
	in   *bufio.Reader
}

// serve starts s on a socket in a directory of its own, until the test ends.
func serve(t testing.TB, s *Server) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	return path
}

func serveOn(t testing.TB, s *Server, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve, cancelled: %v", err)
		}
	})
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{node: newNode(t, 0), t: t}
	r.path = serve(t, &Server{Device: r.node})
	r.conn, r.in = r.dial()
	return r
}

func (r *rig) dial() (net.Conn, *bufio.Reader) {
	r.t.Helper()
	return dialRaw(r.t, r.path)
}

func dialRaw(t testing.TB, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(time.Minute))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

// ask sends a request and reads an answer to the empty line.
func (r *rig) ask(request string) string {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, request); err != nil {
		r.t.Fatalf("writing %.60q: %v", request, err)
	}
	return readAnswer(r.t, r.in)
}

func readAnswer(t testing.TB, in *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			t.Fatalf("the answer ends after %q: %v", b.String(), err)
		}
		if line == "\n" {
			return b.String()
		}
	}
}

// set sends lines as a set that must be answered with errno n, written as it is on the wire.
func (r *rig) set(n, lines string) {
	r.t.Helper()
	if got := r.ask("set=1\n" + lines + "\n"); got != "errno="+n+"\n\n" {
		r.t.Fatalf("set of\n%s\nanswered %q, want errno=%s", lines, got, n)
	}
}

// ok is a set that must work.
func (r *rig) ok(lines string) { r.t.Helper(); r.set("0", lines) }

// invalid is a set that must be answered with EINVAL and change nothing.
func (r *rig) invalid(lines string) { r.t.Helper(); r.fails("-22", lines) }

func (r *rig) fails(n, lines string) {
	r.t.Helper()
	before, port, mark := r.state(), r.port, r.mark
	r.set(n, lines)
	if after := r.state(); after != before || r.port != port || r.mark != mark {
		r.t.Fatalf("a set that failed changed\n%s\nto\n%s", before, after)
	}
}

// get gives the lines of a get without errno=0, which must be the last.
func (r *rig) get() []string {
	r.t.Helper()
	text, ok := strings.CutSuffix(r.ask("get=1\n\n"), "errno=0\n\n")
	if !ok {
		r.t.Fatalf("get ends in %q", text)
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// want asserts that a get has the line.
func (r *rig) want(line string) {
	r.t.Helper()
	if got := r.get(); !slices.Contains(got, line) {
		r.t.Fatalf("get has no line %q:\n%s", line, strings.Join(got, "\n"))
	}
}

// wantNo asserts that a get has no line of that beginning.
func (r *rig) wantNo(prefix string) {
	r.t.Helper()
	for _, line := range r.get() {
		if strings.HasPrefix(line, prefix) {
			r.t.Fatalf("get has the line %q", line)
		}
	}
}

// routes gives the allowed IPs of peer n, blank-separated.
func (r *rig) routes(n byte) (list string) {
	r.with(func(d *protocol.Device) {
		id, _ := d.Peer(public(n))
		for p := range d.AllowedIPs(id) {
			list += p.String() + " "
		}
	})
	return strings.TrimSpace(list)
}

// outsider is a core that is no part of the rig, with the rig as its only peer, and gives its initiation.
func outsider(t testing.TB, private, rigPrivate byte, wall time.Duration) (*node, []byte) {
	t.Helper()
	n := newNode(t, private)
	at, keepalive := netip.MustParseAddrPort("192.0.2.9:9"), uint16(25)
	n.core.SetWallClock(n.now, time.Now().Add(wall))
	var out protocol.Batch
	n.core.Up(n.now, &out)
	err := n.core.Configure(n.now, []protocol.Change{{Op: protocol.OpPutPeer, Peer: public(rigPrivate), Endpoint: &at,
		PersistentKeepalive: &keepalive}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return n, n.timeout(t)
}

// timeout lets what is due happen and gives the one datagram that leaves.
func (n *node) timeout(t testing.TB) []byte {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var out protocol.Batch
	n.core.HandleTimeout(n.now, &out)
	return n.finish(&out)
}

// receive gives a datagram to the core and returns the first that it sends, or nil.
func (n *node) receive(dg []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out protocol.Batch
	in := protocol.Datagram{Packet: protocol.Packet{Buf: slices.Clone(dg), Len: len(dg)},
		Endpoint: protocol.Endpoint{Remote: netip.MustParseAddrPort("192.0.2.1:1")}}
	n.core.HandleDatagrams(n.now, []protocol.Datagram{in}, &out)
	return n.finish(&out)
}

// send gives an inner packet to the core and returns the first datagram that leaves, or nil.
func (n *node) send(packet []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	buf := make([]byte, protocol.Headroom+len(packet)+protocol.Tailroom)
	copy(buf[protocol.Headroom:], packet)
	var out protocol.Batch
	n.core.HandlePackets(n.now, []protocol.Packet{{Buf: buf, Off: protocol.Headroom, Len: len(packet)}}, &out)
	return n.finish(&out)
}

// staged counts the packets that wait for the first peer.
func (n *node) staged() (count int) {
	n.with(func(d *protocol.Device) {
		s, _ := d.Stats(1)
		count = s.Staged
	})
	return count
}

func (n *node) configure(t testing.TB, c protocol.Change) {
	t.Helper()
	if err := n.Configure([]protocol.Change{c}, nil, nil); err != nil {
		t.Fatal(err)
	}
}

func (n *node) finish(out *protocol.Batch) []byte {
	protocol.Finish(n.now, n.core, out, &protocol.Worker{})
	n.delivered += len(out.Deliveries)
	for dg := range out.Outgoing() {
		n.sentTo = dg.Endpoint.Remote
		return slices.Clone(dg.Bytes())
	}
	return nil
}

var errBroken = errors.New("no core any more")
