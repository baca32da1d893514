package udp

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cable makes two namespaces with a veth pair between them: 10.9.0.1 and fd09::1 here, .2 and ::2 there.
func cable(t *testing.T) (here, there *space) {
	here, there = newSpace(t), newSpace(t)
	here.IP(t, "link add v0 type veth peer name v0 netns "+there.Path)
	for i, s := range []*space{here, there} {
		host := []string{"1", "2"}[i]
		s.IP(t, "link set v0 addrgenmode none", "link set v0 up", "addr add 10.9.0."+host+"/24 dev v0",
			"addr add fd09::"+host+"/64 dev v0 nodad", "addr add fe80::"+host+"/64 dev v0 nodad")
	}
	here.Settle(t, "fd09::1", "fe80::1")
	there.Settle(t, "fd09::2", "fe80::2")
	return here, there
}

var cableHosts = []struct {
	name          string
	source        int
	remote, local string
}{
	{"IPv4", 0, "10.9.0.2", "10.9.0.1"},
	{"IPv6", 1, "fd09::2", "fd09::1"},
}

// TestNarrowPath: messages that a path is too narrow for arrive all the same, in fragments (MSG-17), alone and in runs
// that would have been segments. Smaller ones are still segmented.
func TestNarrowPath(t *testing.T) {
	for _, h := range cableHosts {
		t.Run(h.name, func(t *testing.T) {
			here, there := cable(t)
			here.IP(t, "route add 10.9.0.2/32 dev v0 mtu 1300", "-6 route add fd09::2/128 dev v0 mtu 1300")
			a, _ := here.open(t, 0, Options{})
			b, port := there.open(t, 0, Options{})
			e := endpoint(h.remote, port, h.local)
			for range 3 {
				sent := packed(to(e, 0x02, append(repeat(30, 1452), 700)...))
				sent = append(sent, to(e, 0, repeat(30, 1000)...)...)
				sent = append(sent, to(e, 0, 9000, 9000, 1500)...)
				mustSend(t, a, sent)
				all := receive(t, b, h.source, len(sent))
				same(t, all, sent)
				coalesced := 0
				for _, g := range all[31:61] {
					if g.coalesced {
						coalesced++
					}
				}
				if coalesced < 20 {
					t.Errorf("%d of 30 small messages came coalesced: one narrow size switched segmentation off", coalesced)
				}
			}
			out := &a.current[h.source].Load().out
			known := out.narrow[netip.MustParseAddr(h.remote)]
			if known.limit != 1451 || a.noSegment.Load() {
				t.Fatalf("learned %+v, segmentation off: %v; want a limit of 1451 for the path", known, a.noSegment.Load())
			}
			// When the time is over the path gets another chance.
			here.IP(t, "route del 10.9.0.2/32 dev v0", "-6 route del fd09::2/128 dev v0")
			out.narrow[netip.MustParseAddr(h.remote)] = narrow{1451, time.Now()}
			sent := to(e, 0, repeat(30, 1452)...)
			mustSend(t, a, sent)
			same(t, receive(t, b, h.source, len(sent)), sent)
			if len(out.narrow) != 0 {
				t.Fatalf("the path is still known as narrow: %v", out.narrow)
			}
		})
	}
}

// TestDontFragmentIsClear reads the outer IPv4 header off the wire (MSG-17), of a single and of a segmented send, and
// sees that the TOS (QOS-01) and a checksum (MSG-16) are there.
func TestDontFragmentIsClear(t *testing.T) {
	here, there := cable(t)
	var raw *os.File
	there.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		if err != nil {
			t.Fatal(err)
		}
		raw = os.NewFile(uintptr(fd), "raw")
	})
	defer raw.Close()
	a, _ := here.open(t, 0, Options{})
	for _, n := range []int{1, 20} {
		mustSend(t, a, to(endpoint("10.9.0.2", 7777, ""), 0x88, repeat(n, 600)...))
		b := make([]byte, 1<<16)
		if err := raw.SetReadDeadline(time.Now().Add(deadline)); err != nil {
			t.Fatal(err)
		}
		got, err := raw.Read(b)
		if err != nil || got < 28 {
			t.Fatalf("%d bytes: %v", got, err)
		}
		if b[6]&0x40 != 0 || b[1] != 0x88 || b[26]|b[27] == 0 {
			t.Fatalf("header % x: DF set, another TOS, or no checksum", b[:28])
		}
		for got > 0 { // the other segments, where they come as such
			_ = raw.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			got, _ = raw.Read(b)
		}
	}
}

// TestNoChecksumOffload goes the way of EIO, which kernels from 6.11 on take themselves: all leave singly, in order,
// and segmentation is off from then on.
func TestNoChecksumOffload(t *testing.T) {
	s := loopback(t)
	a, _ := s.open(t, 0, Options{})
	b, port := s.open(t, 0, Options{})
	sent := to(endpoint("127.0.0.1", port, ""), 0, repeat(20, 100)...)
	out := &a.current[0].Load().out
	out.mu.Lock()
	out.link, out.list = a, sent
	out.group()
	out.prepare()
	if len(out.runs) != 1 {
		t.Fatalf("%d runs", len(out.runs))
	}
	_ = out.s.conn.Control(func(fd uintptr) { out.rescue(int(fd), 0, unix.EIO) })
	if len(out.errs) != 0 {
		t.Fatal(out.errs)
	}
	out.mu.Unlock()
	mustSend(t, a, sent)
	same(t, receive(t, b, 0, 40), append(sent, sent...))
	if len(out.runs) != 20 {
		t.Fatalf("%d runs after EIO, want every datagram by itself", len(out.runs))
	}
}

// TestLinkLocal: a scope is the index of an interface (ROAM-11), and an answer finds its way back.
func TestLinkLocal(t *testing.T) {
	here, there := cable(t)
	a, _ := here.open(t, 0, Options{})
	b, port := there.open(t, 0, Options{})
	index := func(s *space) (n uint32) {
		s.Do(func() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			request, _ := unix.NewIfreq("v0")
			if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
				t.Fatal(err)
			}
			n = request.Uint32()
		})
		return n
	}
	e := endpoint("fe80::2", port, "")
	e.IfIndex = index(here)
	sent := to(e, 0, repeat(20, 100)...)
	mustSend(t, a, sent)
	all := receive(t, b, 1, len(sent))
	same(t, all, sent)
	from := all[19].from
	if from.Remote.Addr().String() != "fe80::1" || from.Local.String() != "fe80::2" || from.IfIndex != index(there) {
		t.Fatalf("came on %+v", from)
	}
	mustSend(t, b, to(from, 0, 55))
	if g := receive(t, a, 1, 1); len(g[0].data) != 55 {
		t.Fatalf("%d bytes", len(g[0].data))
	}
}
