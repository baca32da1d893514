package program

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/cmd/wgconform/internal/uapitext"
	"github.com/purewire/purewire/protocol/conformance"
)

// Subject is a running program. It implements conformance.UAPISubject, RealTimeSubject and HostSubject.
type Subject struct {
	*realtime.Subject
	driver *driver
}

var (
	_ conformance.UAPISubject     = (*Subject)(nil)
	_ conformance.RealTimeSubject = (*Subject)(nil)
	_ conformance.HostSubject     = (*Subject)(nil)
)

// newSubject makes a machine, starts the program there and configures it.
func newSubject(words []string, h *realtime.Heart, setup conformance.Setup) (*Subject, error) {
	d := &driver{words: words}
	s, err := realtime.New(d, h, setup)
	if errors.Is(err, realtime.ErrNotReady) {
		return nil, fmt.Errorf("%s: %w: %s", words[0], err, d.said)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words[0], err)
	}
	return &Subject{s, d}, nil
}

// UAPI implements conformance.UAPISubject.
func (s *Subject) UAPI() (net.Conn, error) {
	s.Asking()
	return s.driver.dial()
}

// driver runs a program in a machine, which does most of what a driver has to.
type driver struct {
	words    []string
	*machine // nil until Boot
}

var _ realtime.Driver = (*driver)(nil)

// Boot implements realtime.Driver.
func (d *driver) Boot(wake func()) (network int, err error) {
	m, err := boot(wake)
	if err != nil {
		return -1, err
	}
	d.machine = m
	return m.network, nil
}

// Start implements realtime.Driver.
func (d *driver) Start() error {
	// What was killed could not clean up. A socket that nobody listens on is no state of a protocol.
	if err := os.Remove(d.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return d.start(d.words)
}

// Set implements realtime.Driver.
func (d *driver) Set(c *conformance.Change) error {
	_, err := d.ask(uapitext.Set(c))
	return err
}

// State implements realtime.Driver.
func (d *driver) State() (conformance.State, error) {
	lines, err := d.ask("get=1\n\n")
	if err != nil {
		return conformance.State{}, err
	}
	return uapitext.State(lines)
}

// ask makes a request. A program that does not answer any more is as good as dead, and worse for those who wait for
// it: in boringtun a thread that panics keeps the lock of everything.
func (d *driver) ask(request string) ([]string, error) {
	conn, err := d.dial()
	if err != nil {
		return nil, err
	}
	lines, err := converse(conn, request)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		d.died(fmt.Sprintf("it runs, but gave no answer on its configuration socket within %v", uapiPatience))
	}
	return lines, err
}

func (d *driver) dial() (net.Conn, error) {
	// A socket with a path belongs to the mount namespace, not the network namespace.
	dialer := net.Dialer{Timeout: uapiPatience}
	return dialer.DialContext(context.Background(), "unix", d.socket())
}

func (d *driver) socket() string { return filepath.Join(d.folder, realtime.Interface+".sock") }
