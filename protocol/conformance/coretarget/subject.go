package coretarget

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports"
)

// subject is a core with what is around it.
type subject struct {
	f     Factory
	setup conformance.Setup

	mu     sync.Mutex // the configuration socket's server has goroutines of its own
	dev    *protocol.Device
	batch  protocol.Batch
	worker protocol.Worker
	pool   pool
	time   timers.Time
	out    conformance.Output
	life   int

	// What survives a restart.
	identity protocol.Identity
	peers    []*peerConfig
	mtu      int
	port     uint16
	mark     uint32
	up       bool
	wall     time.Time // at time wallAt
	wallAt   timers.Time
	addrs    []netip.Addr

	sockets *pipes
	closing []func()
}

// boot starts a life: a new Device with what was configured.
func (s *subject) boot() error {
	dev, err := protocol.New(protocol.Config{
		Identity: s.identity, Entropy: entropy(s.setup.Seed, s.life), Start: s.time, Wall: s.wallClock(), MTU: s.mtu})
	if err != nil {
		return fmt.Errorf("coretarget: %w", err)
	}
	if s.f.Prepare != nil {
		s.f.Prepare(dev)
	}
	s.dev = dev
	s.life++
	s.pool.reset(s.setup.HandshakeWorkers)
	s.batch.Reset()
	if err := dev.Configure(s.time, s.changes(), &s.batch); err != nil {
		return fmt.Errorf("coretarget: restart: %w", err)
	}
	s.settle()
	if s.up {
		s.handle(func() { dev.Up(s.time, &s.batch) })
	}
	return nil
}

func (s *subject) wallClock() time.Time { return s.wall.Add(s.time.Sub(s.wallAt)) }

// enter begins a call from the suite: the time moves on, and a panic of the core is the subject's death.
func (s *subject) enter(now timers.Time) func() {
	s.mu.Lock()
	func() {
		defer func() { s.bury(recover()) }()
		s.advance(now, false)
	}()
	return func() {
		s.bury(recover())
		s.mu.Unlock()
	}
}

func (s *subject) bury(p any) {
	if p != nil {
		s.out.Died = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
	}
}

// handle calls the core and does what follows.
func (s *subject) handle(f func()) {
	s.batch.Reset()
	f()
	s.settle()
	s.due()
}

// due does what the core has to do by now.
func (s *subject) due() {
	for {
		at, _, ok := s.dev.Deadline()
		if !ok || at > s.time {
			return
		}
		s.batch.Reset()
		s.dev.HandleTimeout(s.time, &s.batch)
		s.settle()
	}
}

// settle does the work of the batch and moves what it brings to the outputs.
func (s *subject) settle() {
	b := &s.batch
	if s.setup.HandshakeTime == 0 {
		protocol.Finish(s.time, s.dev, b, &s.worker)
	} else {
		for s.pool.take(s.time, b, s.setup.HandshakeTime); len(b.Open) > 0; s.pool.take(s.time, b, s.setup.HandshakeTime) {
			opened := slices.Clone(b.Open)
			b.Open = b.Open[:0]
			s.worker.Open(opened)
			s.dev.HandleOpened(s.time, opened, b)
		}
		s.worker.Seal(b.Seal)
	}
	at := conformance.At(s.time)
	for d := range b.Outgoing() {
		s.out.Datagrams = append(s.out.Datagrams, conformance.SentDatagram{At: at, Mark: s.mark, Marked: true,
			Datagram: conformance.Datagram{Local: s.source(d.Endpoint), Remote: d.Endpoint.Remote, TOS: d.TOS,
				Bytes: slices.Clone(d.Bytes())}})
	}
	for _, d := range b.Deliveries {
		s.out.Packets = append(s.out.Packets, conformance.SentPacket{At: at, Bytes: slices.Clone(d.Bytes())})
	}
	for _, r := range b.Rejects {
		if icmp := transports.AppendUnreachable(nil, r.Bytes()); len(icmp) > 0 {
			s.out.Packets = append(s.out.Packets, conformance.SentPacket{At: at, Bytes: icmp})
		}
	}
}

// source is the address from which a datagram leaves: the one that the core prefers if the host has it (ROAM-08).
func (s *subject) source(e protocol.Endpoint) netip.AddrPort {
	if slices.Contains(s.addrs, e.Local) {
		return netip.AddrPortFrom(e.Local, s.port)
	}
	for _, a := range s.addrs {
		if a.Is4() == e.Remote.Addr().Is4() {
			return netip.AddrPortFrom(a, s.port)
		}
	}
	return netip.AddrPort{}
}

// advance lets time pass until now, or, if early, until there is an output.
func (s *subject) advance(now timers.Time, early bool) {
	for s.out.Died == "" && (!early || s.quiet()) {
		at, _, ok := s.dev.Deadline()
		if !ok {
			at = timers.Never
		}
		next := min(at, s.pool.next())
		if next > now {
			s.time = max(s.time, now)
			return
		}
		s.time = max(s.time, next)
		if jobs := s.pool.done(s.time); len(jobs) > 0 {
			s.handle(func() {
				s.worker.Shake(jobs)
				s.dev.HandleShaken(s.time, jobs, &s.batch)
			})
		}
		s.due()
	}
}

