package tun

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/purewire/purewire/protocol"
	"golang.org/x/sys/unix"
)

// output is what writing needs. One goroutine at a time uses it.
type output struct {
	d       *Device
	headers [maxHeaders]byte
	iov     [1 + maxParts]unix.Iovec
	flow    flow
	left    []protocol.Delivery
	single  int // so many of the next are to be written one by one
	err     error
	write   func(fd uintptr) int
}

func (o *output) init(d *Device) {
	o.d = d
	o.write = func(fd uintptr) int { return o.flush(int(fd)) }
}

// Write gives packets to the host, in order, consecutive ones of a flow as one. The first error is returned when all
// have been tried.
func (d *Device) Write(p []protocol.Delivery) error {
	o := &d.out
	o.left, o.single, o.err = p, 0, nil
	err := d.conn.Write(o.write)
	o.left, o.flow.head = nil, nil
	clear(o.iov[:])
	if err == nil {
		err = o.err
	}
	return d.ended(err)
}

// flush writes what is left; 0 asks to be called again when there is room.
func (o *output) flush(fd int) int {
	for len(o.left) > 0 {
		n := 1
		if len(o.left[0].Bytes()) == 0 {
			o.left = o.left[1:]
			continue
		}
		if o.single > 0 {
			o.flow = flow{}
		} else if o.d.mergeTCP {
			n = o.flow.merge(o.left, o.d.mergeUDP.Load())
		}
		switch errno := o.writev(fd, o.gather(n)); {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0
		case errno == unix.EINVAL && n > 1:
			// Not the kind of super-packet that this kernel takes. The packets it was made of are as they were.
			if o.flow.proto == protoUDP {
				o.d.mergeUDP.Store(false)
			}
			o.single = n
			continue
		case errno != 0 && o.err == nil:
			o.err = os.NewSyscallError("writev", errno)
		}
		o.left = o.left[n:]
		o.single = max(o.single-1, 0)
	}
	return 1
}

// gather makes the pieces of one write of the next n packets.
func (o *output) gather(n int) []unix.Iovec {
	if n == 1 {
		clear(o.headers[:vnetSize]) // a packet like any other
		o.piece(0, o.headers[:vnetSize])
		o.piece(1, o.left[0].Bytes())
		if !o.d.header {
			return o.iov[1:2]
		}
		return o.iov[:2]
	}
	o.piece(0, o.headers[:o.flow.headers(o.headers[:])])
	for i := range n {
		o.piece(1+i, o.left[i].Bytes()[o.flow.l4:])
	}
	return o.iov[:1+n]
}

func (o *output) piece(i int, b []byte) {
	o.iov[i].Base = &b[0]
	o.iov[i].SetLen(len(b))
}

func (o *output) writev(fd int, iov []unix.Iovec) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	return errno
}
