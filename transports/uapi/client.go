package uapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/purewire/purewire/protocol"
)

// Client speaks to an interface over its socket, ours or any other implementation's. One goroutine at a time.
type Client struct {
	conn io.ReadWriteCloser
	in   *bufio.Reader
}

// NewClient speaks over conn.
func NewClient(conn io.ReadWriteCloser) *Client {
	return &Client{conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
}

// Dial connects to the socket of an interface.
func Dial(ctx context.Context, name string) (*Client, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	conn, err := dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// State is what an interface says of itself.
type State struct {
	PrivateKey *protocol.PrivateKey // nil: none, or not shown
	Port       uint16
	Mark       uint32
	Peers      []Peer // in the order of the answer
}

// Peer is what an interface says of one peer.
type Peer struct {
	PublicKey           protocol.PublicKey
	PresharedKey        protocol.PresharedKey // zeros: none
	Endpoint            netip.AddrPort        // zero: not known. A scope is in its zone
	PersistentKeepalive uint16                // seconds
	LastHandshake       time.Time             // zero: never
	RxBytes, TxBytes    uint64
	AllowedIPs          []netip.Prefix
}

// Set asks for settings. A refusal is an *Error and changed nothing, if the interface is one of ours.
func (c *Client) Set(s Settings) error {
	text, err := s.Append([]byte("set=1\n"))
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(append(text, '\n')); err != nil {
		return err
	}
	return c.answer(func(key string, _ []byte) error { return fmt.Errorf("uapi: %s in the answer to a set", key) })
}

// Get asks for the state. Keys that it does not know are ignored (UAPI-40).
func (c *Client) Get() (*State, error) {
	if _, err := c.conn.Write([]byte("get=1\n\n")); err != nil {
		return nil, err
	}
	s := &State{}
	var sec int64
	err := c.answer(func(key string, value []byte) error {
		if key == "public_key" {
			k, err := parseKey(value)
			s.Peers = append(s.Peers, Peer{PublicKey: k})
			return err
		}
		if len(s.Peers) == 0 {
			return s.take(key, value)
		}
		return s.Peers[len(s.Peers)-1].take(key, value, &sec)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// answer reads an answer to its end and gives its lines to take, but for errno, which is checked: last, once, of
// either sign (UAPI-05, UAPI-39).
func (c *Client) answer(take func(key string, value []byte) error) error {
	errno, seen := 0, false
	var bad error
	for {
		line, err := c.in.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case len(line) > 1:
			key, value, ok := bytes.Cut(line[:len(line)-1], []byte{'='})
			switch {
			case !ok || seen:
				err = errors.New("uapi: the answer is not key=value lines with errno as the last")
			case string(key) == "errno":
				seen = true
				errno, err = strconv.Atoi(string(value))
			default:
				err = take(string(key), value)
			}
			if bad == nil {
				bad = err
			}
		case bad != nil:
			return bad
		case !seen:
			return errors.New("uapi: the answer has no errno")
		case errno != 0:
			return &Error{Errno: max(errno, -errno)}
		default:
			return nil
		}
	}
}

func (s *State) take(key string, value []byte) (err error) {
	var n uint64
	switch key {
	case "private_key":
		var k protocol.PrivateKey
		k, err = parseKey(value)
		s.PrivateKey = &k
	case "listen_port":
		n, err = parseNumber(value, 16)
		s.Port = uint16(n)
	case "fwmark":
		n, err = parseNumber(value, 32)
		s.Mark = uint32(n)
	}
	return err
}

// take keeps the seconds of the last handshake in sec until the nanoseconds come.
func (p *Peer) take(key string, value []byte, sec *int64) (err error) {
	var n uint64
	switch key {
	case "preshared_key":
		p.PresharedKey, err = parseKey(value)
	case "endpoint":
		p.Endpoint, err = netip.ParseAddrPort(string(value))
	case "persistent_keepalive_interval":
		n, err = parseNumber(value, 16)
		p.PersistentKeepalive = uint16(n)
	case "last_handshake_time_sec":
		n, err = parseNumber(value, 63)
		*sec = int64(n)
		p.handshakeAt(*sec, 0)
	case "last_handshake_time_nsec":
		n, err = parseNumber(value, 32)
		p.handshakeAt(*sec, int64(n))
	case "rx_bytes":
		p.RxBytes, err = parseNumber(value, 64)
	case "tx_bytes":
		p.TxBytes, err = parseNumber(value, 64)
	case "allowed_ip":
		var prefix netip.Prefix
		prefix, err = netip.ParsePrefix(string(value))
		p.AllowedIPs = append(p.AllowedIPs, prefix)
	case "protocol_version":
		if n, err = parseNumber(value, 32); err == nil && n != 1 {
			err = fmt.Errorf("uapi: a peer speaks protocol version %d", n)
		}
	}
	return err
}

// handshakeAt leaves the zero time for 0/0, which is never (UAPI-27).
func (p *Peer) handshakeAt(sec, nsec int64) {
	if sec != 0 || nsec != 0 {
		p.LastHandshake = time.Unix(sec, nsec)
	}
}

// Append writes the lines of a set, without the first and the empty last one: device keys, then peers. It fails for
// what a set cannot say: an MTU, an identity that keeps its private key, forgetting an endpoint, peers before device
// keys, and an operation that is to fail for want or excess of a peer (OpAddPeer, OpUpdatePeer and OpRemovePeer without
// Lenient).
func (s Settings) Append(b []byte) ([]byte, error) {
	if s.Port != nil {
		b = fmt.Appendf(b, "listen_port=%d\n", *s.Port)
	}
	if s.Mark != nil {
		b = fmt.Appendf(b, "fwmark=%d\n", *s.Mark)
	}
	peers := false
	for i := range s.Changes {
		c := &s.Changes[i]
		var err error
		switch {
		case !peers && c.Op == protocol.OpIdentity:
			b, err = appendIdentity(b, c.Identity)
		case !peers && c.Op == protocol.OpRemovePeers:
			b = append(b, "replace_peers=true\n"...)
		default:
			peers = true
			b, err = appendPeer(b, c)
		}
		if err != nil {
			return nil, fmt.Errorf("uapi: change %d: %w", i, err)
		}
	}
	return b, nil
}

func appendIdentity(b []byte, id protocol.Identity) ([]byte, error) {
	var k protocol.PrivateKey // zeros: remove it
	if id != nil {
		holder, ok := id.(protocol.PrivateKeyHolder)
		if !ok {
			return nil, errors.New("the identity does not give its private key")
		}
		k = holder.PrivateKey()
	}
	return fmt.Appendf(b, "private_key=%x\n", k[:]), nil
}

func appendPeer(b []byte, c *protocol.Change) ([]byte, error) {
	b = append(b, "public_key="...)
	b = append(hex.AppendEncode(b, c.Peer[:]), '\n')
	switch {
	case c.Op == protocol.OpPutPeer:
	case c.Op == protocol.OpUpdatePeer && c.Lenient:
		b = append(b, "update_only=true\n"...)
	case c.Op == protocol.OpRemovePeer && c.Lenient:
		return append(b, "remove=true\n"...), nil
	default:
		return nil, fmt.Errorf("a set has no word for operation %d (lenient: %t) here", c.Op, c.Lenient)
	}
	if c.PresharedKey != nil {
		b = fmt.Appendf(b, "preshared_key=%x\n", c.PresharedKey[:])
	}
	if c.Endpoint != nil {
		if !c.Endpoint.IsValid() {
			return nil, errors.New("a set cannot make a peer forget its endpoint")
		}
		e := protocol.Endpoint{Remote: *c.Endpoint, IfIndex: c.EndpointIfIndex}
		b = append(appendEndpoint(append(b, "endpoint="...), e), '\n')
	}
	if c.PersistentKeepalive != nil {
		b = fmt.Appendf(b, "persistent_keepalive_interval=%d\n", *c.PersistentKeepalive)
	}
	if c.ReplaceAllowedIPs {
		b = append(b, "replace_allowed_ips=true\n"...)
	}
	for _, p := range c.RemoveAllowedIPs {
		b = append(p.AppendTo(append(b, "allowed_ip=-"...)), '\n')
	}
	for _, p := range c.AllowedIPs {
		b = append(p.AppendTo(append(b, "allowed_ip="...)), '\n')
	}
	return b, nil
}
