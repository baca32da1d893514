package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

// event waits for one that is wanted; others in between are errors.
func event(t *testing.T, d *Device, want transports.TunnelEvent) {
	t.Helper()
	select {
	case e, open := <-d.Events():
		if e != want || !open {
			t.Fatalf("event %d (open: %v), want %d", e, open, want)
		}
	case <-time.After(deadline):
		t.Fatalf("no event, want %d", want)
	}
}

// ended waits for the events to be closed.
func ended(t *testing.T, d *Device) {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case _, open := <-d.Events():
			if !open {
				return
			}
		case <-late:
			t.Fatal("the events are still open")
		}
	}
}

// TestEvents: up, down and MTU are told as they happen, and the name follows a change.
func TestEvents(t *testing.T) {
	s := newSpace(t)
	d := s.device(t, "wg%d", 1400, Options{})
	if d.Name() != "wg0" {
		t.Fatalf("the name is %q", d.Name())
	}
	s.IP(t, "link set wg0 up")
	event(t, d, transports.TunnelUp)
	s.IP(t, "link set wg0 mtu 1300")
	event(t, d, transports.TunnelMTU)
	if mtu, err := d.MTU(); err != nil || mtu != 1300 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
	if err := d.SetMTU(1280); err != nil {
		t.Fatal(err)
	}
	event(t, d, transports.TunnelMTU)
	s.IP(t, "link set wg0 down")
	event(t, d, transports.TunnelDown)
	s.IP(t, "link set wg0 name inner", "link set inner up")
	event(t, d, transports.TunnelUp)
	if mtu, err := d.MTU(); d.Name() != "inner" || err != nil || mtu != 1280 {
		t.Fatalf("%q has MTU %d, %v", d.Name(), mtu, err)
	}
}

// TestMove follows an interface into another namespace and notices there what happens to it.
func TestMove(t *testing.T) {
	a, b := newSpace(t), newSpace(t)
	d := a.device(t, "wg0", 1400, Options{})
	a.IP(t, "link set wg0 up")
	event(t, d, transports.TunnelUp)
	a.IP(t, "link set wg0 netns "+b.Path)
	event(t, d, transports.TunnelDown)
	a.device(t, "wg0", 1111, Options{}) // it has the name, and is another
	a.IP(t, "link set wg0 up")
	b.IP(t, "link set wg0 up")
	event(t, d, transports.TunnelUp)
	b.IP(t, "link set wg0 mtu 1350")
	event(t, d, transports.TunnelMTU)
	if mtu, err := d.MTU(); err != nil || mtu != 1350 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
	b.IP(t, "link set wg0 down")
	event(t, d, transports.TunnelDown)
}

// TestProbe: where we may not listen, looking now and then tells up from down, and that the interface was deleted.
func TestProbe(t *testing.T) {
	a, b := newSpace(t), newSpace(t)
	d := a.device(t, "wg0", 1400, Options{})
	a.IP(t, "link set wg0 netns "+b.Path)
	look := func() (up, gone bool) {
		_ = d.conn.Control(func(fd uintptr) { up, gone = probeOnce(int(fd), d.header) })
		return up, gone
	}
	for range 3 {
		if up, gone := look(); up || gone {
			t.Fatalf("down, but up is %v, gone %v", up, gone)
		}
		b.IP(t, "link set wg0 up")
		if up, gone := look(); !up || gone {
			t.Fatalf("up, but up is %v, gone %v", up, gone)
		}
		b.IP(t, "link set wg0 down")
	}
	b.IP(t, "link del wg0")
	if _, gone := look(); !gone {
		t.Fatal("deleted, but not gone")
	}
}

// TestDelete: who deletes the interface ends everything (LIFE-11).
func TestDelete(t *testing.T) {
	s := newSpace(t)
	d := s.device(t, "wg0", 1400, Options{})
	s.IP(t, "link set wg0 up")
	event(t, d, transports.TunnelUp)
	read := make(chan error, 1)
	go func() {
		p := newPackets()
		for {
			if err := d.Read(p); err != nil {
				read <- err
				return
			}
		}
	}()
	s.IP(t, "link del wg0")
	ended(t, d)
	select {
	case err := <-read:
		if !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Read: %v", err)
		}
	case <-time.After(deadline):
		t.Fatal("Read still waits")
	}
	if err := d.Write(deliveries([][]byte{kind{udp: true, payload: payload(9)}.build()})); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Write: %v", err)
	}
	if _, err := d.MTU(); !errors.Is(err, net.ErrClosed) || d.Name() != "" {
		t.Fatalf("%q: MTU: %v", d.Name(), err)
	}
}

