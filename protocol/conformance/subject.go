package conformance

import (
	"net"
	"net/netip"
	"time"

	"github.com/purewire/purewire/timers"
)

// Key is 32 bytes: a private, public or preshared key. The zero Key is none.
type Key [32]byte

// Stamp is when something happened: not before Earliest and not after Latest, on the subject's clock. In virtual
// time the two are equal. In real time the width is what the time stamps of the kernel leave open.
type Stamp struct{ Earliest, Latest timers.Time }

// Datagram is one UDP datagram as the subject's host sees it.
type Datagram struct {
	Local  netip.AddrPort // the subject's side: where it was sent to, or from
	Remote netip.AddrPort // the tester's side
	TOS    uint8          // the outer TOS or traffic class byte: DSCP and ECN
	Bytes  []byte         // the UDP payload
}

// SentDatagram is a Datagram that the subject sent.
type SentDatagram struct {
	Datagram
	At Stamp
	// IP is the outer packet from its IP header on, for cases about checksums, fragmentation and marks; nil where it
	// cannot be seen.
	IP []byte
	// Mark is the fwmark that the packet carried (QOS-05), and Marked whether it could be seen.
	Mark   uint32
	Marked bool
}

// SentPacket is an inner packet that the subject handed to its inner side.
type SentPacket struct {
	At    Stamp
	Bytes []byte // from the IP header on, exactly as long as it was delivered
}

// Output is what a subject did, each list in order. What is in it belongs to whoever took it.
type Output struct {
	Datagrams []SentDatagram
	Packets   []SentPacket // the inner side: decrypted packets, and ICMP errors that the subject made up itself
	// Others are outer packets other than UDP, from the IP header on: above all ICMP errors of the subject's host.
	Others []SentPacket
	// Died is why the subject is gone (exit status, signal, panic, the end of its standard error); empty: it lives.
	Died string
}

// Subject is an implementation under test: one instance with one interface. It is used by one goroutine.
//
// Time is the subject's: it starts at 0 with the instance. Where a method takes now, the thing is to happen at that
// time; a subject in real time does it at once if now has passed, and waits for now otherwise.
type Subject interface {
	// Now is the current time: that of the latest call in virtual time, that of the clock in real time.
	Now() timers.Time
	// Input hands datagrams to the subject, one after the other, and says when they arrived.
	Input(now timers.Time, in []Datagram) Stamp
	// Packets hands inner packets to the subject, as its host would, to be sent through the tunnel.
	Packets(now timers.Time, in [][]byte) Stamp
	// Advance lets time pass until now or until the subject has put out something that Take has not taken yet,
	// whichever is first, and returns the time reached.
	Advance(now timers.Time) timers.Time
	// Configure applies a change. An error that errors.Is errors.ErrUnsupported makes the case unsupported.
	Configure(now timers.Time, c Change) error
	// Restart ends the subject without a word, all state lost, and starts it anew with its latest configuration
	// and the given wall clock (zero: the clock goes on).
	Restart(now timers.Time, wall time.Time) error
	// SetWall sets the wall clock. Other clocks go on.
	SetWall(now timers.Time, wall time.Time) error
	// State reports what the subject says of itself.
	State() (State, error)
	// Take moves everything that was put out up to Now to o, replacing what was in it.
	Take(o *Output)
	// Close ends the subject and removes every trace of it.
	Close() error
}

// UAPISubject is a Subject that speaks the userspace configuration text protocol (rules UAPI).
type UAPISubject interface {
	Subject
	// UAPI opens a connection to the configuration socket.
	UAPI() (net.Conn, error)
}

// Change is a change of configuration. What is nil stays as it is.
type Change struct {
	PrivateKey   *Key
	ListenPort   *uint16
	Mark         *uint32
	MTU          *int
	Up           *bool
	ReplacePeers bool
	Peers        []PeerChange
}

// PeerChange is the part of a Change about one peer, which is added if there is none, unless UpdateOnly.
type PeerChange struct {
	PublicKey         Key
	Remove            bool
	UpdateOnly        bool
	PresharedKey      *Key // the zero key removes it
	Endpoint          *netip.AddrPort
	Keepalive         *uint16 // persistent keepalive interval, seconds; 0: off
	ReplaceAllowedIPs bool
	AllowedIPs        []netip.Prefix
}

// State is what a subject says of itself.
type State struct {
	PublicKey  Key // of its own private key; zero: none, or not shown
	ListenPort uint16
	Mark       uint32
	Peers      []PeerState // in any order
}

// PeerState is what a subject says of a peer.
type PeerState struct {
	PublicKey     Key
	PresharedKey  Key
	Endpoint      netip.AddrPort
	Received      uint64 // bytes, rx_bytes
	Sent          uint64 // bytes, tx_bytes
	LastHandshake time.Time
	Keepalive     uint16 // seconds
	AllowedIPs    []netip.Prefix
}

// Setup is how a subject is to be when it starts.
type Setup struct {
	Name string // of the instance, for messages and files
	Seed uint64 // of all randomness of a subject in virtual time
	Wall time.Time
	// Local4 and Local6 are the outer addresses of the subject's host, with the tester's beside them: the tester may
	// send from any address of these networks.
	Local4, Local6 netip.Prefix
	// Config is the first configuration: at least a private key, a port and MTU.
	Config Change
	// Host asks for an interface that the subject's host itself uses: with the inner addresses Inner and routes to
	// the allowed IPs. Otherwise it has none, and all inner packets are the case's.
	Host  bool
	Inner []netip.Prefix
	// HandshakeTime and HandshakeWorkers model the cost of public-key work in virtual time: how long a job takes and
	// how many run at once. Zero: no time, any number.
	HandshakeTime    time.Duration
	HandshakeWorkers int
}

// Factory makes subjects. What they cannot do is in the Capabilities, which must be the same for each.
type Factory interface {
	Capabilities() Capabilities
	New(Setup) (Subject, error)
}

// TargetError is what a Subject in virtual time panics with when not the implementation failed but the way to it, where
// a method has no error to return: the case is then void, or unsupported if errors.Is(Err, errors.ErrUnsupported).
type TargetError struct{ Err error }

// Error is that of Err.
func (e *TargetError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *TargetError) Unwrap() error { return e.Err }
