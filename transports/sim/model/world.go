package model

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/timers"
)

// hosts is the number of hosts. Their names are "alice" and "bob".
const hosts = 2

var names = [hosts]string{"alice", "bob"}

// start of the wall clock.
var wall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// hash names something by its contents.
type hash [16]byte

func sum(b []byte) hash {
	s := sha256.Sum256(b)
	return hash(s[:16])
}

// world is what does not differ from state to state, and what was found out so far: hosts and messages that are equal
// to the last byte are one, and what a host does with an input is worked out once.
type world struct {
	identity [hosts]*oracle
	outer    [hosts]netip.AddrPort
	packet   [hosts][]byte // what each sends: the same packet each time, so that contents tell no states apart
	prepare  func(host string, d *protocol.Device)

	luck uint64 // other luck gives other ephemeral keys and indices
	// amnesic worlds work everything out each time.
	amnesic bool
	// forget, if set, takes something out of the text that tells hosts apart. It is for tests, which want to see that
	// the pairs are tried out for a reason.
	forget func([]byte) []byte

	hosts    table[*host]
	messages table[*message]
}

func newWorld(prepare func(string, *protocol.Device)) *world {
	w := &world{prepare: prepare}
	inner := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }
	for i := range hosts {
		w.identity[i] = &oracle{Identity: protocol.NewIdentity(protocol.PrivateKey{byte(8 + 8*i), 1, 2, 3})}
		w.outer[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 51820)
		p := make([]byte, 28)
		p[0], p[3], p[8], p[9] = 0x45, byte(len(p)), 64, 17
		src, dst := inner(i).As4(), inner(1-i).As4()
		copy(p[12:], src[:])
		copy(p[16:], dst[:])
		w.packet[i] = p
	}
	return w
}

// afresh is the same world with other luck and no memory.
func (w *world) afresh(luck uint64) *world {
	return &world{identity: w.identity, outer: w.outer, packet: w.packet, prepare: w.prepare, luck: luck, amnesic: true,
		forget: w.forget}
}

// device makes a host's core as it is after a start: up, with the other as its peer.
func (w *world) device(i uint8, now timers.Time, entropy *entropy) (*protocol.Device, error) {
	d, err := protocol.New(protocol.Config{Identity: w.identity[i], Entropy: entropy, Start: now,
		Wall: wall.Add(now.Sub(0)), MTU: 1280, Limits: protocol.Limits{Jobs: 2},
		Trace: protocol.EventKeySlot.Mask() | protocol.EventInitiationSent.Mask() |
			protocol.EventInitiationAccepted.Mask() | protocol.EventResponseSent.Mask() |
			protocol.EventResponseAccepted.Mask() | protocol.EventKeepaliveReceived.Mask()})
	if err != nil {
		return nil, err
	}
	if w.prepare != nil {
		w.prepare(names[i], d)
	}
	inner := netip.AddrFrom4([4]byte(w.packet[i][16:20]))
	var b protocol.Batch
	err = d.Configure(now, []protocol.Change{{Op: protocol.OpAddPeer, Peer: w.identity[1-i].PublicKey(),
		Endpoint: &w.outer[1-i], AllowedIPs: []netip.Prefix{netip.PrefixFrom(inner, 32)}}}, &b)
	if err != nil {
		return nil, err
	}
	d.Up(now, &b)
	return d, nil
}

// oracle is an identity that remembers: the pool of ephemeral keys is small, and a point comes again and again.
type oracle struct {
	protocol.Identity
	mu    sync.Mutex
	known map[[protocol.KeySize]byte][protocol.KeySize]byte
}

func (o *oracle) DH(point [protocol.KeySize]byte) (secret [protocol.KeySize]byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if secret, ok := o.known[point]; ok {
		return secret, nil
	}
	if secret, err = o.Identity.DH(point); err == nil {
		if o.known == nil {
			o.known = map[[protocol.KeySize]byte][protocol.KeySize]byte{}
		}
		o.known[point] = secret
	}
	return secret, err
}

// entropy is a host's luck. The n-th handshake that a host draws on a path has the n-th ephemeral key and index of its
// pool, whatever came before, so that paths that differ in other things have the same bytes on the wire. A jitter is
// none or all of it: the jitters of a handshake are the last eight bytes of the 44 that it draws at once.
type entropy struct {
	luck  uint64
	host  uint8
	late  bool
	draws uint32 // handshakes drawn so far, over restarts, so that no index comes again
	state uint64
}

const shakeDraw = 44

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Read is splitmix64: nothing here must be unpredictable, but no two draws of a path may give the same index or key.
func (e *entropy) Read(p []byte) (int, error) {
	shake := len(p) == shakeDraw
	if shake {
		e.draws++
	}
	if shake || e.state == 0 {
		e.state = mix(mix(e.luck+1) ^ uint64(e.host+1)<<32 ^ uint64(e.draws))
	}
	for i := 0; i < len(p); i += 8 {
		e.state += 0x9e3779b97f4a7c15
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], mix(e.state))
		copy(p[i:], b[:])
	}
	if shake {
		for i := shakeDraw - 8; i < shakeDraw; i++ {
			p[i] = 0
			if e.late {
				p[i] = 0xff
			}
		}
	}
	return len(p), nil
}

// table keeps one of all that are equal. It is used from several goroutines: which of two equal ones stays is luck,
// and makes no difference, since they are equal.
type table[T any] struct {
	part [64]struct {
		mu    sync.Mutex
		known map[hash]T
	}
}

// one gives what is known under h, which is v if nothing was.
func (t *table[T]) one(h hash, v T) T {
	p := &t.part[h[0]%64]
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.known[h]; ok {
		return old
	}
	if p.known == nil {
		p.known = map[hash]T{}
	}
	p.known[h] = v
	return v
}

func (t *table[T]) get(h hash) (v T, ok bool) {
	p := &t.part[h[0]%64]
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok = p.known[h]
	return v, ok
}
