package uapi

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/purewire/purewire/protocol"
)

// Error is a request that was refused. Server makes one from what it reads, Client from the answer.
type Error struct {
	Errno  int    // as in errno.h, positive
	Line   int    // of the request, from 1; 0 if it is about no line. A Client does not learn it
	Reason string // never holds a value of the request, which may be a key

	endless bool // the connection cannot go on behind it
}

// Error gives number, reason and line, and no value.
func (e *Error) Error() string {
	text := fmt.Sprintf("uapi: errno %d", e.Errno)
	if e.Reason != "" {
		text = fmt.Sprintf("uapi: %s (errno %d)", e.Reason, e.Errno)
	}
	if e.Line > 0 {
		text += fmt.Sprintf(" in line %d", e.Line)
	}
	return text
}

// Is makes errors.Is(err, syscall.EADDRINUSE) work where errno.h and package syscall agree.
func (e *Error) Is(target error) bool {
	n, ok := target.(syscall.Errno)
	return ok && int(n) == e.Errno
}

// coreErrnos says which number a refusal of the core gets; ErrLimit is what Linux answers for a peer too many.
var coreErrnos = []struct {
	err   error
	errno int
}{
	{protocol.ErrInvalid, errnoInvalid},
	{protocol.ErrLimit, errnoNoMemory},
	{protocol.ErrUnknownPeer, errnoNoEntry},
	{protocol.ErrPeerExists, errnoExists},
}

// asError gives err its errno (UAPI-05): EIO if nothing is known about it.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		own := *e
		return &own
	}
	if n, ok := errors.AsType[syscall.Errno](err); ok && n != 0 {
		return &Error{Errno: portable(n), Reason: err.Error()}
	}
	for _, c := range coreErrnos {
		if errors.Is(err, c.err) {
			return &Error{Errno: c.errno, Reason: err.Error()}
		}
	}
	return &Error{Errno: errnoIO, Reason: err.Error()}
}

func invalid(reason string) *Error { return &Error{Errno: errnoInvalid, Reason: reason} }
