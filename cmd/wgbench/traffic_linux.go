package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// drainTCP takes all that any connection brings.
func (e *End) drainTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 256<<10)
			for {
				n, err := c.Read(buf)
				e.bytes.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
	}
}

// drainUDP counts datagrams.
func (e *End) drainUDP(u *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		if _, _, err := u.ReadFromUDPAddrPort(buf); err == nil {
			e.packets.Add(1)
		} else if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

func setBuffer(u *net.UDPConn, option, size int) error {
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, size) })
	return errors.Join(err, serr)
}

// StreamArgs asks for TCP traffic.
type StreamArgs struct {
	To      netip.AddrPort
	Streams int
	Length  time.Duration
}

// Stream sends as much as it can over so many connections at once.
func (e *End) Stream(a StreamArgs, _ *Nothing) error {
	end := time.Now().Add(a.Length)
	errs := make([]error, a.Streams)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = stream(a.To, end) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func stream(to netip.AddrPort, end time.Time) error {
	c, err := net.DialTimeout("tcp", to.String(), 20*time.Second)
	if err != nil {
		return err
	}
	// Without lingering nothing is left on its way to disturb the next measurement.
	defer func() { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }()
	if err := c.SetDeadline(end); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		if _, err := c.Write(buf); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				return nil
			}
			return err
		}
	}
}

// DatagramArgs asks for UDP traffic.
type DatagramArgs struct {
	To     netip.AddrPort
	Size   int // of the payload, in bytes
	Rate   int // packets per second; 0: as many as will go
	Length time.Duration
}

// Datagrams sends them, each in a system call of its own, and tells how many.
func (e *End) Datagrams(a DatagramArgs, sent *int64) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(a.To)); err != nil {
		return err
	}
	buf := make([]byte, a.Size)
	return pace(a.Rate, a.Length, func(n int64) error {
		*sent = n + 1
		_, err := unix.Write(fd, buf)
		if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNREFUSED) {
			return nil // the queue is full, which is a loss like any other
		}
		return err
	})
}

// pace calls send rate times a second, evenly, for length; for rate 0 all the time.
func pace(rate int, length time.Duration, send func(n int64) error) error {
	runtime.LockOSThread() // for the timer slack, which belongs to the thread; it ends with the goroutine
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	begin := time.Now()
	for n := int64(0); ; {
		age := time.Since(begin)
		if age >= length {
			return nil
		}
		due := n + 32
		if rate > 0 {
			due = int64(age.Seconds() * float64(rate))
		}
		for ; n < due; n++ {
			if err := send(n); err != nil {
				return err
			}
		}
		if rate > 0 {
			// To the next packet and no further: bunches would be a gift to who handles them together.
			pause := unix.NsecToTimespec(max(0, int64(float64(n+1)/float64(rate)*1e9)-int64(time.Since(begin))))
			_ = unix.Nanosleep(&pause, nil)
		}
	}
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// PingArgs asks for echoes.
type PingArgs struct {
	To       netip.Addr
	Interval time.Duration
	Length   time.Duration
	Until    int // ends after so many answers; 0: never
}

// Pings is what came back.
type Pings struct {
	Micros []float64 // round-trip times, in µs
	Lost   int
}

// Ping sends ICMP echo requests, one after the answer to the other, but never sooner than after the interval. The
// kernel of the far side answers, so that one process less can be late.
func (e *End) Ping(a PingArgs, p *Pings) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	timeout := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	begin := time.Now()
	for seq := uint16(1); time.Since(begin) < a.Length && (a.Until == 0 || len(p.Micros) < a.Until); seq++ {
		sent := time.Now()
		if err := unix.Sendto(fd, echoRequest(seq), 0, &unix.SockaddrInet4{Addr: a.To.As4()}); err != nil {
			return err
		}
		if awaitEcho(fd, seq, sent.Add(time.Second)) {
			p.Micros = append(p.Micros, float64(time.Since(sent))/1e3)
		} else {
			p.Lost++
		}
		time.Sleep(a.Interval - time.Since(sent))
	}
	return nil
}

// echoID is the identifier of our echo requests; an end pings from one goroutine at a time.
const echoID = 0x5767

// echoRequest makes an ICMP echo request (RFC 792) with 56 bytes of data, as ping(8) sends.
func echoRequest(seq uint16) []byte {
	m := make([]byte, 64)
	m[0] = 8
	binary.BigEndian.PutUint16(m[4:], echoID)
	binary.BigEndian.PutUint16(m[6:], seq)
	var sum uint32
	for i := 0; i < len(m); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(m[2:], ^uint16(sum+sum>>16))
	return m
}

// awaitEcho waits for the reply to seq; the raw socket sees all ICMP messages of the namespace.
func awaitEcho(fd int, seq uint16, deadline time.Time) bool {
	buf := make([]byte, 2048)
	for time.Now().Before(deadline) {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil || n < 20 {
			continue // mostly the timeout
		}
		m := buf[:n][min(n, int(buf[0]&15)*4):]
		if len(m) >= 8 && m[0] == 0 && binary.BigEndian.Uint16(m[4:]) == echoID && binary.BigEndian.Uint16(m[6:]) == seq {
			return true
		}
	}
	return false
}
