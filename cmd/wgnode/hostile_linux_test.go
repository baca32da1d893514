package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// How long the two tests below last. What they show on every run is little of what they show when given time:
//
//	go test ./cmd/wgnode -run 'Hostile|Lossless' -v -hostile 30s -traffic 130s
var (
	hostileFor = flag.Duration("hostile", 3*time.Second, "length of the hostile run")
	trafficFor = flag.Duration("traffic", 3*time.Second, "length of the lossless run; from 125s on it sees a rekey")
)

// roomy makes the receive buffer of a test's own socket so large that a stall of a busy machine costs nothing.
func roomy(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	controlled := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	})
	return errors.Join(err, controlled)
}

// echo gives datagrams back to their sender until it is killed.
func echo(args []string) error {
	at, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	if err := roomy(conn); err != nil {
		return err
	}
	fmt.Println("listening")
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err == nil {
			_, err = conn.WriteToUDPAddrPort(b[:n], from)
		}
		if err != nil {
			return err
		}
	}
}

// ask sends numbered datagrams to an echo for a while, steadily, and tells how many went and how many came back.
func ask(args []string) error {
	const rate, size = 250, 1000 // per second; bytes
	at, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	long, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	if err := roomy(conn); err != nil {
		return err
	}
	total := int(rate * long.Seconds())
	counted := make(chan int)
	go func() {
		seen := map[uint64]bool{}
		b := make([]byte, size)
		for len(seen) < total {
			if n, err := conn.Read(b); err != nil {
				break
			} else if n == size {
				seen[binary.BigEndian.Uint64(b)] = true
			}
		}
		counted <- len(seen)
	}()
	b, start := make([]byte, size), time.Now()
	for sent := 0; sent < total; time.Sleep(time.Millisecond) {
		for ; sent < total && float64(sent) < rate*time.Since(start).Seconds(); sent++ {
			binary.BigEndian.PutUint64(b, uint64(sent))
			if _, err := conn.Write(b); err != nil {
				return err
			}
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err = fmt.Println(total, <-counted)
	return err
}

// serveEcho starts an echo on a host, for the length of the test.
func serveEcho(h *host, address string) {
	h.t.Helper()
	c := h.helper("echo", address)
	out, err := c.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		h.t.Fatalf("echo: %q %v", line, err)
	}
}

// dropped is how many packets the kernel counted as dropped in a host before a program read them: from the queue of
// the TUN device, and from receive buffers of UDP. That is the machine standing still, and no fault of a tunnel.
func dropped(s *side) int {
	var links []struct {
		Stats struct {
			TX struct{ Dropped int }
		} `json:"stats64"`
	}
	shown := s.run("ip", "-j", "-s", "link", "show", "wg0")
	if err := json.Unmarshal([]byte(shown), &links); err != nil || len(links) != 1 {
		s.t.Fatalf("ip -s link: %v, %d links", err, len(links))
	}
	n := links[0].Stats.TX.Dropped
	lines := strings.Split(s.run("grep", "Udp:", "/proc/net/snmp"), "\n")
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	at := slices.Index(names, "RcvbufErrors")
	full, err := strconv.Atoi(values[at])
	if err != nil {
		s.t.Fatal(err)
	}
	return n + full
}

// Of a steady flow of datagrams in both directions none is lost. Given two minutes the flow goes across a rekey at
// 120 s (TIMER-07), with the same result.
func TestTunnelLossless(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		rekey := *trafficFor >= 125*time.Second
		noted(t, map[bool]string{false: "nothing lost of a steady flow",
			true: "rekey at 120 s under traffic, nothing lost"}[rekey], peer)
		orders(t, peer, func(t *testing.T, programs [2]string) {
			t.Parallel()
			a, b := tunnel(t, programs, outer4, false)
			serveEcho(b.host, "10.0.0.2:7000")
			a.pings("10.0.0.2")
			ours := map[bool]*side{true: a, false: b}[programs[0] == "wgnode"] // boringtun's own time jitters
			shaken := func() string { return ours.run("wg", "show", "wg0", "latest-handshakes") }
			before := shaken()
			var sent, got int
			out, err := a.helper("ask", "10.0.0.2:7000", trafficFor.String()).CombinedOutput()
			if n, _ := fmt.Sscan(string(out), &sent, &got); err != nil || n != 2 {
				t.Fatalf("%v: %s", err, out)
			}
			kernel := dropped(a) + dropped(b)
			t.Logf("%s asks %s for %v: %d sent, %d came back, %d dropped by the kernel", programs[0], programs[1],
				*trafficFor, sent, got, kernel)
			if sent-got > kernel || sent < 100 {
				t.Errorf("%d sent, %d came back, %d dropped by the kernel", sent, got, kernel)
			}
			if rekeyed := shaken() != before; rekeyed != rekey {
				t.Errorf("a handshake during the flow: %v, want %v", rekeyed, rekey)
			}
		})
	})
}

// everything is ETH_P_ALL as socket(2) wants it: what leaves a host is shown to such a socket only.
var everything = int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))

