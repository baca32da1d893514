package interop_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/purewire/purewire/protocol"
)

// The addresses of the ends of the wire in memory.
var (
	ourAddr   = netip.MustParseAddrPort("192.0.2.1:51820")
	theirAddr = netip.MustParseAddrPort("192.0.2.2:51820")
)

// pipe carries datagrams one way, in order, each after the delay.
type pipe struct {
	delay time.Duration
	in    chan sentAt
	out   chan arrival
	lose  func(msg []byte) bool // if set, decides; called by one goroutine
}

type sentAt struct {
	arrival
	at time.Time
}

const pipeLength = 4096 // more than any test has on the way

func newPipe(delay time.Duration, stop <-chan struct{}, running *sync.WaitGroup) *pipe {
	p := &pipe{delay: delay, in: make(chan sentAt, pipeLength), out: make(chan arrival, pipeLength)}
	running.Go(func() {
		for {
			select {
			case d := <-p.in:
				time.Sleep(time.Until(d.at.Add(p.delay)))
				if p.lose == nil || !p.lose(d.msg) {
					p.out <- d.arrival
				}
			case <-stop:
				return
			}
		}
	})
	return p
}

func (p *pipe) send(from netip.AddrPort, msg []byte) {
	p.in <- sentAt{arrival{from, slices.Clone(msg)}, time.Now()}
}

// memoryWire is our end.
type memoryWire struct{ out, in *pipe }

func (w *memoryWire) addr() netip.AddrPort     { return ourAddr }
func (w *memoryWire) arrivals() <-chan arrival { return w.in.out }
func (w *memoryWire) close()                   {}
func (w *memoryWire) send(to netip.AddrPort, msg []byte) error {
	if to != theirAddr {
		return fmt.Errorf("nobody is at %v", to)
	}
	w.out.send(ourAddr, msg)
	return nil
}

// memoryBind is theirs, a conn.Bind.
type memoryBind struct {
	out, in *pipe
	mu      sync.Mutex
	closed  chan struct{}
}

var errNobody = errors.New("nobody is there")

func (b *memoryBind) Open(uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	closed := make(chan struct{})
	b.closed = closed
	receive := func(bufs [][]byte, sizes []int, from []conn.Endpoint) (int, error) {
		select {
		case a := <-b.in.out:
			sizes[0], from[0] = copy(bufs[0], a.msg), memoryEndpoint(a.from)
			return 1, nil
		case <-closed:
			return 0, net.ErrClosed
		}
	}
	return []conn.ReceiveFunc{receive}, theirAddr.Port(), nil
}

func (b *memoryBind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		close(b.closed)
		b.closed = nil
	}
	return nil
}

func (b *memoryBind) Send(bufs [][]byte, to conn.Endpoint) error {
	if netip.AddrPort(to.(memoryEndpoint)) != ourAddr {
		return errNobody
	}
	for _, msg := range bufs {
		b.out.send(theirAddr, msg)
	}
	return nil
}

func (b *memoryBind) SetMark(uint32) error { return nil }
func (b *memoryBind) BatchSize() int       { return 1 }
func (b *memoryBind) ParseEndpoint(s string) (conn.Endpoint, error) {
	a, err := netip.ParseAddrPort(s)
	return memoryEndpoint(a), err
}

type memoryEndpoint netip.AddrPort

func (e memoryEndpoint) ClearSrc()           {}
func (e memoryEndpoint) SrcToString() string { return "" }
func (e memoryEndpoint) DstToString() string { return netip.AddrPort(e).String() }
func (e memoryEndpoint) DstIP() netip.Addr   { return netip.AddrPort(e).Addr() }
func (e memoryEndpoint) SrcIP() netip.Addr   { return netip.Addr{} }
func (e memoryEndpoint) DstToBytes() []byte {
	b, _ := netip.AddrPort(e).MarshalBinary() // its error is always nil
	return b
}

// bubblePair is a pair on a wire in memory, for use in a synctest bubble.
type bubblePair struct {
	*pair
	toUs, toThem *pipe
}

// newBubblePair connects the ends over a wire that takes delay one way. Both know each other's address.
func newBubblePair(t *testing.T, s setup, delay time.Duration) *bubblePair {
	t.Helper()
	s.weKnow, s.theyKnow = true, true
	stop, running := make(chan struct{}), new(sync.WaitGroup)
	t.Cleanup(func() {
		close(stop)
		running.Wait()
	})
	b := &bubblePair{pair: &pair{setup: &s}, toUs: newPipe(delay, stop, running), toThem: newPipe(delay, stop, running)}
	b.startUs(t, &clock{start: time.Now()})
	b.startThem(t)
	return b
}

func (b *bubblePair) startUs(t *testing.T, c *clock) {
	t.Helper()
	b.us = newNode(t, c, &memoryWire{out: b.toThem, in: b.toUs}, b.keys.our, b.limits)
	t.Cleanup(b.us.close)
	b.us.configure(t, ourPeer(public(b.keys.their), b.ourPSK, theirAddr))
}

func (b *bubblePair) startThem(t *testing.T) {
	t.Helper()
	b.them = newTheirs(t, &memoryBind{out: b.toUs, in: b.toThem}, b.theirConfig(theirAddr.Port()))
}

// handshakes is how many both sides completed, as we saw it.
func (b *bubblePair) handshakes() int { return b.us.count(protocol.EventHandshakeComplete) }
