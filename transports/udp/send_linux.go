package udp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.org/x/sys/unix"
)

const (
	maxSegments = 64    // of one send; newer kernels take 128
	maxPayload  = 65507 // of one send: 65535 less an IPv4 and a UDP header
	// narrowFor is how long a path counts as too narrow for a segment size: what the kernel remembers of a path MTU.
	narrowFor = 10 * time.Minute
	// narrowMax bounds the table of such paths.
	narrowMax = 4096
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A run is the datagrams list[from:to], which leave in one message, cut by the kernel into segments of size bytes.
type run struct {
	from, to int
	size     int
}

// A narrow path drops to single messages, which the kernel may fragment, above limit bytes.
type narrow struct {
	limit int
	until time.Time
}

// sender is what sending on one socket needs; mu guards all of it.
type sender struct {
	mu     sync.Mutex
	s      *socket
	link   *Link
	list   []protocol.Datagram // what is being sent; nil in between
	runs   []run
	msgs   []mmsghdr
	names  []address
	ctrls  []control
	iovs   []unix.Iovec
	sent   int // of runs
	errs   []error
	gone   netip.Addr // the source address that was refused in this call
	spare  [maxSegments]unix.Iovec
	narrow map[netip.Addr]narrow
	write  func(fd uintptr) int
}

func (o *sender) init(s *socket) {
	const n = transports.MaxBatch
	o.s = s
	o.runs, o.msgs = make([]run, 0, n), make([]mmsghdr, n)
	o.names, o.ctrls, o.iovs = make([]address, n), make([]control, n), make([]unix.Iovec, n)
	o.narrow = make(map[netip.Addr]narrow)
	o.write = func(fd uintptr) int { return o.flush(int(fd)) }
}

// Send sends datagrams in order. Runs of equal size to one endpoint, of which the last may be shorter, leave as one
// segmented send. An error means that some were not sent, and is a *[transports.SourceError] if one or more had to
// leave without their source address. It may be called from several goroutines.
func (l *Link) Send(d []protocol.Datagram) error {
	var errs []error
	for len(d) > 0 {
		v6 := d[0].Endpoint.Remote.Addr().Is6()
		n := 1
		for n < len(d) && n < transports.MaxBatch && d[n].Endpoint.Remote.Addr().Is6() == v6 {
			n++
		}
		if err := l.sendFamily(d[:n], v6); err != nil {
			errs = append(errs, err)
		}
		d = d[n:]
	}
	return errors.Join(errs...)
}

// sendFamily sends at most a batch of one family. A socket that was replaced under way is no error.
func (l *Link) sendFamily(d []protocol.Datagram, v6 bool) error {
	i := 0
	if v6 {
		i = 1
	}
	for {
		s := l.current[i].Load()
		if s == nil {
			return net.ErrClosed
		}
		rest, err := s.out.send(l, d)
		if rest == len(d) || !s.closed.Load() {
			return err
		}
		d = d[rest:]
	}
}

// send gives the number of datagrams that were dealt with, which is less than all if the socket was closed.
func (o *sender) send(l *Link, d []protocol.Datagram) (done int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.link, o.list, o.sent, o.gone = l, d, 0, netip.Addr{}
	o.group()
	o.prepare()
	err = o.s.conn.Write(o.write)
	done = len(d)
	if o.sent < len(o.runs) {
		done = o.runs[o.sent].from
	}
	if len(o.errs) > 0 {
		err = errors.Join(append(o.errs, err)...)
		o.errs = nil
	}
	o.list = nil
	clear(o.iovs[:len(d)]) // the memory is the caller's
	return done, err
}

// group cuts the list into runs.
func (o *sender) group() {
	o.runs = o.runs[:0]
	segments := o.s.segments && !o.link.noSegment.Load()
	for i := 0; i < len(o.list); {
		first := &o.list[i]
		j, total := i+1, first.Len
		if segments && first.Len > 0 && (len(o.narrow) == 0 || o.fits(first)) {
			for j < len(o.list) && j-i < maxSegments && o.list[j-1].Len == first.Len {
				next := &o.list[j]
				if next.Len == 0 || next.Len > first.Len || total+next.Len > maxPayload ||
					next.TOS != first.TOS || next.Endpoint != first.Endpoint {
					break
				}
				total += next.Len
				j++
			}
		}
		o.runs = append(o.runs, run{i, j, first.Len})
		i = j
	}
}

// fits tells whether messages of this size can be segments on their path.
func (o *sender) fits(d *protocol.Datagram) bool {
	to := d.Endpoint.Remote.Addr()
	n, known := o.narrow[to]
	if known && !time.Now().Before(n.until) {
		delete(o.narrow, to)
		return true
	}
	return !known || d.Len <= n.limit
}

// learn remembers that segments of size bytes do not fit the path to an address.
func (o *sender) learn(to netip.Addr, size int) {
	if len(o.narrow) >= narrowMax {
		clear(o.narrow) // to forget costs one failed send per path
	}
	o.narrow[to] = narrow{size - 1, time.Now().Add(narrowFor)}
}

// prepare writes a message header for every run.
func (o *sender) prepare() {
	used := 0
	for i := range o.runs {
		used += o.message(i, o.runs[i], true, o.iovs[used:])
	}
}

// message writes the header of run r to place i and gives the number of iovecs it took. Datagrams that lie one behind
// another share one.
func (o *sender) message(i int, r run, source bool, iovs []unix.Iovec) (used int) {
	first := &o.list[r.from]
	var end uintptr // only compared
	size := 0
	for j := r.from; j < r.to; j++ {
		b := o.list[j].Bytes()
		if len(b) == 0 {
			continue
		}
		at := uintptr(unsafe.Pointer(&b[0]))
		if used > 0 && at == end {
			size += len(b)
		} else {
			iovs[used].Base = &b[0]
			used, size = used+1, len(b)
		}
		iovs[used-1].SetLen(size)
		end = at + uintptr(len(b))
	}
	segment := 0
	if r.to-r.from > 1 {
		segment = r.size
	}
	h := &o.msgs[i].hdr
	*h = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&o.names[i])), Namelen: o.names[i].set(&first.Endpoint, o.s.v6)}
	if used > 0 {
		h.Iov = &iovs[0]
		h.SetIovlen(used)
	}
	if n := o.ctrls[i].write(first, o.s.v6, source, segment); n > 0 {
		h.Control = &o.ctrls[i].bytes()[0]
		h.SetControllen(n)
	}
	return used
}

// flush sends what is left of the runs; 0 asks to be called again when the socket has room.
func (o *sender) flush(fd int) int {
	for o.sent < len(o.runs) {
		left := o.msgs[o.sent:len(o.runs)]
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&left[0])),
			uintptr(len(left)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			o.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return 0
		default:
			o.rescue(fd, o.sent, errno)
			o.sent++
		}
	}
	return 1
}
