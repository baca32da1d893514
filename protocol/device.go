package protocol

import (
	"cmp"
	"encoding/binary"
	"io"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/internal/cookie"
	"github.com/purewire/purewire/protocol/internal/defect"
	"github.com/purewire/purewire/protocol/internal/staging"
	"github.com/purewire/purewire/routing"
	"github.com/purewire/purewire/timers"
)

// Device is one WireGuard interface: a state machine without I/O, clock or randomness of its own. See the
// package documentation for how to drive it. It belongs to one goroutine at a time.
type Device struct {
	limits  Limits
	trace   EventMask
	entropy io.Reader
	bad     string // the name of a defect, for tests; see package defect

	now    timers.Time // the latest time that was given
	origin timers.Time // when wall was read
	wall   time.Time
	up     bool
	mtu    int

	identity   Identity
	public     PublicKey
	generation uint32 // of identity and up/down; jobs of an older one are dropped

	peers  []peerEntry // by ID, ascending; removed ones leave a hole until compact
	holes  int
	lastID PeerID
	byKey  map[PublicKey]*peer
	byIdx  map[uint32]indexEntry
	recent *keypair // the key pair found last for a transport message; in byIdx
	routes *routing.Table[*peer]
	queue  timers.Queue
	staged staging.Budget

	slots   []jobSlot
	free    []*jobSlot
	lastJob uint64
	waiting []*peer // own initiations for which no slot was free, oldest first

	hasher    *cookie.Hasher
	checker   cookie.Checker
	load      cookie.Load
	wasLoaded bool
	cookies   cookie.Budget
	seed      [32]byte       // places sources in their tables (SEC-07)
	sources   cookie.Sources // handshakes with a valid mac2
	answered  cookie.Sources // cookie replies

	drops [NumDropReasons]uint64
	draw  [drawSize]byte // scratch for entropy
}

type peerEntry struct {
	id   PeerID
	peer *peer // nil: removed
}

// indexEntry is what one of our 32-bit indices stands for: a key pair, or, without one, a handshake of the
// peer that is under way (KEY-01).
type indexEntry struct {
	peer    *peer
	keypair *keypair
}

// New makes a device that is down and has no peers. It reads 32 bytes of entropy. Errors: ErrNoEntropy if
// there is no source or it fails, ErrInvalid for a negative MTU.
func New(c Config) (*Device, error) {
	if c.Entropy == nil {
		return nil, ErrNoEntropy
	}
	if c.MTU < 0 {
		return nil, invalid("MTU", c.MTU)
	}
	d := &Device{
		limits: c.Limits.withDefaults(), trace: c.Trace, entropy: c.Entropy,
		now: c.Start, origin: c.Start, wall: cmp.Or(c.Wall, time.Unix(0, 0)), mtu: c.MTU,
		byKey: map[PublicKey]*peer{}, byIdx: map[uint32]indexEntry{}, routes: &routing.Table[*peer]{},
		hasher: cookie.NewHasher(),
	}
	if _, err := io.ReadFull(d.entropy, d.seed[:]); err != nil {
		return nil, ErrNoEntropy
	}
	d.staged.Limit = d.limits.StagedBytes
	d.load = cookie.NewLoad(d.limits.Jobs, d.limits.HandshakesPerSecond)
	d.cookies = cookie.NewBudget(d.limits.CookiesPerSecond, d.limits.CookiesPerSecond)
	d.sources = cookie.NewSources(sourcePerSecond, sourceBurst)
	d.answered = cookie.NewSources(d.limits.CookiesPerSource, d.limits.CookiesPerSource)
	d.makeSlots()
	d.setIdentity(c.Identity)
	return d, nil
}

// makeSlots allocates the pool of handshake jobs, once: no datagram ever makes it grow (DOS-06). The first slot is
// the first to be taken, so that runs can be compared.
func (d *Device) makeSlots() {
	d.slots = make([]jobSlot, max(0, d.limits.Jobs))
	d.free = make([]*jobSlot, len(d.slots))
	for i := range d.slots {
		d.free[len(d.free)-1-i] = &d.slots[i]
	}
}

// tick takes the time of a call. Time never goes backwards (design §3 rule 5).
func (d *Device) tick(now timers.Time, out *Batch) {
	if now < d.now {
		d.emit(out, Event{Kind: EventClock, Deadline: now})
		return
	}
	d.now = now
}

// wallClock is the wall clock now, which only the TAI64N timestamp and the last handshake's time see (LIFE-07).
func (d *Device) wallClock() time.Time { return d.wall.Add(d.now.Sub(d.origin)) }

// SetWallClock tells the device that at now the wall clock reads wall: after a jump, or now and then.
func (d *Device) SetWallClock(now timers.Time, wall time.Time) {
	d.now = max(d.now, now)
	d.origin, d.wall = d.now, wall
}

// read fills p with entropy, in full or not at all (design §3 rule 8).
func (d *Device) read(p []byte) bool {
	_, err := io.ReadFull(d.entropy, p)
	return err == nil
}

// What one handshake draws: the ephemeral key, the index and the jitters of T1 and T3.
const drawSize = 32 + 4 + 4 + 4

type drawn struct {
	seed                 [32]byte
	index                uint32
	retransmit, newShake time.Duration
}

