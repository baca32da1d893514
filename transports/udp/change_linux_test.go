package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

// TestOpen is about ports: both families share one (MSG-18), a port that is taken changes nothing, and any port is one
// that is free in both.
func TestOpen(t *testing.T) {
	s := loopback(t)
	a, aPort := s.open(t, 0, Options{})
	b, bPort := s.open(t, 0, Options{})
	var err error
	s.Do(func() { _, err = b.Open(aPort) })
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("Open of a port that is taken: %v", err)
	}
	for _, h := range hosts {
		mustSend(t, a, to(endpoint(h.remote, bPort, ""), 0, 10))
		if g := receive(t, b, h.source, 1); len(g[0].data) != 10 {
			t.Fatalf("%s: %d bytes", h.name, len(g[0].data))
		}
	}
	if same := s.reopen(t, b, bPort); same != bPort {
		t.Fatalf("opened %d again and got %d", bPort, same)
	}
	// Six of ten ports are taken in IPv6 only, so that most ports that IPv4 gives have to be given back.
	var taken []int
	s.Do(func() {
		// The file is that of the thread's namespace.
		err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40009"), 0o644)
		for port := 40000; port < 40006 && err == nil; port++ {
			var fd int
			if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0); err == nil {
				taken = append(taken, fd)
				_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
				err = unix.Bind(fd, &unix.SockaddrInet6{Port: port})
			}
		}
	})
	defer func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		l, port := s.open(t, 0, Options{})
		if port < 40006 || port > 40009 {
			t.Fatalf("got port %d, which is not free in both families", port)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoveKeepsWhatArrived: after a change of port, what came to the old one is still received, then what comes to the
// new one; a reader that waits is not disturbed.
func TestMoveKeepsWhatArrived(t *testing.T) {
	for _, h := range hosts {
		t.Run(h.name, func(t *testing.T) {
			s := loopback(t)
			a, _ := s.open(t, 0, Options{})
			b, before := s.open(t, 0, Options{})
			first := to(endpoint(h.remote, before, ""), 0, append(repeat(100, 1000), repeat(200, 33)...)...)
			mustSend(t, a, first)
			after := s.reopen(t, b, 0)
			if after == before {
				t.Fatalf("asked for another port and got %d again", after)
			}
			second := to(endpoint(h.remote, after, ""), 0, repeat(10, 500)...)
			mustSend(t, a, second)
			same(t, receive(t, b, h.source, len(first)+len(second)), append(first, second...))

			waiting := make(chan []got, 1)
			go func() { waiting <- receive(t, b, h.source, 1) }()
			for range 5 {
				after = s.reopen(t, b, 0)
			}
			mustSend(t, a, to(endpoint(h.remote, after, ""), 0, 77))
			if g := <-waiting; len(g[0].data) != 77 {
				t.Fatalf("%d bytes", len(g[0].data))
			}
		})
	}
}

// TestMoveUnderTraffic changes the port of a sender again and again: nothing is lost and the order holds.
func TestMoveUnderTraffic(t *testing.T) {
	s := loopback(t)
	a, _ := s.open(t, 0, Options{})
	b, port := s.open(t, 0, Options{})
	const rounds, each = 200, 20
	var wg sync.WaitGroup
	acknowledged := make(chan struct{}, 4) // bounds what is under way to what the socket buffer holds
	wg.Go(func() {
		for i := range rounds {
			acknowledged <- struct{}{}
			sent := to(endpoint("127.0.0.1", port, ""), 0, repeat(each, 1000)...)
			for j := range sent {
				sent[j].Buf = message(i*each+j, 1000)
			}
			if err := a.Send(sent); err != nil {
				t.Errorf("round %d: %v", i, err)
			}
		}
	})
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.Do(func() {
					if _, err := a.Open(0); err != nil {
						t.Errorf("Open: %v", err)
					}
				})
			}
		}
	})
	ports := map[uint16]bool{}
	alarm := time.AfterFunc(deadline, func() { _ = b.Close() })
	defer alarm.Stop()
	for d, n := newDatagrams(), 0; n < rounds*each && !t.Failed(); {
		if err := b.Receive(0, d); err != nil {
			t.Errorf("after %d datagrams: %v", n, err)
		}
		for _, g := range d.List {
			ports[g.Endpoint.Remote.Port()] = true
			if want := string(message(n, 1000)); string(g.Bytes()) != want {
				t.Errorf("datagram %d is %.9q", n, g.Bytes())
			}
			if n++; n%each == 0 {
				<-acknowledged
			}
		}
	}
	close(stop)
	wg.Wait()
	if len(ports) < 2 {
		t.Fatalf("all datagrams came from one port: %v", ports)
	}
}

