package tun

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

func newPackets() *transports.Packets {
	return &transports.Packets{
		Buf: make([]byte, transports.PacketsBuf), List: make([]protocol.Packet, 0, transports.MaxBatch),
	}
}

// parse is the way back from build; ok is false for what it has no description of.
func parse(b []byte) (k kind, ok bool) {
	be := binary.BigEndian
	if b[0]>>4 == 6 {
		k.v6, k.tos, k.ttl = true, b[0]<<4|b[1]>>4, b[7]
		k.label, k.udp, k.ends = be.Uint32(b)&(1<<20-1), b[6] == 17, [2][]byte{b[8:24], b[24:40]}
		if b[6] != 6 && b[6] != 17 {
			return k, false
		}
		b = b[40:]
	} else {
		k.tos, k.ttl, k.id, k.df, k.udp = b[1], b[8], be.Uint16(b[4:]), b[6]&0x40 != 0, b[9] == 17
		k.ends = [2][]byte{b[12:16], b[16:20]}
		if b[0] != 0x45 || b[9] != 6 && b[9] != 17 {
			return k, false
		}
		b = b[20:]
	}
	k.ports = [2]uint16{be.Uint16(b), be.Uint16(b[2:])}
	if k.udp {
		k.payload = b[8:]
		return k, true
	}
	k.seq, k.ack, k.flags, k.window = be.Uint32(b[4:]), be.Uint32(b[8:]), b[13], be.Uint16(b[14:])
	k.options, k.payload = b[20:int(b[12]>>4)*4], b[int(b[12]>>4)*4:]
	return k, true
}

// intact verifies a packet's lengths and checksums by their definition.
func intact(b []byte) error {
	be := binary.BigEndian
	l3, proto, pseudo := 40, b[6], append([]byte{}, b[8:40]...)
	if b[0]>>4 == 4 {
		l3, proto, pseudo = int(b[0]&15)*4, b[9], append([]byte{}, b[12:20]...)
		if naive(b[:l3]) != 0xffff {
			return errors.New("header checksum")
		}
		if int(be.Uint16(b[2:])) != len(b) {
			return errors.New("total length")
		}
	} else if int(be.Uint16(b[4:])) != len(b)-40 {
		return errors.New("payload length")
	}
	if proto != 6 && proto != 17 {
		return nil
	}
	if proto == 17 && int(be.Uint16(b[l3+4:])) != len(b)-l3 {
		return errors.New("UDP length")
	}
	pseudo = be.AppendUint16(append(pseudo, 0, proto), uint16(len(b)-l3))
	if naive(append(pseudo, b[l3:]...)) != 0xffff {
		return errors.New("transport checksum")
	}
	return nil
}

// layout holds a batch to what transports.Packets promises.
func layout(t *testing.T, p *transports.Packets) {
	pos := 0
	for i, q := range p.List {
		if q.Off != pos+protocol.Headroom || q.Off+q.Len+protocol.Tailroom > len(p.Buf) || &q.Buf[0] != &p.Buf[0] {
			t.Errorf("packet %d of %d lies at %d, want %d", i, q.Len, q.Off, pos+protocol.Headroom)
		}
		pos += transports.Stride(q.Len)
	}
	if len(p.List) > transports.MaxBatch {
		t.Errorf("a batch of %d", len(p.List))
	}
}

// A pump carries packets from one device to another, as a tunnel would, and looks at them on the way.
type pump struct {
	supers, parts, packets, largest int // super-packets read, what they were cut into, and all
}

func (s *pump) run(t *testing.T, from, to *Device) {
	p := newPackets()
	var out []protocol.Delivery
	for {
		continued := from.in.split.size() > 0
		err := from.Read(p)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.Errorf("Read: %v", err)
			return
		}
		layout(t, p)
		out = out[:0]
		for i, q := range p.List {
			if err := intact(q.Bytes()); err != nil {
				t.Errorf("packet %d of %d: %v", i, len(p.List), err)
			}
			out = append(out, protocol.Delivery{Packet: q})
			s.largest = max(s.largest, q.Len)
		}
		s.packets += len(p.List)
		s.compare(t, from, p, continued)
		if err := to.Write(out); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
	}
}

// compare cuts the super-packet that Read has seen last, which still lies in its buffer, by the test's own means.
func (s *pump) compare(t *testing.T, d *Device, p *transports.Packets, continued bool) {
	var v vnet
	if v.get(d.in.vnet[:]); v.gso == gsoNone || continued || d.in.split.size() > 0 || !d.header {
		return
	}
	n := 40 + int(binary.BigEndian.Uint16(d.in.long[4:]))
	if d.in.long[0]>>4 == 4 {
		n = int(binary.BigEndian.Uint16(d.in.long[2:]))
	}
	k, ok := parse(d.in.long[:n])
	if !ok {
		t.Errorf("a super-packet of an unknown kind: % x", d.in.long[:60])
		return
	}
	want := k.pieces(int(v.segment))
	if len(want) > len(p.List) {
		t.Errorf("%d packets of a super-packet, want %d", len(p.List), len(want))
		return
	}
	for i, q := range p.List[len(p.List)-len(want):] {
		if !bytes.Equal(q.Bytes(), want[i]) {
			t.Errorf("part %d of %d:\n% x\nwant\n% x", i, len(want), q.Bytes()[:min(q.Len, 60)],
				want[i][:min(len(want[i]), 60)])
		}
	}
	s.supers++
	s.parts += len(want)
}

