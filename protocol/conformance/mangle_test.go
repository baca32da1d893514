package conformance_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// A bad is a subject that is wrong in one respect, by name.
type bad struct {
	name   string
	defect string // a known-bad core
	mangle        // or a wrapper around a good one
	mark   *byte  // tells wrappers of one name apart
}

// core is a known-bad core of protocoltest.Defects.
func core(defect string) bad { return bad{name: defect, defect: defect} }

// wrap is a good core with something wrong around it. The name is no other's: who wants the same wrapper in two places
// keeps it in a variable.
func wrap(name string, m mangle) bad { return bad{name: name, mangle: m, mark: new(byte)} }

// withOuter is for wrappers about outer headers, which the core does not have: it gives every datagram an IP packet
// before the wrapper sees it, and says so in the capabilities.
func withOuter(m mangle) mangle {
	out := m.out
	m.has |= conformance.NeedOuter
	m.out = func(s *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		d.IP = conformance.SetTOS(conformance.UDP(d.Local, d.Remote, d.Bytes), d.TOS)
		if out == nil {
			return kept(d)
		}
		return out(s, d)
	}
	return m
}

// mangle says what a wrapper changes. What is nil stays as it is. The functions of one subject may keep their memory
// in mangled.memory.
type mangle struct {
	setup     func(*conformance.Setup)
	change    func(*mangled, *conformance.Change) // of every Configure
	in        func(*mangled, conformance.Datagram) []conformance.Datagram
	out       func(*mangled, conformance.SentDatagram) []conformance.SentDatagram // one At a later time leaves then
	packetIn  func(*mangled, []byte) [][]byte
	packetOut func(*mangled, conformance.SentPacket) []conformance.SentPacket
	state     func(*mangled, *conformance.State)
	uapi      func(net.Conn) net.Conn
	wall      func(time.Time) time.Time
	restart   func(*mangled) error // instead of a restart
	socket    fs.FileMode          // of the configuration socket; 0: it has none
	has       conformance.Need     // what the wrapper has that the core lacks
}

type badFactory struct {
	b bad
}

func (f badFactory) Capabilities() conformance.Capabilities {
	c := coretarget.Factory{}.Capabilities()
	c.Has |= f.b.has
	return c
}

func (f badFactory) New(s conformance.Setup) (conformance.Subject, error) {
	var cf coretarget.Factory
	if f.b.defect != "" {
		cf.Prepare = func(d *protocol.Device) {
			if err := protocoltest.WithDefect(d, f.b.defect); err != nil {
				panic(err)
			}
		}
	}
	if f.b.setup != nil {
		f.b.setup(&s)
	}
	inner, err := cf.New(s)
	if err != nil || f.b.defect != "" {
		return inner, err
	}
	return &mangled{Subject: inner, mangle: f.b.mangle, setup: s, memory: map[string]int{}}, nil
}

// mangled is a subject with a wrapper around it.
type mangled struct {
	conformance.Subject
	mangle
	setup  conformance.Setup
	memory map[string]int
	texts  map[string][]byte // likewise, by store
	ready  conformance.Output
	held   []conformance.SentDatagram // to leave at their time
	known  *conformance.Datagram      // the latest that came, for wrappers that want it
}

func (m *mangled) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	if m.in != nil {
		var all []conformance.Datagram
		for _, d := range in {
			all = append(all, m.in(m, d)...)
		}
		in = all
	}
	at := m.Subject.Input(now, in)
	m.drain()
	return at
}

func (m *mangled) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	if m.packetIn != nil {
		var all [][]byte
		for _, p := range in {
			all = append(all, m.packetIn(m, p)...)
		}
		in = all
	}
	at := m.Subject.Packets(now, in)
	m.drain()
	return at
}

func (m *mangled) Configure(now timers.Time, c conformance.Change) error {
	if m.change != nil {
		m.change(m, &c)
	}
	defer m.drain()
	return m.Subject.Configure(now, c)
}

