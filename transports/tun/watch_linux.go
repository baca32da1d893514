package tun

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

// probeEvery is how often an interface is looked at that was moved to a namespace where we may not listen.
const probeEvery = time.Second

// watcher listens to what the host tells of its interfaces (rtnetlink).
type watcher struct {
	d      *Device
	events chan transports.TunnelEvent
	done   chan struct{}
	ended  chan struct{}
	index  int32
	up     bool
	mtu    int

	mu   sync.Mutex
	file *os.File // the socket, replaced when the interface moves; nil when there is none
}

func newWatcher(d *Device) (*watcher, error) {
	w := &watcher{
		d: d, events: make(chan transports.TunnelEvent, 8), done: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := w.listen(); err != nil {
		return nil, err
	}
	up, mtu, err := w.state()
	if err != nil {
		w.file.Close()
		return nil, err
	}
	w.mtu = mtu
	go func() {
		defer close(w.ended)
		defer close(w.events)
		w.changed(up, mtu)
		w.run()
	}()
	return w, nil
}

// stop ends the watcher and waits for it, so that events is closed.
func (w *watcher) stop() {
	w.mu.Lock()
	close(w.done)
	if w.file != nil {
		w.file.Close()
	}
	w.mu.Unlock()
	<-w.ended
}

// listen opens a socket in the interface's namespace and finds its index there.
func (w *watcher) listen() error {
	fd, err := w.d.socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("bind", err)
	}
	index, err := w.d.ask(unix.SIOCGIFINDEX, func(*unix.Ifreq) {})
	if err != nil {
		unix.Close(fd)
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		w.file.Close()
	}
	w.index, w.file = int32(index), os.NewFile(uintptr(fd), "rtnetlink")
	select {
	case <-w.done: // stop has come before this file
		w.file.Close()
	default:
	}
	return nil
}

// state asks for what the messages tell, for when there was none.
func (w *watcher) state() (up bool, mtu int, err error) {
	flags, err := w.d.ask(unix.SIOCGIFFLAGS, func(*unix.Ifreq) {})
	if err != nil {
		return false, 0, err
	}
	mtu, err = w.d.MTU()
	return flags&unix.IFF_UP != 0, mtu, err
}

func (w *watcher) resync() {
	if up, mtu, err := w.state(); err == nil {
		w.changed(up, mtu)
	}
}

// changed tells what is new.
func (w *watcher) changed(up bool, mtu int) {
	if mtu != w.mtu {
		w.mtu = mtu
		w.tell(transports.TunnelMTU)
	}
	switch {
	case up && !w.up:
		w.tell(transports.TunnelUp)
	case !up && w.up:
		w.tell(transports.TunnelDown)
	}
	w.up = up
}

func (w *watcher) tell(e transports.TunnelEvent) {
	select {
	case w.events <- e:
	case <-w.done:
	}
}

func (w *watcher) run() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.file.Read(buf)
		select {
		case <-w.done:
			return
		default:
		}
		switch {
		case err == nil:
			if !w.read(buf[:n]) {
				return
			}
		case errors.Is(err, unix.ENOBUFS): // some messages were lost
			w.resync()
		case errors.Is(err, os.ErrClosed):
			return
		}
	}
}

// read looks through messages; false when the interface is gone.
func (w *watcher) read(b []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		w.resync()
		return true
	}
	for i := range messages {
		m := &messages[i]
		if len(m.Data) < unix.SizeofIfInfomsg || int32(binary.NativeEndian.Uint32(m.Data[4:])) != w.index {
			continue
		}
		switch m.Header.Type {
		case unix.RTM_NEWLINK:
			flags := binary.NativeEndian.Uint32(m.Data[8:])
			w.changed(flags&unix.IFF_UP != 0, linkMTU(m, w.mtu))
		case unix.RTM_DELLINK:
			return w.moved()
		}
	}
	return true
}

// linkMTU finds the MTU in a message; otherwise if it is not there.
func linkMTU(m *syscall.NetlinkMessage, otherwise int) int {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return otherwise
	}
	for _, a := range attributes {
		if a.Attr.Type == unix.IFLA_MTU && len(a.Value) >= 4 {
			return int(binary.NativeEndian.Uint32(a.Value))
		}
	}
	return otherwise
}

// moved is called when the interface has left the namespace that we listen in. It is false if it has gone for good.
func (w *watcher) moved() bool {
	if w.d.Name() == "" {
		return false
	}
	if w.listen() == nil {
		w.resync()
		return true
	}
	return w.probe()
}

// probe looks, as long as there is no other way, whether the interface is up. The MTU cannot be seen.
func (w *watcher) probe() bool {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-w.done:
			return false
		case <-ticker.C:
		}
		var up, gone bool
		if w.d.conn.Control(func(fd uintptr) { up, gone = probeOnce(int(fd), w.d.header) }) != nil || gone {
			return false
		}
		w.changed(up, w.mtu)
		if w.listen() == nil { // it has come back
			w.resync()
			return true
		}
	}
}

// probeOnce gives the interface the first byte of an IPv4 packet, which it refuses when it is down, and which the host
// throws away when it is up.
func probeOnce(fd int, header bool) (up, gone bool) {
	var stub [vnetSize + 1]byte
	stub[vnetSize] = 0x45
	b := stub[vnetSize:]
	if header {
		b = stub[:]
	}
	_, err := unix.Write(fd, b)
	return !errors.Is(err, unix.EIO), errors.Is(err, unix.EBADFD)
}
