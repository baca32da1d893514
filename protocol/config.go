package protocol

import (
	"cmp"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// Errors of the control plane; test with errors.Is. Input from the network never yields an error.
var (
	ErrNoEntropy   = errors.New("purewire: no entropy source")
	ErrUnknownPeer = errors.New("purewire: unknown peer")
	ErrPeerExists  = errors.New("purewire: peer exists")
	ErrLimit       = errors.New("purewire: too many peers")
	ErrInvalid     = errors.New("purewire: invalid value")
)

// Config is what a Device is made of.
type Config struct {
	// Identity is our static key, or something that can do Diffie-Hellman with it. Nil is none yet: the
	// device neither initiates nor answers (HS-23).
	Identity Identity
	// Entropy is read for ephemeral keys, indices, jitter, cookie secrets and nonces; always in full or the
	// action is dropped. Required. Production code gives crypto/rand.Reader, a simulator a seeded stream.
	Entropy io.Reader
	// Start is the time of the monotonic clock, which must run during suspend (LIFE-06), at which Wall was
	// read. Wall serves the TAI64N timestamp and the time of the last handshake and nothing else (LIFE-07). It lies
	// between 1678 and 2262; the zero Time stands for 1970.
	Start timers.Time
	Wall  time.Time
	// MTU of the inner interface in bytes; padding never exceeds it (PAD-02). 0 is legal: no clamp.
	MTU    int
	Limits Limits
	// Trace says which events to report; zero is none.
	Trace EventMask
}

// Limits bound what a Device may use. A zero field stands for the default behind it, a negative one for none; a
// device without a job shakes no hands.
type Limits struct {
	Peers               int // 2^20
	StagedPackets       int // packets that wait for a handshake, per peer: 128 (QUEUE-02)
	StagedBytes         int // and in all: 16 MiB
	Jobs                int // handshake jobs in flight: 256 (DOS-07)
	HandshakesPerSecond int // initiations taken per second before cookies are demanded: 1000 (DOS-01)
	CookiesPerSecond    int // cookie replies per second: 5000
	CookiesPerSource    int // and per source address (IPv6: /64): 20
}

// withDefaults fills in the zero fields. The defaults are meant for a gateway; a simulated host takes fewer job
// slots, which are what an idle Device weighs most.
func (l Limits) withDefaults() Limits {
	l.Peers = cmp.Or(l.Peers, 1<<20)
	l.StagedPackets = cmp.Or(l.StagedPackets, 128)
	l.StagedBytes = cmp.Or(l.StagedBytes, 16<<20)
	l.Jobs = cmp.Or(l.Jobs, 256)
	l.HandshakesPerSecond = cmp.Or(l.HandshakesPerSecond, 1000)
	l.CookiesPerSecond = cmp.Or(l.CookiesPerSecond, 5000)
	l.CookiesPerSource = cmp.Or(l.CookiesPerSource, 20)
	return l
}

// Op is what a [Change] does.
type Op uint8

// The operations and the fields of Change that they read.
const (
	OpInvalid     Op = iota
	OpIdentity       // Identity (nil: remove the key)
	OpMTU            // MTU
	OpAddPeer        // Peer and all peer fields; ErrPeerExists if there is one
	OpUpdatePeer     // Peer and all peer fields; ErrUnknownPeer if there is none
	OpPutPeer        // as OpAddPeer or OpUpdatePeer, whichever applies
	OpRemovePeer     // Peer; ErrUnknownPeer if there is none
	OpRemovePeers    // all of them
)

// Change is one step of [Device.Configure]. Nil pointers and slices leave a peer's value alone.
type Change struct {
	Op       Op
	Lenient  bool // an unknown (OpUpdatePeer, OpRemovePeer) or existing (OpAddPeer) peer is skipped, not an error
	Identity Identity
	MTU      int

	Peer         PublicKey
	PresharedKey *PresharedKey
	// Endpoint is only where we begin: the next authentic message from elsewhere moves it (ROAM-07).
	Endpoint            *netip.AddrPort // the zero AddrPort forgets the endpoint
	EndpointIfIndex     uint32          // with Endpoint, if that is link-local: its scope (ROAM-11)
	PersistentKeepalive *uint16         // seconds, 0 is off (TIMER-19)
	ReplaceAllowedIPs   bool            // empty the list before AllowedIPs are added
	RemoveAllowedIPs    []netip.Prefix  // exactly these, if the peer has them
	AllowedIPs          []netip.Prefix  // host bits are masked; moved here from other peers (ROUTE-04, ROUTE-07)
}

// PeerStats is a snapshot of one peer. It holds the preshared key: mind who sees it (SEC-06).
type PeerStats struct {
	ID                  PeerID
	PublicKey           PublicKey
	PresharedKey        PresharedKey
	Endpoint            Endpoint // zero: not known
	PersistentKeepalive uint16   // seconds
	LastHandshake       time.Time
	RxBytes, TxBytes    uint64 // UDP payload bytes (STAT-01, STAT-02)
	Staged              int    // packets that wait for a handshake
	Session             bool   // there is a key pair on which we may send
}