func (m *mangled) Restart(now timers.Time, wall time.Time) error {
	defer m.drain()
	if m.restart != nil {
		return m.restart(m)
	}
	return m.Subject.Restart(now, wall)
}

func (m *mangled) SetWall(now timers.Time, wall time.Time) error {
	if m.wall != nil {
		wall = m.wall(wall)
	}
	return m.Subject.SetWall(now, wall)
}

func (m *mangled) SetAddresses(now timers.Time, add, remove []netip.Prefix) error {
	return m.Subject.(conformance.HostSubject).SetAddresses(now, add, remove)
}

func (m *mangled) SocketMode() (fs.FileMode, error) {
	if m.socket == 0 {
		return 0, errors.ErrUnsupported
	}
	return m.socket, nil
}

func (m *mangled) State() (conformance.State, error) {
	s, err := m.Subject.State()
	if m.state != nil {
		m.state(m, &s)
	}
	return s, err
}

func (m *mangled) UAPI() (net.Conn, error) {
	c, err := m.Subject.(conformance.UAPISubject).UAPI()
	if err == nil && m.uapi != nil {
		c = m.uapi(c)
	}
	return c, err
}

// Advance also stops where something that is held leaves.
func (m *mangled) Advance(now timers.Time) timers.Time {
	for {
		m.drain()
		if len(m.ready.Datagrams)+len(m.ready.Packets) > 0 || m.Now() >= now {
			return m.Now()
		}
		until := now
		for _, d := range m.held {
			until = min(until, d.At.Earliest)
		}
		m.Subject.Advance(until)
	}
}

// emit puts out a datagram that the subject did not make, or that is to leave later.
func (m *mangled) emit(d conformance.SentDatagram) {
	if d.At.Earliest > m.Now() {
		m.held = append(m.held, d)
		return
	}
	m.ready.Datagrams = append(m.ready.Datagrams, d)
}

func (m *mangled) drain() {
	var o conformance.Output
	m.Subject.Take(&o)
	for _, d := range o.Datagrams {
		if m.out == nil {
			m.emit(d)
			continue
		}
		for _, d := range m.out(m, d) {
			m.emit(d)
		}
	}
	for _, p := range o.Packets {
		if m.packetOut == nil {
			m.ready.Packets = append(m.ready.Packets, p)
			continue
		}
		m.ready.Packets = append(m.ready.Packets, m.packetOut(m, p)...)
	}
	held := m.held
	m.held = nil
	for _, d := range held {
		m.emit(d)
	}
	if o.Died != "" {
		m.ready.Died = o.Died
	}
}

func (m *mangled) Take(o *conformance.Output) {
	m.drain()
	*o, m.ready = m.ready, conformance.Output{Died: m.ready.Died}
}

// kept and delayed are what an out function may return; nil drops the datagram.
func kept(d conformance.SentDatagram) []conformance.SentDatagram {
	return []conformance.SentDatagram{d}
}

func delayed(d conformance.SentDatagram, by time.Duration) []conformance.SentDatagram {
	d.At = conformance.At(d.At.Earliest.Add(by))
	return []conformance.SentDatagram{d}
}

// editing is an out function that changes the bytes of one type of message (0: of all).
func editing(kind byte, edit func(m *mangled, d *conformance.SentDatagram)) func(*mangled,
	conformance.SentDatagram) []conformance.SentDatagram {
	return func(m *mangled, d conformance.SentDatagram) []conformance.SentDatagram {
		if kind == 0 || len(d.Bytes) > 0 && d.Bytes[0] == kind {
			edit(m, &d)
		}
		return kept(d)
	}
}

// replacing is a connection on which the first old in what the server says becomes new, each time it is read.
type replacing struct {
	net.Conn
	replace func(string) string
}

func (r replacing) Read(b []byte) (int, error) {
	buf := make([]byte, len(b)/2)
	n, err := r.Conn.Read(buf)
	return copy(b, r.replace(string(buf[:n]))), err
}

// answering is a uapi wrapper that changes what the server says. The change must not make it longer than twice.
func answering(replace func(string) string) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn { return replacing{c, replace} }
}