// TestShutAndClose: Receive waits through Shut and ends with Close, Send fails meanwhile.
func TestShutAndClose(t *testing.T) {
	s := loopback(t)
	a, _ := s.open(t, 0, Options{})
	b := New(Options{})
	var wg sync.WaitGroup
	arrived := make(chan int, 100)
	for source := range b.Sources() {
		wg.Go(func() {
			d := newDatagrams()
			for {
				err := b.Receive(source, d)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Receive: %v", err)
				}
				for range d.List {
					arrived <- source
				}
			}
		})
	}
	for range 3 {
		if err := b.Send(to(endpoint("127.0.0.1", 9, ""), 0, 10)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Send while shut: %v", err)
		}
		port := s.reopen(t, b, 0)
		for _, h := range hosts {
			mustSend(t, a, to(endpoint(h.remote, port, ""), 0, 10))
			select {
			case source := <-arrived:
				if source != h.source {
					t.Fatalf("%s came from source %d", h.name, source)
				}
			case <-time.After(deadline):
				t.Fatalf("%s: nothing arrived after Open", h.name)
			}
		}
		if err := b.Shut(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if _, err := b.Open(0); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Open after Close: %v", err)
	}
}

// TestMark looks at the sockets: the mark is on both, and stays when they are replaced (QOS-05).
func TestMark(t *testing.T) {
	s := loopback(t)
	l, _ := s.open(t, 0, Options{})
	marks := func() (all []int) {
		for i := range l.current {
			_ = l.current[i].Load().conn.Control(func(fd uintptr) {
				m, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK)
				if err != nil {
					t.Error(err)
				}
				all = append(all, m)
			})
		}
		return all
	}
	for _, mark := range []uint32{0x1234, 0xfffffff0, 0} {
		if err := l.SetMark(mark); err != nil {
			t.Fatal(err)
		}
		s.reopen(t, l, 0)
		for _, m := range marks() {
			if uint32(m) != mark {
				t.Fatalf("mark %#x, want %#x", uint32(m), mark)
			}
		}
	}
}

// TestMarkRoutes: the mark decides the route, also of segmented sends. Without it the destination is unreachable.
func TestMarkRoutes(t *testing.T) {
	s := loopback(t)
	s.IP(t, "rule add fwmark 77 lookup 100", "route add local 192.0.2.1/32 dev lo table 100",
		"rule del pref 0", "rule add pref 1 fwmark 77 lookup 100", "rule add pref 2 lookup local")
	a, _ := s.open(t, 0, Options{})
	b, port := s.open(t, 0, Options{})
	sent := to(endpoint("192.0.2.1", port, ""), 0, repeat(20, 500)...)
	if err := a.Send(sent); !errors.Is(err, unix.ENETUNREACH) {
		t.Fatalf("without a mark: %v", err)
	}
	if err := a.SetMark(77); err != nil {
		t.Fatal(err)
	}
	mustSend(t, a, sent)
	same(t, receive(t, b, 0, len(sent)), sent)
}

// TestLostSource: a source address that the host has not is left out, and reported for the core to forget (ROAM-09).
func TestLostSource(t *testing.T) {
	lost := map[string]string{"127.0.0.1": "203.0.113.5", "fd00::1": "2001:db8::5"}
	for _, h := range hosts {
		for _, n := range []int{1, 30} {
			t.Run(fmt.Sprintf("%s/%d", h.name, n), func(t *testing.T) {
				s := loopback(t)
				a, _ := s.open(t, 0, Options{})
				b, port := s.open(t, 0, Options{})
				sent := to(endpoint(h.remote, port, lost[h.remote]), 0, repeat(n, 100)...)
				sent = append(sent, to(endpoint(h.remote, port, h.origin), 0, 100, 100)...)
				err := a.Send(sent)
				var source *transports.SourceError
				if !errors.As(err, &source) || source.Local != netip.MustParseAddr(lost[h.remote]) {
					t.Fatalf("Send: %v", err)
				}
				same(t, receive(t, b, h.source, len(sent)), sent)
				if i := h.source; len(a.current[i].Load().out.narrow) != 0 {
					t.Fatal("a wrong source was taken for a narrow path")
				}
			})
		}
	}
}

// TestTransientErrors: nobody listens, the host says so, and both directions go on.
func TestTransientErrors(t *testing.T) {
	for _, h := range hosts {
		s := loopback(t)
		a, aPort := s.open(t, 0, Options{})
		b, port := s.open(t, 0, Options{})
		nobody := to(endpoint(h.remote, 9, ""), 0, repeat(5, 100)...)
		unreachable := to(endpoint("198.51.100.1", 9, ""), 0, 10)
		for range 20 {
			mustSend(t, a, nobody)
			d := append(append([]protocol.Datagram{}, unreachable...), to(endpoint(h.remote, port, ""), 0, 20)...)
			if err := a.Send(d); !errors.Is(err, unix.ENETUNREACH) {
				t.Fatalf("Send to nowhere: %v", err)
			}
			mustSend(t, b, to(endpoint(h.remote, aPort, ""), 0, 30))
			if g := receive(t, b, h.source, 1); len(g[0].data) != 20 {
				t.Fatalf("%d bytes", len(g[0].data))
			}
			if g := receive(t, a, h.source, 1); len(g[0].data) != 30 {
				t.Fatalf("%d bytes", len(g[0].data))
			}
		}
	}
}
