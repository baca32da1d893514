package tun

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

const (
	devicePath = "/dev/net/tun"
	// offloads that the host may leave to us; UDP segmentation is younger than the others (Linux 6.2).
	offloadTCP = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	offloadUDP = 0x20 | 0x40 // TUN_F_USO4, TUN_F_USO6
)

// Device is a TUN interface as a [transports.Tunnel].
type Device struct {
	conn      *transports.Descriptor
	header    bool        // each packet has a vnet header before it
	mergeTCP  bool        // the host takes super-packets
	mergeUDP  atomic.Bool // also of UDP; switched off if it refuses one
	in        input
	out       output
	watch     *watcher
	closeOnce sync.Once
	closed    atomic.Bool
}

var _ transports.Tunnel = (*Device)(nil)

// Options of a Device. The zero value is what to use.
type Options struct {
	// NoOffload asks the host for single packets with finished checksums.
	NoOffload bool
	// NoUDPSegments asks it for no super-packets of UDP, as kernels before 6.2 give none.
	NoUDPSegments bool
}

// Open makes a TUN interface of that name, or attaches to a persistent one; a %d in the name is replaced by a number.
// An mtu other than 0 is set. It needs CAP_NET_ADMIN.
func Open(name string, mtu int, o Options) (*Device, error) {
	fd, err := unix.Open(devicePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: devicePath, Err: err}
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = os.NewSyscallError("TUNSETIFF", unix.IoctlIfreq(fd, unix.TUNSETIFF, request))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("tun %q: %w", name, err)
	}
	return OpenFD(fd, mtu, o)
}

// OpenFD takes over the descriptor of a TUN interface that somebody else has set up (WG_TUN_FD). It must have been
// made without packet information (IFF_NO_PI), which cannot be checked; without IFF_VNET_HDR nothing is segmented or
// merged. On an error it is closed.
func OpenFD(fd, mtu int, o Options) (*Device, error) {
	d := &Device{}
	if err := d.setup(fd, o); err != nil {
		unix.Close(fd)
		return nil, err
	}
	// Only now: a descriptor that is not attached to an interface cannot be polled.
	var err error
	if d.conn, err = transports.NewDescriptor(fd, devicePath, true); err != nil {
		return nil, err
	}
	if mtu != 0 {
		err = d.SetMTU(mtu)
	}
	if err == nil {
		d.in.init(d)
		d.out.init(d)
		d.watch, err = newWatcher(d)
	}
	if err != nil {
		d.conn.Close()
		return nil, err
	}
	return d, nil
}

func (d *Device) setup(fd int, o Options) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	request, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, request); err != nil {
		return os.NewSyscallError("TUNGETIFF", err)
	}
	flags := request.Uint16()
	// Whether there is packet information cannot be seen: the flag shares its bit with IFF_NOFILTER here.
	if flags&unix.IFF_TUN == 0 {
		return fmt.Errorf("%s: not a TUN interface: %w", request.Name(), unix.EINVAL)
	}
	if d.header = flags&unix.IFF_VNET_HDR != 0; !d.header {
		return nil
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetSize); err != nil {
		return os.NewSyscallError("TUNSETVNETHDRSZ", err)
	}
	offload := func(flags int) bool { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, flags) == nil }
	switch {
	case o.NoOffload:
		offload(0)
	case !o.NoUDPSegments && offload(offloadTCP|offloadUDP):
		d.mergeTCP = true
		d.mergeUDP.Store(true)
	case offload(offloadTCP):
		d.mergeTCP = true
	default:
		offload(0) // a kernel that knows no offload has none to switch off
	}
	return nil
}

// Offload tells which super-packets the host takes and gives: of TCP, of UDP.
func (d *Device) Offload() (tcp, udp bool) { return d.mergeTCP, d.mergeUDP.Load() }

// Name gives the interface's name, which may change; empty when the interface is gone.
func (d *Device) Name() string {
	request, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	if cerr := d.conn.Control(func(fd uintptr) {
		err = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, request)
	}); cerr != nil || err != nil {
		return ""
	}
	return request.Name()
}

// MTU asks the host for the interface's MTU.
func (d *Device) MTU() (int, error) { return d.mtu(unix.SIOCGIFMTU, 0) }

// SetMTU changes it.
func (d *Device) SetMTU(mtu int) error {
	_, err := d.mtu(unix.SIOCSIFMTU, mtu)
	return err
}

func (d *Device) mtu(call uint, value int) (int, error) {
	return d.ask(call, func(r *unix.Ifreq) { r.SetUint32(uint32(value)) })
}

// ask makes an interface request in the namespace where the interface is.
func (d *Device) ask(call uint, set func(*unix.Ifreq)) (int, error) {
	name := d.Name()
	if name == "" {
		return 0, net.ErrClosed
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	set(request)
	fd, err := d.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, call, request); err != nil {
		return 0, os.NewSyscallError("ioctl "+name, err)
	}
	return int(request.Uint32()), nil
}

// socket opens one in the network namespace of the interface, which may have been moved since it was made; then
// that needs CAP_SYS_ADMIN. On kernels before 5.2, which do not tell, it is one in the namespace of the process.
func (d *Device) socket(family, kind, proto int) (fd int, err error) {
	space := -1
	_ = d.conn.Control(func(fd uintptr) {
		if n, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TUNGETDEVNETNS, 0); errno == 0 {
			space = int(n)
		}
	})
	kind |= unix.SOCK_CLOEXEC
	if space < 0 || sameSpace(space) {
		if space >= 0 {
			unix.Close(space)
		}
		fd, err = unix.Socket(family, kind, proto)
		return fd, os.NewSyscallError("socket", err)
	}
	defer unix.Close(space)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it: a thread that has moved ends with its goroutine
		if err = unix.Setns(space, unix.CLONE_NEWNET); err == nil {
			fd, err = unix.Socket(family, kind, proto)
		}
	}()
	<-done
	return fd, os.NewSyscallError("socket", err)
}

// sameSpace tells whether a namespace is that of this thread.
func sameSpace(space int) bool {
	var a, b unix.Stat_t
	return unix.Fstat(space, &a) == nil && unix.Stat("/proc/thread-self/ns/net", &b) == nil &&
		a.Dev == b.Dev && a.Ino == b.Ino
}

// Events tells when the interface goes up or down, or its MTU changes; first, whether it is up. It follows the
// interface into another network namespace, and is closed by Close and when the interface is deleted (LIFE-11).
func (d *Device) Events() <-chan transports.TunnelEvent { return d.watch.events }

// Close ends Read and Write and removes the interface, unless it is persistent.
func (d *Device) Close() error {
	var err error
	d.closeOnce.Do(func() {
		d.closed.Store(true)
		d.watch.stop()
		err = d.conn.Close()
	})
	return err
}

// ended turns the errors of a device that was closed, or whose interface was deleted, into net.ErrClosed.
func (d *Device) ended(err error) error {
	if err != nil && (d.closed.Load() || errors.Is(err, unix.EBADFD)) {
		return net.ErrClosed
	}
	return err
}