// TestClose ends a Read that waits, the events, and the interface; twice does no harm.
func TestClose(t *testing.T) {
	s := newSpace(t)
	d := s.device(t, "wg0", 1400, Options{})
	read := make(chan error, 1)
	go func() { read <- d.Read(newPackets()) }()
	if err := d.Write(deliveries([][]byte{kind{udp: true, payload: payload(9)}.build()})); !errors.Is(err, unix.EIO) {
		t.Fatalf("Write while down: %v", err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-read:
		if !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Read: %v", err)
		}
	case <-time.After(deadline):
		t.Fatal("Read still waits")
	}
	ended(t, d)
	again := s.device(t, "wg0", 0, Options{}) // the name is free
	if mtu, err := again.MTU(); err != nil || mtu != 1500 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
}

// TestOpenFD takes interfaces that others have set up: with vnet headers of another size, without, and what is none.
func TestOpenFD(t *testing.T) {
	for name, flags := range map[string]uint16{
		"vnet": unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR, "plain": unix.IFF_TUN | unix.IFF_NO_PI,
		"Ethernet": unix.IFF_TAP | unix.IFF_NO_PI,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			var d *Device
			var err error
			s.Do(func() {
				var fd int
				if fd, err = unix.Open(devicePath, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
					return
				}
				request, _ := unix.NewIfreq("wg0")
				request.SetUint16(flags)
				if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
					return
				}
				if name == "vnet" {
					err = unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, 12)
				}
				if err == nil {
					d, err = OpenFD(fd, 1300, Options{})
				}
			})
			if name != "vnet" && name != "plain" {
				if !errors.Is(err, unix.EINVAL) {
					t.Fatalf("OpenFD: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			if tcp, _ := d.Offload(); tcp != (name == "vnet") {
				t.Fatalf("TCP offload: %v", tcp)
			}
			s.up(t, d, "1")
			echoes(t, d, 20)
		})
	}
}

// echo is an ICMP echo request from the other side.
func echo(number, size int) []byte {
	b := append([]byte{8, 0, 0, 0, 0, 1}, byte(number>>8), byte(number))
	b = append(b, payload(size)...)
	binary.BigEndian.PutUint16(b[2:], ^naive(b))
	head := append([]byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 1, 0, 0}, append(v4ends[0][:4:4], v4ends[1]...)...)
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(b)))
	binary.BigEndian.PutUint16(head[10:], ^naive(head))
	return append(head, b...)
}

// echoes asks the host n times and wants its answers, in order.
func echoes(t *testing.T, d *Device, n int) {
	t.Helper()
	var requests [][]byte
	for i := range n {
		requests = append(requests, echo(i, 100+i))
	}
	if err := d.Write(deliveries(requests)); err != nil {
		t.Fatal(err)
	}
	alarm := time.AfterFunc(deadline, func() { _ = d.Close() })
	defer alarm.Stop()
	p := newPackets()
	for i := 0; i < n; {
		if err := d.Read(p); err != nil {
			t.Fatalf("after %d answers: %v", i, err)
		}
		layout(t, p)
		for _, q := range p.List {
			b := q.Bytes()
			if b[0] != 0x45 || b[9] != 1 || b[20] != 0 {
				continue
			}
			if err := intact(b); err != nil || !bytes.Equal(b[26:], requests[i][26:]) {
				t.Fatalf("answer %d: %v, % x", i, err, b)
			}
			i++
		}
	}
}

