package tun

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

const (
	maxPacket = 1<<16 - 1
	// slotSize is how long a packet may be to be read where it will be sealed; longer ones go through the second
	// buffer. It covers the MTUs that are common outside of data centres.
	slotSize = 2048
	// enoughBytes ends a batch of reads: from here on it is worth another core (design §6).
	enoughBytes = 1 << 14
)

// input is what reading needs. One goroutine at a time uses it.
type input struct {
	d     *Device
	vnet  [vnetSize]byte
	iov   [3]unix.Iovec
	wait  func(fd uintptr) int // made once, because a closure per call would be an allocation
	into  *transports.Packets
	pos   int // bytes of Buf in use
	err   error
	long  []byte // a packet longer than a slot: slotSize bytes that are copied here, and the rest
	split split  // what is left of a super-packet, which lies in long
}

func (in *input) init(d *Device) {
	in.d = d
	in.long = make([]byte, slotSize+maxPacket)
	in.wait = func(fd uintptr) int { return in.take(int(fd)) }
}

// Read waits for a packet and takes what is there, up to a batch or 16 KiB: many small packets cost one wake-up. A
// super-packet is cut; what there is no room for is given by the next call.
func (d *Device) Read(p *transports.Packets) error {
	in := &d.in
	in.into, in.pos, in.err = p, 0, nil
	p.List = p.List[:0]
	var err error
	if in.cut(); len(p.List) == 0 {
		err = d.conn.Read(in.wait)
	}
	in.into, in.iov[1].Base = nil, nil
	if err == nil {
		err = in.err
	}
	if len(p.List) > 0 {
		return nil
	}
	return d.ended(err)
}

// room is the greatest length of a packet for which Buf has room.
func (in *input) room() int {
	return min(len(in.into.Buf)-in.pos-protocol.Headroom-protocol.Tailroom-1, maxPacket)
}

// add lists a packet of n bytes at the place that room has promised.
func (in *input) add(n int) {
	p := in.into
	p.List = append(p.List, protocol.Packet{Buf: p.Buf, Off: in.pos + protocol.Headroom, Len: n})
	in.pos += transports.Stride(n)
}

// cut gives packets of a super-packet while there are some and room for them.
func (in *input) cut() {
	for len(in.into.List) < transports.MaxBatch {
		n := in.split.size()
		if n == 0 || n > in.room() {
			return
		}
		at := in.pos + protocol.Headroom
		in.split.next(in.into.Buf[at : at+n])
		in.add(n)
	}
}

// take reads until there is enough or nothing more, and gives the number of packets, or 1 after an error.
func (in *input) take(fd int) int {
	for {
		p := in.into
		if len(p.List) == transports.MaxBatch || in.pos >= enoughBytes || in.room() < slotSize && len(p.List) > 0 {
			return len(p.List)
		}
		if in.room() < slotSize {
			in.err = os.NewSyscallError("readv", unix.ENOBUFS)
			return 1
		}
		n, errno := in.readv(fd)
		switch errno {
		case 0:
			in.accept(n)
		case unix.EAGAIN:
			return len(p.List)
		case unix.EINTR:
		default:
			in.err = os.NewSyscallError("readv", errno)
			return 1
		}
	}
}

// readv reads one packet: its header, the first slotSize bytes into Buf, what is beyond to its place in long.
func (in *input) readv(fd int) (n int, errno syscall.Errno) {
	iov := in.iov[:]
	iov[0].Base = &in.vnet[0]
	iov[0].SetLen(vnetSize)
	iov[1].Base = &in.into.Buf[in.pos+protocol.Headroom]
	iov[1].SetLen(slotSize)
	iov[2].Base = &in.long[slotSize]
	iov[2].SetLen(len(in.long) - slotSize)
	if !in.d.header {
		iov = iov[1:]
	}
	got, _, errno := unix.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	n = int(got)
	if in.d.header {
		n -= vnetSize
	}
	return n, errno
}

// accept takes a packet of n bytes that readv has put down. One that makes no sense is left out.
func (in *input) accept(n int) {
	var v vnet
	if in.d.header {
		v.get(in.vnet[:])
	}
	if n <= 0 {
		return
	}
	slot := in.into.Buf[in.pos+protocol.Headroom:][:slotSize]
	if v.gso == gsoNone && n <= slotSize {
		if v.flags&needsCsum == 0 || v.complete(slot[:n]) {
			in.add(n)
		}
		return
	}
	copy(in.long, slot[:min(n, slotSize)])
	packet := in.long[:n]
	if v.gso == gsoNone {
		if n > in.room() || v.flags&needsCsum != 0 && !v.complete(packet) {
			return
		}
		copy(in.into.Buf[in.pos+protocol.Headroom:], packet)
		in.add(n)
		return
	}
	if in.split.start(packet, &v) {
		in.cut()
	}
}
