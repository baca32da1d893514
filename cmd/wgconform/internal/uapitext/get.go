package uapitext

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// unsupported is EOPNOTSUPP, by which an implementation says that it knows but cannot do what was asked.
const unsupported = 95

// Answer reads the answer to an operation and gives its lines before the errno. An errno other than 0 is an error, and
// one that errors.Is errors.ErrUnsupported if it says so.
func Answer(r io.Reader) (lines []string, err error) {
	s := bufio.NewScanner(r)
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
		case number == unsupported || number == -unsupported:
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

// State reads the lines of the answer to a get operation, without its errno. Keys that it does not know are for those
// who do.
func State(lines []string) (s conformance.State, err error) {
	var p *conformance.PeerState
	var second, nano int64
	for _, l := range lines {
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return s, fmt.Errorf("configuration socket: line %q has no =", l)
		}
		if key == "public_key" {
			s.Peers = append(s.Peers, conformance.PeerState{})
			p, second, nano = &s.Peers[len(s.Peers)-1], 0, 0
			p.PublicKey, err = key32(value)
		} else if p == nil {
			err = deviceLine(&s, key, value)
		} else {
			err = peerLine(p, key, value, &second, &nano)
		}
		if err != nil {
			return s, fmt.Errorf("configuration socket: %s: %w", key, err)
		}
	}
	return s, nil
}

func deviceLine(s *conformance.State, key, value string) error {
	switch key {
	case "private_key":
		k, err := key32(value)
		if err == nil && k != (conformance.Key{}) {
			s.PublicKey = conformance.Key(peer.PairOf(peer.Key(k)).Public)
		}
		return err
	case "own_public_key": // what boringtun says instead
		k, err := key32(value)
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
	return nil
}

func peerLine(p *conformance.PeerState, key, value string, second, nano *int64) (err error) {
	switch key {
	case "preshared_key":
		p.PresharedKey, err = key32(value)
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

func key32(text string) (k conformance.Key, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != len(k) {
		err = fmt.Errorf("%d bytes instead of %d", len(b), len(k))
	}
	if err != nil {
		return k, err
	}
	return conformance.Key(b), nil
}
