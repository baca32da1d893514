package shim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/purewire/purewire/timers"
)

// Version is that of the protocol, as hello has it on both sides.
const Version = 1

// The operations.
const (
	OpHello     = "hello"
	OpOpen      = "open"
	OpDatagrams = "datagrams"
	OpPackets   = "packets"
	OpConfigure = "configure"
	OpRestart   = "restart"
	OpWall      = "wall"
	OpAdvance   = "advance"
	OpState     = "state"
	OpClose     = "close"
	OpUAPI      = "uapi"
	OpAddresses = "addresses"
)

// Request is one line from the runner to the shim. Which fields it has depends on Op; a time that is a pointer is
// there even if it is 0.
type Request struct {
	ID       int64  `json:"id"`
	Op       string `json:"op"`
	Instance string `json:"instance,omitzero"`

	// hello
	Protocol int    `json:"protocol,omitzero"`
	Runner   string `json:"runner,omitzero"`

	// open
	Seed             *Seed        `json:"seed,omitzero"`
	Local4           netip.Prefix `json:"local4,omitzero"`
	Local6           netip.Prefix `json:"local6,omitzero"`
	Config           *Change      `json:"config,omitzero"`
	HandshakeTime    int64        `json:"handshakeTime,omitzero"` // ns
	HandshakeWorkers int          `json:"handshakeWorkers,omitzero"`
	Wall             *Wall        `json:"wall,omitzero"` // restart and wall, too

	// the others
	At         *timers.Time   `json:"at,omitzero"`
	Datagrams  []Datagram     `json:"datagrams,omitzero"`
	Packets    []Hex          `json:"packets,omitzero"`
	Change     *Change        `json:"change,omitzero"`
	Until      *timers.Time   `json:"until,omitzero"`
	Pause      bool           `json:"pause,omitzero"`
	Connection int            `json:"connection,omitzero"` // from 1 on
	Text       *Text          `json:"text,omitzero"`
	Close      bool           `json:"close,omitzero"`
	Add        []netip.Prefix `json:"add,omitzero"`
	Remove     []netip.Prefix `json:"remove,omitzero"`
}

// Reply is one line from the shim to the runner.
type Reply struct {
	ID          int64        `json:"id"`
	Now         *timers.Time `json:"now,omitzero"`
	Outputs     []Output     `json:"outputs,omitzero"`
	Deadline    Deadline     `json:"deadline,omitzero"`
	Unsupported string       `json:"unsupported,omitzero"` // why this cannot be done; nothing was changed
	Error       string       `json:"error,omitzero"`       // why the implementation refused; nothing was changed
	State       *State       `json:"state,omitzero"`
	Text        *Text        `json:"text,omitzero"`
	EOF         bool         `json:"eof,omitzero"`
	*Greeting                // hello's, whose fields stand beside the others
}

// Greeting is what a shim says of itself in its reply to hello.
type Greeting struct {
	Protocol     int               `json:"protocol"`
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Layer        string            `json:"layer"`
	Kind         string            `json:"kind"` // column of the table of tolerances
	Capabilities []string          `json:"capabilities"`
	Lacks        map[string]string `json:"lacks,omitzero"` // why not, by capability
}

// Output is one thing that the implementation did at a time: one of the three is set.
type Output struct {
	At       timers.Time `json:"at"`
	Datagram *Datagram   `json:"datagram,omitzero"`
	Packet   *Hex        `json:"packet,omitzero"`
	Died     string      `json:"died,omitzero"`
}

// Datagram is a UDP datagram as the implementation's host sees it.
type Datagram struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	TOS    *uint8         `json:"tos,omitzero"`  // sent: nil if it cannot be seen
	Mark   *uint32        `json:"mark,omitzero"` // sent: nil if it cannot be seen
	Bytes  Hex            `json:"bytes"`
}

// Change is a change of configuration: what is nil stays as it is.
type Change struct {
	PrivateKey   *Key         `json:"privateKey,omitzero"`
	ListenPort   *uint16      `json:"listenPort,omitzero"`
	Mark         *uint32      `json:"mark,omitzero"`
	MTU          *int         `json:"mtu,omitzero"`
	Up           *bool        `json:"up,omitzero"`
	ReplacePeers bool         `json:"replacePeers,omitzero"`
	Peers        []PeerChange `json:"peers,omitzero"`
}