// drawHandshake draws all that a handshake needs. The index is uniform among those not in use (KEY-01..03);
// jitter is uniform over 0 to 333 ms in nanoseconds (TIMER-02).
func (d *Device) drawHandshake() (h drawn, ok bool) {
	defer clear(d.draw[:]) // SEC-03: the ephemeral key was in it
	if !d.read(d.draw[:]) {
		return h, false
	}
	h.seed = [32]byte(d.draw[:])
	h.index = binary.LittleEndian.Uint32(d.draw[32:])
	h.retransmit, h.newShake = jitter(d.draw[36:]), jitter(d.draw[40:])
	switch d.bad {
	case "no-jitter":
		h.retransmit, h.newShake = 0, 0
	case "reuse-ephemeral":
		h.seed = d.seed
	case "predictable-index":
		h.index = uint32(len(d.byIdx))
	}
	for n := 0; n < 8 && d.indexTaken(h.index); n++ { // so often in a row is no chance, but a broken source
		if !d.read(d.draw[:4]) {
			return h, false
		}
		h.index = binary.LittleEndian.Uint32(d.draw[:])
	}
	return h, !d.indexTaken(h.index)
}

// indexTaken looks over pending handshakes and live key pairs of all peers (KEY-01).
func (d *Device) indexTaken(i uint32) bool {
	_, taken := d.byIdx[i]
	return taken
}

// jitter maps 32 random bits to 0…333 ms by multiplication, which favours no value by more than 2^-3.
func jitter(b []byte) time.Duration {
	return time.Duration(uint64(binary.LittleEndian.Uint32(b)) * uint64(timers.MaxJitter) >> 32)
}

// Deadline gives the moment at which HandleTimeout is due and why; ok is false if nothing is. The answer may
// change with every other call. Later than that moment is late, earlier is a no-op.
func (d *Device) Deadline() (at timers.Time, why timers.Kind, ok bool) {
	_, why, at, ok = d.queue.Next()
	return at, why, ok
}

// MTU gives the inner MTU in bytes.
func (d *Device) MTU() int { return d.mtu }

// IsUp reports whether the device is up.
func (d *Device) IsUp() bool { return d.up }

// Identity gives what was configured; nil if there is none.
func (d *Device) Identity() Identity { return d.identity }

// Drops counts what was dropped, by reason, since New.
func (d *Device) Drops() [NumDropReasons]uint64 { return d.drops }

// UnderLoad reports whether handshakes without a valid mac2 are answered with cookies at now (DOS-01).
func (d *Device) UnderLoad(now timers.Time) bool {
	load := d.load // a question must change no answer
	return d.judgeLoad(&load, max(d.now, now))
}

func (d *Device) judgeLoad(load *cookie.Load, now timers.Time) bool {
	if d.bad == "load-forever" && d.wasLoaded {
		return true
	}
	return d.bad != "never-under-load" && load.UnderLoad(now, len(d.slots)-len(d.free))
}

// Peer finds a peer by its public key.
func (d *Device) Peer(k PublicKey) (PeerID, bool) {
	p, ok := d.byKey[k]
	if !ok {
		return 0, false
	}
	return p.id, true
}

// peer finds a peer by ID, in O(log n): only timers and the control plane need it, packets carry the pointer.
func (d *Device) peer(id PeerID) *peer {
	i, ok := slices.BinarySearchFunc(d.peers, id, byID)
	if !ok {
		return nil
	}
	return d.peers[i].peer
}

func byID(e peerEntry, id PeerID) int { return cmp.Compare(e.id, id) }

// all yields the peers in the order of their IDs. Peers may be removed meanwhile.
func (d *Device) all() iter.Seq[*peer] {
	return func(yield func(*peer) bool) {
		for _, e := range d.peers {
			if e.peer != nil && !yield(e.peer) {
				return
			}
		}
	}
}

// Stats gives a snapshot of one peer as of the last call that had a time.
func (d *Device) Stats(id PeerID) (PeerStats, bool) {
	p := d.peer(id)
	if p == nil {
		return PeerStats{}, false
	}
	return d.stats(p), true
}

// Peers yields a snapshot of every peer, by ascending ID. The device must not be changed meanwhile.
func (d *Device) Peers() iter.Seq[PeerStats] { return d.PeersAfter(0) }

// PeersAfter is Peers without the peers up to an ID: for those who look at a few at a time, with changes in between.
func (d *Device) PeersAfter(id PeerID) iter.Seq[PeerStats] {
	return func(yield func(PeerStats) bool) {
		first, _ := slices.BinarySearchFunc(d.peers, id+1, byID)
		for _, e := range d.peers[first:] {
			if e.peer != nil && !yield(d.stats(e.peer)) {
				return
			}
		}
	}
}

// stats leaves LastHandshake zero until a handshake completed (STAT-07); it stays when the session expires
// (STAT-08).
func (d *Device) stats(p *peer) PeerStats {
	s := PeerStats{
		ID: p.id, PublicKey: p.public, PresharedKey: p.psk, Endpoint: p.endpoint,
		PersistentKeepalive: p.timers.PersistentKeepalive(), RxBytes: p.rx, TxBytes: p.tx,
		Staged: p.staged.Len(), Session: p.current().maySend(d.now, d.bad),
	}
	if p.shaken {
		s.LastHandshake = time.Unix(0, p.lastHandshake).UTC()
	}
	return s
}

// AllowedIPs yields a peer's prefixes: IPv4 before IPv6, by address, shorter ones first.
func (d *Device) AllowedIPs(id PeerID) iter.Seq[netip.Prefix] {
	p := d.peer(id)
	if p == nil {
		p = &peer{}
	}
	return p.allowed.All()
}

// init hands package defect the two doors that tests use. They cannot be methods: an exported one would be open to
// everybody.
func init() {
	defect.Install = func(device any, name string) { device.(*Device).bad = name }
	defect.SetSendCounter = func(device any, id uint32, counter uint64) bool {
		p := device.(*Device).peer(PeerID(id))
		if p == nil || p.current() == nil {
			return false
		}
		p.current().counter = counter
		return true
	}
}
