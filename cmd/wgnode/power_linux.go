package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that a node needs while it serves: marks, the interface and its routes; and ports below
// 1024, which wg(8) may ask for at any time.
const kept = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_BIND_SERVICE

// restrict takes from this thread, and from the program that it executes or starts next, all capabilities but the kept
// ones. The thread is not used for anything else. What cannot be dropped, because we may not even do that, stays.
//
// For root an exec gives what the bounding set holds; for others it gives the ambient set, which is ours already or was
// given to us by a service manager.
func restrict() {
	runtime.LockOSThread()
	for c := uintptr(0); c < 64; c++ {
		if kept>>c&1 == 1 {
			continue
		}
		if unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) == unix.EINVAL {
			break // the kernel knows no more of them
		}
		_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_LOWER, c, 0, 0) // not there: just as well
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return
	}
	data[0].Inheritable &= kept
	data[1].Inheritable = 0
	_ = unix.Capset(&header, &data[0]) // less is always allowed
}

// resume executes this program again, in this process, with less power. It returns only if that fails.
func (p *program) resume(_ options, _ environment, h *handover) error {
	var pairs []string
	for _, f := range h.files() {
		if *f.file == nil {
			continue
		}
		fd := (*f.file).Fd()
		if _, err := unix.FcntlInt(fd, unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		pairs = append(pairs, fmt.Sprintf("%s=%d", f.name, fd))
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	restrict()
	return fmt.Errorf("cannot execute %s again: %w", path, unix.Exec(path, os.Args, handoverEnv(pairs)))
}
