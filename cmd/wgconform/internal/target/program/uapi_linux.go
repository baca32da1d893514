package program

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// uapiPatience is how long a program may take for an answer on its configuration socket.
const uapiPatience = 5 * time.Second

// errnoUnsupported is EOPNOTSUPP, by which a program says that it knows but cannot do what was asked.
const errnoUnsupported = 95

// setText writes a change as a set operation (rules UAPI), without what concerns the interface itself: MTU and up.
func setText(c *conformance.Change) string {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(key + "=" + value + "\n") }
	b.WriteString("set=1\n")
	if c.PrivateKey != nil {
		line("private_key", hex.EncodeToString(c.PrivateKey[:]))
	}
	if c.ListenPort != nil {
		line("listen_port", strconv.Itoa(int(*c.ListenPort)))
	}
	if c.Mark != nil {
		line("fwmark", strconv.FormatUint(uint64(*c.Mark), 10))
	}
	if c.ReplacePeers {
		line("replace_peers", "true")
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		line("public_key", hex.EncodeToString(p.PublicKey[:]))
		if p.Remove {
			line("remove", "true")
		}
		if p.UpdateOnly {
			line("update_only", "true")
		}
		if p.PresharedKey != nil {
			line("preshared_key", hex.EncodeToString(p.PresharedKey[:]))
		}
		if p.Endpoint != nil {
			line("endpoint", p.Endpoint.String())
		}
		if p.Keepalive != nil {
			line("persistent_keepalive_interval", strconv.Itoa(int(*p.Keepalive)))
		}
		if p.ReplaceAllowedIPs {
			line("replace_allowed_ips", "true")
		}
		for _, a := range p.AllowedIPs {
			line("allowed_ip", a.String())
		}
	}
	b.WriteString("\n")
	return b.String()
}

// converse sends an operation over a connection and gives the lines of the answer before its errno.
func converse(conn net.Conn, operation string) (lines []string, err error) {
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(uapiPatience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(operation)); err != nil {
		return nil, fmt.Errorf("configuration socket: %w", err)
	}
	s := bufio.NewScanner(conn)
	for s.Scan() {
		text, ends := strings.CutPrefix(s.Text(), "errno=")
		if !ends {
			if s.Text() != "" {
				lines = append(lines, s.Text())
			}
			continue
		}
		switch number, err := strconv.Atoi(text); {
		case err != nil:
			return nil, fmt.Errorf("configuration socket: errno is %q", text)
		case number == errnoUnsupported || number == -errnoUnsupported:
			return nil, fmt.Errorf("the program refuses: errno=%d: %w", number, errors.ErrUnsupported)
		case number != 0:
			return nil, fmt.Errorf("the program refuses: errno=%d", number)
		}
		return lines, nil
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("configuration socket: %w", err)
	}
	return nil, errors.New("configuration socket: the answer ends without errno")
}

// parseState reads the answer to a get operation.
func parseState(lines []string, public func(private conformance.Key) conformance.Key) (s conformance.State, err error) {
	var peer *conformance.PeerState
	var second, nano int64
	for _, l := range lines {
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return s, fmt.Errorf("configuration socket: line %q has no =", l)
		}
		if key == "public_key" {
			s.Peers = append(s.Peers, conformance.PeerState{})
			peer, second, nano = &s.Peers[len(s.Peers)-1], 0, 0
			peer.PublicKey, err = parseKey(value)
		} else if peer == nil {
			err = parseInterface(&s, key, value, public)
		} else {
			err = parsePeer(peer, key, value, &second, &nano)
		}
		if err != nil {
			return s, fmt.Errorf("configuration socket: %s: %w", key, err)
		}
	}
	return s, nil
}

func parseInterface(s *conformance.State, key, value string, public func(conformance.Key) conformance.Key) error {
	switch key {
	case "private_key":
		k, err := parseKey(value)
		if err == nil && k != (conformance.Key{}) {
			s.PublicKey = public(k)
		}
		return err
	case "own_public_key": // what boringtun says instead
		k, err := parseKey(value)
		s.PublicKey = k
		return err
	case "listen_port":
		n, err := strconv.ParseUint(value, 10, 16)
		s.ListenPort = uint16(n)
		return err
	case "fwmark":
		n, err := strconv.ParseUint(value, 0, 32)
		s.Mark = uint32(n)
		return err
	}
	return nil // unknown keys are for those who know them
}

func parsePeer(p *conformance.PeerState, key, value string, second, nano *int64) (err error) {
	switch key {
	case "preshared_key":
		p.PresharedKey, err = parseKey(value)
	case "endpoint":
		p.Endpoint, err = netip.ParseAddrPort(value)
	case "rx_bytes":
		p.Received, err = strconv.ParseUint(value, 10, 64)
	case "tx_bytes":
		p.Sent, err = strconv.ParseUint(value, 10, 64)
	case "last_handshake_time_sec":
		*second, err = strconv.ParseInt(value, 10, 64)
	case "last_handshake_time_nsec":
		*nano, err = strconv.ParseInt(value, 10, 64)
	case "persistent_keepalive_interval":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 16)
		p.Keepalive = uint16(n)
	case "allowed_ip":
		var a netip.Prefix
		a, err = netip.ParsePrefix(value)
		p.AllowedIPs = append(p.AllowedIPs, a)
	}
	if *second != 0 || *nano != 0 {
		p.LastHandshake = time.Unix(*second, *nano)
	}
	return err
}

func parseKey(text string) (k conformance.Key, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != len(k) {
		err = fmt.Errorf("%d bytes instead of %d", len(b), len(k))
	}
	if err != nil {
		return k, err
	}
	return conformance.Key(b), nil
}