// TestSingles writes what is not merged: each arrives as it is, a datagram without a checksum and one with a wrong one
// included, the second of which the host refuses.
func TestSingles(t *testing.T) {
	s := newSpace(t)
	d := s.device(t, "wg0", 1420, Options{})
	s.up(t, d, "1")
	echoes(t, d, 50)
	var c *net.UDPConn
	var err error
	if s.Do(func() { c, err = net.ListenUDP("udp", &net.UDPAddr{Port: 5000}) }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := kind{udp: true, ttl: 9, ports: [2]uint16{4000, 5000}, payload: payload(200)}
	bare, v6, empty := k, k, k
	bare.noCsum, v6.v6, empty.payload = true, true, nil
	wrong := k.build()
	wrong[26]++
	if err := d.Write(deliveries([][]byte{bare.build(), bare.build(), wrong, v6.build(), empty.build()})); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	for i, want := range []int{200, 200, 200, 0} {
		_ = c.SetReadDeadline(time.Now().Add(deadline))
		n, from, err := c.ReadFromUDP(buf)
		if err != nil || n != want || from.Port != 4000 || (from.IP.To4() == nil) != (i == 2) {
			t.Fatalf("datagram %d: %d bytes from %v, %v", i, n, from, err)
		}
	}
}

// TestManyParts cuts a super-packet of more parts than a batch has room for, and one larger than the buffer: Read goes
// on where it stopped.
func TestManyParts(t *testing.T) {
	for _, c := range []struct{ size, mss, buf int }{{60000, 200, transports.PacketsBuf}, {60000, 1400, 20000}} {
		s := newSpace(t)
		d := s.device(t, "wg0", 1420, Options{})
		k := kind{flags: flagACK | flagPSH, ttl: 64, id: 65500, seq: 1<<32 - 9, payload: payload(c.size)}
		p := &transports.Packets{Buf: make([]byte, c.buf), List: make([]protocol.Packet, 0, transports.MaxBatch)}
		in := &d.in
		super(in, p, k, c.mss)
		want := k.pieces(c.mss)
		for first := true; len(want) > 0; first = false {
			if !first {
				if err := d.Read(p); err != nil {
					t.Fatal(err)
				}
			}
			layout(t, p)
			for _, q := range p.List {
				if !bytes.Equal(q.Bytes(), want[0]) {
					t.Fatalf("% x\nwant\n% x", q.Bytes()[:40], want[0][:40])
				}
				want = want[1:]
			}
		}
		if in.split.size() != 0 {
			t.Fatal("there is more than there was")
		}
	}
}

// super does what readv does with a super-packet, and accepts it.
func super(in *input, p *transports.Packets, k kind, mss int) {
	b := k.build()
	in.into, in.pos = p, 0
	p.List = p.List[:0]
	superAgain(in, b, mss)
}

func superAgain(in *input, b []byte, mss int) {
	v := vnet{flags: needsCsum, gso: gsoTCPv4, segment: uint16(mss), csumStart: 20, csumOffset: tcpCsumAt}
	v.put(in.vnet[:])
	n := copy(in.into.Buf[protocol.Headroom:][:slotSize], b)
	copy(in.long[slotSize:], b[n:])
	in.accept(len(b))
}

// TestNoAllocations: reading, cutting, merging and writing make no garbage.
func TestNoAllocations(t *testing.T) {
	s := newSpace(t)
	d := s.device(t, "wg0", 1420, Options{})
	s.up(t, d, "1")
	var requests [][]byte
	for i := range 30 {
		requests = append(requests, echo(i, 50))
	}
	p, asked := newPackets(), deliveries(requests)
	merge := deliveries(kind{udp: true, ttl: 1, payload: payload(40000), ports: [2]uint16{1, 2}}.pieces(1000))
	alarm := time.AfterFunc(deadline, func() { _ = d.Close() })
	defer alarm.Stop()
	round := func() {
		if err := d.Write(asked); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(asked); {
			if err := d.Read(p); err != nil {
				t.Fatal(err)
			}
			for _, q := range p.List {
				if b := q.Bytes(); b[9] == 1 && b[20] == 0 {
					n++
				}
			}
		}
		if err := d.Write(merge); err != nil {
			t.Fatal(err)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per round of read and write", n)
	}
	b := kind{flags: flagACK, payload: payload(60000)}.build()
	d.in.into = p
	if n := testing.AllocsPerRun(100, func() {
		d.in.pos, p.List = 0, p.List[:0]
		superAgain(&d.in, b, 1400)
	}); n != 0 || len(p.List) != 43 {
		t.Errorf("%v allocations for cutting %d packets", n, len(p.List))
	}
}

// BenchmarkCut is what reading a super-packet costs beyond the system call.
func BenchmarkCut(b *testing.B) {
	d := &Device{header: true}
	d.in.init(d)
	p := newPackets()
	packet := kind{flags: flagACK, payload: payload(60000)}.build()
	d.in.into = p
	for b.Loop() {
		d.in.pos, p.List = 0, p.List[:0]
		superAgain(&d.in, packet, 1400)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(p.List)), "ns/packet")
}

// BenchmarkMerge is what writing costs beyond the system call.
func BenchmarkMerge(b *testing.B) {
	p := deliveries(kind{flags: flagACK, payload: payload(60000)}.pieces(1400))
	var o output
	o.left = p
	for b.Loop() {
		n := o.flow.merge(p, true)
		o.gather(n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(p)), "ns/packet")
}

// TestNoDevice: the errors of Open tell what is wrong.
func TestNoDevice(t *testing.T) {
	s := newSpace(t)
	s.device(t, "wg0", 0, Options{})
	var err error
	s.Do(func() { _, err = Open("wg0", 0, Options{}) })
	if !errors.Is(err, unix.EBUSY) {
		t.Fatalf("a second one of that name: %v", err)
	}
	s.Do(func() { _, err = Open("a-name-that-is-too-long", 0, Options{}) })
	if err == nil {
		t.Fatal("a name that is too long was taken")
	}
	if _, err = OpenFD(int(mustNull(t).Fd()), 0, Options{}); !errors.Is(err, unix.ENOTTY) {
		t.Fatalf("a file that is no TUN device: %v", err)
	}
}

func mustNull(t *testing.T) *os.File {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "null")
}
