package udp

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"golang.org/x/sys/unix"
)

// TestPortable runs the adapter that other systems use: both families, from one to the other and back with the same
// peer (the known defect of an endpoint changed in place, design §11.8), another port, and the end.
func TestPortable(t *testing.T) {
	s := loopback(t)
	a, aPort := s.open(t, 0, Options{})
	l := newPortable(&plainBind{})
	open := func(port uint16) (actual uint16, err error) {
		s.Do(func() { actual, err = l.Open(port) })
		return actual, err
	}
	var wg sync.WaitGroup
	arrived := make(chan protocol.Datagram, 100)
	for source := range l.Sources() {
		wg.Go(func() {
			d := newDatagrams()
			for {
				err := l.Receive(source, d)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Receive: %v", err)
				}
				for _, g := range d.List {
					g.Buf, g.Off = append([]byte{}, g.Bytes()...), 0
					arrived <- g
				}
			}
		})
	}
	for range 3 {
		port, err := open(0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, h := range hosts {
				mustSend(t, a, to(endpoint(h.remote, port, ""), 0, 100))
				var g protocol.Datagram
				select {
				case g = <-arrived:
				case <-time.After(deadline):
					t.Fatalf("%s: nothing arrived", h.name)
				}
				if want := endpoint(h.remote, aPort, ""); g.Endpoint.Remote != want.Remote || g.Len != 100 {
					t.Fatalf("%d bytes from %v, want %v", g.Len, g.Endpoint.Remote, want.Remote)
				}
				answer := to(g.Endpoint, 0, append(repeat(30, 200), 7)...)
				if err := l.Send(answer); err != nil {
					t.Fatal(err)
				}
				same(t, receive(t, a, h.source, len(answer)), answer)
			}
		}
		if _, err := open(aPort); !errors.Is(err, unix.EADDRINUSE) {
			t.Fatalf("Open of a port that is taken: %v", err)
		}
		mustSend(t, a, to(endpoint("127.0.0.1", port, ""), 0, 1)) // it is open again on the old one
		select {
		case <-arrived:
		case <-time.After(deadline):
			t.Fatal("a failed Open has closed the link")
		}
	}
	if err := l.Shut(); err != nil {
		t.Fatal(err)
	}
	if err := l.Send(to(endpoint("127.0.0.1", aPort, ""), 0, 1)); err == nil {
		t.Fatal("Send while shut")
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}
