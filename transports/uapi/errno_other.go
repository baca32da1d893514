//go:build !unix

package uapi

import "syscall"

// Windows has no errno.h of its own for this; wg(8) there reads the numbers of Linux.
const (
	errnoNoEntry  = 2
	errnoIO       = 5
	errnoNoMemory = 12
	errnoExists   = 17
	errnoInvalid  = 22
	errnoProtocol = 71
	errnoTooLarge = 90
)

// portable translates the one number that has a meaning to a user. Others of this system mean nothing in errno.h.
func portable(n syscall.Errno) int {
	const wsaAddressInUse = 10048
	if n == wsaAddressInUse || n == syscall.EADDRINUSE {
		return 98
	}
	return errnoIO
}
