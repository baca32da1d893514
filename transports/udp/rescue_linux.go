package udp

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

// roomWait is how long a message that is being rescued waits for room in the socket, in milliseconds.
const roomWait = 1000

// rescue sends the run at place i, which the kernel has refused with errno, in another way (design §11.11).
func (o *sender) rescue(fd, i int, errno syscall.Errno) {
	r := o.runs[i]
	segmented := r.to-r.from > 1
	switch {
	case segmented && errno == unix.EIO:
		// No checksum offload on the way out, without which the kernel does not segment. That is a property of the
		// route, but a kernel that does it on one and not on the other is not worth a table.
		o.link.noSegment.Store(true)
		o.singly(fd, i, r)
	case segmented && (errno == unix.EINVAL || errno == unix.EMSGSIZE):
		// A segment is longer than the path MTU, and segments are not fragmented. Or the source address is wrong,
		// which has the same number: then the single messages fail, too.
		if o.singly(fd, i, r) {
			o.learn(o.list[r.from].Endpoint.Remote.Addr(), r.size)
		}
	default:
		o.again(fd, i, r, errno)
	}
}

// singly sends the datagrams of a run one by one; it is true if all of them left as they are.
func (o *sender) singly(fd, i int, r run) bool {
	clean := true
	for j := r.from; j < r.to; j++ {
		single := run{j, j + 1, r.size}
		if errno := o.one(fd, i, single, true); errno != 0 {
			o.again(fd, i, single, errno)
			clean = false
		}
	}
	return clean
}

// again is the last attempt: without the source address if that may be the fault, else as it is, because the error may
// have been that of an earlier message.
func (o *sender) again(fd, i int, r run, errno syscall.Errno) {
	local := o.list[r.from].Endpoint.Local
	without := local.IsValid() && sourceFault(errno)
	second := o.one(fd, i, r, !without)
	if second != 0 {
		o.errs = append(o.errs, os.NewSyscallError("sendmsg", second))
		return
	}
	if without && o.gone != local {
		o.gone = local
		o.errs = append(o.errs, &transports.SourceError{Local: local})
	}
}

// sourceFault tells the errors that a source address or interface can cause that the host has no more, or that has no
// way to the destination any more.
func sourceFault(errno syscall.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENODEV, unix.ENXIO, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN:
		return true
	}
	return false
}

// one sends the run r by itself, from place i.
func (o *sender) one(fd, i int, r run, source bool) syscall.Errno {
	source = source && (!o.gone.IsValid() || o.gone != o.list[r.from].Endpoint.Local)
	used := o.message(i, r, source, o.spare[:])
	defer clear(o.spare[:used])
	for waited := false; ; {
		_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.msgs[i].hdr)),
			unix.MSG_DONTWAIT)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN && !waited:
			waited = true
			// The poller cannot be asked in the middle of a run; this is rare enough to keep a thread.
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, roomWait)
		default:
			return errno
		}
	}
}
