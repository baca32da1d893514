package model

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// hosts is the number of hosts. Their names are "alice" and "bob".
const hosts = 2

var names = [hosts]string{"alice", "bob"}

// start of the wall clock.
var wall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fixed is what does not differ from state to state.
type fixed struct {
	identity [hosts]protocol.PrivateKeyHolder
	outer    [hosts]netip.AddrPort
	packet   [hosts][]byte // what each sends: the same packet each time, so that contents tell no states apart
	prepare  func(host string, d *protocol.Device)
}

func newFixed(prepare func(string, *protocol.Device)) *fixed {
	f := &fixed{prepare: prepare}
	inner := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }
	for i := range hosts {
		f.identity[i] = protocol.NewIdentity(protocol.PrivateKey{byte(8 + 8*i), 1, 2, 3})
		f.outer[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 51820)
		p := make([]byte, 28)
		p[0], p[3], p[8], p[9] = 0x45, byte(len(p)), 64, 17
		src, dst := inner(i).As4(), inner(1-i).As4()
		copy(p[12:], src[:])
		copy(p[16:], dst[:])
		f.packet[i] = p
	}
	return f
}

// device makes a host as it is after a start: up, with the other as its peer.
func (f *fixed) device(i int, now timers.Time, entropy *entropy) (*protocol.Device, error) {
	d, err := protocol.New(protocol.Config{Identity: f.identity[i], Entropy: entropy, Start: now,
		Wall: wall.Add(now.Sub(0)), MTU: 1280, Limits: protocol.Limits{Jobs: 2},
		Trace: protocol.EventKeySlot.Mask() | protocol.EventInitiationSent.Mask() |
			protocol.EventInitiationAccepted.Mask() | protocol.EventResponseSent.Mask() |
			protocol.EventResponseAccepted.Mask() | protocol.EventKeepaliveReceived.Mask() |
			protocol.EventDrop.Mask() | protocol.EventGaveUp.Mask()})
	if err != nil {
		return nil, err
	}
	if f.prepare != nil {
		f.prepare(names[i], d)
	}
	inner := netip.AddrFrom4([4]byte(f.packet[i][16:20]))
	var b protocol.Batch
	err = d.Configure(now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: f.identity[1-i].PublicKey(),
		Endpoint: &f.outer[1-i], AllowedIPs: []netip.Prefix{netip.PrefixFrom(inner, 32)}}}, &b)
	if err != nil {
		return nil, err
	}
	d.Up(now, &b)
	return d, nil
}

// entropy is all the luck of one move: bytes that follow from its seed, and a jitter of none or all. The jitters of a
// handshake are the last eight bytes of the 44 that it draws at once.
type entropy struct {
	state  uint64
	late   bool
	shakes int // how many handshakes were drawn
}

const shakeDraw = 44

// Read is splitmix64: nothing here must be unpredictable, but no two moves may draw the same index or key.
func (e *entropy) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		e.state += 0x9e3779b97f4a7c15
		z := e.state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], z^z>>31)
		copy(p[i:], b[:])
	}
	if len(p) == shakeDraw {
		e.shakes++
		for i := shakeDraw - 8; i < shakeDraw; i++ {
			p[i] = 0
			if e.late {
				p[i] = 0xff
			}
		}
	}
	return len(p), nil
}

// message is a datagram in flight.
type message struct {
	id    uint64 // copies share it
	from  uint8
	made  timers.Time
	taken bool // a copy was accepted
	bytes []byte
}

func (m *message) kind() byte { return m.bytes[0] }

// field reads the index at an offset: sender at 4, receiver of a response at 8, of a transport message at 4.
func (m *message) field(at int) uint32 { return binary.LittleEndian.Uint32(m.bytes[at:]) }
func (m *message) counter() uint64     { return binary.LittleEndian.Uint64(m.bytes[8:]) }

const (
	initiation    = 1
	response      = 2
	cookieReply   = 3
	transport     = 4
	keepaliveSize = 32
)

// String is how counter-examples name it.
func (m *message) String() string {
	switch m.kind() {
	case initiation:
		return fmt.Sprintf("%s's initiation %08x", names[m.from], m.field(4))
	case response:
		return fmt.Sprintf("%s's response %08x to %08x", names[m.from], m.field(4), m.field(8))
	case cookieReply:
		return names[m.from] + "'s cookie reply"
	}
	what := "packet"
	if len(m.bytes) == keepaliveSize {
		what = "keepalive"
	}
	return fmt.Sprintf("%s's %s %d to %08x", names[m.from], what, m.counter(), m.field(4))
}

// side is a host: the device, what its events said, and what the model says.
type side struct {
	device  *protocol.Device
	actual  [protocol.NumSlots]uint32 // local index by slot, of EventKeySlot
	model   ring
	sentAt  timers.Time // of its latest initiation
	sent    bool        // since its start
	latest  uint32      // its index
	waiting bool        // for an answer to that
	purged  bool        // it gave up what was staged
	again   bool        // it was restarted
}

// state is a node of the graph.
type state struct {
	now    timers.Time
	side   [hosts]side
	flight []message
	left   budget
	serial uint64 // of messages
}

// budget is what a path may still do.
type budget struct{ drops, duplicates, restarts, packets uint8 }

func (s *state) clone(e *entropy) *state {
	c := *s
	c.flight = slices.Clone(s.flight) // bytes are never changed: they are copied when delivered
	for i := range c.side {
		c.side[i].device = s.side[i].device.Clone(e)
	}
	return &c
}

// begin makes the first state: both hosts are up and know each other.
func begin(f *fixed, left budget) (*state, error) {
	s := &state{left: left}
	for i := range hosts {
		d, err := f.device(i, 0, &entropy{state: uint64(i + 1)})
		if err != nil {
			return nil, err
		}
		s.side[i] = side{device: d, model: ring{erase: timers.Never}}
	}
	return s, nil
}

// staged is how many packets wait at a host for a handshake.
func (s *state) staged(i int) int {
	for p := range s.side[i].device.Peers() {
		return p.Staged
	}
	return 0
}

// soon is the next moment at which something is due, or at which a packet would meet other rules than now. ok is
// false if there is none.
func (s *state) soon() (at timers.Time, ok bool) {
	at = timers.Never
	for i := range s.side {
		if due, _, armed := s.side[i].device.Deadline(); armed {
			at = min(at, max(due, s.now))
		}
		at = min(at, s.side[i].model.soon(s.now))
	}
	return at, at < timers.Never
}
