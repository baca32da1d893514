package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"github.com/purewire/purewire/transports/tun"
	"github.com/purewire/purewire/transports/uapi"
	"github.com/purewire/purewire/transports/udp"
)

// defaultMTU is what is left of 1500 bytes by an IPv6 header, a UDP header and our own 32; wireguard-go's too.
const defaultMTU = 1420

// trimAfter is when a started process gives back what starting up took: wg(8) or wg-quick(8) are through by then.
const trimAfter = 2 * time.Second

// server is one interface while it is served.
type server struct {
	options options
	log     *slog.Logger
	tunnel  *tun.Device
	socket  net.Listener
	node    *transports.Node
	hands   handshakes
	record  *recording // nil: none
	metrics *metricsServer
	host    *hostSetup // nil: others set the interface up
	notify  notifier
}

// serve makes the interface and serves it until it is told to end (SIGTERM, SIGINT) or its TUN device or its socket
// disappears (LIFE-11): nil. ready is called once it can be used; its error means that nobody wants that any more.
func (p *program) serve(o options, env environment, h *handover, ready func() error) (err error) {
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &server{options: o, notify: newNotifier(p.getenv("NOTIFY_SOCKET"))}
	if s.tunnel, err = openTunnel(o.name, h.tunnel); err != nil {
		return err
	}
	name := s.tunnel.Name()
	if s.log, err = newLogger(p.stderr, o.logFormat, env, name); err != nil {
		s.tunnel.Close()
		return err
	}
	if s.socket, err = openSocket(name, h.socket); err != nil {
		s.tunnel.Close()
		return err
	}
	if err = s.makeNode(h.record); err != nil {
		s.tunnel.Close()
		s.socket.Close()
		return err
	}
	ctx, fail := context.WithCancelCause(told)
	defer fail(nil)
	ended := s.begin(ctx, fail)
	if err = s.equip(ctx, h); err == nil {
		err = ready()
	}
	switch {
	case err == nil:
		s.tell(s.notify.ready("serving " + name))
		s.log.Info("ready", "version", version())
		defer time.AfterFunc(trimAfter, trim).Stop()
		<-ctx.Done()
		s.tell(s.notify.stopping())
	case told.Err() != nil:
		err = nil // we were to end, and that made the rest fail
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	s.end(fail)
	<-ended
	return errors.Join(err, s.record.close())
}

// openTunnel makes the interface, or takes over the one that was given.
func openTunnel(name string, given *os.File) (*tun.Device, error) {
	if given != nil {
		fd, err := duplicate(given)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", envTunnel, err)
		}
		d, err := tun.OpenFD(fd, defaultMTU, tun.Options{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", envTunnel, err)
		}
		return d, nil
	}
	d, err := tun.Open(name, defaultMTU, tun.Options{})
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, syscall.EBUSY):
		return nil, fmt.Errorf("%s exists and another process serves it: %w", name, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("making the interface %s needs root or CAP_NET_ADMIN: %w", name, err)
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("this system has no TUN devices, or they are not allowed here: %w", err)
	}
	return nil, fmt.Errorf("cannot make the interface %s: %w", name, err)
}

// openSocket makes the configuration socket, or takes over the one that was given.
func openSocket(name string, given *os.File) (net.Listener, error) {
	if given != nil {
		return socketOf(name, given)
	}
	l, err := uapi.Listen(name)
	if errors.Is(err, uapi.ErrInUse) {
		return nil, fmt.Errorf("%s is served by another process already: %w", name, err)
	}
	return l, err
}

// makeNode puts the core between its ends.
func (s *server) makeNode(record *os.File) error {
	clock := transports.SystemClock()
	var trace protocol.EventMask
	observers := []func([]protocol.Event){}
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		trace |= protocol.TraceAll
		observers = append(observers, transports.LogEvents(s.log))
	}
	if s.options.metrics != "" {
		trace |= protocol.EventHandshakeComplete.Mask()
		observers = append(observers, s.hands.count)
	}
	core, recorded, err := newCore(protocol.Config{
		Entropy: rand.Reader, Start: clock.Now(), Wall: clock.Wall(), MTU: defaultMTU, Trace: trace,
	}, record)
	if err != nil {
		return err
	}
	s.record = recorded
	s.node, err = transports.New(transports.Options{
		Core: core, Tunnel: s.tunnel, Link: udp.New(udp.Options{}), Clock: clock, Logger: s.log,
		OnEvents: func(events []protocol.Event) {
			for _, show := range observers {
				show(events)
			}
		},
	})
	return err
}

// begin starts the node and its socket; ended is closed when both are down. Whichever ends first ends all.
func (s *server) begin(ctx context.Context, fail context.CancelCauseFunc) (ended <-chan struct{}) {
	both := make(chan struct{}, 2)
	run := func(what string, f func(context.Context) error) {
		err := f(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Info("ending", "because", what, "error", err)
			fail(fmt.Errorf("%s: %w", what, err))
		}
		both <- struct{}{}
	}
	go run("the TUN device is gone", s.node.Run)
	sets := uapi.Server{Device: newDevice(s.node), Logger: s.log}
	go run("the configuration socket is gone", func(ctx context.Context) error { return sets.Serve(ctx, s.socket) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-both
		<-both
	}()
	return done
}

// equip adds what the options ask for besides.
func (s *server) equip(ctx context.Context, h *handover) (err error) {
	if h.config != nil {
		if err := s.configure(ctx, h.config); err != nil {
			return err
		}
	}
	if s.options.metrics != "" {
		s.metrics, err = serveMetrics(s.options.metrics, newCollector(s.tunnel.Name(), s.node, &s.hands), s.log)
	}
	return err
}

// configure sets core and host up from a file.
func (s *server) configure(ctx context.Context, f *os.File) error {
	c, err := loadConfig(s.options.config, f)
	if err != nil {
		return err
	}
	changes, err := c.changes(ctx, net.DefaultResolver)
	if err != nil {
		return err
	}
	s.host = newHostSetup(s.tunnel.Name())
	mark, err := s.host.mark(c)
	if err != nil {
		return err
	}
	port := c.ListenPort
	if err := s.node.Configure(transports.Settings{Port: &port, Mark: &mark, Changes: changes}); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	if err := s.host.apply(c, mark, endpoints(changes)); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	// The interface is up, and so the node comes up by itself. Whether it could, for want of its port, is known here.
	if err := s.node.Up(); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return nil
}

// end undoes what was set up, in the reverse order, and lets node and socket end.
func (s *server) end(stop context.CancelCauseFunc) {
	if s.metrics != nil {
		s.metrics.close()
	}
	if s.host != nil {
		if err := s.host.undo(); err != nil {
			s.log.Error("cannot undo the set-up", "error", err)
		}
	}
	stop(nil)
}

// tell logs that nobody could be told.
func (s *server) tell(err error) {
	if err != nil {
		s.log.Error("cannot notify the service manager", "error", err)
	}
}
