package uapitext

import (
	"crypto/ecdh"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// State reads the lines of the answer to a get operation, without its errno. Keys that it does not know are for those
// who do.
func State(lines []string) (s conformance.State, err error) {
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
			peer.PublicKey, err = key32(value)
		} else if peer == nil {
			err = deviceLine(&s, key, value)
		} else {
			err = peerLine(peer, key, value, &second, &nano)
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
			s.PublicKey = PublicKey(k)
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

// PublicKey is the public key of a private one.
func PublicKey(private conformance.Key) conformance.Key {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil { // of another length than 32 bytes only
		return conformance.Key{}
	}
	return conformance.Key(k.PublicKey().Bytes())
}
