package coretarget

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/transports/uapi"
)

// Factory makes subjects. The zero value is ready.
type Factory struct {
	// Prepare, if set, gets each new Device before its first use, after every restart too: to break it on purpose.
	Prepare func(*protocol.Device)
}

// Capabilities of the core: all but what needs a real host around it.
func (Factory) Capabilities() conformance.Capabilities {
	const lacks = conformance.NeedHost | conformance.NeedOuter
	return conformance.Capabilities{
		Name: "core", Version: "in process", Virtual: true, Kind: "exact",
		Has: (conformance.NeedErrors<<1 - 1) &^ lacks,
		Lacks: map[conformance.Need]string{
			conformance.NeedHost:  "there is no host: inner packets are the suite's",
			conformance.NeedOuter: "there are no outer headers: the core gives UDP payloads",
		},
	}
}

// New makes a subject.
func (f Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	s := &subject{f: f, setup: setup, wall: setup.Wall,
		addrs: []netip.Addr{setup.Local4.Addr(), setup.Local6.Addr()}}
	s.pool.reset(setup.HandshakeWorkers)
	if err := s.boot(); err != nil {
		return nil, err
	}
	if err := s.configure(setup.Config); err != nil {
		return nil, fmt.Errorf("coretarget: %w", err)
	}
	return s, nil
}

// uapiDevice is what the configuration socket's server sees of a subject. Its methods are called while the case
// waits for the answer, so that the subject's time stands still.
type uapiDevice struct{ s *subject }

func (u uapiDevice) Configure(changes []protocol.Change, port *uint16, mark *uint32) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	return u.s.apply(changes, port, mark)
}

func (u uapiDevice) View(f func(core uapi.Core, port uint16, mark uint32)) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	f(u.s.dev, u.s.port, u.s.mark)
	return nil
}

// pipes is a listener whose connections are made in process.
type pipes struct {
	conns chan net.Conn
	done  context.Context
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// UAPI opens a connection to a server that is started with the first one.
func (s *subject) UAPI() (net.Conn, error) {
	if s.sockets == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.sockets = &pipes{conns: make(chan net.Conn), done: ctx}
		stopped := make(chan struct{})
		server := &uapi.Server{Device: uapiDevice{s}}
		go func() {
			defer close(stopped)
			// Serve ends with an error only if its listener does, and this one ends with ctx alone.
			_ = server.Serve(ctx, s.sockets)
		}()
		s.closing = append(s.closing, func() { cancel(); <-stopped })
	}
	here, there := net.Pipe()
	s.sockets.conns <- there
	return here, nil
}