// capture collects the payloads of UDP datagrams to an address as they come in on this host's wires or leave it.
func capture(to netip.AddrPort, count int) (got [][]byte, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, everything)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, err
	}
	b := make([]byte, 1<<16)
	for len(got) < count {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if errors.Is(err, unix.EINTR) { // a signal of the Go runtime's: a call with a timeout is not restarted
			continue
		}
		if err != nil {
			return nil, err
		}
		p := b[:n]
		if n < 28 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_UDP || !slices.Equal(p[16:20], to.Addr().AsSlice()) {
			continue
		}
		if udp := p[int(p[0]&15)*4:]; len(udp) > 8 && binary.BigEndian.Uint16(udp[2:]) == to.Port() {
			got = append(got, slices.Clone(udp[8:]))
		}
	}
	return got, nil
}

// spoil makes many bad datagrams of a few good ones: noise with and without a message's head, truncated, oversized and
// bit-flipped messages, and messages that were there before.
func spoil(good [][]byte) (bad [][]byte) {
	random := rand.New(rand.NewChaCha8([32]byte{'h'}))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	lengths := []int{0, 1, 3, 4, 16, 31, 32, 64, 92, 147, 148, 149, 1452, 9000, 65507}
	for i := range 4096 {
		of := slices.Clone(good[random.IntN(len(good))])
		switch i % 6 {
		case 0:
			of = noise(random.IntN(1500))
		case 1:
			of = append([]byte{byte(1 + random.IntN(5)), 0, 0, 0}, noise(lengths[random.IntN(len(lengths)-1)])...)
		case 2:
			of = of[:random.IntN(len(of))]
		case 3:
			of = append(of, noise(max(0, lengths[random.IntN(len(lengths))]-len(of)))...)
		case 4:
			of[random.IntN(len(of))] ^= 1 << random.IntN(8)
		}
		bad = append(bad, of)
	}
	return bad
}

// attack waits for traffic to an address, and then sends what it can make of it as fast as it can for a while.
func attack(args []string) error {
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	long, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	good, err := capture(to, 30)
	if err != nil {
		return err
	}
	bad := spoil(good)
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	sent := 0
	for start := time.Now(); time.Since(start) < long; {
		for range 64 {
			_, err := conn.Write(bad[sent%len(bad)])
			if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EMSGSIZE) {
				return err
			}
			sent++
		}
	}
	_, err = fmt.Println(sent)
	return err
}

// resident gives the memory of a process of h, in KiB.
func (h *host) resident(pid string) int {
	h.t.Helper()
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(h.run("cat", "/proc/"+pid+"/status"))
	if m == nil {
		h.t.Fatalf("process %s has no memory", pid)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// Whatever arrives at full rate: the tunnel works meanwhile and afterwards, memory stays flat, and nobody is taken for
// the peer (SEC-08, ROAM-01).
func TestTunnelHostile(t *testing.T) {
	noted(t, fmt.Sprintf("hostile datagrams at full rate for %v, memory flat", *hostileFor), "wgnode")
	a, b := tunnel(t, [2]string{"wgnode", "wgnode"}, outer4, false)
	a.pings("10.0.0.2")
	pid := a.running("wgnode")[0]
	var said bytes.Buffer
	attacker := b.helper("attack", "192.0.2.1:5000", hostileFor.String())
	attacker.Stdout, attacker.Stderr = &said, &said
	if err := attacker.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- attacker.Wait() }()
	var memory []int
	asked, answered := 0, 0
	for going := true; going; {
		asked++
		if _, err := b.try("ping", "-n", "-c", "1", "-W", "1", "-s", strconv.Itoa(asked%1300), "10.0.0.1"); err == nil {
			answered++
		}
		memory = append(memory, a.resident(pid))
		select {
		case err := <-done:
			if going = false; err != nil {
				t.Fatalf("the attacker: %v %s", err, said.String())
			}
		default:
		}
	}
	sent, _ := strconv.Atoi(strings.TrimSpace(said.String()))
	warm, most := slices.Max(memory[:len(memory)/2+1]), slices.Max(memory)
	t.Logf("%d datagrams in %v, %d of %d pings answered, %d KiB by half-time, then up to %d KiB", sent, *hostileFor,
		answered, asked, warm, most)
	if sent < 10_000 || answered == 0 || answered < asked/4 {
		t.Errorf("%d datagrams; %d of %d pings answered", sent, answered, asked)
	}
	if most > warm+8<<10 || most > 128<<10 {
		t.Errorf("memory grows: %d KiB by half-time, %d KiB at most", warm, most)
	}
	for to, h := range map[string]*side{"10.0.0.2": a, "10.0.0.1": b} {
		h.pings(to)
	}
	if out := a.run("wg", "show", "wg0", "endpoints"); !strings.Contains(out, "192.0.2.2:5000") {
		t.Errorf("the peer has moved: %s", out)
	}
	if err := transferBytes(littleBytes, a, b, "10.0.0.2:7000", func() {}); err != nil {
		t.Error(err)
	}
}
