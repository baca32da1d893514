//go:build darwin || freebsd || openbsd

package uapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.zx2c4.com/wireguard/ipc"
)

const (
	directory = "/var/run/wireguard" // where wg(8) looks
	maxName   = 15
)

// Path gives the file of an interface's socket.
func Path(name string) string { return filepath.Join(directory, name+".sock") }

// Listen makes the socket of an interface and listens on it. The file is gone after Close.
func Listen(name string) (net.Listener, error) {
	file, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return FromFile(name, file)
}

// Open makes the socket and gives it as a file, for a child process that serves it ([FromFile], WG_UAPI_FD).
func Open(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if conn, err := net.Dial("unix", Path(name)); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %s answers", ErrInUse, Path(name))
	}
	return ipc.UAPIOpen(name)
}

// FromFile listens on a socket that Open made, perhaps in another process. It takes a copy: the caller closes file. The
// listener fails with ErrGone when the socket's file is removed.
func FromFile(name string, file *os.File) (net.Listener, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	l, err := ipc.UAPIListen(name, file)
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, close: sync.OnceValue(l.Close)}, nil
}

// listener may be closed twice: package ipc would close descriptors that are another's by then.
type listener struct {
	net.Listener
	close func() error
}

func (l *listener) Close() error { return l.close() }

// Accept waits for a client.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	return conn, err
}
