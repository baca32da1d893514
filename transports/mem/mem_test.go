package mem

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
)

var one, two = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

func datagram(to netip.AddrPort, data ...byte) protocol.Datagram {
	return protocol.Datagram{Packet: protocol.Packet{Buf: data, Len: len(data)}, TOS: 9,
		Endpoint: protocol.Endpoint{Remote: to}}
}

// Packets lie in the buffer as the interface asks: headroom, padding and tag room, and equal ones without a gap.
func TestTunnelLayout(t *testing.T) {
	tunnel := NewTunnel("t", 1400, Options{})
	sizes := []int{20, 20, 33, 1400, 48}
	for i, n := range sizes {
		p := make([]byte, n)
		p[0] = byte(i)
		tunnel.Put(p)
	}
	p := transports.Packets{Buf: make([]byte, transports.PacketsBuf), List: make([]protocol.Packet, 0, 4)}
	if err := tunnel.Read(&p); err != nil || len(p.List) != 4 {
		t.Fatalf("%d packets, %v", len(p.List), err)
	}
	end := 0
	for i, w := range p.List {
		if w.Len != sizes[i] || w.Bytes()[0] != byte(i) || w.Off-protocol.Headroom != end || end%16 != 0 {
			t.Errorf("packet %d lies at %d, %d bytes", i, w.Off, w.Len)
		}
		end += protocol.Headroom + (w.Len+15)/16*16 + 16
	}
	small := transports.Packets{Buf: make([]byte, 60), List: make([]protocol.Packet, 0, 4)}
	if err := tunnel.Read(&small); err != nil || len(small.List) != 0 || tunnel.Pending() != 1 {
		t.Errorf("a packet that has no room: %v, %d, %d pending", err, len(small.List), tunnel.Pending())
	}
}

// A network carries from bound port to bound port, with the path as each side sees it, and loses the rest.
func TestNetwork(t *testing.T) {
	n := NewNetwork(Options{Queue: 2})
	a, b := n.Link(one), n.Link(two)
	if err := a.Send([]protocol.Datagram{datagram(netip.AddrPortFrom(two, 5), 1)}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sent while not open: %v", err)
	}
	port, err := a.Open(0)
	if err != nil || port == 0 {
		t.Fatal(port, err)
	}
	if _, err := b.Open(5); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Link(two).Open(5); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port twice: %v", err)
	}
	to := netip.AddrPortFrom(two, 5)
	nobody := netip.AddrPortFrom(two, 6)
	err = a.Send([]protocol.Datagram{datagram(to, 1), datagram(nobody, 2), datagram(to, 3), datagram(to, 4)})
	if err != nil || b.Waiting() != 2 || b.Lost() != 1 {
		t.Errorf("%v, %d wait, %d lost", err, b.Waiting(), b.Lost())
	}
	d := transports.Datagrams{Buf: make([]byte, 100), List: make([]protocol.Datagram, 0, 8)}
	if err := b.Receive(0, &d); err != nil || len(d.List) != 2 || d.List[1].Bytes()[0] != 3 || d.List[0].TOS != 9 ||
		d.List[0].Endpoint != (protocol.Endpoint{Remote: netip.AddrPortFrom(one, port), Local: two, IfIndex: 1}) {
		t.Errorf("%v: %+v", err, d.List)
	}
	err = a.Send([]protocol.Datagram{datagram(netip.MustParseAddrPort("[::1]:1"), 1)})
	if !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("to a family that it has not: %v", err)
	}
}

// In lock-step nothing arrives before it is handed over.
func TestLockStep(t *testing.T) {
	n := NewNetwork(Options{LockStep: true})
	a, b := n.Link(one), n.Link(two)
	_, errA := a.Open(1)
	_, errB := b.Open(2)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	data := []byte{7}
	if err := a.Send([]protocol.Datagram{datagram(netip.AddrPortFrom(two, 2), data...)}); err != nil {
		t.Fatal(err)
	}
	<-n.Sent()
	held := n.Held()
	if len(held) != 1 || b.Waiting() != 0 || len(n.Held()) != 0 {
		t.Fatalf("%v, %d arrived", held, b.Waiting())
	}
	n.Deliver(held[0])
	if b.Waiting() != 1 {
		t.Error("it did not arrive")
	}
}

// Closing ends everything that waits.
func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunnel, link := NewTunnel("t", 1, Options{Queue: 1}), NewNetwork(Options{}).Link(one)
		ended := make(chan error, 4)
		go func() { ended <- tunnel.Read(&transports.Packets{List: make([]protocol.Packet, 0, 1)}) }()
		go func() {
			err := tunnel.Write([]protocol.Delivery{{Packet: protocol.Packet{Buf: []byte{1}, Len: 1}},
				{Packet: protocol.Packet{Buf: []byte{1}, Len: 1}}})
			ended <- err
		}()
		go func() { ended <- link.Receive(0, &transports.Datagrams{List: make([]protocol.Datagram, 0, 1)}) }()
		synctest.Wait()
		if len(ended) > 0 {
			t.Fatal("something did not wait")
		}
		for range 2 {
			if err := errors.Join(tunnel.Close(), link.Close()); err != nil {
				t.Error(err)
			}
		}
		for range 3 {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if _, open := <-tunnel.Events(); open || tunnel.Put([]byte{1}) {
			t.Error("not closed")
		}
		tunnel.Signal(transports.TunnelUp) // of a closed one: nothing happens
	})
}
