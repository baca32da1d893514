package transports

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Descriptor is a TUN device or a socket as a worker reads it: again and again while there is something, then asleep
// until there is more. It is like a syscall.RawConn of the net package, and cheaper where packets are small and many
// (decision 0028):
//
//   - The runtime's poller has the descriptor only while a reader sleeps. Otherwise every packet that comes in while a
//     worker is busy would wake a thread that finds nothing to do.
//   - When packets come one by one in quick succession, a reader that has nothing to do can rest for a moment instead
//     of being woken for the next one: so that it finds several (see pace).
//
// The functions given to Read, Write and Control must not block, and should make their system calls by RawSyscall: then
// the scheduler's monitor need not be woken for each.
type Descriptor struct {
	fd   uintptr
	file *os.File // counts who uses the descriptor; not in the runtime's poller
	conn syscall.RawConn
	gate *os.File // an epoll descriptor with nothing but ours in it; in the runtime's poller
	wait syscall.RawConn

	in, out attempt
	armed   bool
	knock   func(gate uintptr) bool // made once, because a closure per call would be an allocation
	pace    pace
	row     int // reads without sleep
	rests   bool
}

// attempt is one call of a function with the descriptor.
type attempt struct {
	f    func(fd uintptr) int
	n    int
	call func(fd uintptr)
}

func (a *attempt) init() { a.call = func(fd uintptr) { a.n = a.f(fd) } }

// NewDescriptor takes over fd, which must be attached to something that can be polled, and makes it non-blocking. On
// an error it is closed. If rests is true its reader rests as said above.
func NewDescriptor(fd int, name string, rests bool) (d *Descriptor, err error) {
	// The os package gives descriptors to the poller that do not block when it sees them first.
	if err = syscall.SetNonblock(fd, false); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	d = &Descriptor{fd: uintptr(fd), rests: rests, file: os.NewFile(uintptr(fd), name)}
	d.in.init()
	d.out.init()
	d.knock = d.open
	err = os.NewSyscallError("fcntl", syscall.SetNonblock(fd, true))
	if err == nil {
		d.conn, err = d.file.SyscallConn()
	}
	if err == nil {
		err = d.makeGate(fd)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Descriptor) makeGate(fd int) error {
	gate, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.EpollCtl(gate, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: oneShot}); err != nil {
		syscall.Close(gate)
		return os.NewSyscallError("epoll_ctl", err)
	}
	if err := syscall.SetNonblock(gate, true); err != nil {
		syscall.Close(gate)
		return os.NewSyscallError("fcntl", err)
	}
	d.gate = os.NewFile(uintptr(gate), "epoll")
	if d.wait, err = d.gate.SyscallConn(); err != nil {
		return err
	}
	return d.gate.SetReadDeadline(time.Time{}) // fails where the poller did not take it: nothing could be waited for
}

// oneShot: armed for one event, then off until it is armed again.
const oneShot = 1 << 30 // EPOLLONESHOT

// Control calls f with the descriptor, which stays open meanwhile.
func (d *Descriptor) Control(f func(fd uintptr)) error { return d.conn.Control(f) }

// Read calls f until it gives the number of packets that it has read, or 1 if it has failed; 0 makes Read wait until
// there is something to read. Only one goroutine at a time may be in Read. It ends with an error after Close, and after
// Interrupt if it would have to wait.
func (d *Descriptor) Read(f func(fd uintptr) int) error {
	a := &d.in
	a.f = f
	defer func() { a.f = nil }()
	for waited := false; ; waited = true {
		if err := d.conn.Control(a.call); err != nil {
			return err
		}
		if a.n > 0 {
			d.busy(waited)
			d.pace.found(a.n)
			return nil
		}
		if d.rests && d.pace.rest() {
			continue
		}
		if err := d.sleep(); err != nil {
			return err
		}
	}
}

