package udp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/internal/netspace"
)

const deadline = netspace.Deadline

// A space is a network namespace for sockets.
type space struct{ *netspace.Space }

func newSpace(t *testing.T) *space {
	t.Helper()
	return &space{netspace.New(t)}
}

func (s *space) open(t *testing.T, port uint16, o Options) (l *Link, actual uint16) {
	t.Helper()
	l = New(o)
	t.Cleanup(func() { _ = l.Close() })
	return l, s.reopen(t, l, port)
}

func (s *space) reopen(t *testing.T, l *Link, port uint16) (actual uint16) {
	t.Helper()
	var err error
	if s.Do(func() { actual, err = l.Open(port) }); err != nil {
		t.Fatalf("Open(%d): %v", port, err)
	}
	return actual
}

func newDatagrams() *transports.Datagrams {
	return &transports.Datagrams{
		Buf: make([]byte, transports.DatagramsBuf), List: make([]protocol.Datagram, 0, transports.MaxBatch),
	}
}

// A got is a received datagram, kept.
type got struct {
	data      string
	from      protocol.Endpoint
	tos       uint8
	coalesced bool // its window begins where no datagram of its own would
}

// receive takes want datagrams from a source, or what comes until the deadline.
func receive(t *testing.T, l *Link, source, want int) (all []got) {
	t.Helper()
	alarm := time.AfterFunc(deadline, func() { _ = l.Close() })
	defer alarm.Stop()
	d := newDatagrams()
	for len(all) < want {
		if err := l.Receive(source, d); err != nil {
			t.Fatalf("%d of %d datagrams, then: %v", len(all), want, err)
		}
		if len(d.List) > transports.MaxBatch {
			t.Fatalf("a batch of %d", len(d.List))
		}
		for _, g := range d.List {
			all = append(all, got{string(g.Bytes()), g.Endpoint, g.TOS, g.Off%lineSize != 0})
		}
	}
	if len(all) > want {
		t.Fatalf("%d datagrams, want %d", len(all), want)
	}
	return all
}

// message makes a payload that tells its number and size.
func message(number, size int) []byte {
	b := []byte(strings.Repeat(fmt.Sprintf("%08d.", number), size/9+1))
	return b[:size]
}

// to makes datagrams of these sizes.
func to(e protocol.Endpoint, tos uint8, sizes ...int) (all []protocol.Datagram) {
	for i, n := range sizes {
		b := message(i, n)
		all = append(all, protocol.Datagram{Packet: protocol.Packet{Buf: b, Len: n}, Endpoint: e, TOS: tos})
	}
	return all
}

// packed puts datagrams behind one another, as sealing in place leaves them.
func packed(all []protocol.Datagram) []protocol.Datagram {
	var buf []byte
	for _, d := range all {
		buf = append(buf, d.Bytes()...)
	}
	off := 0
	for i := range all {
		all[i].Buf, all[i].Off = buf, off
		off += all[i].Len
	}
	return all
}

func repeat(n, size int) (sizes []int) {
	for range n {
		sizes = append(sizes, size)
	}
	return sizes
}

func endpoint(remote string, port uint16, local string) (e protocol.Endpoint) {
	e.Remote = netip.AddrPortFrom(netip.MustParseAddr(remote), port)
	if local != "" {
		e.Local = netip.MustParseAddr(local)
	}
	return e
}

func mustSend(t *testing.T, l *Link, d []protocol.Datagram) {
	t.Helper()
	if err := l.Send(d); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

// same compares what came with what was sent, in order.
func same(t *testing.T, all []got, sent []protocol.Datagram) {
	t.Helper()
	for i, g := range all {
		if want := string(sent[i].Bytes()); g.data != want {
			t.Fatalf("datagram %d: %d bytes %.20q, want %d bytes %.20q", i, len(g.data), g.data, len(want), want)
		}
		if g.tos != sent[i].TOS {
			t.Fatalf("datagram %d: TOS %#x, want %#x", i, g.tos, sent[i].TOS)
		}
	}
}
