//go:build !linux

package tun

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

// before is the room that some systems need in front of a packet that is written, for the four bytes of its address
// family (macOS, the BSDs). A delivery has that much of its message's header before it.
const before = protocol.Headroom

// Device is the system's TUN interface as a [transports.Tunnel].
type Device struct {
	dev    wgtun.Device
	events chan transports.TunnelEvent
	done   chan struct{}
	once   sync.Once
	closed atomic.Bool

	reads  [][]byte // used by one reader and one writer at a time
	sizes  []int
	writes [][]byte
	spare  []byte // a copy of a packet that has no room before it
}

var _ transports.Tunnel = (*Device)(nil)

// Options are for Linux; here they change nothing.
type Options struct{ NoOffload, NoUDPSegments bool }

// Open makes a TUN interface. What names are allowed differs: utun or utunN on macOS, tunN on OpenBSD. An mtu of 0 is
// the system's choice where it has one.
func Open(name string, mtu int, _ Options) (*Device, error) {
	if mtu == 0 {
		mtu = 1420 // what is left of 1500 by IPv6, UDP and our own 32 bytes
	}
	dev, err := wgtun.CreateTUN(name, mtu)
	if err != nil {
		return nil, err
	}
	n := dev.BatchSize()
	d := &Device{
		dev: dev, events: make(chan transports.TunnelEvent, 8), done: make(chan struct{}),
		reads: make([][]byte, n), sizes: make([]int, n), writes: make([][]byte, 0, n), spare: make([]byte, before+1<<16),
	}
	go d.watch()
	return d, nil
}

// OpenFD is for Linux; here it says errors.ErrUnsupported.
func OpenFD(int, int, Options) (*Device, error) { return nil, errors.ErrUnsupported }

// Offload is for Linux: no super-packets are taken or given here.
func (d *Device) Offload() (tcp, udp bool) { return false, false }

func (d *Device) watch() {
	defer close(d.events)
	for e := range d.dev.Events() {
		for _, is := range [...]struct {
			bit  wgtun.Event
			ours transports.TunnelEvent
		}{
			{wgtun.EventMTUUpdate, transports.TunnelMTU},
			{wgtun.EventDown, transports.TunnelDown},
			{wgtun.EventUp, transports.TunnelUp},
		} {
			if e&is.bit == 0 {
				continue
			}
			select {
			case d.events <- is.ours:
			case <-d.done:
				return
			}
		}
	}
}

// Read waits for packets.
func (d *Device) Read(p *transports.Packets) error {
	p.List = p.List[:0]
	// Equal places for packets of up to the MTU; there is no shorter way without knowing their lengths.
	mtu, err := d.dev.MTU()
	if err != nil {
		return d.ended(err)
	}
	stride := transports.Stride(mtu)
	n := min(len(d.reads), len(p.Buf)/stride, transports.MaxBatch)
	if n == 0 {
		return errors.New("purewire: the MTU is larger than the buffer")
	}
	for i := range n {
		d.reads[i] = p.Buf[i*stride : (i+1)*stride]
		d.sizes[i] = 0
	}
	got, err := d.dev.Read(d.reads[:n], d.sizes[:n], protocol.Headroom)
	for i := range got {
		if d.sizes[i] > 0 {
			at := protocol.Packet{Buf: p.Buf, Off: i*stride + protocol.Headroom, Len: d.sizes[i]}
			p.List = append(p.List, at)
		}
	}
	clear(d.reads)
	if got > 0 && (err == nil || !errors.Is(err, os.ErrClosed)) {
		return nil
	}
	return d.ended(err)
}

// Write gives packets to the host, in order.
func (d *Device) Write(p []protocol.Delivery) error {
	var first error
	for len(p) > 0 {
		n := min(len(p), cap(d.writes))
		d.writes = d.writes[:0]
		for i := range n {
			v := &p[i]
			if v.Off >= before {
				d.writes = append(d.writes, v.Buf[v.Off-before:v.Off+v.Len])
				continue
			}
			if len(d.writes) > 0 { // the spare place holds one packet at a time
				n = i
				break
			}
			d.writes = append(d.writes, d.spare[:before+copy(d.spare[before:], v.Bytes())])
			n = 1
			break
		}
		if _, err := d.dev.Write(d.writes, before); err != nil && first == nil {
			first = err
		}
		clear(d.writes)
		p = p[n:]
	}
	return d.ended(first)
}

// MTU asks the host for the interface's MTU.
func (d *Device) MTU() (int, error) { return d.dev.MTU() }

// Name gives the interface's name; empty if the host does not tell.
func (d *Device) Name() string {
	name, err := d.dev.Name()
	if err != nil {
		return ""
	}
	return name
}

// Events tells what happens to the interface.
func (d *Device) Events() <-chan transports.TunnelEvent { return d.events }

// Close removes the interface.
func (d *Device) Close() (err error) {
	d.once.Do(func() {
		d.closed.Store(true)
		close(d.done)
		err = d.dev.Close()
	})
	return err
}

func (d *Device) ended(err error) error {
	if err != nil && (d.closed.Load() || errors.Is(err, os.ErrClosed)) {
		return net.ErrClosed
	}
	return err
}
