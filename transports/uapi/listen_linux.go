package uapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	directory = "/var/run/wireguard" // where wg(8) looks
	maxName   = unix.IFNAMSIZ - 1
)

// Path gives the file of an interface's socket.
func Path(name string) string { return filepath.Join(directory, name+".sock") }

// Listen makes the socket of an interface and listens on it. The file is gone after Close. ErrInUse if another process
// is listening there.
func Listen(name string) (net.Listener, error) {
	file, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return FromFile(name, file)
}

// Open makes the socket and gives it as a file, for a child process that serves it ([FromFile], WG_UAPI_FD). Closing
// it leaves the socket's file in place. A file that nobody listens behind is replaced; anything else is not touched.
func Open(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockDirectory()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(Path(name)); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), Path(name))
	// What umask 077 would do, without a moment in which it holds for the files of other goroutines: on Linux the
	// socket's own mode becomes its file's.
	err = unix.Fchmod(fd, 0o700)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: Path(name)})
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("uapi: %s: %w", Path(name), err)
	}
	return file, nil
}

// lockDirectory keeps two processes from replacing each other's socket between the look at it and the change. The lock
// goes with the process if that is killed.
func lockDirectory() (unlock func(), err error) {
	dir, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		dir.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return func() { dir.Close() }, nil
}

// removeStale removes a socket that a killed process left.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("uapi: %s is in the way and is not a socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w: %s answers", ErrInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // for example EAGAIN: somebody listens, and is busy
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return os.Remove(path)
}

// FromFile listens on a socket that Open made, perhaps in another process. It takes a copy: the caller closes file. The
// listener fails with ErrGone when the socket's file is removed or replaced, and removes it when it is closed.
func FromFile(name string, file *os.File) (net.Listener, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	inner, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("uapi: the inherited file is no listening socket: %w", err)
	}
	l := &listener{Listener: inner, path: Path(name), every: 2 * time.Second, done: make(chan struct{})}
	unixListener, ok := inner.(*net.UnixListener)
	if !ok {
		inner.Close()
		return nil, errors.New("uapi: the inherited socket is not of the unix family")
	}
	unixListener.SetUnlinkOnClose(false) // it would remove a successor's file as well
	if a := inner.Addr().String(); a != "" && a[0] == '/' {
		l.path = a
	}
	if l.bound, err = os.Lstat(l.path); err != nil {
		inner.Close()
		return nil, err
	}
	// A host has few inotify instances, 128 by default: many interfaces, and some have to look now and then.
	l.watch, _ = watch(l.path)
	l.watcher.Go(l.follow)
	return l, nil
}

// listener knows when its file has gone.
type listener struct {
	net.Listener
	path    string
	bound   os.FileInfo   // the file that is ours
	watch   *os.File      // inotify on its directory, or nil
	every   time.Duration // how often to look without it
	done    chan struct{}
	watcher sync.WaitGroup

	mu     sync.Mutex
	closed bool
	gone   bool
}

// watch reports changes of the directory: a socket's own deletion does not count as such while it is open, and a
// rename or a replacement shows here only.
func watch(path string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	const events = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF |
		unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err = unix.InotifyAddWatch(fd, filepath.Dir(path), events); err != nil {
		file.Close()
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	return file, nil
}

// follow ends the listener when its file is no longer where clients look for it.
func (l *listener) follow() {
	for l.ours() {
		if !l.changed() {
			return // closed
		}
	}
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	l.Listener.Close()
}

// changed waits until there may be something to see. It is false after Close.
func (l *listener) changed() bool {
	if l.watch != nil {
		var events [16 * (unix.SizeofInotifyEvent + unix.NAME_MAX + 1)]byte
		_, err := l.watch.Read(events[:])
		return err == nil
	}
	select {
	case <-l.done:
		return false
	case <-time.After(l.every):
		return true
	}
}

func (l *listener) ours() bool {
	now, err := os.Lstat(l.path)
	return err == nil && os.SameFile(now, l.bound)
}

// Accept waits for a client.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.gone && !l.closed {
			return nil, ErrGone
		}
	}
	return conn, err
}

// Close stops listening and removes the file, if it is still ours. Closing twice is harmless.
func (l *listener) Close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return nil
	}
	close(l.done)
	if l.watch != nil {
		l.watch.Close()
	}
	l.watcher.Wait()
	if unlock, err := lockDirectory(); err == nil {
		defer unlock()
	}
	var failed error
	if l.ours() {
		failed = os.Remove(l.path)
	}
	if err := l.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		failed = err
	}
	return failed
}
