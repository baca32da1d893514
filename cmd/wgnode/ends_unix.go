//go:build unix

package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/transports/uapi"
)

// duplicate gives a descriptor of its own, which outlives the file.
func duplicate(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}

func socketOf(name string, f *os.File) (net.Listener, error) { return uapi.FromFile(name, f) }
