package realtime

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// Interface is the name of the interface under test, the same for every subject: each has a network namespace of its
// own.
const Interface = "wgc0"

// Patience bounds everything that happens sooner or later, however loaded this computer is.
const Patience = 20 * time.Second

// A Driver runs one instance of an implementation for a Subject. Its methods are called by one goroutine at a time.
type Driver interface {
	// Boot makes the network namespace that the instance is to live in, without the implementation, and gives a file
	// descriptor of it, which stays the driver's. Of any goroutine, wake is to be called when Death has an answer.
	Boot(wake func()) (network int, err error)
	// Start starts the implementation, which knows nothing yet. Its interface may appear later.
	Start() error
	// Stop ends it without a word. Its interface may go later.
	Stop() error
	// Set brings about what of a change concerns the protocol: all but MTU and Up.
	Set(c *conformance.Change) error
	// State is what it says of itself. An error before it has started for good is no harm.
	State() (conformance.State, error)
	// Settle waits until it has taken note of its interface having gone up or down; port is where it should then have
	// a socket, or 0.
	Settle(port uint16)
	// Busy reports whether a thread of it has something to do.
	Busy() bool
	// Waited is how long its threads have waited for a core so far, all together.
	Waited() time.Duration
	// Death is why it is gone, with its last words; empty: it runs.
	Death() string
	// Close ends it, and the namespace with it.
	Close() error
}

// Check says what this machine lacks to test anything in real time.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes network namespaces")
	}
	if strconv.IntSize != 64 {
		return errors.New("needs a 64-bit machine: time stamps have another form elsewhere")
	}
	return nil
}

// Capabilities are what every subject of this package can do and cannot.
func Capabilities() conformance.Capabilities {
	c := conformance.Capabilities{
		Has: conformance.NeedInner | conformance.NeedConfigure | conformance.NeedInterface | conformance.NeedRestart |
			conformance.NeedState | conformance.NeedLoad | conformance.NeedTOS | conformance.NeedOuter |
			conformance.NeedIPv6 | conformance.NeedHost | conformance.NeedSources |
			conformance.NeedErrors,
		Lacks: map[conformance.Need]string{
			conformance.NeedWall: "the wall clock is the machine's, which others use too",
		},
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		c.Has &^= conformance.NeedIPv6
		c.Lacks[conformance.NeedIPv6] = "the kernel of this machine has no IPv6"
	}
	return c
}
