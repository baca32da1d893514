//go:build unix

package uapi

import "syscall"

// The numbers of this system's errno.h.
const (
	errnoNoEntry  = int(syscall.ENOENT)
	errnoIO       = int(syscall.EIO)
	errnoNoMemory = int(syscall.ENOMEM)
	errnoExists   = int(syscall.EEXIST)
	errnoInvalid  = int(syscall.EINVAL)
	errnoProtocol = int(syscall.EPROTO)
	errnoTooLarge = int(syscall.EMSGSIZE)
)

func portable(n syscall.Errno) int { return int(n) }