// TestTransfer runs the host's own TCP over two devices in two namespaces, both ways at once, with every set of
// offloads: all data arrive, and every super-packet is cut as the test cuts it.
func TestTransfer(t *testing.T) {
	for _, o := range []Options{{}, {NoUDPSegments: true}, {NoOffload: true}} {
		for _, to := range []string{"10.99.0.2", "fd99::2"} {
			for _, mtu := range []int{1420, 9000, 1280} {
				t.Run(fmt.Sprintf("%+v/%s/%d", o, to, mtu), func(t *testing.T) { transfer(t, o, to, mtu) })
			}
		}
	}
}

func transfer(t *testing.T, o Options, to string, mtu int) {
	a, b := newSpace(t), newSpace(t)
	left, right := a.device(t, "left", mtu, o), b.device(t, "right", mtu, o)
	a.up(t, left, "1")
	b.up(t, right, "2")
	tcp, udp := left.Offload()
	if tcp == o.NoOffload {
		t.Fatalf("options %+v: TCP offload is %v", o, tcp)
	}
	if want := !o.NoOffload && !o.NoUDPSegments; udp != want {
		t.Logf("this kernel has no UDP segmentation for TUN: %v, asked for %v", udp, want)
	}
	var there, back pump
	var wg sync.WaitGroup
	wg.Go(func() { there.run(t, left, right) })
	wg.Go(func() { back.run(t, right, left) })

	var listener net.Listener
	var client, server net.Conn
	var err error
	b.Do(func() { listener, err = net.Listen("tcp", net.JoinHostPort(to, "80")) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a.Do(func() { client, err = net.DialTimeout("tcp", listener.Addr().String(), deadline) })
	if err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	data := payload(size)
	var transfers sync.WaitGroup
	for _, c := range []net.Conn{client, server} {
		_ = c.SetDeadline(time.Now().Add(deadline))
		transfers.Go(func() {
			if _, err := c.Write(data); err != nil {
				t.Errorf("write: %v", err)
			}
		})
		transfers.Go(func() {
			h := sha256.New()
			if n, err := io.CopyN(h, c, size); err != nil {
				t.Errorf("read %d of %d bytes: %v", n, size, err)
			} else if want := sha256.Sum256(data); !bytes.Equal(h.Sum(nil), want[:]) {
				t.Error("other bytes than were written")
			}
		})
	}
	transfers.Wait()
	client.Close()
	server.Close()
	left.Close()
	right.Close()
	wg.Wait()
	for name, p := range map[string]*pump{"there": &there, "back": &back} {
		t.Logf("%s: %d packets, of which %d from %d super-packets", name, p.packets, p.parts, p.supers)
		if p.largest > mtu {
			t.Errorf("%s: a packet of %d bytes", name, p.largest)
		}
		if tcp && p.supers < 10 || !tcp && p.supers > 0 {
			t.Errorf("%s: %d super-packets with offload %v", name, p.supers, tcp)
		}
	}
}

// TestUDPSegments sends and receives UDP super-packets with the host's sockets: they arrive as the datagrams they are.
func TestUDPSegments(t *testing.T) {
	for _, o := range []Options{{}, {NoUDPSegments: true}, {NoOffload: true}} {
		for host, to := range []string{"10.99.0.2", "fd99::2"} {
			t.Run(fmt.Sprintf("%+v/%s", o, to), func(t *testing.T) {
				a, b := newSpace(t), newSpace(t)
				left, right := a.device(t, "left", 1420, o), b.device(t, "right", 1420, o)
				a.up(t, left, "1")
				b.up(t, right, "2")
				_, uso := left.Offload()
				if !uso && o == (Options{}) {
					t.Log("this kernel has no UDP segmentation for TUN; the datagrams come one by one")
				}
				var p pump
				var wg sync.WaitGroup
				wg.Go(func() { p.run(t, left, right) })
				udpRun(t, a, b, net.ParseIP([]string{"10.99.0.1", "fd99::1"}[host]), net.ParseIP(to))
				left.Close()
				wg.Wait()
				if uso != (p.supers > 0) {
					t.Errorf("%d super-packets read with UDP segmentation %v", p.supers, uso)
				}
				if _, still := right.Offload(); uso && !still {
					t.Error("the kernel refused a merged packet of UDP")
				}
				runtime.KeepAlive(right)
			})
		}
	}
}

func udpRun(t *testing.T, a, b *space, from, to net.IP) {
	var sender, receiver *net.UDPConn
	var err error
	if b.Do(func() { receiver, err = net.ListenUDP("udp", &net.UDPAddr{IP: to, Port: 5000}) }); err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	a.Do(func() { sender, err = net.DialUDP("udp", &net.UDPAddr{IP: from}, &net.UDPAddr{IP: to, Port: 5000}) })
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	raw, err := sender.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for _, segment := range []int{1000, 1, 63, 1372} {
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, segment) })
		if err != nil {
			t.Fatal(err)
		}
		data := payload(segment*39 + (segment+1)/2)
		if _, err := sender.Write(data); err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			_ = receiver.SetReadDeadline(time.Now().Add(deadline))
			n, err := receiver.Read(buf)
			if err != nil {
				t.Fatalf("segments of %d, %d bytes to go: %v", segment, len(rest), err)
			}
			if want := min(segment, len(rest)); n != want || !bytes.Equal(buf[:n], rest[:n]) {
				t.Fatalf("a datagram of %d bytes, want %d and the same", n, want)
			}
			rest = rest[n:]
		}
	}
}
