package conformance

import (
	"io/fs"
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// RealTimeSubject is a Subject whose time is the machine's, so that the machine may be too slow to judge it.
type RealTimeSubject interface {
	Subject
	// Stalled is the longest time between from and until for which the machine did not let the suite run at all.
	Stalled(from, until timers.Time) time.Duration
	// Wake makes the Advance that waits return, or else the next one. Any goroutine may call it.
	Wake()
}

// SocketSubject is a Subject whose configuration socket is a file, with a mode (SEC-06).
type SocketSubject interface {
	Subject
	SocketMode() (fs.FileMode, error)
}

// HostSubject is a Subject whose host can change its outer addresses (TIMER-24, ROAM-09).
type HostSubject interface {
	Subject
	// SetAddresses gives the host the outer addresses add, each with the tester's network beside it, and takes
	// remove away.
	SetAddresses(now timers.Time, add, remove []netip.Prefix) error
}

// TesterSubject is a Subject whose tester is an ordinary host with a UDP socket for every address: it cannot choose
// them.
type TesterSubject interface {
	Subject
	// Open opens a socket and tells its address as the subject sees it if nothing on the way changes it. It lasts as
	// long as the subject.
	Open(v6 bool) (netip.AddrPort, error)
}
