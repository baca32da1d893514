package udp

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

const (
	// maxDatagram is the most that one receive can give: a UDP payload, or several coalesced into one.
	maxDatagram = 1<<16 - 1
	// enough datagrams, or bytes, end a batch: more would keep other cores idle for longer than a system call costs.
	enoughDatagrams = transports.MaxBatch / 2
	enoughBytes     = 1 << 16
	// lineSize keeps datagrams from sharing cache lines and aligns them for the cipher.
	lineSize = 64
	// maxFaults bounds how many pending errors of the socket one Receive passes over.
	maxFaults = 64
)

// reader is what receiving from one source needs. One goroutine at a time uses it.
type reader struct {
	hdr    unix.Msghdr
	iov    unix.Iovec
	name   address
	ctrl   control
	wait   func(fd uintptr) int // made once, because a closure per call would be an allocation
	poll   func(fd uintptr)
	into   *transports.Datagrams
	pos    int // bytes of Buf in use
	err    error
	spill  []byte // segments that did not fit the batch before
	path   protocol.Datagram
	pieces int // the segment size of spill
}

func (r *reader) init() {
	r.wait = func(fd uintptr) int { return r.take(int(fd)) }
	r.poll = func(fd uintptr) { r.take(int(fd)) }
}

// read waits for a datagram and takes what is there.
func (r *reader) read(s *socket, d *transports.Datagrams) error {
	r.into, r.pos, r.err = d, 0, nil
	err := s.conn.Read(r.wait)
	r.into, r.iov.Base = nil, nil
	if err == nil {
		err = r.err
	}
	return err
}

// drain takes what is there without waiting and tells whether there was something.
func (r *reader) drain(s *socket, d *transports.Datagrams) bool {
	r.into, r.pos, r.err = d, 0, nil
	err := s.conn.Control(r.poll)
	r.into, r.iov.Base = nil, nil
	return err == nil && len(d.List) > 0
}

// take receives until there is enough or nothing more, and gives the number of datagrams, or 1 after an error.
func (r *reader) take(fd int) int {
	for faults := 0; ; {
		d := r.into
		room := d.Buf[r.pos:]
		if len(d.List) >= enoughDatagrams || r.pos >= enoughBytes || len(room) < maxDatagram && len(d.List) > 0 {
			return len(d.List)
		}
		if len(room) == 0 {
			r.err = os.NewSyscallError("recvmsg", unix.ENOBUFS)
			return 1
		}
		n, errno := r.receive(fd, room)
		switch errno {
		case 0:
			r.split(room, n)
		case unix.EAGAIN:
			return len(d.List)
		case unix.EINTR:
		default:
			// What an ICMP message, a lack of memory or a firewall has left behind is no reason to stop, and each
			// such error is gone once it was told. The bound is for those that are not.
			if faults++; faults < maxFaults {
				continue
			}
			r.err = os.NewSyscallError("recvmsg", errno)
			return 1
		}
	}
}

func (r *reader) receive(fd int, room []byte) (n int, errno syscall.Errno) {
	r.iov.Base = &room[0]
	r.iov.SetLen(min(len(room), maxDatagram))
	r.hdr = unix.Msghdr{
		Name:    (*byte)(unsafe.Pointer(&r.name)),
		Namelen: unix.SizeofSockaddrInet6,
		Iov:     &r.iov,
		Control: &r.ctrl.bytes()[0],
	}
	r.hdr.SetIovlen(1)
	r.hdr.SetControllen(controlBytes)
	r.name.raw.Family = 0
	got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.hdr)), unix.MSG_DONTWAIT)
	return int(got), errno
}

// split makes windows of what lies in the first n bytes of room.
func (r *reader) split(room []byte, n int) {
	at := protocol.Datagram{}
	at.Endpoint.Remote = r.name.get()
	tos, segment := r.ctrl.read(int(r.hdr.Controllen), &at.Endpoint)
	at.TOS = tos
	if r.hdr.Flags&unix.MSG_TRUNC != 0 || !at.Endpoint.Remote.IsValid() {
		return // longer than any UDP payload can be, or from nowhere
	}
	if segment <= 0 {
		segment = max(n, 1)
	}
	// Up to 128 segments come in one piece, so that they may be more than this batch has room for.
	fit := (transports.MaxBatch - len(r.into.List)) * segment
	if n > fit {
		r.spill = append(r.spill[:0], room[fit:n]...)
		r.path, r.pieces = at, segment
		n = fit
	}
	r.windows(&at, n, segment)
}

// windows lists n bytes at r.pos as datagrams of segment bytes, the last of which may be shorter.
func (r *reader) windows(at *protocol.Datagram, n, segment int) {
	d := r.into
	at.Buf = d.Buf
	for first := 0; first < n || n == 0; first += segment {
		at.Off, at.Len = r.pos+first, min(segment, n-first)
		d.List = append(d.List, *at)
		if n == 0 {
			break // an empty datagram is one, too
		}
	}
	r.pos = min((r.pos+n+lineSize-1)&^(lineSize-1), len(d.Buf))
}

// unspill gives what the batch before had no room for, and tells whether there was any.
func (r *reader) unspill(d *transports.Datagrams) bool {
	if len(r.spill) == 0 {
		return false
	}
	n := min(len(r.spill), transports.MaxBatch*r.pieces, len(d.Buf)/r.pieces*r.pieces)
	r.into, r.pos = d, 0
	copy(d.Buf, r.spill[:n])
	r.windows(&r.path, n, r.pieces)
	r.spill = r.spill[:copy(r.spill, r.spill[n:])]
	r.into, r.path.Buf = nil, nil
	return len(d.List) > 0
}