func (s *subject) quiet() bool {
	return len(s.out.Datagrams)+len(s.out.Packets)+len(s.out.Others) == 0
}

// Deadline is when the subject may next act by itself, Never if not before something is done to it. It is exact.
func (s *subject) Deadline() timers.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, _, ok := s.dev.Deadline(); ok {
		return min(at, s.pool.next())
	}
	return s.pool.next()
}

// Now is virtual time.
func (s *subject) Now() timers.Time { return s.time }

// Input hands over datagrams for the host's addresses and the port; others go nowhere.
func (s *subject) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	defer s.enter(now)()
	for _, d := range in {
		if !s.up || d.Local.Port() != s.port || !slices.Contains(s.addrs, d.Local.Addr()) {
			continue
		}
		buf := slices.Clone(d.Bytes)
		one := []protocol.Datagram{{Packet: protocol.Packet{Buf: buf, Len: len(buf)}, TOS: d.TOS,
			Endpoint: protocol.Endpoint{Remote: d.Remote, Local: d.Local.Addr()}}}
		s.handle(func() { s.dev.HandleDatagrams(s.time, one, &s.batch) })
	}
	return conformance.At(s.time)
}

// Packets hands over inner packets in one batch.
func (s *subject) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	defer s.enter(now)()
	packets := make([]protocol.Packet, len(in))
	for i, p := range in {
		buf := make([]byte, protocol.Headroom+len(p)+protocol.Tailroom)
		copy(buf[protocol.Headroom:], p)
		packets[i] = protocol.Packet{Buf: buf, Off: protocol.Headroom, Len: len(p)}
	}
	s.handle(func() { s.dev.HandlePackets(s.time, packets, &s.batch) })
	return conformance.At(s.time)
}

// Advance lets time pass until now or until there is an output.
func (s *subject) Advance(now timers.Time) (reached timers.Time) {
	defer func() { reached = s.time }()
	defer s.enter(s.time)()
	s.advance(now, true)
	return s.time
}

// Configure applies a change: all of it or nothing.
func (s *subject) Configure(now timers.Time, c conformance.Change) (err error) {
	defer s.enter(now)()
	return s.configure(c)
}

// Restart begins a new life.
func (s *subject) Restart(now timers.Time, wall time.Time) error {
	defer s.enter(now)()
	if !wall.IsZero() {
		s.wall, s.wallAt = wall, s.time
	}
	return s.boot()
}

// SetWall sets the wall clock.
func (s *subject) SetWall(now timers.Time, wall time.Time) error {
	defer s.enter(now)()
	s.wall, s.wallAt = wall, s.time
	s.dev.SetWallClock(s.time, wall)
	return nil
}

// SetAddresses changes the addresses of the host. What the core remembers of those that go is forgotten (ROAM-09).
func (s *subject) SetAddresses(now timers.Time, add, remove []netip.Prefix) error {
	defer s.enter(now)()
	for _, p := range add {
		s.addrs = append(s.addrs, p.Addr())
	}
	for _, p := range remove {
		i := slices.Index(s.addrs, p.Addr())
		if i < 0 {
			return fmt.Errorf("coretarget: the host has no address %v", p.Addr())
		}
		s.addrs = slices.Delete(s.addrs, i, i+1)
		s.dev.ForgetSources(s.time, p.Addr())
	}
	return nil
}

// State reports what a get of the configuration socket would.
func (s *subject) State() (st conformance.State, err error) {
	defer s.enter(s.time)()
	st.ListenPort, st.Mark = s.port, s.mark
	if s.identity != nil {
		st.PublicKey = conformance.Key(s.identity.PublicKey())
	}
	for p := range s.dev.Peers() {
		st.Peers = append(st.Peers, conformance.PeerState{
			PublicKey: conformance.Key(p.PublicKey), PresharedKey: conformance.Key(p.PresharedKey),
			Endpoint: p.Endpoint.Remote, Received: p.RxBytes, Sent: p.TxBytes, LastHandshake: p.LastHandshake,
			Keepalive: p.PersistentKeepalive, AllowedIPs: slices.Collect(s.dev.AllowedIPs(p.ID))})
	}
	return st, nil
}

// Take gives away the outputs.
func (s *subject) Take(o *conformance.Output) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*o, s.out = s.out, conformance.Output{Died: s.out.Died}
}

// Close ends the configuration socket's server.
func (s *subject) Close() error {
	for _, f := range s.closing {
		f()
	}
	return nil
}

// busyPort is one that another program of the modelled host has (UAPI-13).
const busyPort = 53

// choosePort is what listening on a port gives: 0 chooses one.
func choosePort(want uint16) (uint16, error) {
	switch want {
	case 0:
		return 51999, nil
	case busyPort:
		return 0, fmt.Errorf("port %d: %w", want, syscall.EADDRINUSE)
	}
	return want, nil
}