// busy sees to it that the scheduler's monitor is awake while a reader never sleeps: it is what lets other goroutines
// have a turn. It goes to sleep with the process, and what wakes it is a system call that the scheduler knows of.
func (d *Descriptor) busy(waited bool) {
	if d.row++; waited {
		d.row = 0
	}
	if d.row == rowEnough {
		d.row = 0
		_, _, _ = syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0)
	}
}

// rowEnough is so many reads in a row without sleep.
const rowEnough = 16

// sleep waits in the runtime's poller.
func (d *Descriptor) sleep() error {
	d.armed = false
	return d.wait.Read(d.knock)
}

// open arms the gate when it is called first, and then tells whether it has rung. Arming comes here because the poller
// forgets what it knew of the gate just before.
func (d *Descriptor) open(gate uintptr) bool {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | oneShot}
	if !d.armed {
		d.armed = true
		// Should it have been closed this minute, then its number is not in the gate, whoever may have it now.
		_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, gate, syscall.EPOLL_CTL_MOD, d.fd,
			uintptr(unsafe.Pointer(&event)), 0, 0)
		return errno != 0 // then the next attempt tells what is wrong
	}
	n, _, _ := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, gate, uintptr(unsafe.Pointer(&event)), 1, 0, 0, 0)
	return n == 1
}

// Write calls f until it does not give 0, and waits before each further call until there is room. Only one goroutine at
// a time may be in Write. That there is none is rare enough to keep a thread.
func (d *Descriptor) Write(f func(fd uintptr) int) error {
	a := &d.out
	a.f = f
	defer func() { a.f = nil }()
	for {
		if err := d.conn.Control(a.call); err != nil || a.n > 0 {
			return err
		}
		if err := d.conn.Control(awaitRoom); err != nil {
			return err
		}
	}
}

// roomWait bounds how long Close is held up by a Write that waits.
const roomWait = 50 * time.Millisecond

func awaitRoom(fd uintptr) {
	poll := struct {
		fd              int32
		events, revents int16
	}{int32(fd), pollOut, 0}
	timeout := syscall.NsecToTimespec(int64(roomWait))
	_, _, _ = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1,
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
}

const pollOut = 4 // POLLOUT

// Interrupt makes a Read that waits fail, and every later one that would wait.
func (d *Descriptor) Interrupt() { _ = d.gate.SetReadDeadline(time.Unix(1, 0)) }

// Close ends Read and Write. It returns without waiting for them.
func (d *Descriptor) Close() error {
	var err error
	if d.gate != nil {
		err = d.gate.Close()
	}
	return errors.Join(err, d.file.Close())
}

// A pace tells when to rest: while packets come at more than briskRate, but one by one or nearly so. Then being woken
// for each costs more than all the rest of its treatment. Network cards moderate their interrupts in the same way and
// for about as long. A flow that is slower, such as a ping, or comes in bunches anyway, is left alone.
type pace struct {
	brisk   bool
	began   time.Time // of the window, which ends with the window-th packet
	packets int
	reads   int
	missed  int // rests in a row that brought nothing
}

const (
	window     = 64
	briskRate  = 12500 // packets per second
	briskBatch = 16    // packets per read, on average: more than that are bunches
	// restFor has the kernel's timer slack added, which is 50 µs where nobody has changed it.
	restFor    = 100 * time.Microsecond
	missEnough = 2
)

// found is called when a read has brought n packets.
func (p *pace) found(n int) {
	p.packets, p.reads, p.missed = p.packets+n, p.reads+1, 0
	if p.packets < window {
		return
	}
	now := time.Now()
	took := now.Sub(p.began)
	p.brisk = took*briskRate <= time.Second*time.Duration(p.packets) && p.packets < briskBatch*p.reads
	p.began, p.packets, p.reads = now, 0, 0
}

// rest rests if it is worth it; false: better sleep.
func (p *pace) rest() bool {
	if !p.brisk {
		return false
	}
	if p.missed == missEnough {
		p.brisk, p.missed = false, 0
		return false
	}
	p.missed++
	t := syscall.NsecToTimespec(int64(restFor))
	_, _, _ = syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
	return true
}
