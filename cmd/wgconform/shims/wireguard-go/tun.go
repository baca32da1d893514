package wireguardgo

import (
	"os"
	"slices"
	"sync"

	"golang.zx2c4.com/wireguard/tun"
)

// inner is the interface of a device: a tun.Device in memory.
type inner struct {
	deliver func(packet []byte) // gets what the device hands in

	mu     sync.Mutex
	queue  [][]byte
	closed bool
	mtu    int
	signal chan struct{} // something changed
	events chan tun.Event
}

func newInner(mtu int, deliver func([]byte)) *inner {
	return &inner{deliver: deliver, mtu: mtu, signal: make(chan struct{}, 1), events: make(chan tun.Event)}
}

func (i *inner) change(f func()) {
	i.mu.Lock()
	f()
	i.mu.Unlock()
	select {
	case i.signal <- struct{}{}:
	default:
	}
}

// send puts packets of the host into the interface.
func (i *inner) send(packets [][]byte) {
	i.change(func() {
		for _, p := range packets {
			i.queue = append(i.queue, slices.Clone(p))
		}
	})
}

// Read implements tun.Device. It gives one packet at a time, as a TUN of Linux does if nothing was joined to bigger
// ones before.
func (i *inner) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	for {
		i.mu.Lock()
		if i.closed {
			i.mu.Unlock()
			return 0, os.ErrClosed
		}
		if len(i.queue) > 0 {
			sizes[0] = copy(bufs[0][offset:], i.queue[0])
			i.queue = i.queue[1:]
			i.mu.Unlock()
			return 1, nil
		}
		i.mu.Unlock()
		<-i.signal
	}
}

// Write implements tun.Device.
func (i *inner) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		i.deliver(slices.Clone(b[offset:]))
	}
	return len(bufs), nil
}

// MTU implements tun.Device.
func (i *inner) MTU() (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mtu, nil
}

// Close implements tun.Device. Nobody may send an event afterwards.
func (i *inner) Close() error {
	i.mu.Lock()
	closed := i.closed
	i.mu.Unlock()
	if !closed {
		i.change(func() { i.closed = true })
		close(i.events)
	}
	return nil
}

func (i *inner) File() *os.File           { return nil }
func (i *inner) Name() (string, error)    { return "shim", nil }
func (i *inner) Events() <-chan tun.Event { return i.events }
func (i *inner) BatchSize() int           { return 1 }