// PeerChange is the part of a Change about one peer.
type PeerChange struct {
	PublicKey         Key             `json:"publicKey"`
	Remove            bool            `json:"remove,omitzero"`
	UpdateOnly        bool            `json:"updateOnly,omitzero"`
	PresharedKey      *Key            `json:"presharedKey,omitzero"`
	Endpoint          *netip.AddrPort `json:"endpoint,omitzero"`
	Keepalive         *uint16         `json:"keepalive,omitzero"`
	ReplaceAllowedIPs bool            `json:"replaceAllowedIPs,omitzero"`
	AllowedIPs        []netip.Prefix  `json:"allowedIPs,omitzero"`
}

// State is what an implementation says of itself.
type State struct {
	PublicKey  Key         `json:"publicKey"`
	ListenPort uint16      `json:"listenPort"`
	Mark       uint32      `json:"mark"`
	Peers      []PeerState `json:"peers"`
}

// PeerState is what it says of a peer.
type PeerState struct {
	PublicKey     Key            `json:"publicKey"`
	PresharedKey  Key            `json:"presharedKey"`
	Endpoint      string         `json:"endpoint"` // empty: none
	Received      uint64         `json:"rx"`
	Sent          uint64         `json:"tx"`
	LastHandshake *Wall          `json:"lastHandshake"` // null: none
	Keepalive     uint16         `json:"keepalive"`
	AllowedIPs    []netip.Prefix `json:"allowedIPs"`
}

// Wall is a time of the wall clock, in two parts so that every number is exact in any language.
type Wall struct {
	Seconds     int64 `json:"s"`
	Nanoseconds int64 `json:"ns"`
}

// WallOf takes a time apart; nil for the zero time.
func WallOf(t time.Time) *Wall {
	if t.IsZero() {
		return nil
	}
	return &Wall{t.Unix(), int64(t.Nanosecond())}
}

// Time puts it together; the zero time for nil.
func (w *Wall) Time() time.Time {
	if w == nil {
		return time.Time{}
	}
	return time.Unix(w.Seconds, w.Nanoseconds).UTC()
}

// Deadline is when an implementation may next act by itself. The zero Deadline is absent: nobody knows.
type Deadline struct {
	Known bool
	At    timers.Time // Never, which is null: not before something is done to it
}

// MarshalJSON writes a number or null.
func (d Deadline) MarshalJSON() ([]byte, error) {
	if d.At == timers.Never {
		return []byte("null"), nil
	}
	return json.Marshal(d.At)
}

// UnmarshalJSON reads a number or null; that there is something to read means that it is known.
func (d *Deadline) UnmarshalJSON(b []byte) error {
	d.Known, d.At = true, timers.Never
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, &d.At)
}

// Hex are bytes, written as lower-case hexadecimal digits.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It never gives nil: no bytes are bytes.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	if !lower(b) {
		return errors.New("upper-case hexadecimal digits")
	}
	*h, err = hex.AppendDecode([]byte{}, b)
	return err
}

func lower(b []byte) bool {
	for _, c := range b {
		if 'A' <= c && c <= 'F' {
			return false
		}
	}
	return true
}

// Key is a key of 32 bytes, in hexadecimal.
type Key [32]byte

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(b []byte) error {
	var h Hex
	if err := h.UnmarshalText(b); err != nil {
		return err
	}
	if len(h) != len(k) {
		return fmt.Errorf("a key of %d bytes", len(h))
	}
	copy(k[:], h)
	return nil
}

// Seed is 64 bits in 16 hexadecimal digits, which no language takes for a float.
type Seed uint64

// MarshalText implements encoding.TextMarshaler.
func (s Seed) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(s)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Seed) UnmarshalText(b []byte) error {
	var h Hex
	if err := h.UnmarshalText(b); err != nil {
		return err
	}
	if len(h) != 8 {
		return errors.New("a seed is 16 hexadecimal digits")
	}
	*s = 0
	for _, c := range h {
		*s = *s<<8 | Seed(c)
	}
	return nil
}

// Text is what goes over a configuration socket: bytes, each written as the character with its number, U+0000 to
// U+00FF, so that bytes that are no UTF-8 survive JSON.
type Text string

// MarshalText implements encoding.TextMarshaler.
func (t Text) MarshalText() ([]byte, error) {
	r := make([]rune, len(t))
	for i := range len(t) {
		r[i] = rune(t[i])
	}
	return []byte(string(r)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Text) UnmarshalText(b []byte) error {
	var s []byte
	for _, r := range string(b) {
		if r > 0xff {
			return fmt.Errorf("the character %q: each is to be a byte, U+0000 to U+00FF", r)
		}
		s = append(s, byte(r))
	}
	*t = Text(s)
	return nil
}
