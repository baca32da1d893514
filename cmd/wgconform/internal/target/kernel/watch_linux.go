package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
)

// watch looks at what the kernel as a whole does, for all subjects. A system call is a matter of 10 µs in a kernel that
// is itself a process, so files stay open.
type watch struct {
	mu     sync.Mutex
	load   int // file descriptors of /proc/loadavg
	taints int // and /proc/sys/kernel/tainted
	// known are the threads of the machine by their numbers: of the kernel's workers their /proc/N/stat, of others -1.
	known map[int]int
	until time.Time // when known is old
}

// knownFor is how long a list of threads is used. A worker that is made for more work is there a second later, too.
const knownFor = time.Second

func newWatch() (w *watch, err error) {
	w = &watch{load: -1, taints: -1, known: map[int]int{}}
	if w.load, err = open("/proc/loadavg"); err == nil {
		w.taints, err = open("/proc/sys/kernel/tainted")
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func open(path string) (fd int, err error) {
	if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return fd, nil
}

func (w *watch) close() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fd := range w.known {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	for _, fd := range []int{w.load, w.taints} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}

// Busy implements realtime.Driver: what WireGuard does neither within a call nor in an interrupt is done by the
// kernel's workers. They are those of all its parts, and may be busy for another. Who does not see them, as in a
// process namespace, gives them a little time.
func (w *watch) Busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alone() {
		return false
	}
	if time.Now().After(w.until) {
		w.list()
	}
	workers := 0
	var text [256]byte
	for number, fd := range w.known {
		if fd < 0 {
			continue
		}
		n, err := unix.Pread(fd, text[:], 0)
		if err != nil { // it has ended
			_ = unix.Close(fd)
			delete(w.known, number)
			continue
		}
		workers++
		if realtime.BusyStat(text[:n]) {
			return true
		}
	}
	if workers == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// alone reports whether the thread that asks is the only one of the whole machine that runs or wants to.
func (w *watch) alone() bool {
	var text [64]byte
	n, err := unix.Pread(w.load, text[:], 0)
	f := bytes.Fields(text[:max(n, 0)]) // three averages, and running/all
	if err != nil || len(f) < 4 {
		return false
	}
	running, _, _ := bytes.Cut(f[3], []byte("/"))
	number, err := strconv.Atoi(string(running))
	return err == nil && number <= 1
}

// list brings known up to date.
func (w *watch) list() {
	old := w.known
	w.known = map[int]int{}
	for t := range realtime.Threads("/proc") {
		fd, seen := old[t.Number]
		delete(old, t.Number)
		if !seen {
			fd = -1
			if name := t.Name(); strings.HasPrefix(name, "kworker/") || strings.HasPrefix(name, "ksoftirqd/") {
				fd, _ = open(t.Folder + "/stat") // -1: it has just ended
			}
		}
		w.known[t.Number] = fd
	}
	for _, fd := range old {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	w.until = time.Now().Add(knownFor)
}

// Bits of the kernel's taint mask.
const (
	taintDied   = 1 << 7 // an oops
	taintWarned = 1 << 9 // a WARN, which says that something is as it never should be
)

// tainted reads what has happened to the kernel since it was started.
func (w *watch) tainted() (uint64, error) {
	var text [32]byte
	n, err := unix.Pread(w.taints, text[:], 0)
	if err != nil {
		return 0, fmt.Errorf("/proc/sys/kernel/tainted: %w", err)
	}
	return strconv.ParseUint(string(bytes.TrimSpace(text[:n])), 10, 64)
}
