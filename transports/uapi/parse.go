package uapi

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"

	"github.com/purewire/purewire/protocol"
)

// parser makes Settings of the lines of a set, one by one and without looking at any device.
type parser struct {
	Settings
	section int // index of the first change of this peer section; -1: device keys (UAPI-09)
}

func newParser() *parser { return &parser{section: -1} }

// line takes one line without its end.
func (p *parser) line(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte{'='})
	if !ok {
		return &Error{Errno: errnoProtocol, Reason: "a line without ="} // UAPI-30
	}
	key := string(name)
	var err error
	switch {
	case key == "public_key":
		err = p.open(value)
	case p.section < 0:
		err = p.device(key, value)
	default:
		err = p.peer(key, value)
	}
	if err == errUnknown {
		return invalid("unknown key") // UAPI-29; names are lower-case, UAPI-08
	}
	if err != nil {
		return invalid("malformed value of " + key) // UAPI-31
	}
	return nil
}

// Only whether, not why: the line tells it better, and must not be repeated, for it may hold a key.
var (
	errUnknown   = invalid("unknown key")
	errMalformed = invalid("malformed value")
)

// device takes a key that stands before the first public_key.
func (p *parser) device(key string, value []byte) error {
	switch key {
	case "private_key":
		k, err := parseKey(value)
		if err != nil {
			return err
		}
		c := protocol.Change{Op: protocol.OpIdentity}
		if k != (protocol.PrivateKey{}) { // 64 zeros remove the key (UAPI-11); asked before it is clamped
			c.Identity = protocol.NewIdentity(k)
		}
		p.Changes = append(p.Changes, c)
	case "listen_port":
		n, err := parseNumber(value, 16)
		port := uint16(n)
		p.Port = &port
		return err
	case "fwmark":
		n, err := parseNumber(value, 32)
		mark := uint32(n)
		p.Mark = &mark
		return err
	case "replace_peers":
		p.Changes = append(p.Changes, protocol.Change{Op: protocol.OpRemovePeers}) // UAPI-15
		return parseTrue(value)
	default:
		return errUnknown
	}
	return nil
}

// open begins a peer section (UAPI-16).
func (p *parser) open(value []byte) error {
	k, err := parseKey(value)
	p.section = len(p.Changes)
	p.Changes = append(p.Changes, protocol.Change{Op: protocol.OpPutPeer, Peer: protocol.PublicKey(k)})
	return err
}

// peer takes a key of a peer section.
func (p *parser) peer(key string, value []byte) error {
	c := &p.Changes[len(p.Changes)-1]
	switch key {
	case "remove":
		// Whatever else the section says is moot (UAPI-17), as it is to Linux: this operation reads no other field, and
		// what split adds finds no peer.
		first := &p.Changes[p.section]
		first.Op, first.Lenient = protocol.OpRemovePeer, true
		return parseTrue(value)
	case "update_only": // UAPI-18
		if first := &p.Changes[p.section]; first.Op != protocol.OpRemovePeer {
			first.Op, first.Lenient = protocol.OpUpdatePeer, true
		}
		return parseTrue(value)
	case "preshared_key":
		k, err := parseKey(value)
		psk := protocol.PresharedKey(k) // zeros are none, UAPI-19
		c.PresharedKey = &psk
		return err
	case "endpoint":
		return setEndpoint(c, value)
	case "persistent_keepalive_interval":
		n, err := parseNumber(value, 16) // UAPI-21
		seconds := uint16(n)
		c.PersistentKeepalive = &seconds
		return err
	case "protocol_version":
		if n, err := parseNumber(value, 32); err != nil || n != 1 { // UAPI-25
			return errMalformed
		}
		return nil
	}
	return p.routes(c, key, value)
}

// routes takes the keys of the list of allowed IPs. A Change empties the list, then removes, then adds, while lines
// are obeyed one after another: where they come in another order, a further Change goes on.
func (p *parser) routes(c *protocol.Change, key string, value []byte) error {
	switch key {
	case "replace_allowed_ips": // UAPI-22
		if len(c.AllowedIPs)+len(c.RemoveAllowedIPs) > 0 {
			c = p.split()
		}
		c.ReplaceAllowedIPs = true
		return parseTrue(value)
	case "allowed_ip":
		text, minus := bytes.CutPrefix(value, []byte{'-'})
		prefix, err := netip.ParsePrefix(string(text))
		switch {
		case err != nil:
			return errMalformed
		case !minus: // UAPI-23
			c.AllowedIPs = append(c.AllowedIPs, prefix)
			return nil
		case len(c.AllowedIPs) > 0:
			c = p.split()
		}
		c.RemoveAllowedIPs = append(c.RemoveAllowedIPs, prefix) // UAPI-24
		return nil
	}
	return errUnknown
}

// split begins another Change for the same peer. It is lenient because the first one may have made no peer: our own
// key, or update_only.
func (p *parser) split() *protocol.Change {
	p.Changes = append(p.Changes,
		protocol.Change{Op: protocol.OpUpdatePeer, Lenient: true, Peer: p.Changes[p.section].Peer})
	return &p.Changes[len(p.Changes)-1]
}

// setEndpoint takes an address with a port, never a name (UAPI-20): names are the client's to resolve. A link-local
// address has its scope as a number or as an interface's name, which is how getnameinfo(3) gives it to wg(8).
func setEndpoint(c *protocol.Change, value []byte) error {
	at, err := netip.ParseAddrPort(string(value))
	if err != nil || at.Port() == 0 {
		return errMalformed
	}
	scope := uint32(0)
	if zone := at.Addr().Zone(); zone != "" {
		if scope, err = scopeOf(zone); err != nil || !at.Addr().IsLinkLocalUnicast() {
			return errMalformed
		}
		at = netip.AddrPortFrom(at.Addr().WithZone(""), at.Port())
	}
	c.Endpoint, c.EndpointIfIndex = &at, scope // ROAM-11
	return nil
}

// scopeOf gives the index of the interface that a zone names. An index is taken as it is, even if there is no such
// interface yet.
func scopeOf(zone string) (uint32, error) {
	if n, err := parseNumber([]byte(zone), 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}

// parseKey takes 64 hexadecimal digits (UAPI-08).
func parseKey(value []byte) (k [protocol.KeySize]byte, err error) {
	if len(value) != hex.EncodedLen(len(k)) {
		return k, errMalformed
	}
	_, err = hex.Decode(k[:], value)
	return k, err
}

// parseNumber takes an unsigned decimal number of so many bits: digits alone, no sign.
func parseNumber(value []byte, bits int) (uint64, error) {
	return strconv.ParseUint(string(value), 10, bits)
}

// parseTrue refuses everything but "true" (UAPI-32): "false" would have to undo something.
func parseTrue(value []byte) error {
	if string(value) != "true" {
		return errMalformed
	}
	return nil
}
