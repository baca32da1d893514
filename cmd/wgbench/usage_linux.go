package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, the unit of the times in /proc/PID/stat on every Linux platform of Go.
const ticksPerSecond = 100

// Usage is what an end and its daemons have used.
type Usage struct {
	CPU     time.Duration // user and system time of the daemons
	Bytes   int64         // that the TCP sink took
	Packets int64         // that the UDP sink took
	At      time.Duration // since the end was started
}

// Usage tells it as of now.
func (e *End) Usage(_ Nothing, u *Usage) error {
	pids, err := daemons()
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("the daemon has died: %s", e.output)
	}
	u.At, u.Bytes, u.Packets = time.Since(e.start), e.bytes.Load(), e.packets.Load()
	for _, pid := range pids {
		fields, err := stat(pid)
		if err != nil {
			return err
		}
		for _, text := range fields[11:13] { // utime and stime, fields 14 and 15 of proc(5)
			ticks, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return err
			}
			u.CPU += time.Duration(ticks) * time.Second / ticksPerSecond
		}
	}
	return nil
}

// Memory tells the resident memory of the daemons in bytes.
func (e *End) Memory(_ Nothing, total *int64) error {
	pids, err := daemons()
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("the daemon has died: %s", e.output)
	}
	for _, pid := range pids {
		// The counters behind VmRSS are kept per core and lag by megabytes; this file walks the page tables.
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "Rss:" {
				kib, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					return err
				}
				*total += kib << 10
			}
		}
	}
	return nil
}

// daemons gives the processes of this process namespace that are not we and not dead. Commands that are run for a
// moment are among them; nobody asks while one runs.
func daemons() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fields, err := stat(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if fields[0] != "Z" && fields[0] != "X" {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// stat gives the fields of /proc/PID/stat from the third one on: the second may hold blanks and parentheses.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// ethtool commands that read one switch (linux/ethtool.h), in the order of offloadNames.
var offloadCommands = []uint32{0x16, 0x1e, 0x23, 0x2b}

// Offloads reads the switches of an interface.
func (e *End) Offloads(name string, on *map[string]bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	*on = map[string]bool{}
	for i, command := range offloadCommands {
		value := struct{ command, data uint32 }{command: command}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte // the kernel's ifreq is longer
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], name)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return fmt.Errorf("asking for offloads of %s: %w", name, errno)
		}
		(*on)[offloadNames[i]] = value.data != 0
	}
	return nil
}
